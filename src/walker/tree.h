/* SPDX-License-Identifier: MIT */
/*
 * The tables of one VM: frames, the hash that finds a table by what it maps, the list of all,
 * pending flushes, and the tables on their way out.
 *
 * A table leaves in this order: unlinked from its parents; flush; tree_retire(); a grace period;
 * freed. vm_reap() does the last two. Everything here needs the mmu lock exclusively, but for
 * what lockless readers may do: follow entries under RCU.
 */
#ifndef VMMU_WALKER_TREE_H
#define VMMU_WALKER_TREE_H

#include <vmmu/env.h>
#include <vmmu/event.h>
#include <vmmu/format.h>

#include "walker/table.h"

#define TREE_FRAME_LG2_MIN 12u

/* What the tree needs from its owner; CTX is handed back. */
struct tree_hooks {
	void *ctx;
	void (*flush)(void *ctx, const struct vmmu_flush *flush); /* never NULL */
	void (*event)(void *ctx, const struct vmmu_event *event); /* NULL: no events */
	void (*bug)(void *ctx, const char *what);                 /* never NULL */
};

/*
 * What a writer under the shared lock did to the counts of the tree: differences, modulo 2^64.
 * Added to them by whoever has the lock exclusively.
 */
struct tree_books {
	uint64_t leaves[VMMU_LEVELS_MAX + 1];
	uint64_t links;
	uint64_t mmio_entries;
	uint64_t nx_tables;
	uint64_t ungrouped;
	uint64_t live, live_bytes;
};

/* gfns of one address space that some TLB may still hold wrongly; start > end: none. */
struct tree_pending {
	uint64_t start, end;
};

struct tree {
	struct frame_pool frames;
	const struct vmmu_geometry *geometry;
	unsigned below_lg2;  /* lg2 bytes of the largest table below a root */
	uint32_t below_lg2s; /* bit n: a table of 2^n bytes may stand below a root */
	bool is_misled;      /* hooks.bug was told of a frame that no lender may lend */
	struct tree_hooks hooks;
	struct table **buckets;
	uint32_t bucket_count; /* a power of two */
	uint32_t hashed;
	struct list tables; /* newest first */
	/* Cut off with all below them; still in every count. Linked by hash_next, never hashed. */
	struct table *detached;
	struct table *retired; /* unlinked and flushed, awaiting a grace period */
	uint64_t retired_count;
	uint64_t live; /* tables allocated and not retired */
	uint64_t live_bytes;
	uint64_t leaves[VMMU_LEVELS_MAX + 1];
	uint64_t links; /* entries that point to tables */
	uint64_t mmio_entries;
	uint64_t nx_tables; /* those with TABLE_NX_POSSIBLE */
	uint64_t ungrouped; /* groups taken apart, since creation */
	struct tree_pending pending[VMMU_ADDRESS_SPACES_MAX];
	_Atomic uint8_t
		/* 0, 1: two values do, since obsolete tables go before it turns again */
		generation;
};

/* Where a tree's frames come from: see frame.h. */
struct tree_memory {
	void *memory; /* NULL: a range of our own */
	uint64_t hpa, bytes;
	const struct frame_lender
		*lender; /* frames of MEMORY one by one; NULL: all of it is ours */
};

/* -EINVAL: what FROM says of its memory; -ENOMEM. */
int tree_init_over(struct tree *tree, const struct vmmu_geometry *geometry,
		   const struct tree_memory *from, const struct tree_hooks *hooks);
static inline int tree_init(struct tree *tree, const struct vmmu_geometry *geometry, uint64_t hpa,
			    uint64_t bytes, const struct tree_hooks *hooks)
{
	struct tree_memory own = {.hpa = hpa, .bytes = bytes};

	return tree_init_over(tree, geometry, &own, hooks);
}
void tree_destroy(struct tree *tree);

/* lg2 bytes of the frame behind a table at LEVEL: small roots still take a whole smallest frame. */
static inline unsigned tree_table_lg2(const struct tree *tree, unsigned level)
{
	unsigned lg2 = tree->geometry->table_lg2[level];

	return lg2 < TREE_FRAME_LG2_MIN ? TREE_FRAME_LG2_MIN : lg2;
}

/*
 * lg2 bytes of the frame that TABLE has. Those of tdp roots, and of shared updates, come from
 * stocks of one size of frame, large enough for every level but a root's.
 */
