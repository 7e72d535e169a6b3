/* SPDX-License-Identifier: MIT */
#include "variants.h"

#include <string.h>

#include "base/bits.h"

extern const struct vmmu_format variant_ept4_m46;
extern const struct vmmu_format variant_ept4_m48;
extern const struct vmmu_format variant_ept4_xo;
extern const struct vmmu_format variant_ept4_no1g;
extern const struct vmmu_format variant_ept4_mbe_xo;
extern const struct vmmu_format variant_ept5_noad_mbe_ve;
extern const struct vmmu_format variant_npt4_no1g;
extern const struct vmmu_format variant_arm_s2_4k_32_l2;
extern const struct vmmu_format variant_arm_s2_4k_40_l0;
extern const struct vmmu_format variant_arm_s2_4k_40_pa40;
extern const struct vmmu_format variant_arm_s2_4k_42;
extern const struct vmmu_format variant_arm_s2_4k_lpa2_pa48;
extern const struct vmmu_format variant_arm_s2_64k_46_l2;

static const struct vmmu_format *const variants[] = {
	&variant_ept4_m46,
	&variant_ept4_m48,
	&variant_ept4_xo,
	&variant_ept4_no1g,
	&variant_npt4_no1g,
	&variant_arm_s2_4k_32_l2,
	&variant_arm_s2_4k_40_l0,
	&variant_arm_s2_4k_40_pa40,
	&variant_arm_s2_4k_42,
	&variant_arm_s2_64k_46_l2,
	&variant_arm_s2_4k_lpa2_pa48,
	&variant_ept4_mbe_xo,
	&variant_ept5_noad_mbe_ve,
};

const struct vmmu_format *variant_at(unsigned index)
{
	return index < ARRAY_COUNT(variants) ? variants[index] : NULL;
}

const struct vmmu_format *variant_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(variants); i++)
		if (!strcmp(variants[i]->info.name, name))
			return variants[i];
	return vmmu_format_find(name);
}
