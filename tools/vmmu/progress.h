/* SPDX-License-Identifier: MIT */
/* The line on a terminal that says how far a long replay is. */
#ifndef VMMU_TOOLS_PROGRESS_H
#define VMMU_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_wanted; /* stderr is a terminal */
	bool is_shown;
	uint64_t start_ns, shown_ns;
};

/*
 * Start the clock. Nothing is shown during the first second, and nothing ever when stderr is no
 * terminal.
 */
void progress_begin(struct progress *progress);
/* vmmu_replay_options.progress; CTX is the struct progress. Always 0. */
int progress_tell(void *ctx, uint64_t done, uint64_t total, uint64_t events);
/* Take the line away, if there is one. */
void progress_end(struct progress *progress);

#endif
