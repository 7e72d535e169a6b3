/* SPDX-License-Identifier: MIT */
/* A pool whose frames are somebody else's, one by one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/frame.h"
#include "base/sanitize.h"

#define RANGE_PAGES 64
#define RANGE_BYTES (RANGE_PAGES * BIT64(12))
/* Begins a page behind a multiple of 2^20: no pointer is aligned as its hpa is. */
#define RANGE_HPA UINT64_C(0x40001000)

static unsigned char *memory; /* of the range */
static struct frame_pool pool;
static unsigned char *next; /* what is lent next; then every page after it */
static unsigned got_count, back_count;
static void *last_put;
static uint64_t last_bytes;

static void *lend(void *ctx, uint64_t bytes)
{
	unsigned char *frame = next;

	cr_assert_eq(ctx, &pool);
	got_count++;
	if (next)
		next += bytes;
	return frame;
}

static void take_back(void *ctx, void *frame, uint64_t bytes)
{
	cr_assert_eq(ctx, &pool);
	back_count++;
	last_put = frame;
	last_bytes = bytes;
}

static void set_up(void)
{
	struct frame_lender lender = {&pool, lend, take_back};

	memory = aligned_alloc(4096, RANGE_BYTES);
	cr_assert_not_null(memory);
	got_count = back_count = 0;
	next = memory + 0x7000;
	cr_assert_eq(frame_pool_init_lent(&pool, memory, RANGE_HPA, RANGE_BYTES, 12, &lender), 0);
}

static void tear_down(void)
{
	frame_pool_destroy(&pool);
	free(memory);
}

TestSuite(frame_lent, .init = set_up, .fini = tear_down);

static void *alloc(unsigned lg2)
{
	bool zeroed = true;
	void *frame = frame_alloc(&pool, lg2, &zeroed);

	cr_assert(!frame || !zeroed, "nobody knows what is in it");
	return frame;
}

Test(frame_lent, frame_of_the_lenders__is_where_its_hpa_says)
{
	cr_assert_eq(alloc(12), memory + 0x7000);
	cr_assert_eq(frame_hpa(&pool, memory + 0x7000), 0x40008000);
	cr_assert_eq(frame_ptr(&pool, 0x40008000), memory + 0x7000);
	cr_assert_eq(got_count, 1);
	/* 0x40009000 is no place for 8 KiB, 0x40010000 one for 64 */
	next = memory + 0xf000;
	cr_assert_eq(alloc(16), memory + 0xf000);
	cr_assert_eq(pool.live_bytes, 0x11000);
	cr_assert_not(pool.is_misled);
}

Test(frame_lent, room_for_some__is_borrowed_ahead_once)
{
	cr_assert(frame_pool_has_room(&pool, 12, 4));
	cr_assert_eq(got_count, 4);
	cr_assert(frame_pool_has_room(&pool, 12, 4));
	cr_assert(alloc(12));
	cr_assert(frame_pool_has_room(&pool, 12, 3));
	cr_assert_eq(got_count, 4);
	cr_assert(frame_pool_has_room(&pool, 12, 4));
	cr_assert_eq(got_count, 5);
	next = NULL;
	cr_assert_not(frame_pool_has_room(&pool, 12, 5));
	cr_assert(frame_pool_has_room(&pool, 12, 4));
}

Test(frame_lent, larger_frame__is_never_cut)
{
	void *large;

	next = memory + 0xf000;
	large = alloc(16);
	frame_free(&pool, large, 16);
	next = NULL;
	cr_assert_null(alloc(12));
	frame_pool_destroy(&pool);
	cr_assert_eq(back_count, 1);
	cr_assert_eq(last_put, large);
	cr_assert_eq(last_bytes, 0x10000);
}

Test(frame_lent, freed_frames__are_kept_up_to_sixteen)
{
	void *frames[20];

	for (unsigned i = 0; i < 20; i++)
		frames[i] = alloc(12);
	for (unsigned i = 0; i < 16; i++)
		frame_free(&pool, frames[i], 12);
	cr_assert_eq(back_count, 0);
	frame_free(&pool, frames[16], 12);
	cr_assert_eq(back_count, 1);
	cr_assert_eq(last_put, frames[16]);
	/* What went back may come again. */
	next = frames[16];
	for (unsigned i = 0; i < 17; i++)
		cr_assert(alloc(12));
	cr_assert_eq(got_count, 21);
	cr_assert_not(pool.is_misled);
}

Test(frame_lent, end_of_the_pool__gives_back_what_is_free)
{
	void *frame = alloc(12);

	cr_assert(frame_pool_has_room(&pool, 12, 3));
	frame_free(&pool, frame, 12);
	frame_pool_destroy(&pool);
	cr_assert_eq(got_count, 4);
	cr_assert_eq(back_count, 4);
}

/* Refused, and nobody is asked again. */
static void check_misled(void *wrong, unsigned lg2)
{
	unsigned before = got_count;

	next = wrong;
	cr_assert_null(alloc(lg2));
	cr_assert(pool.is_misled);
	next = memory + 0x20000;
	cr_assert_null(alloc(12));
	cr_assert_eq(got_count, before + 1);
}

Test(frame_lent, frame_in_front__is_refused)
{
	check_misled(memory - 0x1000, 12);
}

Test(frame_lent, frame_behind__is_refused)
{
	check_misled(memory + RANGE_BYTES, 12);
}

Test(frame_lent, frame_over_the_end__is_refused)
{
	check_misled(memory + 0x3f000, 16);
}

Test(frame_lent, frame_not_aligned_by_its_hpa__is_refused)
{
	check_misled(memory + 0x8000, 13);
}

Test(frame_lent, frame_lent_already__is_refused)
{
	check_misled(alloc(12), 12);
}

Test(frame_lent, frame_lent_and_kept__is_refused)
{
	cr_assert(frame_pool_has_room(&pool, 12, 1));
	cr_assert_eq(got_count, 1);
	cr_assert(alloc(12));
	check_misled(memory + 0x7000, 12);
}

Test(frame_lent, frame_inside_of_one_lent__is_refused)
{
	next = memory + 0xf000;
	cr_assert(alloc(16));
	check_misled(memory + 0x12000, 12);
}

Test(frame_lent, frame_around_one_lent__is_refused)
{
	next = memory + 0x12000;
	cr_assert(alloc(12));
	check_misled(memory + 0xf000, 16);
}

Test(frame_lent, unusable_ranges__are_refused)
{
	struct frame_lender lender = {&pool, lend, take_back};
	struct frame_pool other;

	cr_assert_eq(frame_pool_init_lent(&other, memory, RANGE_HPA, 0, 12, &lender), -EINVAL);
	cr_assert_eq(frame_pool_init_lent(&other, memory, RANGE_HPA, RANGE_BYTES, 11, &lender),
		     -EINVAL);
	cr_assert_eq(frame_pool_init_lent(&other, memory, RANGE_HPA, RANGE_BYTES, 17, &lender),
		     -EINVAL);
	cr_assert_eq(frame_pool_init_lent(&other, memory, RANGE_HPA, 512, 12, &lender), -EINVAL);
	cr_assert_eq(frame_pool_init_lent(&other, memory, 512, RANGE_BYTES, 12, &lender), -EINVAL);
}
