/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(text) (void)(text)
#endif

#include "bench.h"

static const char *const names[WORKLOADS] = {
	[MAP_ASCENDING] = "map-4k-ascending",
	[MAP_RANDOM] = "map-4k-random",
	[MAP_RANGE] = "map-range",
	[MAP_BLOCKS] = "map-2m",
	[UNMAP_PAGES] = "unmap-4k-ascending",
	[PROTECT_CLEAN] = "write-protect",
	[PROTECT_AGAIN] = "write-protect-again",
	[FIX_ASCENDING] = "fix-ascending",
	[FIX_RANDOM] = "fix-random",
	[UNMAP] = "unmap",
	[DETACH] = "detach",
	[SPLIT] = "split",
	[TRANSLATE_HOT] = "translate-hot",
	[TRANSLATE_HOT_LATENCY] = "translate-hot-latency",
	[TRANSLATE_ONCE] = "translate-once",
	[TRANSLATE_COLD] = "translate-cold",
	[TRANSLATE_COLD_LATENCY] = "translate-cold-latency",
	[TRANSLATE_BATCH] = "translate-batch",
	[FAULT_FRESH] = "fault-fresh",
	[FAULT_FAST] = "fault-fast-fix",
	[REPLAY] = "replay",
	[TDP_FRESH] = "fault-fresh-tdp",
	[TDP_RANDOM] = "fault-random-tdp",
	[TDP_LOG] = "log-tdp",
	[TDP_FAST] = "fault-fast-fix-tdp",
	[TDP_DIRTY_1] = "dirty-1-tdp",
	[TDP_DIRTY_50] = "dirty-50-tdp",
	[TDP_DIRTY_100] = "dirty-100-tdp",
	[TDP_BLOCKS] = "fault-2m-tdp",
	[TDP_PREFAULT_EACH] = "prefault-each-tdp",
	[TDP_PREFAULT] = "prefault-tdp",
	[TDP_PREFAULT_BLOCKS] = "prefault-2m-tdp",
	[SHARE_ASCENDING] = "map-4k-ascending-shared",
	[SHARE_RANDOM] = "map-4k-random-shared",
	[SHARE_RANGE] = "map-range-shared",
	[SHARE_BLOCKS] = "map-2m-shared",
	[SHARE_FIX] = "fix-ascending-shared",
	[SHARE_FIX_RANDOM] = "fix-random-shared",
	[DISJOINT_1] = "disjoint-1",
	[DISJOINT_2] = "disjoint-2",
	[DISJOINT_4] = "disjoint-4",
	[DISJOINT_8] = "disjoint-8",
	[SHARED_1] = "shared-1",
	[SHARED_2] = "shared-2",
	[SHARED_4] = "shared-4",
	[SHARED_8] = "shared-8",
};

const char *bench_name(enum workload workload)
{
	return names[workload];
}

/* Of the thread: others that want the processor too do not count. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void bench_begin(struct bench_run *run)
{
	run->start_ns = now_ns();
	/* Reading the clock is not counted: it is more than some of what is measured. */
	if (run->is_counted) {
		CALLGRIND_ZERO_STATS;
		CALLGRIND_TOGGLE_COLLECT;
	}
}

void bench_end(struct bench_run *run, enum workload workload, uint64_t ops)
{
	double end_ns;
	char text[96];

	if (run->is_counted)
		CALLGRIND_TOGGLE_COLLECT;
	end_ns = now_ns();
	if (run->is_counted) {
		snprintf(text, sizeof(text), "%s|%s|%llu", run->subject, names[workload],
			 (unsigned long long)ops);
		CALLGRIND_DUMP_STATS_AT(text);
	}
	bench_took(run, workload, ops, end_ns - run->start_ns);
}

void bench_took(struct bench_run *run, enum workload workload, uint64_t ops, double ns)
{
	unsigned rep = run->count[workload]++;

	if (rep < BENCH_REPS_MAX)
		run->ns[workload][rep] = ns / (double)ops;
}

void bench_fail(const struct bench_run *run, const char *file, int line, const char *what)
{
	fprintf(stderr, "bench: %s: wrong result: %s:%d: %s\n", run->subject, file, line, what);
	exit(1);
}
