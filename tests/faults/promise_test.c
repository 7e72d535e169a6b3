/* SPDX-License-Identifier: MIT */
/*
 * A host that does not keep its promises: strange answers are refused or cut to size, never mapped
 * as they are.
 */
#include "faults/harness.h"

static struct machine *machine_answering(unsigned format_index, enum vmmu_resolve_status status,
					 struct vmmu_page page)
{
	struct machine *machine = machine_create(format_index, NULL);

	machine_slot(machine, 0, 16, 16, 0, 0);
	machine_enter(machine, 0);
	machine->is_forced = true;
	machine->forced_status = status;
	machine->forced_page = page;
	return machine;
}

static int fault_raw(struct machine *machine, uint64_t gfn, unsigned access, unsigned flags)
{
	struct vmmu_fault fault = {
		.gpa = machine_gpa(machine, gfn), .access = access, .flags = flags};

	return vmmu_fault(machine->vcpu[0].vcpu, &fault);
}

FORMAT_TEST(promise, frame_beyond_the_output_size__is_not_mapped)
{
	struct vmmu_page page = {.level = 1, .writable = true};
	struct machine *machine = machine_answering(*index, VMMU_RESOLVE_OK, page);
	const uint64_t limit = UINT64_C(1) << (machine->geometry->pa_bits - machine->page_shift);
	const uint64_t frames[] = {limit, limit + 5, UINT64_C(1) << 63, UINT64_MAX};

	for (unsigned i = 0; i < 4; i++) {
		machine->forced_page.pfn = frames[i];
		cr_assert_neq(fault_raw(machine, 20, VMMU_WRITE, 0), VMMU_FIXED);
		cr_assert_eq(machine_kind(machine, 0, 20), VMMU_ENTRY_ABSENT);
	}
	machine->forced_page.pfn = limit - 1;
	cr_assert_eq(fault_raw(machine, 20, VMMU_WRITE, 0), VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 20).pfn, limit - 1);
	machine_destroy(machine);
}

FORMAT_TEST(promise, status_that_is_none__maps_nothing)
{
	struct vmmu_page page = {.pfn = 77, .level = 1, .writable = true};
	struct machine *machine = machine_answering(*index, (enum vmmu_resolve_status)99, page);

	cr_assert_eq(fault_raw(machine, 20, VMMU_READ, 0), VMMU_EXIT_TO_HOST);
	cr_assert_eq(machine_kind(machine, 0, 20), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* Nobody said that the lookup may not wait. */
FORMAT_TEST(promise, would_block_out_of_turn__exits)
{
	struct vmmu_page page = {.level = 1};
	struct machine *machine = machine_answering(*index, VMMU_RESOLVE_WOULD_BLOCK, page);

	cr_assert_eq(fault_raw(machine, 20, VMMU_READ, 0), VMMU_EXIT_TO_HOST);
	cr_assert_eq(machine_kind(machine, 0, 20), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* "OK", but not writable, to a write: the write must not reach the page. */
FORMAT_TEST(promise, ok_without_writable_to_a_write__is_emulated)
{
	struct vmmu_page page = {.pfn = 77, .level = 1};
	struct machine *machine = machine_answering(*index, VMMU_RESOLVE_OK, page);

	cr_assert_eq(fault_raw(machine, 20, VMMU_WRITE, 0), VMMU_EMULATE);
	if (machine_kind(machine, 0, 20) == VMMU_ENTRY_LEAF)
		cr_assert_eq(machine_walk(machine, 0, 20).access & VMMU_WRITE, 0);
	machine_destroy(machine);
}

FORMAT_TEST(promise, level_0__counts_as_1)
{
	struct machine_options options = {.vcpus = 1};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine->host.rest.level = 0;
	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	machine_destroy(machine);
}

FORMAT_TEST(promise, level_beyond_all__is_cut_to_what_fits)
{
	struct machine_options options = {.rest_level = 77};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

/*
 * The frame changes without an invalidation: whoever faults next gets the new one, and nobody
 * keeps the old.
 */
FORMAT_TEST(promise, frame_changed_behind_our_back__is_replaced_with_a_flush)
{
	struct vmmu_page page = {.pfn = 500, .level = 1};
	struct machine *machine = machine_answering(*index, VMMU_RESOLVE_OK, page);

	cr_assert_eq(fault_raw(machine, 20, VMMU_READ, 0), VMMU_FIXED);
	machine->forced_page = (struct vmmu_page){.pfn = 501, .level = 1, .writable = true};
	machine_flushes_forget(machine);
	cr_assert_eq(fault_raw(machine, 20, VMMU_WRITE, VMMU_FAULT_PRESENT), VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 20).pfn, 501);
	cr_assert(machine_was_flushed(machine, 0, 20, 21));
	cr_assert_eq(machine_stats(machine).mapped[1], 1);
	machine_destroy(machine);
}
