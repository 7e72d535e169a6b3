/* SPDX-License-Identifier: MIT */
#define FLOOR_CAS 1
#include "floor_impl.h"
#include "threads.h"

/* Several threads that map in one tree. */
struct floor_crew {
	struct pt *pt;
	struct threads_share share; /* of no thread yet */
	struct arena arenas[THREADS_MAX];
};

static void floor_prepare(void *ctx, unsigned thread)
{
	arena = &((struct floor_crew *)ctx)->arenas[thread];
}

static void floor_map_run(void *ctx, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		pt_map(ctx, work_gpa(i), work_hpa(i), WORK_PAGE);
}

static void floor_work(void *ctx, unsigned thread)
{
	const struct floor_crew *crew = ctx;
	struct threads_share share = crew->share;

	share.thread = thread;
	threads_share_out(&share, floor_map_run, crew->pt);
}

static void floor_measure(struct bench_run *run, enum workload workload, unsigned threads,
			  bool is_shared)
{
	uint64_t pages = run->sizes->thread_pages;
	struct floor_crew crew = {
		.pt = pt_new(run),
		.share = {.pages = pages, .count = threads, .is_shared = is_shared}};
	struct threads_job job = {.prepare = floor_prepare, .work = floor_work, .ctx = &crew};

	/* Each may come to make all of them. */
	for (unsigned i = 0; i < threads; i++)
		arena_lend(&crew.arenas[i], WORK_TABLES(pages));
	bench_took(run, workload, pages, threads_run(&job, threads));
	for (unsigned i = 0; i < threads; i++)
		arena_take_back(&crew.arenas[i]);
	work_check(run, crew.pt, pages);
	pt_delete(crew.pt);
}

static void floor_threads(struct bench_run *run, unsigned threads_lg2)
{
	floor_measure(run, DISJOINT_1 + threads_lg2, 1u << threads_lg2, false);
	floor_measure(run, SHARED_1 + threads_lg2, 1u << threads_lg2, true);
}

const struct bench_subject bench_floor_cas = {
	.name = "floor-cas",
	.threads = floor_threads,
	WORKLOAD_GROUPS,
};
