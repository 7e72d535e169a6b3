/* SPDX-License-Identifier: MIT */
/* Tables in frames that the embedder lends one by one. */
#include <errno.h>
#include <string.h>

#include "faults/harness.h"
#include "faults/lender.h"

/*
 * Frames that a VM may keep beyond its tables: 16, and those asked for ahead of one fault, in each
 * size that a format has.
 */
#define KEPT_MAX (16 + 3 * VMMU_LEVELS_MAX)

/* A machine whose VM borrows; 40 blocks of one table of level 1 each. */
static struct machine *machine_that_borrows(unsigned format_index, uint64_t tables_max)
{
	struct machine *machine = machine_create(format_index, NULL);
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env_ctx = machine,
					  .tables_max = tables_max};

	lender_begin(UINT64_C(1) << machine->page_shift);
	lender_serve(&options, &env);
	machine_replace(machine, &options);
	machine_slot(machine, 0, 0, 40 * machine_pages(machine, 2), 0, 0);
	return machine;
}

/* With the VM, everything goes back. */
static void machine_and_lender_end(struct machine *machine)
{
	machine_destroy(machine);
	lender_end();
}

static int check_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	unsigned *count = ctx;

	cr_assert_eq(frame->hpa % frame->bytes, 0, "naturally aligned as hardware sees it");
	cr_assert_eq((uintptr_t)frame->data, (uintptr_t)lender.memory + (frame->hpa - lender.hpa));
	*count += 1;
	return 0;
}

static void check_frames(struct machine *machine)
{
	struct vmmu_stats stats = machine_stats(machine);
	unsigned count = 0;

	cr_assert_eq(vmmu_tables(machine->vm, check_frame, &count), 0);
	cr_assert_leq(count, stats.tables);
	cr_assert_leq(stats.tables, lender.out);
	cr_assert_leq(lender.out, stats.tables + stats.tables_awaiting + KEPT_MAX);
}

FORMAT_TEST(lend, tables_in_lent_frames__are_those_of_any_memory)
{
	struct machine *borrows = machine_that_borrows(*index, 0), *owns;
	struct vmmu_digest one, other;

	owns = machine_create(*index, NULL);
	machine_slot(owns, 0, 0, 40 * machine_pages(owns, 2), 0, 0);
	for (unsigned n = 0; n < 40; n++) {
		uint64_t gfn = n * machine_pages(owns, 2) + n;

		machine_touch(borrows, gfn, VMMU_WRITE);
		machine_touch(owns, gfn, VMMU_WRITE);
		check_frames(borrows);
	}
	cr_assert_eq(vmmu_digest(borrows->vm, &one), 0);
	cr_assert_eq(vmmu_digest(owns->vm, &other), 0);
	cr_assert(one.high == other.high && one.low == other.low);
	machine_destroy(owns);
	machine_and_lender_end(borrows);
}

FORMAT_TEST(lend, tables_that_go__are_given_back_but_for_a_few)
{
	struct machine *machine = machine_that_borrows(*index, 20);
	struct vmmu_root root;

	for (unsigned n = 0; n < 200; n++) {
		uint64_t gfn = n % 40 * machine_pages(machine, 2) + n % 3;

		machine_touch(machine, gfn, VMMU_WRITE);
		check_frames(machine);
		if (n % 50 != 49)
			continue;
		cr_assert_eq(vmmu_zap_all(machine->vm), 0);
		cr_assert_eq(vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, NULL), 0);
		/* lets go of all that wait for readers */
		cr_assert_eq(vmmu_tables_quota_set(machine->vm, 20), 0);
		cr_assert_eq(machine_stats(machine).tables_awaiting, 0);
		cr_assert_leq(lender.out, 1 + KEPT_MAX);
	}
	cr_assert_gt(lender.puts, 40);
	machine_audit(machine);
	machine_and_lender_end(machine);
}

FORMAT_TEST(lend, lender_without_frames__is_out_of_memory_until_it_has_some)
{
	struct machine *machine = machine_that_borrows(*index, 0);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 1), .access = VMMU_WRITE};
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu;
	struct vmmu_root root;

	lender.left = 0;
	cr_assert_eq(vmmu_vcpu_root(vcpu, &root, NULL), -ENOMEM);
	lender.left = 1;
	cr_assert_eq(vmmu_vcpu_root(vcpu, &root, NULL), 0);
	cr_assert_eq(vmmu_fault(vcpu, &fault), -ENOMEM);
	cr_assert(lender.has_refused);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	lender.left = -1;
	cr_assert_eq(vmmu_fault(vcpu, &fault), VMMU_FIXED);
	machine_and_lender_end(machine);
}

