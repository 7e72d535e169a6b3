/* SPDX-License-Identifier: MIT */
/* The checks that read entries: tree, rmaps, parents. Template. Locked, slots lock held. */
#ifndef VMMU_FAULTS_AUDIT_IMPL_H
#define VMMU_FAULTS_AUDIT_IMPL_H

#include "faults/audit.h"
#include "faults/map_impl.h"

static inline struct audit_place audit_place_of(const struct entry_ref *ref, uint64_t pte)
{
	return (struct audit_place){ref->table->as_id, ref->level, ref->gfn, pte};
}

/* A leaf above level 1: allowed here at all? */
static void audit_huge_leaf(struct audit_run *run, const struct entry_ref *ref, uint64_t pte,
			    const struct memslot *slot)
{
	struct audit_place place = audit_place_of(ref, pte);
	unsigned access = fmt_access(pte, ref->level);

	audit_check(run,
		    ref->level <= run->vm->max_level &&
			    (fmt_geometry.leaf_levels & (1u << ref->level)),
		    "leaf-level", &place, "no leaf may stand at this level");
	audit_check(run,
		    ref->gfn >= slot->base_gfn &&
			    ref->gfn + level_gfns(ref->level) <= slot->base_gfn + slot->gfns,
		    "leaf-beyond-slot", &place, "a large page reaches out of its slot");
	audit_check(run,
		    memslot_max_level(slot, run->vm->geometry, ref->gfn, ref->level) == ref->level,
		    "leaf-forbidden", &place, "a large page where the slot forbids one");
	audit_check(run,
		    !slot->dirty || !(access & VMMU_WRITE) ||
			    (run->vm->slots.is_initially_dirty &&
			     memslot_is_all_dirty(slot, ref->gfn, level_gfns(ref->level))),
		    "leaf-logged", &place, "a writable large page while writes are logged");
	audit_check(run, !run->vm->nx_huge || !(access & VMMU_EXEC), "leaf-nx", &place,
		    "an executable large page against the NX rule");
	audit_check(run, is_aligned(fmt_leaf_pfn(pte, ref->level), level_gfns(ref->level)),
		    "leaf-misaligned", &place, "the frame is not aligned to the level");
}

/* Does the leaf PTE at REF say the same as its group's first member? */
static inline bool audit_is_in_group(const struct entry_ref *ref, uint64_t pte)
{
	uint64_t index = ref->gfn / level_gfns(ref->level) &
			 (BIT64(leaf_group_lg2(pte, ref->level)) - 1);
	uint64_t first = pte_load(ref->ptep - index);

	if (!(ref->table->flags & TABLE_GROUPED) ||
	    entry_group_lg2(first, ref->level) != leaf_group_lg2(pte, ref->level))
		return false;
	first = fmt_clear_accessed(leaf_alone(first, ref->gfn, ref->level), ref->level);
	pte = fmt_clear_accessed(leaf_alone(pte, ref->gfn, ref->level), ref->level);
	return first == pte;
}

/* A leaf in a group. */
static void audit_group(struct audit_run *run, const struct entry_ref *ref, uint64_t pte)
{
	struct audit_place place = audit_place_of(ref, pte);

	audit_check(run, audit_is_in_group(ref, pte), "leaf-group", &place,
		    "the members of a group differ");
	audit_check(
		run,
		!fmt_mmu_writable(pte, ref->level) || (fmt_access(pte, ref->level) & VMMU_WRITE),
		"group-write", &place, "a member of a group without the WRITE that it may have");
}

/* The same where SLOT is. */
static void audit_group_in_slot(struct audit_run *run, const struct entry_ref *ref, uint64_t pte,
				const struct memslot *slot)
{
	struct audit_place place = audit_place_of(ref, pte);
	uint64_t start = group_first(ref).gfn, end = start + group_gfns(ref->level);

	audit_check(run, start >= slot->base_gfn && end - slot->base_gfn <= slot->gfns,
		    "group-beyond-slot", &place, "a group reaches out of its slot");
	audit_check(run,
		    !slot->dirty || !(fmt_access(pte, ref->level) & VMMU_WRITE) ||
			    (run->vm->slots.is_initially_dirty &&
			     memslot_is_all_dirty(slot, start, end - start)),
		    "group-logged", &place, "a writable group while writes are logged");
}

