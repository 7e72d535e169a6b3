/* SPDX-License-Identifier: MIT */
/* vmmu_map(). Template, part of range_impl.h. */
#ifndef VMMU_RANGE_MAP_IMPL_H
#define VMMU_RANGE_MAP_IMPL_H

/* What is left to map. */
struct range_map_state {
	struct vmmu_update *update;
	const struct vmmu_attr *attr;
	uint64_t gpa, hpa, bytes;
};

static inline uint64_t range_leaf(const struct vmmu_attr *attr, uint64_t hpa, unsigned level)
{
	return fmt_leaf_with_pfn(attr->leaf[level], hpa >> FMT_SHIFT(1), level);
}

/* May what is left begin with one leaf at LEVEL? */
static inline bool range_map_fits(const struct range_map_state *s, unsigned level)
{
	return range_is_leaf_level(s->update->vm, level) && s->bytes >= range_bytes(level) &&
	       is_aligned(s->gpa | s->hpa, range_bytes(level));
}

static inline void range_map_advance(struct range_map_state *s, uint64_t bytes)
{
	s->gpa += bytes;
	s->hpa += bytes;
	s->bytes -= bytes;
}

/* Does the leaf PTE at REF map what is left just as asked? Then step over what it covers. */
static inline bool range_map_is_same(struct range_map_state *s, const struct entry_ref *ref,
				     uint64_t pte)
{
	uint64_t inside = s->gpa & (range_bytes(ref->level) - 1);

	if (leaf_alone(pte, ref->gfn, ref->level) !=
	    range_leaf(s->attr, s->hpa - inside, ref->level))
		return false;
	range_map_advance(s, min_u64(range_bytes(ref->level) - inside, s->bytes));
	return true;
}

/* May what is left begin with a group at LEVEL? */
static inline bool range_map_fits_group(const struct range_map_state *s, unsigned level)
{
	uint64_t bytes = range_bytes(level) << level_group_lg2(level);

	return level_group_lg2(level) && range_is_leaf_level(s->update->vm, level) &&
	       s->bytes >= bytes && is_aligned(s->gpa | s->hpa, bytes);
}

/*
 * A group of leaves from REF on, if what is left begins with one and nothing is mapped there.
 * Returns the entries, or 0.
 */
static uint64_t range_map_group(struct range_map_state *s, struct entry_ref ref)
{
	uint64_t count = BIT64(level_group_lg2(ref.level));

	if (likely(!range_map_fits_group(s, ref.level)))
		return 0;
	for (uint64_t i = 0; i < count; i++)
		if (pte_load(ref.ptep + i) != fmt_make_absent(ref.level))
			return 0;
	group_note(ref.table);
	for (uint64_t i = 0; i < count; i++, ref.ptep++, ref.gfn += level_gfns(ref.level)) {
		uint64_t leaf = range_leaf(s->attr, s->hpa, ref.level);

		funnel_fill(&s->update->vm->tree, &ref, leaf_grouped(leaf, ref.level));
		range_map_advance(s, range_bytes(ref.level));
	}
	return count;
}

/* Leaves at level 1 from REF on, to the end of its table or of what is left. 0, -EEXIST. */
static int range_map_pages(struct range_map_state *s, struct entry_ref ref)
{
	struct tree *tree = &s->update->vm->tree;
	uint64_t count = min_u64(s->bytes >> fmt_geometry.page_shift,
				 table_entry_count(1) - range_index(s->gpa, 1));

	while (count) {
		uint64_t leaf = range_leaf(s->attr, s->hpa, 1);
		uint64_t old_pte = pte_load(ref.ptep);
		uint64_t step = range_map_group(s, ref);

		if (!step) {
			if (likely(old_pte == fmt_make_absent(1)))
				funnel_fill(tree, &ref, leaf);
			else if (leaf_alone(old_pte, ref.gfn, 1) != leaf)
				return -EEXIST;
			range_map_advance(s, RANGE_PAGE);
			step = 1;
		}
		count -= step;
		ref.ptep += step;
		ref.gfn += step;
	}
	return 0;
}

/* Does what is left fill a table below LEVEL with leaves? Nobody may listen to each of them. */
static inline bool range_map_fills(const struct range_map_state *s, unsigned level)
{
	unsigned below = level - 1;

	return below && range_is_leaf_level(s->update->vm, below) &&
	       s->bytes >= range_bytes(level) && is_aligned(s->gpa, range_bytes(level)) &&
	       is_aligned(s->hpa, range_bytes(below)) && !s->update->vm->tree.hooks.event;
}

