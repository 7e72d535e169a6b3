/* SPDX-License-Identifier: MIT */
#include "format/sv48x4_napot.h"
#include "format/ops_impl.h"
