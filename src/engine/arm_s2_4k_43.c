/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_43.h"
#define ENGINE_OBJECT engine_arm_s2_4k_43
#include "engine/engine_impl.h"
