/* SPDX-License-Identifier: MIT */
#include "format/ept4_mbe.h"
#define SUITE glance_ept4_mbe
#include "format/glance_body.h"
