/* SPDX-License-Identifier: MIT */
#include "tracing/replay_spans.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

/* Index of the first span that ends at or after ADDRESS. */
static size_t first_ending(const struct replay_spans *set, uint64_t address)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->spans[middle].end < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int reserve(struct replay_spans *set, size_t count)
{
	size_t capacity = set->capacity ? set->capacity : 16;
	struct replay_span *spans;

	if (count <= set->capacity)
		return 0;
	if (count > REPLAY_SPANS_MAX)
		return -ENOMEM;
	while (capacity < count)
		capacity *= 2;
	spans = mem_alloc_array(capacity, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	if (set->count)
		memcpy(spans, set->spans, set->count * sizeof(*spans));
	mem_free(set->spans);
	set->spans = spans;
	set->capacity = capacity;
	return 0;
}

/* Put the COUNT spans of PIECES in place of spans [first, last). */
static int replace(struct replay_spans *set, size_t first, size_t last,
		   const struct replay_span *pieces, size_t count)
{
	size_t total = set->count - (last - first) + count;
	int ret = reserve(set, total);

	if (ret)
		return ret;
	if (!set->spans)
		return 0;
	memmove(set->spans + first + count, set->spans + last,
		(set->count - last) * sizeof(*set->spans));
	if (count)
		memcpy(set->spans + first, pieces, count * sizeof(*pieces));
	set->count = total;
	return 0;
}

int replay_spans_add(struct replay_spans *set, uint64_t start, uint64_t end)
{
	struct replay_span piece = {start, end};
	size_t first, last;

	if (start >= end)
		return 0;
	first = first_ending(set, start);
	for (last = first; last < set->count && set->spans[last].start <= end; last++)
		;
	/* [first, last) overlap or touch the new span: they become one. */
	if (last > first && set->spans[first].start < start)
		piece.start = set->spans[first].start;
	if (last > first && set->spans[last - 1].end > end)
		piece.end = set->spans[last - 1].end;
	return replace(set, first, last, &piece, 1);
}

int replay_spans_remove(struct replay_spans *set, uint64_t start, uint64_t end)
{
	struct replay_span pieces[2];
	size_t first, last, count = 0;

	if (start >= end || !set->count)
		return 0;
	first = first_ending(set, start);
	for (last = first; last < set->count && set->spans[last].start < end; last++)
		;
	if (last == first)
		return 0;
	/* What sticks out on either side stays. */
	if (set->spans[first].start < start)
		pieces[count++] = (struct replay_span){set->spans[first].start, start};
	if (set->spans[last - 1].end > end)
		pieces[count++] = (struct replay_span){end, set->spans[last - 1].end};
	return replace(set, first, last, pieces, count);
}

bool replay_spans_has(const struct replay_spans *set, uint64_t address)
{
	size_t index;

	if (address == UINT64_MAX)
		return false;
	index = first_ending(set, address + 1);
	return index < set->count && set->spans[index].start <= address;
}

void replay_spans_clear(struct replay_spans *set)
{
	mem_free(set->spans);
	memset(set, 0, sizeof(*set));
}
