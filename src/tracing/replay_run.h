/* SPDX-License-Identifier: MIT */
/*
 * One run of a replay: a fresh VM, driven by the events of the trace in order.
 */
#ifndef VMMU_TRACING_REPLAY_RUN_H
#define VMMU_TRACING_REPLAY_RUN_H

#include <vmmu/fault.h>
#include <vmmu/invalidate.h>
#include <vmmu/replay.h>

#include "tracing/histogram.h"
#include "tracing/replay_backing.h"
#include "tracing/replay_layout.h"
#include "tracing/replay_queue.h"
#include "tracing/replay_scan.h"

/* vCPUs made; a trace with higher ids has them share these. */
#define REPLAY_VCPUS_MAX 1024u
/* Invalidations that one fault's own page lookup may cause. */
#define REPLAY_NESTED_MAX 8u

struct replay_parallel;

struct replay_run {
	const struct vmmu_replay_options *options;
	const struct vmmu_format *format;
	const struct vmmu_geometry *geometry;
	const struct replay_scan *scan;
	struct vmmu_replay_report *report; /* its counts of this run */
	struct vmmu_vm *vm;
	struct replay_backing backing;
	struct replay_layout layout;
	struct histogram histogram; /* ns per fault */
	size_t unplaced;            /* slot calls without an address so far */
	/*
	 * Slot calls of a paced layout, waiting for the zaps that they caused: see replay_slots.c.
	 */
	struct vmmu_slot *held;
	size_t held_count, held_capacity, held_next;
	uint64_t zaps_implied; /* slot deletes whose own zap of everything the trace has still to
				  tell */
	/* Invalidations that the fault under way causes, to happen inside its page lookup. */
	struct vmmu_trace_event *nested[REPLAY_NESTED_MAX]; /* in the queue */
	unsigned nested_count;
	/* Ids of slots that were smaller than a page of the format and so do not exist. */
	uint64_t vanished[VMMU_ADDRESS_SPACES_MAX][(VMMU_SLOT_IDS + 63) / 64];
	/* Ids of slots that had memory once. */
	uint64_t backed[VMMU_ADDRESS_SPACES_MAX][(VMMU_SLOT_IDS + 63) / 64];
	struct vmmu_vcpu *vcpus[REPLAY_VCPUS_MAX];
	struct replay_queue queue;
	struct replay_parallel *parallel; /* NULL: no threads */
};

/* What an event concerns. */
enum replay_reach {
	REPLAY_REACH_NONE, /* nothing of the VM */
	REPLAY_REACH_VCPU, /* its vCPU alone: others may go on meanwhile */
	REPLAY_REACH_VM,
};

/*
 * Make the VM; the trace stands at its first event. -ENOMEM, errors of vmmu_vm_create(). RUN,
 * zeroed but for the members up to report, is to be given to replay_run_end() even then.
 */
int replay_run_begin(struct replay_run *run, struct vmmu_trace *trace);
void replay_run_end(struct replay_run *run);
/*
 * Apply EVENT, just taken from run->queue. -ENOMEM only: whatever the engine refuses is counted in
 * the report.
 */
int replay_run_event(struct replay_run *run, const struct vmmu_trace_event *event);
/* What EVENT, just taken from run->queue, concerns. */
enum replay_reach replay_run_reach(struct replay_run *run, const struct vmmu_trace_event *event);
/* The vCPU of EVENT, made when first needed; NULL: out of memory or the VM is poisoned. */
struct vmmu_vcpu *replay_run_vcpu(struct replay_run *run, const struct vmmu_trace_event *event);
/* Its number, below REPLAY_VCPUS_MAX. */
unsigned replay_run_vcpu_index(const struct vmmu_trace_event *event);
/*
 * Enter the guest and fault, as VCPU did; the time goes to HISTOGRAM. Returns what vmmu_fault()
 * does, or the error that kept it away. Threads: one at a time for a vCPU and for a histogram.
 */
int replay_run_fault(struct vmmu_vcpu *vcpu, const struct vmmu_trace_fault *wanted,
		     struct histogram *histogram);
/* VCPU goes into the guest, with a root that is current. Threads: one at a time for a vCPU. */
void replay_run_enter(struct vmmu_vcpu *vcpu);
/* By the monotonic clock. */
uint64_t replay_run_now_ns(void);
/*
 * Set a slot of an inferred layout. For replay_pages_slots(): CTX is the run; always 0 or -ENOMEM.
 */
int replay_run_infer(void *ctx, const struct vmmu_slot *slot);

/* replay_slots.c: slot calls and dirty-log reads. All as replay_run_event(). */
int replay_slot_event(struct replay_run *run, const struct vmmu_trace_event *event);
/* A zap of everything: the moment of the next held delete and of what was called after it. */
int replay_slot_release(struct replay_run *run);
int replay_slot_call(struct replay_run *run, const struct vmmu_slot *wanted);
int replay_dirty_read(struct replay_run *run, const struct vmmu_trace_event *event);

#endif
