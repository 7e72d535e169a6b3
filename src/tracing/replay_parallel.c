/* SPDX-License-Identifier: MIT */
#include "tracing/replay_parallel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/replay_run.h"

/*
 * Times that a fault is tried again at once. RETRY within a stretch means that another vCPU was
 * about the same entry, and got on; it is the kernel's scheduler that makes it so many. More are a
 * defect, and from then on RETRY is left at that.
 */
#define TRIES_MAX 1000000u
/* Fewer steps than that are done before another thread is awake. */
#define STEPS_MIN 64u

/* What a vCPU did. */
struct replay_step {
	struct vmmu_vcpu *vcpu;
	enum vmmu_trace_kind kind; /* FAULT; SMM: access is the address space; ENTRY */
	unsigned access, flags;
	uint64_t gpa;
};

/* In a stretch its thread's, otherwise the caller's. */
struct replay_worker {
	struct replay_run *run;
	struct replay_step *steps; /* REPLAY_STEPS of them */
	size_t count;
	pthread_t thread;
	uint64_t outcomes[VMMU_OUTCOMES], errors, retried;
	uint64_t tries_max;
	struct histogram histogram;
};

struct replay_parallel {
	struct replay_worker **workers; /* the first one is the calling thread */
	unsigned count;
	unsigned started; /* threads, the caller's not counted */
	uint64_t waiting; /* faults in the lists */
	uint64_t faults;  /* that ran beside others */
	uint64_t ns;      /* by the clock, of all stretches */
	pthread_mutex_t callbacks;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t go, done;
	uint64_t stretch; /* number of the one under way */
	unsigned busy;    /* threads that have not ended it */
	bool is_over;
};

static void try_fault(struct replay_worker *worker, const struct replay_step *step)
{
	struct vmmu_trace_fault fault = {
		.gpa = step->gpa, .access = step->access, .flags = step->flags};
	uint64_t tries = 0;
	int outcome;

	for (;;) {
		outcome = replay_run_fault(step->vcpu, &fault, &worker->histogram);
		if (outcome != VMMU_RETRY || tries++ >= worker->tries_max)
			break;
		worker->retried++;
		sched_yield();
	}
	if (outcome == VMMU_RETRY)
		worker->tries_max = 0;
	if (outcome >= 0 && outcome < VMMU_OUTCOMES)
		worker->outcomes[outcome]++;
	else
		worker->errors++;
}

static void work(struct replay_worker *worker)
{
	for (size_t i = 0; i < worker->count; i++) {
		const struct replay_step *step = &worker->steps[i];

		if (step->kind == VMMU_TRACE_FAULT)
			try_fault(worker, step);
		else if (step->kind == VMMU_TRACE_SMM)
			(void)vmmu_vcpu_set_as(step->vcpu, step->access);
		else
			replay_run_enter(step->vcpu);
	}
	worker->count = 0;
}

/* Wait for a stretch after SEEN; false: there will be none. */
static bool wait_for_stretch(struct replay_parallel *parallel, uint64_t *seen)
{
	bool is_over;

	pthread_mutex_lock(&parallel->lock);
	while (parallel->stretch == *seen && !parallel->is_over)
		pthread_cond_wait(&parallel->go, &parallel->lock);
	*seen = parallel->stretch;
	is_over = parallel->is_over;
	pthread_mutex_unlock(&parallel->lock);
	return !is_over;
}

static void *worker_main(void *arg)
{
	struct replay_worker *worker = arg;
	struct replay_parallel *parallel = worker->run->parallel;
	uint64_t seen = 0;

	vmmu_thread_register();
	while (wait_for_stretch(parallel, &seen)) {
		work(worker);
		pthread_mutex_lock(&parallel->lock);
		if (!--parallel->busy)
			pthread_cond_signal(&parallel->done);
		pthread_mutex_unlock(&parallel->lock);
	}
	vmmu_thread_unregister();
	return NULL;
}

/* Are there as many steps as make it worth waking threads, and for more than one? */
static bool is_worth_waking(const struct replay_parallel *parallel)
{
	size_t steps = 0;
	unsigned busy = 0;

	for (unsigned i = 0; i < parallel->count; i++) {
		steps += parallel->workers[i]->count;
		busy += parallel->workers[i]->count > 0;
	}
	return busy > 1 && steps >= STEPS_MIN;
}

static void run_threads(struct replay_parallel *parallel)
{
	pthread_mutex_lock(&parallel->lock);
	parallel->stretch++;
	parallel->busy = parallel->started;
	pthread_cond_broadcast(&parallel->go);
	pthread_mutex_unlock(&parallel->lock);
	work(parallel->workers[0]);
	pthread_mutex_lock(&parallel->lock);
	while (parallel->busy)
		pthread_cond_wait(&parallel->done, &parallel->lock);
	pthread_mutex_unlock(&parallel->lock);
	parallel->faults += parallel->waiting;
}

/* Have done what is in the lists: what is not worth waking others for, by the caller. */
static void run_stretch(struct replay_parallel *parallel)
{
	uint64_t start = replay_run_now_ns();

	if (is_worth_waking(parallel))
		run_threads(parallel);
	else
		for (unsigned i = 0; i < parallel->count; i++)
			work(parallel->workers[i]);
	parallel->waiting = 0;
	parallel->ns += replay_run_now_ns() - start;
}

