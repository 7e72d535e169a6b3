/* SPDX-License-Identifier: MIT */
/* Large pages made small when logging begins. */
#include "faults/harness.h"

/* Slot 0: BLOCKS level-2 pages of gfns from one on, each written once, and not logging yet. */
static struct machine *machine_of_blocks(unsigned format_index, unsigned blocks,
					 struct machine_options options)
{
	struct machine *machine;
	uint64_t block;

	options.vcpus = 2;
	options.eager_split = true;
	if (!options.rest_level)
		options.rest_level = 2;
	machine = machine_create(format_index, &options);
	block = machine_pages(machine, 2);
	machine_slot(machine, 0, block, blocks * block, block, 0);
	for (unsigned i = 0; i < blocks; i++)
		machine_touch(machine, (i + 1) * block + i % 64, VMMU_WRITE);
	return machine;
}

static void start_log(struct machine *machine, unsigned blocks)
{
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, blocks * block, block, VMMU_SLOT_LOG_DIRTY);
	machine_check_tlb(machine);
}

static void check_small(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
	cr_assert_eq(walk.level, 1);
	cr_assert_eq(walk.pfn, HOST_PFN + gfn);
	cr_assert_not(walk.access & VMMU_WRITE);
}

FORMAT_TEST(split, logging_turned_on__maps_the_same_in_small_pages)
{
	struct machine *machine = machine_of_blocks(*index, 3, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2), faults = machine->fault_calls;

	cr_assert_eq(machine_stats(machine).mapped[2], 3);
	machine_flushes_forget(machine);
	start_log(machine, 3);
	cr_assert(machine_was_flushed(machine, 0, block, 4 * block));
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 3 * block);
	cr_assert_eq(machine_stats(machine).split, 3);
	cr_assert_eq(machine->events[VMMU_EVENT_SPLIT], 3);
	for (uint64_t gfn = block; gfn < 4 * block; gfn++)
		check_small(machine, gfn);
	machine_touch(machine, 2 * block + 7, VMMU_READ);
	machine_touch(machine, 4 * block - 1, VMMU_EXEC);
	cr_assert_eq(machine->fault_calls, faults, "nothing went away meanwhile");
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_assert(machine_touch(machine, 3 * block + 9, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* A level-3 page becomes level-2 pages first, all of which become smallest ones. */
FORMAT_TEST(split, page_of_level_3__becomes_smallest_ones)
{
	struct machine_options options = {.rest_level = 3, .eager_split = true};
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	struct machine *machine;
	uint64_t giant;

	if (!(geometry->leaf_levels & (1u << 3)) || geometry->page_shift != 12)
		cr_skip_test("no such leaf");
	machine = machine_create(*index, &options);
	giant = machine_pages(machine, 3);
	machine_slot(machine, 0, giant, giant, giant, 0);
	machine_touch(machine, giant + 77777, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).mapped[3], 1);
	machine_slot(machine, 0, giant, giant, giant, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_stats(machine).mapped[3], 0);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_eq(machine_stats(machine).mapped[1], giant);
	cr_assert_eq(machine_stats(machine).split, 1 + giant / machine_pages(machine, 2));
	for (uint64_t gfn = giant; gfn < 2 * giant; gfn += 997)
		check_small(machine, gfn);
	machine_destroy(machine);
}

/* What there is no table for stays large and is not written unseen. */
static void check_partly_split(struct machine *machine, unsigned blocks)
{
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_stats stats = machine_stats(machine);

	cr_assert(stats.split && stats.mapped[2], "%d split", (int)stats.split);
	cr_assert_eq(stats.split + stats.mapped[2], blocks);
	cr_assert_eq(stats.tables_reclaimed, 0);
	cr_assert_geq(machine->events[VMMU_EVENT_SPLIT], stats.split + 1);
	machine_check_range(machine, 0, block, (blocks + 1) * block);
	machine_audit(machine);
	for (unsigned i = 0; i < blocks; i++)
		machine_touch(machine, (i + 1) * block + 3, VMMU_WRITE);
	cr_assert_geq(machine_dirty_get(machine, 0, 0), blocks);
}

FORMAT_TEST(split, quota_used_up__leaves_the_rest_large)
{
	struct machine_options options = {.tables_max = VMMU_TABLES_MIN};
	struct machine *machine = machine_of_blocks(*index, 14, options);

	start_log(machine, 14);
	check_partly_split(machine, 14);
	machine_destroy(machine);
}

FORMAT_TEST(split, memory_used_up__leaves_the_rest_large)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	/* frames come in whole units; a root may take more than one smallest */
	struct machine_options options = {.tables_bytes = UINT64_C(1) << 20};
	unsigned blocks = (1u << 20 >> geometry->table_lg2[1]) + 4;
	struct machine *machine;

	if (blocks >= UINT64_C(1) << (geometry->gpa_bits - geometry->shift[2]))
		cr_skip_test("there are more frames than that");
	machine = machine_of_blocks(*index, blocks, options);
	start_log(machine, blocks);
	cr_assert_eq(machine_stats(machine).split + machine_stats(machine).mapped[2], blocks);
	cr_assert(machine_stats(machine).split && machine_stats(machine).mapped[2]);
	machine_audit(machine);
	machine_destroy(machine);
}

/* A direct root still knows the table of the small page that the large one replaced. */
FORMAT_TEST(split, small_pages_from_before__stay)
{
	struct machine_options options = {.rest_level = 2, .eager_split = true};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_access_with(machine, 0, machine_gpa(machine, block + 1), VMMU_WRITE, 0, 1);
	machine_touch(machine, block + 9, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).mapped[2], 1);
	start_log(machine, 1);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_eq(machine_stats(machine).mapped[1], block);
	for (uint64_t gfn = block; gfn < 2 * block; gfn++)
		check_small(machine, gfn);
	machine_destroy(machine);
}

