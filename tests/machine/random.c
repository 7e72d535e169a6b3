// SPDX-License-Identifier: MIT
/*
 * Random accesses of a guest with tables of its own, with everything that hosts do in between. The
 * flat model, the software walk and the hardware's walk agree on each, and no TLB is ever stale.
 *
 * VMMU_SEED=n makes a run again, VMMU_RANDOM_OPS=n sets its length (ten accesses each); both are
 * printed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "machine/stand.h"

#define DEFAULT_OPS   1500
#define OPS_ACCESSES  10
#define DEFAULT_SEED  2605
#define HOT_PAGES     10
#define GUEST_PAGE_LG 12

static uint64_t number_from(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : fallback;
}

/* A gfn that many operations meet, with a slot, without, or at a slot's end. */
static uint64_t random_gfn(struct stand *stand)
{
	uint64_t base = stand_below(stand, 4) * stand->large;

	/* the guest's tables are not pages of the guest's */
	if (!base)
		base = 16;
	return base + stand_below(stand, stand_below(stand, 8) ? HOT_PAGES : 41);
}

static void op_map(struct stand *stand)
{
	uint64_t inside = (UINT64_C(1) << stand->shift) - 1;
	struct guest_page page = {
		.gpa = stand_gpa(stand, random_gfn(stand)) |
		       (draw_word(&stand->draw) & inside & ~UINT64_C(0xfff)),
		.is_mapped = stand_below(stand, 8),
		.is_writable = stand_below(stand, 3),
		.is_user = stand_below(stand, 2),
	};

	guest_map(stand, (unsigned)stand_below(stand, STAND_GVAS), page);
}

static void op_access(struct stand *stand)
{
	static const unsigned kinds[] = {VMMU_READ,  VMMU_READ, VMMU_WRITE,
					 VMMU_WRITE, VMMU_EXEC, VMMU_READ | VMMU_WRITE};
	unsigned cpu = (unsigned)stand_below(stand, stand->cpu_count);
	unsigned number = (unsigned)stand_below(stand, STAND_GVAS);
	uint64_t gva = guest_gva(stand, number) | stand_below(stand, 512) * 8;

	stand_access(stand, cpu, gva, kinds[stand_below(stand, 6)],
		     stand_below(stand, 2) ? VMMU_HW_USER : 0);
}

static void op_switch(struct stand *stand)
{
	unsigned cpu = (unsigned)stand_below(stand, stand->cpu_count);
	unsigned as_id = (unsigned)stand_below(stand, stand->as_count);

	cr_assert_eq(vmmu_vcpu_set_as(stand->vcpu[cpu], as_id), 0);
	stand->as_id[cpu] = as_id;
}

/* A host page behind one that the guest uses; the tables' ones stay there and writable. */
static uint64_t random_host(struct stand *stand)
{
	uint64_t block = stand_below(stand, 5);

	return block * stand->large + (block ? 0 : 16) + stand_below(stand, 50);
}

static void op_host(struct stand *stand)
{
	uint64_t index = random_host(stand), large = stand->large;
	struct host_page *host = &stand->host[index];
	uint64_t hva = stand->slot[0].hva + (index << stand->shift);
	struct vmmu_hva_range range = {hva, hva + (UINT64_C(1) << stand->shift)};

	stand_op(stand, "invalidate");
	if (!stand_below(stand, 12)) {
		stand_host_move(stand, index / large * large, large, 2);
		return;
	}
	/* one page of a large one: the host splits it first */
	if (host->level > 1) {
		range.start = stand->slot[0].hva + (index / large * large << stand->shift);
		range.end = range.start + (large << stand->shift);
		cr_assert_eq(vmmu_invalidate_begin(stand->vm, &range), 0);
		for (uint64_t i = index / large * large; i < (index / large + 1) * large; i++)
			stand->host[i].level = 1;
		cr_assert_eq(vmmu_invalidate_end(stand->vm, &range), 0);
		return;
	}
	stand_host_move(stand, index, 1, 1);
	cr_assert_eq(vmmu_invalidate_begin(stand->vm, &range), 0);
	host->is_absent = !stand_below(stand, 8);
	host->is_read_only = !stand_below(stand, 6);
	cr_assert_eq(vmmu_invalidate_end(stand->vm, &range), 0);
}

static void op_slot(struct stand *stand)
{
	unsigned id = (unsigned)stand_below(stand, 3 * stand->as_count);
	struct vmmu_slot *slot = &stand->slot[id];

	stand_op(stand, "slot");
	if (!stand->is_slot_used[id]) {
		stand_slot(stand, id, stand_below(stand, 4) ? 0 : VMMU_SLOT_READ_ONLY);
		return;
	}
	/* the guest's tables stay */
	if (id % 3 && !stand_below(stand, 4)) {
		stand_slot_delete(stand, id);
		return;
	}
	stand_slot(stand, id, slot->flags ^ VMMU_SLOT_LOG_DIRTY);
}

static void op_dirty(struct stand *stand)
{
	unsigned id = (unsigned)stand_below(stand, 3 * stand->as_count);
	uint64_t bits = (stand->large + 63) / 64 * 64;
	uint64_t *bitmap;

	if (!stand->is_slot_used[id] || !(stand->slot[id].flags & VMMU_SLOT_LOG_DIRTY))
		return;
	stand_op(stand, "dirty");
	bitmap = calloc(1, bits / 8);
	cr_assert_not_null(bitmap);
	cr_assert_eq(vmmu_dirty_get(stand->vm, id / 3, id, bitmap, bits, NULL), 0);
	free(bitmap);
}

