/* SPDX-License-Identifier: MIT */
/* The tests of faults run once for each kind of root: VMMU_TEST_ROOT=tdp in the environment. */
#ifndef TESTS_FAULTS_ROOTS_H
#define TESTS_FAULTS_ROOTS_H

#include <stdlib.h>
#include <string.h>
#include <vmmu/vm.h>

static inline enum vmmu_root_mode test_root(void)
{
	const char *name = getenv("VMMU_TEST_ROOT");

	return name && !strcmp(name, "tdp") ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT;
}

static inline bool is_tdp(void)
{
	return test_root() == VMMU_ROOT_TDP;
}

/* For tests of what only direct roots do. */
#define DIRECT_ONLY()                                      \
	do {                                               \
		if (is_tdp())                              \
			cr_skip_test("direct roots only"); \
	} while (0)

#endif
