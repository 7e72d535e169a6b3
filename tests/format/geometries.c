/* SPDX-License-Identifier: MIT */
/*
 * Arm stage 2 with a 4K granule: the legal combinations of IPA size and start level, and no others.
 * From the manual (VTCR_EL2.T0SZ, SL0): start level 2 resolves 22 to 34 bits, 1 31 to 43, 0 40 to
 * 52, and 3 (FEAT_TTST) 13 to 25; T0SZ is at most 39, so 25 bits are the least, and 48 are the most
 * without LPA2. Up to 16 root tables lie side by side.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "format/conformance.h"

static const struct vmmu_format *find(unsigned ipa_bits, unsigned start)
{
	char name[32];

	snprintf(name, sizeof(name), "arm-s2-4k-%u-l%u", ipa_bits, start);
	return vmmu_format_find(name);
}

static const struct {
	unsigned first, last;
} legal[] = {{40, 48}, {31, 43}, {25, 34}, {25, 25}};

Test(geometries, legal_combinations__and_no_others)
{
	unsigned count = 0;

	for (unsigned start = 0; start < 10; start++) {
		for (unsigned bits = 0; bits < 100; bits++) {
			bool is_legal = start < 4 && bits >= legal[start].first &&
					bits <= legal[start].last;

			cr_expect_eq(find(bits, start) != NULL, is_legal, "%u bits from level %u",
				     bits, start);
			count += is_legal;
		}
	}
	cr_expect_eq(count, 33);
}

Test(geometries, names__are_exact)
{
	static const char *const wrong[] = {
		"arm-s2-4k-36",
		"arm-s2-4k-36-l",
		"arm-s2-4k-36-l1 ",
		"arm-s2-4k-036-l1",
		"arm-s2-4k-36-l01",
		"arm-s2-4k-36-l+1",
		"arm-s2-4k--l1",
		"arm-s2-4k-",
		"arm-s2-16k-36-l1",
		"ARM-S2-4K-36-L1",
		"arm-s2-4k-36-l1-x",
		"arm-s2-4k-+36-l1",
		"",
	};

	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++)
		cr_expect_null(vmmu_format_find(wrong[i]), "%s", wrong[i]);
	cr_expect_str_eq(vmmu_format_info(find(36, 1))->name, "arm-s2-4k-36-l1");
	cr_expect_eq(find(36, 1), find(36, 1), "one object, however often it is asked for");
}

struct expected_geometry {
	unsigned ipa_bits, start, levels, leaf_levels, root_index_bits, root_lg2;
	unsigned root_shift;
};

/*
 * By hand: level l (ours) maps 12 + 9 (l - 1) bits, the root has the rest; 8 bytes an entry, a root
 * of less than 4 KiB takes 4 KiB. The sheet's worked rows: 40 bits from level 1: 2 tables (8 KiB);
 * 42 from level 1: 8 (32 KiB); 32 from level 2: 4 (16 KiB).
 */
static const struct expected_geometry expected[] = {
	{48, 0, 4, 0x0e, 9, 12, 39},  {44, 0, 4, 0x0e, 5, 12, 39},  {40, 0, 4, 0x0e, 1, 12, 39},
	{43, 1, 3, 0x0e, 13, 16, 30}, {42, 1, 3, 0x0e, 12, 15, 30}, {40, 1, 3, 0x0e, 10, 13, 30},
	{39, 1, 3, 0x0e, 9, 12, 30},  {36, 1, 3, 0x0e, 6, 12, 30},  {31, 1, 3, 0x0e, 1, 12, 30},
	{34, 2, 2, 0x06, 13, 16, 21}, {32, 2, 2, 0x06, 11, 14, 21}, {25, 2, 2, 0x06, 4, 12, 21},
	{25, 3, 1, 0x02, 13, 16, 12},
};

Test(geometries, shape__is_the_manuals)
{
	for (unsigned i = 0; i < ARRAY_COUNT(expected); i++) {
		const struct expected_geometry *want = &expected[i];
		const struct vmmu_format *format = find(want->ipa_bits, want->start);
		const struct vmmu_geometry *geometry = vmmu_format_info(format)->geometry;
		unsigned root = geometry->levels;

		cr_expect_eq(root, want->levels, "%u", i);
		cr_expect_eq(geometry->page_shift, 12, "%u", i);
		cr_expect_eq(geometry->gpa_bits, want->ipa_bits, "%u", i);
		cr_expect_eq(geometry->pa_bits, 48, "%u", i);
		cr_expect_eq(geometry->leaf_levels, want->leaf_levels, "%u", i);
		cr_expect_eq(geometry->shift[root], want->root_shift, "%u", i);
		cr_expect_eq(geometry->index_bits[root], want->root_index_bits, "%u", i);
		cr_expect_eq(geometry->table_lg2[root], want->root_lg2, "%u", i);
		for (unsigned level = root + 1; level <= VMMU_LEVELS_MAX; level++)
			cr_expect(!geometry->shift[level] && !geometry->index_bits[level] &&
				  !geometry->table_lg2[level]);
		cr_expect_str_eq(vmmu_format_info(format)->architecture, "arm64");
	}
}

Test(geometries, description__counts_the_root_tables)
{
	const char *text = vmmu_format_info(find(43, 1))->description;

	cr_expect_not_null(strstr(text, "43-bit IPA, start level 1, 16 root tables"), "%s", text);
	text = vmmu_format_info(find(39, 1))->description;
	cr_expect_not_null(strstr(text, "39-bit IPA, start level 1, 1 root table"), "%s", text);
	cr_expect_null(strstr(text, "tables"), "%s", text);
}

Test(geometries, each__keeps_the_laws)
{
	for (unsigned start = 0; start < ARRAY_COUNT(legal); start++)
		for (unsigned bits = legal[start].first; bits <= legal[start].last; bits++)
			cr_expect_null(conformance_check(find(bits, start), 1), "%u l%u", bits,
				       start);
}
