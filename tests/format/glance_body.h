/* SPDX-License-Identifier: MIT */
/*
 * What the engine takes from a glance at an entry (FMT_TABLE_BYTE, FMT_LEAF_BITS, FMT_QUIET_BITS),
 * against the format's functions: SUITE names the tests. Include after a format header.
 */
#include <criterion/criterion.h>

#include "base/random.h"
#include "spte/spte_impl.h"

#ifndef FMT_TABLE_BYTE
#error "all formats of the library promise this"
#endif

/* A glance may say no to anything. Yes is the truth. */
static void expect_truth(uint64_t pte)
{
	for (unsigned level = 2; level <= fmt_geometry.levels; level++)
		if (spte_is_surely_table(pte, level))
			cr_assert_eq(fmt_classify(pte, level), VMMU_ENTRY_TABLE, "%llx",
				     (unsigned long long)pte);
	if (spte_is_surely_leaf(pte))
		cr_assert_eq(fmt_classify(pte, 1), VMMU_ENTRY_LEAF, "%llx",
			     (unsigned long long)pte);
	if (spte_is_surely_quiet(pte))
		cr_assert(fmt_classify(pte, 1) == VMMU_ENTRY_LEAF &&
				  (fmt_access(pte, 1) & VMMU_WRITE) && !fmt_is_volatile(pte, 1),
			  "%llx", (unsigned long long)pte);
}

/* All that the low bits can be, beside nothing and beside anything. */
Test(SUITE, a_glance__is_never_wrong)
{
	struct random_state random = random_start(5);

	for (uint64_t low = 0; low < 4096; low++) {
		expect_truth(low);
		for (unsigned bit = 12; bit < 64; bit++)
			expect_truth(low | UINT64_C(1) << bit);
		for (unsigned i = 0; i < 50; i++)
			expect_truth((random_u64(&random) & ~UINT64_C(0xfff)) | low);
	}
	for (unsigned i = 0; i < 10000; i++) {
		struct vmmu_mmio mmio = {.gfn = random_u64(&random) & 0xffffffff,
					 .access = VMMU_READ | random_u64(&random) % 8,
					 .generation = random_u64(&random) & 0x7ffff};

		expect_truth(fmt_make_mmio(mmio, 1));
	}
}

/* And it suffices for what the engine makes. */
Test(SUITE, a_glance__knows_what_the_engine_makes)
{
	struct random_state random = random_start(6);
	uint64_t pfns = BIT64(fmt_geometry.pa_bits - fmt_geometry.page_shift);

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t pfn = random_u64(&random) % pfns;
		struct vmmu_leaf leaf = {.pfn = pfn, .access = VMMU_READ, .accessed = true};

		for (unsigned level = 2; level <= fmt_geometry.levels; level++)
			cr_assert(spte_is_surely_table(
				fmt_make_table(pfn << fmt_geometry.page_shift, level), level));
		cr_assert(spte_is_surely_leaf(fmt_make_leaf(leaf, 1)));
		cr_assert(!spte_is_surely_quiet(fmt_make_leaf(leaf, 1)));
		leaf.access = VMMU_RWX;
		leaf.host_writable = leaf.mmu_writable = leaf.dirty = true;
		cr_assert(spte_is_surely_leaf(fmt_make_leaf(leaf, 1)));
		cr_assert(spte_is_surely_quiet(fmt_make_leaf(leaf, 1)));
		cr_assert(!spte_is_surely_quiet(fmt_write_protect(fmt_make_leaf(leaf, 1), 1)));
		cr_assert(!spte_is_surely_quiet(fmt_clear_accessed(fmt_make_leaf(leaf, 1), 1)));
		cr_assert(!spte_is_surely_quiet(fmt_clear_dirty(fmt_make_leaf(leaf, 1), 1)));
	}
}
