/* SPDX-License-Identifier: MIT */
/* Which numbers were seen, each with the smallest of the ranks that it came with. */
#ifndef TESTS_INTERLEAVE_SEEN_H
#define TESTS_INTERLEAVE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct seen {
	struct seen_item *items;
	uint64_t room, count;
};

/*
 * Is NUMBER there with a rank as small as RANK? Afterwards it is. Out of memory: ends the program.
 */
bool seen_before(struct seen *seen, uint64_t number, unsigned rank);
void seen_clear(struct seen *seen);

static inline uint64_t seen_mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

#endif
