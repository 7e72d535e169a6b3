/* SPDX-License-Identifier: MIT */
/*
 * A big-reader lock under load: readers, each in its own slot, and writers. Writers change two
 * plain numbers together; nobody else may ever see them differ, and no two writers may meet.
 * Readers write plain numbers of their own, which writers read. A plain program, so that the thread
 * sanitizer can run it: it knows nothing of membarrier(), and what it sees must do.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "base/brlock.h"
#include "base/race.h"

#define READERS 4 /* unless told otherwise */
#define WRITERS 2
#define CLAIMS  3000 /* of each writer at least; it goes on until every reader came in */

static struct brlock lock;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t first, second; /* equal outside of the exclusive section */
static atomic_bool is_over;
static atomic_uint wrong;
static uint64_t claims; /* mutex */
static struct race race;
static unsigned reader_count;

static struct reader {
	struct brlock_slot slot;
	uint64_t entered; /* plain: the reader's inside, a writer's outside */
	uint64_t waited;
} readers[RACE_THREADS_MAX];

static void enter(struct reader *reader)
{
	if (brlock_enter(&lock, &reader->slot))
		return;
	pthread_mutex_lock(&mutex);
	brlock_enter_locked(&reader->slot);
	pthread_mutex_unlock(&mutex);
	reader->waited++;
}

static void *read_main(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		enter(reader);
		atomic_fetch_add(&wrong, first != second);
		reader->entered++;
		brlock_leave(&reader->slot);
	}
	return NULL;
}

static void *write_main(void *unused)
{
	bool all_came = false;

	for (uint64_t i = 0; race_goes_on(&race, i) || !all_came; i++) {
		uint64_t entered = 0;

		pthread_mutex_lock(&mutex);
		brlock_claim(&lock);
		claims++;
		first++;
		all_came = true;
		for (unsigned reader = 0; reader < reader_count; reader++) {
			entered += readers[reader].entered;
			all_came &= readers[reader].entered > 0;
		}
		/* Whoever is inside against the rule has time to be seen. */
		if (i % 64 == 0)
			sched_yield();
		for (unsigned reader = 0; reader < reader_count; reader++)
			entered -= readers[reader].entered;
		atomic_fetch_add(&wrong, entered != 0);
		second++;
		brlock_release(&lock);
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

static int run(void)
{
	pthread_t threads[RACE_THREADS_MAX + WRITERS];
	uint64_t entered = 0, waited = 0;

	first = second = claims = 0;
	is_over = false;
	race = race_begin(2, CLAIMS);
	for (unsigned i = 0; i < reader_count; i++) {
		readers[i] = (struct reader){0};
		brlock_slot_init(&readers[i].slot);
		brlock_register(&lock, &readers[i].slot);
		brlock_register(&lock, &readers[i].slot);
		if (pthread_create(&threads[i], NULL, read_main, &readers[i]))
			return 1;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[reader_count + i], NULL, write_main, NULL))
			return 1;
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[reader_count + i], NULL);
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < reader_count; i++) {
		pthread_join(threads[i], NULL);
		entered += readers[i].entered;
		waited += readers[i].waited;
		brlock_unregister(&readers[i].slot);
	}
	printf("%s: %llu shared sections, %llu of them after a wait; %u wrong\n",
	       brlock_has_membarrier ? "membarrier" : "fences", (unsigned long long)entered,
	       (unsigned long long)waited, atomic_load(&wrong));
	return wrong || first != claims || second != claims || brlock_is_shared(&lock);
}

int main(void)
{
	int failed;

	brlock_init(&lock);
	reader_count = race_threads(READERS);
	failed = run();
	/* As on a kernel without the system call. */
	brlock_has_membarrier = false;
	return failed | run();
}
