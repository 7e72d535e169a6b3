/* SPDX-License-Identifier: MIT */
/* Geometries for slot tests, written down here so that these tests need no format. */
#ifndef TESTS_MEMORY_GEOMETRIES_H
#define TESTS_MEMORY_GEOMETRIES_H

#include <vmmu/format.h>

#define LEAVES(a, b, c) (uint8_t)(1 << (a) | 1 << (b) | 1 << (c))

/* 4K, 2M and 1G pages below a fourth level that holds tables only. */
static const struct vmmu_geometry geometry_4k = {
	.page_shift = 12,
	.levels = 4,
	.leaf_levels = LEAVES(1, 2, 3),
	.gpa_bits = 48,
	.pa_bits = 52,
	.shift = {0, 12, 21, 30, 39},
	.index_bits = {0, 9, 9, 9, 9},
	.table_lg2 = {0, 12, 12, 12, 12},
};

/* 64K and 512M pages; a table at level 1 has 8192 entries. */
__attribute__((unused)) static const struct vmmu_geometry geometry_64k = {
	.page_shift = 16,
	.levels = 3,
	.leaf_levels = LEAVES(1, 2, 2),
	.gpa_bits = 48,
	.pa_bits = 48,
	.shift = {0, 16, 29, 42},
	.index_bits = {0, 13, 13, 6},
	.table_lg2 = {0, 16, 16, 16},
};

/* No real format: large pages exist at level 3 and not at level 2. */
__attribute__((unused)) static const struct vmmu_geometry geometry_no_2m = {
	.page_shift = 12,
	.levels = 4,
	.leaf_levels = LEAVES(1, 3, 3),
	.gpa_bits = 48,
	.pa_bits = 52,
	.shift = {0, 12, 21, 30, 39},
	.index_bits = {0, 9, 9, 9, 9},
	.table_lg2 = {0, 12, 12, 12, 12},
};

#endif
