/* SPDX-License-Identifier: MIT */
/*
 * Mapping, unmapping and protecting ranges. Template. The mmu lock is held throughout: see
 * vmmu_update_begin().
 *
 * The way of all three: walk down from the root with one cursor; where the range covers all that an
 * entry maps, act on the entry, else go below it. Tables are filled before they are linked, and
 * detached before they are forgotten.
 */
#ifndef VMMU_RANGE_RANGE_IMPL_H
#define VMMU_RANGE_RANGE_IMPL_H

#include <errno.h>

#include "base/wide.h"
#include "faults/map_impl.h"
#include "range/range.h"
#include "walker/leaf_impl.h"
#include "walker/protect_impl.h"

#ifndef FMT_LEVELS_MAX
#define FMT_LEVELS_MAX        VMMU_LEVELS_MAX
#define FMT_SHIFT(level)      fmt_geometry.shift[level]
#define FMT_INDEX_BITS(level) fmt_geometry.index_bits[level]
#endif

#define RANGE_PAGE BIT64(FMT_SHIFT(1))

/* Bytes that an entry at LEVEL maps. */
static inline uint64_t range_bytes(unsigned level)
{
	return BIT64(FMT_SHIFT(level));
}

static inline bool range_is_leaf_level(const struct vmmu_vm *vm, unsigned level)
{
	return level <= vm->max_level && (fmt_geometry.leaf_levels & (1u << level));
}

/* Entries of the table that a TABLE entry points to. */
static inline _Atomic uint64_t *range_below(uint64_t pte, unsigned level, uint64_t offset)
{
	return (_Atomic uint64_t *)(uintptr_t)(fmt_table_hpa(pte, level) + offset);
}

static inline uint64_t range_index(uint64_t gpa, unsigned level)
{
	return (gpa >> fmt_geometry.shift[level]) & (BIT64(fmt_geometry.index_bits[level]) - 1);
}

/* Are gpa and bytes pages that the tables can translate? */
static inline bool range_is_valid(uint64_t gpa, uint64_t bytes)
{
	uint64_t limit = BIT64(fmt_geometry.gpa_bits);

	return is_aligned(gpa | bytes, RANGE_PAGE) && bytes && gpa < limit && bytes <= limit - gpa;
}

/* The record of the table at HPA: tree_table_at() with its sums done before. */
static inline struct table *range_table_at(const struct vmmu_update *update, uint64_t hpa)
{
	return (struct table *)(uintptr_t)(update->records + (hpa >> update->records_shift));
}

/* A number that the compiler takes as it is: it puts no sum of its own together from its parts. */
static inline uint64_t range_kept(uint64_t value)
{
	__asm__("" : "+r"(value));
	return value;
}

/*
 * What makes an hpa of a table at LEVEL, which is no root, a pointer to its entry for gpa: one
 * addition away from knowing the table, which is what a walk waits for.
 */
static inline uint64_t range_place(uint64_t gpa, unsigned level, uint64_t offset)
{
	uint64_t index = gpa >> FMT_SHIFT(level) & (BIT64(FMT_INDEX_BITS(level)) - 1);

	return range_kept(index * sizeof(uint64_t) + offset);
}

static inline _Atomic uint64_t *range_at(uint64_t hpa, uint64_t place)
{
	return (_Atomic uint64_t *)(uintptr_t)(hpa + place);
}

/* gpa's index in a root; beyond all entries: gpa is beyond what tables translate. */
static inline uint64_t range_top(uint64_t gpa, unsigned levels)
{
	return gpa >> FMT_SHIFT(levels);
}

static inline uint64_t range_top_limit(unsigned levels)
{
	return BIT64(fmt_geometry.gpa_bits - FMT_SHIFT(levels));
}

/*
 * The entry for gpa at LEVEL, if tables of the usual look lead there. False: something else stands
 * in the way, or gpa is beyond the input size. LEVEL is a constant where speed matters: the loop
 * unrolls to shifts and masks. ORDER of the loads: relaxed where nobody else makes tables, else
 * acquire.
 */
static inline __attribute__((always_inline)) bool range_find(const struct vmmu_update *update,
							     uint64_t gpa, unsigned level,
							     memory_order order,
							     struct entry_ref *ref)
{
	unsigned levels = fmt_geometry.levels;
	uint64_t top = range_top(gpa, levels), hpa = update->root_hpa;
	_Atomic uint64_t *ptep;

	(void)order; /* tests/interleave knows but one */
	if (unlikely(top >= range_top_limit(levels)))
		return false;
	ptep = (_Atomic uint64_t *)update->root + top;
#pragma GCC unroll 5
	for (unsigned l = FMT_LEVELS_MAX; l > level; l--) {
		uint64_t pte;

		if (l > levels)
			continue;
		pte = atomic_load_explicit(ptep, order);
		if (unlikely(!spte_is_surely_table(pte, l)))
			return false;
		hpa = fmt_table_hpa(pte, l);
		ptep = range_at(hpa, range_place(gpa, l - 1, update->offset));
	}
	*ref = (struct entry_ref){
		.table = range_table_at(update, hpa),
		.ptep = ptep,
		.gfn = align_down(gpa, range_bytes(level)) >> FMT_SHIFT(1),
		.level = level,
	};
	return true;
}

/* Walk towards gpa down to LEVEL as far as tables lead. */
static inline struct entry_ref range_walk(const struct vmmu_update *update, uint64_t gpa,
					  unsigned level, uint64_t *pte)
{
	const struct tree *tree = &update->vm->tree;

	return walk_to(tree, frame_meta(&tree->frames, update->root),
		       gpa >> fmt_geometry.page_shift, level, pte);
}

