/* SPDX-License-Identifier: MIT */
/*
 * What hangs on a memslot: why-not counts of large pages, reverse maps, dirty bitmap.
 *
 * A count says for how many reasons a page of that level may not be mapped over its part of the
 * slot: the slot begins or ends inside it, gpa and hva do not lie alike in it, or somebody counted
 * it up (write tracking). LPAGE_MIXED with it is one more reason.
 */
#include "memory/metadata.h"

#include <errno.h>

#include "base/bits.h"
#include "base/mem.h"

#define DIRTY_WORD_BITS 64

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

int memslot_dirty_make(struct memslot *slot)
{
	uint64_t words = slot->gfns / DIRTY_WORD_BITS + !!(slot->gfns % DIRTY_WORD_BITS);

	slot->dirty = mem_alloc_array(words, sizeof(*slot->dirty));
	return slot->dirty ? 0 : -ENOMEM;
}

/* The word of gfn's bit, and the bit; NULL when there is no such bit. */
static _Atomic uint64_t *dirty_word(const struct memslot *slot, uint64_t gfn, uint64_t *bit)
{
	uint64_t index = gfn - slot->base_gfn;

	if (!slot->dirty || index >= slot->gfns)
		return NULL;
	*bit = BIT64(index % DIRTY_WORD_BITS);
	return &slot->dirty[index / DIRTY_WORD_BITS];
}

void memslot_log_dirty(struct memslot *slot, uint64_t gfn)
{
	uint64_t bit;
	_Atomic uint64_t *word = dirty_word(slot, gfn, &bit);

	if (word)
		atomic_fetch_or_explicit(word, bit, memory_order_acq_rel);
}

void memslot_dirty_fill(struct memslot *slot)
{
	uint64_t whole = slot->gfns / DIRTY_WORD_BITS, tail = slot->gfns % DIRTY_WORD_BITS;

	for (uint64_t i = 0; i < whole; i++)
		atomic_store_explicit(&slot->dirty[i], ~UINT64_C(0), memory_order_relaxed);
	if (tail)
		atomic_store_explicit(&slot->dirty[whole], BIT64(tail) - 1, memory_order_relaxed);
}

bool memslot_is_dirty(const struct memslot *slot, uint64_t gfn)
{
	uint64_t bit;
	const _Atomic uint64_t *word = dirty_word(slot, gfn, &bit);

	return word && atomic_load_explicit(word, memory_order_acquire) & bit;
}

bool memslot_is_all_dirty(const struct memslot *slot, uint64_t gfn, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!memslot_is_dirty(slot, gfn + i))
			return false;
	return true;
}
