/* SPDX-License-Identifier: MIT */
/* Habits of KVM where it has no reverse maps (Arm, RISC-V): policies for tdp roots. */
#include <errno.h>
#include <vmmu/age.h>
#include <vmmu/dirty.h>

#include "faults/harness.h"

static void on_tdp_roots(void)
{
	setenv("VMMU_TEST_ROOT", "tdp", 1);
}

TestSuite(policy, .init = on_tdp_roots);

/* Slot 0: gfns 32..63 behind host pages 0..31. */
static struct machine *machine_with(unsigned format_index, unsigned policies, unsigned flags)
{
	struct machine_options options = {.policies = policies, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 32, 32, 0, flags);
	return machine;
}

FORMAT_TEST(policy, exec_by_fetch__data_is_not_executable)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_EXEC_BY_FETCH, 0);

	machine_touch(machine, 33, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, 33).access, VMMU_READ | VMMU_WRITE);
	machine_touch(machine, 34, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, 34).access, VMMU_RWX);
	machine_destroy(machine);
}

/* Where nobody listens to events, faults have shorter ways. */
FORMAT_TEST(policy, exec_by_fetch__also_where_nobody_listens)
{
	struct vmmu_env env = machine_env;
	struct machine_options options = {
		.policies = VMMU_POLICY_EXEC_BY_FETCH, .host_pages = 64, .env = &env};
	struct machine *machine;

	env.event = NULL;
	machine = machine_create(*index, &options);
	machine_slot(machine, 0, 32, 32, 0, 0);
	machine_touch(machine, 33, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, 33).access, VMMU_READ | VMMU_WRITE);
	machine_discard(machine);
}

FORMAT_TEST(policy, exec_by_fetch__adds_to_what_was_granted)
{
	struct machine *machine =
		machine_with(*index, VMMU_POLICY_EXEC_BY_FETCH | VMMU_POLICY_LOGGED_READ_ONLY,
			     VMMU_SLOT_LOG_DIRTY);

	machine_touch(machine, 33, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, 33).access, VMMU_READ | VMMU_EXEC);
	machine_touch(machine, 33, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 33).access, VMMU_RWX);
	machine_touch(machine, 34, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 34).access, VMMU_READ | VMMU_WRITE);
	machine_touch(machine, 34, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, 34).access, VMMU_RWX);
	machine_destroy(machine);
}

FORMAT_TEST(policy, logged_read_only__reads_dirty_nothing)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_LOGGED_READ_ONLY,
					       VMMU_SLOT_LOG_DIRTY);
	uint64_t bitmap[1] = {0}, count;

	machine_touch(machine, 33, VMMU_READ);
	cr_assert_not(machine_walk(machine, 0, 33).access & VMMU_WRITE);
	machine_touch(machine, 34, VMMU_WRITE);
	cr_assert(machine_walk(machine, 0, 34).access & VMMU_WRITE);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bitmap, 64, &count), 0);
	cr_assert_eq(bitmap[0], UINT64_C(1) << 2);
	machine_discard(machine);
}

FORMAT_TEST(policy, logged_read_only__without_a_log_all_is_given)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_LOGGED_READ_ONLY, 0);

	machine_touch(machine, 33, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, 33).access, VMMU_RWX);
	machine_destroy(machine);
}

FORMAT_TEST(policy, no_mmio_entries__each_access_faults)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_NO_MMIO_ENTRIES, 0);
	struct vmmu_fault fault = {0};

	machine_touch(machine, 33, VMMU_READ);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(machine_fault(machine, 100, VMMU_READ, 0, &fault), VMMU_EMULATE);
		cr_assert_not(fault.mmio_cached);
		cr_assert_eq(machine_kind(machine, 0, 100), VMMU_ENTRY_ABSENT);
	}
	cr_assert_eq(machine_stats(machine).mmio_installed, 0);
	machine_destroy(machine);
}

FORMAT_TEST(policy, free_empty__tables_go_with_their_last_page)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_FREE_EMPTY, 0);
	uint64_t tables;

	machine_enter(machine, 0);
	tables = machine_stats(machine).tables;
	machine_touch(machine, 33, VMMU_READ);
	machine_touch(machine, 35, VMMU_READ);
	cr_assert_eq(machine_stats(machine).tables, tables + machine->geometry->levels - 1);
	machine_host_set(machine, 1, 1, machine->host.pages[1]);
	cr_assert_eq(machine_stats(machine).tables, tables + machine->geometry->levels - 1);
	machine_host_set(machine, 0, 16, machine->host.pages[0]);
	cr_assert_eq(machine_stats(machine).tables, tables);
	machine_touch(machine, 40, VMMU_READ);
	machine_destroy(machine);
}