FORMAT_TEST(split, page_that_was_aged__is_unused_in_small_pages_too)
{
	struct machine *machine = machine_of_blocks(*index, 1, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_hva_range range = {machine_hva(machine, block),
				       machine_hva(machine, 2 * block)};

	cr_assert_eq(vmmu_age(machine->vm, &range), 1);
	start_log(machine, 1);
	cr_assert_eq(machine_stats(machine).mapped[1], block);
	cr_assert_eq(vmmu_test_age(machine->vm, &range), 0);
	machine_touch(machine, block + 5, VMMU_READ);
	if (machine->hardware)
		cr_assert_eq(vmmu_test_age(machine->vm, &range), 1);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

FORMAT_TEST(split, page_without_execute_for_its_size__gets_it_in_small_pages)
{
	struct machine_options options = {.nx_huge = true};
	struct machine *machine = machine_of_blocks(*index, 1, options);
	uint64_t block = machine_pages(machine, 2), faults = machine->fault_calls;

	cr_assert_eq(machine_walk(machine, 0, block).access, VMMU_READ | VMMU_WRITE);
	start_log(machine, 1);
	machine_touch(machine, block + 4, VMMU_EXEC);
	cr_assert_eq(machine->fault_calls, faults);
	machine_destroy(machine);
}

/* Nothing is protected at first: what is cleared of the log is split then, and nothing else. */
FORMAT_TEST(split, part_of_a_log_cleared__is_split_alone)
{
	struct machine_options options = {.dirty_flags = VMMU_DIRTY_MANUAL |
							 VMMU_DIRTY_INITIALLY_SET};
	struct machine *machine = machine_of_blocks(*index, 3, options);
	uint64_t block = machine_pages(machine, 2), wanted = 1 << 5;
	struct vmmu_dirty_range range = {.first = block, .pages = 64, .bitmap = &wanted};

	start_log(machine, 3);
	cr_assert_eq(machine_stats(machine).mapped[2], 3);
	cr_assert_eq(machine_dirty_clear(machine, &range), 1);
	machine_check_tlb(machine);
	cr_assert_eq(machine_stats(machine).mapped[2], 2);
	cr_assert_eq(machine_stats(machine).mapped[1], block);
	check_small(machine, 2 * block + 5);
	cr_assert(machine_walk(machine, 0, 2 * block + 6).access & VMMU_WRITE, "not cleared yet");
	cr_assert(machine_touch(machine, 2 * block + 5, VMMU_WRITE).fault.fast);
	machine_destroy(machine);
}

/* The policy: a large page of which the first page is the last that is cleared stays whole. */
FORMAT_TEST(split, split_but_last__first_page_cleared)
{
	struct machine_options options = {.dirty_flags = VMMU_DIRTY_MANUAL |
							 VMMU_DIRTY_INITIALLY_SET,
					  .policies = VMMU_POLICY_SPLIT_BUT_LAST};
	struct machine *machine = machine_of_blocks(*index, 3, options);
	uint64_t block = machine_pages(machine, 2), wanted = 1;
	struct vmmu_dirty_range range = {.first = block, .pages = 64, .bitmap = &wanted};

	start_log(machine, 3);
	cr_assert_eq(machine_dirty_clear(machine, &range), 1);
	machine_check_tlb(machine);
	cr_assert_eq(machine_stats(machine).mapped[2], 3);
	cr_assert_not(machine_walk(machine, 0, 2 * block).access & VMMU_WRITE);
	cr_assert_not(machine_walk(machine, 0, 2 * block).entry.mmu_writable);
	range.first = 0;
	wanted = 3;
	cr_assert_eq(machine_dirty_clear(machine, &range), 2);
	cr_assert_eq(machine_stats(machine).mapped[2], 2);
	machine_destroy(machine);
}

FORMAT_TEST(split, read_only_slot__stays_large)
{
	struct machine_options options = {.rest_level = 2, .eager_split = true};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_READ_ONLY);
	machine_touch(machine, block + 3, VMMU_READ);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_READ_ONLY | VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_walk(machine, 0, block + 3).level, 2);
	cr_assert_eq(machine_stats(machine).split, 0);
	machine_destroy(machine);
}

FORMAT_TEST(split, not_asked_for__stays_large)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 3, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_walk(machine, 0, block + 3).level, 2);
	cr_assert_eq(machine_stats(machine).split, 0);
	machine_destroy(machine);
}

/* Both kinds of roots. */
FORMAT_TEST(split, roots_of_both_kinds__are_split)
{
	struct machine *machine = machine_of_blocks(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 2 * block), .access = VMMU_WRITE};

	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[1].vcpu,
					is_tdp() ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP),
		     0);
	machine_enter(machine, 1);
	machine->fault_calls++;
	cr_assert_eq(vmmu_fault(machine->vcpu[1].vcpu, &fault), VMMU_FIXED);
	cr_assert_eq(machine_stats(machine).mapped[2], 3);
	machine_slot(machine, 0, block, 2 * block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 3 * block);
	machine_destroy(machine);
}

/* More than one hold of the lock, several roots of tables: what is split first is not forgotten. */
FORMAT_TEST(split, many_pages__are_split_with_rests)
{
	struct machine *machine = machine_of_blocks(*index, 100, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);

	start_log(machine, 100);
	cr_assert_eq(machine_stats(machine).split, 100);
	cr_assert_eq(machine_stats(machine).mapped[1], 100 * block);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}
