/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k_cont.h"
#include "format/ops_impl.h"
