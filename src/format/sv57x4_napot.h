/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV57X4_NAPOT_H
#define VMMU_FORMAT_SV57X4_NAPOT_H

#define SV_BITS         57
#define SV_NAPOT        1
#define FMT_NAME        "sv57x4-napot"
#define FMT_OBJECT      format_sv57x4_napot
#define FMT_DESCRIPTION "RISC-V G-stage, 5 levels, 59-bit guest addresses, Svnapot"

#include "format/riscv.h"

#endif
