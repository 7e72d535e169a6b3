/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_16k_lpa2.h"
#include "format/ops_impl.h"
