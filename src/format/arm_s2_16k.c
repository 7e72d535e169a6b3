/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_16k.h"
#include "format/ops_impl.h"
