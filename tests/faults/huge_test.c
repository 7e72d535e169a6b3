/* SPDX-License-Identifier: MIT */
/* How large a mapping gets: slot, host, options, and the rule for executable pages. */
#include "faults/harness.h"

/* A host that maps everything at LEVEL. */
static struct machine *machine_on_host_level(unsigned format_index, unsigned level)
{
	struct machine_options options = {.vcpus = 2, .rest_level = level};

	return machine_create(format_index, &options);
}

static unsigned level_at(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
	return walk.level;
}

FORMAT_TEST(huge, aligned_slot_on_huge_host_page__is_mapped_huge)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2);
	struct access_result result;

	machine_slot(machine, 0, 4 * block, 2 * block, 6 * block, 0);
	result = machine_touch(machine, 4 * block + 9, VMMU_WRITE);
	cr_assert_eq(result.fault.level, 2);
	cr_assert_eq(result.fault.pfn, HOST_PFN + 6 * block + 9);
	cr_assert_eq(level_at(machine, 5 * block - 1), 2);
	cr_assert_eq(machine_walk(machine, 0, 5 * block - 1).pfn, HOST_PFN + 7 * block - 1);
	cr_assert_eq(machine_walk(machine, 0, 4 * block + 9).entry.pfn, HOST_PFN + 6 * block);
	cr_assert_eq(machine_walk(machine, 0, 4 * block + 9).gfn, 4 * block);
	cr_assert_eq(machine_kind(machine, 0, 5 * block), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_stats(machine).mapped[2], 1);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	machine_check_range(machine, 0, 4 * block, 6 * block);
	machine_destroy(machine);
}

/* 1 GiB pages with 4 KiB granules; 64 KiB granules may have no third leaf level. */
FORMAT_TEST(huge, slot_of_a_level_3_page__is_mapped_at_level_3)
{
	struct machine *machine = machine_on_host_level(*index, 3);
	uint64_t block = machine_pages(machine, 2), giant;

	if (!(machine->geometry->leaf_levels & (1u << 3)) || machine->page_shift != 12)
		cr_skip_test("no such leaf");
	giant = machine_pages(machine, 3);
	machine_slot(machine, 0, giant, giant + block, 2 * giant, 0);
	machine_touch(machine, giant + 77777, VMMU_READ);
	cr_assert_eq(level_at(machine, giant + 77777), 3);
	cr_assert_eq(machine_walk(machine, 0, giant + 77777).pfn, HOST_PFN + 2 * giant + 77777);
	/* the tail of the slot holds a level 2 page only */
	machine_touch(machine, 2 * giant + 3, VMMU_READ);
	cr_assert_eq(level_at(machine, 2 * giant + 3), 2);
	cr_assert_eq(machine_stats(machine).mapped[3], 1);
	machine_destroy(machine);
}

FORMAT_TEST(huge, small_host_page__is_mapped_small)
{
	struct machine *machine = machine_on_host_level(*index, 1);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 9, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block + 9), 1);
	cr_assert_eq(machine_kind(machine, 0, block + 8), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* Head and tail of the slot do not fill a block: only the one between is huge. */
FORMAT_TEST(huge, unaligned_slot__is_mapped_huge_only_inside)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, 4 * block + 1, 3 * block - 2, 8 * block + 1, 0);
	machine_touch(machine, 4 * block + 1, VMMU_WRITE);
	machine_touch(machine, 5 * block - 1, VMMU_WRITE);
	machine_touch(machine, 5 * block, VMMU_WRITE);
	machine_touch(machine, 7 * block - 2, VMMU_WRITE);
	cr_assert_eq(level_at(machine, 4 * block + 1), 1);
	cr_assert_eq(level_at(machine, 5 * block - 1), 1);
	cr_assert_eq(level_at(machine, 5 * block), 2);
	cr_assert_eq(level_at(machine, 7 * block - 2), 1);
	machine_check_range(machine, 0, 4 * block, 7 * block);
	machine_destroy(machine);
}

FORMAT_TEST(huge, address_not_congruent_to_gfn__is_mapped_small)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, 4 * block, 3 * block, 8 * block + 1, 0);
	machine_touch(machine, 5 * block + 3, VMMU_WRITE);
	cr_assert_eq(level_at(machine, 5 * block + 3), 1);
	cr_assert_eq(machine_walk(machine, 0, 5 * block + 3).pfn, HOST_PFN + 9 * block + 4);
	machine_destroy(machine);
}

FORMAT_TEST(huge, vm_limit__holds)
{
	struct machine_options options = {.max_level = 1, .rest_level = 3};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block), 1);
	machine_destroy(machine);
}

