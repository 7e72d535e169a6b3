/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k.h"
#define SUITE glance_arm_s2_64k
#include "format/glance_body.h"
