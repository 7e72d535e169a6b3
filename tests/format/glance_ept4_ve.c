/* SPDX-License-Identifier: MIT */
#include "format/ept4_ve.h"
#define SUITE glance_ept4_ve
#include "format/glance_body.h"
