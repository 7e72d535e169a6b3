/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV39X4_H
#define VMMU_FORMAT_SV39X4_H

#define SV_BITS         39
#define FMT_NAME        "sv39x4"
#define FMT_OBJECT      format_sv39x4
#define FMT_DESCRIPTION "RISC-V G-stage, 3 levels, 41-bit guest addresses"

#include "format/riscv.h"

#endif
