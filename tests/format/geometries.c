/* SPDX-License-Identifier: MIT */
/*
 * Arm stage 2: the legal combinations of granule, layout, IPA size and start level, and no others.
 *
 * From the manual (VTCR_EL2.T0SZ, SL0, SL2): with n levels below the root, g the granule's bits and
 * s = g - 3, the root resolves from bit n * s + g up, 1 bit at least and s + 4 at most: up to 16
 * root tables lie side by side. T0SZ is at most 48 (64K granule: 47), which makes 16 (17) bits the
 * least. 48 bits are the most, or 52 where entries hold 52-bit addresses (LPA2; LPA with 64K).
 * Start level -1 is for 4K with LPA2, 0 for 4K and for 16K with LPA2.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "format/conformance.h"

static const struct vmmu_format *find(const char *model, unsigned ipa_bits, int start)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%u-l%d", model, ipa_bits, start);
	return vmmu_format_find(name);
}

/* IPA bits from level 3, 2, 1, 0, -1; 0: none. */
static const struct {
	const char *name;
	unsigned page_shift, pa_bits;
	struct {
		unsigned first, last;
	} legal[5];
} models[] = {
	{"arm-s2-4k", 12, 48, {{16, 25}, {22, 34}, {31, 43}, {40, 48}}},
	{"arm-s2-16k", 14, 48, {{16, 29}, {26, 40}, {37, 48}}},
	{"arm-s2-64k", 16, 48, {{17, 33}, {30, 46}, {43, 48}}},
	{"arm-s2-4k-lpa2", 12, 52, {{16, 25}, {22, 34}, {31, 43}, {40, 52}, {49, 52}}},
	{"arm-s2-16k-lpa2", 14, 52, {{16, 29}, {26, 40}, {37, 51}, {48, 52}}},
	{"arm-s2-64k-lpa", 16, 52, {{17, 33}, {30, 46}, {43, 52}}},
	{"arm-s2-4k-cont", 12, 48, {{16, 25}, {22, 34}, {31, 43}, {40, 48}}},
	{"arm-s2-16k-cont", 14, 48, {{16, 29}, {26, 40}, {37, 48}}},
	{"arm-s2-64k-cont", 16, 48, {{17, 33}, {30, 46}, {43, 48}}},
};

Test(geometries, legal_combinations__and_no_others)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		for (int start = -3; start < 10; start++) {
			for (unsigned bits = 0; bits < 100; bits++) {
				bool is_legal = start >= -1 && start <= 3 &&
						bits >= models[i].legal[3 - start].first &&
						bits <= models[i].legal[3 - start].last &&
						models[i].legal[3 - start].first;

				cr_expect_eq(find(models[i].name, bits, start) != NULL, is_legal,
					     "%s: %u bits from level %d", models[i].name, bits,
					     start);
				count += is_legal;
			}
		}
	}
	cr_expect_eq(count, 2 * (45 + 41 + 40) + 53 + 49 + 44);
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
		"arm-s2-32k-36-l1",
		"ARM-S2-4K-36-L1",
		"arm-s2-4k-36-l1-x",
		"arm-s2-4k-+36-l1",
		"arm-s2-4k-lpa-36-l1",
		"arm-s2-64k-lpa2-52-l1",
		"arm-s2-4k-36-l1-lpa2",
		"arm-s2-",
		"",
	};

	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++)
		cr_expect_null(vmmu_format_find(wrong[i]), "%s", wrong[i]);
	cr_expect_str_eq(vmmu_format_info(find("arm-s2-4k", 36, 1))->name, "arm-s2-4k-36-l1");
	cr_expect_eq(find("arm-s2-4k", 36, 1), find("arm-s2-4k", 36, 1),
		     "one object, however often it is asked for");
}

struct expected_geometry {
	const char *model;
	unsigned ipa_bits;
	int start;
	unsigned levels, leaf_levels, root_index_bits, root_lg2, root_shift;
};

/*
 * By hand: level l (ours) maps g + s (l - 1) bits, the root has the rest; 8 bytes an entry, a root
 * of less than a granule takes a granule. The manual's worked rows: 4K, 40 bits from level 1: 2
 * tables (8 KiB); 42 from level 1: 8 (32 KiB); 32 from level 2: 4 (16 KiB); 16K, 48 from level 1: 2
 * (32 KiB); 40 from level 2: 16 (256 KiB); 64K, 46 from level 2: 16 (1 MiB); 4K, 52 from level -1:
 * 1 (16 entries); 52 from level 0: 16 (64 KiB); 16K, 52 from level 0: 1 (32 entries); 64K, 52 from
 * level 1: 1 (8 KiB).
 */
