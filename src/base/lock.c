/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Looks at a taken lock before a sleep: about what mapping a page takes. Whoever holds the lock for
 * longer does something large. (tests/interleave: one look)
 */
#ifndef LOCK_LOOKS
#define LOCK_LOOKS 100
#endif

static void lock_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Take LOCK as STATE if it is free now. */
static bool lock_try(struct lock *lock, uint32_t state)
{
	uint32_t free = LOCK_FREE;

	return atomic_load_explicit(&lock->state, memory_order_relaxed) == LOCK_FREE &&
	       atomic_compare_exchange_strong_explicit(&lock->state, &free, state,
						       memory_order_acquire, memory_order_relaxed);
}

/* errno is the business of whoever calls the library, and pthread's mutexes leave it alone too. */
static void lock_futex(struct lock *lock, int operation, uint32_t value)
{
	int saved = errno;

	syscall(SYS_futex, &lock->state, operation, value, NULL, NULL, 0);
	errno = saved;
}

void lock_take_slow(struct lock *lock)
{
	for (unsigned i = 0; i < LOCK_LOOKS; i++) {
		if (lock_try(lock, LOCK_TAKEN))
			return;
		lock_pause();
	}
	/* The kernel puts nobody to sleep unless the word is still LOCK_WANTED. */
	while (atomic_exchange_explicit(&lock->state, LOCK_WANTED, memory_order_acquire) !=
	       LOCK_FREE)
		lock_futex(lock, FUTEX_WAIT_PRIVATE, LOCK_WANTED);
}

void lock_wake(struct lock *lock)
{
	lock_futex(lock, FUTEX_WAKE_PRIVATE, 1);
}
