/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_16K_H
#define VMMU_FORMAT_ARM_S2_16K_H

#define ARM_GRANULE_SHIFT 14
#define ARM_IPA_BITS      48
#define ARM_START_LEVEL   1
#define FMT_NAME          "arm-s2-16k"
#define FMT_OBJECT        format_arm_s2_16k
#define FMT_DESCRIPTION \
	"Arm stage 2, 16K granule, 48-bit IPA, start level 1, 2 concatenated root tables"

#include "format/arm_s2.h"

#endif
