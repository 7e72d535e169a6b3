/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* One of the threads, and when it worked. */
struct threads_one {
	const struct threads_job *job;
	unsigned thread, count;
	pthread_t id;
	double start_ns, end_ns;
};

static cpu_set_t threads_cpus;
static atomic_uint threads_ready;

void threads_init(void)
{
	CPU_ZERO(&threads_cpus);
	sched_getaffinity(0, sizeof(threads_cpus), &threads_cpus);
}

static double threads_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The calling thread keeps to the CPU that is THREAD's, round after round. */
static void threads_settle(unsigned thread)
{
	unsigned left = thread % (unsigned)CPU_COUNT(&threads_cpus), cpu = 0;
	cpu_set_t own;

	for (;; cpu++)
		if (CPU_ISSET(cpu, &threads_cpus) && !left--)
			break;
	CPU_ZERO(&own);
	CPU_SET(cpu, &own);
	/* Not moving about is better, and no more than that. */
	(void)sched_setaffinity(0, sizeof(own), &own);
}

static void *threads_main(void *arg)
{
	struct threads_one *one = arg;

	threads_settle(one->thread);
	one->job->prepare(one->job->ctx, one->thread);
	atomic_fetch_add(&threads_ready, 1);
	while (atomic_load(&threads_ready) < one->count)
		sched_yield();
	one->start_ns = threads_now();
	one->job->work(one->job->ctx, one->thread);
	one->end_ns = threads_now();
	return NULL;
}

double threads_run(const struct threads_job *job, unsigned count)
{
	struct threads_one all[THREADS_MAX] = {0};
	double start, end;

	atomic_store(&threads_ready, 0);
	for (unsigned i = 0; i < count; i++) {
		all[i] = (struct threads_one){.job = job, .thread = i, .count = count};
		if (pthread_create(&all[i].id, NULL, threads_main, &all[i])) {
			fprintf(stderr, "bench: no thread\n");
			exit(1);
		}
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(all[i].id, NULL);
	start = all[0].start_ns;
	end = all[0].end_ns;
	for (unsigned i = 1; i < count; i++) {
		start = all[i].start_ns < start ? all[i].start_ns : start;
		end = all[i].end_ns > end ? all[i].end_ns : end;
	}
	return end - start;
}
