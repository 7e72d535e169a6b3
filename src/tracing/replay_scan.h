/* SPDX-License-Identifier: MIT */
/*
 * The first pass over a trace: what a replay must know before its first event, and a guess at the
 * memory layout when the trace has none.
 */
#ifndef VMMU_TRACING_REPLAY_SCAN_H
#define VMMU_TRACING_REPLAY_SCAN_H

#include <vmmu/fault.h>
#include <vmmu/slot.h>
#include <vmmu/trace.h>

#include "tracing/replay_pages.h"

/* Threads whose last fault is remembered; two that share a place may lose one MMIO hint. */
#define REPLAY_SCAN_THREADS 4096u
/* Slots without an address for which one is learned from host lines. */
#define REPLAY_SCAN_HVAS_MAX 65536u

struct replay_scan_thread {
	uint64_t key;  /* thread, plus 1; 0: none */
	uint64_t page; /* 4 KiB page of its fault, until it enters the guest again */
};

/* A slot call that came without an address. */
struct replay_scan_hva {
	struct vmmu_slot slot;
	uint64_t hva; /* of its first byte; 0: never learned */
};

struct replay_scan {
	bool has_slots, has_host;
	bool has_script; /* accesses of a script */
	bool has_ends;   /* it tells when invalidations are over */
	/* of the tables that the trace tells of: the hardware's root is at the highest; 0: none */
	unsigned table_level;
	bool has_entries;     /* lines of entries that were read from tables */
	unsigned entry_level; /* the highest in them, as the architecture counts */
	unsigned root_level;  /* arm64: the manual's level of the root, where input_bits */
	uint64_t input_bits;  /* and how many bits of address the tables take; 0: not told */
	/*
	 * Slot calls without times, all before anything else, and as many deletes among them as
	 * zaps.
	 */
	bool is_paced;
	unsigned address_spaces; /* 1 or 2 */
	unsigned dirty_flags;    /* enum vmmu_dirty_flag that go together */
	uint32_t ring_entries;   /* of each vCPU's dirty ring, as a VM can have; 0: no rings */
	bool has_begun;          /* an event that is no slot call has come */
	bool is_mixed;           /* a slot call without a time came after that */
	uint64_t untimed_deletes, zaps;
	uint64_t faults, refused_gva;
	uint64_t last_gpa; /* largest gpa that faulted, bytes */
	struct replay_pages pages;
	struct replay_scan_thread *threads;
	struct replay_scan_hva *hvas; /* in the order of the calls */
	size_t hva_count, hva_capacity;
};

/* -ENOMEM. To be given to replay_scan_destroy() even then. */
int replay_scan_init(struct replay_scan *scan);
void replay_scan_destroy(struct replay_scan *scan);
/* Look at the next event of the trace. -ENOMEM. */
int replay_scan_event(struct replay_scan *scan, const struct vmmu_trace_event *event);
/* Nothing more comes: settle what takes the whole trace to know. */
void replay_scan_end(struct replay_scan *scan);
/* The address learned for the INDEX'th slot call that came without one; 0: none. */
uint64_t replay_scan_hva(const struct replay_scan *scan, size_t index);

#endif
