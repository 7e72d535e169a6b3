/* SPDX-License-Identifier: MIT */
#include "base/brlock.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/membarrier.h>
#endif

/*
 * Looks at a slot before the CPU is given away: a section is a few hundred instructions
 * (tests/interleave: one).
 */
#ifndef BRLOCK_SPINS
#define BRLOCK_SPINS 64
#endif

bool brlock_has_membarrier;
static pthread_once_t brlock_once = PTHREAD_ONCE_INIT;

#if defined(SYS_membarrier) && defined(__linux__)

static long brlock_membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0u, 0);
}

static void brlock_find_membarrier(void)
{
	long commands = brlock_membarrier(MEMBARRIER_CMD_QUERY);

	brlock_has_membarrier = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
				!brlock_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
				!brlock_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

/* Each thread passes a full barrier within this call. */
static void brlock_order_all(void)
{
	if (!brlock_has_membarrier || !brlock_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return;
	/* A child of fork() may have to register anew, should its kernel want that. */
	brlock_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	brlock_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

#else

static void brlock_find_membarrier(void)
{
}

static void brlock_order_all(void)
{
}

#endif

void brlock_init(struct brlock *lock)
{
	pthread_once(&brlock_once, brlock_find_membarrier);
	list_init(&lock->slots);
	atomic_init(&lock->is_claimed, false);
}

void brlock_slot_init(struct brlock_slot *slot)
{
	atomic_init(&slot->is_inside, false);
	list_init(&slot->link);
}

void brlock_register(struct brlock *lock, struct brlock_slot *slot)
{
	if (list_is_empty(&slot->link))
		list_insert(&lock->slots, &slot->link);
}

void brlock_unregister(struct brlock_slot *slot)
{
	list_remove(&slot->link);
}

static void brlock_wait_outside(const struct brlock_slot *slot)
{
	unsigned spins = 0;

	while (atomic_load_explicit(&slot->is_inside, memory_order_seq_cst))
		if (++spins % BRLOCK_SPINS == 0)
			sched_yield();
}

void brlock_claim(struct brlock *lock)
{
	if (!brlock_is_shared(lock))
		return;
	atomic_store_explicit(&lock->is_claimed, true, memory_order_seq_cst);
	brlock_order_all();
	list_for_each(node, &lock->slots)
		brlock_wait_outside(container_of(node, struct brlock_slot, link));
}

void brlock_release(struct brlock *lock)
{
	if (atomic_load_explicit(&lock->is_claimed, memory_order_relaxed))
		atomic_store_explicit(&lock->is_claimed, false, memory_order_release);
}
