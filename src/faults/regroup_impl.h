/* SPDX-License-Identifier: MIT */
/*
 * Leaves become a group again, in place, when nothing keeps them apart any more: logging ended.
 * Template. Locked exclusively.
 *
 * As a fault would make it, and for the same reasons (group_map_impl.h), of leaves that are there:
 * they agree in all but what logging and aging took from them. What is not mapped yet is mapped
 * with them: the host says that it has all of it alike. All places are frozen, flushed, and written
 * anew, which Arm demands of a change of the contiguous bit and RISC-V advises for Svnapot (see
 * walker/group_impl.h).
 */
#ifndef VMMU_FAULTS_REGROUP_IMPL_H
#define VMMU_FAULTS_REGROUP_IMPL_H

#include "faults/group_map_impl.h"
#include "walker/leaf_impl.h"

/* The leaf PTE at LEVEL, which stands alone, with WRITE if it may and as if just used. */
static inline uint64_t regroup_whole(uint64_t pte, unsigned level)
{
	struct vmmu_leaf parts = leaf_parts(pte, level);

	if (parts.host_writable && parts.mmu_writable)
		parts.access |= VMMU_WRITE;
	parts.accessed = true;
	parts.dirty = parts.access & VMMU_WRITE;
	return fmt_make_leaf(parts, level);
}

/* What would stand alone at AT, beside LEAF in its group. */
static inline uint64_t regroup_member(uint64_t leaf, const struct entry_ref *at)
{
	return leaf_alone(group_member_at(leaf, at), at->gfn, at->level);
}

/*
 * The leaf that stands for all that are mapped in the group at FIRST, and in *at its place, if they
 * stand alone and could be one; 0: they do not, or there is none. Old, if all are.
 */
static uint64_t regroup_common(const struct entry_ref *first, struct entry_ref *at)
{
	bool is_young = false;
	uint64_t leaf = 0;

	*at = *first;
	group_for_each(first, place)
	{
		uint64_t pte = pte_load(place.ptep), whole;

		if (pte == fmt_make_absent(place.level))
			continue;
		if (fmt_classify(pte, place.level) != VMMU_ENTRY_LEAF ||
		    leaf_group_lg2(pte, place.level))
			return 0;
		whole = regroup_whole(pte, place.level);
		if (leaf && whole != regroup_member(leaf, &place))
			return 0;
		if (!leaf) {
			leaf = whole;
			*at = place;
		}
		is_young |= fmt_is_accessed(pte, place.level);
	}
	return is_young || !leaf ? leaf : fmt_clear_accessed(leaf, at->level);
}

/* Is one of the absent places of the group at FIRST mapped by a table that is not linked? */
static bool regroup_has_rmaps(struct memslot *slot, const struct entry_ref *first)
{
	group_for_each(first, at)
	{
		if (pte_load(at.ptep) == fmt_make_absent(at.level) &&
		    atomic_load_explicit(map_rmap(slot, &at), memory_order_relaxed))
			return true;
	}
	return false;
}

/*
 * What is to stand for the group at FIRST, in SLOT, from now on, or 0. The reverse maps of a direct
 * root know of it already.
 */
static uint64_t regroup_leaf(struct vmmu_vm *vm, struct memslot *slot,
			     const struct entry_ref *first)
{
	bool is_direct = table_mode(first->table) == VMMU_ROOT_DIRECT;
	struct entry_ref place;
	uint64_t leaf = regroup_common(first, &place);

	if (!leaf || (is_direct && regroup_has_rmaps(slot, first)) ||
	    !group_can_be(vm, slot, &place, leaf))
		return 0;
	group_for_each(first, at)
	{
		/* Heads that are empty take no chunk. */
		if (is_direct && pte_load(at.ptep) == fmt_make_absent(at.level))
			rmap_add(map_rmap(slot, &at), at.ptep, NULL);
	}
	vm->past.grouped++;
	return leaf;
}

/* Make groups of entries of TABLE, whose level has them: those that lie in RANGE. */
static void regroup_entries(struct vmmu_vm *vm, const struct slot_range *range, struct table *table)
{
	uint64_t gfns = group_gfns(table->level), leaf[FUNNEL_GROUPS];
	uint64_t end = table->gfn + table_entry_count(table->level) * level_gfns(table->level);
	uint64_t gfn = align_up(max_u64(range->start, table->gfn), gfns);

	end = align_down(min_u64(range->end, end), gfns);
	while (gfn < end) {
		uint64_t count = min_u64((end - gfn) / gfns, FUNNEL_GROUPS);
		struct entry_ref first = table_ref(&vm->tree, table, gfn);

		for (uint64_t i = 0; i < count; i++) {
			struct entry_ref at = table_ref(&vm->tree, table, gfn + i * gfns);

			leaf[i] = regroup_leaf(vm, range->slot, &at);
		}
		funnel_group(&vm->tree, &first, leaf, count);
		gfn += count * gfns;
	}
}

/* The same of TABLE and all below it; depth is bounded by the format's levels. */
static void regroup_table(struct vmmu_vm *vm, const struct slot_range *range, struct table *table)
{
	uint64_t step = level_gfns(table->level), gfn = max_u64(range->start, table->gfn);
	uint64_t last = table->gfn + (table_entry_count(table->level) * step - 1);
	struct entry_ref ref = table_ref(&vm->tree, table, gfn);

	if (group_is_made(table->level) && table->level <= vm->max_level)
		regroup_entries(vm, range, table);
	last = min_u64(last, range->end - 1);
	for (; table->level > 1 && ref.gfn <= last; ref.gfn += step, ref.ptep++) {
		uint64_t pte = pte_load(ref.ptep);

		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_TABLE)
			regroup_table(vm, range, entry_child(&vm->tree, pte, ref.level));
	}
}

static void regroup_root(struct vmmu_vm *vm, const struct slot_range *range,
			 enum vmmu_root_mode mode)
{
	struct table *root = atomic_load_explicit(vm_root(vm, mode, range->slot->as_id),
						  memory_order_relaxed);

	if (root)
		regroup_table(vm, range, root);
}

/* Make groups of what RANGE, which is not empty and logs no writes any more, maps. */
static void regroup_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	if (!group_is_made(1) || !vm->env.host_span || vm->resize != VMMU_RESIZE_IN_PLACE)
		return;
	regroup_root(vm, range, VMMU_ROOT_TDP);
	regroup_root(vm, range, VMMU_ROOT_DIRECT);
}

#endif
