/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_NPT5_H
#define VMMU_FORMAT_NPT5_H

#define NPT_LEVELS      5
#define FMT_NAME        "npt5"
#define FMT_OBJECT      format_npt5
#define FMT_DESCRIPTION "AMD nested paging, 5 levels, 57-bit guest addresses"

#include "format/npt.h"

#endif
