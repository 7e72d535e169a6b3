/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_any.h"
#define ENGINE_OBJECT engine_arm_s2_any
#include "engine/current_impl.h"
