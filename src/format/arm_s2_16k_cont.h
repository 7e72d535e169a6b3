/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_16K_CONT_H
#define VMMU_FORMAT_ARM_S2_16K_CONT_H

#define ARM_GRANULE_SHIFT 14
#define ARM_IPA_BITS      48
#define ARM_START_LEVEL   1
#define ARM_CONT          1
#define FMT_NAME          "arm-s2-16k-cont"
#define FMT_OBJECT        format_arm_s2_16k_cont
#define FMT_DESCRIPTION \
	"Arm stage 2, 16K granule, 48-bit IPA, start level 1, contiguous groups of 128 and 32"

#include "format/arm_s2.h"

#endif
