/* SPDX-License-Identifier: MIT */
/*
 * What explains a difference: conditions on event, profile and both sides. None is about a leaf
 * that a fault made, or a lockless fix. At present there is none at all: every difference that was
 * met is followed by a rule of the profile, or an input.
 */
#include <stddef.h>

#include "base/bits.h"
#include "tracing/compare.h"

static const struct {
	const char *name;
	bool (*is)(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		   const struct compare_fact *engine);
} reasons[] = {
	{NULL, NULL},
};

_Static_assert(ARRAY_COUNT(reasons) <= COMPARE_REASONS_MAX, "each reason is counted");

int compare_reason(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		   const struct compare_fact *engine)
{
	for (unsigned i = 0; i < ARRAY_COUNT(reasons) && reasons[i].name; i++)
		if (reasons[i].is(compare, kernel, engine))
			return (int)i;
	return -1;
}

const char *compare_reason_name(unsigned index)
{
	return index < ARRAY_COUNT(reasons) ? reasons[index].name : NULL;
}
