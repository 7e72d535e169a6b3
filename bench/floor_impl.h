/* SPDX-License-Identifier: MIT */
/*
 * What nobody can undercut: a four-level radix table with EPT's bits, unchecked, without anything
 * around it. FLOOR_CAS 0: plain stores; 1: leaves and tables by compare-exchange, as several
 * writers would need. The figures of docs/performance.md are relative to these two, so they must
 * not change.
 */
#include <stdlib.h>

#include "arena.h"
#include "bench.h"

#define FLOOR_ADDRESS UINT64_C(0x000ffffffffff000)
#define FLOOR_TABLE   7u
#define FLOOR_LEAF    0x37u
#define FLOOR_BLOCK   0xb7u
#define FLOOR_LARGE   0x80u
#define FLOOR_WRITE   2u
#define FLOOR_2M      (UINT64_C(2) << 20)
/* A call as one into a library is: nothing of the caller known inside. */
#define FLOOR_NOINLINE __attribute__((noinline, used))

#define PT_MISS 0

struct pt {
	uint64_t *root;
};

static volatile uint64_t floor_sink;

static inline unsigned floor_index(uint64_t gpa, unsigned level)
{
	return (gpa >> (12 + 9 * level)) & 511;
}

static inline uint64_t *floor_next(uint64_t entry)
{
	return arena_pointer(entry & FLOOR_ADDRESS);
}

/* The table behind entry I, made if it is not there. */
static inline uint64_t *floor_table(uint64_t *table, unsigned i)
{
	uint64_t entry = table[i];
	uint64_t *made;

	if (!__builtin_expect(!entry, 0))
		return floor_next(entry);
	made = arena_zalloc();
	entry = arena_address(made) | FLOOR_TABLE;
#if FLOOR_CAS
	uint64_t old = 0;

	if (!__atomic_compare_exchange_n(&table[i], &old, entry, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		arena_free(made);
		return floor_next(old);
	}
#else
	__atomic_store_n(&table[i], entry, __ATOMIC_RELEASE);
#endif
	return made;
}

/* The level-1 table for gpa, which is there. */
static inline uint64_t *floor_walk_down(const struct pt *pt, uint64_t gpa)
{
	uint64_t *table = pt->root;

	for (unsigned level = 3; level > 0; level--)
		table = floor_next(table[floor_index(gpa, level)]);
	return table;
}

static struct pt *pt_new(const struct bench_run *run)
{
	struct pt *pt = malloc(sizeof(*pt));

	(void)run;
	if (!pt)
		exit(1);
	pt->root = arena_zalloc();
	return pt;
}

static void floor_free(uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < 512; i++)
		if ((table[i] & FLOOR_TABLE) && !(table[i] & FLOOR_LARGE))
			floor_free(floor_next(table[i]), level - 1);
	arena_free(table);
}

static void pt_delete(struct pt *pt)
{
	floor_free(pt->root, 3);
	free(pt);
}

/* Nothing to prepare: the arena's pages have been touched. */
static void pt_warm(struct pt *pt, uint64_t tables)
{
	(void)pt, (void)tables;
}

static void pt_change_begin(struct pt *pt)
{
	(void)pt;
}

static void pt_change_end(struct pt *pt)
{
	(void)pt;
}

static void pt_read_begin(struct pt *pt)
{
	(void)pt;
}

static void pt_read_end(struct pt *pt)
{
	(void)pt;
}

static void floor_map_blocks(const struct pt *pt, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
	for (uint64_t end = gpa + bytes; gpa < end; gpa += FLOOR_2M, hpa += FLOOR_2M) {
		uint64_t *table = floor_table(pt->root, floor_index(gpa, 3));

		table = floor_table(table, floor_index(gpa, 2));
		table[floor_index(gpa, 1)] = hpa | FLOOR_BLOCK;
	}
}

static void floor_map_pages(const struct pt *pt, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
	for (uint64_t end = gpa + bytes; gpa < end;) {
		uint64_t *table = floor_table(pt->root, floor_index(gpa, 3));
		unsigned i = floor_index(gpa, 0);
		uint64_t count = (end - gpa) >> 12;

		table = floor_table(table, floor_index(gpa, 2));
		table = floor_table(table, floor_index(gpa, 1));
		if (count > 512 - i)
			count = 512 - i;
		for (uint64_t k = 0; k < count; k++)
			table[i + k] = (hpa | FLOOR_LEAF) + (k << 12);
		gpa += count << 12;
		hpa += count << 12;
	}
}

