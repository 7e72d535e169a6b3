/* SPDX-License-Identifier: MIT */
#include "memory/ring.h"

#include "base/mem.h"

#define WORD_BITS 64

struct dirty_ring *ring_create(uint32_t entries, uint32_t reserved)
{
	struct dirty_ring *ring = mem_alloc(sizeof(*ring));

	if (!ring)
		return NULL;
	ring->pages = mem_alloc_array(entries, sizeof(*ring->pages));
	if (!ring->pages) {
		mem_free(ring);
		return NULL;
	}
	list_init(&ring->link);
	ring->mask = entries - 1;
	ring->limit = entries - reserved;
	atomic_init(&ring->pushed, 0);
	atomic_init(&ring->reset, 0);
	return ring;
}

void ring_destroy(struct dirty_ring *ring)
{
	if (!ring)
		return;
	mem_free(ring->pages);
	mem_free(ring);
}

bool ring_push(struct dirty_ring *ring, uint32_t slot, uint64_t page)
{
	uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);

	if (!ring_room(ring))
		return false;
	ring->pages[pushed & ring->mask] = (struct vmmu_dirty_page){.slot = slot, .page = page};
	/* Pairs with ring_harvest(). */
	atomic_store_explicit(&ring->pushed, pushed + 1, memory_order_release);
	return true;
}

uint64_t ring_harvest(struct dirty_ring *ring, struct vmmu_dirty_page *pages, uint64_t count)
{
	/* Pairs with ring_push(). */
	uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_acquire);

	count = min_u64(count, pushed - ring->harvested);
	for (uint64_t i = 0; i < count; i++)
		pages[i] = ring->pages[(ring->harvested + i) & ring->mask];
	ring->harvested += count;
	return count;
}

bool ring_next_word(const struct dirty_ring *ring, uint64_t *at, struct ring_word *word)
{
	word->mask = 0;
	for (; *at < ring->harvested; (*at)++) {
		struct vmmu_dirty_page page = ring->pages[*at & ring->mask];
		uint64_t first = align_down(page.page, WORD_BITS);

		if (word->mask && (word->slot != page.slot || word->first != first))
			break;
		word->slot = page.slot;
		word->first = first;
		word->mask |= BIT64(page.page - first);
	}
	return word->mask != 0;
}
