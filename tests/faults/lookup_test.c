/* SPDX-License-Identifier: MIT */
/* Each answer of the page lookup, and what it makes of the fault. */
#include <errno.h>

#include "faults/harness.h"

/* gfns 16..31 behind host pages 0..15 */
static struct machine *machine_of_16_pages(unsigned format_index)
{
	struct machine *machine = machine_create(format_index, NULL);

	machine_slot(machine, 3, 16, 16, 0, 0);
	machine_enter(machine, 0);
	return machine;
}

static struct host_page host_ram(uint64_t pfn)
{
	return (struct host_page){.pfn = pfn, .level = 1, .writable = true};
}

FORMAT_TEST(lookup, ram_page__is_mapped_where_the_host_says)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	cr_assert_eq(machine_fault(machine, 18, VMMU_READ, 0, &fault), VMMU_FIXED);
	cr_assert_eq(fault.gfn, 18);
	cr_assert_eq(fault.pfn, HOST_PFN + 2);
	cr_assert_eq(fault.level, 1);
	cr_assert(!fault.fast);
	cr_assert_eq(machine_walk(machine, 0, 18).pfn, HOST_PFN + 2);
	cr_assert_eq(machine_stats(machine).mapped[1], 1);
	cr_assert_eq(machine_stats(machine).faults[VMMU_FIXED], 1);
	cr_assert_eq(machine_stats(machine).rmap_lengths[0], is_tdp() ? 0 : 1);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, request__names_slot_address_and_access)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine_fault(machine, 21, VMMU_EXEC, 0, &fault);
	cr_assert_eq(machine->resolves, 1);
	cr_assert_eq(machine->request.gfn, 21);
	cr_assert_eq(machine->request.hva, machine_hva(machine, 5));
	cr_assert_eq(machine->request.access, VMMU_EXEC);
	cr_assert_eq(machine->request.slot_id, 3);
	cr_assert_eq(machine->request.as_id, 0);
	cr_assert_eq(machine->request.flags, 0);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, read_of_read_only_page__is_mapped_without_write)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct host_page page = host_ram(500);
	struct vmmu_walk walk;

	page.writable = false;
	machine_host_set(machine, 1, 1, page);
	machine_touch(machine, 17, VMMU_READ);
	walk = machine_walk(machine, 0, 17);
	cr_assert_eq(walk.pfn, 500);
	cr_assert_eq(walk.access & VMMU_WRITE, 0);
	machine_touch(machine, 17, VMMU_EXEC);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, write_to_read_only_page__is_emulated_and_not_remembered)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct host_page page = host_ram(500);
	struct access_result result;

	page.writable = false;
	machine_host_set(machine, 1, 1, page);
	for (unsigned n = 0; n < 2; n++) {
		result = machine_access(machine, 0, machine_gpa(machine, 17), VMMU_WRITE);
		cr_assert_eq(result.end, ACCESS_EMULATED);
		cr_assert(!result.fault.mmio_cached);
		cr_assert_neq(machine_kind(machine, 0, 17), VMMU_ENTRY_MMIO);
	}
	cr_assert_eq(machine_stats(machine).mmio_installed, 0);
	machine_destroy(machine);
}

/* A zero page answers a read, a private copy the write after it. */
FORMAT_TEST(lookup, write_after_host_made_page_writable__maps_the_new_page)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct host_page zero_page = host_ram(500);

	zero_page.writable = false;
	machine_host_set(machine, 1, 1, zero_page);
	machine_touch(machine, 17, VMMU_READ);
	machine_host_set(machine, 1, 1, host_ram(501));
	cr_assert_eq(machine_touch(machine, 17, VMMU_WRITE).first_outcome, VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 17).pfn, 501);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, unmapped_page__exits_with_its_address)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine->host.pages[4].status = HOST_UNMAPPED;
	cr_assert_eq(machine_fault(machine, 20, VMMU_READ, 0, &fault), VMMU_EXIT_TO_HOST);
	cr_assert_eq(fault.exit, VMMU_EXIT_NO_PAGE);
	cr_assert_eq(fault.hva, machine_hva(machine, 4));
	cr_assert_eq(machine_kind(machine, 0, 20), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, poisoned_page__exits_with_its_address)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine->host.pages[15].status = HOST_POISONED;
	cr_assert_eq(machine_fault(machine, 31, VMMU_WRITE, 0, &fault), VMMU_EXIT_TO_HOST);
	cr_assert_eq(fault.exit, VMMU_EXIT_POISONED);
	cr_assert_eq(fault.hva, machine_hva(machine, 15));
	cr_assert_eq(machine_kind(machine, 0, 31), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, slow_page_and_no_wait__exits_and_is_mapped_when_ready)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;
	int outcome;

	machine->host.pages[2].status = HOST_SLOW;
	outcome = machine_fault(machine, 18, VMMU_WRITE, VMMU_FAULT_NO_WAIT, &fault);
	cr_assert_eq(outcome, VMMU_EXIT_TO_HOST);
	cr_assert_eq(fault.exit, VMMU_EXIT_WOULD_BLOCK);
	cr_assert_eq(fault.hva, machine_hva(machine, 2));
	cr_assert_eq(machine_kind(machine, 0, 18), VMMU_ENTRY_ABSENT);

	machine->host.pages[2].status = HOST_RAM;
	fault = (struct vmmu_fault){
		.gpa = machine_gpa(machine, 18),
		.access = VMMU_WRITE,
		.flags = VMMU_FAULT_NO_WAIT,
	};
	cr_assert_eq(vmmu_fault_ready(machine->vcpu[0].vcpu, &fault), VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 18).pfn, HOST_PFN + 2);
	cr_assert_eq(machine_touch(machine, 18, VMMU_WRITE).faults, 0, "it was mapped ahead");
	machine_destroy(machine);
}

