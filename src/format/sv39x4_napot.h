/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV39X4_NAPOT_H
#define VMMU_FORMAT_SV39X4_NAPOT_H

#define SV_BITS         39
#define SV_NAPOT        1
#define FMT_NAME        "sv39x4-napot"
#define FMT_OBJECT      format_sv39x4_napot
#define FMT_DESCRIPTION "RISC-V G-stage, 3 levels, 41-bit guest addresses, Svnapot"

#include "format/riscv.h"

#endif
