/* SPDX-License-Identifier: MIT */
/*
 * Readers look slots up while an updater creates, deletes, moves and re-flags them: for a second,
 * or as many as base/race.h is told.
 *
 * 	slot 0   always there, re-flagged
 * 	slot 1   moved between gfns 1000 and 2000: in every set it is at exactly one of the two
 * 	slot 2   comes and goes at gfn 3000
 *
 * A slot's hva tells its id, so that a reader can tell a slot from the remains of one.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/race.h"
#include "base/sync.h"
#include "memory/dirty_log.h"
#include "memory/geometries.h"

#define READERS    2 /* unless told otherwise */
#define SLOT_GFNS  16
#define HVA_OF(id) (((uint64_t)(id) + 1) << 32)

static struct slots slots;
static atomic_bool stop;
static atomic_ulong failures;
static _Atomic uint64_t lookups, updates, hits_while_invalid, copies;
/* Odd while an update is under way; and what flags slot 0 has when it is even. */
static _Atomic uint64_t updating;
static _Atomic uint32_t flags_now;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	if (atomic_fetch_add(&failures, 1) < 10)
		fprintf(stderr, "failed: %s\n", what);
}

/* What may be read of a slot that was found. */
static void check_slot(struct memslot *slot, unsigned id, uint64_t gfn)
{
	check(slot->id == id, "id");
	check(slot->hva == HVA_OF(id), "hva");
	check(slot->gfns == SLOT_GFNS, "size");
	check(gfn - slot->base_gfn < SLOT_GFNS, "range");
	check(memslot_max_level(slot, &geometry_4k, gfn, 3) == 1, "level");
	memslot_log_dirty(slot, gfn);
	if (slot->invalid)
		atomic_fetch_add_explicit(&hits_while_invalid, 1, memory_order_relaxed);
}

struct reader {
	struct slot_cache cache;
	struct random_state random;
	uint64_t generation; /* the last one seen, without the UPDATING bit */
	uint64_t lookups;
};

static int count_range(void *ctx, const struct slot_range *range)
{
	check(range->slot->id == 0, "hva range");
	check(range->end - range->start == SLOT_GFNS, "hva range's size");
	++*(unsigned *)ctx;
	return 0;
}

static void read_once(struct reader *reader)
{
	const struct slot_set *set = slots_active(&slots, 0);
	uint64_t generation = slot_set_generation(set) & ~SLOTS_GEN_UPDATING;
	uint64_t offset = random_below(&reader->random, SLOT_GFNS);
	struct memslot *slot, *low, *high;
	unsigned ranges = 0;

	check(generation >= reader->generation, "generation falls");
	reader->generation = generation;
	slot = slot_set_find(set, offset, &reader->cache);
	check(slot, "slot 0 lost");
	if (slot)
		check_slot(slot, 0, offset);
	low = slot_set_find(set, 1000 + offset, &reader->cache);
	high = slot_set_find(set, 2000 + offset, &reader->cache);
	check(!low != !high, "slot 1 not at exactly one place");
	if (low)
		check_slot(low, 1, 1000 + offset);
	if (high)
		check_slot(high, 1, 2000 + offset);
	slot = slot_set_find(set, 3000 + offset, &reader->cache);
	if (slot)
		check_slot(slot, 2, 3000 + offset);
	slot_set_for_hva(set, &slots, HVA_OF(0), HVA_OF(1), count_range, &ranges);
	check(ranges == 1, "slot 0 lost by hva");
	reader->lookups += 5;
}

/*
 * Outside RCU: what the cache says of slot 0 is right for some moment in between, and so for all of
 * it when no update was under way.
 */
static void read_copy(struct reader *reader)
{
	uint64_t before = atomic_load(&updating);
	uint32_t flags = atomic_load(&flags_now);
	uint64_t gfn = random_below(&reader->random, SLOT_GFNS);
	const struct memslot *copy = &reader->cache.copy;

	if (!slot_cache_find(&reader->cache, slots_active(&slots, 0), gfn))
		return;
	check(copy->id == 0 && copy->hva == HVA_OF(0) && copy->gfns == SLOT_GFNS, "copy");
	if (before % 2 || before != atomic_load(&updating))
		return;
	check(copy->flags == flags, "copy out of date");
	atomic_fetch_add_explicit(&copies, 1, memory_order_relaxed);
}

/* Have the cache hold slot 0, then read it again and again while the slots change. */
static void read_copies(struct reader *reader)
{
	sync_read_lock();
	slot_set_find(slots_active(&slots, 0), 0, &reader->cache);
	sync_read_unlock();
	for (unsigned i = 0; i < 20; i++)
		read_copy(reader);
}

static void *read_slots(void *seed)
{
	struct reader reader = {.random = race_random((unsigned)(uintptr_t)seed)};

	sync_thread_register();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		sync_read_lock();
		read_once(&reader);
		sync_read_unlock();
		read_copies(&reader);
	}
	sync_thread_unregister();
	atomic_fetch_add(&lookups, reader.lookups);
	return NULL;
}

static void update(unsigned id, uint64_t gfn, uint64_t gfns, unsigned flags)
{
	struct vmmu_slot slot = {
		.id = id, .flags = flags, .gpa = gfn << 12, .bytes = gfns << 12, .hva = HVA_OF(id)};

	atomic_fetch_add(&updating, 1);
	check(slots_set(&slots, &slot) == 0, "update");
	if (id == 0)
		atomic_store(&flags_now, flags);
	atomic_fetch_add(&updating, 1);
	atomic_fetch_add(&updates, 1);
}

static void *update_slots(void *unused)
{
	bool present = false, flagged = false, moved = false;
	struct random_state random = race_random(0);

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		switch (random_below(&random, 3)) {
		case 0:
			flagged = !flagged;
			update(0, 0, SLOT_GFNS, flagged);
			break;
		case 1:
			moved = !moved;
			update(1, moved ? 2000 : 1000, SLOT_GFNS, VMMU_SLOT_LOG_DIRTY);
			break;
		default:
			present = !present;
			update(2, 3000, present ? SLOT_GFNS : 0, 0);
		}
	}
	return unused;
}

int main(void)
{
	long ms = (long)(race_number("VMMU_RACE_SECONDS", 1) * 1000);
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	unsigned readers = race_threads(READERS);
	size_t live = mem_live();
	pthread_t threads[RACE_THREADS_MAX + 1];

	if (slots_init(&slots, &geometry_4k, 3, 1, NULL))
		return 2;
	update(0, 0, SLOT_GFNS, 0);
	update(1, 1000, SLOT_GFNS, VMMU_SLOT_LOG_DIRTY);
	for (uintptr_t i = 0; i < readers; i++)
		check(!pthread_create(&threads[i], NULL, read_slots, (void *)(i + 1)), "thread");
	check(!pthread_create(&threads[readers], NULL, update_slots, NULL), "thread");
	nanosleep(&time, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i <= readers; i++)
		pthread_join(threads[i], NULL);
	slots_destroy(&slots);
	check(mem_live() == live, "leak");
	/* A run in which nothing met would prove nothing. */
	check(atomic_load(&hits_while_invalid), "no reader met an invalid slot");
	check(atomic_load(&copies), "no copy was ever read between updates");
	printf("%llu lookups, %llu updates, %llu slots met while invalid, %llu copies read\n",
	       (unsigned long long)lookups, (unsigned long long)updates,
	       (unsigned long long)hits_while_invalid, (unsigned long long)copies);
	return atomic_load(&failures) ? 1 : 0;
}
