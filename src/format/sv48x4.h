/* SPDX-License-Identifier: MIT */
#ifndef VMMU_FORMAT_SV48X4_H
#define VMMU_FORMAT_SV48X4_H

#define SV_BITS         48
#define FMT_NAME        "sv48x4"
#define FMT_OBJECT      format_sv48x4
#define FMT_DESCRIPTION "RISC-V G-stage, 4 levels, 50-bit guest addresses"

#include "format/riscv.h"

#endif
