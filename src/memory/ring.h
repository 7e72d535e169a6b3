/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's dirty ring: pages that it wrote, in order, until somebody took note of them and had them
 * protected again.
 *
 * Three counts of entries ever, each no larger than the one before it, the first at most a ring's
 * size ahead of the last: pushed by the vCPU, harvested, reset. One producer, the vCPU's thread,
 * without lock; one consumer at a time, by a lock of its own.
 *
 * 	producer                               consumer
 * 	count reset: acquire           (1)     count pushed: acquire          (3)
 * 	there is room: entry written           entries before it read
 * 	count pushed: release          (2)     pages protected and flushed
 * 	                                       count reset: release           (4)
 *
 * (2) and (3): an entry that counts as pushed is written. (4) and (1): an entry whose place is used
 * again has been read for the last time.
 *
 * What an entry stands for is protected before (4) and after it was harvested, and copied only
 * then: a later write finds the page protected and pushes it anew. A producer gives WRITE first and
 * pushes afterwards. If the page is protected in between, the entry comes late and tells of nothing
 * new; if it was protected before, the entry is the one that is needed.
 */
#ifndef VMMU_MEMORY_RING_H
#define VMMU_MEMORY_RING_H

#include <stdatomic.h>
#include <vmmu/dirty.h>

#include "base/bits.h"
#include "base/list.h"

/* Bytes that producer and consumer should not write in common. */
#define RING_LINE 64

struct dirty_ring {
	struct list link; /* the owner's */
	struct vmmu_dirty_page *pages;
	uint64_t mask;   /* entries - 1 */
	uint64_t limit;  /* entries from which on it counts as full */
	bool has_writer; /* the owner's: it has a vCPU */
	unsigned char before[RING_LINE];
	_Atomic uint64_t pushed; /* written by the producer alone */
	unsigned char after[RING_LINE];
	_Atomic uint64_t reset; /* by the consumer alone */
	uint64_t harvested;     /* the consumer's */
};

/* Pages of one slot within 64 aligned ones. */
struct ring_word {
	uint32_t slot;  /* as in struct vmmu_dirty_page */
	uint64_t first; /* page of the slot, a multiple of 64 */
	uint64_t mask;  /* bit n: page first + n */
};

/*
 * A ring of ENTRIES, a power of two, that counts as full when no more than RESERVED are left. NULL:
 * no memory.
 */
struct dirty_ring *ring_create(uint32_t entries, uint32_t reserved);
void ring_destroy(struct dirty_ring *ring);

/* The producer: how many more entries fit. */
static inline uint64_t ring_room(const struct dirty_ring *ring)
{
	return ring->mask + 1 -
	       (atomic_load_explicit(&ring->pushed, memory_order_relaxed) -
		atomic_load_explicit(&ring->reset, memory_order_acquire));
}

/* The producer: is there less left than is kept in reserve? */
static inline bool ring_is_full(const struct dirty_ring *ring)
{
	return ring->mask + 1 - ring_room(ring) >= ring->limit;
}

/* The producer. False: no room at all, nothing was done. */
bool ring_push(struct dirty_ring *ring, uint32_t slot, uint64_t page);

/* The consumer: copy the next COUNT pages at most, which count as harvested then. How many. */
uint64_t ring_harvest(struct dirty_ring *ring, struct vmmu_dirty_page *pages, uint64_t count);
/*
 * The consumer: of the entries from *at on, which is a count, take those that are harvested and
 * follow each other within one word, and move *at behind them. False: there are none.
 */
bool ring_next_word(const struct dirty_ring *ring, uint64_t *at, struct ring_word *word);
/* The consumer: nobody looks at entries before AT any more. */
static inline void ring_set_reset(struct dirty_ring *ring, uint64_t at)
{
	atomic_store_explicit(&ring->reset, at, memory_order_release);
}
/* The consumer, with no producer left: is there nothing in it? */
static inline bool ring_is_empty(const struct dirty_ring *ring)
{
	return atomic_load_explicit(&ring->reset, memory_order_relaxed) ==
	       atomic_load_explicit(&ring->pushed, memory_order_acquire);
}

#endif