/* The first leaf of a table at LEVEL that what is left fills: in a group, if all can be. */
static inline uint64_t range_map_first(const struct range_map_state *s, unsigned level)
{
	uint64_t leaf = range_leaf(s->attr, s->hpa, level);

	return range_map_fits_group(s, level) ? leaf_grouped(leaf, level) : leaf;
}

/*
 * The entry at REF is absent: fill it with a large leaf, with a table full of leaves, or with an
 * empty table. 1: done, the range moved on; 0: a table stands there now.
 */
static int range_map_absent(struct range_map_state *s, const struct entry_ref *ref)
{
	struct vmmu_vm *vm = s->update->vm;

	if (range_map_group(s, *ref))
		return 1;
	if (range_map_fits(s, ref->level)) {
		funnel_fill(&vm->tree, ref, range_leaf(s->attr, s->hpa, ref->level));
		range_map_advance(s, range_bytes(ref->level));
		return 1;
	}
	if (!range_map_fills(s, ref->level))
		return range_link_empty(vm, ref) ? 0 : -ENOMEM;
	if (!range_link_full(vm, ref, range_map_first(s, ref->level - 1), UINT64_MAX))
		return -ENOMEM;
	range_map_advance(s, range_bytes(ref->level));
	return 1;
}

/* Map at least the first page of what is left. */
static int range_map_step(struct range_map_state *s)
{
	unsigned stop = fmt_geometry.levels;
	struct entry_ref ref;
	uint64_t pte;
	int ret = 0;

	while (stop > 1 && !range_map_fits(s, stop))
		stop--;
	ref = range_walk(s->update, s->gpa, stop, &pte);
	while (!ret) {
		switch (fmt_classify(pte, ref.level)) {
		case VMMU_ENTRY_LEAF:
			return range_map_is_same(s, &ref, pte) ? 0 : -EEXIST;
		case VMMU_ENTRY_ABSENT:
			if (ref.level == 1)
				return range_map_pages(s, ref);
			ret = range_map_absent(s, &ref);
			break;
		case VMMU_ENTRY_TABLE:
			break;
		default:
			return -EEXIST;
		}
		if (!ret)
			ref = range_walk(s->update, s->gpa, ref.level - 1, &pte);
	}
	return ret < 0 ? ret : 0;
}

/* Are gpa and hpa pages that can be translated, from and to? */
static inline bool range_map_is_valid(uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
	uint64_t limit = BIT64(fmt_geometry.pa_bits);

	return range_is_valid(gpa, bytes) && is_aligned(hpa, RANGE_PAGE) && hpa < limit &&
	       bytes <= limit - hpa;
}

static __attribute__((noinline)) int range_map_slow(struct vmmu_update *update, uint64_t gpa,
						    uint64_t hpa, uint64_t bytes,
						    const struct vmmu_attr *attr, uint64_t *done)
{
	struct range_map_state s = {update, attr, gpa, hpa, bytes};
	int err = 0;

	if (done)
		*done = 0;
	if (!range_map_is_valid(gpa, hpa, bytes))
		return -EINVAL;
	while (!err && s.bytes)
		err = range_map_step(&s);
	if (done)
		*done = s.gpa - gpa;
	return err;
}

/*
 * One leaf at LEVEL, a constant, over an absent entry that tables lead to. False: not that simple.
 */
static inline __attribute__((always_inline)) bool range_map_leaf(struct vmmu_update *update,
								 uint64_t gpa, uint64_t hpa,
								 unsigned level,
								 const struct vmmu_attr *attr)
{
	struct tree *tree = &update->vm->tree;
	struct entry_ref ref;

	if (unlikely((gpa & (range_bytes(level) - 1)) || tree->hooks.event))
		return false;
	if (unlikely(hpa & ~(BIT64(fmt_geometry.pa_bits) - range_bytes(level))))
		return false;
	if (unlikely(!range_find(update, gpa, level, memory_order_relaxed, &ref)))
		return false;
	if (unlikely(atomic_load_explicit(ref.ptep, memory_order_relaxed) !=
		     fmt_make_absent(level)))
		return false;
	funnel_fill_silent(tree, &ref, range_leaf(attr, hpa, level));
	return true;
}

static int range_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
		     const struct vmmu_attr *attr, uint64_t *done)
{
	bool is_done = false;

	if (likely(bytes == RANGE_PAGE))
		is_done = range_map_leaf(update, gpa, hpa, 1, attr);
	else if (fmt_geometry.levels > 1 && bytes == range_bytes(2) &&
		 range_is_leaf_level(update->vm, 2))
		is_done = range_map_leaf(update, gpa, hpa, 2, attr);
	if (unlikely(!is_done))
		return range_map_slow(update, gpa, hpa, bytes, attr, done);
	if (done)
		*done = bytes;
	return 0;
}

#endif
