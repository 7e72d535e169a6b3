/* SPDX-License-Identifier: MIT */
/*
 * No memory: for each n, the n-th allocation of an operation fails. The operation must say
 * -ENOMEM, change nothing, leak nothing, and succeed the next time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "faults/harness.h"
#include "faults/vm.h"

/* More allocations than any operation here makes. */
#define ALLOCATIONS_MAX 200

static long countdown = -1; /* < 0: none fails */
static bool has_failed;

static void *failing_alloc(size_t bytes)
{
	if (countdown >= 0 && countdown-- == 0) {
		has_failed = true;
		return NULL;
	}
	return calloc(1, bytes);
}

static const struct mem_ops failing = {.alloc = failing_alloc, .free = free};

static void fail_at(long n)
{
	countdown = n;
	has_failed = false;
}

static struct machine *machine_for_failures(unsigned format_index)
{
	struct machine_options options = {.address_spaces = 2, .host_pages = 64};
	struct machine *machine;

	mem_ops_set(&failing);
	fail_at(-1);
	machine = machine_create(format_index, &options);
	machine_slot(machine, 0, 0, 16, 0, 0);
	return machine;
}

/* Blocks that live before a test of a format begins; the format itself may be one of them. */
static size_t live_before(unsigned format_index)
{
	cr_assert_not_null(outside_at(format_index));
	return mem_live();
}

/* Destroy, and nothing may be left of what was allocated since BASELINE. */
static void finish(struct machine *machine, size_t baseline)
{
	machine_destroy(machine);
	cr_assert_eq(mem_live(), baseline, "%zu blocks leaked", mem_live() - baseline);
	mem_ops_set(NULL);
}

static bool slots_are_equal(const struct vmmu_slot *a, const struct vmmu_slot *b)
{
	return a->as_id == b->as_id && a->id == b->id && a->flags == b->flags && a->gpa == b->gpa &&
	       a->bytes == b->bytes && a->hva == b->hva;
}

FORMAT_TEST(nomem, vm_create__fails_clean)
{
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.root = test_root(),
		.format = outside_at(*index),
		.env = &env,
		.address_spaces = 2,
	};
	size_t baseline = live_before(*index);
	long n = 0;

	mem_ops_set(&failing);
	for (;; n++) {
		struct vmmu_vm *vm = NULL;
		int result;

		fail_at(n);
		result = vmmu_vm_create(&options, &vm);
		cr_assert_lt(n, ALLOCATIONS_MAX);
		if (!has_failed) {
			cr_assert_eq(result, 0);
			vmmu_vm_destroy(vm);
			break;
		}
		cr_assert_eq(result, -ENOMEM, "allocation %ld: %d", n, result);
		cr_assert_null(vm);
		cr_assert_eq(mem_live(), baseline);
	}
	cr_assert_gt(n, 0);
	cr_assert_eq(mem_live(), baseline);
	mem_ops_set(NULL);
}

/* vmmu_vcpu_create() with each allocation failing in turn; how many there were. */
static long vcpu_create_failing(struct machine *machine)
{
	size_t before = mem_live();
	long n = 0;

	for (;; n++) {
		struct vmmu_vcpu *vcpu = NULL;
		int result;

		fail_at(n);
		result = vmmu_vcpu_create(machine->vm, 1, &vcpu);
		if (!has_failed) {
			cr_assert_eq(result, 0);
			break;
		}
		cr_assert_eq(result, -ENOMEM);
		cr_assert_eq(mem_live(), before);
	}
	fail_at(-1);
	return n;
}

FORMAT_TEST(nomem, vcpu_create__fails_clean)
{
	size_t baseline = live_before(*index);
	struct machine *machine = machine_for_failures(*index);

	cr_assert_gt(vcpu_create_failing(machine), 0);
	finish(machine, baseline);
}

FORMAT_TEST(nomem, vcpu_with_a_ring__fails_clean)
{
	struct machine_options options = {.host_pages = 16, .ring_entries = VMMU_DIRTY_RING_MIN};
	size_t baseline = live_before(*index);
	struct machine *machine;

	mem_ops_set(&failing);
	fail_at(-1);
	machine = machine_create(*index, &options);
	/* The vCPU, its ring, the ring's entries. */
	cr_assert_geq(vcpu_create_failing(machine), 3);
	finish(machine, baseline);
}