static void audit_leaf(struct audit_run *run, const struct entry_ref *ref, uint64_t pte)
{
	struct memslot *slot = map_slot(run->vm, ref->table->as_id, ref->gfn, NULL);
	struct audit_place place = audit_place_of(ref, pte);

	run->leaves[ref->level]++;
	run->rmap_leaves += table_mode(ref->table) == VMMU_ROOT_DIRECT;
	audit_check(run, !fmt_is_malformed(pte, ref->level), "leaf-malformed", &place,
		    "reserved bits are set");
	audit_check(run, spte_is_sane_leaf(pte, ref->level), "leaf-writable", &place,
		    "WRITE needs mmu-writable, which needs host-writable");
	if (leaf_group_lg2(pte, ref->level))
		audit_group(run, ref, pte);
	if (run->vm->mode == VMMU_MODE_RANGES)
		return;
	if (!audit_check(run, slot != NULL, "leaf-no-slot", &place,
			 "memory is mapped where no slot is"))
		return;
	audit_check(run,
		    !(slot->flags & VMMU_SLOT_READ_ONLY) || !fmt_host_writable(pte, ref->level),
		    "leaf-read-only", &place, "writable in a read-only slot");
	if (leaf_group_lg2(pte, ref->level))
		audit_group_in_slot(run, ref, pte, slot);
	if (ref->level > 1)
		audit_huge_leaf(run, ref, pte, slot);
	else
		audit_check(run,
			    !slot->dirty || run->vm->rings.entries ||
				    run->vm->dirty_source != VMMU_DIRTY_BY_FAULTS ||
				    !(fmt_access(pte, 1) & VMMU_WRITE) ||
				    memslot_is_dirty(slot, ref->gfn),
			    "leaf-unseen-write", &place, "writable, but not counted as dirty");
	if (table_mode(ref->table) == VMMU_ROOT_TDP)
		return;
	audit_check(run, rmap_has(map_rmap(slot, ref), ref->ptep), "rmap-missing", &place,
		    "the leaf is not in its rmap");
}

static void audit_link(struct audit_run *run, const struct entry_ref *ref, uint64_t pte)
{
	const struct tree *tree = &run->vm->tree;
	struct audit_place place = audit_place_of(ref, pte);
	const struct table *child;

	run->links++;
	if (!audit_check(run, frame_has(&tree->frames, fmt_table_hpa(pte, ref->level)),
			 "table-outside", &place, "points outside of the table frames"))
		return;
	child = entry_child(tree, pte, ref->level);
	audit_check(run,
		    child->level == ref->level - 1 && child->gfn == ref->gfn &&
			    child->as_id == ref->table->as_id,
		    "table-role", &place, "the table below maps something else");
	audit_check(run, tree_is_obsolete(tree, ref->table) || !tree_is_obsolete(tree, child),
		    "table-obsolete", &place, "a current table points to an obsolete one");
	audit_check(run, rmap_has(&child->parents, ref->ptep), "parent-missing", &place,
		    "the table below does not know this entry");
}

/* A stale MMIO entry over a slot is normal; a current one would hide the slot's memory. */
static void audit_mmio(struct audit_run *run, const struct entry_ref *ref, uint64_t pte)
{
	unsigned as = ref->table->as_id;
	uint64_t generation = slot_set_generation(slots_active(&run->vm->slots, as));
	struct vmmu_mmio mmio = fmt_parse_mmio(pte, ref->level);
	struct audit_place place = audit_place_of(ref, pte);

	run->mmio_entries++;
	audit_check(run, ref->level == 1 && mmio.gfn == ref->gfn, "mmio-gfn", &place,
		    "the entry names another gfn");
	audit_check(run,
		    mmio.generation != (generation & (BIT64(FMT_MMIO_GEN_BITS) - 1)) ||
			    !map_slot(run->vm, as, ref->gfn, NULL),
		    "mmio-over-slot", &place, "a current MMIO entry where a slot is");
}

