/* SPDX-License-Identifier: MIT */
/*
 * What explains a difference: conditions on event, profile and both sides. None is about a leaf
 * that a fault made, or a lockless fix.
 */
#include <stddef.h>

#include "base/bits.h"
#include "tracing/compare.h"

/*
 * KVM up to 6.9 maps a page that got another frame at once, read-only, on arm64: between the two
 * halves of an invalidation, where faults map nothing. The engine leaves it to the next fault,
 * which sees the same page.
 */
static bool reason_page_moved(const struct vmmu_compare *compare, const struct compare_fact *kernel,
			      const struct compare_fact *engine)
{
	return compare->has_probes && kernel && !engine && kernel->is_moved &&
	       kernel->event == VMMU_COMPARE_STAGE2_MAP && kernel->access == VMMU_READ;
}

static const struct {
	const char *name;
	bool (*is)(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		   const struct compare_fact *engine);
} reasons[] = {
	{"page-moved", reason_page_moved},
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
