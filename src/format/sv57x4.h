/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV57X4_H
#define VMMU_FORMAT_SV57X4_H

#define SV_BITS         57
#define FMT_NAME        "sv57x4"
#define FMT_OBJECT      format_sv57x4
#define FMT_DESCRIPTION "RISC-V G-stage, 5 levels, 59-bit guest addresses"

#include "format/riscv.h"

#endif
