/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k_lpa.h"
#include "format/ops_impl.h"
