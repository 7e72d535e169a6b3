/* SPDX-License-Identifier: MIT */
#define FLOOR_CAS 0
#include "floor_impl.h"

const struct bench_subject bench_floor = {
	.name = "floor",
	WORKLOAD_GROUPS,
};
