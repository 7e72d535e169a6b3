/* SPDX-License-Identifier: MIT */
#include "format/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sanitize.h"
#include "format/hostile.h"

static void register_one(const struct vmmu_format_info *info, const struct vmmu_format_ops *ops)
{
	const struct vmmu_format *format;
	char why[256];

	if (!vmmu_format_register(info, ops, &format, why, sizeof(why)))
		return;
	fprintf(stderr, "%s was refused: %s\n", info->name, why);
	abort();
}

static void register_all(void)
{
	const struct vmmu_format *ept4 = vmmu_format_find("ept4");
	struct vmmu_format_info info = *vmmu_format_info(ept4);
	static bool is_done;

	if (is_done)
		return;
	is_done = true;
	info.name = OUTSIDE_EPT;
	register_one(&info, vmmu_format_ops(ept4));
	register_one(&hostile_info, &hostile_ops);
}

/*
 * Arm geometries to run on: of each granule and layout, for each start level, the smallest that has
 * room for the tests' large pages, and the largest.
 */
static const struct {
	const char *model;
	int start;
	unsigned ipa_bits[2];
} geometries[] = {
	{"arm-s2-4k", 3, {16, 25}},       {"arm-s2-4k", 2, {25, 34}},
	{"arm-s2-4k", 1, {31, 43}},       {"arm-s2-4k", 1, {40, 42}},
	{"arm-s2-4k", 0, {40, 48}},       {"arm-s2-16k", 3, {16, 29}},
	{"arm-s2-16k", 2, {28, 40}},      {"arm-s2-16k", 1, {37, 48}},
	{"arm-s2-64k", 3, {17, 33}},      {"arm-s2-64k", 2, {32, 46}},
	{"arm-s2-64k", 1, {43, 48}},      {"arm-s2-4k-lpa2", 2, {25, 34}},
	{"arm-s2-4k-lpa2", 0, {40, 52}},  {"arm-s2-4k-lpa2", -1, {49, 52}},
	{"arm-s2-16k-lpa2", 1, {37, 51}}, {"arm-s2-16k-lpa2", 0, {48, 52}},
	{"arm-s2-64k-lpa", 2, {32, 46}},  {"arm-s2-64k-lpa", 1, {43, 52}},
};

/* Number INDEX of them; NULL past the last. */
static const struct vmmu_format *geometry_at(unsigned index)
{
	char name[64];

	if (index / 2 >= sizeof(geometries) / sizeof(geometries[0]))
		return NULL;
	snprintf(name, sizeof(name), "%s-%u-l%d", geometries[index / 2].model,
		 geometries[index / 2].ipa_bits[index % 2], geometries[index / 2].start);
	return vmmu_format_find(name);
}

/* Differs from another format in the number of levels, or in bits, but in none of our code. */
static bool is_like_another(const struct vmmu_format_info *info)
{
	static const char *const names[] = {
		"ept5",         "npt5",         "sv48x4",          "sv57x4",
		"arm-s2-4k-40", "arm-s2-4k-43", "arm-s2-16k-lpa2", "arm-s2-64k-lpa",
		"ept4-mbe"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(info->name, names[i]))
			return true;
	return false;
}

bool outside_is_worth_a_run(unsigned index)
{
	return !(BASE_HAS_ASAN || getenv("VMMU_ONE_OF_EACH")) ||
	       !is_like_another(vmmu_format_info(outside_at(index)));
}

const struct vmmu_format *outside_at(unsigned index)
{
	const struct vmmu_format *format;

	if (index >= OUTSIDE_GEOMETRIES)
		return geometry_at(index - OUTSIDE_GEOMETRIES);
	format = vmmu_format_at(index);
	if (format)
		return format;
	register_all();
	return vmmu_format_at(index);
}

unsigned outside_index(const char *name)
{
	static const unsigned starts[] = {0, OUTSIDE_GEOMETRIES};

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		for (unsigned at = starts[i]; outside_at(at); at++)
			if (!strcmp(vmmu_format_info(outside_at(at))->name, name))
				return at;
	fprintf(stderr, "no format %s\n", name);
	abort();
}

const struct vmmu_format *outside_find(const char *name)
{
	const struct vmmu_format *format = vmmu_format_find(name);

	if (format)
		return format;
	register_all();
	return vmmu_format_find(name);
}
