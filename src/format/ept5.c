/* SPDX-License-Identifier: MIT */
#include "format/ept5.h"
#include "format/ops_impl.h"
