/* SPDX-License-Identifier: MIT */
#include "base/bits.h"

#include <criterion/criterion.h>

struct pair {
	uint32_t first;
	uint16_t second;
};

Test(bits, masks__cover_both_ends)
{
	cr_assert_eq(BIT64(0), 1);
	cr_assert_eq(BIT64(63), 0x8000000000000000);
	cr_assert_eq(BITS64(63, 0), 0xffffffffffffffff);
	cr_assert_eq(BITS64(51, 12), 0x000ffffffffff000);
	cr_assert_eq(BITS64(7, 7), 0x80);
}

Test(bits, alignment__rounds_to_multiples)
{
	cr_assert(is_aligned(0, 0x1000));
	cr_assert(is_aligned(0x3000, 0x1000));
	cr_assert_not(is_aligned(0x3001, 0x1000));
	cr_assert_eq(align_down(0x3fff, 0x1000), 0x3000);
	cr_assert_eq(align_up(0x3001, 0x1000), 0x4000);
	cr_assert_eq(align_up(0x3000, 0x1000), 0x3000);
	cr_assert_eq(align_up(0xffffffffffffffff, 0x1000), 0, "wraps");
}

Test(bits, min_max__take_all_64_bits)
{
	cr_assert_eq(min_u64(0x100000000, 1), 1);
	cr_assert_eq(max_u64(0x100000000, 1), 0x100000000);
}

Test(bits, container_of__finds_the_struct)
{
	struct pair pair = {1, 2};

	cr_assert_eq(container_of(&pair.second, struct pair, second), &pair);
}
