/* SPDX-License-Identifier: MIT */
/*
 * Readers without the mmu lock beside one writer: what a reader finds is always an entry that was
 * in the map at some moment of its look, chains included, and freed chunks are never read (the
 * sanitizer builds would tell).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/race.h"
#include "base/sync.h"
#include "rmap/rmap.h"

#define HEADS       4
#define PLACES      40
#define CHANGES     60000
#define CHANGES_MAX 100000000
/* A look at the clock after so many. */
#define STRIDE 64
/* Changes go on until readers met so many entries. */
#define WANTED  100000
#define READERS 3 /* unless told otherwise */

/* Entries of head H are places[H][...]; their values say so. */
static _Atomic uint64_t places[HEADS][PLACES];
static rmap_head heads[HEADS];
static _Atomic bool is_over;
static _Atomic uint64_t met, wrong;

static void read_head(unsigned h)
{
	struct rmap_reader reader;
	rmap_ptep ptep;
	uint64_t count = 0;

	sync_read_lock();
	for (ptep = rmap_reader_begin(&heads[h], &reader); ptep; ptep = rmap_next(&reader.iter)) {
		if (atomic_load_explicit(ptep, memory_order_relaxed) != h + 1)
			atomic_fetch_add(&wrong, 1);
		count++;
	}
	rmap_reader_end(&reader);
	sync_read_unlock();
	if (count > PLACES)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add_explicit(&met, count, memory_order_relaxed);
}

static void *reader_main(void *unused)
{
	(void)unused;
	sync_thread_register();
	for (unsigned n = 0; !atomic_load(&is_over); n++)
		read_head(n % HEADS);
	sync_thread_unregister();
	return NULL;
}

/* Let heads grow to chains of three chunks and shrink to nothing, over and over. */
static int write_heads(void)
{
	static bool is_in[HEADS][PLACES];
	struct objcache cache;
	struct race race = race_begin(1, CHANGES);
	uint32_t random = (uint32_t)race_random(0).state;

	objcache_init(&cache, sizeof(struct rmap_chunk));
	for (unsigned n = 0; n % STRIDE || race_goes_on(&race, n) ||
			     (race_lacks(&race, met, WANTED) && n < CHANGES_MAX);
	     n++) {
		bool is_growing = n / 2000 % 2 == 0;
		unsigned h, p;

		random = random * 1664525 + 1013904223;
		h = random >> 30;
		p = (random >> 8) % PLACES;
		if (objcache_topup(&cache, 1))
			return 1;
		if (!is_in[h][p] && is_growing)
			is_in[h][p] = rmap_add(&heads[h], &places[h][p], &cache) > 0;
		else if (is_in[h][p] && !is_growing)
			is_in[h][p] = !rmap_remove(&heads[h], &places[h][p]);
	}
	for (unsigned h = 0; h < HEADS; h++)
		for (unsigned p = 0; p < PLACES; p++)
			if (is_in[h][p] && !rmap_remove(&heads[h], &places[h][p]))
				return 1;
	objcache_destroy(&cache);
	return 0;
}

int main(void)
{
	unsigned count = race_threads(READERS);
	pthread_t readers[RACE_THREADS_MAX];
	int err;

	for (unsigned h = 0; h < HEADS; h++)
		for (unsigned p = 0; p < PLACES; p++)
			atomic_store(&places[h][p], h + 1);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&readers[i], NULL, reader_main, NULL))
			return 1;
	err = write_heads();
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < count; i++)
		pthread_join(readers[i], NULL);
	for (unsigned h = 0; h < HEADS; h++)
		err |= atomic_load(&heads[h]) != 0;
	printf("%llu entries met, %llu wrong\n", (unsigned long long)atomic_load(&met),
	       (unsigned long long)atomic_load(&wrong));
	return err || atomic_load(&wrong) || !atomic_load(&met);
}
