/* SPDX-License-Identifier: MIT */
/*
 * A big-reader lock on top of a mutex: shared acquires that scale with CPUs, paid for by exclusive
 * ones.
 *
 * Who wants it shared has a slot of its own, registered with the lock, and a shared acquire writes
 * that slot alone. The claim, which every acquire reads, is written by exclusive acquires only. So
 * as long as nobody wants the lock exclusively, no cache line moves between CPUs.
 *
 * 	shared                                exclusive, the mutex held
 * 	slot = inside              (1)        claim = true                 (3)
 * 	order                                 order
 * 	claim?                     (2)        wait until no slot is inside (4)
 * 	  no: in                              in
 * 	  yes: slot = outside;                claim = false
 * 	  take the mutex, slot = inside,      give the mutex back
 * 	  give the mutex back: in
 *
 * Exclusion: both in would mean that (2) missed (3) and (4) missed (1).
 * Without membarrier() all four are sequentially consistent: in their one order either (1) comes
 * before (4), which then sees it, or (3) comes before (2), which then sees it. With membarrier()
 * the left "order" keeps but the compiler from moving (2) before (1), and the right one makes each
 * thread of the process pass a full barrier somewhere within the call. If that point lies behind
 * (1), then (4) sees (1); if it lies before (1), it lies before (2), which sees (3). Who came in by
 * the mutex wrote (1) with it held: whoever claims later sees it.
 *
 * What a section did happens before the next section that excludes it: a leaving reader releases
 * its slot and (4) acquires it; a leaving writer releases the claim, (2) acquires it.
 *
 * The mutex alone excludes writers, not readers. A slot is in one section at a time; which thread
 * works with it does not matter, nor does fork(), as long as no slot is inside. Who meets a claim
 * waits for the mutex like a writer.
 */
#ifndef VMMU_BASE_BRLOCK_H
#define VMMU_BASE_BRLOCK_H

#include <stdatomic.h>

#include "base/list.h"

/* Bytes that no two CPUs should write in common. */
#define BRLOCK_LINE 64

struct brlock {
	struct list slots; /* mutex */
	unsigned char before[BRLOCK_LINE];
	atomic_bool is_claimed;
	unsigned char after[BRLOCK_LINE];
};

struct brlock_slot {
	struct list link; /* mutex; to itself: not registered */
	unsigned char before[BRLOCK_LINE];
	atomic_bool is_inside;
	unsigned char after[BRLOCK_LINE];
};

/* Can the kernel order all threads for us? Found out by the first brlock_init(). */
extern bool brlock_has_membarrier;

void brlock_init(struct brlock *lock);
void brlock_slot_init(struct brlock_slot *slot);
/* Mutex held, SLOT outside. Twice is as good as once. */
void brlock_register(struct brlock *lock, struct brlock_slot *slot);
void brlock_unregister(struct brlock_slot *slot);

/* Mutex held: is any slot registered? */
static inline bool brlock_is_shared(const struct brlock *lock)
{
	return !list_is_empty(&lock->slots);
}

/* Mutex held: exclude all slots, until brlock_release(). Free of cost with none registered. */
void brlock_claim(struct brlock *lock);
void brlock_release(struct brlock *lock);

/*
 * Be inside beside others; SLOT is registered and outside. False: the lock is claimed, SLOT is
 * outside; take the mutex and go in by brlock_enter_locked().
 */
static inline bool brlock_enter(struct brlock *lock, struct brlock_slot *slot)
{
	if (likely(brlock_has_membarrier)) {
		atomic_store_explicit(&slot->is_inside, true, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
	} else {
		atomic_exchange_explicit(&slot->is_inside, true, memory_order_seq_cst);
	}
	if (likely(!atomic_load_explicit(&lock->is_claimed, memory_order_seq_cst)))
		return true;
	atomic_store_explicit(&slot->is_inside, false, memory_order_release);
	return false;
}

/* Mutex held, unclaimed: be inside. */
static inline void brlock_enter_locked(struct brlock_slot *slot)
{
	atomic_store_explicit(&slot->is_inside, true, memory_order_relaxed);
}

static inline void brlock_leave(struct brlock_slot *slot)
{
	atomic_store_explicit(&slot->is_inside, false, memory_order_release);
}

#endif
