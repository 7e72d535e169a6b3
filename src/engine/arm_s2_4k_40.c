/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_40.h"
#define ENGINE_OBJECT engine_arm_s2_4k_40
#include "engine/engine_impl.h"
