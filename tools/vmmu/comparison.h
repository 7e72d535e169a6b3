/* SPDX-License-Identifier: MIT */
/* What --compare found, for a person. */
#ifndef VMMU_TOOLS_COMPARISON_H
#define VMMU_TOOLS_COMPARISON_H

#include <vmmu/compare.h>

#include "kernel.h"

/* Differences shown in full, unexplained ones first; the rest is counted. */
#define COMPARISON_SHOWN 12u
#define COMPARISON_TEXT  512

struct comparison_difference {
	uint64_t line, step_line;
	char kernel[COMPARISON_TEXT], engine[COMPARISON_TEXT]; /* "": nothing */
};

struct comparison {
	struct vmmu_compare *compare;
	struct vmmu_compare_tally steps; /* agree: those without any difference */
	uint64_t unexplained;
	struct comparison_difference
		shown[COMPARISON_SHOWN]; /* unexplained, in the trace's order */
};

/* With the kernel that --kvm names, if any. An exit code. */
int comparison_begin(struct comparison *comparison, const struct kernel *kernel);
void comparison_end(struct comparison *comparison);
/* Reads TRACE again for what stands before the differences. */
void comparison_print(const struct comparison *comparison, struct vmmu_trace *trace);
/* An exit code: was anything compared, and is nothing left unexplained? */
int comparison_verdict(const struct comparison *comparison);

#endif
