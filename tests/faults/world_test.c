/* SPDX-License-Identifier: MIT */
/*
 * Random operations on two VMs of two formats, interleaved, each held against its flat model after
 * every step.
 *
 * VMMU_SEED=n makes a run again, VMMU_RANDOM_OPS=n sets its length (operations per format). Both
 * are printed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "faults/world.h"

#define DEFAULT_OPS  10000
#define DEFAULT_SEED 2605
/* How often everything is looked at. */
#define CHECK_ALL_EVERY 512

static uint64_t number_from(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : fallback;
}

/* What the run came to; one in which nothing happens would prove nothing. */
static void report(const struct world *world, uint64_t ops)
{
	struct vmmu_stats stats = machine_stats(world->machine);
	uint64_t fixed = stats.faults[VMMU_FIXED];

	fprintf(stderr,
		"  %s: fixed %llu (%llu fast, %llu ahead), spurious %llu, retry %llu, emulate "
		"%llu, "
		"exit %llu; flushes %llu + %llu, invalidations %llu, largest level %u, groups %llu "
		"- %llu\n",
		world->machine->info->name, (unsigned long long)fixed,
		(unsigned long long)stats.fast_fixes, (unsigned long long)stats.prefetched,
		(unsigned long long)stats.faults[VMMU_SPURIOUS],
		(unsigned long long)stats.faults[VMMU_RETRY],
		(unsigned long long)stats.faults[VMMU_EMULATE],
		(unsigned long long)stats.faults[VMMU_EXIT_TO_HOST],
		(unsigned long long)stats.flushes, (unsigned long long)stats.local_flushes,
		(unsigned long long)stats.invalidations, world->machine->largest_level,
		(unsigned long long)stats.grouped, (unsigned long long)stats.ungrouped);
	/* short runs, and the VM that gets a quarter of the operations, may miss something */
	if (ops < DEFAULT_OPS)
		return;
	cr_assert(fixed > 1000 && stats.invalidations > 100);
	/* where dirty bits do it, hardly anything is protected */
	cr_assert(stats.fast_fixes > 5 || world->machine->dirty_source == VMMU_DIRTY_BY_BITS);
	cr_assert(stats.faults[VMMU_SPURIOUS] && stats.faults[VMMU_RETRY] &&
		  stats.faults[VMMU_EXIT_TO_HOST]);
}

FORMAT_TEST(random, two_vms_of_two_formats__always_agree_with_their_models)
{
	uint64_t ops = number_from("VMMU_RANDOM_OPS", DEFAULT_OPS);
	uint64_t seed = number_from("VMMU_SEED", DEFAULT_SEED);
	unsigned other = outside_at(*index + 1) ? *index + 1 : 0;
	struct world worlds[2] = {world_create(*index, draw_from_seed(seed * 1000 + *index), 3),
				  world_create(other, draw_from_seed(seed * 2000 + *index), 3)};

	fprintf(stderr, "%s and %s: VMMU_SEED=%llu VMMU_RANDOM_OPS=%llu\n",
		worlds[0].machine->info->name, worlds[1].machine->info->name,
		(unsigned long long)seed, (unsigned long long)ops);
	for (uint64_t op = 0; op < ops; op++) {
		world_op(&worlds[op % 4 == 3]);
		if (op % CHECK_ALL_EVERY == CHECK_ALL_EVERY - 1) {
			world_check_all(&worlds[0]);
			world_check_all(&worlds[1]);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		world_check_all(&worlds[i]);
		report(&worlds[i], i ? 0 : ops);
	}
	machine_destroy(worlds[0].machine);
	machine_destroy(worlds[1].machine);
}
