/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_EPT5_H
#define VMMU_FORMAT_EPT5_H

#define EPT_LEVELS      5
#define FMT_NAME        "ept5"
#define FMT_OBJECT      format_ept5
#define FMT_DESCRIPTION "Intel EPT, 5 levels, 57-bit guest addresses"

#include "format/ept.h"

#endif
