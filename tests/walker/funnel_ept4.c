/* SPDX-License-Identifier: MIT */
#include "format/ept4.h"
#define SUITE funnel_ept4
#include "walker/funnel_body.h"
