/* SPDX-License-Identifier: MIT */
/*
 * Small pages become large ones when nothing keeps them small any more. Template. Locked
 * exclusively.
 *
 * In place a large leaf, made of the first small one, takes the place of the table in one store,
 * where the architecture lets it; what the table mapped goes then. Who still walks there finds the
 * same pages. The flush, owed, is done before the table's frame is used again.
 */
#ifndef VMMU_FAULTS_COLLAPSE_IMPL_H
#define VMMU_FAULTS_COLLAPSE_IMPL_H

#include "faults/adjust.h"
#include "faults/regroup_impl.h"
#include "faults/zap_impl.h"
#include "walker/leaf_impl.h"

/* A table that a large leaf could replace. */
struct collapse {
	struct entry_ref ref; /* where its entry stands */
	uint64_t pte;
	struct memslot *slot;
	uint64_t leaf; /* what to put there */
};

/*
 * Does the table at C go, and come back larger by faults? Not in place where the host is just
 * taking pages away: some are no longer mapped, and the first one that is does not speak for them.
 */
static inline bool collapse_takes_away(const struct vmmu_vm *vm, const struct collapse *c)
{
	return vm->resize == VMMU_RESIZE_ZAP ||
	       vm_is_invalidating(vm, c->ref.gfn, entry_end(&c->ref));
}

/* The first leaf at or below REF, which holds PTE; 0: there is none. Its place in *at. */
static uint64_t collapse_first_leaf(const struct tree *tree, const struct entry_ref *ref,
				    uint64_t pte, struct entry_ref *at)
{
	*at = *ref;
	if (fmt_classify(pte, ref->level) == VMMU_ENTRY_LEAF)
		return pte;
	if (fmt_classify(pte, ref->level) != VMMU_ENTRY_TABLE)
		return 0;
	table_for_each(tree, entry_child(tree, pte, ref->level), below)
	{
		uint64_t leaf = collapse_first_leaf(tree, &below, pte_load(below.ptep), at);

		if (leaf)
			return leaf;
	}
	return 0;
}

/* How large could gfn of SLOT, which is mapped to PFN, be mapped now? */
static unsigned collapse_level(struct vmmu_vm *vm, const struct memslot *slot, uint64_t gfn,
			       uint64_t pfn)
{
	uint64_t hva = memslot_hva(slot, gfn, vm->geometry->page_shift);
	struct vmmu_page page = {.pfn = pfn, .level = vm->env.host_level(vm->env_ctx, hva, gfn)};

	/* What is at the hva says nothing of a private page. */
	if (vm_is_private(vm, gfn))
		return 1;
	return adjust_level(slot, vm->geometry, gfn, &page, vm->max_level);
}

/*
 * Would a page as large as C's entry be mapped there now? Then C->leaf is it; 0: nothing is mapped,
 * and the table alone is in the way.
 */
static bool collapse_is_due(struct vmmu_vm *vm, struct collapse *c)
{
	unsigned level = c->ref.level;
	struct vmmu_leaf parts;
	struct entry_ref at;
	uint64_t leaf;

	if (!level_is_leaf(level) ||
	    memslot_max_level(c->slot, vm->geometry, c->ref.gfn, vm->max_level) < level)
		return false;
	leaf = collapse_first_leaf(&vm->tree, &c->ref, c->pte, &at);
	c->leaf = 0;
	if (!leaf && collapse_takes_away(vm, c))
		return collapse_level(vm, c->slot, c->ref.gfn, 0) >= level;
	if (!leaf ||
	    collapse_level(vm, c->slot, at.gfn, leaf_frame(leaf, at.gfn, at.level)) < level)
		return false;
	parts = leaf_parts(leaf_alone(leaf, at.gfn, at.level), at.level);
	parts.pfn -= at.gfn - c->ref.gfn;
	if (vm->nx_huge)
		parts.access &= ~(unsigned)VMMU_EXEC;
	c->leaf = leaf_make(parts, level);
	return true;
}

/* TABLE of a direct root and those below it go, with all that they map. */
static void collapse_drop(struct vmmu_vm *vm, struct table *table)
{
	table_for_each(&vm->tree, table, ref)
	{
		uint64_t pte = pte_load(ref.ptep);

		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_TABLE)
			collapse_drop(vm, entry_child(&vm->tree, pte, ref.level));
	}
	engine_table_zap(vm, table);
}

