/* SPDX-License-Identifier: MIT */
/* Ranges of private gfns, against an array with a byte for each gfn. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/draw.h"
#include "base/mem.h"
#include "memory/attributes.h"

#define GFNS 200

static void replace(struct attributes **attributes, uint64_t start, uint64_t end,
		    enum attributes_extent extent)
{
	struct attributes *next;

	cr_assert_eq(attributes_make(*attributes, start, end, extent, &next), 0);
	mem_free(*attributes);
	*attributes = next;
}

static void check_shape(const struct attributes *attributes)
{
	for (size_t i = 0; attributes && i < attributes->count; i++) {
		cr_assert_lt(attributes->ranges[i].start, attributes->ranges[i].end);
		if (i)
			cr_assert_lt(attributes->ranges[i - 1].end, attributes->ranges[i].start,
				     "neighbours are one range");
	}
	cr_assert(!attributes || attributes->count);
}

Test(attributes, ranges_that_touch_or_overlap__become_one)
{
	struct attributes *attributes = NULL;

	replace(&attributes, 10, 20, ATTRIBUTES_ALL);
	replace(&attributes, 30, 40, ATTRIBUTES_ALL);
	cr_assert_eq(attributes->count, 2);
	replace(&attributes, 20, 30, ATTRIBUTES_ALL);
	cr_assert_eq(attributes->count, 1);
	cr_assert_eq(attributes->ranges[0].start, 10);
	cr_assert_eq(attributes->ranges[0].end, 40);
	replace(&attributes, 5, 15, ATTRIBUTES_ALL);
	cr_assert_eq(attributes->count, 1);
	cr_assert_eq(attributes->ranges[0].start, 5);
	replace(&attributes, 12, 13, ATTRIBUTES_NONE);
	cr_assert_eq(attributes->count, 2);
	cr_assert_eq(attributes->ranges[0].end, 12);
	cr_assert_eq(attributes->ranges[1].start, 13);
	replace(&attributes, 0, UINT64_MAX, ATTRIBUTES_NONE);
	cr_assert_null(attributes);
}

Test(attributes, extent__of_what_begins_ends_or_lies_inside)
{
	struct attributes *attributes = NULL;

	cr_assert_eq(attributes_extent(NULL, 0, UINT64_MAX), ATTRIBUTES_NONE);
	replace(&attributes, 10, 20, ATTRIBUTES_ALL);
	cr_assert_eq(attributes_extent(attributes, 0, 10), ATTRIBUTES_NONE);
	cr_assert_eq(attributes_extent(attributes, 20, 30), ATTRIBUTES_NONE);
	cr_assert_eq(attributes_extent(attributes, 10, 20), ATTRIBUTES_ALL);
	cr_assert_eq(attributes_extent(attributes, 12, 13), ATTRIBUTES_ALL);
	cr_assert_eq(attributes_extent(attributes, 9, 20), ATTRIBUTES_SOME);
	cr_assert_eq(attributes_extent(attributes, 10, 21), ATTRIBUTES_SOME);
	cr_assert_eq(attributes_extent(attributes, 0, 100), ATTRIBUTES_SOME);
	mem_free(attributes);
}

Test(attributes, random_changes__as_an_array_of_gfns_has_them)
{
	struct draw draw = draw_from_seed(2605);
	struct attributes *attributes = NULL;
	uint8_t flat[GFNS] = {0};

	for (unsigned n = 0; n < 4000; n++) {
		uint64_t start = draw_below(&draw, GFNS), end = start + 1 + draw_below(&draw, 12);
		bool is_private = draw_below(&draw, 2);

		end = end < GFNS ? end : GFNS;
		replace(&attributes, start, end, is_private ? ATTRIBUTES_ALL : ATTRIBUTES_NONE);
		memset(&flat[start], is_private, end - start);
		check_shape(attributes);
		for (uint64_t gfn = 0; gfn < GFNS; gfn++)
			cr_assert_eq(attributes_extent(attributes, gfn, gfn + 1),
				     flat[gfn] ? ATTRIBUTES_ALL : ATTRIBUTES_NONE, "gfn %d",
				     (int)gfn);
	}
	mem_free(attributes);
}
