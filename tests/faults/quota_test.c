/* SPDX-License-Identifier: MIT */
/* The quota of tables: its default, what goes when it is reached, what never does. */
#include <errno.h>

#include "faults/harness.h"

#define BLOCKS 64

/* Slot 0: BLOCKS ranges of gfns from 0 on, each of which takes a level-1 table of its own. */
static struct machine *machine_of_blocks(unsigned format_index, uint64_t tables_max)
{
	struct machine_options options = {.vcpus = 2, .tables_max = tables_max, .rest_level = 1};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, BLOCKS * machine_pages(machine, 2), 0, 0);
	return machine;
}

static void touch_block(struct machine *machine, unsigned block)
{
	machine_touch(machine, block * machine_pages(machine, 2), VMMU_WRITE);
}

static bool is_block_mapped(struct machine *machine, unsigned block)
{
	return machine_kind(machine, 0, block * machine_pages(machine, 2)) == VMMU_ENTRY_LEAF;
}

/*
 * Quota 16, of which one fault may need as many tables as there are levels; when less are free, 8
 * are made free. Blocks are touched one by one: the first takes a table at each level, each further
 * one a leaf table.
 */
static const struct {
	unsigned levels;
	unsigned full_after;  /* blocks, until less than a fault's need is free */
	unsigned tables;      /* there are so many then */
	unsigned reclaimed;   /* by the next block: down to 8 */
	unsigned tables_then; /* 8, the tables between root and leaves anew, one leaf table */
	unsigned gone; /* leaf tables among the reclaimed; the tables above them went first */
} rows[] = {
	{3, 12, 14, 6, 10, 5},
	{4, 10, 13, 5, 11, 3},
	{5, 8, 12, 4, 12, 1},
};

FORMAT_TEST(quota, reached_by_a_fault__oldest_tables_go)
{
	struct machine *machine = machine_of_blocks(*index, 16);
	unsigned row = machine->geometry->levels - 3;

	DIRECT_ONLY();
	cr_assert_lt(row, 3);
	for (unsigned block = 0; block < rows[row].full_after; block++)
		touch_block(machine, block);
	cr_assert_eq(machine_stats(machine).tables, rows[row].tables);
	cr_assert_eq(machine_stats(machine).tables_reclaimed, 0);
	touch_block(machine, rows[row].full_after);
	cr_assert_eq(machine_stats(machine).tables_reclaimed, rows[row].reclaimed);
	cr_assert_eq(machine_stats(machine).tables, rows[row].tables_then);
	machine_check_tlb(machine);
	machine_audit(machine);
	/* What hung below a table that went is out of reach, but not lost: it is linked again. */
	for (unsigned block = 0; block < rows[row].full_after; block++)
		cr_assert_not(is_block_mapped(machine, block));
	cr_assert_eq(machine_stats(machine).mapped[1], rows[row].full_after + 1 - rows[row].gone);
	cr_assert_eq(machine_touch(machine, (rows[row].full_after - 1) * machine_pages(machine, 2),
				   VMMU_WRITE)
			     .first_outcome,
		     VMMU_SPURIOUS, "the newest of them survives");
	machine_destroy(machine);
}

/*
 * In a tdp root a fault takes tables from a stock of LEVELS - 1, filled when it is too small and
 * counted in full then: as long as it and another level fit. What goes are leaf tables.
 */
static const struct {
	unsigned blocks, tables, reclaimed;
} tdp_rows[] = {
	{13, 15, 7}, /* 3 levels: filled at 1, 3, 5 ... 13 tables; not at 15: 15 + 3 > 16 */
	{10, 13, 5}, /* 4 levels: at 1, 4, 7, 10 */
	{9, 13, 5},  /* 5 levels: at 1, 5, 9 */
};

FORMAT_TEST(quota, reached_by_a_fault_in_a_tdp_root__oldest_leaf_tables_go)
{
	struct machine *machine = machine_of_blocks(*index, 16);
	unsigned row = machine->geometry->levels - 3, blocks = tdp_rows[row].blocks;

	if (!is_tdp())
		cr_skip_test("tdp roots only");
	for (unsigned block = 0; block < blocks; block++)
		touch_block(machine, block);
	cr_assert_eq(machine_stats(machine).tables, tdp_rows[row].tables);
	cr_assert_eq(machine_stats(machine).tables_reclaimed, 0);
	touch_block(machine, blocks);
	cr_assert_eq(machine_stats(machine).tables_reclaimed, tdp_rows[row].reclaimed);
	cr_assert_eq(machine_stats(machine).tables, 8 + 1, "one leaf table");
	machine_check_tlb(machine);
	machine_audit(machine);
	for (unsigned block = 0; block <= blocks; block++)
		cr_assert_eq(is_block_mapped(machine, block), block >= tdp_rows[row].reclaimed);
	machine_destroy(machine);
}

