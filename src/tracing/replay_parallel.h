/* SPDX-License-Identifier: MIT */
/*
 * A replay by several threads. What is a vCPU's alone (faults, guest entries) waits in lists, one
 * for each worker, the vCPUs dealt to them by number. What is the VM's (slot calls, invalidations,
 * dirty-log reads, zaps) ends the stretch: the workers go through their lists, each in recorded
 * order, and when all are done the event is applied with nothing else going on. The calling thread
 * is the first worker, reads the trace, and is alone between stretches.
 */
#ifndef VMMU_TRACING_REPLAY_PARALLEL_H
#define VMMU_TRACING_REPLAY_PARALLEL_H

#include <vmmu/trace.h>

/* Steps that a worker's list holds; a full one ends the stretch too. */
#define REPLAY_STEPS 16384u

struct replay_run;
struct replay_parallel;

/*
 * Start the options' threads for RUN, whose VM is there; nothing if none are asked for. -ENOMEM,
 * -EAGAIN and what else pthread_create() says.
 */
int replay_parallel_begin(struct replay_run *run);
/* End them. What is still in the lists is dropped. */
void replay_parallel_end(struct replay_run *run);
/*
 * True: EVENT, which is a vCPU's alone, is taken care of. False: it is to be applied, and if it is
 * the VM's, everything before it has been.
 */
bool replay_parallel_take(struct replay_run *run, const struct vmmu_trace_event *event);
/* The trace is over: do what is left, and add the workers' counts and times to the report. */
void replay_parallel_finish(struct replay_run *run);
/* Around callbacks of the embedder that any worker may come to; nothing without threads. */
void replay_parallel_lock(const struct replay_run *run);
void replay_parallel_unlock(const struct replay_run *run);

#endif
