/* SPDX-License-Identifier: MIT */
#include "format/sv39x4.h"
#define SUITE glance_sv39x4
#include "format/glance_body.h"
