/* SPDX-License-Identifier: MIT */
/*
 * Taking away from tdp roots: by gfn range through the trees, and whole tables. Template. Locked
 * exclusively throughout, but for what says that it may be shared.
 */
#ifndef VMMU_FAULTS_TDP_ZAP_IMPL_H
#define VMMU_FAULTS_TDP_ZAP_IMPL_H

#include "faults/map_impl.h"

/* Level of the parts in which an invalid root is emptied, each under one hold of the lock. */
#define TDP_ZAP_LEVEL 3u
/* Tables after which the lock is given away. */
#define TDP_ZAP_TABLES 128u

/* Each root, see tdp_first_root(). */
#define tdp_for_each_root(vm, as_id, root)                                  \
	for (struct table * (root) = tdp_first_root((vm), (as_id)); (root); \
	     (root) = tdp_next_root((vm), (root)))

/* Who takes something away. */
struct tdp_zap {
	struct vmmu_vm *vm;
	struct tree_books *books;
	struct tdp_vcpu *tdp; /* the vCPU that shares the lock; NULL: it is held exclusively */
	uint64_t tables;      /* cut off so far */
};

/*
 * Also shared: PTE, a table, was taken out of PARENT. Freeze what is in it, and in tables below,
 * and retire them. With the lock exclusive, absent entries are left as they are: nobody is about to
 * put anything there.
 */
static NEVER_INLINE void tdp_bury_table(struct tdp_zap *zap, const struct entry_ref *parent,
					uint64_t pte)
{
	struct tree *tree = &zap->vm->tree;
	struct table *table = entry_child(tree, pte, parent->level);
	bool is_all = zap->tdp || (zap->vm->policies & VMMU_POLICY_FREEZE_ABSENT);

	/* Whatever it is, it is not ours to free. */
	if (unlikely(atomic_load_explicit(&table->parents, memory_order_relaxed) !=
		     (uintptr_t)parent->ptep)) {
		vm_bug(zap->vm, "a table did not know its parent");
		return;
	}
	atomic_store_explicit(&table->parents, 0, memory_order_relaxed);
	vm_event(zap->vm, .kind = VMMU_EVENT_TABLE_ZAP, .vcpu_id = ~0u, .as_id = table->as_id,
		 .level = table->level, .gfn = table->gfn);
	table_for_each(tree, table, ref)
	{
		uint64_t old_pte;

		if (!is_all && pte_load(ref.ptep) == fmt_make_absent(ref.level))
			continue;
		old_pte = funnel_bury(tree, zap->books, &ref);
		if (fmt_classify(old_pte, ref.level) == VMMU_ENTRY_TABLE)
			tdp_bury_table(zap, &ref, old_pte);
	}
	zap->tables++;
	if (zap->tdp) {
		table->hash_next = zap->tdp->removed;
		zap->tdp->removed = table;
		zap->tdp->removed_count++;
	} else {
		tree_retire(tree, table);
	}
}

/*
 * Shared: take exactly OLD_PTE, a leaf or a table, away from REF, which is absent then and flushed.
 * False: it holds something else by now.
 */
static bool tdp_remove(struct vmmu_vcpu *vcpu, const struct entry_ref *ref, uint64_t old_pte)
{
	struct tdp_zap zap = {.vm = vcpu->vm, .books = &vcpu->tdp.books, .tdp = &vcpu->tdp};
	const struct tree *tree = &vcpu->vm->tree;

	if (!funnel_freeze(tree, zap.books, ref, old_pte))
		return false;
	if (fmt_classify(old_pte, ref->level) == VMMU_ENTRY_TABLE)
		tdp_bury_table(&zap, ref, old_pte);
	funnel_flush_now(tree, ref);
	funnel_thaw(ref);
	return true;
}

/* OLD_PTE was taken out of REF: a table goes. Returns how many tables went. */
static NEVER_INLINE uint64_t tdp_bury(struct vmmu_vm *vm, const struct entry_ref *ref,
				      uint64_t old_pte)
{
	struct tree_books books = {0};
	struct tdp_zap zap = {.vm = vm, .books = &books};

	if (fmt_classify(old_pte, ref->level) != VMMU_ENTRY_TABLE)
		return 0;
	tdp_bury_table(&zap, ref, old_pte);
	tree_fold(&vm->tree, &books);
	return zap.tables;
}

/* Make REF absent, whatever it holds. Owes the flush. Returns how many tables went. */
static NEVER_INLINE uint64_t tdp_clear(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	return tdp_bury(vm, ref, funnel_set(&vm->tree, ref, fmt_make_absent(ref->level)));
}

/*
 * Cut off the table at REF for a large page to come, as tdp_clear() or, where that is the policy,
 * by way of the frozen value, as if vCPUs were in it.
 */
