/* SPDX-License-Identifier: MIT */
#include "tracing/replay_spans.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/mem.h"

static void expect_spans(const struct replay_spans *set, size_t count, const uint64_t *edges)
{
	size_t i;

	cr_assert(eq(sz, set->count, count));
	for (i = 0; i < count; i++) {
		cr_expect(eq(u64, set->spans[i].start, edges[2 * i]));
		cr_expect(eq(u64, set->spans[i].end, edges[2 * i + 1]));
	}
}

Test(replay_spans, overlapping_and_touching_spans__become_one)
{
	struct replay_spans set = {0};

	replay_spans_add(&set, 10, 20);
	replay_spans_add(&set, 30, 40);
	expect_spans(&set, 2, (const uint64_t[]){10, 20, 30, 40});
	replay_spans_add(&set, 20, 30);
	expect_spans(&set, 1, (const uint64_t[]){10, 40});
	replay_spans_add(&set, 0, 100);
	expect_spans(&set, 1, (const uint64_t[]){0, 100});
	replay_spans_add(&set, 50, 60);
	expect_spans(&set, 1, (const uint64_t[]){0, 100});
	replay_spans_clear(&set);
}

Test(replay_spans, removing_the_middle__leaves_both_ends)
{
	struct replay_spans set = {0};

	replay_spans_add(&set, 0, 100);
	replay_spans_remove(&set, 40, 60);
	expect_spans(&set, 2, (const uint64_t[]){0, 40, 60, 100});
	/* Touching, not meeting: nothing changes. */
	replay_spans_remove(&set, 40, 60);
	expect_spans(&set, 2, (const uint64_t[]){0, 40, 60, 100});
	replay_spans_remove(&set, 30, 70);
	expect_spans(&set, 2, (const uint64_t[]){0, 30, 70, 100});
	replay_spans_remove(&set, 0, 100);
	expect_spans(&set, 0, NULL);
	replay_spans_clear(&set);
}

Test(replay_spans, edges__are_half_open)
{
	struct replay_spans set = {0};

	replay_spans_add(&set, 10, 20);
	cr_assert(not(replay_spans_has(&set, 9)));
	cr_assert(replay_spans_has(&set, 10));
	cr_assert(replay_spans_has(&set, 19));
	cr_assert(not(replay_spans_has(&set, 20)));
	cr_assert(not(replay_spans_has(&set, UINT64_MAX)));
	replay_spans_clear(&set);
}

Test(replay_spans, empty_or_inverted__changes_nothing)
{
	struct replay_spans set = {0};

	cr_assert(eq(int, replay_spans_remove(&set, 1, 2), 0));
	cr_assert(eq(int, replay_spans_add(&set, 5, 5), 0));
	cr_assert(eq(int, replay_spans_add(&set, 6, 5), 0));
	cr_assert(eq(sz, set.count, 0));
}

Test(replay_spans, too_many_spans__are_refused_and_the_set_stays)
{
	struct replay_spans set = {0};
	uint64_t i;

	for (i = 0; i < REPLAY_SPANS_MAX; i++)
		cr_assert(eq(int, replay_spans_add(&set, 4 * i, 4 * i + 1), 0));
	cr_assert(lt(int, replay_spans_add(&set, 4 * i, 4 * i + 1), 0));
	cr_assert(eq(sz, set.count, REPLAY_SPANS_MAX));
	cr_assert(not(replay_spans_has(&set, 4 * i)));
	/* What needs no more room still goes in. */
	cr_assert(eq(int, replay_spans_add(&set, 1, 4), 0));
	cr_assert(eq(sz, set.count, REPLAY_SPANS_MAX - 1));
	replay_spans_clear(&set);
}

/* The same operations on a set of 64 flags: every answer must agree. */
Test(replay_spans, random_operations__agree_with_a_bitmap)
{
	struct replay_spans set = {0};
	unsigned char flags[64] = {0};
	uint32_t seed = 12345;
	unsigned round, i;

	for (round = 0; round < 20000; round++) {
		unsigned start, end;

		seed = seed * 1664525 + 1013904223;
		start = seed >> 8 & 63;
		end = start + (seed >> 16 & 15);
		end = end > 64 ? 64 : end;
		if (seed >> 31)
			replay_spans_add(&set, start, end);
		else
			replay_spans_remove(&set, start, end);
		if (end > start)
			memset(flags + start, (int)(seed >> 31), end - start);
		for (i = 0; i < 64; i++)
			cr_assert(eq(int, replay_spans_has(&set, i), flags[i]), "round %u", round);
	}
	for (i = 1; i < set.count; i++)
		cr_assert(lt(u64, set.spans[i - 1].end, set.spans[i].start));
	replay_spans_clear(&set);
}
