/* SPDX-License-Identifier: MIT */
#include "format/ept4_noad.h"
#include "format/ops_impl.h"