/* Slot 0: one page of level 2, mapped, and its writes logged from then on. */
static struct machine *machine_of_large_page(unsigned format_index, unsigned policies,
					     enum vmmu_resize resize)
{
	struct machine_options options = {.policies = policies, .resize = resize, .rest_level = 2};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, block + 1).level, 2);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	return machine;
}

FORMAT_TEST(policy, large_stays__logged_and_refused)
{
	struct machine *machine = machine_of_large_page(
		*index, VMMU_POLICY_LARGE_STAYS | VMMU_POLICY_LOCKED_FIX, VMMU_RESIZE_BY_FAULTS);
	uint64_t block = machine_pages(machine, 2), count = 0;
	uint64_t *bitmap = calloc(block / 64 + 1, sizeof(*bitmap));
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, block + 70), .access = VMMU_WRITE};

	cr_assert(bitmap);
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), -EEXIST);
	cr_assert_eq(machine_walk(machine, 0, block + 70).level, 2);
	cr_assert_not(machine_walk(machine, 0, block + 70).access & VMMU_WRITE);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bitmap, block, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(bitmap[1], UINT64_C(1) << 6);
	free(bitmap);
	machine_discard(machine);
}

/* With the log off nothing moves by itself; the next fault makes the page large. */
FORMAT_TEST(policy, resize_by_faults__left_to_the_next_fault)
{
	struct machine *machine = machine_of_large_page(*index, VMMU_POLICY_LOCKED_FIX,
							VMMU_RESIZE_BY_FAULTS);
	uint64_t block = machine_pages(machine, 2);

	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_kind(machine, 0, block + 6), VMMU_ENTRY_ABSENT);
	machine_dirty_get(machine, 0, 0);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_not(machine_touch(machine, block + 5, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	machine_destroy(machine);
}

FORMAT_TEST(policy, protect_new__a_slot_made_with_a_log)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_PROTECT_NEW,
					       VMMU_SLOT_LOG_DIRTY);

	cr_assert_eq(machine->events[VMMU_EVENT_RANGE_PROTECT], 1);
	machine_slot(machine, 1, 100, 8, 40, 0);
	cr_assert_eq(machine->events[VMMU_EVENT_RANGE_PROTECT], 1);
	machine_destroy(machine);
}

/* Otherwise with VMMU_RESIZE_ZAP the large page goes, and what is beside the fault with it. */
FORMAT_TEST(policy, split_at_faults__the_rest_stays_mapped)
{
	struct machine *machine = machine_of_large_page(*index, VMMU_POLICY_SPLIT_AT_FAULTS,
							VMMU_RESIZE_ZAP);
	uint64_t block = machine_pages(machine, 2);

	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 6).level, 1);
	cr_assert_eq(machine_kind(machine, 0, block + 6), VMMU_ENTRY_LEAF);
	cr_assert_eq(machine->events[VMMU_EVENT_SPLIT], 1);
	machine_destroy(machine);
}

/* A fetch splits the large page, whose parts a protection had made read-only: they grant it. */
FORMAT_TEST(policy, leaf_stays__what_grants_the_access_is_not_written_again)
{
	struct machine_options options = {
		.policies = VMMU_POLICY_LEAF_STAYS, .rest_level = 2, .nx_huge = true};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_walk(machine, 0, block + 2).level, 2);
	machine_touch(machine, block + 2, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, block + 2).level, 1);
	cr_assert_eq(machine_walk(machine, 0, block + 2).access, VMMU_READ | VMMU_EXEC);
	machine_destroy(machine);
}

