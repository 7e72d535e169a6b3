/* SPDX-License-Identifier: MIT */
/*
 * RCU by liburcu's memb flavour: readers cost two plain stores, a waiter makes all threads order
 * themselves with the membarrier system call.
 */
#include "base/sync.h"

#include <pthread.h>

#include "base/bits.h"
#include "base/sanitize.h"

/*
 * Inline read-side functions; the library's licence allows that to programs of any licence
 * compatible with it. ThreadSanitizer must not see inside them: their counters are plain stores.
 */
#if !BASE_HAS_TSAN
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

/*
 * Initial-exec: also in a shared library the flag is one load away. It stands on the path of every
 * reader.
 */
_Thread_local __attribute__((tls_model("initial-exec"))) bool sync_registered;

/*
 * Its destructor takes back the registration of a thread that ends without doing so: liburcu
 * keeps a pointer into it.
 */
static pthread_key_t sync_exit_key;
static bool sync_has_exit_key;
static pthread_once_t sync_exit_once = PTHREAD_ONCE_INIT;

#if BASE_HAS_TSAN
/*
 * ThreadSanitizer does not see into liburcu: leaving readers release this, whoever waited for
 * them acquires it.
 */
static char sync_tag;
#define SYNC_TAG (&sync_tag)
#else
#define SYNC_TAG NULL
#endif

static void sync_thread_exit(void *unused)
{
	(void)unused;
	sync_thread_unregister();
}

static void sync_make_exit_key(void)
{
	sync_has_exit_key = !pthread_key_create(&sync_exit_key, sync_thread_exit);
}

void sync_thread_register(void)
{
	if (sync_registered)
		return;
	pthread_once(&sync_exit_once, sync_make_exit_key);
	/* Any value but NULL makes the destructor run. */
	if (sync_has_exit_key)
		pthread_setspecific(sync_exit_key, &sync_registered);
	urcu_memb_register_thread();
	sync_registered = true;
}

void sync_thread_unregister(void)
{
	if (!sync_registered)
		return;
	urcu_memb_unregister_thread();
	sync_registered = false;
	if (sync_has_exit_key)
		pthread_setspecific(sync_exit_key, NULL);
}

bool sync_thread_is_registered(void)
{
	return sync_registered;
}

void sync_read_lock(void)
{
	/*
	 * A reader that liburcu does not know is a reader nobody waits for. Threads register
	 * themselves, as documented; one that forgot is registered here rather than left to corrupt
	 * memory.
	 */
	if (unlikely(!sync_registered))
		sync_thread_register();
	urcu_memb_read_lock();
}

void sync_read_unlock(void)
{
	sanitize_release(SYNC_TAG);
	urcu_memb_read_unlock();
}

void sync_wait_readers(void)
{
	bool was_registered = sync_registered;

	if (!was_registered)
		sync_thread_register();
	urcu_memb_synchronize_rcu();
	if (!was_registered)
		sync_thread_unregister();
	sanitize_acquire(SYNC_TAG);
}
