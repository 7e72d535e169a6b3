/* SPDX-License-Identifier: MIT */
#include "format/ept4.h"
#include "format/ops_impl.h"
