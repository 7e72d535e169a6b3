/* SPDX-License-Identifier: MIT */
/*
 * Reverse maps: which entries map a gfn. One word per (slot, level, gfn), and per table for its
 * parents.
 *
 * 	0             empty
 * 	bit 0 clear   the place of the one entry (an _Atomic uint64_t *)
 * 	bit 0 set     a chain of struct rmap_chunk, newest first; every chunk but the first is full
 * 	bit 1 set     with bit 0: the chain is locked
 *
 * Functions need the mmu lock exclusively, but for rmap_reader_*(), which need an RCU read
 * section only. The order of entries in a chain means nothing.
 *
 * Readers without the mmu lock:
 *
 * 	reader                                  writer (mmu lock held)
 * 	head = load-acquire                     one entry comes or goes: store-release
 * 	no chain: that entry, or none           (empty <-> one entry <-> chain)
 * 	chain: compare-exchange-acquire bit 1   chain: compare-exchange-acquire bit 1
 * 	read the chunks                         change chunks, free the emptied one
 * 	store-release without bit 1             store-release without bit 1
 *
 * (a) The reader's acquire of the head pairs with the writer's release: the table that an entry
 * found so stands in was complete before the entry came to be in the head. (b) Chunks are read
 * and written under bit 1 alone; its release pairs with the next owner's acquire. (c) An entry
 * that was found may leave its rmap, and its table the tree, at any moment: the table's frame
 * stays what it is until the reader's RCU section ends. So an entry at that place still maps, if
 * it maps anything, what the head was asked for. (d) Empty heads and single entries take no
 * atomic and no lock on either side: nearly all heads are one of those.
 */
#ifndef VMMU_RMAP_RMAP_H
#define VMMU_RMAP_RMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
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

/* rmap_add() to a head that is not empty. */
size_t rmap_add_more(rmap_head *head, rmap_ptep ptep, struct objcache *cache);
/*
 * Add PTEP. Takes at most one chunk from CACHE, which must not be empty. Returns the number of
 * entries now.
 */
static inline size_t rmap_add(rmap_head *head, rmap_ptep ptep, struct objcache *cache)
{
	if (unlikely(atomic_load_explicit(head, memory_order_relaxed)))
		return rmap_add_more(head, ptep, cache);
	/* Pairs with rmap_reader_begin(). */
	atomic_store_explicit(head, (uintptr_t)ptep, memory_order_release);
	return 1;
}
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
/* A reader without the mmu lock; while it is inside a chain, writers of that head wait. */
struct rmap_reader {
	rmap_head *head;
	uint64_t value; /* of the head; a chain: without the lock */
	struct rmap_iter iter;
};

/*
 * Under RCU: the first entry of HEAD, or NULL; then rmap_next(&reader->iter). Between begin and
 * end, which must follow whatever begin returned, the reader neither sleeps nor looks at other
 * heads.
 */
rmap_ptep rmap_reader_begin(rmap_head *head, struct rmap_reader *reader);
void rmap_reader_end(struct rmap_reader *reader);

/* Is PTEP in the map? */
bool rmap_has(const rmap_head *head, rmap_ptep ptep);
/* Forget all entries and free the chunks. */
void rmap_clear(rmap_head *head);

#define rmap_for_each(ptep, iter, head) \
	for ((ptep) = rmap_first((head), (iter)); (ptep); (ptep) = rmap_next(iter))

#endif
