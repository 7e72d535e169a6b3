/* SPDX-License-Identifier: MIT */
/*
 * sync_read_lock(), sync_read_unlock() and sync_is_reading() as inline functions, for the few
 * sections that are about as short as a call. With sync.c the only user of liburcu.
 */
#ifndef VMMU_BASE_SYNC_READER_H
#define VMMU_BASE_SYNC_READER_H

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

#endif
#endif
