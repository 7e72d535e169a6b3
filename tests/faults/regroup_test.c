/* SPDX-License-Identifier: MIT */
/* Groups that come back in place when logging, which took them apart, ends. */
#include "faults/group_stand.h"

#define GROUP_TEST(name) GROUP_NAMED(regroup, name)

/* What logging took apart, and some of it written meanwhile. One flush for all. */
GROUP_TEST(logging_ends__groups_come_back_in_place)
{
	struct stand stand = stand_of(*index);
	uint64_t faults;

	for (uint64_t i = 0; i < 3; i++)
		machine_touch(stand.machine, page(stand, 5) + i * stand.group, VMMU_WRITE);
	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	machine_touch(stand.machine, page(stand, 6), VMMU_WRITE);
	expect_ranges(stand, 0, 3 * stand.group, 0);
	machine_flushes_forget(stand.machine);
	set_slot(stand, 0);
	machine_check_tlb(stand.machine);
	cr_assert_eq(machine_global_flushes(stand.machine), 1);
	cr_assert(machine_was_flushed(stand.machine, 0, page(stand, 0),
				      page(stand, 3 * stand.group)));
	expect_ranges(stand, 0, 3 * stand.group, (int)stand.lg2);
	cr_assert_eq(range_of(stand, page(stand, 0) - 1), -1, "where nothing was, nothing is");
	cr_assert_eq(stats(stand).grouped, 6);
	cr_assert_eq(stats(stand).ungrouped, 3);
	cr_assert_eq(stats(stand).mapped[1], 3 * stand.group);
	for (uint64_t i = 0; i < 3 * stand.group; i++)
		cr_assert_eq(machine_walk(stand.machine, 0, page(stand, i)).access, VMMU_RWX);
	faults = stand.machine->fault_calls;
	machine_touch(stand.machine, page(stand, 9), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 3 * stand.group - 1), VMMU_WRITE);
	cr_assert_eq(stand.machine->fault_calls, faults);
	stand_end(stand);
}

GROUP_TEST(logging_ends__what_is_missing_of_a_group_comes_with_it)
{
	struct stand stand = stand_of(*index);

	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	machine_touch(stand.machine, page(stand, 3), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 7), VMMU_READ);
	cr_assert_eq(stats(stand).mapped[1], 2);
	set_slot(stand, 0);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	cr_assert_eq(range_of(stand, page(stand, stand.group)), -1);
	cr_assert_eq(stats(stand).mapped[1], stand.group);
	cr_assert_eq(stats(stand).grouped, 1);
	machine_slot_delete(stand.machine, 0, 0);
	machine_check_tlb(stand.machine);
	cr_assert_eq(stats(stand).mapped[1], 0);
	stand_end(stand);
}

/* By what is mapped; by what the host has; by what is private. */
GROUP_TEST(logging_ends__pages_that_differ_stay_alone)
{
	struct stand stand = stand_of(*index);
	struct host_page *host = stand.machine->host.pages;

	machine_attributes_set(stand.machine, page(stand, 9) + 2 * stand.group, 1,
			       VMMU_ATTRIBUTE_PRIVATE);
	host[page(stand, 7)].writable = false;
	host[page(stand, 9) + stand.group].pfn += 4096;
	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	for (uint64_t i = 0; i < 3; i++)
		machine_touch(stand.machine, page(stand, 5) + i * stand.group, VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 7), VMMU_READ);
	host[page(stand, 7)].writable = true;
	set_slot(stand, 0);
	machine_check_tlb(stand.machine);
	for (uint64_t i = 0; i < 3; i++)
		expect_ranges(stand, 5 + i * stand.group, 1, 0);
	cr_assert_eq(stats(stand).mapped[1], 4);
	cr_assert_eq(stats(stand).grouped, 0);
	stand_end(stand);
}

GROUP_TEST(logging_ends__left_to_faults_where_that_is_asked_for)
{
	struct stand stand = stand_with(*index,
					(struct machine_options){.resize = VMMU_RESIZE_BY_FAULTS});

	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	set_slot(stand, 0);
	expect_ranges(stand, 5, 1, 0);
	cr_assert_eq(stats(stand).mapped[1], 1);
	stand_end(stand);
}

/* Pages that nobody used since they were aged make a group that nobody used. */
GROUP_TEST(logging_ends__old_pages_make_an_old_group)
{
	struct stand stand = stand_of(*index);
	struct vmmu_hva_range all = {
		machine_hva(stand.machine, page(stand, 0)),
		machine_hva(stand.machine, page(stand, stand.group)),
	};

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(vmmu_age(stand.machine->vm, &all), 1);
	set_slot(stand, 0);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &all), 0);
	cr_assert_eq(machine_walk(stand.machine, 0, page(stand, 2)).entry.group_lg2, stand.lg2);
	machine_touch(stand.machine, page(stand, 2), VMMU_WRITE);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &all), 1);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	cr_assert_eq(stats(stand).ungrouped, 1, "for the log");
	stand_end(stand);
}

/* Small pages become blocks, and these a group. */
Test(regroup, logging_ends__blocks_are_a_group_again)
{
	struct stand stand = blocks_with((struct machine_options){.eager_split = true});

	machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE);
	machine_slot(stand.machine, 0, stand.group, 2 * stand.group, stand.group,
		     VMMU_SLOT_LOG_DIRTY);
	expect_ranges(stand, 1234, 1, 0);
	machine_slot(stand.machine, 0, stand.group, 2 * stand.group, stand.group, 0);
	machine_check_tlb(stand.machine);
	for (uint64_t i = 0; i < stand.group; i += 100)
		expect_ranges(stand, i, 1, 13);
	cr_assert_eq(stats(stand).collapsed, 16);
	cr_assert_eq(stats(stand).mapped[1], 0);
	stand_end(stand);
}
