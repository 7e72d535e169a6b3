/* SPDX-License-Identifier: MIT */
/* Large pages again when logging ends. */
#include "faults/harness.h"
#include "faults/vm.h"

/* Slot 0: one page of LEVEL, made small, and written here and there, under logging. */
static struct machine *machine_of_small_pages(unsigned format_index, unsigned level,
					      struct machine_options options)
{
	struct machine *machine;
	uint64_t pages;

	options.vcpus = 2;
	options.rest_level = level;
	machine = machine_create(format_index, &options);
	pages = machine_pages(machine, level);
	machine_slot(machine, 0, pages, pages, pages, 0);
	machine_touch(machine, pages + 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, pages + 1).level, level);
	machine_slot(machine, 0, pages, pages, pages, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, pages, VMMU_WRITE);
	machine_touch(machine, pages + 5, VMMU_WRITE);
	machine_touch(machine, pages + 9, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, pages + 5).level, 1);
	return machine;
}

static void stop_log(struct machine *machine, unsigned level)
{
	uint64_t pages = machine_pages(machine, level);

	machine_slot(machine, 0, pages, pages, pages, 0);
	machine_check_tlb(machine);
	machine_audit(machine);
}

FORMAT_TEST(collapse, logging_turned_off__maps_large_without_a_fault)
{
	struct machine *machine = machine_of_small_pages(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2), faults = machine->fault_calls;
	uint64_t tables = machine_stats(machine).tables;
	struct vmmu_walk walk;

	machine_flushes_forget(machine);
	stop_log(machine, 2);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	walk = machine_walk(machine, 0, block + 5);
	cr_assert_eq(walk.level, 2);
	cr_assert_eq(walk.entry.pfn, HOST_PFN + block);
	cr_assert(walk.access & VMMU_WRITE, "as the page that it was made of");
	cr_assert_eq(machine_stats(machine).mapped[2], 1);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	cr_assert_eq(machine_stats(machine).collapsed, 1);
	cr_assert_eq(machine_stats(machine).tables, tables - 1, "the table went");
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_touch(machine, 2 * block - 1, VMMU_READ);
	cr_assert_eq(machine->fault_calls, faults);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

/* Write-protected by the last look at the log: WRITE comes back by the fast fix. */
FORMAT_TEST(collapse, protected_small_pages__make_a_protected_large_one)
{
	struct machine *machine = machine_of_small_pages(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);

	machine_dirty_get(machine, 0, 0);
	stop_log(machine, 2);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	cr_assert_not(machine_walk(machine, 0, block).access & VMMU_WRITE);
	cr_assert(machine_touch(machine, block + 77 % block, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	machine_destroy(machine);
}

FORMAT_TEST(collapse, asked_to_take_away__leaves_it_to_faults)
{
	struct machine_options options = {.resize = VMMU_RESIZE_ZAP};
	struct machine *machine = machine_of_small_pages(*index, 2, options);
	uint64_t block = machine_pages(machine, 2);

	stop_log(machine, 2);
	cr_assert_eq(machine_kind(machine, 0, block + 5), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_stats(machine).collapsed, 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	machine_destroy(machine);
}

/* Three levels come together at once; not each by itself. */
FORMAT_TEST(collapse, page_of_level_3__comes_back_in_one)
{
	struct machine_options options = {.eager_split = true};
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	struct machine *machine;

	if (!(geometry->leaf_levels & (1u << 3)) || geometry->page_shift != 12)
		cr_skip_test("no such leaf");
	machine = machine_of_small_pages(*index, 3, options);
	cr_assert_eq(machine_stats(machine).mapped[1], machine_pages(machine, 3));
	stop_log(machine, 3);
	cr_assert_eq(machine_stats(machine).mapped[3], 1);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	cr_assert_eq(machine_stats(machine).collapsed, 1);
	machine_destroy(machine);
}

/* The host has smaller pages by now: as large as they are, and what is not aligned stays. */
FORMAT_TEST(collapse, host_with_small_pages__stays_small)
{
	struct machine *machine = machine_of_small_pages(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);

	machine->host.rest.level = 1;
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_stats(machine).collapsed, 0);
	machine_destroy(machine);
}

FORMAT_TEST(collapse, executable_small_pages__make_a_large_one_without_execute)
{
	struct machine_options options = {.nx_huge = true};
	struct machine *machine = machine_of_small_pages(*index, 2, options);
	uint64_t block = machine_pages(machine, 2);

	machine_touch(machine, block + 5, VMMU_EXEC);
	stop_log(machine, 2);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	cr_assert_not(machine_walk(machine, 0, block + 5).access & VMMU_EXEC);
	machine_touch(machine, block + 5, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	machine_destroy(machine);
}

/* The first page, which is mapped, would bring back the other, which the host is taking away. */
FORMAT_TEST(collapse, page_being_invalidated__is_not_brought_back)
{
	struct machine *machine = machine_of_small_pages(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_vm *vm = machine->vm;
	struct memslot *slot;
	struct slot_range range;

	cr_assert_eq(machine_invalidate_begin(machine, block + 9, 1), 0);
	/* a slot update would wait for the end: as if logging had ended just before the begin */
	slot = slots_by_id(&vm->slots, 0, 0);
	slot->flags = 0;
	range = (struct slot_range){slot, block, 2 * block};
	vm_lock(vm);
	vm->engine->collapse_range(vm, &range);
	vm_unlock(vm);
	slot->flags = VMMU_SLOT_LOG_DIRTY;
	cr_assert_eq(machine_kind(machine, 0, block + 9), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, block + 5), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_invalidate_end(machine, block + 9, 1), 0);
	machine_check_tlb(machine);
	machine_destroy(machine);
}

/* Splits and collapses in turn leave nothing behind. */
FORMAT_TEST(collapse, logging_turned_on_and_off_again_and_again__keeps_the_tables)
{
	struct machine_options options = {.eager_split = true};
	struct machine *machine = machine_of_small_pages(*index, 2, options);
	uint64_t block = machine_pages(machine, 2), tables = machine_stats(machine).tables;

	for (unsigned n = 0; n < 20; n++) {
		stop_log(machine, 2);
		cr_assert_eq(machine_stats(machine).mapped[2], 1);
		cr_assert_eq(machine_stats(machine).tables, tables - 1);
		machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
		cr_assert_eq(machine_stats(machine).mapped[1], block);
		cr_assert_eq(machine_stats(machine).tables, tables);
		machine_check_tlb(machine);
	}
	machine_destroy(machine);
}

/* A vCPU on each kind of root. */
FORMAT_TEST(collapse, roots_of_both_kinds__get_large_pages)
{
	struct machine *machine = machine_of_small_pages(*index, 2, (struct machine_options){0});
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, block + 9), .access = VMMU_WRITE};

	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[1].vcpu,
					is_tdp() ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP),
		     0);
	machine_enter(machine, 1);
	machine->fault_calls++;
	cr_assert_eq(vmmu_fault(machine->vcpu[1].vcpu, &fault), VMMU_FIXED);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(machine_stats(machine).mapped[2], 2);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	machine_destroy(machine);
}
