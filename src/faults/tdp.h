/* SPDX-License-Identifier: MIT */
/*
 * tdp roots: trees that many vCPUs change at once. What does not depend on the format.
 *
 * The mmu lock is a mutex and, for vCPUs of tdp roots, a big-reader lock on top of it
 * (base/brlock.h). A fault holds it shared: others may be in the same tables, each entry is changed
 * by one compare-exchange, and what a fault counts and makes goes to the books of its vCPU.
 * Everybody else holds it exclusively, finds the books folded into the tree, and may treat the
 * tables as those of direct roots.
 *
 * 	entries                                  compare-exchange; see walker/funnel_impl.h
 * 	tables that a vCPU made, cut off         lists of its own, until folded
 * 	table frames                             a stock of the vCPU's, filled with the mutex held
 * 	root, invalid roots, everything else     exclusive
 *
 * A table that a fault cuts off may have others in it, under the lock like the fault. Its entries
 * are frozen, so that nothing is put there any more, and it is retired when the books are folded,
 * which is when nobody is in it. Lockless readers (RCU) may stay longer: the grace period is for
 * them.
 *
 * No table has an rmap or hash. Its one parent stands in parents, as a single rmap entry would.
 *
 * A root that becomes invalid (everything is zapped) is no longer found, and no fault maps into it:
 * faults check their root under the lock. It keeps what it maps until it is emptied, part by part,
 * the lock given away in between. Whoever wants it gone empties what is left, whoever began.
 */
#ifndef VMMU_FAULTS_TDP_H
#define VMMU_FAULTS_TDP_H

#include "base/brlock.h"
#include "walker/tree.h"

struct vmmu_vm;
struct vmmu_vcpu;
struct slot_range;

/* Frames in a full stock. */
#define TDP_STOCK 16

/*
 * Tables cut off by one vCPU that make it fold its books, so that they can be freed
 * (tests/interleave: fewer).
 */
#ifndef TDP_REMOVED_MAX
#define TDP_REMOVED_MAX 64
#endif

/* What a vCPU needs of its own for tdp roots. */
struct tdp_vcpu {
	struct brlock_slot shared;
	/* Below: the vCPU's, under the lock however held; anyone's under the exclusive one. */
	struct tree_books books;
	struct list made;      /* tables, newest first */
	struct table *removed; /* cut off and flushed; linked by hash_next */
	unsigned removed_count;
	unsigned need; /* frames that a fault found too few in stock */
	unsigned stock_count;
	unsigned stock_zeroed;  /* bit i: stock[i] is all 0 */
	void *stock[TDP_STOCK]; /* frames of tree.below_lg2; also changed with the mutex held */
	unsigned char end[BRLOCK_LINE];
};

void tdp_vcpu_init(struct tdp_vcpu *tdp);
/* Mutex held: VCPU's faults may share the lock from now on. */
void tdp_vcpu_join(struct vmmu_vcpu *vcpu);
/* Locked exclusively: the opposite. Gives its frames back. */
void tdp_vcpu_leave(struct vmmu_vcpu *vcpu);

/*
 * Mutex held, and vCPUs may share the lock: exclude them. What they did becomes the tree's. Part of
 * vm_lock().
 */
void tdp_claim(struct vmmu_vm *vm);

/*
 * Not locked: VCPU's stock holds as many frames as it needs, and some more, unless others take them
 * away before it is back. Makes room where the quota or the pool is used up. 0, -ENOMEM, -ENOSPC,
 * -EDEADLK.
 */
int tdp_topup(struct vmmu_vcpu *vcpu);
/* Enter the mmu lock shared. */
void tdp_enter(struct vmmu_vcpu *vcpu);
/* Leave it; may take it exclusively afterwards. */
void tdp_leave(struct vmmu_vcpu *vcpu);
/* Locked exclusively: all frames in stocks go back to the pool. */
void tdp_drain(struct vmmu_vm *vm);
/* Frames in all stocks. Locked exclusively. */
uint64_t tdp_stocked(const struct vmmu_vm *vm);

/* Locked exclusively: make all tdp roots invalid. They still map what they did. */
void tdp_invalidate_roots(struct vmmu_vm *vm);
/* Locked exclusively: empty all invalid roots; gives the lock away in between. */
void tdp_zap_invalid(struct vmmu_vm *vm);

/* Locked exclusively: ROOT is empty, and nobody is to find it any more. */
void tdp_drop_root(struct vmmu_vm *vm, struct table *root);

/*
 * Locked exclusively: the tdp roots of an address space that may map something, one after the
 * other: the current one, then invalid ones. NULL: no (more). Roots may not come or go meanwhile.
 */
struct table *tdp_first_root(const struct vmmu_vm *vm, unsigned as_id);
struct table *tdp_next_root(const struct vmmu_vm *vm, const struct table *root);

#endif
