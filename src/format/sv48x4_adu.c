/* SPDX-License-Identifier: MIT */
#include "format/sv48x4_adu.h"
#include "format/ops_impl.h"
