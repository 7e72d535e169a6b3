/* SPDX-License-Identifier: MIT */
/*
 * sync_read_lock(), sync_read_unlock() and sync_is_reading() as inline functions, for the few
 * sections that are about as short as a call. With sync.c the only user of liburcu.
 */
#ifndef VMMU_BASE_SYNC_READER_H
#define VMMU_BASE_SYNC_READER_H

#include <stdint.h>

#include "base/bits.h"
#include "base/sanitize.h"
#include "base/sync.h"

#if BASE_HAS_TSAN

/* ThreadSanitizer does not see into liburcu; the functions tell it what it must know. */
static inline void sync_reader_enter(void)
{
	sync_read_lock();
}

static inline void sync_reader_leave(void)
{
	sync_read_unlock();
}

static inline bool sync_reader_is_inside(void)
{
	return sync_is_reading();
}

static inline bool sync_reader_try_light(void)
{
	return false;
}

static inline uint64_t sync_reader_leave_light(uint64_t result)
{
	return result;
}

#else

#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

/* Is this thread registered? See sync_read_lock(). */
extern _Thread_local __attribute__((tls_model("initial-exec"))) bool sync_registered;

static inline void sync_reader_enter(void)
{
	if (unlikely(!sync_registered))
		sync_thread_register();
	urcu_memb_read_lock();
}

static inline void sync_reader_leave(void)
{
	urcu_memb_read_unlock();
}

/* A thread that is not registered is in no section, and its count says so. */
static inline bool sync_reader_is_inside(void)
{
	return urcu_memb_read_ongoing();
}

/* Registered, on a kernel with the membarrier system call. */
extern _Thread_local __attribute__((tls_model("initial-exec"))) bool sync_is_light;

/*
 * Enter a section that begins and ends in one short function and stands in no other: liburcu's own
 * steps, but what holds for the thread as long as it is registered is asked once. False: enter and
 * leave the usual way.
 */
static inline bool sync_reader_try_light(void)
{
	if (unlikely(!sync_is_light || urcu_memb_read_ongoing()))
		return false;
	cmm_barrier();
	/* The barrier is the compiler's: whoever waits for readers orders them by membarrier(). */
	CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, CMM_LOAD_SHARED(urcu_memb_gp.ctr));
	cmm_barrier();
	return true;
}

/* sync_reader_leave_light()'s own; gives RESULT back. */
uint64_t sync_reader_wake(uint64_t result);

/*
 * Leave it. What the section found goes through here, so that waking can be the caller's last step,
 * with nothing to keep meanwhile.
 */
static inline uint64_t sync_reader_leave_light(uint64_t result)
{
	cmm_barrier();
	/* No count: outside. */
	CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, 0);
	cmm_barrier();
	if (unlikely(uatomic_read(&urcu_memb_gp.futex) == -1))
		return sync_reader_wake(result);
	return result;
}

#endif
#endif
