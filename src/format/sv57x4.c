/* SPDX-License-Identifier: MIT */
#include "format/sv57x4.h"
#include "format/ops_impl.h"
