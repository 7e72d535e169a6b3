/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_16K_LPA2_H
#define VMMU_FORMAT_ARM_S2_16K_LPA2_H

#define ARM_GRANULE_SHIFT 14
#define ARM_IPA_BITS      52
#define ARM_START_LEVEL   0
#define ARM_LPA2          1
#define FMT_NAME          "arm-s2-16k-lpa2"
#define FMT_OBJECT        format_arm_s2_16k_lpa2
#define FMT_DESCRIPTION   "Arm stage 2, 16K granule, LPA2, 52-bit IPA, start level 0"

#include "format/arm_s2.h"

#endif
