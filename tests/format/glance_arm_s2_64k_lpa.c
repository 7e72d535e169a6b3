/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k_lpa.h"
#define SUITE glance_arm_s2_64k_lpa
#include "format/glance_body.h"
