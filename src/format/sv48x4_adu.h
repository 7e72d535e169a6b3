/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV48X4_ADU_H
#define VMMU_FORMAT_SV48X4_ADU_H

#define SV_BITS         48
#define SV_ADU          1
#define FMT_NAME        "sv48x4-adu"
#define FMT_OBJECT      format_sv48x4_adu
#define FMT_DESCRIPTION "RISC-V G-stage, 4 levels, accessed and dirty bits set by hardware (Svadu)"

#include "format/riscv.h"

#endif
