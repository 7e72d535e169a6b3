/* SPDX-License-Identifier: MIT */
#include "format/sv39x4_napot.h"
#include "format/ops_impl.h"