/* The host has more than the caller wants. */
FORMAT_TEST(huge, vm_limit_of_2_on_level_3_host__maps_level_2)
{
	struct machine_options options = {.max_level = 2, .rest_level = 3};
	struct machine *machine;
	uint64_t giant;

	if (vmmu_format_info(outside_at(*index))->geometry->page_shift != 12)
		cr_skip_test("a slot of this size takes too much");
	machine = machine_create(*index, &options);
	giant = machine_pages(machine, 3);
	machine_slot(machine, 0, giant, giant, giant, 0);
	machine_touch(machine, giant + 12345, VMMU_READ);
	cr_assert_eq(level_at(machine, giant + 12345), 2);
	cr_assert_eq(machine_walk(machine, 0, giant + 12345).pfn, HOST_PFN + giant + 12345);
	machine_destroy(machine);
}

FORMAT_TEST(huge, limit_of_one_fault__holds_for_it)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_access_with(machine, 0, machine_gpa(machine, block + 1), VMMU_READ, 0, 1);
	cr_assert_eq(level_at(machine, block + 1), 1);
	cr_assert_eq(machine_kind(machine, 0, block + 2), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 2 * block, VMMU_READ);
	cr_assert_eq(level_at(machine, 2 * block), 2);
	machine_destroy(machine);
}

/*
 * Small pages first; a fault next to them that may be huge replaces their table, and flushes it
 * all.
 */
FORMAT_TEST(huge, fault_beside_small_pages__replaces_their_table)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_access_with(machine, 0, machine_gpa(machine, block + 1), VMMU_WRITE, 0, 1);
	machine_access_with(machine, 0, machine_gpa(machine, block + 5), VMMU_WRITE, 0, 1);
	cr_assert_eq(machine_stats(machine).mapped[1], 2);
	machine_flushes_forget(machine);
	machine_touch(machine, block + 9, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block + 9), 2);
	cr_assert_eq(level_at(machine, block + 1), 2);
	cr_assert_eq(machine_stats(machine).mapped[2], 1);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	machine_destroy(machine);
}

FORMAT_TEST(huge, nx_rule__keeps_execute_off_huge_pages)
{
	struct machine_options options = {.rest_level = 2, .nx_huge = true};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_walk walk;

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	walk = machine_walk(machine, 0, block + 1);
	cr_assert_eq(walk.level, 2);
	cr_assert_eq(walk.access, VMMU_READ | VMMU_WRITE);
	machine_touch(machine, 2 * block + 1, VMMU_EXEC);
	walk = machine_walk(machine, 0, 2 * block + 1);
	cr_assert_eq(walk.level, 1);
	cr_assert(walk.access & VMMU_EXEC);
	machine_destroy(machine);
}

/* Code and data in one block: each access gets on, and neither undoes the other for ever. */
FORMAT_TEST(huge, nx_rule_with_code_among_data__makes_progress)
{
	struct machine_options options = {.rest_level = 2, .nx_huge = true};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);
	unsigned faults = 0;

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	machine_touch(machine, block + 1, VMMU_EXEC);
	cr_assert_eq(level_at(machine, block + 1), 1);
	machine_touch(machine, block + 2, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block + 1), 1, "the code page stays small");
	for (unsigned n = 0; n < 10; n++) {
		faults += machine_touch(machine, block + 1, VMMU_EXEC).faults;
		faults += machine_touch(machine, block + 2, VMMU_WRITE).faults;
	}
	cr_assert_leq(faults, 2, "%u faults: code and data fight over the block", faults);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

/* The host splits its page: small mappings with the same frames afterwards. */
FORMAT_TEST(huge, host_page_split__is_mapped_small_afterwards)
{
	uint64_t block;
	struct machine_options options = {.vcpus = 2};
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	struct machine *machine;
	struct host_page page = {.level = 2, .writable = true};

	block = UINT64_C(1) << (geometry->shift[2] - geometry->page_shift);
	options.host_pages = block;
	machine = machine_create(*index, &options);
	page.pfn = 8 * block;
	machine_host_set(machine, 0, block, page);
	machine_slot(machine, 0, block, block, 0, 0);
	machine_touch(machine, block + 3, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, block + 4), VMMU_WRITE);
	cr_assert_eq(level_at(machine, block + 3), 2);
	page.level = 1;
	machine_flushes_forget(machine);
	machine_host_set(machine, 0, block, page);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	machine_check_tlb(machine);
	machine_touch(machine, block + 3, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block + 3), 1);
	cr_assert_eq(machine_walk(machine, 0, block + 3).pfn, 8 * block + 3);
	machine_destroy(machine);
}

/* Two slots share a block of gfns: no mapping may reach from one into the other. */
FORMAT_TEST(huge, block_shared_by_two_slots__is_mapped_small)
{
	struct machine *machine = machine_on_host_level(*index, 2);
	uint64_t block = machine_pages(machine, 2), half = block / 2;

	machine_slot(machine, 0, block, half, block, 0);
	machine_slot(machine, 1, block + half, half, 5 * block + half, 0);
	machine_touch(machine, block, VMMU_WRITE);
	machine_touch(machine, block + half, VMMU_WRITE);
	cr_assert_eq(level_at(machine, block), 1);
	cr_assert_eq(machine_walk(machine, 0, block + half).pfn, HOST_PFN + 5 * block + half);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}