/* What no frame can be breaks the VM, and is not touched: it would fault. */
static void check_wrong(unsigned format_index, void *(*wrong)(struct machine *machine))
{
	struct machine *machine = machine_that_borrows(format_index, 0);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 1), .access = VMMU_WRITE};
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu;
	struct vmmu_audit audit = {0};
	struct vmmu_root root;

	cr_assert_eq(vmmu_vcpu_root(vcpu, &root, NULL), 0);
	lender.wrong = wrong(machine);
	cr_assert_eq(vmmu_fault(vcpu, &fault), -EIO);
	cr_assert_eq(machine->bugs, 1);
	cr_assert_eq(vmmu_vcpu_root(vcpu, &root, NULL), -EIO);
	cr_assert_eq(vmmu_audit(machine->vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0, "the tables are as they were");
	vmmu_vm_destroy(machine->vm);
	lender_end();
	/* The rest of the machine ends with a VM that is sound. */
	machine->bugs = 0;
	cr_assert_eq(
		vmmu_vm_create(&(struct vmmu_vm_options){.size = sizeof(struct vmmu_vm_options),
							 .format = machine->format,
							 .env = &machine_env,
							 .env_ctx = machine},
			       &machine->vm),
		0);
	machine_destroy(machine);
}

static void *outside_before(struct machine *machine)
{
	return lender.memory - (UINT64_C(1) << machine->page_shift);
}

static void *outside_after(struct machine *machine)
{
	(void)machine;
	return lender.memory + lender.bytes;
}

static void *misaligned(struct machine *machine)
{
	(void)machine;
	return lender.memory + 512;
}

static void *its_own_root(struct machine *machine)
{
	struct vmmu_root root;

	cr_assert_eq(vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, NULL), 0);
	return lender.memory + (root.hpa - lender.hpa);
}

FORMAT_TEST(lend, frame_that_is_none__breaks_the_vm)
{
	check_wrong(*index, outside_before);
	check_wrong(*index, outside_after);
	check_wrong(*index, misaligned);
	check_wrong(*index, its_own_root);
}

/* What get() and put() call, and what came of it. */
static struct machine *inner;
static unsigned calls, refused;

static void call_back(void)
{
	struct vmmu_hva_range range = {machine_hva(inner, 1), machine_hva(inner, 2)};
	struct vmmu_stats stats;

	calls++;
	vmmu_vm_stats(inner->vm, &stats);
	refused += vmmu_zap_all(inner->vm) == -EDEADLK && !stats.tables &&
		   vmmu_tables_quota_set(inner->vm, 100) == -EDEADLK &&
		   vmmu_test_age(inner->vm, &range) >= 0;
}

FORMAT_TEST(lend, calls_from_lending__are_refused_not_stuck)
{
	struct machine *machine = machine_that_borrows(*index, 20);

	inner = machine;
	calls = refused = 0;
	lender.on_get = call_back;
	lender.on_put = call_back;
	for (unsigned n = 0; n < 100; n++)
		machine_touch(machine, n % 40 * machine_pages(machine, 2), VMMU_WRITE);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 16), 0);
	cr_assert_gt(lender.puts, 0);
	cr_assert_eq(calls, lender.gets + lender.puts);
	cr_assert_eq(refused, calls);
	lender.on_get = lender.on_put = NULL;
	machine_and_lender_end(machine);
}

static int create(const struct vmmu_vm_options *options)
{
	struct vmmu_vm *vm = NULL;
	int err = vmmu_vm_create(options, &vm);

	vmmu_vm_destroy(vm);
	return err;
}

FORMAT_TEST(lend, half_a_lender__is_refused)
{
	struct vmmu_env env = machine_env, half = machine_env;
	struct vmmu_vm_options options = {.size = sizeof(options), .format = outside_at(*index)};

	lender_begin(UINT64_C(1) << vmmu_format_info(options.format)->geometry->page_shift);
	lender_serve(&options, &env);
	cr_assert_eq(create(&options), 0);
	half.table_get = env.table_get;
	options.env = &half;
	cr_assert_eq(create(&options), -EINVAL, "nobody takes them back");
	half.table_put = env.table_put;
	half.table_get = NULL;
	cr_assert_eq(create(&options), -EINVAL, "nobody lends");
	half.table_get = env.table_get;
	cr_assert_eq(create(&options), 0);
	options.tables = NULL;
	options.tables_hpa = options.tables_bytes = 0;
	cr_assert_eq(create(&options), -EINVAL, "lent from where?");
	/* A caller who knows nothing of lending has no such callbacks, whatever lies behind. */
	half.size = offsetof(struct vmmu_env, table_get);
	cr_assert_eq(create(&options), 0);
	lender_end();
}

/* Up front, with whole tables at a time. */
FORMAT_TEST(lend, ranges_in_lent_frames__map_and_give_back)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env_ctx = machine,
					  .mode = VMMU_MODE_RANGES,
					  .max_level = 1};
	uint64_t bytes = machine_gpa(machine, 30 * machine_pages(machine, 2)), done;
	struct vmmu_update update;
	struct vmmu_attr attr;
	struct vmmu_vm *vm;

	lender_begin(UINT64_C(1) << machine->page_shift);
	lender_serve(&options, &env);
	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	lender.left = 10;
	cr_assert_eq(vmmu_map(&update, 0, 0, bytes, &attr, &done), -ENOMEM);
	cr_assert(done && done < bytes);
	lender.left = -1;
	cr_assert_eq(vmmu_map(&update, done, done, bytes - done, &attr, NULL), 0);
	vmmu_update_end(&update);
	cr_assert_eq(vmmu_translate_once(vm, 0, bytes - 8), bytes - 8);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	cr_assert_eq(vmmu_unmap(&update, 0, bytes, NULL), 0);
	vmmu_update_end(&update);
	vmmu_vm_destroy(vm);
	machine_and_lender_end(machine);
}