FORMAT_TEST(lookup, slow_page_with_time_to_wait__is_mapped)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine->host.pages[2].status = HOST_SLOW;
	cr_assert_eq(machine_fault(machine, 18, VMMU_READ, 0, &fault), VMMU_FIXED);
	cr_assert_eq(machine->request.flags & VMMU_RESOLVE_NO_WAIT, 0);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, io_page__is_mapped_with_its_memory_type)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct host_page page = host_ram(900);

	page.status = HOST_IO;
	page.memtype = VMMU_MEM_DEVICE;
	machine_host_set(machine, 6, 1, page);
	machine_touch(machine, 22, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 22).pfn, 900);
	cr_assert_eq(machine_walk(machine, 0, 22).entry.memtype, VMMU_MEM_DEVICE);
	machine_touch(machine, 23, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 23).entry.memtype, VMMU_MEM_WRITEBACK);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, interrupted_lookup__is_retried_by_the_guest)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine->interrupts = 1;
	cr_assert_eq(machine_fault(machine, 18, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_kind(machine, 0, 18), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_fault(machine, 18, VMMU_READ, 0, &fault), VMMU_FIXED);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, mapped_page_faulting_again__is_spurious)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault;

	machine_touch(machine, 18, VMMU_WRITE);
	cr_assert_eq(machine_fault(machine, 18, VMMU_WRITE, 0, &fault), VMMU_SPURIOUS);
	cr_assert_eq(fault.level, 1);
	cr_assert_eq(machine_fault(machine, 18, VMMU_READ, VMMU_FAULT_PRESENT, &fault),
		     VMMU_SPURIOUS);
	cr_assert_eq(machine_stats(machine).faults[VMMU_SPURIOUS], 2);
	cr_assert_eq(machine_stats(machine).mapped[1], 1);
	machine_destroy(machine);
}

/* Every output is written, whatever the caller left there. */
FORMAT_TEST(lookup, outputs__do_not_depend_on_what_was_there)
{
	struct machine *machine = machine_of_16_pages(*index);
	struct vmmu_fault fault = {
		.gpa = machine_gpa(machine, 100),
		.access = VMMU_READ,
		.gfn = ~UINT64_C(0),
		.pfn = ~UINT64_C(0),
		.hva = ~UINT64_C(0),
		.level = 77,
		.exit = VMMU_EXIT_POISONED,
		.fast = true,
		.mmio_cached = true,
	};

	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_EMULATE);
	cr_assert_eq(fault.gfn, 100);
	cr_assert_eq(fault.exit, VMMU_EXIT_NONE);
	cr_assert(!fault.fast);
	cr_assert(!fault.mmio_cached);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, two_vcpus__share_what_one_mapped)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 16};
	struct machine *machine = machine_create(*index, &options);

	machine_slot(machine, 0, 0, 16, 0, 0);
	machine_touch(machine, 5, VMMU_WRITE);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 5), VMMU_WRITE).faults, 0);
	cr_assert_eq(machine->vcpu[0].root.hpa, machine->vcpu[1].root.hpa);
	machine_destroy(machine);
}

/* A second vCPU that remembers "not mapped" gets over it, where hardware may remember that. */
FORMAT_TEST(lookup, other_vcpu_that_cached_absence__gets_through)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 16};
	struct machine *machine = machine_create(*index, &options);

	machine_slot(machine, 0, 0, 16, 0, 0);
	machine->host.pages[5].status = HOST_UNMAPPED;
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 5), VMMU_READ).end,
		     ACCESS_EXITED);
	machine->host.pages[5].status = HOST_RAM;
	machine_touch(machine, 5, VMMU_READ);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 5), VMMU_READ).end,
		     ACCESS_GRANTED);
	machine_destroy(machine);
}

