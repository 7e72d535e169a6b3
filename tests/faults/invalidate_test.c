/* SPDX-License-Identifier: MIT */
/* The host takes pages away, before, during and after a fault. */
#include <errno.h>

#include "faults/harness.h"

/* Slot 0: gfns 32..63 behind host pages 0..31. */
static struct machine *machine_of_32_pages(unsigned format_index)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 32, 32, 0, 0);
	machine_enter(machine, 0);
	return machine;
}

FORMAT_TEST(invalidate, page_in_range__is_unmapped_at_begin)
{
	struct machine *machine = machine_of_32_pages(*index);

	for (uint64_t gfn = 34; gfn < 38; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	cr_assert_eq(machine_invalidate_begin(machine, 3, 2), 0);
	cr_assert_eq(machine_kind(machine, 0, 35), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 36), VMMU_ENTRY_ABSENT);
	machine_check_tlb(machine);
	cr_assert_eq(machine_invalidate_end(machine, 3, 2), 0);
	cr_assert_eq(machine_touch(machine, 34, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_touch(machine, 37, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_touch(machine, 35, VMMU_WRITE).first_outcome, VMMU_FIXED);
	machine_destroy(machine);
}

FORMAT_TEST(invalidate, fault_in_range_between_begin_and_end__retries)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	cr_assert_eq(machine_invalidate_begin(machine, 3, 2), 0);
	cr_assert_eq(machine_fault(machine, 35, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_fault(machine, 36, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_kind(machine, 0, 35), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_fault(machine, 40, VMMU_READ, 0, &fault), VMMU_FIXED,
		     "outside of the range life goes on");
	cr_assert_eq(machine_invalidate_end(machine, 3, 2), 0);
	cr_assert_eq(machine_fault(machine, 35, VMMU_READ, 0, &fault), VMMU_FIXED);
	machine_destroy(machine);
}

FORMAT_TEST(invalidate, nested_pairs__hold_until_the_last_end)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	cr_assert_eq(machine_invalidate_begin(machine, 0, 8), 0);
	cr_assert_eq(machine_invalidate_begin(machine, 2, 2), 0);
	cr_assert_eq(machine_fault(machine, 32, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_fault(machine, 39, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_invalidate_end(machine, 2, 2), 0);
	cr_assert_eq(machine_fault(machine, 34, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_invalidate_begin(machine, 4, 8), 0);
	cr_assert_eq(machine_invalidate_end(machine, 0, 8), 0);
	cr_assert_eq(machine_fault(machine, 36, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_invalidate_end(machine, 4, 8), 0);
	for (uint64_t gfn = 32; gfn < 48; gfn++)
		cr_assert_eq(machine_fault(machine, gfn, VMMU_READ, 0, &fault), VMMU_FIXED);
	machine_destroy(machine);
}

/* The same range twice needs two ends. */
FORMAT_TEST(invalidate, equal_pairs__are_counted)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	cr_assert_eq(machine_fault(machine, 35, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	cr_assert_eq(machine_fault(machine, 35, VMMU_READ, 0, &fault), VMMU_FIXED);
	machine_destroy(machine);
}

static void replace_page_3(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	machine_host_set(machine, 3, 1,
			 (struct host_page){.pfn = 4242, .level = 1, .writable = true});
}

FORMAT_TEST(invalidate, page_replaced_during_lookup__is_not_mapped_with_the_old_frame)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	machine->on_resolve = replace_page_3;
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_kind(machine, 0, 35), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 35).pfn, 4242);
	machine_destroy(machine);
}

static void begin_page_3(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
}

FORMAT_TEST(invalidate, begin_during_lookup__retries_until_the_end)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	machine->on_resolve = begin_page_3;
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_FIXED);
	machine_destroy(machine);
}

static void end_page_3(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	machine->host.pages[3].pfn = 777;
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
}

/* Began before the fault, ended during its lookup: the answer is still the old one. */
FORMAT_TEST(invalidate, end_during_lookup__retries)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	machine->on_resolve = end_page_3;
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	if (machine->on_resolve) /* sent back before the lookup */
		end_page_3(machine, NULL);
	machine->on_resolve = NULL;
	cr_assert_eq(machine_kind(machine, 0, 35), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 35).pfn, 777);
	machine_destroy(machine);
}

/* A write fault on a mapped page, raced: the old mapping may not be upgraded either. */
FORMAT_TEST(invalidate, page_replaced_during_upgrade__is_remapped)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	machine_host_set(machine, 3, 1, (struct host_page){.pfn = 99, .level = 1});
	machine_touch(machine, 35, VMMU_READ);
	machine_host_set(machine, 3, 1,
			 (struct host_page){.pfn = 99, .level = 1, .writable = true});
	machine->on_resolve = replace_page_3;
	cr_assert_eq(machine_fault(machine, 35, VMMU_WRITE, 0, &fault), VMMU_RETRY);
	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 35).pfn, 4242);
	machine_destroy(machine);
}

