/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_EPT4_MBE_H
#define VMMU_FORMAT_EPT4_MBE_H

#define EPT_LEVELS      4
#define EPT_MBE         1
#define FMT_NAME        "ept4-mbe"
#define FMT_OBJECT      format_ept4_mbe
#define FMT_DESCRIPTION "Intel EPT, 4 levels, mode-based execute control"

#include "format/ept.h"

#endif
