/* SPDX-License-Identifier: MIT */
#include "format/sv39x4.h"
#define SUITE funnel_sv39x4
#include "walker/funnel_body.h"