static const struct expected_geometry expected[] = {
	{"arm-s2-4k", 48, 0, 4, 0x0e, 9, 12, 39},
	{"arm-s2-4k", 44, 0, 4, 0x0e, 5, 12, 39},
	{"arm-s2-4k", 40, 0, 4, 0x0e, 1, 12, 39},
	{"arm-s2-4k", 43, 1, 3, 0x0e, 13, 16, 30},
	{"arm-s2-4k", 42, 1, 3, 0x0e, 12, 15, 30},
	{"arm-s2-4k", 40, 1, 3, 0x0e, 10, 13, 30},
	{"arm-s2-4k", 39, 1, 3, 0x0e, 9, 12, 30},
	{"arm-s2-4k", 36, 1, 3, 0x0e, 6, 12, 30},
	{"arm-s2-4k", 31, 1, 3, 0x0e, 1, 12, 30},
	{"arm-s2-4k", 34, 2, 2, 0x06, 13, 16, 21},
	{"arm-s2-4k", 32, 2, 2, 0x06, 11, 14, 21},
	{"arm-s2-4k", 25, 2, 2, 0x06, 4, 12, 21},
	{"arm-s2-4k", 25, 3, 1, 0x02, 13, 16, 12},
	{"arm-s2-4k", 16, 3, 1, 0x02, 4, 12, 12},
	{"arm-s2-16k", 48, 1, 3, 0x06, 12, 15, 36},
	{"arm-s2-16k", 47, 1, 3, 0x06, 11, 14, 36},
	{"arm-s2-16k", 40, 1, 3, 0x06, 4, 14, 36},
	{"arm-s2-16k", 40, 2, 2, 0x06, 15, 18, 25},
	{"arm-s2-16k", 29, 3, 1, 0x02, 15, 18, 14},
	{"arm-s2-64k", 48, 1, 3, 0x06, 6, 16, 42},
	{"arm-s2-64k", 46, 2, 2, 0x06, 17, 20, 29},
	{"arm-s2-64k", 42, 2, 2, 0x06, 13, 16, 29},
	{"arm-s2-64k", 33, 3, 1, 0x02, 17, 20, 16},
	{"arm-s2-64k", 17, 3, 1, 0x02, 1, 16, 16},
	{"arm-s2-4k-lpa2", 52, -1, 5, 0x1e, 4, 12, 48},
	{"arm-s2-4k-lpa2", 52, 0, 4, 0x1e, 13, 16, 39},
	{"arm-s2-4k-lpa2", 49, -1, 5, 0x1e, 1, 12, 48},
	{"arm-s2-4k-lpa2", 40, 1, 3, 0x0e, 10, 13, 30},
	{"arm-s2-16k-lpa2", 52, 0, 4, 0x0e, 5, 14, 47},
	{"arm-s2-16k-lpa2", 51, 1, 3, 0x0e, 15, 18, 36},
	{"arm-s2-16k-lpa2", 40, 2, 2, 0x06, 15, 18, 25},
	{"arm-s2-64k-lpa", 52, 1, 3, 0x0e, 10, 16, 42},
	{"arm-s2-64k-lpa", 46, 2, 2, 0x06, 17, 20, 29},
};

static void expect_shape(const struct expected_geometry *want)
{
	const struct vmmu_format *format = find(want->model, want->ipa_bits, want->start);
	const struct vmmu_geometry *geometry;
	unsigned root = want->levels;

	cr_assert(format, "%s-%u-l%d", want->model, want->ipa_bits, want->start);
	geometry = vmmu_format_info(format)->geometry;
	cr_expect_eq(geometry->levels, root, "%s", vmmu_format_info(format)->name);
	cr_expect_eq(geometry->gpa_bits, want->ipa_bits, "%s", vmmu_format_info(format)->name);
	cr_expect_eq(geometry->leaf_levels, want->leaf_levels, "%s",
		     vmmu_format_info(format)->name);
	cr_expect_eq(geometry->shift[root], want->root_shift, "%s", vmmu_format_info(format)->name);
	cr_expect_eq(geometry->index_bits[root], want->root_index_bits, "%s",
		     vmmu_format_info(format)->name);
	cr_expect_eq(geometry->table_lg2[root], want->root_lg2, "%s",
		     vmmu_format_info(format)->name);
	for (unsigned level = root + 1; level <= VMMU_LEVELS_MAX; level++)
		cr_expect(!geometry->shift[level] && !geometry->index_bits[level] &&
			  !geometry->table_lg2[level]);
}

