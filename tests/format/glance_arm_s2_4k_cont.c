/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_cont.h"
#define SUITE glance_arm_s2_4k_cont
#include "format/glance_body.h"
