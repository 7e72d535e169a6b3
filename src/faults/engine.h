/* SPDX-License-Identifier: MIT */
/*
 * Whole operations of one format. Each format's .c in src/engine emits one of these from the
 * templates, so that one indirect call is paid per operation and none per entry.
 *
 * "Locked": the VM's mmu lock is held exclusively (and with it an RCU read section, see vm_lock()).
 */
#ifndef VMMU_FAULTS_ENGINE_H
#define VMMU_FAULTS_ENGINE_H

#include <vmmu/audit.h>
#include <vmmu/env.h>
#include <vmmu/fault.h>
#include <vmmu/range.h>
#include <vmmu/walk.h>

#include "memory/slots.h"
#include "walker/table.h"

struct audit_run;

/* What is done with the dirty bits of leaves. */
enum dirty_what {
	DIRTY_NOTE,   /* in the slot's log */
	DIRTY_FORGET, /* they are cleared */
};

/* What aging does with a leaf that was accessed. */
enum age_what {
	AGE_TEST, /* tells */
	AGE_CLEAR,
};

struct vmmu_engine {
	/* The calls of vmmu/range.h. */
	const struct vmmu_range_ops *range;
	/*
	 * Handle a fault whose inputs were checked; an outcome or -errno. Takes the lock itself
	 * where it needs it.
	 */
	int (*fault)(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault);
	/*
	 * For vmmu_prefault(), FAULT as it goes to fault(); VCPU's root is of the tdp kind, and
	 * nobody listens: map what is not mapped of GFNS gfns from fault->gfn on, many at once. In
	 * *done how many are mapped, or were, which may be more. FIXED: all that the host was asked
	 * for; RETRY: the next one needs a fault of its own; else an outcome or -errno for the next
	 * one.
	 */
	int (*prefault)(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault, uint64_t gfns,
			uint64_t *done);
	/* Locked: the root of an address space, made if need be; NULL: no frame for it. */
	struct table *(*root_get)(struct vmmu_vm *vm, unsigned as_id);
	/*
	 * Locked: empty TABLE, take it out of its parents, retire it (a loaded root: mark it
	 * invalid). Of a tdp root: all tables below it too. Owes flushes.
	 */
	void (*table_zap)(struct vmmu_vm *vm, struct table *table);
	/* Locked: drop all leaves of RANGE. Owes flushes. */
	void (*zap_range)(struct vmmu_vm *vm, const struct slot_range *range);
	/*
	 * Locked: RANGE is one gfn. PAGE takes the place of what its leaves at level 1 map, if it
	 * is read-only; else, and at other levels, they are dropped. Owes flushes.
	 */
	void (*remap)(struct vmmu_vm *vm, const struct slot_range *range,
		      const struct vmmu_page *page);
	/*
	 * Locked: take WRITE from all leaves at LEVEL and above of RANGE, so that the lockless fix
	 * may give it back. Owes flushes.
	 */
	void (*protect_range)(struct vmmu_vm *vm, const struct slot_range *range, unsigned level);
	/*
	 * Locked: pages of SLOT, bit n of MASK (not 0) for gfn + n, were taken out of its dirty
	 * log: their next write is to be seen. Owes flushes.
	 */
	void (*dirty_arm)(struct vmmu_vm *vm, struct memslot *slot, uint64_t gfn, uint64_t mask);
	/*
	 * Locked, not VMMU_DIRTY_BY_FAULTS: NOTE the small pages of RANGE whose entries are dirty,
	 * or FORGET that any are. FORGET owes flushes.
	 */
	void (*dirty_scan)(struct vmmu_vm *vm, const struct slot_range *range,
			   enum dirty_what what);
	/*
	 * Locked: replace leaves larger than the smallest that map any of RANGE, below ROOT, a
	 * current one, by tables, and move range->start behind what is done. 0: all; -EAGAIN: some,
	 * enough for one hold of the lock; -ENOMEM: no room for more. Owes flushes.
	 */
	int (*split_range)(struct vmmu_vm *vm, struct table *root, struct slot_range *range);
	/*
	 * Locked: leaves of RANGE that a larger page could now replace give way to it, or are
	 * dropped: see vmmu_vm_options.resize. Owes flushes.
	 */
	void (*collapse_range)(struct vmmu_vm *vm, const struct slot_range *range);
	/*
	 * Under RCU, not locked: how many leaves of RANGE, which is not empty, were accessed;
	 * AGE_TEST stops at the first.
	 */
	uint64_t (*age_range)(struct vmmu_vm *vm, const struct slot_range *range,
			      enum age_what what);
	/* Under RCU: walk from ROOT; gpa is below the input size. */
	void (*walk)(struct vmmu_vm *vm, struct table *root, uint64_t gpa, struct vmmu_walk *walk);
	/* The same, every entry from ROOT's on; returns how many. */
	unsigned (*walk_path)(struct vmmu_vm *vm, struct table *root, uint64_t gpa,
			      struct vmmu_walk *path);
	/* Locked: every entry below ROOT that is not absent; stops with what FN returns. */
	int (*visit)(struct vmmu_vm *vm, struct table *root,
		     int (*fn)(void *ctx, const struct vmmu_visit *visit), void *ctx);
	/* Locked: a new, empty root of the tdp kind for an address space; NULL: no frame for it. */
	struct table *(*tdp_root_get)(struct vmmu_vm *vm, unsigned as_id);
	/*
	 * Locked: take some of what TABLE, of an invalid tdp root, maps away; true: nothing is
	 * left. Owes flushes.
	 */
	bool (*tdp_zap_some)(struct vmmu_vm *vm, struct table *table);
	/* Locked: every check of the tree and the rmaps. */
	void (*audit)(struct vmmu_vm *vm, struct audit_run *run);
};

/* The engine of FORMAT; never NULL. Defined a floor up, in src/engine. */
const struct vmmu_engine *engine_of_format(const struct vmmu_format *format);

#endif
