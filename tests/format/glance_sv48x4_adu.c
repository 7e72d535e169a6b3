/* SPDX-License-Identifier: MIT */
#include "format/sv48x4_adu.h"
#define SUITE glance_sv48x4_adu
#include "format/glance_body.h"
