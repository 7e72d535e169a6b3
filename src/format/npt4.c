/* SPDX-License-Identifier: MIT */
#include "format/npt4.h"
#include "format/ops_impl.h"
