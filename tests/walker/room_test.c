/* SPDX-License-Identifier: MIT */
/* Room for tables that are not all equally large. */
#include <criterion/criterion.h>

#include "walker/tree.h"

static void no_flush(void *ctx, const struct vmmu_flush *flush)
{
	(void)ctx, (void)flush;
}

static void no_bug(void *ctx, const char *what)
{
	(void)ctx, (void)what;
}

/* 4 KiB tables at level 1, 64 KiB at level 2, 8 KiB roots. */
static const struct vmmu_geometry unlike = {
	.page_shift = 12,
	.levels = 3,
	.leaf_levels = 1 << 1,
	.gpa_bits = 44,
	.pa_bits = 48,
	.shift = {0, 12, 21, 34},
	.index_bits = {0, 9, 13, 10},
	.table_lg2 = {0, 12, 16, 13},
};

Test(tree_room, large_tables_below_small_ones__room_is_for_the_largest)
{
	struct tree_hooks hooks = {.flush = no_flush, .bug = no_bug};
	struct tree tree;
	uint64_t gfn = 0;
	bool is_zeroed;

	cr_assert_eq(tree_init(&tree, &unlike, UINT64_C(1) << 32, 1 << 20, &hooks), 0);
	/* 1 MiB less 15 frames of 64 KiB and one of 4: the last 64 are not whole any more. */
	cr_assert_not_null(tree_alloc(&tree, 0, gfn++, 1, &is_zeroed));
	for (unsigned i = 0; i < 15; i++) {
		cr_assert(tree_has_room(&tree, 1), "%u", i);
		cr_assert_not_null(tree_alloc(&tree, 0, gfn++, 2, &is_zeroed), "%u", i);
	}
	cr_expect_not(tree_has_room(&tree, 1));
	cr_expect_null(tree_alloc(&tree, 0, gfn++, 2, &is_zeroed));
	tree_destroy(&tree);
}
