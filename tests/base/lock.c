/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <time.h>

#define THREADS 4
#define ROUNDS  20000

static struct lock lock;
static uint64_t count; /* under the lock; not atomic, so that an unlocked increment is lost */
static _Atomic bool is_in;
static _Atomic unsigned collisions;

static void sleep_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

static void *count_up(void *unused)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		lock_take(&lock);
		if (atomic_exchange(&is_in, true))
			collisions++;
		count++;
		atomic_store(&is_in, false);
		lock_give(&lock);
	}
	return unused;
}

Test(lock, zeroed_memory__is_a_free_lock)
{
	struct lock fresh = {0};

	lock_take(&fresh);
	cr_assert_eq(fresh.state, LOCK_TAKEN);
	lock_give(&fresh);
	cr_assert_eq(fresh.state, LOCK_FREE);
}

Test(lock, many_threads__one_at_a_time)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(count, THREADS * ROUNDS);
	cr_assert_eq(collisions, 0);
	cr_assert_eq(lock.state, LOCK_FREE);
}

static void *count_once(void *unused)
{
	lock_take(&lock);
	count++;
	lock_give(&lock);
	return unused;
}

/* The threads have long given up looking by the time the lock is given back: all sleep. */
Test(lock, threads_that_sleep_for_it__are_all_woken)
{
	pthread_t threads[THREADS];

	lock_take(&lock);
	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_once, NULL), 0);
	for (unsigned i = 0; i < 1000 && lock.state != LOCK_WANTED; i++)
		sleep_ms(1);
	sleep_ms(20);
	cr_assert_eq(lock.state, LOCK_WANTED);
	cr_assert_eq(count, 0);
	lock_give(&lock);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(count, THREADS);
	cr_assert_eq(lock.state, LOCK_FREE);
}
