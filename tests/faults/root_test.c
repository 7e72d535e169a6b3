/* SPDX-License-Identifier: MIT */
/*
 * Roots: made at the first entry, obsolete after everything is dropped, replaced before the next
 * entry.
 */
#include <errno.h>

#include "faults/harness.h"

static struct machine *machine_of_two_vcpus(unsigned format_index)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 32};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, 32, 0, 0);
	machine_access(machine, 0, machine_gpa(machine, 3), VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 4), VMMU_WRITE);
	machine->vcpu[0].kicks = 0;
	machine->vcpu[1].kicks = 0;
	return machine;
}

FORMAT_TEST(root, before_the_first_entry__there_is_nothing_to_walk)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_walk walk;

	cr_assert_eq(vmmu_walk(machine->vm, 0, 0, &walk), -ENOENT);
	machine_enter(machine, 0);
	cr_assert_eq(vmmu_walk(machine->vm, 0, 0, &walk), 0);
	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_ABSENT);
	cr_assert_eq(walk.level, machine->geometry->levels);
	cr_assert_eq(machine_stats(machine).tables, 1);
	machine_destroy(machine);
}

FORMAT_TEST(root, nothing_changed__stays)
{
	struct machine *machine = machine_of_two_vcpus(*index);
	struct vmmu_root root;
	bool flush_local = true;

	cr_assert_eq(vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, &flush_local), 0);
	cr_assert_eq(root.hpa, machine->vcpu[0].root.hpa);
	cr_assert(!flush_local);
	machine_destroy(machine);
}

static void check_all_vcpus_reload(struct machine *machine)
{
	uint64_t old_root = machine->vcpu[0].root.hpa;
	struct vmmu_root root;

	for (unsigned i = 0; i < 2; i++) {
		bool flush_local = false;

		cr_assert_geq(machine->vcpu[i].kicks, 1, "vCPU %u was not kicked", i);
		cr_assert_eq(vmmu_vcpu_root(machine->vcpu[i].vcpu, &root, &flush_local), 0);
		cr_assert(flush_local, "vCPU %u need not flush", i);
		/* the other vCPU may still run on it when the first asks */
		if (!i)
			cr_assert_neq(root.hpa, old_root);
		machine_enter(machine, i);
		tlb_flush_range(machine, i, 0, 0, UINT64_MAX);
	}
	cr_assert_eq(machine->vcpu[0].root.hpa, machine->vcpu[1].root.hpa);
	cr_assert_eq(machine_kind(machine, 0, 3), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 4), VMMU_ENTRY_ABSENT);
}

FORMAT_TEST(root, zap_all__obsoletes_it_for_all_vcpus)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	check_all_vcpus_reload(machine);
	cr_assert_eq(machine_stats(machine).zap_all, 1);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	cr_assert_eq(machine_touch(machine, 3, VMMU_WRITE).first_outcome, VMMU_FIXED);
	machine_destroy(machine);
}

FORMAT_TEST(root, slot_delete__obsoletes_it_for_all_vcpus)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	machine_slot_delete(machine, 0, 0);
	check_all_vcpus_reload(machine);
	machine_destroy(machine);
}

FORMAT_TEST(root, slot_move__drops_the_old_place)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	machine_slot(machine, 0, 100, 32, 0, 0);
	machine_enter(machine, 0);
	cr_assert_eq(machine_kind(machine, 0, 3), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 103, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 103).pfn, HOST_PFN + 3);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 4), VMMU_READ).end,
		     ACCESS_EMULATED);
	machine_destroy(machine);
}

/* Moved by less than its size: old and new place overlap. */
FORMAT_TEST(root, slot_move_onto_itself__maps_the_shifted_pages)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	machine_slot(machine, 0, 1, 32, 0, 0);
	machine_check_range(machine, 0, 0, 40);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 3).pfn, HOST_PFN + 2);
	machine_destroy(machine);
}

FORMAT_TEST(root, slot_create_and_flags__keep_it)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	machine_slot(machine, 1, 100, 4, 0, 0);
	machine_slot(machine, 1, 100, 4, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine->vcpu[0].kicks, 0);
	cr_assert_eq(machine_touch(machine, 3, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_stats(machine).zap_all, 0);
	machine_destroy(machine);
}

