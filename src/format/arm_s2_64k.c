/* SPDX-License-Identifier: MIT */
#include "format/arm_s2_64k.h"
#include "format/ops_impl.h"
