/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_4K_H
#define VMMU_FORMAT_ARM_S2_4K_H

#define ARM_GRANULE_SHIFT 12
#define ARM_IPA_BITS      48
#define ARM_START_LEVEL   0
#define FMT_NAME          "arm-s2-4k"
#define FMT_OBJECT        format_arm_s2_4k
#define FMT_DESCRIPTION   "Arm stage 2, 4K granule, 48-bit IPA, start level 0"

#include "format/arm_s2.h"

#endif
