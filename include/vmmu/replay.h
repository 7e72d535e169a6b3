/* SPDX-License-Identifier: MIT */
/*
 * Replaying a trace: its faults, invalidations, slot calls and dirty-log reads, in order, into a VM
 * of any format.
 */
#ifndef VMMU_REPLAY_H
#define VMMU_REPLAY_H

#include <vmmu/audit.h>
#include <vmmu/compare.h>
#include <vmmu/fault.h>
#include <vmmu/trace.h>
#include <vmmu/vm.h>
#include <vmmu/walk.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vmmu_backing {
	/* what the trace's host lines say; without any, smallest pages */
	VMMU_BACKING_AUTO,
	VMMU_BACKING_4K,
	VMMU_BACKING_2M,
	VMMU_BACKING_1G,
};

/* Most of vmmu_replay_options.threads. */
#define VMMU_REPLAY_THREADS_MAX 64u

struct vmmu_replay_options {
	size_t size;                      /* sizeof(struct vmmu_replay_options) */
	const struct vmmu_format *format; /* NULL: by the trace's architecture */
	unsigned max_level;               /* 0: no limit */
	bool dirty_log;                   /* log dirty pages on every slot */
	bool nx_huge;
	enum vmmu_backing backing;
	unsigned repeat; /* times to replay into a new VM each, digests must agree; 0: 1 */
	enum vmmu_root_mode root;
	/*
	 * Called now and then: DONE of TOTAL bytes of input (TOTAL 0: unknown), EVENTS so far, over
	 * all passes: a first one, which only looks, and one for each repeat. NULL: not. Non-zero
	 * stops with -EINTR.
	 */
	int (*progress)(void *ctx, uint64_t done, uint64_t total, uint64_t events);
	void *progress_ctx;
	/*
	 * Called with the VM after the last event and before it is destroyed (to dump tables).
	 * NULL: not. Its error ends the replay.
	 */
	int (*finish)(void *ctx, struct vmmu_vm *vm);
	void *finish_ctx;
	/* Called for each finding of the closing audit, and when the VM is poisoned. NULL: not. */
	void (*finding)(void *ctx, const struct vmmu_finding *finding);
	void *finding_ctx;
	/*
	 * Hold the replay against what the trace says that its kernel did, as vmmu/compare.h has
	 * it, and follow that kernel's policies. A new one, and repeat at most 1. NULL: not.
	 */
	struct vmmu_compare *compare;
	/*
	 * Replay by vCPU in parallel, on so many threads, the calling one included: each vCPU's
	 * faults in recorded order, those of different vCPUs in any; slot calls, invalidations,
	 * aging, dirty-log reads and zaps in their places. At most VMMU_REPLAY_THREADS_MAX; neither
	 * with compare nor with repeat above 1. finding may come from any of them, one at a time;
	 * all other callbacks from the calling one. 0: one event after the other
	 */
	unsigned threads;
};

struct vmmu_replay_report {
	enum vmmu_trace_syntax syntax;
	const char *architecture; /* of the trace's faults */
	const struct vmmu_format *format;
	uint64_t lines, events;
	uint64_t kinds[VMMU_TRACE_KINDS];
	uint64_t faults;      /* second-stage faults replayed: outcomes[] and errors add up to it */
	uint64_t refused_gva; /* faults of shadow paging, not replayed */
	uint64_t outcomes[7]; /* by enum vmmu_outcome */
	uint64_t errors;      /* faults that vmmu_fault() refused */
	uint64_t invalidations;         /* host invalidations that met a slot */
	uint64_t invalidations_outside; /* those that met none */
	uint64_t ages;                  /* kvm_age_hva, kvm_test_age_hva that met a slot */
	uint64_t ages_outside;          /* those that met none */
	uint64_t ages_young;            /* of ages: those that found a used page */
	uint64_t slot_calls, slot_errors, slots_trimmed; /* trimmed: to the format's page size */
	uint64_t dirty_reads, dirty_pages;
	uint64_t dirty_errors;      /* reads of a slot that is not there or does not log */
	uint64_t inferred_ram_gfns; /* without a layout, guessed from the trace: 4 KiB pages */
	uint64_t inferred_mmio_gfns;
	uint64_t inferred_lost; /* faults on pages too many for the guess: no memory there */
	bool layout_inferred;
	struct vmmu_stats stats; /* of the VM at the end */
	uint64_t fault_ns_p50, fault_ns_p99, fault_ns_total;
	/*
	 * in which faults were handled, by the clock: with threads, of parallel stretches as a
	 * whole; else fault_ns_total
	 */
	uint64_t fault_ns_wall;
	uint64_t parallel_faults; /* with threads: faults that ran beside others */
	uint64_t retried; /* of those, tries that met another vCPU's change and were repeated */
	struct vmmu_digest digest;
	bool digest_repeatable; /* repeat > 1: all runs agreed */
	struct vmmu_audit audit;
};

/*
 * Replay TRACE from its start into a fresh VM. 0, and *REPORT, with the counts and times of the
 * last run. What the engine refuses is no error: the report counts it. docs/replay.md says what
 * each event does, and what is assumed where a trace is silent.
 *
 *   -EINVAL   options; options.compare and a format that is not the kernel's
 *   -ENODATA  the trace holds no fault of a known architecture and options.format is NULL; or
 *             options.compare, and it does not tell its kernel
 *   -EINTR    options.progress asked for it
 *   -EAGAIN   no such number of threads to be had
 *   others    of vmmu_trace_next(), vmmu_vm_create(), vmmu_digest() and options.finish
 *
 * With an error *REPORT is unchanged. Registers the calling thread for the duration if it is not
 * (vmmu/vm.h). Memory does not grow with the length of the trace; a comparison
 * keeps what it has not compared yet, up to a fixed number of events.
 */
VMMU_API int vmmu_replay(struct vmmu_trace *trace, const struct vmmu_replay_options *options,
			 struct vmmu_replay_report *report);

#ifdef __cplusplus
}
#endif
#endif
