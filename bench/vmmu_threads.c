/* SPDX-License-Identifier: MIT */
/* Several vCPUs that fault in one tdp root. floor_cas.c does the same with compare-exchanges. */
#include "bench.h"
#include "guest.h"
#include "threads.h"

struct crew {
	struct bench_run *run;
	struct guest guest;
	struct vmmu_vcpu *vcpus[THREADS_MAX];
	struct threads_share share; /* of no thread yet */
};

/* One of them at work. */
struct hand {
	const struct crew *crew;
	struct vmmu_vcpu *vcpu;
	uint64_t fixed;
};

static void prepare(void *ctx, unsigned thread)
{
	const struct crew *crew = ctx;
	struct vmmu_root root;

	vmmu_thread_register();
	bench_expect(crew->run, !vmmu_vcpu_root(crew->vcpus[thread], &root, NULL));
}

/* Whoever loses a race for a new table tries again, as a guest would. */
static void write_run(void *ctx, uint64_t first, uint64_t count)
{
	struct hand *hand = ctx;

	for (uint64_t i = first; i < first + count; i++) {
		struct vmmu_fault fault = {.gpa = GUEST_GPA + i * GUEST_PAGE, .access = VMMU_WRITE};
		int outcome;

		do
			outcome = vmmu_fault(hand->vcpu, &fault);
		while (outcome == VMMU_RETRY);
		hand->fixed += outcome == VMMU_FIXED;
	}
}

static void work(void *ctx, unsigned thread)
{
	const struct crew *crew = ctx;
	struct threads_share share = crew->share;
	struct hand hand = {.crew = crew, .vcpu = crew->vcpus[thread]};

	share.thread = thread;
	threads_share_out(&share, write_run, &hand);
	bench_expect(crew->run, hand.fixed == share.pages / share.count);
}

static void measure(struct bench_run *run, enum workload workload, unsigned threads, bool is_shared)
{
	uint64_t pages = run->sizes->thread_pages;
	struct crew crew = {.run = run,
			    .share = {.pages = pages, .count = threads, .is_shared = is_shared}};
	struct threads_job job = {.prepare = prepare, .work = work, .ctx = &crew};

	guest_open(run, &crew.guest, pages, VMMU_ROOT_TDP, 1);
	guest_warm(run, &crew.guest);
	for (unsigned i = 0; i < threads; i++)
		bench_expect(run, !vmmu_vcpu_create(crew.guest.vm, i + 1, &crew.vcpus[i]));
	bench_took(run, workload, pages, threads_run(&job, threads));
	guest_close(&crew.guest);
}

void bench_threads(struct bench_run *run, unsigned threads_lg2)
{
	measure(run, DISJOINT_1 + threads_lg2, 1u << threads_lg2, false);
	measure(run, SHARED_1 + threads_lg2, 1u << threads_lg2, true);
}
