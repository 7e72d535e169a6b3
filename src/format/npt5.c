/* SPDX-License-Identifier: MIT */
#include "format/npt5.h"
#include "format/ops_impl.h"
