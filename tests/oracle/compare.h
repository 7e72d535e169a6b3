/* SPDX-License-Identifier: MIT */
/* The emulator's results against what they had to be. */
#ifndef TESTS_ORACLE_COMPARE_H
#define TESTS_ORACLE_COMPARE_H

#include "oracle/run.h"

#define COMPARE_DEFECTS_MAX 8

struct compare {
	uint64_t results, agreed;
	uint64_t explained[COMPARE_DEFECTS_MAX]; /* by known defects, in their order */
	uint64_t unexplained;
	uint64_t stale_shown; /* probes before the flush that still saw the old entry */
	unsigned printed;
};

/* All of RESULTS, added to *COMPARE; the first few unexplained ones are printed. */
void compare_results(struct compare *compare, const struct jobs *jobs,
		     const struct run_results *results);
/* Does a known defect explain more than its share of PROBES? Its name, or NULL. */
const char *compare_excess(const struct compare *compare, const struct oracle_emulator *emulator,
			   uint64_t probes);

#endif