FORMAT_TEST(lookup, two_address_spaces__have_their_own_pages)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 32};
	struct machine *machine = machine_create(*index, &options);
	struct access_result result;

	machine_slot_in(machine, 0, 1, 8, 8, 0, 0);
	machine_slot_in(machine, 1, 1, 8, 8, 16, 0);
	machine_vcpu_as(machine, 1, 1);
	machine_touch(machine, 9, VMMU_WRITE);
	result = machine_access(machine, 1, machine_gpa(machine, 9), VMMU_WRITE);
	cr_assert_eq(result.faults, 1);
	cr_assert_eq(machine->request.as_id, 1);
	cr_assert_eq(machine_walk(machine, 0, 9).pfn, HOST_PFN + 1);
	cr_assert_eq(machine_walk(machine, 1, 9).pfn, HOST_PFN + 17);
	cr_assert_neq(machine->vcpu[0].root.hpa, machine->vcpu[1].root.hpa);
	/* back and forth: each finds its own again */
	machine_vcpu_as(machine, 1, 0);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 9), VMMU_READ).faults, 0);
	cr_assert_eq(machine->vcpu[1].root.hpa, machine->vcpu[0].root.hpa);
	machine_destroy(machine);
}

/* First, some and the last id; slots next to each other, up to the end of the input space. */
FORMAT_TEST(lookup, slots_of_all_ids__are_found)
{
	static const unsigned ids[] = {0, 1, 508, 509, 32763};
	struct machine *machine = machine_create(*index, NULL);
	uint64_t input = UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift);

	for (unsigned i = 0; i < 5; i++)
		machine_slot(machine, ids[i], input - 5 * (5 - i), 5, 5 * i, 0);
	for (unsigned i = 0; i < 25; i++) {
		machine_touch(machine, input - 25 + i, VMMU_WRITE);
		cr_assert_eq(machine->request.slot_id, ids[i / 5]);
		cr_assert_eq(machine_walk(machine, 0, input - 25 + i).pfn, HOST_PFN + i);
	}
	machine_destroy(machine);
}

/* The host's word on levels is not believed where frames and gfns are not aligned alike. */
FORMAT_TEST(lookup, host_level_with_misaligned_frame__is_mapped_small_and_right)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine->host.rest.pfn = HOST_PFN + 1;
	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_touch(machine, block + 7, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 7).pfn, HOST_PFN + block + 8);
	cr_assert_eq(machine_walk(machine, 0, block + 7).level, 1);
	machine_destroy(machine);
}

/* A slot may reach further than tables can: what is beyond has no memory, and nothing wraps. */
FORMAT_TEST(lookup, slot_across_the_end_of_the_input_space__ends_there)
{
	struct machine *machine = machine_create(*index, NULL);
	uint64_t limit = UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift);

	machine_slot(machine, 0, limit - 8, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, limit - 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, limit - 1).pfn, HOST_PFN + 7);
	for (uint64_t gfn = limit; gfn < limit + 8; gfn++) {
		struct vmmu_fault fault = {.gpa = machine_gpa(machine, gfn), .access = VMMU_WRITE};

		cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_EMULATE);
	}
	cr_assert_eq(machine_kind(machine, 0, 0), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(machine_invalidate_begin(machine, 0, 16), 0);
	cr_assert_eq(machine_invalidate_end(machine, 0, 16), 0);
	cr_assert_eq(machine_kind(machine, 0, limit - 1), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* A huge host page on both sides of the end: no mapping may be as large as that. */
FORMAT_TEST(lookup, huge_slot_up_to_the_end_of_the_input_space__is_mapped_whole)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t limit = UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, limit - block, 2 * block, block, 0);
	machine_touch(machine, limit - 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, limit - 1).level, 2);
	cr_assert_eq(machine_walk(machine, 0, limit - block).pfn, HOST_PFN + block);
	machine_destroy(machine);
}

/* The slot's first generation, and what each kind of update adds, per address space. */
FORMAT_TEST(lookup, generations__count_updates_in_steps_of_the_address_spaces)
{
	struct machine_options options = {.address_spaces = 2, .host_pages = 64};
	struct machine *machine = machine_create(*index, &options);

	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 0);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 1), 1);
	machine_slot(machine, 0, 0, 8, 0, 0);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 2);
	machine_slot(machine, 0, 0, 8, 0, 0);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 2, "unchanged: no update");
	machine_slot(machine, 0, 0, 8, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 4);
	machine_slot(machine, 0, 16, 8, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 8, "a move is published twice");
	machine_slot_delete(machine, 0, 0);
	cr_assert_eq(vmmu_slot_generation(machine->vm, 0), 12, "so is a delete");
	cr_assert_eq(vmmu_slot_generation(machine->vm, 1), 1);
	machine_destroy(machine);
}
