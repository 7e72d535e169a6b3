/* SPDX-License-Identifier: MIT */
/*
 * One set of slots: sorted arrays, searched by readers, changed while no reader is in the set.
 *
 * Ranges of gfns are disjoint, so order by start is order by end too. Ranges of hvas may overlap
 * (aliases): there hva_reach[i], the largest end so far, rises along the array even where ends do
 * not, and tells where a search by end must begin. Slots that begin at one hva stand in the order
 * in which they were set last, which is the order in which KVM takes them.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "memory/metadata.h"

#define SLOT_SET_CAPACITY_MIN 16

size_t slot_set_first(const struct slot_set *set, uint64_t gfn)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct memslot *slot = set->by_gfn[mid];

		/* A slot's end cannot wrap: gpa + bytes did not. */
		if (slot->base_gfn + slot->gfns > gfn)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct memslot *slot_set_search(const struct slot_set *set, uint64_t gfn, struct slot_cache *cache)
{
	uint64_t generation = slot_set_generation(set);
	struct memslot *slot;
	size_t index;

	index = slot_set_first(set, gfn);
	if (index == set->count || !memslot_has(set->by_gfn[index], gfn))
		return NULL;
	slot = set->by_gfn[index];
	if (!cache)
		return slot;
	*cache = (struct slot_cache){.set = set, .generation = generation, .slot = slot};
	/* Its reverse maps may just be coming: see slots_make_rmaps(). */
	memcpy(&cache->copy, slot, offsetof(struct memslot, rmap));
	return slot;
}

/* Index in by_hva of the first slot with an hva of at least HVA. */
static size_t hva_lower_bound(const struct slot_set *set, uint64_t hva)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (set->by_hva[mid]->hva >= hva)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* The same with an hva above HVA, which is a page's. */
static size_t hva_upper_bound(const struct slot_set *set, uint64_t hva)
{
	return hva_lower_bound(set, hva + 1);
}

/* Index in by_hva of the first slot that can end after HVA: all before it end at or below. */
static size_t hva_first_reach(const struct slot_set *set, uint64_t hva)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (set->hva_reach[mid] > hva)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static uint64_t hva_end(const struct memslot *slot, const struct slots *slots)
{
	return slot->hva + (slot->gfns << slots->geometry->page_shift);
}

int slot_set_for_hva(const struct slot_set *set, const struct slots *slots, uint64_t start,
		     uint64_t end, int (*fn)(void *ctx, const struct slot_range *range), void *ctx)
{
	unsigned shift = slots->geometry->page_shift;
	size_t last = hva_lower_bound(set, end);

	if (start >= end)
		return 0;
	for (size_t i = hva_first_reach(set, start); i < last; i++) {
		struct memslot *slot = set->by_hva[i];
		uint64_t from = max_u64(start, slot->hva);
		uint64_t to = min_u64(end, hva_end(slot, slots));
		struct slot_range range = {.slot = slot};
		int ret;

		if (from >= to)
			continue;
		/*
		 * Partial pages count whole. The last byte's page is taken, as rounding TO up
		 * might wrap.
		 */
		range.start = slot->base_gfn + ((from - slot->hva) >> shift);
		range.end = slot->base_gfn + ((to - 1 - slot->hva) >> shift) + 1;
		ret = fn(ctx, &range);
		if (ret)
			return ret;
	}
	return 0;
}

int slot_set_reserve(const struct slot_set *set, size_t count, struct slot_arrays *arrays)
{
	size_t capacity = set->capacity ? set->capacity : SLOT_SET_CAPACITY_MIN;

	*arrays = (struct slot_arrays){0};
	if (count <= set->capacity)
		return 0;
	while (capacity < count)
		capacity *= 2;
	arrays->block = mem_alloc_array(capacity, 2 * sizeof(struct memslot *) + sizeof(uint64_t));
	if (!arrays->block)
		return -ENOMEM;
	arrays->capacity = capacity;
	return 0;
}

void slot_arrays_free(struct slot_arrays *arrays)
{
	mem_free(arrays->block);
	*arrays = (struct slot_arrays){0};
}

void slot_set_adopt(struct slot_set *set, struct slot_arrays *arrays)
{
	uint64_t *reach = arrays->block;
	struct memslot **by_gfn, **by_hva;

	if (!arrays->block)
		return;
	/* One block: the reaches, then by_gfn, then by_hva. */
	by_gfn = (struct memslot **)(reach + arrays->capacity);
	by_hva = by_gfn + arrays->capacity;
	if (set->count) {
		memcpy(reach, set->hva_reach, set->count * sizeof(*reach));
		memcpy(by_gfn, set->by_gfn, set->count * sizeof(*by_gfn));
		memcpy(by_hva, set->by_hva, set->count * sizeof(*by_hva));
	}
	mem_free(set->hva_reach);
	set->hva_reach = reach;
	set->by_gfn = by_gfn;
	set->by_hva = by_hva;
	set->capacity = arrays->capacity;
	*arrays = (struct slot_arrays){0};
}

