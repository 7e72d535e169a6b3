/* SPDX-License-Identifier: MIT */
/* RISC-V with Svnapot, the geometry being that of the current format. */
#ifndef VMMU_FORMAT_SV_NAPOT_ANY_H
#define VMMU_FORMAT_SV_NAPOT_ANY_H

#include "format/current.h"

#define SV_NAPOT     1
#define FMT_OBJECT   (*current_format)
#define fmt_geometry (*current_format->info.geometry)
#define FMT_HAS_GEOMETRY

#include "format/riscv.h"

#endif
