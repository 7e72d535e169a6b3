/* SPDX-License-Identifier: MIT */
/*
 * Every legal geometry of Arm stage 2, by name: "<model>-<IPA bits>-l<start level>". The start
 * level is the manual's number, the model the format that says what entries look like: arm-s2-4k,
 * arm-s2-16k, arm-s2-64k, arm-s2-4k-lpa2, arm-s2-16k-lpa2, arm-s2-64k-lpa. Only the geometry
 * differs from the model's.
 */
#ifndef VMMU_FORMAT_ARM_GEOMETRY_H
#define VMMU_FORMAT_ARM_GEOMETRY_H

#include "format/contract.h"

/* The geometry of this name; NULL: no such name, or not a legal combination. Any thread. */
const struct vmmu_format *arm_geometry_find(const char *name);
/* Is FORMAT one that arm_geometry_find() gives? */
bool arm_geometry_has(const struct vmmu_format *format);

#endif