static NEVER_INLINE void tdp_make_way(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t pte)
{
	struct tree_books books = {0};
	struct tdp_zap zap = {.vm = vm, .books = &books};

	if (!(vm->policies & VMMU_POLICY_FREEZE_COLLAPSED)) {
		tdp_clear(vm, ref);
		return;
	}
	/* The lock is exclusive, and hardware marks no tables: nobody can have changed it. */
	if (!funnel_freeze(&vm->tree, &books, ref, pte)) {
		vm_bug(vm, "a table changed under the lock");
		return;
	}
	tdp_bury_table(&zap, ref, pte);
	tree_owe_flush(&vm->tree, ref->table->as_id, ref->gfn, entry_end(ref));
	funnel_thaw(ref);
	tree_fold(&vm->tree, &books);
}

/* Make REF absent. False: *tables are gone already, and it stays. */
static NEVER_INLINE bool tdp_empty_entry(struct vmmu_vm *vm, const struct entry_ref *ref,
					 uint64_t *tables)
{
	uint64_t went;

	if (!*tables)
		return false;
	went = tdp_clear(vm, ref);
	*tables -= min_u64(*tables, went);
	return true;
}

/*
 * Take away what stands at LEVEL or below in TABLE, and in tables below it, until *tables are gone.
 * True: nothing of it is left but what goes with its table, as MMIO entries.
 */
static NEVER_INLINE bool tdp_empty_level(struct vmmu_vm *vm, struct table *table, unsigned level,
					 uint64_t *tables)
{
	bool is_any = false;

	table_for_each(&vm->tree, table, ref)
	{
		uint64_t pte = pte_load(ref.ptep);

		if (!fmt_is_present(pte, ref.level))
			continue;
		if (ref.level > level && fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF)
			continue;
		if (ref.level > level ? !tdp_empty_level(vm, entry_child(&vm->tree, pte, ref.level),
							 level, tables)
				      : !tdp_empty_entry(vm, &ref, tables))
			return false;
		is_any |= ref.level == 1;
	}
	/* A table full of leaves is work, too. */
	*tables -= is_any && *tables;
	return true;
}

/*
 * Empty TABLE part by part until *tables are gone, then what is above the parts, which is little.
 * True: nothing is left in it.
 */
static NEVER_INLINE bool tdp_empty(struct vmmu_vm *vm, struct table *table, uint64_t *tables)
{
	unsigned first = vm->policies & VMMU_POLICY_ZAP_BY_LEVEL ? 1 : TDP_ZAP_LEVEL;

	for (unsigned level = first; level <= TDP_ZAP_LEVEL; level++)
		if (!tdp_empty_level(vm, table, level, tables))
			return false;
	table_for_each(&vm->tree, table, ref)
	{
		if (pte_load(ref.ptep) != fmt_make_absent(ref.level) &&
		    !tdp_empty_entry(vm, &ref, tables))
			return false;
	}
	return true;
}

static bool engine_tdp_zap_some(struct vmmu_vm *vm, struct table *table)
{
	uint64_t tables = TDP_ZAP_TABLES;

	return tdp_empty(vm, table, &tables);
}

/* TABLE goes, with all below it; a root stays where it is for its vCPUs, empty. */
static void tdp_zap_table(struct vmmu_vm *vm, struct table *table)
{
	rmap_ptep parent = (rmap_ptep)(uintptr_t)atomic_load(&table->parents);
	uint64_t tables = UINT64_MAX;

	if (parent) {
		struct entry_ref ref = entry_ref_of(&vm->tree, parent);

		tdp_clear(vm, &ref);
		return;
	}
	tdp_empty(vm, table, &tables);
	tdp_drop_root(vm, table);
}

static struct table *engine_tdp_root_get(struct vmmu_vm *vm, unsigned as_id)
{
	unsigned level = fmt_geometry.levels;
	bool is_zeroed;
	struct table *root = tree_alloc_unhashed(&vm->tree, as_id, 0, level, &is_zeroed);

	if (!root)
		return NULL;
	vm->tdp_newest = as_id;
	atomic_store_explicit(&root->flags, TABLE_TDP, memory_order_relaxed);
	if (!is_zeroed || fmt_make_absent(level))
		map_fill_absent(&vm->tree, root);
	vm_event(vm, .kind = VMMU_EVENT_TABLE_GET, .vcpu_id = ~0u, .as_id = as_id, .level = level,
		 .value = 1, .hpa = tree_table_hpa(&vm->tree, root));
	return root;
}

/* A walk over what a root has for a range of gfns. */
struct tdp_walk {
	struct vmmu_vm *vm;
	const struct slot_range *range;
	unsigned from, to; /* levels of leaves */
	bool (*fn)(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot);
};

/*
 * CALL the walk's function for each leaf at its levels below TABLE; depth is bounded by the
 * format's levels.
 */