/* A vCPU that faults before it has reloaded maps nothing into the old tables. */
FORMAT_TEST(root, fault_on_an_obsolete_root__retries)
{
	struct machine *machine = machine_of_two_vcpus(*index);
	struct vmmu_fault fault;

	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	cr_assert_eq(machine_fault(machine, 9, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_touch(machine, 9, VMMU_READ).first_outcome, VMMU_FIXED);
	machine_destroy(machine);
}

/* Never entered, never asked for a root: no crash, no wrong answer, and the guest gets on. */
FORMAT_TEST(root, fault_before_the_first_entry__is_harmless)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_fault fault = {.gpa = 0, .access = VMMU_READ};

	machine_slot(machine, 0, 0, 8, 0, 0);
	cr_assert_geq(vmmu_fault(machine->vcpu[0].vcpu, &fault), 0);
	machine_check_gfn(machine, 0, 0);
	machine_touch(machine, 0, VMMU_READ);
	machine_destroy(machine);
}

FORMAT_TEST(root, obsolete_tables__are_given_back)
{
	struct machine *machine = machine_of_two_vcpus(*index);
	struct vmmu_stats before = machine_stats(machine), after;

	for (unsigned n = 0; n < 50; n++) {
		cr_assert_eq(vmmu_zap_all(machine->vm), 0);
		machine_access(machine, 0, machine_gpa(machine, 3), VMMU_WRITE);
		machine_access(machine, 1, machine_gpa(machine, 4), VMMU_WRITE);
	}
	after = machine_stats(machine);
	cr_assert_leq(after.tables, 2 * before.tables, "%llu tables, %llu before",
		      (unsigned long long)after.tables, (unsigned long long)before.tables);
	cr_assert_eq(after.tables,
		     after.tables_allocated - after.tables_freed - after.tables_awaiting);
	machine_destroy(machine);
}

/* A vCPU that is gone, or has moved to the other address space, holds no old root back. */
FORMAT_TEST(root, vcpu_destroyed__frees_its_share)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	machine_vcpu_remove(machine, 1);
	machine->vcpu_count = 1;
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	machine_enter(machine, 0);
	machine_audit(machine);
	cr_assert_eq(machine_stats(machine).tables, 1);
	cr_assert_eq(vmmu_vcpu_create(machine->vm, 1, &machine->vcpu[1].vcpu), 0,
		     "its id is free again");
	machine_destroy(machine);
}

/* The digest knows content only: not time, not where tables lie, not how often they were made. */
FORMAT_TEST(root, same_mappings_made_otherwise__have_the_same_digest)
{
	struct machine *machine = machine_of_two_vcpus(*index);
	struct machine *other = machine_of_two_vcpus(*index);
	struct vmmu_digest first, second;

	cr_assert_eq(vmmu_zap_all(other->vm), 0);
	machine_access(other, 1, machine_gpa(other, 4), VMMU_WRITE);
	machine_access(other, 0, machine_gpa(other, 3), VMMU_WRITE);
	cr_assert_eq(vmmu_digest(machine->vm, &first), 0);
	cr_assert_eq(vmmu_digest(other->vm, &second), 0);
	cr_assert(first.low == second.low && first.high == second.high);
	machine_access(other, 0, machine_gpa(other, 5), VMMU_READ);
	cr_assert_eq(vmmu_digest(other->vm, &second), 0);
	cr_assert(first.low != second.low || first.high != second.high);
	machine_destroy(machine);
	machine_destroy(other);
}

static int count_roots(void *ctx, const struct vmmu_table_frame *frame)
{
	struct machine *machine = ctx;

	if (frame->root)
		cr_assert_eq(frame->hpa, machine->vcpu[0].root.hpa);
	return frame->root ? 42 : 0;
}

FORMAT_TEST(root, table_frames__begin_with_the_root_and_stop_when_told)
{
	struct machine *machine = machine_of_two_vcpus(*index);

	cr_assert_eq(vmmu_tables(machine->vm, count_roots, machine), 42);
	machine_destroy(machine);
}
