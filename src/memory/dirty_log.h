/* SPDX-License-Identifier: MIT */
/*
 * A slot's dirty log: a byte a page, 1 if the page was written, else 0; 256 KiB for each GiB of 4K
 * pages while it is logged. Who marks a page stores to a byte that is that page's alone: no
 * read-modify-write, and vCPUs that write to neighbours share a line with 63 others, not with 511.
 * Who reads takes words of 64 pages, bit n of a word: page n of it.
 *
 * 	here                                   memslot_dirty_take(), _take_some()
 * 	WRITE given (compare-exchange)         byte taken (exchange, of eight)
 * 	byte set (store)                       entry of the page looked at: WRITE taken away
 *
 * The store or the exchange comes first. If it is the exchange, the mark stays for the next time.
 * If it is the store, the look at the entry must see the WRITE that was given before it, although
 * the exchange may read what somebody else stored after it, who knows nothing of that WRITE: hence
 * full fences between both pairs of steps (tests/interleave/litmus.c). x86 needs none: it shows
 * everybody's stores to everybody in one order, and its exchange is a fence. A store that is left
 * out because the byte was found set would need one there, too.
 */
#ifndef VMMU_MEMORY_DIRTY_LOG_H
#define VMMU_MEMORY_DIRTY_LOG_H

#include "memory/slots.h"

/* Pages of a word. */
#define DIRTY_WORD_PAGES 64

/* What each thread sees of this thread's stores, and of its exchanges before loads, is in order. */
static inline void dirty_fence(void)
{
#if defined(__x86_64__)
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Words for PAGES pages. */
static inline uint64_t dirty_words(uint64_t pages)
{
	return pages / DIRTY_WORD_PAGES + !!(pages % DIRTY_WORD_PAGES);
}

/* A log of SLOT, which has none, of clean pages. -ENOMEM. */
int memslot_dirty_make(struct memslot *slot);
/* All pages of SLOT, whose log nobody else sees yet, are dirty. */
void memslot_dirty_fill(struct memslot *slot);

/* The mark of gfn; NULL when there is none. */
static inline _Atomic uint8_t *memslot_dirty_byte(const struct memslot *slot, uint64_t gfn)
{
	uint64_t index = gfn - slot->base_gfn;

	return slot->dirty && index < slot->gfns ? &slot->dirty[index] : NULL;
}

/* gfn was written, or can be from now on. Any thread; nothing without a log. */
static inline void memslot_log_dirty(const struct memslot *slot, uint64_t gfn)
{
	_Atomic uint8_t *mark = memslot_dirty_byte(slot, gfn);

	if (!mark)
		return;
	dirty_fence();
	atomic_store_explicit(mark, 1, memory_order_release);
}

/* Is gfn marked? Any thread; false without a log. */
static inline bool memslot_is_dirty(const struct memslot *slot, uint64_t gfn)
{
	const _Atomic uint8_t *mark = memslot_dirty_byte(slot, gfn);

	return mark && atomic_load_explicit(mark, memory_order_acquire);
}

/* The same of all COUNT gfns from GFN on. */
bool memslot_is_all_dirty(const struct memslot *slot, uint64_t gfn, uint64_t count);

/* Word INDEX of SLOT's log, which has one, as it is. Pages beyond the slot's end are clean. */
uint64_t memslot_dirty_peek(const struct memslot *slot, uint64_t index);
/* The same, and all of it is clean then. One exchange for eight pages that are not. */
uint64_t memslot_dirty_take(struct memslot *slot, uint64_t index);
/* Of WANTED, what is dirty in word INDEX; it is clean then. */
uint64_t memslot_dirty_take_some(struct memslot *slot, uint64_t index, uint64_t wanted);

#endif
