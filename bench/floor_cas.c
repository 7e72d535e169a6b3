/* SPDX-License-Identifier: MIT */
#define FLOOR_CAS 1
#include "floor_impl.h"

const struct bench_subject bench_floor_cas = {
	.name = "floor-cas",
	WORKLOAD_GROUPS,
};
