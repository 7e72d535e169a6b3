/* SPDX-License-Identifier: MIT */
/*
 * Reverse maps: which entries map a gfn. One word per (slot, level, gfn), and per table for its
 * parents.
 *
 * 	0             empty
 * 	bit 0 clear   the place of the one entry (an _Atomic uint64_t *)
 * 	bit 0 set     a chain of struct rmap_chunk, newest first; every chunk but the first is full
 *
 * All functions need the mmu lock exclusively. The order of entries in a chain means nothing.
 */
#ifndef VMMU_RMAP_RMAP_H
#define VMMU_RMAP_RMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/objcache.h"

typedef _Atomic uint64_t rmap_head;
typedef _Atomic uint64_t *rmap_ptep;

#define RMAP_CHUNK_ENTRIES 14

struct rmap_chunk {
	struct rmap_chunk *next;
	uint32_t count;      /* entries in this chunk */
	uint32_t tail_count; /* entries in all chunks behind it */
	rmap_ptep entries[RMAP_CHUNK_ENTRIES];
};

/* Where an iteration stands. */
struct rmap_iter {
	struct rmap_chunk *chunk;
	unsigned pos;
};

/*
 * Add PTEP. Takes at most one chunk from CACHE, which must not be empty. Returns the number of
 * entries now.
 */
size_t rmap_add(rmap_head *head, rmap_ptep ptep, struct objcache *cache);
/*
 * Remove PTEP, freeing an emptied chunk. False: it was not there (a broken invariant: nothing
 * changed).
 */
bool rmap_remove(rmap_head *head, rmap_ptep ptep);
/* Number of entries, O(1). */
size_t rmap_count(const rmap_head *head);
/* First entry, or NULL; then the next. Removing any entry ends the iteration: start again. */
rmap_ptep rmap_first(const rmap_head *head, struct rmap_iter *iter);
rmap_ptep rmap_next(struct rmap_iter *iter);
/* Is PTEP in the map? */
bool rmap_has(const rmap_head *head, rmap_ptep ptep);
/* Forget all entries and free the chunks. */
void rmap_clear(rmap_head *head);

#define rmap_for_each(ptep, iter, head) \
	for ((ptep) = rmap_first((head), (iter)); (ptep); (ptep) = rmap_next(iter))

#endif