FORMAT_TEST(policy, remap_absent__for_reads_where_there_is_a_table)
{
	struct machine *machine = machine_with(*index, VMMU_POLICY_REMAP_ABSENT, 0);
	uint64_t far = machine_pages(machine, 2) * 4;
	struct vmmu_page page = {.pfn = 0x77, .level = 1, .memtype = VMMU_MEM_WRITEBACK};

	machine_slot(machine, 1, far, 1, 60, 0);
	machine_touch(machine, 33, VMMU_READ);
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, 2), &page), 0);
	cr_assert_eq(machine_walk(machine, 0, 34).access, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, 34).entry.pfn, 0x77);
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, 60), &page), 0);
	cr_assert_eq(machine_kind(machine, 0, far), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine->events[VMMU_EVENT_RANGE_REMAP], 2);
	machine_discard(machine);
}

/* Slot 0 is the last page of a block without a table, and the block behind it. */
static struct machine *machine_of_steps(unsigned format_index, unsigned policies)
{
	struct machine_options options = {.policies = policies, .rest_level = 1};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, 2 * block - 1, block + 1, 2 * block - 1, 0);
	machine_touch(machine, 2 * block + 3, VMMU_WRITE);
	return machine;
}

/* The host takes COUNT pages from the one at gfn on, all of which are in slot 0. */
static void take_away(struct machine *machine, uint64_t gfn, uint64_t count)
{
	struct vmmu_hva_range range = {.start = machine_hva(machine, gfn),
				       .end = machine_hva(machine, gfn + count)};

	cr_assert_eq(vmmu_invalidate_begin(machine->vm, &range), 0);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &range), 0);
}

FORMAT_TEST(policy, step_whole__passes_over_what_is_behind_an_absent_table)
{
	struct machine *machine = machine_of_steps(*index, VMMU_POLICY_STEP_WHOLE);
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_slot slot = machine->slots[0].set;

	slot.flags = VMMU_SLOT_LOG_DIRTY;
	cr_assert_eq(vmmu_slot_set(machine->vm, &slot), 0);
	cr_assert_eq(machine_walk(machine, 0, 2 * block + 3).access & VMMU_WRITE, VMMU_WRITE);
	take_away(machine, 2 * block - 1, block + 1);
	cr_assert_eq(machine_kind(machine, 0, 2 * block + 3), VMMU_ENTRY_LEAF);
	take_away(machine, 2 * block, block);
	cr_assert_eq(machine_kind(machine, 0, 2 * block + 3), VMMU_ENTRY_ABSENT);
	machine_discard(machine);
}

FORMAT_TEST(policy, step_whole__large_pages_go_as_a_whole_or_not_at_all)
{
	struct machine *machine = machine_of_large_page(*index, VMMU_POLICY_STEP_WHOLE,
							VMMU_RESIZE_BY_FAULTS);
	uint64_t block = machine_pages(machine, 2);

	take_away(machine, block, block - 1);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	take_away(machine, block + 1, block - 1);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	take_away(machine, block, block);
	cr_assert_eq(machine_kind(machine, 0, block), VMMU_ENTRY_ABSENT);
	machine_discard(machine);
}

/* What is mapped already is written anew, as unused, by the policy alone. */
static int used_after_prefault(unsigned format_index, unsigned policies)
{
	struct machine *machine = machine_with(format_index, policies, 0);
	struct vmmu_hva_range range = {machine_hva(machine, 1), machine_hva(machine, 2)};
	uint64_t done;
	int used;

	machine_touch(machine, 33, VMMU_WRITE);
	cr_assert_eq(vmmu_test_age(machine->vm, &range), 1);
	cr_assert_eq(vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, 33),
				   machine_gpa(machine, 1), &done),
		     0);
	cr_assert_eq(done, machine_gpa(machine, 1));
	used = vmmu_test_age(machine->vm, &range);
	machine_destroy(machine);
	return used;
}

FORMAT_TEST(policy, prefault_anew__what_was_used_is_not)
{
	struct machine *machine = machine_with(*index, 0, 0);
	bool can_tell = machine->info->caps & VMMU_CAP_HW_DIRTY;

	machine_destroy(machine);
	cr_assert_eq(used_after_prefault(*index, 0), 1);
	if (can_tell)
		cr_assert_eq(used_after_prefault(*index, VMMU_POLICY_PREFAULT_ANEW), 0);
}

FORMAT_TEST(policy, unknown__refused)
{
	struct machine *machine = machine_with(*index, 0, 0);
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env = &machine_env,
					  .policies = VMMU_POLICIES + 1};
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	options.policies = 0;
	options.resize = (enum vmmu_resize)(VMMU_RESIZE_BY_FAULTS + 1);
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	machine_destroy(machine);
}
