/* SPDX-License-Identifier: MIT */
/*
 * Which gfns are private: a sorted array of ranges, the same for all address spaces and whether or
 * not slots are there. Never changed once it is published; readers are inside RCU.
 */
#ifndef VMMU_MEMORY_ATTRIBUTES_H
#define VMMU_MEMORY_ATTRIBUTES_H

#include "base/bits.h"

struct gfn_range {
	uint64_t start, end; /* half-open, not empty */
};

struct attributes {
	size_t count;
	struct gfn_range ranges[]; /* ascending, with gaps between them */
};

/* How much of a range is private. */
enum attributes_extent {
	ATTRIBUTES_NONE,
	ATTRIBUTES_SOME,
	ATTRIBUTES_ALL,
};

/* Of gfns [start, end), not empty. ATTRIBUTES NULL: nothing is private. O(log n). */
enum attributes_extent attributes_extent(const struct attributes *attributes, uint64_t start,
					 uint64_t end);
/*
 * Where gfns [start, end) cease to be all private or (ATTRIBUTES_NONE) all shared: END, or the
 * first that is not. O(log n).
 */
uint64_t attributes_reach(const struct attributes *attributes, uint64_t start, uint64_t end,
			  enum attributes_extent extent);
/*
 * OLD (or NULL) with gfns [start, end), not empty, made all private or (ATTRIBUTES_NONE) all
 * shared, in *next; NULL: nothing is private. -ENOMEM. O(n).
 */
int attributes_make(const struct attributes *old, uint64_t start, uint64_t end,
		    enum attributes_extent extent, struct attributes **next);

#endif
