/* SPDX-License-Identifier: MIT */
/*
 * Mapping ahead: the aligned window of eight pages around a fault, where an accessed bit can tell
 * the difference.
 */
#include "faults/harness.h"

static struct machine *machine_prefetching(unsigned format_index, unsigned flags)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 64, .prefetch = true};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 32, 20, 0, flags);
	return machine;
}

static bool prefetches(const struct machine *machine)
{
	/* KVM's TDP MMU maps nothing ahead. */
	return (machine->info->caps & VMMU_CAP_HW_DIRTY) && !is_tdp();
}

FORMAT_TEST(prefetch, neighbours_in_the_window__are_mapped_unaccessed)
{
	struct machine *machine = machine_prefetching(*index, 0);
	unsigned count = prefetches(machine) ? 8 : 1;

	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).mapped[1], count);
	cr_assert_eq(machine_stats(machine).prefetched, count - 1);
	cr_assert_eq(machine_kind(machine, 0, 39), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 48), VMMU_ENTRY_ABSENT);
	for (uint64_t gfn = 40; prefetches(machine) && gfn < 48; gfn++)
		cr_assert_eq(machine_walk(machine, 0, gfn).entry.accessed, gfn == 42);
	machine_check_range(machine, 0, 30, 60);
	machine_destroy(machine);
}

/* gfns 48..51 are the slot's last: the window reaches over its end. */
FORMAT_TEST(prefetch, end_of_slot__is_not_passed)
{
	struct machine *machine = machine_prefetching(*index, 0);

	machine_touch(machine, 50, VMMU_WRITE);
	machine_check_range(machine, 0, 32, 64);
	cr_assert_eq(machine_kind(machine, 0, 52), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

FORMAT_TEST(prefetch, pages_not_at_hand__are_left_alone)
{
	struct machine *machine = machine_prefetching(*index, 0);

	machine->host.pages[8].status = HOST_IO;
	machine->host.pages[9].status = HOST_UNMAPPED;
	machine->host.pages[11].writable = false;
	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_kind(machine, 0, 40), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 41), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 43), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/*
 * Runs are gfns 40, 41 and 43 to 47. The first stops at what is not at hand, having mapped
 * something; so the second is tried, and stops likewise.
 */
FORMAT_TEST(prefetch, run_that_gave_something__does_not_stop_the_next)
{
	struct machine *machine = machine_prefetching(*index, 0);
	bool is_on = prefetches(machine);

	machine->host.pages[9].status = HOST_UNMAPPED;
	machine->host.pages[13].status = HOST_UNMAPPED;
	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).prefetched, is_on ? 3 : 0);
	for (uint64_t gfn = 40; gfn < 48; gfn++) {
		bool is_ahead = gfn == 40 || gfn == 43 || gfn == 44;

		cr_assert_eq(machine_kind(machine, 0, gfn),
			     gfn == 42 || (is_on && is_ahead) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_ABSENT,
			     "%llu", (unsigned long long)gfn);
	}
	machine_check_range(machine, 0, 30, 60);
	machine_destroy(machine);
}

/* The host is asked for each page once; 40, which it has not at hand, ends it. */
FORMAT_TEST(prefetch, page_not_at_hand__is_asked_for_once)
{
	struct machine *machine = machine_prefetching(*index, 0);

	machine->host.pages[8].status = HOST_UNMAPPED;
	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine->prefetches, prefetches(machine) ? 1 : 0);
	machine->host.pages[8].status = HOST_RAM;
	machine_touch(machine, 43, VMMU_WRITE);
	/* 40, 41 and 44 to 47, and the one before. */
	cr_assert_eq(machine->prefetches, prefetches(machine) ? 7 : 0);
	machine_destroy(machine);
}

/* What was not written may not be reported. */
FORMAT_TEST(prefetch, logging_or_read_only_slot__gets_none)
{
	struct machine *machine = machine_prefetching(*index, VMMU_SLOT_LOG_DIRTY);

	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).prefetched, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_slot(machine, 1, 64, 16, 0, VMMU_SLOT_READ_ONLY);
	machine_touch(machine, 66, VMMU_READ);
	cr_assert_eq(machine_stats(machine).prefetched, 0);
	machine_destroy(machine);
}

FORMAT_TEST(prefetch, invalidation_under_way__stops_it)
{
	struct machine *machine = machine_prefetching(*index, 0);

	cr_assert_eq(machine_invalidate_begin(machine, 8, 1), 0);
	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).prefetched, 0);
	cr_assert_eq(machine_kind(machine, 0, 40), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_invalidate_end(machine, 8, 1), 0);
	machine_destroy(machine);
}

FORMAT_TEST(prefetch, entries_that_are_there__stay)
{
	struct machine *machine = machine_prefetching(*index, 0);

	machine->prefetch = false;
	machine_touch(machine, 41, VMMU_WRITE);
	machine->prefetch = true;
	machine_touch(machine, 42, VMMU_WRITE);
	cr_assert_eq(machine_touch(machine, 41, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_stats(machine).mapped[1], prefetches(machine) ? 8 : 2);
	if (prefetches(machine))
		cr_assert(machine_walk(machine, 0, 41).entry.accessed);
	machine_destroy(machine);
}
