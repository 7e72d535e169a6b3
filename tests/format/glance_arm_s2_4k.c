/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k.h"
#define SUITE glance_arm_s2_4k
#include "format/glance_body.h"
