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
/* Changes of the host's that fall into one fault's page lookup. */
#define REPLAY_NESTED_MAX 16u
/* Invalidations under way; the oldest of more is taken for over. */
#define REPLAY_OPEN_MAX 16u
/* Threads whose last invalidation is remembered; two that share a place may lose one. */
#define REPLAY_ENDED 16u

/* An invalidation of the host's. */
struct replay_invalidation {
	struct vmmu_hva_range range;
	uint32_t pid;
	bool is_begun; /* it concerns a slot, and the VM knows of it */
};

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
	/* The fault under way, and what the host does inside its page lookup. */
	struct vmmu_trace_event fault;
	struct vmmu_trace_event *nested[REPLAY_NESTED_MAX]; /* in the queue */
	unsigned nested_count;
	struct replay_invalidation open[REPLAY_OPEN_MAX]; /* in the order in which they began */
	unsigned open_count;
	struct replay_invalidation ended[REPLAY_ENDED]; /* by thread */
	/* Ids of slots that were smaller than a page of the format and so do not exist. */
	uint64_t vanished[VMMU_ADDRESS_SPACES_MAX][(VMMU_SLOT_IDS + 63) / 64];
	/* Ids of slots that had memory once. */
	uint64_t backed[VMMU_ADDRESS_SPACES_MAX][(VMMU_SLOT_IDS + 63) / 64];
	struct vmmu_vcpu *vcpus[REPLAY_VCPUS_MAX];
	struct replay_queue queue;
	struct replay_parallel *parallel; /* NULL: no threads */
	bool is_reclaiming; /* what the host takes away now comes back as small pages */
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
/*
 * Learn frames that nothing but what is to be judged tells of, up to the next fault or line of a
 * script. Nothing else is taken from there: a level or right would make the comparison one with
 * itself.
 */
void replay_run_look_for_frames(struct replay_run *run);
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

/* Rules of the kernel to be compared with (enum vmmu_profile_rule); 0: none. */
unsigned replay_rules(const struct vmmu_replay_options *options);

/* replay_host.c */
/* INVALIDATE, INVALIDATE_END or COLLAPSE. */
void replay_host_change(struct replay_run *run, const struct vmmu_trace_event *event);
/* Find what the host does while FAULT, just taken from the queue, looks its page up. */
void replay_host_foresee(struct replay_run *run, const struct vmmu_trace_event *fault);
/* FAULT (run->fault) looks its page up: what was foreseen happens. Within vmmu_env.resolve. */
void replay_host_nested(struct replay_run *run);
/*
 * Learn what the host had behind the page of FAULT, just taken from the queue: its line comes after
 * the access that it describes.
 */
void replay_host_look(struct replay_run *run, const struct vmmu_trace_event *fault);
/* Invalidations whose end did not come are over: slots cannot change meanwhile. */
void replay_host_settle(struct replay_run *run);
/* AGE. Like an invalidation: the slots make guest pages of the host's. */
void replay_host_age(struct replay_run *run, const struct vmmu_trace_event *event);
/*
 * DROP or PROTECT, script lines that change the host's memory: the invalidation they cause is an
 * event of its own.
 */
void replay_host_script(struct replay_run *run, const struct vmmu_trace_event *event);

/* replay_slots.c: slot calls and dirty-log reads. All as replay_run_event(). */
int replay_slot_event(struct replay_run *run, const struct vmmu_trace_event *event);
/* A zap of everything: the moment of the next held delete and of what was called after it. */
int replay_slot_release(struct replay_run *run);
int replay_slot_call(struct replay_run *run, const struct vmmu_slot *wanted);
int replay_dirty_read(struct replay_run *run, const struct vmmu_trace_event *event);

/* replay_calls.c: other calls of a script, and any event that is of no use. */
int replay_call_event(struct replay_run *run, const struct vmmu_trace_event *event);

#endif
