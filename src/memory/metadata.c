/* SPDX-License-Identifier: MIT */
/*
 * What hangs on a memslot: why-not counts of large pages, reverse maps. Dirty logs: dirty_log.c.
 *
 * A count says for how many reasons a page of that level may not be mapped over its part of the
 * slot: the slot begins or ends inside it, gpa and hva do not lie alike in it, or somebody counted
 * it up (write tracking). LPAGE_MIXED with it is one more reason.
 */
#include "memory/metadata.h"

#include <errno.h>

#include "base/bits.h"
#include "base/mem.h"

static unsigned level_gfns_lg2(const struct vmmu_geometry *geometry, unsigned level)
{
	return (unsigned)geometry->shift[level] - geometry->page_shift;
}

/* Entries that SLOT has at LEVEL. */
static uint64_t level_count(const struct memslot *slot, const struct vmmu_geometry *geometry,
			    unsigned level)
{
	return memslot_index(slot, geometry, slot->base_gfn + slot->gfns - 1, level) + 1;
}

static bool level_is_leaf(const struct vmmu_geometry *geometry, unsigned level)
{
	return geometry->leaf_levels >> level & 1;
}

/* Counts for the slot's own shape. All other entries stay untouched memory. */
static void lpage_fill(struct memslot *slot, const struct vmmu_geometry *geometry, unsigned level)
{
	uint64_t count = level_count(slot, geometry, level);
	uint64_t page_gfns = BIT64(level_gfns_lg2(geometry, level));
	uint64_t hva_gfn = slot->hva >> geometry->page_shift;
	uint32_t *lpage = slot->lpage[level];

	if (!is_aligned(slot->base_gfn, page_gfns))
		lpage[0]++;
	if (!is_aligned(slot->base_gfn + slot->gfns, page_gfns))
		lpage[count - 1]++;
	if (is_aligned(slot->base_gfn ^ hva_gfn, page_gfns))
		return;
	/* No large page can serve both address spaces at once, anywhere in the slot. */
	for (uint64_t i = 0; i < count; i++)
		lpage[i] = 1;
}

int memslot_metadata_make(struct memslot *slot, const struct vmmu_geometry *geometry,
			  unsigned max_level)
{
	for (unsigned level = 2; level <= max_level; level++) {
		uint64_t count = level_count(slot, geometry, level);

		slot->lpage[level] = mem_alloc_array(count, sizeof(*slot->lpage[level]));
		if (!slot->lpage[level])
			return -ENOMEM;
		lpage_fill(slot, geometry, level);
	}
	return 0;
}

int memslot_rmaps_make(struct memslot *slot, const struct vmmu_geometry *geometry,
		       unsigned max_level)
{
	for (unsigned level = 1; level <= max_level; level++) {
		if (!level_is_leaf(geometry, level))
			continue;
		slot->rmap[level] = mem_alloc_array(level_count(slot, geometry, level),
						    sizeof(*slot->rmap[level]));
		if (!slot->rmap[level])
			return -ENOMEM;
	}
	return 0;
}

void memslot_rmaps_free(struct memslot *slot)
{
	for (unsigned level = 1; level <= VMMU_LEVELS_MAX; level++) {
		mem_free(slot->rmap[level]);
		slot->rmap[level] = NULL;
	}
}

void memslot_metadata_free(struct memslot *slot)
{
	for (unsigned level = 1; level <= VMMU_LEVELS_MAX; level++) {
		mem_free(slot->lpage[level]);
		slot->lpage[level] = NULL;
	}
	memslot_rmaps_free(slot);
}

unsigned memslot_max_level(const struct memslot *slot, const struct vmmu_geometry *geometry,
			   uint64_t gfn, unsigned max)
{
	unsigned level = max < VMMU_LEVELS_MAX ? max : VMMU_LEVELS_MAX;

	for (; level > 1; level--) {
		/* Levels above the VM's largest mapping have no counts. */
		if (!slot->lpage[level] || !level_is_leaf(geometry, level))
			continue;
		if (!slot->lpage[level][memslot_index(slot, geometry, gfn, level)])
			break;
	}
	return level > 1 ? level : 1;
}

/* Is the page at LEVEL over gfn, as far as SLOT goes, private in part? */
bool memslot_is_mixed(const struct memslot *slot, const struct vmmu_geometry *geometry,
		      const struct attributes *attributes, uint64_t gfn, unsigned level)
{
	uint64_t gfns = BIT64(level_gfns_lg2(geometry, level)), first = align_down(gfn, gfns);

	return attributes_extent(attributes, max_u64(first, slot->base_gfn),
				 min_u64(first + gfns, slot->base_gfn + slot->gfns)) ==
	       ATTRIBUTES_SOME;
}

/* memslot_mix() at LEVEL. RANGE lies in SLOT. */
static void memslot_mix_level(struct memslot *slot, const struct vmmu_geometry *geometry,
			      const struct attributes *attributes, struct gfn_range range,
			      unsigned level)
{
	uint64_t gfns = BIT64(level_gfns_lg2(geometry, level));

	for (uint64_t gfn = range.start; gfn < range.end; gfn = align_down(gfn, gfns) + gfns) {
		uint32_t *lpage = &slot->lpage[level][memslot_index(slot, geometry, gfn, level)];

		if (memslot_is_mixed(slot, geometry, attributes, gfn, level))
			*lpage |= LPAGE_MIXED;
		else
			*lpage &= ~LPAGE_MIXED;
	}
}

void memslot_mix(struct memslot *slot, const struct vmmu_geometry *geometry,
		 const struct attributes *attributes, uint64_t start, uint64_t end)
{
	struct gfn_range range = {max_u64(start, slot->base_gfn),
				  min_u64(end, slot->base_gfn + slot->gfns)};

	for (unsigned level = 2; level <= VMMU_LEVELS_MAX; level++)
		if (slot->lpage[level])
			memslot_mix_level(slot, geometry, attributes, range, level);
}

void memslot_lpage_add(struct memslot *slot, const struct vmmu_geometry *geometry, uint64_t gfn,
		       int delta)
{
	for (unsigned level = 2; level <= VMMU_LEVELS_MAX; level++) {
		if (slot->lpage[level])
			slot->lpage[level][memslot_index(slot, geometry, gfn, level)] +=
				(uint32_t)delta;
	}
}
