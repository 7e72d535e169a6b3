/* SPDX-License-Identifier: MIT */
#include "format/ept4_mbe.h"
#include "format/ops_impl.h"
