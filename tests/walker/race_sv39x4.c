/* SPDX-License-Identifier: MIT */
#include "format/sv39x4.h"
#define RACE race_sv39x4
#include "walker/race_body.h"
