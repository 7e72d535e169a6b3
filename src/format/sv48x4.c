/* SPDX-License-Identifier: MIT */
#include "format/sv48x4.h"
#include "format/ops_impl.h"
