/* SPDX-License-Identifier: MIT */
#include "memory/attributes.h"

#include <errno.h>

#include "base/mem.h"

/* Index of the first range that ends behind gfn; count: none. */
static size_t attributes_first(const struct attributes *attributes, uint64_t gfn)
{
	size_t low = 0, high = attributes ? attributes->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (attributes->ranges[middle].end > gfn)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

enum attributes_extent attributes_extent(const struct attributes *attributes, uint64_t start,
					 uint64_t end)
{
	size_t i = attributes_first(attributes, start);
	const struct gfn_range *range;

	if (!attributes || i == attributes->count || attributes->ranges[i].start >= end)
		return ATTRIBUTES_NONE;
	range = &attributes->ranges[i];
	return range->start <= start && range->end >= end ? ATTRIBUTES_ALL : ATTRIBUTES_SOME;
}

uint64_t attributes_reach(const struct attributes *attributes, uint64_t start, uint64_t end,
			  enum attributes_extent extent)
{
	size_t i = attributes_first(attributes, start);
	const struct gfn_range *range;

	if (!attributes || i == attributes->count)
		return extent == ATTRIBUTES_NONE ? end : start;
	range = &attributes->ranges[i];
	if (extent == ATTRIBUTES_NONE)
		return min_u64(end, max_u64(start, range->start));
	return range->start <= start ? min_u64(end, range->end) : start;
}

/* RANGE behind all others, one with the last if they touch. */
static void attributes_append(struct attributes *attributes, struct gfn_range range)
{
	struct gfn_range *last = &attributes->ranges[attributes->count];

	if (range.start >= range.end)
		return;
	if (attributes->count && last[-1].end == range.start)
		last[-1].end = range.end;
	else
		attributes->ranges[attributes->count++] = range;
}

int attributes_make(const struct attributes *old, uint64_t start, uint64_t end,
		    enum attributes_extent extent, struct attributes **next)
{
	size_t count = old ? old->count : 0, i;
	struct attributes *made;

	/* One range may fall into two, and one may come. */
	made = mem_alloc(sizeof(*made) + (count + 2) * sizeof(made->ranges[0]));
	if (!made)
		return -ENOMEM;
	for (i = 0; i < count && old->ranges[i].start < start; i++)
		attributes_append(made, (struct gfn_range){old->ranges[i].start,
							   min_u64(old->ranges[i].end, start)});
	if (extent == ATTRIBUTES_ALL)
		attributes_append(made, (struct gfn_range){start, end});
	for (i = attributes_first(old, end); i < count; i++)
		attributes_append(made, (struct gfn_range){max_u64(old->ranges[i].start, end),
							   old->ranges[i].end});
	*next = made;
	if (made->count)
		return 0;
	mem_free(made);
	*next = NULL;
	return 0;
}
