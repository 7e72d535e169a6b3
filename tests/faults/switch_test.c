/* SPDX-License-Identifier: MIT */
/* A vCPU that goes from one address space to the other and back. */
#include <errno.h>

#include "faults/harness.h"

/* The same 16 host pages at gfn 0 of both address spaces. */
static struct machine *machine_of_two_spaces(unsigned format_index)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot_in(machine, 0, 0, 0, 16, 0, 0);
	machine_slot_in(machine, 1, 0, 0, 16, 0, 0);
	return machine;
}

/* Enter address space AS_ID; is a local flush due? */
static bool enter(struct machine *machine, unsigned as_id, uint64_t *hpa)
{
	struct vmmu_root root;
	bool flush_local = true;

	machine_vcpu_as(machine, 0, as_id);
	cr_assert_eq(vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, &flush_local), 0);
	cr_assert_eq(root.as_id, as_id);
	*hpa = root.hpa;
	return flush_local;
}

FORMAT_TEST(switch, back_to_a_kept_root__builds_nothing_and_flushes_nothing)
{
	struct machine *machine = machine_of_two_spaces(*index);
	uint64_t first, second, again;
	struct vmmu_stats before, after;

	cr_assert(enter(machine, 0, &first), "the first load");
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert(enter(machine, 1, &second), "a root that this vCPU never had");
	cr_assert_neq(first, second);
	machine_touch(machine, 3, VMMU_WRITE);
	before = machine_stats(machine);
	for (unsigned n = 0; n < 10; n++) {
		cr_assert_not(enter(machine, n % 2, &again));
		cr_assert_eq(again, n % 2 ? second : first);
	}
	after = machine_stats(machine);
	cr_assert_eq(after.tables_allocated, before.tables_allocated);
	cr_assert_eq(after.mapped[1], 2);
	machine_destroy(machine);
}

/* What was taken away while the vCPU was elsewhere, its TLB does not bring back. */
FORMAT_TEST(switch, mapping_taken_away_meanwhile__is_gone_on_return)
{
	struct machine *machine = machine_of_two_spaces(*index);

	machine_touch(machine, 3, VMMU_WRITE);
	machine_vcpu_as(machine, 0, 1);
	machine_touch(machine, 4, VMMU_WRITE);
	machine_host_set(machine, 3, 1,
			 (struct host_page){.pfn = 4242, .level = 1, .writable = true});
	machine_check_tlb(machine);
	machine_vcpu_as(machine, 0, 0);
	cr_assert_eq(machine_touch(machine, 3, VMMU_WRITE).first_outcome, VMMU_FIXED);
	cr_assert_eq(machine_walk(machine, 0, 3).pfn, 4242);
	machine_destroy(machine);
}

/* Both roots are obsolete then, the kept one too; neither may be used, both are given back. */
FORMAT_TEST(switch, everything_dropped_meanwhile__loads_new_roots)
{
	struct machine *machine = machine_of_two_spaces(*index);
	uint64_t hpa;

	enter(machine, 0, &hpa);
	machine_touch(machine, 3, VMMU_WRITE);
	enter(machine, 1, &hpa);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	cr_assert_eq(machine_stats(machine).tables, 2, "two roots that a vCPU holds");
	machine_audit(machine);
	cr_assert(enter(machine, 1, &hpa));
	cr_assert_eq(machine_stats(machine).tables, 1, "the new one");
	tlb_flush_range(machine, 0, 0, 0, UINT64_MAX);
	tlb_flush_range(machine, 0, 1, 0, UINT64_MAX);
	cr_assert(enter(machine, 0, &hpa));
	cr_assert_eq(machine_kind(machine, 0, 3), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_not(enter(machine, 1, &hpa));
	cr_assert_eq(machine_kind(machine, 1, 3), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* Twice obsolete between two switches: frames of the old roots come round to other uses. */
FORMAT_TEST(switch, dropped_again_and_again__leaves_no_roots_behind)
{
	struct machine *machine = machine_of_two_spaces(*index);

	for (unsigned n = 0; n < 40; n++) {
		machine_vcpu_as(machine, 0, n / 3 % 2);
		machine_touch(machine, n % 16, VMMU_WRITE);
		if (n % 5 != 4)
			continue;
		cr_assert_eq(vmmu_zap_all(machine->vm), 0);
		machine_audit(machine);
		cr_assert_leq(machine_stats(machine).tables, 2);
	}
	machine_destroy(machine);
}

/* A flush that is due for one root stays due when the vCPU switches before it asked. */
FORMAT_TEST(switch, flush_that_was_due__stays_due)
{
	struct machine *machine = machine_of_two_spaces(*index);
	struct vmmu_fault fault = {.gpa = 0, .access = VMMU_READ};
	uint64_t hpa;

	machine_vcpu_as(machine, 0, 1);
	cr_assert_geq(vmmu_fault(machine->vcpu[0].vcpu, &fault), 0, "loads the root by itself");
	cr_assert(enter(machine, 0, &hpa));
	cr_assert_not(enter(machine, 1, &hpa), "that flush was of the whole TLB");
	machine_destroy(machine);
}

/* Roots that are only kept hold out against the quota too. */
FORMAT_TEST(switch, quota_reached__spares_kept_roots)
{
	struct machine_options options = {.address_spaces = 2, .tables_max = 16};
	struct machine *machine = machine_create(*index, &options);
	uint64_t first, again, block = machine_pages(machine, 2);

	machine_slot_in(machine, 0, 0, 0, 64 * block, 0, 0);
	machine_slot_in(machine, 1, 0, 0, 64 * block, 0, 0);
	enter(machine, 0, &first);
	enter(machine, 1, &again);
	for (unsigned n = 0; n < 40; n++)
		machine_touch(machine, n * block, VMMU_WRITE);
	cr_assert_gt(machine_stats(machine).tables_reclaimed, 0);
	cr_assert_not(enter(machine, 0, &again));
	cr_assert_eq(first, again);
	machine_destroy(machine);
}

FORMAT_TEST(switch, unknown_space__is_refused)
{
	struct machine *machine = machine_of_two_spaces(*index);

	cr_assert_eq(vmmu_vcpu_set_as(machine->vcpu[0].vcpu, 2), -EINVAL);
	cr_assert_eq(vmmu_vcpu_set_as(NULL, 0), -EINVAL);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_destroy(machine);
}
