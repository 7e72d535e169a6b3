/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define REDRAW_NS (SECOND_NS / 5)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void progress_begin(struct progress *progress)
{
	progress->is_wanted = isatty(STDERR_FILENO);
	progress->is_shown = false;
	progress->start_ns = now_ns();
	/* As if a line had been drawn so that the first one is due after a second. */
	progress->shown_ns = progress->start_ns + SECOND_NS - REDRAW_NS;
}

int progress_tell(void *ctx, uint64_t done, uint64_t total, uint64_t events)
{
	struct progress *progress = ctx;
	uint64_t now = progress->is_wanted ? now_ns() : 0;
	double fraction = total ? (double)done / (double)total : 0;

	if (!progress->is_wanted || now < progress->shown_ns + REDRAW_NS)
		return 0;
	progress->shown_ns = now;
	progress->is_shown = true;
	/* \033[K: clear what a longer line left behind. */
	fprintf(stderr, "\r%" PRIu64 " events", events);
	if (fraction > 0)
		fprintf(stderr, "  %3.0f%%  ETA %.0f s", fraction * 100,
			(double)(now - progress->start_ns) / 1e9 * (1 - fraction) / fraction);
	fputs("\033[K", stderr);
	return 0;
}

void progress_end(struct progress *progress)
{
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}
