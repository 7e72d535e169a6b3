/* SPDX-License-Identifier: MIT */
/*
 * The entries of arm-s2-4k under the geometry of the current format. With a 4K granule and without
 * LPA2, what an entry says does not depend on where the walk starts.
 */
#ifndef VMMU_FORMAT_ARM_S2_4K_ANY_H
#define VMMU_FORMAT_ARM_S2_4K_ANY_H

#include "format/current.h"

#define ARM_GRANULE_SHIFT 12
#define FMT_OBJECT        (*current_format)
#define fmt_geometry      (*current_format->info.geometry)
#define FMT_HAS_GEOMETRY
#define FMT_LINEAR_PFN

#include "format/arm_s2.h"

#endif
