/* SPDX-License-Identifier: MIT */
#include "rmap/rmap.h"

#include <criterion/criterion.h>

#include "base/bits.h"
#include "base/mem.h"
#include "base/random.h"

#define PLACES 5000

/* Stand-ins for table entries: only their addresses count. */
static _Atomic uint64_t places[PLACES];
static rmap_head head;
static struct objcache cache;
static size_t live_before;

static void setup(void)
{
	live_before = mem_live();
	objcache_init(&cache, sizeof(struct rmap_chunk));
}

static void teardown(void)
{
	rmap_clear(&head);
	objcache_destroy(&cache);
	cr_assert_eq(head, 0);
	cr_assert_eq(mem_live(), live_before, "a chunk leaked");
}

TestSuite(rmap, .init = setup, .fini = teardown);

static size_t add(unsigned place)
{
	cr_assert_eq(objcache_topup(&cache, 1), 0);
	return rmap_add(&head, &places[place], &cache);
}

static void add_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(add(i), i + 1);
}

/* The shape that the header promises, seen from outside of the functions under test. */
static void check_shape(size_t expected)
{
	const struct rmap_chunk *chunk;
	size_t behind;

	if (!(head & 1)) {
		cr_assert_eq(expected, head ? 1 : 0);
		return;
	}
	chunk = (const struct rmap_chunk *)(uintptr_t)(head & ~UINT64_C(1));
	cr_assert(chunk->count >= 1 && chunk->count <= 14);
	behind = expected - chunk->count;
	cr_assert_eq(chunk->tail_count, behind);
	for (chunk = chunk->next; chunk; chunk = chunk->next) {
		cr_assert_eq(chunk->count, 14);
		behind -= 14;
		cr_assert_eq(chunk->tail_count, behind);
	}
	cr_assert_eq(behind, 0);
}

/* Iteration visits exactly the places with in[] set, each once. */
static void check_content(const bool *in, size_t expected)
{
	static unsigned visited[PLACES];
	static unsigned round;
	struct rmap_iter iter;
	rmap_ptep ptep;
	size_t count = 0;

	round++;
	rmap_for_each(ptep, &iter, &head)
	{
		size_t place = (size_t)(ptep - places);

		cr_assert_lt(place, PLACES);
		cr_assert(in[place]);
		cr_assert_neq(visited[place], round);
		visited[place] = round;
		count++;
	}
	cr_assert_eq(count, expected);
	cr_assert_eq(rmap_count(&head), expected);
	check_shape(expected);
}

Test(rmap, empty__has_nothing)
{
	struct rmap_iter iter;

	cr_assert_eq(rmap_count(&head), 0);
	cr_assert_null(rmap_first(&head, &iter));
	cr_assert_null(rmap_next(&iter));
	cr_assert_not(rmap_has(&head, &places[0]));
	cr_assert_not(rmap_has(&head, NULL));
	cr_assert_not(rmap_remove(&head, &places[0]));
	cr_assert_not(rmap_remove(&head, NULL));
	rmap_clear(&head);
	cr_assert_eq(head, 0);
}

Test(rmap, one_entry__is_in_the_head_itself)
{
	struct rmap_iter iter;

	cr_assert_eq(add(3), 1);
	cr_assert_eq(head, (uintptr_t)&places[3]);
	cr_assert_eq(cache.count, OBJCACHE_CAPACITY, "no chunk was taken");
	cr_assert_eq(rmap_first(&head, &iter), &places[3]);
	cr_assert_null(rmap_next(&iter));
	cr_assert_null(rmap_next(&iter));
	cr_assert(rmap_has(&head, &places[3]));
	cr_assert_not(rmap_has(&head, &places[2]));
	cr_assert_not(rmap_has(&head, NULL));
	cr_assert_not(rmap_remove(&head, &places[2]));
	cr_assert_eq(rmap_count(&head), 1);
	cr_assert(rmap_remove(&head, &places[3]));
	cr_assert_eq(head, 0);
}

Test(rmap, second_entry__makes_a_chunk)
{
	add_many(2);
	cr_assert_eq(head & 1, 1);
	cr_assert_eq(cache.count, OBJCACHE_CAPACITY - 1);
	check_shape(2);
	cr_assert(rmap_has(&head, &places[0]));
	cr_assert(rmap_has(&head, &places[1]));
	cr_assert_not(rmap_has(&head, &places[2]));
}