static inline unsigned tree_frame_lg2(const struct tree *tree, const struct table *table)
{
	bool is_below = table->level < tree->geometry->levels;

	return is_below && ((table->flags & TABLE_TDP) || table->is_stocked)
		       ? tree->below_lg2
		       : tree_table_lg2(tree, table->level);
}

/* Add BOOKS to the counts of TREE, and clear them. */
void tree_fold(struct tree *tree, struct tree_books *books);

/* Can TABLES tables below a root be made without failing? May grow the hash, and borrow frames. */
bool tree_has_room(struct tree *tree, unsigned tables);
/* The valid table of this generation that maps gfn at level, or NULL. */
struct table *tree_find(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level);
/*
 * A new table, in hash and list, its entries uninitialised unless *zeroed. NULL: out of frames
 * (never after tree_has_room()).
 */
struct table *tree_alloc(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level,
			 bool *zeroed);
/* The same for trees where nobody looks a table up by what it maps: tree_find() does not see it. */
struct table *tree_alloc_unhashed(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level,
				  bool *zeroed);
/* A frame for any table below a root; NULL: out of frames. To be given back by frame_free(). */
void *tree_frame_take(struct tree *tree, bool *zeroed);
/* The record of FRAME, one of this tree's pool, made a table's. In no list, in no count. */
static inline struct table *tree_table_make(const struct tree *tree, void *frame, unsigned as_id,
					    uint64_t gfn, unsigned level)
{
	struct table *table = frame_meta(&tree->frames, frame);

	table->gfn = gfn;
	table->level = (uint8_t)level;
	table->as_id = (uint8_t)as_id;
	table->generation = atomic_load_explicit(&tree->generation, memory_order_relaxed);
	return table;
}
/* TABLE, which is in no books but the tree's, gets NX flags, or loses those that it has. */
void tree_nx_mark(struct tree *tree, struct table *table, unsigned flags);
void tree_nx_unmark(struct tree *tree, struct table *table);
/* No longer findable. Still listed. */
void tree_unhash(struct tree *tree, struct table *table);
/* Unlinked everywhere: goes to the retired once pending flushes are out. */
void tree_retire(struct tree *tree, struct table *table);
/*
 * The retired tables, taken off the tree, linked by hash_next: to be given to tree_free() after a
 * grace period.
 */
struct table *tree_take_retired(struct tree *tree);
void tree_free(struct tree *tree, struct table *retired);

/* gfns [start, end) of an address space must be flushed before the lock is dropped. */
static inline void tree_owe_flush(struct tree *tree, unsigned as_id, uint64_t start, uint64_t end)
{
	struct tree_pending *pending = &tree->pending[as_id];

	pending->start = min_u64(pending->start, start);
	pending->end = max_u64(pending->end, end);
}

/* Is a flush owed? */
static inline bool tree_is_flush_owed(const struct tree *tree)
{
	bool is_owed = false;

	for (unsigned as = 0; as < VMMU_ADDRESS_SPACES_MAX; as++)
		is_owed |= tree->pending[as].start < tree->pending[as].end;
	return is_owed;
}

/* Flush what is owed. */
void tree_flush_owed(struct tree *tree);
static inline void tree_flush(struct tree *tree)
{
	if (tree_is_flush_owed(tree))
		tree_flush_owed(tree);
}

/* Made before the last zap of everything? */
static inline bool tree_is_obsolete(const struct tree *tree, const struct table *table)
{
	return table->generation != atomic_load_explicit(&tree->generation, memory_order_acquire) ||
	       (atomic_load_explicit(&table->flags, memory_order_acquire) & TABLE_INVALID);
}

/* The table's entries. */
static inline _Atomic uint64_t *tree_entries(const struct tree *tree, const struct table *table)
{
	return frame_of_meta(&tree->frames, table);
}

static inline uint64_t tree_table_hpa(const struct tree *tree, const struct table *table)
{
	return frame_hpa(&tree->frames, frame_of_meta(&tree->frames, table));
}

/* The record of the table at HPA, which an entry of this tree gave. */
static inline struct table *tree_table_at(const struct tree *tree, uint64_t hpa)
{
	return frame_meta(&tree->frames, frame_ptr(&tree->frames, hpa));
}

#endif