FORMAT_TEST(quota, many_more_blocks_than_tables__every_access_is_served)
{
	struct machine *machine = machine_of_blocks(*index, 16);

	for (unsigned n = 0; n < 3 * BLOCKS; n++) {
		touch_block(machine, n * 7 % BLOCKS);
		cr_assert_leq(machine_stats(machine).tables, 16);
		machine_check_tlb(machine);
	}
	cr_assert_gt(machine_stats(machine).tables_reclaimed, 64);
	machine_destroy(machine);
}

/* Accesses where no memory is take tables too. */
FORMAT_TEST(quota, accesses_beyond_the_slots__are_bounded_too)
{
	struct machine *machine = machine_of_blocks(*index, 16);
	uint64_t above = BLOCKS * machine_pages(machine, 2);

	for (unsigned n = 0; n < 2 * BLOCKS; n++) {
		struct access_result result = machine_access(
			machine, 0, machine_gpa(machine, above + n * machine_pages(machine, 2)),
			VMMU_READ);

		cr_assert_eq(result.end, ACCESS_EMULATED);
		cr_assert_leq(machine_stats(machine).tables, 16);
	}
	touch_block(machine, 3);
	machine_destroy(machine);
}

FORMAT_TEST(quota, not_asked_for__follows_the_slots)
{
	struct machine *machine = machine_create(*index, NULL);

	cr_assert_eq(machine_stats(machine).tables_max, 64);
	machine_slot(machine, 0, 0, 3200, 0, 0);
	cr_assert_eq(machine_stats(machine).tables_max, 64);
	machine_slot(machine, 1, 4096, 1000000, 0, 0);
	cr_assert_eq(machine_stats(machine).tables_max, 20064, "1003200 / 50");
	machine_slot(machine, 1, 4096, 1000000, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 1, 8192, 1000000, 0, 0);
	cr_assert_eq(machine_stats(machine).tables_max, 20064, "moved and re-flagged");
	machine_slot_delete(machine, 0, 0);
	cr_assert_eq(machine_stats(machine).tables_max, 20000);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 100), 0);
	cr_assert_eq(machine_stats(machine).tables_max, 100);
	machine_slot_delete(machine, 0, 1);
	cr_assert_eq(machine_stats(machine).tables_max, 100, "asked for: stays");
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 0), 0);
	cr_assert_eq(machine_stats(machine).tables_max, 64);
	machine_destroy(machine);
}

FORMAT_TEST(quota, lowered__takes_the_oldest_at_once)
{
	struct machine *machine = machine_of_blocks(*index, 60);

	for (unsigned block = 0; block < 40; block++)
		touch_block(machine, block);
	cr_assert_eq(machine_stats(machine).tables, 40 + machine->geometry->levels - 1);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 16), 0);
	cr_assert_eq(machine_stats(machine).tables, 16);
	cr_assert_eq(machine_stats(machine).mapped[1],
		     is_tdp() ? 17 - machine->geometry->levels : 15,
		     "all but the root (in tdp roots: and those on the way) are leaf tables");
	machine_check_tlb(machine);
	cr_assert_eq(machine_stats(machine).tables_awaiting, 0);
	touch_block(machine, 39);
	machine_destroy(machine);
}

FORMAT_TEST(quota, out_of_range__is_refused)
{
	struct machine *machine = machine_create(*index, NULL);

	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 15), -EINVAL);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, 1), -EINVAL);
	cr_assert_eq(vmmu_tables_quota_set(NULL, 64), -EINVAL);
	cr_assert_eq(machine_stats(machine).tables_max, 64);
	cr_assert_eq(vmmu_tables_quota_set(machine->vm, UINT64_MAX), 0);
	machine_slot(machine, 0, 0, 8, 0, 0);
	machine_touch(machine, 0, VMMU_WRITE);
	machine_destroy(machine);
}

/* The root of an address space that nobody runs in any more is a table like any other. */
FORMAT_TEST(quota, root_without_a_vcpu__goes_too)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .tables_max = 16};
	struct machine *machine = machine_create(*index, &options);
	struct vmmu_walk walk;

	machine_slot(machine, 0, 0, BLOCKS * machine_pages(machine, 2), 0, 0);
	machine_vcpu_as(machine, 1, 1);
	machine_enter(machine, 1);
	machine_vcpu_remove(machine, 1);
	machine->vcpu_count = 1;
	cr_assert_eq(vmmu_walk(machine->vm, 1, 0, &walk), 0);
	for (unsigned block = 0; block < 20; block++)
		touch_block(machine, block);
	cr_assert_eq(vmmu_walk(machine->vm, 1, 0, &walk), -ENOENT);
	machine_audit(machine);
	machine_vcpu_as(machine, 0, 1);
	machine_enter(machine, 0);
	cr_assert_eq(vmmu_walk(machine->vm, 1, 0, &walk), 0);
	machine_destroy(machine);
}

static void zap_everything(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
}

/*
 * Room is made for a fault that then turns out to be stale: nothing is mapped into the old
 * tables.
 */
