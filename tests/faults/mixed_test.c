/* SPDX-License-Identifier: MIT */
/* Direct and tdp roots beside each other in one VM. */
#include <errno.h>

#include "faults/harness.h"
#include "faults/vm.h"

#define PAGES 40

/* vCPU 0 stands on a direct root, vCPU 1 on a tdp root; slot 0 is pages 8 to 47. */
static struct machine *machine_mixed(unsigned format_index, unsigned flags)
{
	struct machine_options options = {.vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 8, PAGES, 8, flags);
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[0].vcpu, VMMU_ROOT_DIRECT), 0);
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[1].vcpu, VMMU_ROOT_TDP), 0);
	machine_enter(machine, 0);
	machine_enter(machine, 1);
	return machine;
}

/* Leaves of GFN by kind of root, as vmmu_visit() shows them. */
struct seen {
	uint64_t gfn;
	unsigned count[2], writable[2], accessed[2];
};

static int see(void *ctx, const struct vmmu_visit *visit)
{
	struct seen *seen = ctx;

	if (visit->entry.kind != VMMU_ENTRY_LEAF || visit->gfn != seen->gfn)
		return 0;
	seen->count[visit->mode]++;
	seen->writable[visit->mode] += !!(visit->entry.access & VMMU_WRITE);
	seen->accessed[visit->mode] += visit->entry.accessed;
	return 0;
}

static struct seen look(struct machine *machine, uint64_t gfn)
{
	struct seen seen = {.gfn = gfn};

	cr_assert_eq(vmmu_visit(machine->vm, see, &seen), 0);
	return seen;
}

static void check_counts(struct machine *machine, uint64_t gfn, unsigned direct, unsigned tdp)
{
	struct seen seen = look(machine, gfn);

	cr_assert_eq(seen.count[VMMU_ROOT_DIRECT], direct, "gfn %d", (int)gfn);
	cr_assert_eq(seen.count[VMMU_ROOT_TDP], tdp, "gfn %d", (int)gfn);
}

/* A write by VCPU. Not machine_access(): that looks at one kind of root. */
static void touch(struct machine *machine, unsigned vcpu, uint64_t gfn)
{
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, gfn), .access = VMMU_WRITE};

	model_note_access(machine, 0, gfn, VMMU_WRITE);
	machine->fault_calls++;
	cr_assert_eq(vmmu_fault(machine->vcpu[vcpu].vcpu, &fault), VMMU_FIXED);
}

FORMAT_TEST(mixed, each_vcpu__faults_for_itself)
{
	struct machine *machine = machine_mixed(*index, 0);

	touch(machine, 0, 10);
	check_counts(machine, 10, 1, 0);
	touch(machine, 1, 10);
	touch(machine, 1, 11);
	check_counts(machine, 10, 1, 1);
	check_counts(machine, 11, 0, 1);
	cr_assert_eq(machine_stats(machine).mapped[1], 3);
	machine_audit(machine);
	machine_destroy(machine);
}

FORMAT_TEST(mixed, invalidation_and_remap__meet_both)
{
	struct machine *machine = machine_mixed(*index, 0);
	struct vmmu_page page = {.pfn = HOST_PFN + 999, .level = 1};

	for (unsigned vcpu = 0; vcpu < 2; vcpu++)
		for (uint64_t gfn = 10; gfn < 14; gfn++)
			touch(machine, vcpu, gfn);
	cr_assert_eq(machine_invalidate_begin(machine, 11, 1), 0);
	check_counts(machine, 10, 1, 1);
	check_counts(machine, 11, 0, 0);
	cr_assert_eq(machine_invalidate_end(machine, 11, 1), 0);
	machine->host.pages[12].pfn = page.pfn;
	machine->host.pages[12].writable = false;
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, 12), &page), 0);
	check_counts(machine, 12, 1, 1);
	cr_assert_eq(machine_stats(machine).remapped, 2);
	cr_assert_eq(look(machine, 12).writable[VMMU_ROOT_TDP], 0);
	machine_audit(machine);
	machine_destroy(machine);
}

FORMAT_TEST(mixed, dirty_log__protects_both_and_reports_either)
{
	struct machine *machine = machine_mixed(*index, 0);
	struct seen seen;

	touch(machine, 0, 20);
	touch(machine, 1, 20);
	machine_slot(machine, 0, 8, PAGES, 8, VMMU_SLOT_LOG_DIRTY);
	seen = look(machine, 20);
	cr_assert_eq(seen.writable[0] + seen.writable[1], 0);
	touch(machine, 1, 20);
	cr_assert_eq(look(machine, 20).writable[VMMU_ROOT_TDP], 1);
	cr_assert_eq(look(machine, 20).writable[VMMU_ROOT_DIRECT], 0);
	touch(machine, 0, 21);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 2);
	cr_assert_eq(look(machine, 20).writable[VMMU_ROOT_TDP], 0);
	cr_assert_eq(look(machine, 21).writable[VMMU_ROOT_DIRECT], 0);
	machine_audit(machine);
	machine_destroy(machine);
}