void slot_set_destroy(struct slot_set *set)
{
	mem_free(set->hva_reach);
	*set = (struct slot_set){0};
}

/*
 * Bring hva_reach up to date from INDEX on, after a slot came or went there and the array moved
 * along. Entries below INDEX are right. Once one is found right, so are all behind it: each
 * depends on the one before it and its own slot only, and what stands at INDEX itself is what the
 * slot now behind it had.
 */
static void hva_reach_update(struct slot_set *set, const struct slots *slots, size_t index)
{
	uint64_t reach = index ? set->hva_reach[index - 1] : 0;

	for (size_t i = index; i < set->count; i++) {
		reach = max_u64(reach, hva_end(set->by_hva[i], slots));
		if (set->hva_reach[i] == reach)
			return;
		set->hva_reach[i] = reach;
	}
}

static size_t hva_index_of(const struct slot_set *set, const struct memslot *slot)
{
	size_t index = hva_lower_bound(set, slot->hva);

	while (set->by_hva[index] != slot)
		index++;
	return index;
}

static void slot_set_remove(struct slot_set *set, const struct slots *slots,
			    const struct memslot *old)
{
	size_t gfn_index = slot_set_first(set, old->base_gfn);
	size_t hva_index = hva_index_of(set, old);
	size_t hva_behind = --set->count - hva_index;

	memmove(&set->by_gfn[gfn_index], &set->by_gfn[gfn_index + 1],
		(set->count - gfn_index) * sizeof(*set->by_gfn));
	memmove(&set->by_hva[hva_index], &set->by_hva[hva_index + 1],
		hva_behind * sizeof(*set->by_hva));
	memmove(&set->hva_reach[hva_index], &set->hva_reach[hva_index + 1],
		hva_behind * sizeof(*set->hva_reach));
	hva_reach_update(set, slots, hva_index);
}

static void slot_set_insert(struct slot_set *set, const struct slots *slots,
			    struct memslot *new_slot)
{
	size_t gfn_index = slot_set_first(set, new_slot->base_gfn);
	size_t hva_index = hva_upper_bound(set, new_slot->hva);
	size_t hva_behind = set->count - hva_index;

	memmove(&set->by_gfn[gfn_index + 1], &set->by_gfn[gfn_index],
		(set->count - gfn_index) * sizeof(*set->by_gfn));
	memmove(&set->by_hva[hva_index + 1], &set->by_hva[hva_index],
		hva_behind * sizeof(*set->by_hva));
	memmove(&set->hva_reach[hva_index + 1], &set->hva_reach[hva_index],
		hva_behind * sizeof(*set->hva_reach));
	set->by_gfn[gfn_index] = new_slot;
	set->by_hva[hva_index] = new_slot;
	set->count++;
	hva_reach_update(set, slots, hva_index);
}

/* NEW_SLOT in the place of OLD, at the same hvas: behind all others that begin there. */
static void slot_set_replace_hva(struct slot_set *set, const struct slots *slots,
				 const struct memslot *old, struct memslot *new_slot)
{
	size_t index = hva_index_of(set, old), end = hva_upper_bound(set, old->hva);
	uint64_t reach = index ? set->hva_reach[index - 1] : 0;

	memmove(&set->by_hva[index], &set->by_hva[index + 1],
		(end - 1 - index) * sizeof(*set->by_hva));
	set->by_hva[end - 1] = new_slot;
	for (; index < end; index++) {
		reach = max_u64(reach, hva_end(set->by_hva[index], slots));
		set->hva_reach[index] = reach;
	}
}

void slot_set_change(struct slot_set *set, const struct slots *slots, const struct memslot *old,
		     struct memslot *new_slot)
{
	if (old && new_slot && old->base_gfn == new_slot->base_gfn) {
		/* Same place in gfns and, since neither ever changes, in hvas. */
		set->by_gfn[slot_set_first(set, old->base_gfn)] = new_slot;
		slot_set_replace_hva(set, slots, old, new_slot);
		return;
	}
	if (old)
		slot_set_remove(set, slots, old);
	if (new_slot)
		slot_set_insert(set, slots, new_slot);
}