FLOOR_NOINLINE static int pt_map(struct pt *pt, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
	uint64_t *table = pt->root;

	if (__builtin_expect(bytes == 4096, 1)) {
		table = floor_table(table, floor_index(gpa, 3));
		table = floor_table(table, floor_index(gpa, 2));
		table = floor_table(table, floor_index(gpa, 1));
#if FLOOR_CAS
		uint64_t old = 0;

		return !__atomic_compare_exchange_n(&table[floor_index(gpa, 0)], &old,
						    hpa | FLOOR_LEAF, 0, __ATOMIC_ACQ_REL,
						    __ATOMIC_ACQUIRE);
#else
		table[floor_index(gpa, 0)] = hpa | FLOOR_LEAF;
		return 0;
#endif
	}
	if (!((gpa | hpa) & (FLOOR_2M - 1)))
		floor_map_blocks(pt, gpa, hpa, bytes);
	else
		floor_map_pages(pt, gpa, hpa, bytes);
	return 0;
}

FLOOR_NOINLINE static uint64_t pt_walk(struct pt *pt, uint64_t gpa)
{
	uint64_t *table = pt->root;
	uint64_t entry = table[floor_index(gpa, 3)];

	if (!(entry & FLOOR_TABLE))
		return 0;
	table = floor_next(entry);
	entry = table[floor_index(gpa, 2)];
	if (!(entry & FLOOR_TABLE))
		return 0;
	if (entry & FLOOR_LARGE)
		return (entry & FLOOR_ADDRESS) | (gpa & 0x3fffffff);
	table = floor_next(entry);
	entry = table[floor_index(gpa, 1)];
	if (!(entry & FLOOR_TABLE))
		return 0;
	if (entry & FLOOR_LARGE)
		return (entry & FLOOR_ADDRESS) | (gpa & 0x1fffff);
	table = floor_next(entry);
	entry = table[floor_index(gpa, 0)];
	if (!(entry & FLOOR_TABLE))
		return 0;
	return (entry & FLOOR_ADDRESS) | (gpa & 0xfff);
}

FLOOR_NOINLINE static int pt_write_protect(struct pt *pt, uint64_t gpa, uint64_t bytes)
{
	for (uint64_t end = gpa + bytes; gpa < end; gpa += FLOOR_2M) {
		uint64_t *table = floor_walk_down(pt, gpa);

		for (unsigned k = 0; k < 512; k++)
			table[k] &= ~(uint64_t)FLOOR_WRITE;
	}
	return 0;
}

/* Give WRITE back to a page. */
FLOOR_NOINLINE static int pt_fix(struct pt *pt, uint64_t gpa)
{
	uint64_t *table = floor_walk_down(pt, gpa);
#if FLOOR_CAS
	uint64_t old = table[floor_index(gpa, 0)];

	return !__atomic_compare_exchange_n(&table[floor_index(gpa, 0)], &old, old | FLOOR_WRITE, 0,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
#else
	table[floor_index(gpa, 0)] |= FLOOR_WRITE;
	return 0;
#endif
}

/* A range takes whole level-1 tables out, looks at every entry (for accounting) and frees them. */
FLOOR_NOINLINE static int pt_unmap(struct pt *pt, uint64_t gpa, uint64_t bytes)
{
	if (bytes == 4096) {
		uint64_t *table = floor_walk_down(pt, gpa);
#if FLOOR_CAS
		__atomic_exchange_n(&table[floor_index(gpa, 0)], 0, __ATOMIC_ACQ_REL);
#else
		table[floor_index(gpa, 0)] = 0;
#endif
		return 0;
	}
	for (uint64_t end = gpa + bytes; gpa < end; gpa += FLOOR_2M) {
		uint64_t *above = floor_next(pt->root[floor_index(gpa, 3)]);
		uint64_t *table, *leaves;
		uint64_t present = 0;

		table = floor_next(above[floor_index(gpa, 2)]);
		leaves = floor_next(table[floor_index(gpa, 1)]);
		table[floor_index(gpa, 1)] = 0;
		for (unsigned k = 0; k < 512; k++)
			present += leaves[k] & 1;
		floor_sink = present;
		arena_free(leaves);
	}
	return 0;
}

/* Replace a 2M block by a table of its pages but the one at gpa. */
FLOOR_NOINLINE static int pt_split(struct pt *pt, uint64_t gpa)
{
	uint64_t *table = floor_next(pt->root[floor_index(gpa, 3)]);
	uint64_t *made = arena_alloc();
	uint64_t entry;

	table = floor_next(table[floor_index(gpa, 2)]);
	entry = table[floor_index(gpa, 1)] & ~(uint64_t)FLOOR_LARGE;
	for (unsigned k = 0; k < 512; k++)
		made[k] = entry + ((uint64_t)k << 12);
	made[floor_index(gpa, 0)] = 0;
	__atomic_store_n(&table[floor_index(gpa, 1)], arena_address(made) | FLOOR_TABLE,
			 __ATOMIC_RELEASE);
	return 0;
}

#include "workload_impl.h"
