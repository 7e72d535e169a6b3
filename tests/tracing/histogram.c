/* SPDX-License-Identifier: MIT */
#include "tracing/histogram.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(histogram, empty__quantile_is_zero)
{
	struct histogram histogram = {0};

	cr_assert(eq(u64, histogram_quantile(&histogram, 500), 0));
}

Test(histogram, small_values__are_exact)
{
	struct histogram histogram = {0};
	unsigned i;

	for (i = 1; i <= 10; i++)
		histogram_add(&histogram, i);
	cr_assert(eq(u64, histogram_quantile(&histogram, 500), 5));
	cr_assert(eq(u64, histogram_quantile(&histogram, 900), 9));
	cr_assert(eq(u64, histogram_quantile(&histogram, 1000), 10));
	cr_assert(eq(u64, histogram_quantile(&histogram, 0), 1));
	cr_assert(eq(u64, histogram.total, 55));
}

Test(histogram, one_slow_value_in_a_hundred__p99_does_not_show_it)
{
	struct histogram histogram = {0};
	unsigned i;

	for (i = 0; i < 99; i++)
		histogram_add(&histogram, 7);
	histogram_add(&histogram, 1000000);
	cr_assert(eq(u64, histogram_quantile(&histogram, 990), 7));
	/*
	 * 1,000,000 lies in [2^19, 2^20): buckets of 32,768; the 15th of them is
	 * 983,040..1,015,807.
	 */
	cr_assert(eq(u64, histogram_quantile(&histogram, 991), 1015807));
}

Test(histogram, merged__holds_the_values_of_both)
{
	struct histogram histogram = {0}, other = {0};
	unsigned i;

	for (i = 1; i <= 5; i++) {
		histogram_add(&histogram, i);
		histogram_add(&other, 5 + i);
	}
	histogram_merge(&histogram, &other);
	cr_assert(eq(u64, histogram.count, 10));
	cr_assert(eq(u64, histogram.total, 55));
	cr_assert(eq(u64, histogram_quantile(&histogram, 500), 5));
	cr_assert(eq(u64, histogram_quantile(&histogram, 900), 9));
	cr_assert(eq(u64, other.count, 5));
}

Test(histogram, bucket_edges__belong_to_the_right_bucket)
{
	static const struct {
		uint64_t value, last;
	} cases[] = {
		/* By hand: from 16 to 31 buckets of 1, from 32 to 63 of 2, from 64 of 4. */
		{15, 15},
		{16, 16},
		{31, 31},
		{32, 33},
		{33, 33},
		{34, 35},
		{63, 63},
		{64, 67},
		{67, 67},
		{68, 71},
		{UINT64_C(1) << 63, (UINT64_C(17) << 59) - 1},
		{UINT64_MAX, UINT64_MAX},
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct histogram histogram = {0};

		histogram_add(&histogram, cases[i].value);
		cr_expect(eq(u64, histogram_quantile(&histogram, 500), cases[i].last), "value %llu",
			  (unsigned long long)cases[i].value);
	}
}
