/* SPDX-License-Identifier: MIT */
#include "format/arm_geometry.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "format/registry.h"

/*
 * What the architecture allows (VTCR_EL2.T0SZ and SL0, 4K granule, no LPA2): T0SZ is at most 39,
 * which makes 25 bits, and at least 16; the start level resolves from 1 bit of its index up to a
 * whole table's 9 and 4 more by concatenation. Start level 3 is there with FEAT_TTST, start level 0
 * with 44 bits of physical address.
 */
#define ARM_IPA_BITS_MIN 25
#define ARM_IPA_BITS_MAX 48
#define ARM_START_LAST   3
#define ARM_PAGE_SHIFT   12
#define ARM_TABLE_BITS   9
#define ARM_CONCAT_BITS  4

struct arm_geometry {
	struct vmmu_format format;
	struct vmmu_geometry geometry;
	char name[32];
	char description[96];
};

/* [IPA bits - least][start level]; the illegal ones stay without a name. Constant once made. */
static struct arm_geometry geometries[ARM_IPA_BITS_MAX - ARM_IPA_BITS_MIN + 1][ARM_START_LAST + 1];
static pthread_once_t geometries_once = PTHREAD_ONCE_INIT;

static void make_levels(struct vmmu_geometry *geometry)
{
	for (unsigned level = 1; level <= geometry->levels; level++) {
		unsigned shift = ARM_PAGE_SHIFT + ARM_TABLE_BITS * (level - 1);
		unsigned bits = level == geometry->levels ? geometry->gpa_bits - shift
							  : ARM_TABLE_BITS;

		geometry->shift[level] = (uint8_t)shift;
		geometry->index_bits[level] = (uint8_t)bits;
		/* A root smaller than a granule still gets a whole one. */
		geometry->table_lg2[level] = (uint8_t)max_u64(bits + 3, ARM_PAGE_SHIFT);
	}
}

static void make_geometry(struct arm_geometry *arm, unsigned ipa_bits, unsigned start)
{
	const struct vmmu_format *model = &format_arm_s2_4k;
	unsigned levels = 4 - start, root_bits;

	arm->geometry = *model->info.geometry;
	memset(arm->geometry.shift, 0, sizeof(arm->geometry.shift));
	memset(arm->geometry.index_bits, 0, sizeof(arm->geometry.index_bits));
	memset(arm->geometry.table_lg2, 0, sizeof(arm->geometry.table_lg2));
	arm->geometry.levels = (uint8_t)levels;
	arm->geometry.gpa_bits = (uint8_t)ipa_bits;
	arm->geometry.leaf_levels &= (uint8_t)((1u << (levels + 1)) - 1);
	make_levels(&arm->geometry);
	root_bits = arm->geometry.index_bits[levels];
	snprintf(arm->name, sizeof(arm->name), "arm-s2-4k-%u-l%u", ipa_bits, start);
	snprintf(arm->description, sizeof(arm->description),
		 "Arm stage 2, 4K granule, %u-bit IPA, start level %u, %u root table%s", ipa_bits,
		 start, root_bits > ARM_TABLE_BITS ? 1u << (root_bits - ARM_TABLE_BITS) : 1,
		 root_bits > ARM_TABLE_BITS ? "s" : "");
	arm->format = *model;
	arm->format.info.name = arm->name;
	arm->format.info.description = arm->description;
	arm->format.info.geometry = &arm->geometry;
}

static bool is_legal(unsigned ipa_bits, unsigned start)
{
	unsigned below = ARM_PAGE_SHIFT + ARM_TABLE_BITS * (3 - start);

	return ipa_bits > below && ipa_bits <= below + ARM_TABLE_BITS + ARM_CONCAT_BITS;
}

static void make_geometries(void)
{
	for (unsigned bits = ARM_IPA_BITS_MIN; bits <= ARM_IPA_BITS_MAX; bits++)
		for (unsigned start = 0; start <= ARM_START_LAST; start++)
			if (is_legal(bits, start))
				make_geometry(&geometries[bits - ARM_IPA_BITS_MIN][start], bits,
					      start);
}

const struct vmmu_format *arm_geometry_find(const char *name)
{
	if (strncmp(name, "arm-s2-4k-", strlen("arm-s2-4k-")))
		return NULL;
	pthread_once(&geometries_once, make_geometries);
	for (unsigned i = 0; i < ARRAY_COUNT(geometries); i++)
		for (unsigned start = 0; start <= ARM_START_LAST; start++)
			if (*geometries[i][start].name && !strcmp(geometries[i][start].name, name))
				return &geometries[i][start].format;
	return NULL;
}

bool arm_geometry_has(const struct vmmu_format *format)
{
	for (unsigned i = 0; i < ARRAY_COUNT(geometries); i++)
		for (unsigned start = 0; start <= ARM_START_LAST; start++)
			if (format == &geometries[i][start].format)
				return true;
	return false;
}
