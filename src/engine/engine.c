/* SPDX-License-Identifier: MIT */
#include "engine/engine.h"

#include "base/bits.h"
#include "format/arm_geometry.h"
#include "format/registry.h"

static const struct {
	const struct vmmu_format *format;
	const struct vmmu_engine *engine;
} engines[] = {
	{&format_ept4, &engine_ept4},
	{&format_ept5, &engine_ept5},
	{&format_npt4, &engine_npt4},
	{&format_npt5, &engine_npt5},
	{&format_sv39x4, &engine_sv39x4},
	{&format_sv48x4, &engine_sv48x4},
	{&format_sv57x4, &engine_sv57x4},
	{&format_arm_s2_4k, &engine_arm_s2_4k},
	{&format_arm_s2_4k_40, &engine_arm_s2_4k_40},
	{&format_arm_s2_4k_43, &engine_arm_s2_4k_43},
	{&format_arm_s2_64k, &engine_arm_s2_64k},
	{&format_arm_s2_16k, &engine_arm_s2_any},
	{&format_arm_s2_4k_lpa2, &engine_arm_s2_any},
	{&format_arm_s2_16k_lpa2, &engine_arm_s2_any},
	{&format_arm_s2_64k_lpa, &engine_arm_s2_any},
	{&format_arm_s2_4k_cont, &engine_arm_s2_any},
	{&format_arm_s2_16k_cont, &engine_arm_s2_any},
	{&format_arm_s2_64k_cont, &engine_arm_s2_any},
	{&format_sv39x4_napot, &engine_sv_napot_any},
	{&format_sv48x4_napot, &engine_sv_napot_any},
	{&format_sv57x4_napot, &engine_sv_napot_any},
};

const struct vmmu_engine *engine_of_format(const struct vmmu_format *format)
{
	if (format->engine)
		return format->engine;
	for (unsigned i = 0; i < ARRAY_COUNT(engines); i++)
		if (engines[i].format == format)
			return engines[i].engine;
	if (!arm_geometry_has(format))
		return &engine_forward;
	return format->ops == format_arm_s2_4k.ops ? &engine_arm_s2_4k_any : &engine_arm_s2_any;
}
