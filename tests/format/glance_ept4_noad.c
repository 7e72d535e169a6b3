/* SPDX-License-Identifier: MIT */
#include "format/ept4_noad.h"
#define SUITE glance_ept4_noad
#include "format/glance_body.h"
