/* SPDX-License-Identifier: MIT */
#include "interleave/seen.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEN_ROOM_FIRST 4096

struct seen_item {
	uint64_t number;
	unsigned rank; /* one more than it is; 0: nothing here */
};

static struct seen_item *seen_find(const struct seen *seen, uint64_t number)
{
	uint64_t at = seen_mix(number) & (seen->room - 1);

	while (seen->items[at].rank && seen->items[at].number != number)
		at = (at + 1) & (seen->room - 1);
	return &seen->items[at];
}

static void seen_grow(struct seen *seen)
{
	struct seen old = *seen;

	seen->room = old.room ? 2 * old.room : SEEN_ROOM_FIRST;
	seen->items = calloc(seen->room, sizeof(*seen->items));
	if (!seen->items) {
		fprintf(stderr, "interleave: out of memory\n");
		exit(2);
	}
	for (uint64_t i = 0; i < old.room; i++)
		if (old.items[i].rank)
			*seen_find(seen, old.items[i].number) = old.items[i];
	free(old.items);
}

bool seen_before(struct seen *seen, uint64_t number, unsigned rank)
{
	struct seen_item *item;

	if (4 * seen->count >= 3 * seen->room)
		seen_grow(seen);
	item = seen_find(seen, number);
	if (item->rank && item->rank <= rank + 1)
		return true;
	seen->count += !item->rank;
	item->number = number;
	item->rank = rank + 1;
	return false;
}

void seen_clear(struct seen *seen)
{
	free(seen->items);
	*seen = (struct seen){0};
}
