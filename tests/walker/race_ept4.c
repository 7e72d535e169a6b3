/* SPDX-License-Identifier: MIT */
#include "format/ept4.h"
#define RACE race_ept4
#include "walker/race_body.h"
