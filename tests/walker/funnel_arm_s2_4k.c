/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k.h"
#define SUITE funnel_arm_s2_4k
#include "walker/funnel_body.h"
