/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_cont.h"
#define SUITE group_arm_s2_4k_cont
#include "walker/group_body.h"
