/* SPDX-License-Identifier: MIT */
#include "format/sv39x4_napot.h"
#define SUITE group_sv39x4_napot
#include "walker/group_body.h"
