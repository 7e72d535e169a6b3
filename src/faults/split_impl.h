/* SPDX-License-Identifier: MIT */
/*
 * Splitting ahead of writes: a large leaf gives way to a table that maps the same. Template. Locked
 * exclusively.
 *
 * The table is complete before it is linked, so no access faults for it. What hardware or the
 * lockless fix set in the large leaf meanwhile is not lost: the link replaces just the value that
 * the table was filled by, or the table is filled again.
 */
#ifndef VMMU_FAULTS_SPLIT_IMPL_H
#define VMMU_FAULTS_SPLIT_IMPL_H

#include <errno.h>

#include "faults/tdp_zap_impl.h"
#include "walker/leaf_impl.h"

/* Leaves after which the lock is given away. */
#define SPLIT_LEAVES 32u

/* The leaf one level below the leaf PTE at LEVEL for the first of the pages that it maps. */
static inline uint64_t split_smaller(const struct vmmu_vm *vm, uint64_t pte, unsigned level)
{
	struct vmmu_leaf parts = leaf_parts(pte, level);

	/* The NX rule is for large pages alone. */
	if (vm->nx_huge && level == 2)
		parts.access |= VMMU_EXEC;
	return leaf_make(parts, level - 1);
}

/* Fill CHILD, which nobody sees, with what the leaf PTE, one level above, maps. */
static inline void split_fill(const struct vmmu_vm *vm, const struct table *child, uint64_t pte)
{
	uint64_t *entries = (uint64_t *)tree_entries(&vm->tree, child);

	leaf_fill(entries, table_entry_count(child->level),
		  split_smaller(vm, pte, child->level + 1u), child->level);
}

/* A table of a tdp root for REF's range, its entries uninitialised. NULL: no frame. */
static struct table *split_tdp_table(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	struct tree *tree = &vm->tree;
	bool is_zeroed;
	void *frame = tree_frame_take(tree, &is_zeroed);
	struct table *table;

	if (!frame)
		return NULL;
	table = tree_table_make(tree, frame, ref->table->as_id, ref->gfn, ref->level - 1);
	atomic_store_explicit(&table->flags, TABLE_TDP, memory_order_relaxed);
	atomic_store_explicit(&table->parents, (uintptr_t)ref->ptep, memory_order_relaxed);
	list_insert(&tree->tables, &table->link);
	tree->live++;
	tree->live_bytes += BIT64(tree->below_lg2);
	return table;
}

/* Split the leaf at REF of a tdp root. False: no frame. */
static bool split_tdp(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	struct table *child = split_tdp_table(vm, ref);
	uint64_t table, pte;

	if (!child)
		return false;
	vm_event(vm, .kind = VMMU_EVENT_TABLE_GET, .vcpu_id = ~0u, .as_id = child->as_id,
		 .level = child->level, .gfn = child->gfn, .value = 1,
		 .hpa = tree_table_hpa(&vm->tree, child));
	table = fmt_make_table(tree_table_hpa(&vm->tree, child), ref->level);
	do {
		pte = pte_load(ref->ptep);
		split_fill(vm, child, pte);
	} while (!funnel_set_exactly(&vm->tree, ref, pte, table));
	vm->tree.leaves[child->level] += table_entry_count(child->level);
	return true;
}

/* Is something mapped already where the entry at REF, of a table that is not linked, stands? */
static inline bool split_is_kept(const struct entry_ref *ref, struct memslot *slot)
{
	return fmt_classify(pte_load(ref->ptep), ref->level) == VMMU_ENTRY_TABLE ||
	       atomic_load_explicit(map_rmap(slot, ref), memory_order_relaxed);
}

/*
 * Fill CHILD, of a direct root and not linked, with what the leaf PTE, one level above, maps; what
 * it has from before a large page replaced it stays. Returns how many entries are new: those
 * that are in no rmap yet. They may be filled again.
 */
