/* SPDX-License-Identifier: MIT */
#include "format/outside.h"

#include <stdio.h>
#include <stdlib.h>

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

/* Arm geometry number INDEX, by start level and then by IPA bits; NULL past the last. */
static const struct vmmu_format *geometry_at(unsigned index)
{
	for (unsigned at = 0; at < 4 * 64; at++) {
		const struct vmmu_format *format;
		char name[32];

		snprintf(name, sizeof(name), "arm-s2-4k-%u-l%u", at % 64, at / 64);
		format = vmmu_format_find(name);
		if (format && !index--)
			return format;
	}
	return NULL;
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

const struct vmmu_format *outside_find(const char *name)
{
	const struct vmmu_format *format = vmmu_format_find(name);

	if (format)
		return format;
	register_all();
	return vmmu_format_find(name);
}
