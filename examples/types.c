/* SPDX-License-Identifier: MIT */
/* vmmu/types.h: rights are or-ed, a fault has exactly one. */
#include <stdio.h>
#include <vmmu/types.h>

static void print_access(unsigned access)
{
	printf("%c%c%c ", access & VMMU_READ ? 'r' : '-', access & VMMU_WRITE ? 'w' : '-',
	       access & VMMU_EXEC ? 'x' : '-');
}

int main(void)
{
	print_access(VMMU_READ | VMMU_EXEC);
	print_access(VMMU_WRITE);
	print_access(VMMU_RWX);
	printf("and up to %d levels\n", VMMU_LEVELS_MAX);
}
