/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_4K_43_H
#define VMMU_FORMAT_ARM_S2_4K_43_H

#define ARM_GRANULE_SHIFT 12
#define ARM_IPA_BITS      43
#define ARM_START_LEVEL   1
#define FMT_NAME          "arm-s2-4k-43"
#define FMT_OBJECT        format_arm_s2_4k_43
#define FMT_DESCRIPTION \
	"Arm stage 2, 4K granule, 43-bit IPA, start level 1, 16 concatenated root tables"

#include "format/arm_s2.h"

#endif