struct seen {
	struct vmmu_digest digest;
	uint64_t generation;
	size_t live;
};

static struct seen seen_of(struct machine *machine)
{
	struct seen seen = {.generation = vmmu_slot_generation(machine->vm, 0)};

	fail_at(-1);
	cr_assert_eq(vmmu_digest(machine->vm, &seen.digest), 0);
	seen.live = mem_live();
	return seen;
}

/*
 * SLOT with each allocation failing in turn. The generation may move (a delete that is taken back
 * has been seen by readers); what is mapped may go, for it can be mapped again; slots and memory
 * may not change.
 */
static void slot_set_failing(struct machine *machine, struct vmmu_slot slot)
{
	struct vmmu_slot before = {0}, after = {0};
	int had = vmmu_slot_get(machine->vm, 0, slot.id, &before);
	struct seen seen = seen_of(machine);
	long n = 0;

	for (;; n++) {
		int result;

		cr_assert_lt(n, ALLOCATIONS_MAX);
		fail_at(n);
		result = vmmu_slot_set(machine->vm, &slot);
		if (!has_failed) {
			cr_assert_eq(result, 0);
			fail_at(-1);
			return;
		}
		fail_at(-1);
		/* it may get by without */
		if (!result)
			return;
		cr_assert_eq(result, -ENOMEM, "allocation %ld: %d", n, result);
		cr_assert_eq(vmmu_slot_get(machine->vm, 0, slot.id, &after), had);
		cr_assert(had || slots_are_equal(&before, &after));
		cr_assert_eq(mem_live(), seen.live, "allocation %ld", n);
		machine_audit(machine);
	}
}

/* The same through the model, which then expects success. */
static void slot_failing(struct machine *machine, unsigned id, uint64_t gfn, uint64_t pages,
			 unsigned flags)
{
	struct vmmu_slot slot = {
		.id = id,
		.flags = flags,
		.gpa = machine_gpa(machine, gfn),
		.bytes = pages << machine->page_shift,
		.hva = machine_hva(machine, 16),
	};

	slot_set_failing(machine, slot);
	/* undo, and do it again where the model looks on */
	if (pages && !model_slot_by_id(machine, 0, id)) {
		slot.bytes = 0;
		cr_assert_eq(vmmu_slot_set(machine->vm, &slot), 0);
		slot.bytes = pages << machine->page_shift;
		machine_slot_set(machine, &slot);
	}
}

FORMAT_TEST(nomem, slot_create__fails_clean)
{
	size_t baseline = live_before(*index);
	struct machine *machine = machine_for_failures(*index);

	machine_touch(machine, 3, VMMU_WRITE);
	slot_failing(machine, 1, 100, 16, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 100, VMMU_WRITE);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 1), 1);
	finish(machine, baseline);
}

/* Move, re-flag, delete: of a slot with a mapped page. */
FORMAT_TEST(nomem, slot_change__fails_clean)
{
	size_t baseline = live_before(*index);
	struct machine *machine = machine_for_failures(*index);
	struct vmmu_slot slot;

	machine_slot(machine, 1, 100, 16, 16, 0);
	machine_touch(machine, 100, VMMU_WRITE);
	slot = model_slot_by_id(machine, 0, 1)->set;
	slot.flags = VMMU_SLOT_LOG_DIRTY;
	slot_set_failing(machine, slot);
	slot.gpa = machine_gpa(machine, 200);
	slot_set_failing(machine, slot);
	slot.gpa = machine_gpa(machine, 100);
	slot_set_failing(machine, slot);
	slot.flags = 0;
	slot_set_failing(machine, slot);
	machine_touch(machine, 100, VMMU_WRITE);
	slot.bytes = 0;
	slot_set_failing(machine, slot);
	cr_assert_eq(vmmu_slot_get(machine->vm, 0, 1, &slot), -ENOENT);
	finish(machine, baseline);
}