FORMAT_TEST(mixed, age__asks_both)
{
	struct machine *machine = machine_mixed(*index, 0);
	struct vmmu_hva_range range = {machine_hva(machine, 30), machine_hva(machine, 31)};

	for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
		touch(machine, vcpu, 30);
		cr_assert_eq(vmmu_test_age(machine->vm, &range), 1);
		cr_assert_eq(vmmu_age(machine->vm, &range), 1);
		cr_assert_eq(look(machine, 30).accessed[vcpu], 0);
		cr_assert_eq(vmmu_test_age(machine->vm, &range), 0);
	}
	machine_destroy(machine);
}

FORMAT_TEST(mixed, everything_dropped__is_dropped_in_both)
{
	struct machine *machine = machine_mixed(*index, 0);

	touch(machine, 0, 10);
	touch(machine, 1, 10);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	check_counts(machine, 10, 0, 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	cr_assert(machine->vcpu[0].kicked && machine->vcpu[1].kicked);
	machine_audit(machine);
	for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
		struct vmmu_fault fault = {.gpa = machine_gpa(machine, 10), .access = VMMU_READ};

		machine->fault_calls++;
		cr_assert_eq(vmmu_fault(machine->vcpu[vcpu].vcpu, &fault), VMMU_RETRY,
			     "its root is obsolete");
		machine_enter(machine, vcpu);
		touch(machine, vcpu, 10);
	}
	check_counts(machine, 10, 1, 1);
	machine_destroy(machine);
}

/* Going back takes the kept root, with what it maps. */
FORMAT_TEST(mixed, vcpu_that_changes_kinds__comes_back_to_its_mappings)
{
	struct machine *machine = machine_mixed(*index, 0);
	struct vmmu_vcpu *vcpu = machine->vcpu[1].vcpu;
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 10), .access = VMMU_READ};

	touch(machine, 1, 10);
	cr_assert_eq(vmmu_vcpu_set_root(vcpu, VMMU_ROOT_DIRECT), 0);
	machine->fault_calls++;
	cr_assert_eq(vmmu_fault(vcpu, &fault), VMMU_RETRY, "not before it enters again");
	machine_enter(machine, 1);
	cr_assert_eq(table_mode(vcpu->root), VMMU_ROOT_DIRECT);
	machine_audit(machine);
	cr_assert_eq(vmmu_vcpu_set_root(vcpu, VMMU_ROOT_TDP), 0);
	machine_enter(machine, 1);
	machine->fault_calls++;
	cr_assert_eq(vmmu_fault(vcpu, &fault), VMMU_SPURIOUS);
	machine_destroy(machine);
}

FORMAT_TEST(mixed, unknown_kind__is_refused)
{
	struct machine *machine = machine_create(*index, NULL);

	cr_assert_eq(vmmu_vcpu_set_root(NULL, VMMU_ROOT_TDP), -EINVAL);
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[0].vcpu, VMMU_ROOT_TDP + 1), -EINVAL);
	machine_slot(machine, 0, 0, 8, 0, 0);
	cr_assert_eq(machine_invalidate_begin(machine, 0, 1), 0);
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[0].vcpu, VMMU_ROOT_DIRECT), -EDEADLK);
	cr_assert_eq(machine_invalidate_end(machine, 0, 1), 0);
	machine_destroy(machine);
}

/* Reverse maps cost 8 bytes a page: a VM of tdp roots alone has none. */
FORMAT_TEST(mixed, first_direct_root__brings_reverse_maps)
{
	struct machine_options options = {.host_pages = 16};
	struct machine *machine = machine_create(*index, &options);

	machine_slot(machine, 0, 0, 16, 0, 0);
	cr_assert_eq(slots_have_rmaps(&machine->vm->slots), !is_tdp());
	cr_assert_eq(!slots_by_id(&machine->vm->slots, 0, 0)->rmap[1], is_tdp());
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[0].vcpu, VMMU_ROOT_DIRECT), 0);
	machine_enter(machine, 0);
	cr_assert(slots_by_id(&machine->vm->slots, 0, 0)->rmap[1]);
	touch(machine, 0, 3);
	cr_assert_eq(machine_stats(machine).rmap_lengths[0], 1);
	machine_audit(machine);
	machine_destroy(machine);
}

/* A slot that goes takes all along, or its own pages alone. */
FORMAT_TEST(mixed, slot_deleted_by_range__others_stay)
{
	for (unsigned policy = 0; policy < 2; policy++) {
		struct machine *machine = machine_mixed(*index, 0);

		machine->vm->slot_zap = policy ? VMMU_SLOT_ZAP_RANGE : VMMU_SLOT_ZAP_ALL;
		machine_slot(machine, 1, 50, 8, 50, 0);
		for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
			touch(machine, vcpu, 10);
			touch(machine, vcpu, 52);
		}
		machine_slot_delete(machine, 0, 1);
		check_counts(machine, 52, 0, 0);
		check_counts(machine, 10, policy, policy);
		cr_assert_eq(machine->vcpu[1].kicked, !policy);
		machine_audit(machine);
		machine_destroy(machine);
	}
}
