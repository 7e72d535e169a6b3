/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_lpa2.h"
#define SUITE glance_arm_s2_4k_lpa2
#include "format/glance_body.h"