FORMAT_TEST(invalidate, aliases_of_a_host_page__all_go)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 16};
	struct machine *machine = machine_create(*index, &options);

	machine_slot_in(machine, 0, 0, 0, 16, 0, 0);
	machine_slot_in(machine, 0, 1, 100, 8, 2, 0);
	machine_slot_in(machine, 1, 7, 300, 4, 3, 0);
	machine_vcpu_as(machine, 1, 1);
	machine_touch(machine, 4, VMMU_WRITE);
	machine_touch(machine, 102, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 301), VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_invalidate_begin(machine, 4, 1), 0);
	cr_assert_eq(machine_kind(machine, 0, 4), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 102), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 1, 301), VMMU_ENTRY_ABSENT);
	cr_assert(machine_was_flushed(machine, 0, 4, 5));
	cr_assert(machine_was_flushed(machine, 0, 102, 103));
	cr_assert(machine_was_flushed(machine, 1, 301, 302));
	machine_check_tlb(machine);
	cr_assert_eq(machine_invalidate_end(machine, 4, 1), 0);
	machine_destroy(machine);
}

/* Two bytes, one on each side of a page boundary, take two pages. */
FORMAT_TEST(invalidate, partial_pages__count_whole)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_hva_range range = {machine_hva(machine, 5) - 1, machine_hva(machine, 5) + 1};

	for (uint64_t gfn = 35; gfn < 39; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	cr_assert_eq(vmmu_invalidate_begin(machine->vm, &range), 0);
	cr_assert_eq(machine_kind(machine, 0, 35), VMMU_ENTRY_LEAF);
	cr_assert_eq(machine_kind(machine, 0, 36), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 37), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 38), VMMU_ENTRY_LEAF);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &range), 0);
	machine_destroy(machine);
}

FORMAT_TEST(invalidate, range_around_the_slot__takes_all_of_it)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_hva_range everything = {0, UINT64_MAX};

	machine_touch(machine, 32, VMMU_WRITE);
	machine_touch(machine, 63, VMMU_WRITE);
	cr_assert_eq(vmmu_invalidate_begin(machine->vm, &everything), 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	cr_assert_eq(machine_kind(machine, 0, 63), VMMU_ENTRY_ABSENT);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &everything), 0);
	cr_assert_eq(machine_stats(machine).invalidations, 1);
	machine_touch(machine, 63, VMMU_WRITE);
	machine_destroy(machine);
}

FORMAT_TEST(invalidate, range_behind_no_slot__disturbs_nobody)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	machine_touch(machine, 63, VMMU_WRITE);
	cr_assert_eq(machine_invalidate_begin(machine, 32, 8), 0);
	cr_assert_eq(machine_touch(machine, 63, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_fault(machine, 62, VMMU_WRITE, 0, &fault), VMMU_FIXED);
	cr_assert_eq(machine_invalidate_end(machine, 32, 8), 0);
	machine_destroy(machine);
}

/* A huge page goes when any page of it does. */
FORMAT_TEST(invalidate, one_page_of_a_huge_mapping__unmaps_it)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	machine_touch(machine, 2 * block + 1, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_invalidate_begin(machine, 2 * block - 1, 1), 0);
	cr_assert_eq(machine_kind(machine, 0, block + 1), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 2 * block + 1), VMMU_ENTRY_LEAF);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	cr_assert_eq(machine_invalidate_end(machine, 2 * block - 1, 1), 0);
	machine_destroy(machine);
}

/* What the host is taking away may not come back as part of a larger page of a neighbour. */
FORMAT_TEST(invalidate, fault_beside_the_range_in_a_huge_page__does_not_map_the_range)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_invalidate_begin(machine, block + 20, 4), 0);
	machine_touch(machine, block + 3, VMMU_WRITE);
	machine_check_range(machine, 0, block, 2 * block);
	cr_assert_eq(machine_kind(machine, 0, block + 21), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_invalidate_end(machine, block + 20, 4), 0);
	machine_destroy(machine);
}

/* A dirty page that the host takes away stays in the log: its last state is not saved yet. */
FORMAT_TEST(invalidate, dirty_page_taken_away__stays_in_the_log)
{
	struct machine *machine = machine_create(*index, NULL);

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_host_set(machine, 3, 1, (struct host_page){.pfn = 9, .level = 1, .writable = true});
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}
