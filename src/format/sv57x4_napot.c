/* SPDX-License-Identifier: MIT */
#include "format/sv57x4_napot.h"
#include "format/ops_impl.h"
