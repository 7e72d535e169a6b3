// SPDX-License-Identifier: MIT
/* Many random walks (walks.h) of each architecture. VMMU_SEED repeats a run. */
#include "hw/walks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define WALKS_PER_ARCH 20000

static void fuzz(enum vmmu_hw_arch arch, const char *name)
{
	const char *text = getenv("VMMU_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 20240601;
	struct draw draw = draw_from_seed(seed ^ (uint64_t)arch << 56);
	struct walks_tally tally = {0};
	unsigned i;

	for (i = 0; i < WALKS_PER_ARCH; i++)
		walks_one(&draw, arch, &tally);
	printf("%s: seed %llu: %u translated, %u guest faults, %u host faults, %u refused, %u "
	       "lost\n",
	       name, (unsigned long long)seed, tally.ok, tally.guest, tally.host, tally.refused,
	       tally.lost);
	/* The fuzzer reaches every way out. */
	cr_assert_gt(tally.ok, WALKS_PER_ARCH / 200);
	cr_assert_gt(tally.guest, WALKS_PER_ARCH / 200);
	if (arch != VMMU_HW_X86)
		cr_assert_gt(tally.host, WALKS_PER_ARCH / 200);
	cr_assert_lt(tally.refused, WALKS_PER_ARCH / 2);
}

Test(fuzz, x86_alone__every_walk_ends)
{
	fuzz(VMMU_HW_X86, "x86");
}

Test(fuzz, ept__every_walk_ends)
{
	fuzz(VMMU_HW_EPT, "EPT");
}

Test(fuzz, npt__every_walk_ends)
{
	fuzz(VMMU_HW_NPT, "NPT");
}

Test(fuzz, riscv__every_walk_ends)
{
	fuzz(VMMU_HW_RISCV, "RISC-V");
}

Test(fuzz, arm64__every_walk_ends)
{
	fuzz(VMMU_HW_ARM64, "Arm");
}
