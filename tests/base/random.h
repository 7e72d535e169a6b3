/* SPDX-License-Identifier: MIT */
/* Random numbers that a seed reproduces; the seed comes from VMMU_SEED, or is fixed. */
#ifndef TESTS_BASE_RANDOM_H
#define TESTS_BASE_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random_state {
	uint64_t state;
};

/* Starts from the environment's seed, else from SEED, and prints it. */
static inline struct random_state random_start(uint64_t seed)
{
	const char *text = getenv("VMMU_SEED");

	if (text)
		seed = strtoull(text, NULL, 0);
	fprintf(stderr, "VMMU_SEED=%llu\n", (unsigned long long)seed);
	return (struct random_state){.state = seed};
}

/* splitmix64. */
static inline uint64_t random_u64(struct random_state *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0..count - 1. */
static inline uint64_t random_below(struct random_state *random, uint64_t count)
{
	return random_u64(random) % count;
}

#endif