static int add_worker(struct replay_run *run)
{
	struct replay_parallel *parallel = run->parallel;
	struct replay_worker *worker = mem_alloc(sizeof(*worker));
	int err;

	if (!worker)
		return -ENOMEM;
	parallel->workers[parallel->count++] = worker;
	worker->run = run;
	worker->tries_max = TRIES_MAX;
	worker->steps = mem_alloc_array(REPLAY_STEPS, sizeof(*worker->steps));
	if (!worker->steps)
		return -ENOMEM;
	if (parallel->count == 1)
		return 0;
	err = pthread_create(&worker->thread, NULL, worker_main, worker);
	parallel->started += !err;
	return -err;
}

int replay_parallel_begin(struct replay_run *run)
{
	unsigned count = run->options->threads;
	struct replay_parallel *parallel;
	int ret = 0;

	if (!count)
		return 0;
	parallel = mem_alloc(sizeof(*parallel));
	if (!parallel)
		return -ENOMEM;
	pthread_mutex_init(&parallel->callbacks, NULL);
	pthread_mutex_init(&parallel->lock, NULL);
	pthread_cond_init(&parallel->go, NULL);
	pthread_cond_init(&parallel->done, NULL);
	run->parallel = parallel;
	parallel->workers = mem_alloc_array(count, sizeof(struct replay_worker *));
	if (!parallel->workers)
		return -ENOMEM;
	while (!ret && parallel->count < count)
		ret = add_worker(run);
	return ret;
}

static void end_threads(struct replay_parallel *parallel)
{
	pthread_mutex_lock(&parallel->lock);
	parallel->is_over = true;
	pthread_cond_broadcast(&parallel->go);
	pthread_mutex_unlock(&parallel->lock);
	for (unsigned i = 1; i <= parallel->started; i++)
		pthread_join(parallel->workers[i]->thread, NULL);
}

void replay_parallel_end(struct replay_run *run)
{
	struct replay_parallel *parallel = run->parallel;

	if (!parallel)
		return;
	end_threads(parallel);
	for (unsigned i = 0; i < parallel->count; i++) {
		mem_free(parallel->workers[i]->steps);
		mem_free(parallel->workers[i]);
	}
	mem_free(parallel->workers);
	pthread_cond_destroy(&parallel->done);
	pthread_cond_destroy(&parallel->go);
	pthread_mutex_destroy(&parallel->lock);
	pthread_mutex_destroy(&parallel->callbacks);
	mem_free(parallel);
	run->parallel = NULL;
}

/* Put EVENT on the list of its vCPU's worker. */
static void add_step(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct replay_parallel *parallel = run->parallel;
	struct vmmu_vcpu *vcpu = replay_run_vcpu(run, event);
	struct replay_worker *worker;
	struct replay_step *step;

	run->report->faults += event->kind == VMMU_TRACE_FAULT;
	if (!vcpu) {
		run->report->errors += event->kind == VMMU_TRACE_FAULT;
		return;
	}
	worker = parallel->workers[replay_run_vcpu_index(event) % parallel->count];
	step = &worker->steps[worker->count++];
	*step = (struct replay_step){.vcpu = vcpu, .kind = event->kind};
	if (event->kind == VMMU_TRACE_FAULT) {
		step->gpa = event->fault.gpa;
		step->access = event->fault.access;
		step->flags = event->fault.flags;
		parallel->waiting++;
	} else if (event->kind == VMMU_TRACE_SMM) {
		step->access = event->writable ? 1 : 0;
	}
	if (worker->count == REPLAY_STEPS)
		run_stretch(parallel);
}

bool replay_parallel_take(struct replay_run *run, const struct vmmu_trace_event *event)
{
	switch (replay_run_reach(run, event)) {
	case REPLAY_REACH_VCPU:
		add_step(run, event);
		return true;
	case REPLAY_REACH_VM:
		run_stretch(run->parallel);
		return false;
	default:
		return false;
	}
}

void replay_parallel_finish(struct replay_run *run)
{
	struct replay_parallel *parallel = run->parallel;
	struct vmmu_replay_report *report = run->report;

	run_stretch(parallel);
	report->fault_ns_wall = run->histogram.total + parallel->ns;
	report->parallel_faults = parallel->faults;
	for (unsigned i = 0; i < parallel->count; i++) {
		const struct replay_worker *worker = parallel->workers[i];

		for (unsigned outcome = 0; outcome < VMMU_OUTCOMES; outcome++)
			report->outcomes[outcome] += worker->outcomes[outcome];
		report->errors += worker->errors;
		report->retried += worker->retried;
		histogram_merge(&run->histogram, &worker->histogram);
	}
}

void replay_parallel_lock(const struct replay_run *run)
{
	if (run->parallel)
		pthread_mutex_lock(&run->parallel->callbacks);
}

void replay_parallel_unlock(const struct replay_run *run)
{
	if (run->parallel)
		pthread_mutex_unlock(&run->parallel->callbacks);
}
