/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_EPT4_VE_H
#define VMMU_FORMAT_EPT4_VE_H

#define EPT_LEVELS      4
#define EPT_VE          1
#define FMT_NAME        "ept4-ve"
#define FMT_OBJECT      format_ept4_ve
#define FMT_DESCRIPTION "Intel EPT, 4 levels, #VE suppressed"

#include "format/ept.h"

#endif