/* A table for gfn at LEVEL, its entries not initialised. NULL: no frame. */
static inline struct table *range_table(struct vmmu_vm *vm, const struct entry_ref *parent,
					bool *is_zeroed)
{
	if (!tree_has_room(&vm->tree, 1))
		vm_reap_locked(vm);
	/* Nothing here looks a table up by what it maps. */
	return tree_alloc_unhashed(&vm->tree, parent->table->as_id, parent->gfn, parent->level - 1,
				   is_zeroed);
}

/*
 * Put the filled CHILD below REF, which is absent or a leaf that CHILD replaces. Returns what was
 * there.
 */
static inline uint64_t range_link(struct vmmu_vm *vm, const struct entry_ref *ref,
				  struct table *child)
{
	uint64_t table = fmt_make_table(tree_table_hpa(&vm->tree, child), ref->level);
	uint64_t old_pte = funnel_set(&vm->tree, ref, table);

	atomic_store_explicit(&child->parents, (uint64_t)(uintptr_t)ref->ptep,
			      memory_order_relaxed);
	return old_pte;
}

/*
 * CHILD replaced the large leaf OLD_PTE and is filled with leaves like LEAF. Did the lockless fix
 * give WRITE to the large one after it was read? Then whoever asked was told so, and may count
 * written pages by WRITE.
 */
static inline void range_keep_write(struct vmmu_vm *vm, uint64_t old_pte, unsigned level,
				    struct table *child, uint64_t leaf)
{
	if (likely(fmt_classify(old_pte, level) != VMMU_ENTRY_LEAF) ||
	    !(fmt_access(old_pte, level) & VMMU_WRITE) ||
	    (fmt_access(leaf, child->level) & VMMU_WRITE))
		return;
	table_for_each(&vm->tree, child, ref)
	{
		if (fmt_classify(pte_load(ref.ptep), ref.level) == VMMU_ENTRY_LEAF)
			funnel_update(&vm->tree, &ref, fmt_write_allow);
	}
}

/* An empty table below REF. False: no frame. */
static inline bool range_link_empty(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	bool is_zeroed;
	struct table *child = range_table(vm, ref, &is_zeroed);

	if (unlikely(!child))
		return false;
	if (!is_zeroed || fmt_make_absent(child->level))
		map_fill_absent(&vm->tree, child);
	range_link(vm, ref, child);
	return true;
}

/*
 * A table below REF filled with leaves from LEAF on, one step of pfns apart, in groups if LEAF is;
 * entry SKIP is left absent (no entry: -1; never with groups). False: no frame.
 */
static inline bool range_link_full(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t leaf,
				   uint64_t skip)
{
	unsigned level = ref->level - 1;
	uint64_t count = table_entry_count(level), used = count;
	bool is_zeroed;
	struct table *child = range_table(vm, ref, &is_zeroed);
	uint64_t *entries;

	if (unlikely(!child))
		return false;
	entries = (uint64_t *)tree_entries(&vm->tree, child);
	leaf_fill(entries, count, leaf, level);
	if (skip < count) {
		entries[skip] = fmt_make_absent(level);
		used--;
	}
	funnel_adopt(&vm->tree, child, used);
	child->has_volatile = fmt_is_volatile(leaf, level);
	if (leaf_group_lg2(leaf, level))
		group_note(child);
	range_keep_write(vm, range_link(vm, ref, child), ref->level, child, leaf);
	return true;
}

/*
 * The leaf one level below LEAF, for the first of the pages that LEAF at LEVEL maps: same rights,
 * type and software bits.
 */
static inline uint64_t range_smaller_leaf(uint64_t leaf, unsigned level)
{
	return fmt_make_leaf(leaf_parts(leaf, level), level - 1);
}

/*
 * Replace the large leaf at REF by a table that maps the same; entry SKIP is left absent. False: no
 * frame.
 */
static inline bool range_split(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t pte,
			       uint64_t skip)
{
	return range_link_full(vm, ref, range_smaller_leaf(pte, ref->level), skip);
}

#include "range/map_impl.h"
#include "range/protect_impl.h"
#include "range/share_impl.h"
#include "range/translate_impl.h"
#include "range/unmap_impl.h"

static void range_attr_make(const struct vmmu_vm *vm, struct vmmu_attr *attr)
{
	bool is_writable = attr->access & VMMU_WRITE;
	struct vmmu_leaf leaf = {.access = attr->access,
				 .memtype = attr->memtype,
				 .host_writable = is_writable,
				 .mmu_writable = is_writable,
				 .accessed = true,
				 .dirty = is_writable};

	(void)vm;
	for (unsigned level = 1; level <= fmt_geometry.levels; level++)
		if (level_is_leaf(level))
			attr->leaf[level] = fmt_make_leaf(leaf, level);
}

static const struct vmmu_range_ops range_share_ops = {
	.map = share_map,
	.unmap = range_share_refuse,
	.protect = range_share_refuse_access,
	.write_protect = range_share_refuse,
	.write_allow = share_write_allow,
};

static const struct vmmu_range_ops range_ops = {
	.share = &range_share_ops,
	.map = range_map,
	.unmap = range_unmap,
	.protect = range_protect,
	.write_protect = range_write_protect,
	.write_allow = range_write_allow,
	.translate = range_translate,
	.translate_batch = range_translate_batch,
	.attr_make = range_attr_make,
	.translate_once = range_translate_once,
	.settle = range_settle,
};

#endif
