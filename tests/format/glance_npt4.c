/* SPDX-License-Identifier: MIT */
#include "format/npt4.h"
#define SUITE glance_npt4
#include "format/glance_body.h"
