/* SPDX-License-Identifier: MIT */
#include "format/ept5.h"
#define SUITE glance_ept5
#include "format/glance_body.h"
