/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k.h"
#define ENGINE_OBJECT engine_arm_s2_64k
#include "engine/engine_impl.h"