static uint64_t split_direct_fill(struct vmmu_vm *vm, struct table *child, uint64_t pte,
				  struct memslot *slot)
{
	unsigned level = child->level;
	uint64_t leaf = split_smaller(vm, pte, level + 1u), pfn = fmt_leaf_pfn(leaf, level);
	struct vmmu_leaf parts = leaf_parts(leaf, level);
	uint64_t filled = 0;

	table_for_each(&vm->tree, child, ref)
	{
		if (split_is_kept(&ref, slot))
			continue;
		if (fmt_classify(pte_load(ref.ptep), level) == VMMU_ENTRY_MMIO)
			funnel_set(&vm->tree, &ref, fmt_make_absent(level));
		parts.pfn = pfn + (ref.gfn - child->gfn);
		atomic_store_explicit(ref.ptep, leaf_make(parts, level), memory_order_relaxed);
		filled++;
	}
	child->has_volatile |= fmt_is_volatile(leaf, level);
	return filled;
}

/* CHILD is linked in the place of the leaf at REF: rmaps follow. */
static void split_direct_books(struct vmmu_vm *vm, struct table *child, const struct entry_ref *ref,
			       struct memslot *slot)
{
	if (unlikely(!rmap_remove(map_rmap(slot, ref), ref->ptep)))
		vm_bug(vm, "a leaf was in no rmap");
	/* Heads that are empty take no chunk. */
	rmap_add(&child->parents, ref->ptep, NULL);
	table_for_each(&vm->tree, child, at) if (!split_is_kept(&at, slot))
		rmap_add(map_rmap(slot, &at), at.ptep, NULL);
}

/* Split the leaf at REF of a direct root. False: no frame. */
static bool split_direct(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	struct table *child = map_get_table(vm, ref->table->as_id, ref->gfn, ref->level - 1);
	uint64_t table, pte, filled;

	/* Linked twice a table cannot be; who knows how far things are right then. */
	if (!child || unlikely(child->parents))
		return false;
	table = fmt_make_table(tree_table_hpa(&vm->tree, child), ref->level);
	do {
		pte = pte_load(ref->ptep);
		filled = split_direct_fill(vm, child, pte, slot);
	} while (!funnel_set_exactly(&vm->tree, ref, pte, table));
	vm->tree.leaves[child->level] += filled;
	child->used += (uint32_t)filled;
	split_direct_books(vm, child, ref, slot);
	return true;
}

/* Is there room for a table, and for those that a fault may need besides? */
static inline bool split_has_room(struct vmmu_vm *vm)
{
	uint64_t used = vm->tree.frames.live - vm->tree.retired_count;

	return used + fmt_geometry.levels < vm->tables_max && tree_has_room(&vm->tree, 1);
}

static bool split_leaf(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	bool is_split = split_has_room(vm);
	uint64_t pte;

	if (is_split)
		group_break(&vm->tree, ref, 1);
	pte = pte_load(ref->ptep);
	if (is_split)
		is_split = table_mode(ref->table) == VMMU_ROOT_TDP ? split_tdp(vm, ref)
								   : split_direct(vm, ref, slot);
	vm->past.split += is_split;
	vm_event(vm, .kind = VMMU_EVENT_SPLIT, .vcpu_id = ~0u, .as_id = ref->table->as_id,
		 .level = ref->level, .gfn = ref->gfn, .old_pte = pte,
		 .value = is_split ? 0 : -ENOMEM);
	return is_split;
}

static int engine_split_range(struct vmmu_vm *vm, struct table *root, struct slot_range *range)
{
	uint64_t end = min_u64(range->end, gfn_limit());

	for (unsigned left = SPLIT_LEAVES; range->start < end;) {
		uint64_t pte;
		struct entry_ref ref = walk_to(&vm->tree, root, range->start, 2, &pte);

		if (fmt_classify(pte, ref.level) != VMMU_ENTRY_LEAF ||
		    !level_is_leaf(ref.level - 1)) {
			range->start = entry_end(&ref);
			continue;
		}
		if (!left--)
			return -EAGAIN;
		if (!split_leaf(vm, &ref, range->slot))
			return -ENOMEM;
	}
	return 0;
}

#endif
