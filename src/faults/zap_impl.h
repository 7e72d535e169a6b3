/* SPDX-License-Identifier: MIT */
/*
 * Taking mappings away, and WRITE from them: by gfn range through the rmaps, and whole tables.
 * Template. Locked throughout; flushes are owed, vm_unlock() does them.
 */
#ifndef VMMU_FAULTS_ZAP_IMPL_H
#define VMMU_FAULTS_ZAP_IMPL_H

#include "faults/tdp_zap_impl.h"
#include "walker/protect_impl.h"

/*
 * Call DO(vm, ref, slot, ctx) for each leaf of RANGE at level LEVEL. It may drop the leaf: returns
 * true if it did, and the walk over this gfn's entries starts again.
 */
static inline void zap_for_level(struct vmmu_vm *vm, const struct slot_range *range, unsigned level,
				 bool (*fn)(struct vmmu_vm *vm, const struct entry_ref *ref,
					    struct memslot *slot))
{
	struct memslot *slot = range->slot;
	uint64_t first = memslot_index(slot, vm->geometry, range->start, level);
	uint64_t last = memslot_index(slot, vm->geometry, range->end - 1, level);
	struct rmap_iter iter;
	rmap_ptep ptep;

	for (uint64_t i = first; i <= last; i++) {
		rmap_head *head = &slot->rmap[level][i];

		ptep = rmap_first(head, &iter);
		while (ptep) {
			struct entry_ref ref = entry_ref_of(&vm->tree, ptep);

			ptep = fn(vm, &ref, slot) ? rmap_first(head, &iter) : rmap_next(&iter);
		}
	}
}

static inline void zap_for_levels(struct vmmu_vm *vm, const struct slot_range *range, unsigned from,
				  unsigned to,
				  bool (*fn)(struct vmmu_vm *vm, const struct entry_ref *ref,
					     struct memslot *slot))
{
	if (range->start >= range->end || !slots_have_rmaps(&vm->slots))
		return;
	for (unsigned level = from; level <= to; level++)
		if (level_is_leaf(level))
			zap_for_level(vm, range, level, fn);
}

/* Unmap the leaf at REF of SLOT. */
static bool zap_leaf(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	if (unlikely(!rmap_remove(map_rmap(slot, ref), ref->ptep)))
		vm_bug(vm, "a leaf was in no rmap");
	return true;
}

/* Gfns [START, END) of SLOT are about to be looked through. */
static void zap_tell_range(struct vmmu_vm *vm, enum vmmu_event_kind kind,
			   const struct memslot *slot, uint64_t start, uint64_t end)
{
	vm_event(vm, .kind = kind, .vcpu_id = ~0u, .as_id = slot->as_id, .gfn = start,
		 .value = (int64_t)(end - start));
}

/* The leaf at REF is about to change by itself. */
static NEVER_INLINE bool zap_break_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
					struct memslot *slot)
{
	(void)slot;
	group_break(&vm->tree, ref, 1);
	return false;
}

/* Groups over gfn of which RANGE has a part alone stand alone from now on. */
static inline void zap_cut_at(struct vmmu_vm *vm, const struct slot_range *range, uint64_t gfn)
{
	const struct slot_range one = {range->slot, gfn, gfn + 1};

	for (unsigned level = 1; level <= vm->max_level; level++) {
		uint64_t start = align_down(gfn, group_gfns(level));

		if (!level_group_lg2(level) ||
		    (start >= range->start && start + group_gfns(level) <= range->end))
			continue;
		tdp_for_leaves(vm, &one, level, level, zap_break_leaf);
		zap_for_levels(vm, &one, level, level, zap_break_leaf);
	}
}

/* Before leaves of RANGE go: what goes of a group in part is at its ends. */
static inline void zap_cut_groups(struct vmmu_vm *vm, const struct slot_range *range)
{
	if (range->start >= range->end)
		return;
	zap_cut_at(vm, range, range->start);
	zap_cut_at(vm, range, range->end - 1);
}

/*
 * VMMU_POLICY_STEP_WHOLE: the next part of RANGE, from *AT on, that is walked over. *AT gets behind
 * it. False: there is no more.
 */
static NEVER_INLINE bool zap_next_step(struct vmmu_vm *vm, const struct slot_range *range,
				       uint64_t *at, struct slot_range *part)
{
	struct table *root = tdp_first_root(vm, range->slot->as_id);
	uint64_t last = min_u64(range->end, gfn_limit());

	while (root && *at < last) {
		uint64_t pte, start = *at;
		struct entry_ref ref = walk_to(&vm->tree, root, start, 1, &pte);

		*at += level_gfns(ref.level);
		*part = (struct slot_range){range->slot, start, *at};
		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF && ref.gfn == start &&
		    *at <= range->end)
			return true;
	}
	return false;
}

