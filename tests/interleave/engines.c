/* SPDX-License-Identifier: MIT */
/* In the place of src/engine/engine.c: a few engines, so that the variant is quick to build. */
#include "base/bits.h"
#include "engine/engine.h"
#include "format/registry.h"

/* engine_cont.c */
extern const struct vmmu_engine engine_arm_s2_4k_cont;

static const struct {
	const struct vmmu_format *format;
	const struct vmmu_engine *engine;
} engines[] = {
	{&format_ept4, &engine_ept4},
	{&format_arm_s2_4k, &engine_arm_s2_4k},
	{&format_sv48x4, &engine_sv48x4},
	{&format_npt4, &engine_npt4},
	{&format_arm_s2_4k_cont, &engine_arm_s2_4k_cont},
};

/* NULL: none that is explored. */
const struct vmmu_engine *engine_of_format(const struct vmmu_format *format)
{
	for (unsigned i = 0; i < ARRAY_COUNT(engines); i++)
		if (engines[i].format == format)
			return engines[i].engine;
	return NULL;
}
