/* SPDX-License-Identifier: MIT */
/*
 * A tree of one format without a VM around it, and everything that it tells its owner. Template:
 * include after an instance header of a format whose level-2 entries cover 512 gfns.
 */
#ifndef TESTS_WALKER_BENCH_H
#define TESTS_WALKER_BENCH_H

#include <criterion/criterion.h>

#include "walker/protect_impl.h"
#include "walker/walk_impl.h"

#define BENCH_NOTES 16

/* A change that hardware must not see happen in one step, on Arm. */
#define IS_BREAK_FIRST ((FMT_CAPS & VMMU_CAP_BREAK_FIRST) != 0)

struct bench {
	struct tree tree;
	struct vmmu_flush flushes[BENCH_NOTES];
	unsigned flush_count;
	struct vmmu_event events[BENCH_NOTES];
	unsigned event_count;
	unsigned bugs;
	_Atomic uint64_t *watched; /* looked at during each flush */
	uint64_t seen;             /* what it held then */
};

static void bench_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct bench *bench = ctx;

	cr_assert_lt(bench->flush_count, BENCH_NOTES);
	bench->flushes[bench->flush_count++] = *flush;
	if (bench->watched)
		bench->seen = *bench->watched;
}

static void bench_event(void *ctx, const struct vmmu_event *event)
{
	struct bench *bench = ctx;

	cr_assert_lt(bench->event_count, BENCH_NOTES);
	bench->events[bench->event_count++] = *event;
}

static void bench_bug(void *ctx, const char *what)
{
	struct bench *bench = ctx;

	(void)what;
	bench->bugs++;
}

static void bench_open(struct bench *bench)
{
	struct tree_hooks hooks = {
		.ctx = bench, .flush = bench_flush, .event = bench_event, .bug = bench_bug};

	memset(bench, 0, sizeof(*bench));
	cr_assert_eq(tree_init(&bench->tree, &fmt_geometry, UINT64_C(1) << 32, 1 << 20, &hooks), 0);
}

static void bench_close(struct bench *bench)
{
	tree_destroy(&bench->tree);
}

/* A table with absent entries, which are 0 in these formats. */
static struct table *bench_table(struct bench *bench, unsigned as_id, uint64_t gfn, unsigned level)
{
	bool is_zeroed;
	struct table *table = tree_alloc(&bench->tree, as_id, gfn, level, &is_zeroed);

	cr_assert(table && is_zeroed);
	return table;
}

/* A writable leaf, accessed and dirty: hardware has nothing to set in it. */
static uint64_t bench_leaf(uint64_t pfn, unsigned level)
{
	struct vmmu_leaf leaf = {.pfn = pfn,
				 .access = VMMU_RWX,
				 .host_writable = true,
				 .mmu_writable = true,
				 .accessed = true,
				 .dirty = true};

	return fmt_make_leaf(leaf, level);
}

/* The same page, another memory type: on Arm not in one step. */
static inline uint64_t bench_uncached(uint64_t pte, unsigned level)
{
	struct vmmu_leaf leaf = {.pfn = fmt_leaf_pfn(pte, level),
				 .access = VMMU_RWX,
				 .memtype = VMMU_MEM_NONCACHEABLE,
				 .host_writable = true,
				 .mmu_writable = true,
				 .accessed = true,
				 .dirty = true};

	return fmt_make_leaf(leaf, level);
}

static inline void bench_expect_owed(const struct bench *bench, unsigned as_id, uint64_t start,
				     uint64_t end)
{
	cr_assert_eq(bench->tree.pending[as_id].start, start);
	cr_assert_eq(bench->tree.pending[as_id].end, end);
}

static inline void bench_expect_nothing_owed(const struct bench *bench)
{
	for (unsigned as_id = 0; as_id < VMMU_ADDRESS_SPACES_MAX; as_id++)
		bench_expect_owed(bench, as_id, UINT64_MAX, 0);
}

/* The last flush, and how many there were. */
static inline void bench_expect_flushed(const struct bench *bench, unsigned count, uint64_t start,
					uint64_t end)
{
	cr_assert_eq(bench->flush_count, count);
	cr_assert_eq(bench->flushes[count - 1].gfn_start, start);
	cr_assert_eq(bench->flushes[count - 1].gfn_end, end);
	cr_assert(!bench->flushes[count - 1].local);
}

#endif