static void op_age(struct stand *stand)
{
	uint64_t hva = stand->slot[0].hva + (random_host(stand) << stand->shift);
	struct vmmu_hva_range range = {hva, hva + (UINT64_C(8) << stand->shift)};

	stand_op(stand, "age");
	cr_assert_geq(vmmu_age(stand->vm, &range), 0);
}

/* The same page elsewhere, read-only: as same-page merging does. */
static void op_remap(struct stand *stand)
{
	uint64_t index = random_host(stand);
	struct host_page *host = &stand->host[index];
	uint64_t hva = stand->slot[0].hva + (index << stand->shift);
	struct vmmu_page page;

	if (host->level > 1 || host->is_absent)
		return;
	stand_op(stand, "remap");
	host->is_read_only = stand_below(stand, 4);
	stand_host_move(stand, index, 1, 1);
	page = (struct vmmu_page){.pfn = host->pfn, .level = 1, .writable = !host->is_read_only};
	cr_assert_eq(vmmu_remap(stand->vm, hva, &page), 0);
}

static void op_prefault(struct stand *stand)
{
	unsigned cpu = (unsigned)stand_below(stand, stand->cpu_count);
	uint64_t gpa = stand_gpa(stand, random_gfn(stand)), done;

	stand_op(stand, "prefault");
	cr_assert_eq(vmmu_cpu_enter(stand->cpu[cpu]), 0);
	vmmu_prefault(stand->vcpu[cpu], gpa, UINT64_C(4) << stand->shift, &done);
}

static void op_everything(struct stand *stand)
{
	if (stand_below(stand, 2)) {
		stand_op(stand, "zap all");
		cr_assert_eq(vmmu_zap_all(stand->vm), 0);
		return;
	}
	stand_op(stand, "quota");
	vmmu_tables_quota_set(stand->vm, stand_below(stand, 2) ? 0 : VMMU_TABLES_MIN);
}

static void (*const ops[])(struct stand *stand) = {
	op_map,  op_map,   op_map,   op_switch, op_host,  op_host,     op_host,
	op_slot, op_dirty, op_dirty, op_age,    op_remap, op_prefault, op_everything,
};

static void op_random(struct stand *stand)
{
	uint64_t number = stand_below(stand, sizeof(ops) / sizeof(ops[0]));

	ops[number](stand);
	stand_expect_clean(stand);
}

static void report(struct stand *stand, uint64_t count)
{
	struct vmmu_tlb_stats tlb;
	struct vmmu_stats stats;

	vmmu_tlb_stats(vmmu_cpu_tlb(stand->cpu[0]), &tlb);
	vmmu_vm_stats(stand->vm, &stats);
	fprintf(stderr,
		"  fixed %llu spurious %llu emulate %llu flushes %llu + %llu; cpu 0: hits %llu, "
		"walks %llu (%llu leaves, %llu tables), forgotten %llu; groups %llu - %llu\n",
		(unsigned long long)stats.faults[VMMU_FIXED],
		(unsigned long long)stats.faults[VMMU_SPURIOUS],
		(unsigned long long)stats.faults[VMMU_EMULATE], (unsigned long long)stats.flushes,
		(unsigned long long)stats.local_flushes, (unsigned long long)tlb.combined_hits,
		(unsigned long long)tlb.walks, (unsigned long long)tlb.leaf_hits,
		(unsigned long long)tlb.table_hits, (unsigned long long)tlb.forgotten,
		(unsigned long long)stats.grouped, (unsigned long long)stats.ungrouped);
	if (count < DEFAULT_OPS)
		return;
	cr_assert(tlb.combined_hits > 100 && tlb.walks > 100 && tlb.leaf_hits && tlb.table_hits);
	cr_assert(stats.faults[VMMU_FIXED] > 100 && stats.faults[VMMU_EMULATE]);
	if (stand->info->geometry->group_lg2[1])
		cr_assert(stats.grouped && stats.ungrouped);
}

static void run(const struct vmmu_format *format, const struct stand_options *options,
		uint64_t seed)
{
	uint64_t count = number_from("VMMU_RANDOM_OPS", DEFAULT_OPS);
	struct stand *stand = stand_make(format, options);

	fprintf(stderr, "%s: VMMU_SEED=%llu VMMU_RANDOM_OPS=%llu\n", stand->info->name,
		(unsigned long long)seed, (unsigned long long)count);
	stand->draw = draw_from_seed(seed);
	for (unsigned id = 0; id < 3 * stand->as_count; id++)
		stand_slot(stand, id, 0);
	for (unsigned cpu = 0; cpu < stand->cpu_count; cpu++)
		guest_start(stand, cpu);
	for (unsigned number = 0; number < STAND_GVAS; number++)
		op_map(stand);
	for (uint64_t op = 0; op < count; op++) {
		op_random(stand);
		for (unsigned i = 0; i < OPS_ACCESSES; i++)
			op_access(stand);
		stand_expect_clean(stand);
	}
	report(stand, count);
	stand_end(stand);
}

STAND_TEST(random, two_stages_with_small_tlbs__model_and_walks_agree)
{
	const struct stand_options options = {.has_events = true,
					      .has_spans = true,
					      .address_spaces = 2,
					      .tlb_entries = 16,
					      .tlb_ways = 2};

	run(vmmu_format_at(*index), &options, number_from("VMMU_SEED", DEFAULT_SEED) + *index);
}

STAND_TEST(random, two_stages_with_large_tlbs_and_own_flushes__model_and_walks_agree)
{
	const struct stand_options options = {.flushing = VMMU_FLUSH_NATIVE,
					      .address_spaces = 2,
					      .tlb_entries = 256,
					      .has_spans = true,
					      .eager_split = true};

	run(vmmu_format_at(*index), &options, number_from("VMMU_SEED", DEFAULT_SEED) * 3 + *index);
}
