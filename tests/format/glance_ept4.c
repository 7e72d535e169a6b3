/* SPDX-License-Identifier: MIT */
#include "format/ept4.h"
#define SUITE glance_ept4
#include "format/glance_body.h"
