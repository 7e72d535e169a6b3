/* SPDX-License-Identifier: MIT */
/*
 * A mutex of one word, for the lock that every fault takes: taking it free and giving it back with
 * nobody waiting is one atomic instruction each, inline. Zeroed memory is a free one; there is
 * nothing to destroy. Not recursive, not fair, and without an owner: misuse is not noticed.
 *
 * 	LOCK_FREE    nobody has it
 * 	LOCK_TAKEN   somebody has it, and nobody sleeps for it
 * 	LOCK_WANTED  somebody has it, and others may sleep for it: who gives it back wakes one
 *
 * Who has slept takes it as LOCK_WANTED, since others may still be asleep: at worst one wake-up too
 * many. Taking pairs with giving back: acquire and release.
 */
#ifndef VMMU_BASE_LOCK_H
#define VMMU_BASE_LOCK_H

#include <stdatomic.h>

#include "base/bits.h"

enum lock_state {
	LOCK_FREE,
	LOCK_TAKEN,
	LOCK_WANTED,
};

struct lock {
	_Atomic uint32_t state; /* enum lock_state */
};

/* The same where the lock was not free: look at it for a short time, then sleep. */
void lock_take_slow(struct lock *lock);
/* Wake one that sleeps for LOCK, which is given back already and may be gone. */
void lock_wake(struct lock *lock);

static inline void lock_take(struct lock *lock)
{
	uint32_t state = LOCK_FREE;

	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    &lock->state, &state, LOCK_TAKEN, memory_order_acquire, memory_order_relaxed)))
		lock_take_slow(lock);
}

static inline void lock_give(struct lock *lock)
{
	uint32_t state = atomic_exchange_explicit(&lock->state, LOCK_FREE, memory_order_release);

	if (unlikely(state == LOCK_WANTED))
		lock_wake(lock);
}

#endif