FORMAT_TEST(quota, reached_by_a_stale_fault__retries)
{
	struct machine *machine = machine_of_blocks(*index, 16);
	unsigned full = rows[machine->geometry->levels - 3].full_after;
	struct vmmu_fault fault;

	for (unsigned block = 0; block < full; block++)
		touch_block(machine, block);
	machine->on_resolve = zap_everything;
	cr_assert_eq(
		machine_fault(machine, full * machine_pages(machine, 2), VMMU_WRITE, 0, &fault),
		VMMU_RETRY);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	machine_audit(machine);
	touch_block(machine, full);
	machine_destroy(machine);
}

/* Flushes that found the page of the fault not mapped yet, and those that found it mapped. */
static unsigned flushes_before, flushes_after;
static uint64_t flushed_gfn;

static void flush_that_looks(void *ctx, const struct vmmu_flush *flush)
{
	struct machine *machine = ctx;

	if (!flush->local) {
		bool is_mapped = machine_kind(machine, 0, flushed_gfn) == VMMU_ENTRY_LEAF;

		flushes_after += is_mapped;
		flushes_before += !is_mapped;
	}
	machine_env.flush(ctx, flush);
}

/*
 * A page is mapped where a table just went, which some TLB still knows: break-before-make is for
 * the flush to come first.
 */
FORMAT_TEST(quota, reached_by_a_fault_where_the_oldest_table_is__flushes_before_it_maps)
{
	struct vmmu_env env = machine_env;
	struct machine_options options = {.tables_max = 16, .rest_level = 1, .env = &env};
	struct machine *machine;
	struct vmmu_fault fault;
	unsigned full;

	/*
	 * In a tdp root the page needs no room: its table is there until somebody else makes some.
	 */
	DIRECT_ONLY();
	env.flush = flush_that_looks;
	machine = machine_create(*index, &options);
	machine_slot(machine, 0, 0, BLOCKS * machine_pages(machine, 2), 0, 0);
	full = rows[machine->geometry->levels - 3].full_after;
	for (unsigned block = 0; block < full; block++)
		touch_block(machine, block);
	flushed_gfn = 1;
	flushes_before = flushes_after = 0;
	cr_assert_eq(machine_fault(machine, 1, VMMU_WRITE, 0, &fault), VMMU_FIXED);
	cr_assert_gt(machine_stats(machine).tables_reclaimed, 0);
	cr_assert_eq(flushes_before, 1);
	cr_assert_eq(flushes_after, 0);
	machine_destroy(machine);
}

static enum vmmu_resolve_status resolve_any(void *ctx, const struct vmmu_page_request *request,
					    struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

/* A VM whose vCPUs stand on one obsolete root each, as many as the quota lets be. */
static struct vmmu_vm *vm_of_lingering_roots(unsigned format_index, struct vmmu_vcpu *vcpus[16],
					     unsigned count)
{
	static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve_any};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = outside_at(format_index),
					  .env = &env,
					  .tables_max = 16};
	struct vmmu_slot slot = {.bytes = 1 << 20};
	struct vmmu_root root;
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_slot_set(vm, &slot), 0);
	for (unsigned i = 0; i < count; i++) {
		cr_assert_eq(vmmu_vcpu_create(vm, i, &vcpus[i]), 0);
		cr_assert_eq(vmmu_vcpu_root(vcpus[i], &root, NULL), 0);
		cr_assert_eq(vmmu_zap_all(vm), 0);
	}
	return vm;
}

FORMAT_TEST(quota, used_up_by_roots_that_vcpus_hold__is_an_error)
{
	unsigned levels = vmmu_format_info(outside_at(*index))->geometry->levels;
	/* The next root would leave less than a fault's need free. */
	unsigned most = 16 - levels + 1;
	struct vmmu_vcpu *vcpus[16] = {NULL}, *late;
	struct vmmu_vm *vm = vm_of_lingering_roots(*index, vcpus, most);
	struct vmmu_fault fault = {.gpa = 0, .access = VMMU_READ};
	struct vmmu_audit audit;
	struct vmmu_root root;

	cr_assert_eq(vmmu_vcpu_create(vm, 99, &late), 0);
	cr_assert_eq(vmmu_vcpu_root(late, &root, NULL), -ENOSPC);
	cr_assert_eq(vmmu_fault(late, &fault), -ENOSPC);
	cr_assert_eq(vmmu_vcpu_root(vcpus[0], &root, NULL), 0, "gives its obsolete one back");
	cr_assert_eq(vmmu_fault(vcpus[0], &fault), -ENOSPC);
	cr_assert_eq(vmmu_audit(vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0);
	cr_assert_eq(vmmu_vcpu_root(vcpus[1], &root, NULL), 0, "shares the new one");
	cr_assert_eq(vmmu_fault(vcpus[0], &fault), VMMU_FIXED);
	vmmu_vm_destroy(vm);
}
