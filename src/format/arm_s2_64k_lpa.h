/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_ARM_S2_64K_LPA_H
#define VMMU_FORMAT_ARM_S2_64K_LPA_H

#define ARM_GRANULE_SHIFT 16
#define ARM_IPA_BITS      52
#define ARM_START_LEVEL   1
#define ARM_LPA           1
#define FMT_NAME          "arm-s2-64k-lpa"
#define FMT_OBJECT        format_arm_s2_64k_lpa
#define FMT_DESCRIPTION   "Arm stage 2, 64K granule, 52-bit addresses, start level 1"

#include "format/arm_s2.h"

#endif