Test(geometries, shape__is_the_manuals)
{
	for (unsigned i = 0; i < ARRAY_COUNT(expected); i++)
		expect_shape(&expected[i]);
}

Test(geometries, page_and_output_size__are_the_models)
{
	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		const struct vmmu_format *format = find(models[i].name, 40, 2);
		const struct vmmu_geometry *geometry;

		if (!format)
			format = find(models[i].name, 40, 1);
		geometry = vmmu_format_info(format)->geometry;
		cr_expect_eq(geometry->page_shift, models[i].page_shift);
		cr_expect_eq(geometry->pa_bits, models[i].pa_bits);
		cr_expect_str_eq(vmmu_format_info(format)->architecture, "arm64");
		cr_expect_eq(vmmu_format_info(format)->caps,
			     vmmu_format_info(vmmu_format_find(models[i].name))->caps);
	}
}

/* A group is in one table: where the root is smaller, there is none. Level 4 has no blocks. */
Test(geometries, groups__are_no_larger_than_their_table)
{
	static const struct {
		const char *model;
		unsigned ipa_bits;
		int start;
		unsigned lg2[4]; /* levels 1 to 4 */
	} groups[] = {
		{"arm-s2-4k-cont", 48, 0, {4, 4, 4, 0}},  {"arm-s2-4k-cont", 34, 1, {4, 4, 4, 0}},
		{"arm-s2-4k-cont", 33, 1, {4, 4, 0, 0}},  {"arm-s2-4k-cont", 25, 2, {4, 4, 0, 0}},
		{"arm-s2-4k-cont", 24, 2, {4, 0, 0, 0}},  {"arm-s2-16k-cont", 48, 1, {7, 5, 0, 0}},
		{"arm-s2-16k-cont", 29, 2, {7, 0, 0, 0}}, {"arm-s2-16k-cont", 20, 3, {0, 0, 0, 0}},
		{"arm-s2-64k-cont", 48, 1, {5, 5, 0, 0}}, {"arm-s2-4k", 48, 0, {0, 0, 0, 0}},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(groups); i++) {
		const struct vmmu_format *format = find(groups[i].model, groups[i].ipa_bits,
							groups[i].start);

		for (unsigned level = 1; level <= 4; level++)
			cr_expect_eq(vmmu_format_info(format)->geometry->group_lg2[level],
				     groups[i].lg2[level - 1], "%u level %u", i, level);
	}
}

Test(geometries, description__counts_the_root_tables)
{
	const char *text = vmmu_format_info(find("arm-s2-4k", 43, 1))->description;

	cr_expect_not_null(strstr(text, "43-bit IPA, start level 1, 16 root tables"), "%s", text);
	text = vmmu_format_info(find("arm-s2-4k", 39, 1))->description;
	cr_expect_not_null(strstr(text, "39-bit IPA, start level 1, 1 root table"), "%s", text);
	cr_expect_null(strstr(text, "tables"), "%s", text);
	text = vmmu_format_info(find("arm-s2-16k", 48, 1))->description;
	cr_expect_not_null(strstr(text, "16K granule, 48-bit IPA, start level 1, 2 root tables"),
			   "%s", text);
	text = vmmu_format_info(find("arm-s2-4k-lpa2", 52, -1))->description;
	cr_expect_not_null(strstr(text, "52-bit IPA, start level -1, 1 root table"), "%s", text);
}

/* The smallest and largest of each model and start level; those between differ in size alone. */
Test(geometries, each__keeps_the_laws)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		for (int start = 3; start >= -1; start--) {
			unsigned bits[] = {models[i].legal[3 - start].first,
					   models[i].legal[3 - start].last};

			for (unsigned end = 0; end < 2 && bits[end]; end++, count++)
				cr_expect_null(conformance_check(
						       find(models[i].name, bits[end], start), 1),
					       "%s-%u-l%d", models[i].name, bits[end], start);
		}
	}
	cr_expect_eq(count, 2 * (2 * (4 + 3 + 3) + 5 + 4 + 3));
}
