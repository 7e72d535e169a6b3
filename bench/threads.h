/* SPDX-License-Identifier: MIT */
/* Several threads that do one thing together, and how long it takes. */
#ifndef VMMU_BENCH_THREADS_H
#define VMMU_BENCH_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define THREADS_MAX 8u

/* What each of them does; THREAD counts from 0. */
struct threads_job {
	void (*prepare)(void *ctx, unsigned thread); /* not measured */
	void (*work)(void *ctx, unsigned thread);
	void *ctx;
};

/* Before the caller keeps to one CPU: which ones there are. */
void threads_init(void);
/*
 * COUNT threads, THREADS_MAX at most, do JOB, spread over the CPUs. Returns nanoseconds on the wall
 * from the first one's start to the last one's end.
 */
double threads_run(const struct threads_job *job, unsigned count);

/* Which of PAGES pages a thread takes. */
struct threads_share {
	uint64_t pages;
	unsigned count, thread;
	bool is_shared; /* a part of each 2M rather than one of all */
};

/* Call FN for the runs of pages that SHARE is made of. */
static inline void threads_share_out(const struct threads_share *share,
				     void (*fn)(void *ctx, uint64_t first, uint64_t count),
				     void *ctx)
{
	uint64_t whole = share->is_shared ? 512 : share->pages, part = whole / share->count;

	for (uint64_t start = 0; start < share->pages; start += whole)
		fn(ctx, start + share->thread * part, part);
}

#endif