static void audit_entry(struct audit_run *run, const struct entry_ref *ref)
{
	uint64_t pte = pte_load(ref->ptep);
	struct audit_place place = audit_place_of(ref, pte);

	switch (fmt_classify(pte, ref->level)) {
	case VMMU_ENTRY_ABSENT:
		audit_check(run, pte == fmt_make_absent(ref->level), "absent-value", &place,
			    "absent, but not the value that absent entries have");
		break;
	case VMMU_ENTRY_FROZEN:
		audit_check(run, false, "frozen", &place, "frozen, and nobody is at work");
		break;
	case VMMU_ENTRY_MMIO:
		audit_mmio(run, ref, pte);
		break;
	case VMMU_ENTRY_TABLE:
		audit_link(run, ref, pte);
		break;
	case VMMU_ENTRY_LEAF:
		audit_leaf(run, ref, pte);
		break;
	}
}

static void audit_entries(struct audit_run *run, struct table *table)
{
	struct audit_place place = {table->as_id, table->level, table->gfn, 0};
	bool has_volatile = false;
	uint64_t used = 0;

	table_for_each(&run->vm->tree, table, ref)
	{
		uint64_t pte = pte_load(ref.ptep);

		audit_entry(run, &ref);
		used += pte != fmt_make_absent(ref.level);
		has_volatile |= fmt_is_volatile(pte, ref.level);
	}
	if (table_mode(table) == VMMU_ROOT_TDP)
		return;
	table_recount(&run->vm->tree, table);
	audit_check(run, used == table->used, "table-used", &place,
		    "the table's count of used entries is wrong");
	audit_check(run, table->has_volatile || (table->flags & TABLE_AGED) || !has_volatile,
		    "table-volatile", &place,
		    "an entry is volatile in a table that has none by its record");
}

/* Each entry that TABLE takes for a parent does point to it. */
static void audit_parents(struct audit_run *run, struct table *table)
{
	const struct tree *tree = &run->vm->tree;
	struct rmap_iter iter;
	rmap_ptep ptep;

	rmap_for_each(ptep, &iter, &table->parents)
	{
		struct entry_ref ref = entry_ref_of(tree, ptep);
		uint64_t pte = pte_load(ptep);
		struct audit_place place = audit_place_of(&ref, pte);

		run->parents++;
		audit_check(run,
			    fmt_classify(pte, ref.level) == VMMU_ENTRY_TABLE &&
				    fmt_table_hpa(pte, ref.level) == tree_table_hpa(tree, table),
			    "parent-stale", &place,
			    "does not point to the table that takes it for a parent");
	}
}

/* Each entry of the rmap of gfns from FIRST on is a leaf for just them. */
static void audit_rmap(struct audit_run *run, rmap_head *head, unsigned level, uint64_t first)
{
	struct rmap_iter iter;
	rmap_ptep ptep;

	rmap_for_each(ptep, &iter, head)
	{
		struct entry_ref ref = entry_ref_of(&run->vm->tree, ptep);
		uint64_t pte = pte_load(ptep);
		struct audit_place place = audit_place_of(&ref, pte);

		run->rmap_entries++;
		audit_check(run,
			    ref.level == level && ref.gfn == first &&
				    fmt_classify(pte, level) == VMMU_ENTRY_LEAF,
			    "rmap-stale", &place,
			    "the rmap holds an entry that is no leaf for its gfn");
	}
}

static void audit_rmaps(struct audit_run *run, const struct memslot *slot)
{
	for (unsigned level = 1; level <= run->vm->max_level; level++) {
		uint64_t gfns = level_gfns(level);
		uint64_t gfn = align_down(slot->base_gfn, gfns);

		if (!slot->rmap[level])
			continue;
		for (uint64_t i = 0; gfn < slot->base_gfn + slot->gfns; i++, gfn += gfns)
			audit_rmap(run, &slot->rmap[level][i], level, gfn);
	}
}

static void engine_audit(struct vmmu_vm *vm, struct audit_run *run)
{
	list_for_each(node, &vm->tree.tables)
	{
		struct table *table = container_of(node, struct table, link);

		run->tables++;
		run->nx_tables += !!(table->flags & TABLE_NX_POSSIBLE);
		audit_entries(run, table);
		audit_parents(run, table);
	}
	for (unsigned as = 0; as < vm->as_count && slots_have_rmaps(&vm->slots); as++) {
		const struct slot_set *set = slots_active(&vm->slots, as);

		for (size_t i = 0; i < set->count; i++)
			audit_rmaps(run, set->by_gfn[i]);
	}
}

#endif
