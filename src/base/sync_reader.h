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

/* How a section was entered, which is how it is to be left. */
enum sync_section {
	SYNC_SECTION_LIGHT, /* it stands in no other, and the kernel orders readers for waiters */
	SYNC_SECTION_USUAL,
};

#if BASE_HAS_TSAN

/* ThreadSanitizer does not see into liburcu; the functions tell it what it must know. */
static inline enum sync_section sync_reader_enter(void)
{
	sync_read_lock();
	return SYNC_SECTION_USUAL;
}

static inline void sync_reader_leave(enum sync_section section)
{
	(void)section;
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

/* A thread that is not registered is in no section, and its count says so. */
static inline bool sync_reader_is_inside(void)
{
	return urcu_memb_read_ongoing();
}

/* Registered, on a kernel with the membarrier system call. */
extern _Thread_local __attribute__((tls_model("initial-exec"))) bool sync_is_light;

/*
 * Enter a section that stands in no other: liburcu's own steps, but what holds for the thread as
 * long as it is registered is asked once. False: enter and leave the usual way.
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

/*
 * sync_read_lock() and unlock(), by the short way where it is open. Sections within are counted by
 * liburcu in the same word, so that they may be entered by either way.
 */
static inline enum sync_section sync_reader_enter(void)
{
	if (likely(sync_reader_try_light()))
		return SYNC_SECTION_LIGHT;
	sync_read_lock();
	return SYNC_SECTION_USUAL;
}

static inline void sync_reader_leave(enum sync_section section)
{
	if (likely(section == SYNC_SECTION_LIGHT))
		sync_reader_leave_light(0);
	else
		sync_read_unlock();
}

#endif
#endif