/* Unmap RANGE, whatever way the ranges are walked. */
static void zap_drop_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	zap_cut_groups(vm, range);
	tdp_for_leaves(vm, range, 1, vm->max_level, tdp_drop_leaf);
	zap_for_levels(vm, range, 1, vm->max_level, zap_leaf);
	if (vm->policies & VMMU_POLICY_FREE_EMPTY)
		tdp_free_empty(vm, range);
}

static void engine_zap_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	uint64_t at = range->start;
	struct slot_range part;

	zap_tell_range(vm, VMMU_EVENT_RANGE_UNMAP, range->slot, range->start, range->end);
	if (unlikely(vm->policies & VMMU_POLICY_STEP_WHOLE))
		while (zap_next_step(vm, range, &at, &part))
			zap_drop_range(vm, &part);
	else
		zap_drop_range(vm, range);
}

/*
 * Put PAGE, read-only, where the leaf at REF of SLOT was, which is in the rmap and stays there. The
 * flush stands between the two values: no two TLBs ever hold both pages.
 */
static inline void zap_replace_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
				    struct memslot *slot, const struct vmmu_page *page)
{
	uint64_t old_pte = funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	bool is_used = fmt_is_accessed(old_pte, ref->level);

	tree_flush(&vm->tree);
	funnel_set(&vm->tree, ref,
		   map_make_leaf(vm, slot, ref->gfn, page, ref->level,
				 is_used ? 0 : VMMU_RESOLVE_NO_FAULT));
	vm->past.remapped++;
}

/* Map PAGE for reads at REF, where nothing is. */
static NEVER_INLINE void zap_map_moved(struct vmmu_vm *vm, const struct entry_ref *ref,
				       const struct vmmu_page *page)
{
	funnel_set(&vm->tree, ref,
		   map_make_leaf_with(vm, ref->gfn, page, ref->level, 0, VMMU_READ));
}

/* The same in tdp roots. */
static void zap_remap_tdp(struct vmmu_vm *vm, const struct slot_range *range,
			  const struct vmmu_page *page)
{
	tdp_for_leaves(vm, range, page->writable ? 1 : 2, vm->max_level, tdp_drop_leaf);
	/* Beyond the reach of tables there is nothing, and the walk would come out elsewhere. */
	if (page->writable || range->start >= gfn_limit())
		return;
	tdp_for_each_root(vm, range->slot->as_id, root)
	{
		uint64_t pte;
		struct entry_ref ref = walk_to(&vm->tree, root, range->start, 1, &pte);

		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF)
			zap_replace_leaf(vm, &ref, range->slot, page);
		else if ((vm->policies & VMMU_POLICY_REMAP_ABSENT) && ref.level == 1)
			zap_map_moved(vm, &ref, page);
	}
}

static void engine_remap(struct vmmu_vm *vm, const struct slot_range *range,
			 const struct vmmu_page *page)
{
	struct memslot *slot = range->slot;
	struct rmap_iter iter;
	rmap_ptep ptep;

	vm_event(vm, .kind = VMMU_EVENT_RANGE_REMAP, .vcpu_id = ~0u, .as_id = slot->as_id,
		 .gfn = range->start, .pfn = page->pfn, .value = 1);
	zap_cut_groups(vm, range); /* one page's */
	zap_remap_tdp(vm, range, page);
	zap_for_levels(vm, range, page->writable ? 1 : 2, vm->max_level, zap_leaf);
	if (page->writable || !slots_have_rmaps(&vm->slots))
		return;
	rmap_for_each(ptep, &iter,
		      &slot->rmap[1][memslot_index(slot, vm->geometry, range->start, 1)])
	{
		struct entry_ref ref = entry_ref_of(&vm->tree, ptep);

		zap_replace_leaf(vm, &ref, slot, page);
	}
}

static bool zap_protect_leaf(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	(void)slot;
	group_break(&vm->tree, ref, 1);
	if (fmt_access(pte_load(ref->ptep), ref->level) & VMMU_WRITE)
		funnel_update(&vm->tree, ref, fmt_write_protect);
	return false;
}

/*
 * Take WRITE from entries [first, end) of TABLE, at level 1 of a tdp root. What was changed is
 * added to CHANGED. False: not just now, or not in this format; nothing was done.
 */
static inline bool zap_protect_run(const struct vmmu_vm *vm, const struct table *table,
				   uint64_t first, uint64_t end, struct protect_changed *changed)
{
#ifdef FMT_WRITE_BITS
	if (!level_group_lg2(1) && !vm->tree.hooks.event) {
		protect_run(tree_entries(&vm->tree, table), first, end, changed);
		return true;
	}
#endif
	(void)vm, (void)table, (void)first, (void)end, (void)changed;
	return false;
}

