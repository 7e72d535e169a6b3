/* SPDX-License-Identifier: MIT */
#include "format/arm_geometry.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "format/registry.h"

/*
 * What the architecture allows (VTCR_EL2.T0SZ, SL0 and SL2): T0SZ is at most 48, or 47 with a 64K
 * granule, and at least 16, or 12 where entries hold 52-bit addresses; the start level resolves
 * from 1 bit of its index up to a whole table's and 4 more by concatenation. A CPU may have less:
 * T0SZ above 39, and start level 3 with a 4K granule, need FEAT_TTST; start level 0 with 4K, and 1
 * with 16K and 64K, need 44, 42 and 44 bits of physical address.
 */
#define ARM_CONCAT_BITS 4

struct arm_model {
	const struct vmmu_format *format;
	uint8_t ipa_min, ipa_max; /* bits */
};

static const struct arm_model models[] = {
	{&format_arm_s2_4k, 16, 48},       {&format_arm_s2_16k, 16, 48},
	{&format_arm_s2_64k, 17, 48},      {&format_arm_s2_4k_lpa2, 16, 52},
	{&format_arm_s2_16k_lpa2, 16, 52}, {&format_arm_s2_64k_lpa, 17, 52},
	{&format_arm_s2_4k_cont, 16, 48},  {&format_arm_s2_16k_cont, 16, 48},
	{&format_arm_s2_64k_cont, 17, 48},
};

struct arm_geometry {
	struct vmmu_format format;
	struct vmmu_geometry geometry;
	char name[32];
	char description[96];
};

/* Filled once, constant from then on. */
#define ARM_GEOMETRIES 398
static struct arm_geometry geometries[ARM_GEOMETRIES];
static unsigned geometry_count;
static pthread_once_t geometries_once = PTHREAD_ONCE_INIT;

/* lg2 entries of a table of one granule. */
static unsigned stride(unsigned page_shift)
{
	return page_shift - 3;
}

static void make_levels(struct vmmu_geometry *geometry)
{
	unsigned page_shift = geometry->page_shift, table_bits = stride(page_shift);

	for (unsigned level = geometry->levels + 1; level <= VMMU_LEVELS_MAX; level++)
		geometry->group_lg2[level] = 0;
	memset(geometry->shift, 0, sizeof(geometry->shift));
	memset(geometry->index_bits, 0, sizeof(geometry->index_bits));
	memset(geometry->table_lg2, 0, sizeof(geometry->table_lg2));
	for (unsigned level = 1; level <= geometry->levels; level++) {
		unsigned shift = page_shift + table_bits * (level - 1);
		unsigned bits = level == geometry->levels ? geometry->gpa_bits - shift : table_bits;

		geometry->shift[level] = (uint8_t)shift;
		geometry->index_bits[level] = (uint8_t)bits;
		/* A root smaller than a granule still gets a whole one. */
		geometry->table_lg2[level] = (uint8_t)max_u64(bits + 3, page_shift);
		if (bits < geometry->group_lg2[level])
			geometry->group_lg2[level] = 0;
	}
}

/* LEVELS as ours, root included. */
static void make_geometry(const struct vmmu_format *model, unsigned ipa_bits, unsigned levels)
{
	struct arm_geometry *arm = &geometries[geometry_count++];
	unsigned root_bits, table_bits;

	arm->geometry = *model->info.geometry;
	arm->geometry.levels = (uint8_t)levels;
	arm->geometry.gpa_bits = (uint8_t)ipa_bits;
	arm->geometry.leaf_levels &= (uint8_t)((1u << (levels + 1)) - 1);
	make_levels(&arm->geometry);
	root_bits = arm->geometry.index_bits[levels];
	table_bits = stride(arm->geometry.page_shift);
	snprintf(arm->name, sizeof(arm->name), "%s-%u-l%d", model->info.name, ipa_bits,
		 4 - (int)levels);
	snprintf(arm->description, sizeof(arm->description),
		 "Arm stage 2, %uK granule, %u-bit IPA, start level %d, %u root table%s",
		 1u << (arm->geometry.page_shift - 10), ipa_bits, 4 - (int)levels,
		 root_bits > table_bits ? 1u << (root_bits - table_bits) : 1,
		 root_bits > table_bits ? "s" : "");
	arm->format = *model;
	arm->format.info.name = arm->name;
	arm->format.info.description = arm->description;
	arm->format.info.geometry = &arm->geometry;
}

static bool is_legal(const struct arm_model *model, unsigned ipa_bits, unsigned levels)
{
	unsigned page_shift = model->format->info.geometry->page_shift;
	unsigned below = page_shift + stride(page_shift) * (levels - 1);

	return ipa_bits >= model->ipa_min && ipa_bits <= model->ipa_max && ipa_bits > below &&
	       ipa_bits <= below + stride(page_shift) + ARM_CONCAT_BITS;
}

static void make_model(const struct arm_model *model)
{
	for (unsigned levels = 1; levels <= model->format->info.geometry->levels; levels++)
		for (unsigned bits = model->ipa_min; bits <= model->ipa_max; bits++)
			if (is_legal(model, bits, levels) && geometry_count < ARM_GEOMETRIES)
				make_geometry(model->format, bits, levels);
}

static void make_geometries(void)
{
	for (unsigned i = 0; i < ARRAY_COUNT(models); i++)
		make_model(&models[i]);
}

const struct vmmu_format *arm_geometry_find(const char *name)
{
	if (strncmp(name, "arm-s2-", strlen("arm-s2-")))
		return NULL;
	pthread_once(&geometries_once, make_geometries);
	for (unsigned i = 0; i < geometry_count; i++)
		if (!strcmp(geometries[i].name, name))
			return &geometries[i].format;
	return NULL;
}

bool arm_geometry_has(const struct vmmu_format *format)
{
	for (unsigned i = 0; i < ARM_GEOMETRIES; i++)
		if (format == &geometries[i].format)
			return true;
	return false;
}
