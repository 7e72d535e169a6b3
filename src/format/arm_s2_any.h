/* SPDX-License-Identifier: MIT */
/*
 * The entries of any Arm geometry: granule and layout follow from the current format, too. What
 * holds addresses of more than 48 bits is LPA2 with 4K and 16K granules, LPA with 64K.
 */
#ifndef VMMU_FORMAT_ARM_S2_ANY_H
#define VMMU_FORMAT_ARM_S2_ANY_H

#include "format/current.h"

#define FMT_OBJECT   (*current_format)
#define fmt_geometry (*current_format->info.geometry)
#define FMT_HAS_GEOMETRY
#define ARM_GRANULE_SHIFT fmt_geometry.page_shift
#define ARM_PA_BITS       fmt_geometry.pa_bits
#define ARM_LPA2          (fmt_geometry.pa_bits > 48 && fmt_geometry.page_shift < 16)
#define ARM_CONT          1 /* the geometry says where */
#define ARM_LPA           (fmt_geometry.pa_bits > 48 && fmt_geometry.page_shift == 16)

#include "format/arm_s2.h"

#endif
