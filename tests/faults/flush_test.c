/* SPDX-License-Identifier: MIT */
/* Which TLB flushes the engine asks for, when, and how far they reach. */
#include "faults/harness.h"

static struct machine *machine_of_32_pages(unsigned format_index, unsigned flags)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 64, 32, 0, flags);
	machine_enter(machine, 0);
	machine_enter(machine, 1);
	machine_flushes_forget(machine);
	return machine;
}

FORMAT_TEST(flush, page_mapped__concerns_at_most_the_faulting_vcpu)
{
	struct machine *machine = machine_of_32_pages(*index, 0);
	bool is_absence_cached = machine->info->caps & VMMU_CAP_CACHES_ABSENT;
	struct vmmu_fault fault;

	cr_assert_eq(machine_fault(machine, 70, VMMU_WRITE, 0, &fault), VMMU_FIXED);
	cr_assert_eq(machine_global_flushes(machine), 0);
	cr_assert_eq(machine_local_flushes(machine, 1), 0);
	cr_assert_eq(machine_local_flushes(machine, 0), is_absence_cached ? 1 : 0);
	if (is_absence_cached)
		cr_assert(machine->flushes[0].gfn_start <= 70 && machine->flushes[0].gfn_end > 70);
	cr_assert_eq(machine_stats(machine).local_flushes, is_absence_cached ? 1 : 0);
	machine_destroy(machine);
}

FORMAT_TEST(flush, invalidated_page__is_flushed_before_begin_returns)
{
	struct machine *machine = machine_of_32_pages(*index, 0);

	machine_touch(machine, 70, VMMU_WRITE);
	machine_touch(machine, 75, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_invalidate_begin(machine, 4, 10), 0);
	cr_assert(machine_was_flushed(machine, 0, 70, 71));
	cr_assert(machine_was_flushed(machine, 0, 75, 76));
	cr_assert_eq(machine_invalidate_end(machine, 4, 10), 0);
	machine_destroy(machine);
}

FORMAT_TEST(flush, nothing_mapped_in_range__needs_none)
{
	struct machine *machine = machine_of_32_pages(*index, 0);

	machine_touch(machine, 70, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_invalidate_begin(machine, 20, 4), 0);
	cr_assert_eq(machine_invalidate_end(machine, 20, 4), 0);
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_destroy(machine);
}

FORMAT_TEST(flush, dirty_get_that_reports__has_flushed_what_it_reports)
{
	struct machine *machine = machine_of_32_pages(*index, VMMU_SLOT_LOG_DIRTY);

	machine_touch(machine, 64, VMMU_WRITE);
	machine_touch(machine, 95, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 2);
	cr_assert(machine_was_flushed(machine, 0, 64, 65));
	cr_assert(machine_was_flushed(machine, 0, 95, 96));
	machine_flushes_forget(machine);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_assert_eq(machine_global_flushes(machine), 0, "nothing reported, nothing to flush");
	machine_destroy(machine);
}

/* Unconditional: entries that lost write without a flush earlier may still be in a TLB. */
FORMAT_TEST(flush, logging_turned_on__flushes_the_slot)
{
	struct machine *machine = machine_of_32_pages(*index, 0);

	machine_touch(machine, 70, VMMU_WRITE);
	machine_flushes_forget(machine);
	machine_slot(machine, 0, 64, 32, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert(machine_was_flushed(machine, 0, 64, 96));
	machine_destroy(machine);
}

/* Each vCPU flushes when it loads its next root: the kick is what matters here. */
FORMAT_TEST(flush, zap_all__is_covered_by_kicks)
{
	struct machine *machine = machine_of_32_pages(*index, 0);

	machine_touch(machine, 70, VMMU_WRITE);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	cr_assert(machine->vcpu[0].kicked);
	cr_assert(machine->vcpu[1].kicked);
	machine_enter(machine, 0);
	machine_enter(machine, 1);
	machine_check_tlb(machine);
	machine_destroy(machine);
}

/*
 * Right after a mapping gains a right, the vCPU that asked may use it; see also the livelock check.
 */
FORMAT_TEST(flush, right_added__reaches_the_vcpu_that_cached_less)
{
	struct machine *machine = machine_of_32_pages(*index, VMMU_SLOT_LOG_DIRTY);
	uint64_t gpa = machine_gpa(machine, 70);

	machine_touch(machine, 70, VMMU_WRITE);
	machine_dirty_get(machine, 0, 0);
	/* both remember the page as read-only */
	machine_touch(machine, 70, VMMU_READ);
	machine_access(machine, 1, gpa, VMMU_READ);
	machine_touch(machine, 70, VMMU_WRITE);
	cr_assert_eq(machine_access(machine, 1, gpa, VMMU_WRITE).end, ACCESS_GRANTED);
	machine_destroy(machine);
}

FORMAT_TEST(flush, count__is_what_the_callback_saw)
{
	struct machine *machine = machine_of_32_pages(*index, 0);
	struct vmmu_stats before = machine_stats(machine), after;

	machine_touch(machine, 70, VMMU_WRITE);
	cr_assert_eq(machine_invalidate_begin(machine, 0, 32), 0);
	cr_assert_eq(machine_invalidate_end(machine, 0, 32), 0);
	after = machine_stats(machine);
	cr_assert_eq(after.flushes - before.flushes, machine_global_flushes(machine));
	cr_assert_eq(after.local_flushes - before.local_flushes,
		     machine_local_flushes(machine, 0) + machine_local_flushes(machine, 1));
	machine_destroy(machine);
}
