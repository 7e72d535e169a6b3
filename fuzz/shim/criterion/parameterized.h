/* SPDX-License-Identifier: MIT */
/* The one function of Criterion's that tests/faults/machine.c calls outside an assertion. */
#ifndef FUZZ_SHIM_CRITERION_PARAMETERIZED_H
#define FUZZ_SHIM_CRITERION_PARAMETERIZED_H

#include <stddef.h>

struct criterion_test_params {
	const void *params;
	size_t count;
};

#define cr_make_param_array(type, array, length) \
	((struct criterion_test_params){.params = (array), .count = (length)})

#endif
