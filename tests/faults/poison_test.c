/* SPDX-License-Identifier: MIT */
/*
 * Tables that somebody else wrote to: the audit says so, and a VM that stumbles over it is out of
 * use, alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faults/harness.h"

/* A write into table memory behind the engine's back. */
struct scribble {
	uint64_t pte_hpa;
	uint64_t pte;
	bool is_done;
};

static int scribble_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	struct scribble *scribble = ctx;

	if (scribble->pte_hpa - frame->hpa >= frame->bytes)
		return 0;
	memcpy((char *)frame->data + (scribble->pte_hpa - frame->hpa), &scribble->pte,
	       sizeof(scribble->pte));
	scribble->is_done = true;
	return 1;
}

static void write_entry(struct machine *machine, uint64_t pte_hpa, uint64_t pte)
{
	struct scribble scribble = {.pte_hpa = pte_hpa, .pte = pte};

	vmmu_tables(machine->vm, scribble_frame, &scribble);
	cr_assert(scribble.is_done);
}

static struct machine *machine_with_two_pages(unsigned format_index)
{
	struct machine *machine = machine_create(format_index, NULL);

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_touch(machine, 9, VMMU_WRITE);
	return machine;
}

static uint64_t violations(struct machine *machine)
{
	struct vmmu_audit audit;

	cr_assert_eq(vmmu_audit(machine->vm, &audit, NULL, NULL), 0);
	return audit.violations;
}

FORMAT_TEST(poison, audit__counts_more_facts_with_more_state)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_audit audit;
	uint64_t before;

	cr_assert_eq(vmmu_audit(machine->vm, &audit, NULL, NULL), 0);
	before = audit.checked;
	machine_slot(machine, 0, 0, 16, 0, 0);
	for (uint64_t gfn = 0; gfn < 16; gfn++) {
		machine_touch(machine, gfn, VMMU_WRITE);
		cr_assert_eq(vmmu_audit(machine->vm, &audit, NULL, NULL), 0);
		cr_assert_gt(audit.checked, before);
		cr_assert_eq(audit.violations, 0);
		before = audit.checked;
	}
	machine_destroy(machine);
}

/* Each way to damage one entry is found, and found no more when it is undone. */
FORMAT_TEST(poison, damaged_entry__is_found_by_the_audit)
{
	struct machine *machine = machine_with_two_pages(*index);
	struct vmmu_walk three = machine_walk(machine, 0, 3), nine = machine_walk(machine, 0, 9);
	struct vmmu_walk hole = machine_walk(machine, 0, 5);

	/* gone, though an rmap knows it */
	write_entry(machine, three.pte_hpa, hole.pte);
	cr_assert_gt(violations(machine), 0);
	write_entry(machine, three.pte_hpa, three.pte);
	cr_assert_eq(violations(machine), 0);
	/* there, though no rmap knows it */
	write_entry(machine, hole.pte_hpa, nine.pte);
	cr_assert_gt(violations(machine), 0);
	write_entry(machine, hole.pte_hpa, hole.pte);
	cr_assert_eq(violations(machine), 0);
	machine_destroy(machine);
}

static void check_everything_is_refused(struct machine *machine)
{
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu, *made;
	struct vmmu_fault fault = {.access = VMMU_READ};
	struct vmmu_slot slot = {.id = 5, .gpa = machine_gpa(machine, 100)};
	struct vmmu_hva_range range = {HOST_VA, HOST_VA + 1};
	struct vmmu_root root;
	uint64_t bits[1] = {1}, gpa = 0;
	struct vmmu_dirty_range dirty = {.pages = 16, .bitmap = bits};
	bool flush;

	slot.bytes = machine_gpa(machine, 1);
	cr_assert_eq(vmmu_fault(vcpu, &fault), -EIO);
	cr_assert_eq(vmmu_fault_ready(vcpu, &fault), -EIO);
	cr_assert_eq(vmmu_vcpu_root(vcpu, &root, &flush), -EIO);
	cr_assert_eq(vmmu_vcpu_create(machine->vm, 8, &made), -EIO);
	cr_assert_eq(vmmu_slot_set(machine->vm, &slot), -EIO);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bits, 64, NULL), -EIO);
	cr_assert_eq(vmmu_dirty_clear(machine->vm, &dirty, NULL), -EIO);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, 0, 1), -EIO);
	cr_assert_eq(vmmu_dirty_log(vcpu, &gpa, 1, NULL), -EIO);
	cr_assert_eq(vmmu_invalidate_begin(machine->vm, &range), -EIO);
	cr_assert_eq(vmmu_invalidate_end(machine->vm, &range), -EIO);
	cr_assert_eq(vmmu_zap_all(machine->vm), -EIO);
	cr_assert_eq(vmmu_age(machine->vm, &range), -EIO);
	cr_assert_eq(vmmu_test_age(machine->vm, &range), -EIO);
	cr_assert_eq(vmmu_prefault(vcpu, 0, machine_gpa(machine, 1), NULL), -EIO);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 100), -EIO);
}

/* A second entry points to the table of the leaves around GFN. */
static void link_twice(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk path[VMMU_LEVELS_MAX];
	unsigned count = 0;

	cr_assert_eq(vmmu_walk_path(machine->vm, 0, machine_gpa(machine, gfn), path, &count), 0);
	cr_assert_geq(count, 2);
	write_entry(machine, path[count - 2].pte_hpa + 8, path[count - 2].pte);
}

/* A second VM in the same process does not notice. */
FORMAT_TEST(poison, broken_invariant__puts_that_vm_out_of_use)
{
	struct machine *machine = machine_with_two_pages(*index);
	struct machine *healthy = machine_with_two_pages(*index);
	struct vmmu_walk nine = machine_walk(machine, 0, 9), hole = machine_walk(machine, 0, 5);

	if (is_tdp())
		link_twice(machine, 9);
	else
		write_entry(machine, hole.pte_hpa, nine.pte);
	cr_assert_eq(machine->bugs, 0);
	vmmu_zap_all(machine->vm);
	cr_assert_gt(machine->bugs, 0, "nobody was told");
	check_everything_is_refused(machine);
	machine_discard(machine);
	machine_touch(healthy, 4, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(healthy, 0, 0), 3);
	machine_destroy(healthy);
}
