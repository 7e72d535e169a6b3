/* SPDX-License-Identifier: MIT */
/*
 * RCU by liburcu's memb flavour: readers cost two plain stores, a waiter makes all threads order
 * themselves with the membarrier system call.
 */
#include "base/sync.h"

#include <pthread.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/list.h"
#include "base/sanitize.h"
/*
 * Inline read-side functions; the library's licence allows that to programs of any licence
 * compatible with it. ThreadSanitizer must not see inside them: their counters are plain stores.
 */
#include "base/sync_reader.h"
#if BASE_HAS_TSAN
#include <urcu/urcu-memb.h>
#endif

static _Thread_local bool sync_registered;
#if !BASE_HAS_TSAN
/*
 * Registered, and the kernel orders readers for whoever waits: see sync_reader_try_light().
 * Initial-exec: also in a shared library the flag is one load away. It stands on the path of every
 * reader.
 */
_Thread_local __attribute__((tls_model("initial-exec"))) bool sync_is_light;
#endif

/*
 * Its destructor takes back the registration of a thread that ends without doing so: liburcu
 * keeps a pointer into it.
 */
static pthread_key_t sync_exit_key;
static bool sync_has_exit_key;
static pthread_once_t sync_once = PTHREAD_ONCE_INIT;

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

/*
 * fork() leaves one thread, and a list in liburcu that still has all of them: a reader that was
 * inside at that moment never leaves, and the child's first wait never ends. So we keep a list of
 * our own, and the child takes the others off liburcu's with it. (Its call_rcu handlers, which know
 * of forks, are not for programs without call_rcu.)
 *
 * 	registering          sync_threads_lock, around liburcu's own lock
 * 	waiting for readers  sync_fork_lock shared
 * 	forking              both, so that no thread is within liburcu's locks or lists
 *
 * A thread that forks inside a reader would wait for those who wait for it: it takes neither.
 */
struct sync_thread {
	struct list link;
	struct urcu_reader *reader;
};

static _Thread_local struct sync_thread sync_thread;
static struct list sync_threads = {&sync_threads, &sync_threads};
static pthread_mutex_t sync_threads_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t sync_fork_lock = PTHREAD_RWLOCK_INITIALIZER;
static bool sync_has_fork_locks; /* of the thread that forks, while it forks */

static void sync_before_fork(void)
{
	if (sync_is_reading())
		return;
	pthread_mutex_lock(&sync_threads_lock);
	pthread_rwlock_wrlock(&sync_fork_lock);
	sync_has_fork_locks = true;
}

static void sync_after_fork_in_parent(void)
{
	if (!sync_has_fork_locks)
		return;
	sync_has_fork_locks = false;
	pthread_rwlock_unlock(&sync_fork_lock);
	pthread_mutex_unlock(&sync_threads_lock);
}

/* The only thread now. */
static void sync_after_fork_in_child(void)
{
	struct list *node, *next;

	for (node = sync_threads.next; node != &sync_threads; node = next) {
		struct sync_thread *thread = container_of(node, struct sync_thread, link);

		next = node->next;
		if (thread == &sync_thread)
			continue;
#if !BASE_HAS_TSAN
		cds_list_del(&thread->reader->node);
#endif
		list_remove(node);
	}
	sync_has_fork_locks = false;
	pthread_rwlock_init(&sync_fork_lock, NULL);
	pthread_mutex_init(&sync_threads_lock, NULL);
}

static void sync_thread_exit(void *unused)
{
	(void)unused;
	sync_thread_unregister();
}

/* Once a process, before anything is registered. */
static void sync_init(void)
{
	sync_has_exit_key = !pthread_key_create(&sync_exit_key, sync_thread_exit);
	pthread_atfork(sync_before_fork, sync_after_fork_in_parent, sync_after_fork_in_child);
}

void sync_thread_register(void)
{
	if (sync_registered)
		return;
	pthread_once(&sync_once, sync_init);
	/* Any value but NULL makes the destructor run. */
	if (sync_has_exit_key)
		pthread_setspecific(sync_exit_key, &sync_registered);
	pthread_mutex_lock(&sync_threads_lock);
	urcu_memb_register_thread();
#if !BASE_HAS_TSAN
	sync_thread.reader = &URCU_TLS(urcu_memb_reader);
	sync_is_light = urcu_memb_has_sys_membarrier;
#endif
	list_insert(&sync_threads, &sync_thread.link);
	pthread_mutex_unlock(&sync_threads_lock);
	sync_registered = true;
}

void sync_thread_unregister(void)
{
	if (!sync_registered)
		return;
	pthread_mutex_lock(&sync_threads_lock);
	list_remove(&sync_thread.link);
#if !BASE_HAS_TSAN
	sync_is_light = false;
#endif
	urcu_memb_unregister_thread();
	pthread_mutex_unlock(&sync_threads_lock);
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

#if !BASE_HAS_TSAN
uint64_t sync_reader_wake(uint64_t result)
{
	urcu_common_wake_up_gp(&urcu_memb_gp);
	return result;
}
#endif

const void *sync_self(void)
{
	return &sync_registered;
}

bool sync_is_reading(void)
{
	return sync_registered && urcu_memb_read_ongoing();
}

void sync_wait_readers(void)
{
	bool was_registered = sync_registered;

	if (!was_registered)
		sync_thread_register();
	pthread_rwlock_rdlock(&sync_fork_lock);
	urcu_memb_synchronize_rcu();
	pthread_rwlock_unlock(&sync_fork_lock);
	if (!was_registered)
		sync_thread_unregister();
	sanitize_acquire(SYNC_TAG);
}