/*
 * zap_protect_leaf() where those that follow are next: all groups from REF to the end of its table
 * or slot are taken apart by one flush.
 */
static bool zap_protect_next(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	uint64_t step = level_gfns(ref->level);
	uint64_t end = min_u64(ref->table->gfn + table_entry_count(ref->level) * step,
			       slot->base_gfn + slot->gfns);

	group_break(&vm->tree, ref, (end - ref->gfn + step - 1) / step);
	return zap_protect_leaf(vm, ref, slot);
}

/* Owe the flush for the entries of TABLE that CHANGED tells. */
static inline void zap_owe_changed(struct vmmu_vm *vm, const struct table *table,
				   const struct protect_changed *changed)
{
	if (changed->first < changed->end)
		tree_owe_flush(&vm->tree, table->as_id, table->gfn + changed->first,
			       table->gfn + changed->end);
}

/*
 * Take WRITE from all leaves of RANGE below TABLE of a tdp root; depth is bounded by the format's
 * levels.
 */
static void zap_protect_table(struct vmmu_vm *vm, const struct slot_range *range,
			      struct table *table)
{
	uint64_t step = level_gfns(table->level), start = max_u64(range->start, table->gfn);
	uint64_t last = table->gfn + (table_entry_count(table->level) * step - 1);
	struct protect_changed changed = PROTECT_NONE;
	struct entry_ref ref = table_ref(&vm->tree, table, start);

	last = min_u64(last, range->end - 1);
	if (table->level == 1 && start <= last &&
	    zap_protect_run(vm, table, start - table->gfn, last - table->gfn + 1, &changed)) {
		zap_owe_changed(vm, table, &changed);
		return;
	}
	for (; ref.gfn <= last; ref.gfn += step, ref.ptep++) {
		uint64_t pte = pte_load(ref.ptep);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref.level);

		if (kind == VMMU_ENTRY_TABLE)
			zap_protect_table(vm, range, entry_child(&vm->tree, pte, ref.level));
		else if (kind == VMMU_ENTRY_LEAF)
			zap_protect_next(vm, &ref, range->slot);
	}
}

/* Take WRITE from RANGE, from LEVEL on, whatever way the ranges are walked. */
static void zap_protect_part(struct vmmu_vm *vm, const struct slot_range *range, unsigned level)
{
	if (level > 1)
		tdp_for_leaves(vm, range, level, vm->max_level, zap_protect_next);
	else if (range->start < range->end)
		tdp_for_each_root(vm, range->slot->as_id, root) zap_protect_table(vm, range, root);
	zap_for_levels(vm, range, level, vm->max_level, zap_protect_next);
}

static void engine_protect_range(struct vmmu_vm *vm, const struct slot_range *range, unsigned level)
{
	uint64_t at = range->start;
	struct slot_range part;

	zap_tell_range(vm, VMMU_EVENT_RANGE_PROTECT, range->slot, range->start, range->end);
	if (unlikely(vm->policies & VMMU_POLICY_STEP_WHOLE))
		while (zap_next_step(vm, range, &at, &part))
			zap_protect_part(vm, &part, level);
	else
		zap_protect_part(vm, range, level);
}

/* Take TABLE out of every entry that points to it. */
static void zap_parents(struct vmmu_vm *vm, struct table *table)
{
	struct rmap_iter iter;
	rmap_ptep ptep;

	while ((ptep = rmap_first(&table->parents, &iter)) != NULL) {
		struct entry_ref ref = entry_ref_of(&vm->tree, ptep);

		map_unlink(vm, &ref);
	}
}

static void engine_table_zap(struct vmmu_vm *vm, struct table *table)
{
	struct slot_cache cache = {0};

	if (table_mode(table) == VMMU_ROOT_TDP) {
		tdp_zap_table(vm, table);
		return;
	}
	vm_event(vm, .kind = VMMU_EVENT_TABLE_ZAP, .vcpu_id = ~0u, .as_id = table->as_id,
		 .level = table->level, .gfn = table->gfn);
	table_for_each(&vm->tree, table, ref) map_clear(vm, &ref, &cache);
	zap_parents(vm, table);
	if (table->root_count) {
		/* vCPUs still stand on it, empty as it is now: the last one to leave retires it. */
		tree_unhash(&vm->tree, table);
		list_remove(&table->link);
		table->flags |= TABLE_INVALID;
	} else {
		tree_retire(&vm->tree, table);
	}
}

#endif
