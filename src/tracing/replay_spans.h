/* SPDX-License-Identifier: MIT */
/*
 * A set of addresses kept as sorted, disjoint, non-touching half-open spans. Bounded: a trace
 * decides what goes in, so past REPLAY_SPANS_MAX spans further ones are not taken.
 */
#ifndef VMMU_TRACING_REPLAY_SPANS_H
#define VMMU_TRACING_REPLAY_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_SPANS_MAX 16384u

struct replay_span {
	uint64_t start, end; /* bytes, half-open */
};

/* Zero-initialised: empty. */
struct replay_spans {
	struct replay_span *spans;
	size_t count, capacity;
};

/*
 * Add or take out [start, end); nothing if start >= end. -ENOMEM: no memory or too many spans;
 * unchanged.
 */
int replay_spans_add(struct replay_spans *set, uint64_t start, uint64_t end);
int replay_spans_remove(struct replay_spans *set, uint64_t start, uint64_t end);
/* Is ADDRESS in the set? O(log n). */
bool replay_spans_has(const struct replay_spans *set, uint64_t address);
void replay_spans_clear(struct replay_spans *set);

#endif