Test(rmap, full_chunk__gets_a_new_one_in_front)
{
	const struct rmap_chunk *chunk;

	add_many(14);
	check_shape(14);
	cr_assert_eq(mem_live(), live_before + OBJCACHE_CAPACITY);
	cr_assert_eq(add(14), 15);
	chunk = (const struct rmap_chunk *)(uintptr_t)(head & ~UINT64_C(1));
	cr_assert_eq(chunk->count, 1);
	cr_assert_eq(chunk->entries[0], &places[14]);
	cr_assert_eq(chunk->tail_count, 14);
	cr_assert_null(chunk->next->next);
	check_shape(15);
}

Test(rmap, removal_from_the_last_chunk__fills_the_hole_from_the_first)
{
	bool in[PLACES] = {false};

	add_many(30);
	for (unsigned i = 0; i < 30; i++)
		in[i] = true;
	/* 0 stands in the chunk made first, which stays full. */
	cr_assert(rmap_remove(&head, &places[0]));
	in[0] = false;
	check_content(in, 29);
	cr_assert_not(rmap_has(&head, &places[0]));
	cr_assert_not(rmap_remove(&head, &places[0]), "gone already");
	check_content(in, 29);
}

Test(rmap, emptied_chunk__is_freed_at_once)
{
	size_t live;

	add_many(15);
	live = mem_live();
	cr_assert(rmap_remove(&head, &places[2]));
	cr_assert_eq(mem_live(), live - 1);
	check_shape(14);
	for (unsigned i = 0; i < 15; i++)
		cr_assert_eq(rmap_remove(&head, &places[i]), i != 2);
	cr_assert_eq(head, 0);
	cr_assert_eq(mem_live(), live - 2);
}

Test(rmap, clear__forgets_all_and_frees_the_chunks)
{
	size_t live;

	add_many(43);
	live = mem_live();
	rmap_clear(&head);
	cr_assert_eq(head, 0);
	cr_assert_eq(mem_live(), live - 4, "14 + 14 + 14 + 1");
	cr_assert_eq(add(7), 1);
}

Test(rmap, empty_cache__adds_nothing)
{
	struct objcache empty;

	objcache_init(&empty, sizeof(struct rmap_chunk));
	cr_assert_eq(rmap_add(&head, &places[0], &empty), 1, "needs no chunk");
	cr_assert_eq(rmap_add(&head, &places[1], &empty), 0);
	cr_assert_eq(rmap_count(&head), 1);
	cr_assert(rmap_has(&head, &places[0]));
	rmap_clear(&head);
	add_many(14);
	cr_assert_eq(rmap_add(&head, &places[14], &empty), 0);
	check_shape(14);
}

Test(rmap, two_heads__share_nothing)
{
	rmap_head other = 0;

	add_many(3);
	cr_assert_eq(objcache_topup(&cache, 1), 0);
	rmap_add(&other, &places[1], &cache);
	rmap_add(&other, &places[4], &cache);
	cr_assert(rmap_remove(&head, &places[1]));
	cr_assert(rmap_has(&other, &places[1]));
	cr_assert_eq(rmap_count(&other), 2);
	rmap_clear(&other);
	cr_assert_eq(rmap_count(&head), 2);
}

/* Random changes about a wanted size; the flat set is the judge. */
static void run_random(struct random_state *random, size_t size, unsigned steps)
{
	static bool in[PLACES];
	size_t count = 0;

	for (unsigned i = 0; i < PLACES; i++)
		in[i] = false;
	for (unsigned step = 0; step < steps + size; step++) {
		bool grow = count < size && (count < size / 2 || random_u64(random) & 1);
		unsigned place = (unsigned)random_below(random, PLACES);

		while (count && count < PLACES && in[place] == grow)
			place = (place + 1) % PLACES;
		cr_assert_eq(rmap_has(&head, &places[place]), in[place]);
		if (in[place]) {
			cr_assert(rmap_remove(&head, &places[place]));
			in[place] = false;
			count--;
		} else {
			cr_assert_not(rmap_remove(&head, &places[place]));
			in[place] = true;
			cr_assert_eq(add(place), ++count);
		}
		if (size < 50 || step % 97 == 0)
			check_content(in, count);
	}
	check_content(in, count);
	rmap_clear(&head);
}

Test(rmap, random_changes__agree_with_a_flat_set)
{
	static const size_t sizes[] = {1, 2, 3, 14, 15, 16, 28, 29, 100, 1000, PLACES};
	struct random_state random = random_start(2);

	for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++)
		run_random(&random, sizes[i], 1500);
}
