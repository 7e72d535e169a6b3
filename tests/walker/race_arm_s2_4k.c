/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k.h"
#define RACE race_arm_s2_4k
#include "walker/race_body.h"
