/* SPDX-License-Identifier: MIT */
#include "format/sv39x4_napot.h"
#define SUITE glance_sv39x4_napot
#include "format/glance_body.h"
