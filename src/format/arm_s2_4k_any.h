/* SPDX-License-Identifier: MIT */
/*
 * The entries of arm-s2-4k under the geometry of the current format: serves all that
 * arm_geometry_find() gives. With a 4K granule, what an entry says does not depend on where the
 * walk starts.
 */
#ifndef VMMU_FORMAT_ARM_S2_4K_ANY_H
#define VMMU_FORMAT_ARM_S2_4K_ANY_H

#include "format/current.h"

#define ARM_GRANULE_SHIFT 12
#define FMT_OBJECT        (*current_format)
#define fmt_geometry      (*current_format->info.geometry)
#define FMT_HAS_GEOMETRY
#define FMT_LINEAR_PFN
#define FMT_LEVELS_MAX        4
#define FMT_SHIFT(level)      (12 + 9 * ((level)-1))
#define FMT_INDEX_BITS(level) 9

#include "format/arm_s2.h"

#endif
