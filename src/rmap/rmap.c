/* SPDX-License-Identifier: MIT */
#include "rmap/rmap.h"

#include <sched.h>

#include "base/bits.h"
#include "base/mem.h"

/*
 * Marks of a head that holds a chain, and of a locked one. Chunks and entries are aligned to 8
 * bytes at least, so the bits are free.
 */
#define RMAP_CHAIN  UINT64_C(1)
#define RMAP_LOCKED UINT64_C(2)

/* Whoever has the mmu lock need not know whether a reader is inside just now. */
static uint64_t rmap_load(const rmap_head *head)
{
	return atomic_load_explicit(head, memory_order_relaxed) & ~RMAP_LOCKED;
}

/* Pairs with the acquires of rmap_reader_begin() and rmap_lock(). Unlocks. */
static void rmap_store(rmap_head *head, uint64_t value)
{
	atomic_store_explicit(head, value, memory_order_release);
}

/*
 * Take the lock of the chain at HEAD, whose value was VALUE a moment ago. False: no chain (any
 * more), *value is what there is instead. Pairs with rmap_store().
 */
static bool rmap_lock(rmap_head *head, uint64_t *value)
{
	while (*value & RMAP_CHAIN) {
		*value &= ~RMAP_LOCKED;
		if (atomic_compare_exchange_weak_explicit(head, value, *value | RMAP_LOCKED,
							  memory_order_acquire,
							  memory_order_acquire))
			return true;
		/* The owner is about to leave, unless it lost its CPU. */
		if (unlikely(*value & RMAP_LOCKED))
			sched_yield();
	}
	return false;
}

/* The mmu lock's owner: keep readers out of the chain at HEAD, if it is one, until rmap_store(). */
static void rmap_lock_chain(rmap_head *head)
{
	uint64_t value = rmap_load(head);

	rmap_lock(head, &value);
}

static void rmap_store_chain(rmap_head *head, struct rmap_chunk *chunk)
{
	rmap_store(head, chunk ? (uintptr_t)chunk | RMAP_CHAIN : 0);
}

/* The chain's newest chunk, or NULL when the head is empty or holds its one entry itself. */
static struct rmap_chunk *rmap_chain(const rmap_head *head)
{
	uint64_t value = rmap_load(head);

	return value & RMAP_CHAIN ? (struct rmap_chunk *)(uintptr_t)(value & ~RMAP_CHAIN) : NULL;
}

/* The one entry of a head without a chain, or NULL. */
static rmap_ptep rmap_single(const rmap_head *head)
{
	uint64_t value = rmap_load(head);

	return value & RMAP_CHAIN ? NULL : (rmap_ptep)(uintptr_t)value;
}

/* A new first chunk in front of NEXT; NULL when the cache is empty. */
static struct rmap_chunk *rmap_chunk_make(struct objcache *cache, struct rmap_chunk *next)
{
	struct rmap_chunk *chunk = objcache_take(cache);

	if (!chunk)
		return NULL;
	chunk->next = next;
	chunk->count = 0;
	chunk->tail_count = next ? next->count + next->tail_count : 0;
	return chunk;
}

/* With an empty cache, against the contract, nothing is added and the answer is 0. */
size_t rmap_add_more(rmap_head *head, rmap_ptep ptep, struct objcache *cache)
{
	struct rmap_chunk *chunk = rmap_chain(head);
	rmap_ptep single = rmap_single(head);

	if (!chunk || chunk->count == RMAP_CHUNK_ENTRIES) {
		chunk = rmap_chunk_make(cache, chunk);
		if (!chunk)
			return 0;
		if (single)
			chunk->entries[chunk->count++] = single;
	}
	rmap_lock_chain(head);
	chunk->entries[chunk->count++] = ptep;
	rmap_store_chain(head, chunk);
	return (size_t)chunk->count + chunk->tail_count;
}

/* The place of PTEP in the chain from CHUNK on, or NULL. */
static rmap_ptep *rmap_chain_find(struct rmap_chunk *chunk, rmap_ptep ptep)
{
	for (; chunk; chunk = chunk->next) {
		for (unsigned i = 0; i < chunk->count; i++) {
			if (chunk->entries[i] == ptep)
				return &chunk->entries[i];
		}
	}
	return NULL;
}

bool rmap_remove(rmap_head *head, rmap_ptep ptep)
{
	struct rmap_chunk *first = rmap_chain(head);
	rmap_ptep *place;

	if (!first) {
		if (!ptep || rmap_single(head) != ptep)
			return false;
		rmap_store(head, 0);
		return true;
	}
	place = rmap_chain_find(first, ptep);
	if (!place)
		return false;
	rmap_lock_chain(head);
	/* The hole is filled from the first chunk, the only one that need not be full. */
	*place = first->entries[--first->count];
	if (first->count) {
		rmap_store_chain(head, first);
	} else {
		rmap_store_chain(head, first->next);
		mem_free(first);
	}
	return true;
}

size_t rmap_count(const rmap_head *head)
{
	const struct rmap_chunk *first = rmap_chain(head);

	if (first)
		return (size_t)first->count + first->tail_count;
	return rmap_single(head) ? 1 : 0;
}

rmap_ptep rmap_first(const rmap_head *head, struct rmap_iter *iter)
{
	iter->chunk = rmap_chain(head);
	iter->pos = 0;
	/* No chunk in a chain is empty. */
	return iter->chunk ? iter->chunk->entries[0] : rmap_single(head);
}

rmap_ptep rmap_next(struct rmap_iter *iter)
{
	if (!iter->chunk)
		return NULL;
	if (++iter->pos == iter->chunk->count) {
		iter->chunk = iter->chunk->next;
		iter->pos = 0;
	}
	return iter->chunk ? iter->chunk->entries[iter->pos] : NULL;
}

rmap_ptep rmap_reader_begin(rmap_head *head, struct rmap_reader *reader)
{
	uint64_t value = atomic_load_explicit(head, memory_order_acquire);
	struct rmap_chunk *chunk = NULL;

	if (rmap_lock(head, &value))
		chunk = (struct rmap_chunk *)(uintptr_t)(value & ~RMAP_CHAIN);
	*reader = (struct rmap_reader){.head = head, .value = value, .iter.chunk = chunk};
	return chunk ? chunk->entries[0] : (rmap_ptep)(uintptr_t)value;
}

void rmap_reader_end(struct rmap_reader *reader)
{
	if (reader->value & RMAP_CHAIN)
		rmap_store(reader->head, reader->value);
}

bool rmap_has(const rmap_head *head, rmap_ptep ptep)
{
	struct rmap_chunk *chunk = rmap_chain(head);

	if (!ptep)
		return false;
	if (chunk)
		return rmap_chain_find(chunk, ptep);
	return rmap_single(head) == ptep;
}

void rmap_clear(rmap_head *head)
{
	struct rmap_chunk *chunk = rmap_chain(head);

	rmap_store(head, 0);
	while (chunk) {
		struct rmap_chunk *next = chunk->next;

		mem_free(chunk);
		chunk = next;
	}
}
