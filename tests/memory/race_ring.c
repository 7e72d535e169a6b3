/* SPDX-License-Identifier: MIT */
/*
 * A ring's two ends at once: a thread pushes numbers, another harvests and resets them. Each comes
 * out once, in order, whole. A plain program: it runs under the thread sanitizer too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/race.h"
#include "memory/ring.h"

#define ENTRIES 64
#define NUMBERS 400000u
/* A look at the clock after so many. */
#define STRIDE 1024u

static struct race race;
static atomic_uint pushed; /* how many there are, once it is known */
static atomic_bool is_over;

/* Both parts of an entry tell the number, so that a torn one shows. */
static uint64_t page_of(uint32_t number)
{
	return (uint64_t)number * number + 1;
}

static void *push(void *arg)
{
	struct dirty_ring *ring = arg;

	uint32_t number;

	for (number = 0; number % STRIDE || race_goes_on(&race, number); number++)
		while (!ring_push(ring, number, page_of(number)))
			sched_yield();
	atomic_store(&pushed, number);
	atomic_store(&is_over, true);
	return NULL;
}

int main(void)
{
	struct dirty_ring *ring = ring_create(ENTRIES, 8);
	struct vmmu_dirty_page pages[ENTRIES];
	struct ring_word word;
	pthread_t thread;
	uint32_t next = 0;
	uint64_t at = 0;

	MUST(ring);
	race = race_begin(1, NUMBERS);
	MUST(!pthread_create(&thread, NULL, push, ring));
	while (!atomic_load(&is_over) || next < atomic_load(&pushed)) {
		uint64_t count = ring_harvest(ring, pages, 1 + next % ENTRIES);

		for (uint64_t i = 0; i < count; i++, next++) {
			MUST(pages[i].slot == next);
			MUST(pages[i].page == page_of(next));
		}
		/* The entries are read once more before their places are given back. */
		while (ring_next_word(ring, &at, &word))
			MUST(word.first == (page_of(word.slot) & ~UINT64_C(63)));
		MUST(at == next);
		ring_set_reset(ring, at);
		if (!count)
			sched_yield();
	}
	MUST(!pthread_join(thread, NULL));
	MUST(ring_is_empty(ring));
	ring_destroy(ring);
	printf("%u entries\n", next);
	return 0;
}