static void collapse_direct(struct vmmu_vm *vm, const struct collapse *c)
{
	struct table *child = entry_child(&vm->tree, c->pte, c->ref.level);

	if (fmt_needs_break(c->pte, c->leaf, c->ref.level)) {
		map_unlink(vm, &c->ref);
		collapse_drop(vm, child);
		tree_flush(&vm->tree);
		funnel_set(&vm->tree, &c->ref, c->leaf);
	} else {
		funnel_collapse(&vm->tree, &c->ref, c->leaf);
		if (unlikely(!rmap_remove(&child->parents, c->ref.ptep)))
			vm_bug(vm, "a table did not know its parent");
		collapse_drop(vm, child);
	}
	/* A head that is empty, as a table stood here, takes no chunk. */
	rmap_add(map_rmap(c->slot, &c->ref), c->ref.ptep, NULL);
}

static void collapse_tdp(struct vmmu_vm *vm, const struct collapse *c)
{
	if (!fmt_needs_break(c->pte, c->leaf, c->ref.level)) {
		tdp_bury(vm, &c->ref, funnel_collapse(&vm->tree, &c->ref, c->leaf));
		return;
	}
	tdp_clear(vm, &c->ref);
	tree_flush(&vm->tree);
	funnel_set(&vm->tree, &c->ref, c->leaf);
}

static void collapse_entry(struct vmmu_vm *vm, const struct collapse *c)
{
	struct slot_range range = {c->slot, c->ref.gfn, entry_end(&c->ref)};

	if (collapse_takes_away(vm, c)) {
		if (table_mode(c->ref.table) == VMMU_ROOT_TDP)
			tdp_make_way(vm, &c->ref, c->pte);
		else
			zap_for_levels(vm, &range, 1, c->ref.level - 1, zap_leaf);
		return;
	}
	vm->past.collapsed++;
	if (table_mode(c->ref.table) == VMMU_ROOT_TDP)
		collapse_tdp(vm, c);
	else
		collapse_direct(vm, c);
}

/* Tables below TABLE that lie in RANGE, the largest first. */
static void collapse_table(struct vmmu_vm *vm, const struct slot_range *range, struct table *table)
{
	table_for_each(&vm->tree, table, ref)
	{
		struct collapse c = {.ref = ref, .pte = pte_load(ref.ptep), .slot = range->slot};

		if (fmt_classify(c.pte, ref.level) != VMMU_ENTRY_TABLE ||
		    entry_end(&ref) <= range->start || ref.gfn >= range->end)
			continue;
		if (ref.gfn >= range->start && entry_end(&ref) <= range->end &&
		    ref.level <= vm->max_level && collapse_is_due(vm, &c))
			collapse_entry(vm, &c);
		else if (ref.level > 2)
			collapse_table(vm, range, entry_child(&vm->tree, c.pte, ref.level));
	}
}

/* Drop the leaf if slot and host would now have a larger page there. */
static bool collapse_zap_leaf(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	uint64_t pfn = leaf_frame(pte_load(ref->ptep), ref->gfn, ref->level);

	if (memslot_max_level(slot, vm->geometry, ref->gfn, vm->max_level) <= ref->level ||
	    collapse_level(vm, slot, ref->gfn, pfn) <= ref->level)
		return false;
	group_break(&vm->tree, ref, 1);
	return zap_leaf(vm, ref, slot);
}

static void collapse_root(struct vmmu_vm *vm, const struct slot_range *range,
			  enum vmmu_root_mode mode)
{
	struct table *root = atomic_load_explicit(vm_root(vm, mode, range->slot->as_id),
						  memory_order_relaxed);

	if (root)
		collapse_table(vm, range, root);
}

static void collapse_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	if (!vm->env.host_level || vm->max_level == 1 || vm->resize == VMMU_RESIZE_BY_FAULTS)
		return;
	collapse_root(vm, range, VMMU_ROOT_TDP);
	if (vm->resize == VMMU_RESIZE_IN_PLACE)
		collapse_root(vm, range, VMMU_ROOT_DIRECT);
	else
		zap_for_levels(vm, range, 1, vm->max_level - 1, collapse_zap_leaf);
}

static void engine_collapse_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	collapse_range(vm, range);
	/* What stays small, and large pages beside each other. */
	regroup_range(vm, range);
}

#endif
