/* SPDX-License-Identifier: MIT */
/*
 * What race programs have in common. They are plain programs, as Criterion does not run under the
 * thread sanitizer, and the environment says how they run:
 *
 * 	VMMU_RACE_SECONDS=s  for so long in all, rather than a number of rounds
 * 	VMMU_RACE_THREADS=n  that fault or read, 1 to RACE_THREADS_MAX; those that change things
 * 	                     come on top
 * 	VMMU_SEED=n          of what is drawn
 */
#ifndef TESTS_BASE_RACE_H
#define TESTS_BASE_RACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"
#include "base/random.h"

#define RACE_THREADS_MAX 8

/* One part of a program: a number of rounds, or a time. */
struct race {
	uint64_t rounds;
	uint64_t end_ns; /* 0: rounds it is */
};

static inline uint64_t race_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The number in the environment, or FALLBACK. */
static inline double race_number(const char *name, double fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtod(text, NULL) : fallback;
}

/* Begin one of PARTS equal parts of the program, which by itself are ROUNDS long. */
static inline struct race race_begin(unsigned parts, uint64_t rounds)
{
	double seconds = race_number("VMMU_RACE_SECONDS", 0);
	struct race race = {.rounds = rounds};

	MUST(seconds >= 0 && seconds < 1e6 && parts);
	if (seconds > 0)
		race.end_ns = race_now_ns() + (uint64_t)(seconds * 1e9 / parts);
	return race;
}

/* Is another round due after DONE of them? At least one is. */
static inline bool race_goes_on(const struct race *race, uint64_t done)
{
	if (race->end_ns)
		return !done || race_now_ns() < race->end_ns;
	return done < race->rounds;
}

/*
 * Must it go on until something that was to happen WANTED times, and did DONE times, has? With a
 * time, until it happened at all.
 */
static inline bool race_lacks(const struct race *race, uint64_t done, uint64_t wanted)
{
	return done < (race->end_ns ? 1 : wanted);
}

/* Threads that fault or read. */
static inline unsigned race_threads(unsigned fallback)
{
	double count = race_number("VMMU_RACE_THREADS", fallback);

	MUST(count >= 1 && count <= RACE_THREADS_MAX);
	return (unsigned)count;
}

/* Random numbers, others for each ID. */
static inline struct random_state race_random(unsigned id)
{
	const char *text = getenv("VMMU_SEED");
	uint64_t seed = text && *text ? strtoull(text, NULL, 0) : 0;

	return (struct random_state){(seed << 8) + id};
}

#endif
