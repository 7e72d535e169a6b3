/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_EPT4_NOAD_H
#define VMMU_FORMAT_EPT4_NOAD_H

#define EPT_LEVELS      4
#define EPT_AD          0
#define FMT_NAME        "ept4-noad"
#define FMT_OBJECT      format_ept4_noad
#define FMT_DESCRIPTION "Intel EPT, 4 levels, accessed and dirty bits off: aging by access faults"

#include "format/ept.h"

#endif
