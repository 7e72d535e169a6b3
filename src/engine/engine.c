/* SPDX-License-Identifier: MIT */
#include "engine/engine.h"

#include "base/bits.h"

static const struct vmmu_engine *const engines[] = {
	&engine_ept4,         &engine_ept5,         &engine_npt4,       &engine_npt5,
	&engine_sv39x4,       &engine_sv48x4,       &engine_sv57x4,     &engine_arm_s2_4k,
	&engine_arm_s2_4k_40, &engine_arm_s2_4k_43, &engine_arm_s2_64k,
};

const struct vmmu_engine *engine_of_format(const struct vmmu_format *format)
{
	for (unsigned i = 0; i < ARRAY_COUNT(engines); i++)
		if (engines[i]->format == format)
			return engines[i];
	return NULL;
}
