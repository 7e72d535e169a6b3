/* SPDX-License-Identifier: MIT */
/* The engines: one for each common format of ours, and four that serve many. */
#ifndef VMMU_ENGINE_ENGINE_H
#define VMMU_ENGINE_ENGINE_H

#include "faults/engine.h"

extern const struct vmmu_engine engine_ept4;
extern const struct vmmu_engine engine_ept5;
extern const struct vmmu_engine engine_npt4;
extern const struct vmmu_engine engine_npt5;
extern const struct vmmu_engine engine_sv39x4;
extern const struct vmmu_engine engine_sv48x4;
extern const struct vmmu_engine engine_sv57x4;
extern const struct vmmu_engine engine_arm_s2_4k;
extern const struct vmmu_engine engine_arm_s2_4k_40;
extern const struct vmmu_engine engine_arm_s2_4k_43;
extern const struct vmmu_engine engine_arm_s2_64k;
/* The geometries of arm_geometry_find() that have the entries of arm-s2-4k. */
extern const struct vmmu_engine engine_arm_s2_4k_any;
/* All other Arm formats of ours, the other geometries included. */
extern const struct vmmu_engine engine_arm_s2_any;
/* sv39x4-napot and its like. */
extern const struct vmmu_engine engine_sv_napot_any;
/* Every other format: those that vmmu_format_register() gave, and ours without an own engine. */
extern const struct vmmu_engine engine_forward;

#endif
