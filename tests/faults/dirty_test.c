/* SPDX-License-Identifier: MIT */
/*
 * Dirty logging: what is reported, what that takes from the mappings, and how it comes back without
 * the lock.
 */
#include "faults/harness.h"

/* Slot 0: gfns 0..99 behind host pages 0..99, logging. */
static struct machine *machine_logging(unsigned format_index)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 100};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, 100, 0, VMMU_SLOT_LOG_DIRTY);
	return machine;
}

static bool can_write(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	return walk.entry.kind == VMMU_ENTRY_LEAF && (walk.access & VMMU_WRITE);
}

/*
 * machine_dirty_get() holds the bitmap against what was written; here its count is spelt out too.
 */
FORMAT_TEST(dirty, written_pages__are_reported_once)
{
	struct machine *machine = machine_logging(*index);

	machine_touch(machine, 0, VMMU_WRITE);
	machine_touch(machine, 63, VMMU_WRITE);
	machine_touch(machine, 64, VMMU_WRITE);
	machine_touch(machine, 99, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 4);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, reported_page__is_write_protected_not_unmapped)
{
	struct machine *machine = machine_logging(*index);

	machine_touch(machine, 7, VMMU_WRITE);
	cr_assert(can_write(machine, 7));
	machine_dirty_get(machine, 0, 0);
	cr_assert_eq(machine_kind(machine, 0, 7), VMMU_ENTRY_LEAF);
	cr_assert(!can_write(machine, 7));
	cr_assert_eq(machine_touch(machine, 7, VMMU_READ).faults, 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, write_to_reported_page__is_fixed_fast_and_reported_again)
{
	struct machine *machine = machine_logging(*index);
	struct access_result result;
	uint64_t resolves;

	machine_touch(machine, 7, VMMU_WRITE);
	machine_dirty_get(machine, 0, 0);
	resolves = machine->resolves;
	result = machine_touch(machine, 7, VMMU_WRITE);
	cr_assert_eq(result.first_outcome, VMMU_FIXED);
	cr_assert(result.fault.fast);
	cr_assert_eq(result.fault.level, 1);
	cr_assert_eq(machine->resolves, resolves, "the fast fix needs no page lookup");
	cr_assert_eq(machine_stats(machine).fast_fixes, 1);
	cr_assert_eq(machine->events[VMMU_EVENT_FAST_FIX], 1);
	cr_assert(can_write(machine, 7));
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* The TLB of the other vCPU may still write: its writes must not be lost. */
FORMAT_TEST(dirty, other_vcpu_writing_after_get__is_reported)
{
	struct machine *machine = machine_logging(*index);
	uint64_t gpa = machine_gpa(machine, 7);

	machine_touch(machine, 7, VMMU_WRITE);
	machine_access(machine, 1, gpa, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_check_tlb(machine);
	machine_access(machine, 1, gpa, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, logging_turned_on__protects_what_is_mapped)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 100};
	struct machine *machine = machine_create(*index, &options);

	machine_slot(machine, 0, 0, 100, 0, 0);
	for (uint64_t gfn = 0; gfn < 100; gfn += 9)
		machine_touch(machine, gfn, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 9), VMMU_WRITE);
	machine_slot(machine, 0, 0, 100, 0, VMMU_SLOT_LOG_DIRTY);
	machine_check_tlb(machine);
	for (uint64_t gfn = 0; gfn < 100; gfn += 9) {
		cr_assert_eq(machine_kind(machine, 0, gfn), VMMU_ENTRY_LEAF);
		cr_assert(!can_write(machine, gfn));
	}
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0, "nothing was written since");
	cr_assert(machine_touch(machine, 9, VMMU_WRITE).fault.fast);
	machine_access(machine, 1, machine_gpa(machine, 18), VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 2);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, logging_turned_off_and_on__starts_clean)
{
	struct machine *machine = machine_logging(*index);

	machine_touch(machine, 5, VMMU_WRITE);
	machine_slot(machine, 0, 0, 100, 0, 0);
	cr_assert_eq(machine_touch(machine, 5, VMMU_WRITE).end, ACCESS_GRANTED);
	machine_slot(machine, 0, 0, 100, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}

/* A log that stays on over a move keeps what it has: the pages are the same. */
FORMAT_TEST(dirty, move_while_logging__keeps_the_log)
{
	struct machine *machine = machine_logging(*index);

	machine_touch(machine, 5, VMMU_WRITE);
	machine_touch(machine, 6, VMMU_WRITE);
	machine_slot(machine, 0, 50, 100, 0, VMMU_SLOT_LOG_DIRTY);
	machine_check_range(machine, 0, 0, 160);
	machine_touch(machine, 149, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 3);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, read_only_slot__never_reports)
{
	struct machine *machine = machine_create(*index, NULL);

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY);
	machine_touch(machine, 3, VMMU_READ);
	cr_assert_eq(machine_access(machine, 0, machine_gpa(machine, 3), VMMU_WRITE).end,
		     ACCESS_EMULATED);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}

/* A page that the host does not let be written must not come back writable by the fast fix. */
FORMAT_TEST(dirty, host_read_only_page__is_never_fixed_fast)
{
	struct machine *machine = machine_logging(*index);
	struct host_page page = {.pfn = 77, .level = 1};

	machine_host_set(machine, 7, 1, page);
	machine_touch(machine, 7, VMMU_READ);
	cr_assert_eq(machine_access(machine, 0, machine_gpa(machine, 7), VMMU_WRITE).end,
		     ACCESS_EMULATED);
	cr_assert(!can_write(machine, 7));
	cr_assert_eq(machine_stats(machine).fast_fixes, 0);
	machine_destroy(machine);
}

/* Slots of two address spaces behind the same host page have a log each. */
FORMAT_TEST(dirty, two_address_spaces__log_apart)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 16};
	struct machine *machine = machine_create(*index, &options);

	machine_slot_in(machine, 0, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot_in(machine, 1, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_vcpu_as(machine, 1, 1);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 4), VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(machine_dirty_get(machine, 1, 0), 1);
	machine_destroy(machine);
}

/* Huge pages */

static struct machine *machine_with_huge_page(unsigned format_index, bool has_host_level)
{
	struct machine_options options = {
		.vcpus = 2,
		.rest_level = 2,
		.no_host_level = !has_host_level,
	};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	return machine;
}

FORMAT_TEST(dirty, huge_page_under_logging__is_not_writable)
{
	struct machine *machine = machine_with_huge_page(*index, true);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_check_range(machine, 0, block, 2 * block);
	machine_check_tlb(machine);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, write_to_huge_page_under_logging__splits_it)
{
	struct machine *machine = machine_with_huge_page(*index, true);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert(!machine_touch(machine, block + 5, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert(can_write(machine, block + 5));
	machine_touch(machine, block + 6, VMMU_READ);
	machine_check_range(machine, 0, block, 2 * block);
	machine_touch(machine, 2 * block - 1, VMMU_WRITE);
	cr_assert_geq(machine_dirty_get(machine, 0, 0), 2);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, fault_under_logging__maps_small)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, logging_turned_off__brings_huge_pages_back)
{
	struct machine *machine = machine_with_huge_page(*index, true);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, 0);
	machine_check_tlb(machine);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

FORMAT_TEST(dirty, logging_turned_off_without_host_level__collapses_nothing)
{
	struct machine *machine = machine_with_huge_page(*index, false);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_touch(machine, block + 5, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	machine_destroy(machine);
}
