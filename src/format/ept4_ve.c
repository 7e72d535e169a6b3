/* SPDX-License-Identifier: MIT */
#include "format/ept4_ve.h"
#include "format/ops_impl.h"