static void tdp_walk_table(const struct tdp_walk *walk, struct table *table)
{
	const struct tree *tree = &walk->vm->tree;
	uint64_t step = level_gfns(table->level), gfn = max_u64(walk->range->start, table->gfn);
	uint64_t last = table->gfn + (table_entry_count(table->level) * step - 1);
	struct entry_ref ref = table_ref(tree, table, gfn);

	last = min_u64(last, walk->range->end - 1);
	for (; ref.gfn <= last; ref.gfn += step, ref.ptep++) {
		uint64_t pte = pte_load(ref.ptep);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref.level);

		if (kind == VMMU_ENTRY_TABLE && ref.level > walk->from)
			tdp_walk_table(walk, entry_child(tree, pte, ref.level));
		else if (kind == VMMU_ENTRY_LEAF && ref.level >= walk->from &&
			 ref.level <= walk->to)
			walk->fn(walk->vm, &ref, walk->range->slot);
	}
}

/* FN for each leaf of RANGE at levels FROM to TO in each tdp root; it may drop the leaf. */
static void tdp_for_leaves(struct vmmu_vm *vm, const struct slot_range *range, unsigned from,
			   unsigned to,
			   bool (*fn)(struct vmmu_vm *vm, const struct entry_ref *ref,
				      struct memslot *slot))
{
	const struct tdp_walk walk = {vm, range, from, to, fn};

	if (range->start >= range->end)
		return;
	tdp_for_each_root(vm, range->slot->as_id, root) tdp_walk_table(&walk, root);
}

static bool tdp_drop_leaf(struct vmmu_vm *vm, const struct entry_ref *ref, struct memslot *slot)
{
	(void)slot;
	funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	return true;
}

/* Is all of TABLE absent? */
static bool tdp_is_empty(const struct tree *tree, struct table *table)
{
	table_for_each(tree, table, ref)
	{
		if (pte_load(ref.ptep) != fmt_make_absent(ref.level))
			return false;
	}
	return true;
}

/*
 * Take out of TABLE what is empty of the tables that lie in RANGE, in part or whole; depth is
 * bounded by the format's levels.
 */
static void tdp_free_empty_below(struct vmmu_vm *vm, const struct slot_range *range,
				 struct table *table)
{
	uint64_t step = level_gfns(table->level), gfn = max_u64(range->start, table->gfn);
	uint64_t last = table->gfn + (table_entry_count(table->level) * step - 1);
	struct entry_ref ref = table_ref(&vm->tree, table, gfn);

	last = min_u64(last, range->end - 1);
	for (; ref.gfn <= last; ref.gfn += step, ref.ptep++) {
		uint64_t pte = pte_load(ref.ptep);
		struct table *child;

		if (fmt_classify(pte, ref.level) != VMMU_ENTRY_TABLE)
			continue;
		child = entry_child(&vm->tree, pte, ref.level);
		if (child->level > 1)
			tdp_free_empty_below(vm, range, child);
		if (tdp_is_empty(&vm->tree, child))
			tdp_clear(vm, &ref);
	}
}

/* Tables that have nothing left in them go: those of RANGE, in each tdp root. Owes flushes. */
static void tdp_free_empty(struct vmmu_vm *vm, const struct slot_range *range)
{
	if (range->start >= range->end)
		return;
	tdp_for_each_root(vm, range->slot->as_id, root) tdp_free_empty_below(vm, range, root);
}

/* As engine_age_range(), under RCU alone: current roots, entry by entry. */
static uint64_t tdp_age_table(struct vmmu_vm *vm, const struct slot_range *range,
			      struct table *table, enum age_what what)
{
	uint64_t step = level_gfns(table->level), gfn = max_u64(range->start, table->gfn);
	uint64_t last = table->gfn + (table_entry_count(table->level) * step - 1), young = 0;
	struct entry_ref ref = table_ref(&vm->tree, table, gfn);

	last = min_u64(last, range->end - 1);
	for (; ref.gfn <= last && !(young && what == AGE_TEST); ref.gfn += step, ref.ptep++) {
		uint64_t pte = pte_load(ref.ptep);

		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_TABLE)
			young += tdp_age_table(vm, range, entry_child(&vm->tree, pte, ref.level),
					       what);
		else if (what == AGE_CLEAR)
			young += funnel_age(&vm->tree, &ref);
		else
			young += fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF &&
				 fmt_is_accessed(pte, ref.level);
	}
	return young;
}

static uint64_t tdp_age_range(struct vmmu_vm *vm, const struct slot_range *range,
			      enum age_what what)
{
	struct table *root = atomic_load_explicit(vm_root(vm, VMMU_ROOT_TDP, range->slot->as_id),
						  memory_order_acquire);

	return root ? tdp_age_table(vm, range, root, what) : 0;
}

#endif
