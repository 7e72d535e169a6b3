/* SPDX-License-Identifier: MIT */
/*
 * An engine of its own for Arm's contiguous groups: the library's serves them by its current
 * format, which is a thread's, and all threads of a run are one of the system's.
 */
#include "format/arm_s2_4k_cont.h"
#define ENGINE_OBJECT engine_arm_s2_4k_cont
extern const struct vmmu_engine ENGINE_OBJECT;
#include "engine/engine_impl.h"
