/* SPDX-License-Identifier: MIT */
/*
 * Criterion's words for the files that tests and fuzz targets share (tests/faults, tests/hw): a
 * fuzzer's process runs inputs, not tests, and a broken assertion is a finding.
 */
#ifndef FUZZ_SHIM_CRITERION_H
#define FUZZ_SHIM_CRITERION_H

#include <stdlib.h>

#include "target.h"

/* Every assertion's own message is optional and left out: the condition says enough. */
#define cr_assert(condition, ...)    TARGET_CHECK(condition, "%s", #condition)
#define cr_assert_eq(a, b, ...)      TARGET_CHECK((a) == (b), "%s == %s", #a, #b)
#define cr_assert_neq(a, b, ...)     TARGET_CHECK((a) != (b), "%s != %s", #a, #b)
#define cr_assert_lt(a, b, ...)      TARGET_CHECK((a) < (b), "%s < %s", #a, #b)
#define cr_assert_leq(a, b, ...)     TARGET_CHECK((a) <= (b), "%s <= %s", #a, #b)
#define cr_assert_geq(a, b, ...)     TARGET_CHECK((a) >= (b), "%s >= %s", #a, #b)
#define cr_assert_not_null(ptr, ...) TARGET_CHECK((ptr) != NULL, "%s", #ptr)
#define cr_assert_fail(...)          target_fail(__FILE__, __LINE__, __VA_ARGS__)

#endif
