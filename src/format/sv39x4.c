/* SPDX-License-Identifier: MIT */
#include "format/sv39x4.h"
#include "format/ops_impl.h"
