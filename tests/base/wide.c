/* SPDX-License-Identifier: MIT */
#include "base/wide.h"

#include <criterion/criterion.h>

#define COUNT 24u

static _Atomic uint64_t entries[COUNT] __attribute__((aligned(64)));

static void fill(uint64_t value)
{
	for (unsigned i = 0; i < COUNT; i++)
		entries[i] = value;
}

Test(wide, fill__is_a_sum_for_each)
{
	uint64_t plain[COUNT + 1] = {0};

	wide_fill(plain, COUNT, 7, 0x1000);
	for (unsigned i = 0; i < COUNT; i++)
		cr_assert_eq(plain[i], 7 + i * 0x1000);
	cr_assert_eq(plain[COUNT], 0);
}

Test(wide, clear__takes_the_bits_and_no_others_from_so_many)
{
	fill(0xff);
	wide_clear(entries, 16, 0x12);
	for (unsigned i = 0; i < COUNT; i++)
		cr_assert_eq(entries[i], i < 16 ? 0xed : 0xff);
}

/* One among them decides, wherever it stands; one behind them does not. */
Test(wide, has_any__finds_one)
{
	for (unsigned at = 0; at < COUNT; at++) {
		fill(~UINT64_C(0x12));
		entries[at] |= 0x10;
		cr_assert_eq(wide_has_any(entries, 16, 0x12), at < 16);
	}
}

Test(wide, is_all__misses_one)
{
	for (unsigned at = 0; at < COUNT; at++) {
		/* bits set and bits clear are asked for, others are not */
		for (unsigned bit = 0; bit < 64; bit++) {
			bool is_asked = 0x8000000000000013 >> bit & 1;

			fill(0x8000000000000002);
			entries[at] ^= UINT64_C(1) << bit;
			cr_assert_eq(
				wide_is_all(entries, 16, 0x8000000000000013, 0x8000000000000002),
				at >= 16 || !is_asked);
		}
	}
}
