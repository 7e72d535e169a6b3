/* SPDX-License-Identifier: MIT */
#include "faults/adjust.h"

#include "base/bits.h"

/* Do gfn and pfn fall on the same place within a page of LEVEL? */
static bool adjust_is_congruent(const struct vmmu_geometry *geometry, uint64_t gfn,
				const struct vmmu_page *page, unsigned level)
{
	return is_aligned(gfn ^ page->pfn, BIT64(geometry->shift[level] - geometry->page_shift));
}

unsigned adjust_level(const struct memslot *slot, const struct vmmu_geometry *geometry,
		      uint64_t gfn, const struct vmmu_page *page, unsigned max)
{
	unsigned level;

	if (slot->flags & VMMU_SLOT_LOG_DIRTY)
		return 1;
	if (page->level < max)
		max = page->level;
	if (max <= 1)
		return 1;
	level = memslot_max_level(slot, geometry, gfn, max);
	while (level > 1 && !adjust_is_congruent(geometry, gfn, page, level))
		level = memslot_max_level(slot, geometry, gfn, level - 1);
	return level;
}
