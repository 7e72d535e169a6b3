/* SPDX-License-Identifier: MIT */
/*
 * Every legal geometry of Arm stage 2 with a 4K granule, by name: "arm-s2-4k-<IPA bits>-l<start
 * level>", the start level being the manual's number. The entries are those of arm-s2-4k; only the
 * geometry differs.
 */
#ifndef VMMU_FORMAT_ARM_GEOMETRY_H
#define VMMU_FORMAT_ARM_GEOMETRY_H

#include "format/contract.h"

/* The geometry of this name; NULL: no such name, or not a legal combination. Any thread. */
const struct vmmu_format *arm_geometry_find(const char *name);
/* Is FORMAT one that arm_geometry_find() gives? */
bool arm_geometry_has(const struct vmmu_format *format);

#endif
