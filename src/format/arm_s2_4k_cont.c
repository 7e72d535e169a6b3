/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_4k_cont.h"
#include "format/ops_impl.h"