FORMAT_TEST(nomem, fault__fails_clean_and_works_next_time)
{
	size_t baseline = live_before(*index);
	struct machine *machine = machine_for_failures(*index);
	long n = 0;

	for (;; n++) {
		struct vmmu_fault fault = {.gpa = machine_gpa(machine, 3), .access = VMMU_WRITE};
		struct vmmu_digest before, after;
		int outcome;

		/* a vCPU with empty stocks each time */
		fail_at(-1);
		machine_vcpu_renew(machine, 0);
		machine_enter(machine, 0);
		cr_assert_eq(vmmu_digest(machine->vm, &before), 0);
		fail_at(n);
		outcome = vmmu_fault(machine->vcpu[0].vcpu, &fault);
		cr_assert_lt(n, ALLOCATIONS_MAX);
		if (!has_failed)
			break;
		/*
		 * stocks are filled further than needed: running short of the surplus is no error
		 */
		cr_assert(outcome == -ENOMEM || outcome == VMMU_FIXED, "allocation %ld: %d", n,
			  outcome);
		fail_at(-1);
		if (outcome == -ENOMEM) {
			cr_assert_eq(vmmu_digest(machine->vm, &after), 0);
			cr_assert(!memcmp(&before, &after, sizeof(after)));
		}
		machine_audit(machine);
		machine_touch(machine, 3, VMMU_WRITE);
		cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
		cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	}
	fail_at(-1);
	/* A fault in a tdp root takes nothing from the heap. */
	cr_assert(is_tdp() ? n == 0 : n > 0);
	finish(machine, baseline);
}

/*
 * A range for few tables, and accesses that need one each: at some point -ENOMEM, with everything
 * that was mapped still there, and room again once it is dropped.
 */
FORMAT_TEST(nomem, tables_used_up__fail_clean_and_come_back)
{
	struct machine_options options = {.tables_bytes = UINT64_C(1) << 20};
	size_t baseline = live_before(*index);
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2), mapped = 0;
	struct vmmu_fault fault;
	struct vmmu_digest before, after;

	machine_slot(machine, 0, 0, 300 * block, 1, 0);
	machine_enter(machine, 0);
	for (; mapped < 300; mapped++) {
		fault = (struct vmmu_fault){.gpa = machine_gpa(machine, mapped * block),
					    .access = VMMU_WRITE};
		cr_assert_eq(vmmu_digest(machine->vm, &before), 0);
		if (vmmu_fault(machine->vcpu[0].vcpu, &fault) != VMMU_FIXED)
			break;
	}
	cr_assert(mapped > 2 && mapped < 300, "%llu pages", (unsigned long long)mapped);
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), -ENOMEM);
	cr_assert_eq(vmmu_digest(machine->vm, &after), 0);
	cr_assert(!memcmp(&before, &after, sizeof(after)));
	machine_audit(machine);
	/* A page of a table that is there needs none. */
	fault.gpa = machine_gpa(machine, (mapped - 1) * block + 1);
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_FIXED);
	for (uint64_t n = 0; n < mapped; n++)
		cr_assert_eq(machine_touch(machine, n * block, VMMU_WRITE).faults, 0);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	machine_touch(machine, mapped * block, VMMU_WRITE);
	machine_destroy(machine);
	cr_assert_eq(mem_live(), baseline);
}

/* A write to a huge page under logging, and no frame is left for the table that splits it. */
FORMAT_TEST(nomem, no_frame_to_split_a_page__leaves_it)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, block + 1),
				   .access = VMMU_WRITE,
				   .flags = VMMU_FAULT_PRESENT};
	struct vmmu_digest before, after;

	machine_slot(machine, 0, 0, 2 * block, 2 * block, 0);
	machine_touch(machine, block, VMMU_WRITE);
	machine_slot(machine, 0, 0, 2 * block, 2 * block, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	cr_assert_eq(vmmu_digest(machine->vm, &before), 0);
	/* stocks of tdp roots go back */
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 0), 0);
	machine->vm->tree.frames.left = 0;
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), -ENOMEM);
	cr_assert_eq(vmmu_digest(machine->vm, &after), 0);
	cr_assert(!memcmp(&before, &after, sizeof(after)));
	machine->vm->tree.frames.left = UINT64_MAX;
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_FIXED);
	cr_assert_eq(fault.level, 1);
	machine_destroy(machine);
}
