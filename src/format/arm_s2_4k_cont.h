/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_4K_CONT_H
#define VMMU_FORMAT_ARM_S2_4K_CONT_H

#define ARM_GRANULE_SHIFT 12
#define ARM_IPA_BITS      48
#define ARM_START_LEVEL   0
#define ARM_CONT          1
#define FMT_NAME          "arm-s2-4k-cont"
#define FMT_OBJECT        format_arm_s2_4k_cont
#define FMT_DESCRIPTION \
	"Arm stage 2, 4K granule, 48-bit IPA, start level 0, contiguous groups of 16"

#include "format/arm_s2.h"

#endif
