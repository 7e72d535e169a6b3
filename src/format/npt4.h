/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_NPT4_H
#define VMMU_FORMAT_NPT4_H

#define NPT_LEVELS      4
#define FMT_NAME        "npt4"
#define FMT_OBJECT      format_npt4
#define FMT_DESCRIPTION "AMD nested paging, 4 levels, 48-bit guest addresses"

#include "format/npt.h"

#endif
