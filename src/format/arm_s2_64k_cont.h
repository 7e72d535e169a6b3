/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_64K_CONT_H
#define VMMU_FORMAT_ARM_S2_64K_CONT_H

#define ARM_GRANULE_SHIFT 16
#define ARM_IPA_BITS      48
#define ARM_START_LEVEL   1
#define ARM_CONT          1
#define FMT_NAME          "arm-s2-64k-cont"
#define FMT_OBJECT        format_arm_s2_64k_cont
#define FMT_DESCRIPTION \
	"Arm stage 2, 64K granule, 48-bit IPA, start level 1, contiguous groups of 32"

#include "format/arm_s2.h"

#endif
