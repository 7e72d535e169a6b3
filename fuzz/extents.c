/* SPDX-License-Identifier: MIT */
#include "extents.h"

#include <string.h>

#include "target.h"

struct extent *extents_at(struct extents *extents, uint64_t gpa)
{
	for (unsigned i = 0; i < extents->count; i++) {
		struct extent *extent = &extents->extent[i];

		if (extent->start <= gpa && gpa < extent->end)
			return extent;
	}
	return NULL;
}

uint64_t extents_next(const struct extents *extents, uint64_t gpa, uint64_t limit)
{
	for (unsigned i = 0; i < extents->count; i++) {
		const struct extent *extent = &extents->extent[i];

		if (extent->end > gpa && extent->start < limit)
			return extent->start > gpa ? extent->start : gpa;
	}
	return limit;
}

/* Make room for one at INDEX. */
static struct extent *open_gap(struct extents *extents, unsigned index)
{
	TARGET_CHECK(extents->count < EXTENTS_MAX, "the model has too few extents");
	memmove(&extents->extent[index + 1], &extents->extent[index],
		(extents->count - index) * sizeof(extents->extent[0]));
	extents->count++;
	return &extents->extent[index];
}

void extents_add(struct extents *extents, const struct extent *new_extent)
{
	unsigned index = 0;

	while (index < extents->count && extents->extent[index].start < new_extent->start)
		index++;
	*open_gap(extents, index) = *new_extent;
}

void extents_cut(struct extents *extents, uint64_t gpa)
{
	struct extent *extent = extents_at(extents, gpa);
	struct extent upper;

	if (!extent || extent->start == gpa)
		return;
	upper = *extent;
	upper.start = gpa;
	upper.hpa += gpa - extent->start;
	extent->end = gpa;
	extents_add(extents, &upper);
}

void extents_drop(struct extents *extents, uint64_t start, uint64_t end)
{
	unsigned kept = 0;

	extents_cut(extents, start);
	extents_cut(extents, end);
	for (unsigned i = 0; i < extents->count; i++) {
		struct extent *extent = &extents->extent[i];

		if (extent->start < start || extent->start >= end)
			extents->extent[kept++] = *extent;
	}
	extents->count = kept;
}

void extents_protect(struct extents *extents, uint64_t start, uint64_t end, unsigned access)
{
	extents_cut(extents, start);
	extents_cut(extents, end);
	for (unsigned i = 0; i < extents->count; i++) {
		struct extent *extent = &extents->extent[i];

		if (extent->start < start || extent->start >= end)
			continue;
		extent->access = access ? access : extent->access & ~(unsigned)VMMU_WRITE;
		if (!extent->is_writable)
			extent->access &= ~(unsigned)VMMU_WRITE;
		extent->is_touched = true;
	}
}
