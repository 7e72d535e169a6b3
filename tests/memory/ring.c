/* SPDX-License-Identifier: MIT */
/* One ring, by hand: what is pushed, harvested and reset, round after round. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "memory/ring.h"

static uint64_t at_reset(const struct dirty_ring *ring)
{
	return atomic_load(&ring->reset);
}

static void check_word(const struct ring_word *word, uint32_t slot, uint64_t first, uint64_t mask)
{
	cr_assert_eq(word->slot, slot);
	cr_assert_eq(word->first, first);
	cr_assert_eq(word->mask, mask, "%#llx", (unsigned long long)word->mask);
}

Test(ring, entries__come_out_in_order_and_once)
{
	struct dirty_ring *ring = ring_create(8, 2);
	struct vmmu_dirty_page pages[8];

	for (uint64_t i = 0; i < 5; i++)
		cr_assert(ring_push(ring, 0x10003, 100 + i));
	cr_assert_eq(ring_harvest(ring, pages, 2), 2);
	cr_assert_eq(pages[0].slot, 0x10003);
	cr_assert_eq(pages[0].page, 100);
	cr_assert_eq(pages[1].page, 101);
	cr_assert_eq(ring_harvest(ring, pages, 8), 3);
	cr_assert_eq(pages[0].page, 102);
	cr_assert_eq(pages[2].page, 104);
	cr_assert_eq(ring_harvest(ring, pages, 8), 0);
	ring_destroy(ring);
}

Test(ring, places__are_free_again_after_the_reset_alone)
{
	struct dirty_ring *ring = ring_create(8, 2);
	struct vmmu_dirty_page pages[8];
	uint64_t pushed = 0;

	for (unsigned round = 0; round < 5; round++) {
		cr_assert_eq(ring_room(ring), 8);
		while (ring_push(ring, 1, pushed))
			pushed++;
		cr_assert_eq(pushed, 8 * (round + 1));
		cr_assert_eq(ring_harvest(ring, pages, 8), 8);
		cr_assert_eq(pages[7].page, pushed - 1);
		cr_assert_eq(ring_room(ring), 0, "harvested is not reset");
		cr_assert_not(ring_push(ring, 1, 7));
		ring_set_reset(ring, at_reset(ring) + 8);
		cr_assert(ring_is_empty(ring));
	}
	ring_destroy(ring);
}

Test(ring, reserve__is_left_when_it_counts_as_full)
{
	struct dirty_ring *ring = ring_create(8, 2);

	for (unsigned i = 0; i < 6; i++) {
		cr_assert_not(ring_is_full(ring), "%u entries", i);
		cr_assert(ring_push(ring, 1, i));
	}
	cr_assert(ring_is_full(ring));
	cr_assert_eq(ring_room(ring), 2);
	cr_assert(ring_push(ring, 1, 6));
	cr_assert(ring_is_full(ring));
	cr_assert_not(ring_is_empty(ring));
	ring_destroy(ring);
}

/* Pages of one word that follow each other are one: forwards, backwards and twice. */
Test(ring, neighbours__are_reset_together)
{
	static const struct {
		uint32_t slot;
		uint64_t page;
	} entries[] = {{1, 64},  {1, 127}, {1, 65}, {1, 64}, {1, 128},
		       {2, 129}, {2, 63},  {2, 0},  {1, 0},  {1, UINT64_MAX}};
	struct dirty_ring *ring = ring_create(16, 2);
	struct vmmu_dirty_page pages[16];
	uint64_t at = 0;
	struct ring_word word;

	for (unsigned i = 0; i < ARRAY_COUNT(entries); i++)
		cr_assert(ring_push(ring, entries[i].slot, entries[i].page));
	cr_assert_not(ring_next_word(ring, &at, &word), "nothing is harvested yet");
	cr_assert_eq(ring_harvest(ring, pages, 16), 10);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 1, 64, UINT64_C(1) << 63 | 3);
	cr_assert_eq(at, 4);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 1, 128, 1);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 2, 128, 2);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 2, 0, UINT64_C(1) << 63 | 1);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 1, 0, 1);
	cr_assert(ring_next_word(ring, &at, &word));
	check_word(&word, 1, UINT64_MAX - 63, UINT64_C(1) << 63);
	cr_assert_not(ring_next_word(ring, &at, &word));
	cr_assert_eq(at, 10);
	ring_destroy(ring);
}

static long countdown;

static void *failing_alloc(size_t bytes)
{
	return countdown-- ? calloc(1, bytes) : NULL;
}

Test(ring, no_memory__leaves_nothing_behind)
{
	static const struct mem_ops failing = {.alloc = failing_alloc, .free = free};
	size_t before = mem_live();

	mem_ops_set(&failing);
	for (long n = 0; n < 2; n++) {
		countdown = n;
		cr_assert_null(ring_create(8, 2));
		cr_assert_eq(mem_live(), before);
	}
	mem_ops_set(NULL);
	ring_destroy(NULL);
}
