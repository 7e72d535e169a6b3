/* SPDX-License-Identifier: MIT */
/*
 * Decisions of a test that invents its own operations: from a seed (random tests) or from the bytes
 * of a fuzzer's input (fuzz/), which then steers every one of them.
 *
 * Bytes are consumed as few as the decision needs, so that an input stays short and a mutation of
 * one byte changes one decision. Past the end of the input every decision is 0: a caller's loops
 * must end with that.
 */
#ifndef TESTS_BASE_DRAW_H
#define TESTS_BASE_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draw {
	const uint8_t *data; /* NULL: from the seed */
	size_t size, at;
	uint64_t state;
};

static inline struct draw draw_from_seed(uint64_t seed)
{
	return (struct draw){.state = seed};
}

static inline struct draw draw_from_bytes(const uint8_t *data, size_t size)
{
	static const uint8_t nothing[1];

	return (struct draw){.data = size ? data : nothing, .size = size};
}

/* Has all of an input been used? A seed never ends. */
static inline bool draw_is_done(const struct draw *draw)
{
	return draw->data && draw->at >= draw->size;
}

/* The mixing step of splitmix64: a bijection that looks random. */
static inline uint64_t draw_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* BYTES (1..8) bytes of the input, little-endian, or that many random ones. */
static inline uint64_t draw_bytes(struct draw *draw, unsigned bytes)
{
	uint64_t value = 0;

	if (!draw->data)
		return draw_mix(draw->state += UINT64_C(0x9e3779b97f4a7c15)) >> (64 - 8 * bytes);
	for (unsigned i = 0; i < bytes && draw->at < draw->size; i++)
		value |= (uint64_t)draw->data[draw->at++] << 8 * i;
	return value;
}

static inline uint64_t draw_word(struct draw *draw)
{
	return draw_bytes(draw, 8);
}

/* 0 .. bound - 1; bound is not 0. */
static inline uint64_t draw_below(struct draw *draw, uint64_t bound)
{
	unsigned bytes = 1;

	if (bound <= 1)
		return 0;
	if (!draw->data)
		return draw_word(draw) % bound;
	while (bytes < 8 && (bound - 1) >> 8 * bytes)
		bytes++;
	return draw_bytes(draw, bytes) % bound;
}

/* One bit in eight. */
static inline uint64_t draw_sparse(struct draw *draw)
{
	if (draw->data)
		return draw_word(draw);
	return draw_word(draw) & draw_word(draw) & draw_word(draw);
}

#endif
