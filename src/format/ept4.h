/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_EPT4_H
#define VMMU_FORMAT_EPT4_H

#define EPT_LEVELS      4
#define FMT_NAME        "ept4"
#define FMT_OBJECT      format_ept4
#define FMT_DESCRIPTION "Intel EPT, 4 levels, 48-bit guest addresses"

#include "format/ept.h"

#endif
