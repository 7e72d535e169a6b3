/* SPDX-License-Identifier: MIT */
/* vmmu/format.h: reading an entry, and a fault report, without a VM. */
#include <stdio.h>
#include <vmmu/fault.h>
#include <vmmu/format.h>

int main(void)
{
	const struct vmmu_format *ept = vmmu_format_find("ept4");
	/* An EPT violation, a write to what was readable: qualification bits 1 and 3. */
	struct vmmu_syndrome report = {.gpa = 0xfee00300, .reg = {48, 0xa}};
	struct vmmu_fault fault;
	struct vmmu_entry entry;

	/* 2 MiB at hpa 0x40000000: read and execute, writeback, bit 7 for a large page. */
	if (!ept || vmmu_entry_read(ept, 0x400000b5, 2, &entry) ||
	    vmmu_fault_decode("x86-ept", &report, &fault))
		return 1;
	printf("%s: %u bits, leaf of pfn 0x%llx, access %u, a %s fault at 0x%llx\n",
	       vmmu_format_info(ept)->name, vmmu_format_info(ept)->geometry->gpa_bits,
	       (unsigned long long)entry.pfn, entry.access,
	       fault.access == VMMU_WRITE ? "write" : "?", (unsigned long long)fault.gpa);
}
