/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV48X4_NAPOT_H
#define VMMU_FORMAT_SV48X4_NAPOT_H

#define SV_BITS         48
#define SV_NAPOT        1
#define FMT_NAME        "sv48x4-napot"
#define FMT_OBJECT      format_sv48x4_napot
#define FMT_DESCRIPTION "RISC-V G-stage, 4 levels, 50-bit guest addresses, Svnapot"

#include "format/riscv.h"

#endif
