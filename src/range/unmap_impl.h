/* SPDX-License-Identifier: MIT */
/* vmmu_unmap(). Template, part of range_impl.h. */
#ifndef VMMU_RANGE_UNMAP_IMPL_H
#define VMMU_RANGE_UNMAP_IMPL_H

/* Give back TABLE, which nothing points to any more, and all tables below it. Its flush is owed. */
static void range_forget(struct vmmu_vm *vm, struct table *table)
{
	table_recount(&vm->tree, table);
	if (table->level == 1) {
		funnel_forget(&vm->tree, table);
	} else {
		table_for_each(&vm->tree, table, ref)
		{
			uint64_t old_pte = pte_load(ref.ptep);

			if (old_pte == fmt_make_absent(ref.level))
				continue;
			funnel_set(&vm->tree, &ref, fmt_make_absent(ref.level));
			if (fmt_classify(old_pte, ref.level) == VMMU_ENTRY_TABLE)
				range_forget(vm, entry_child(&vm->tree, old_pte, ref.level));
		}
	}
	tree_retire(&vm->tree, table);
}

/* The counts and frames of what was cut off since last time. */
static void range_settle(struct vmmu_vm *vm)
{
	struct table *table;

	while ((table = vm->tree.detached) != NULL) {
		vm->tree.detached = table->hash_next;
		table->hash_next = NULL;
		range_forget(vm, table);
	}
}

/*
 * The range covers all that the entry PTE at REF maps. A table is cut off with all below it,
 * whatever that is; looking into it waits for range_settle(), before the lock is let go.
 */
static void range_unmap_whole(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t pte)
{
	struct table *child;

	funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	if (fmt_classify(pte, ref->level) != VMMU_ENTRY_TABLE)
		return;
	child = entry_child(&vm->tree, pte, ref->level);
	child->hash_next = vm->tree.detached;
	vm->tree.detached = child;
}

/*
 * A large leaf of which only [gpa, gpa + bytes) goes. One page at its table's level goes with the
 * split itself. Returns the bytes done with, 0: go on below, or -ENOMEM.
 */
static int64_t range_unmap_cut(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t pte,
			       uint64_t gpa, uint64_t bytes)
{
	unsigned below = ref->level - 1;
	bool is_one = bytes >= range_bytes(below) && is_aligned(gpa, range_bytes(below));

	if (!range_split(vm, ref, pte, is_one ? range_index(gpa, below) : UINT64_MAX))
		return -ENOMEM;
	return is_one ? (int64_t)range_bytes(below) : 0;
}

/*
 * The leaf at REF is in a group. If the range, up to END, begins with all of it, all of it goes;
 * else its members stand alone from now on. Returns the bytes done with, or 0.
 */
static int64_t range_unmap_group(struct vmmu_vm *vm, struct entry_ref ref, uint64_t gpa,
				 uint64_t end)
{
	uint64_t count = BIT64(level_group_lg2(ref.level)), bytes = count * range_bytes(ref.level);

	if (!is_aligned(gpa, bytes) || end - gpa < bytes) {
		group_break(&vm->tree, &ref, 1);
		return 0;
	}
	for (uint64_t i = 0; i < count; i++, ref.ptep++, ref.gfn += level_gfns(ref.level))
		funnel_set(&vm->tree, &ref, fmt_make_absent(ref.level));
	return (int64_t)bytes;
}

/*
 * Deal with what is at gpa: bytes done with, or -ENOMEM. END of the range in bytes.
 */
static int64_t range_unmap_step(struct vmmu_update *update, uint64_t gpa, uint64_t end)
{
	unsigned stop = fmt_geometry.levels;
	struct entry_ref ref;
	uint64_t pte, first, last;
	int64_t done = 0;

	while (stop > 1 && (!is_aligned(gpa, range_bytes(stop)) || end - gpa < range_bytes(stop)))
		stop--;
	while (!done) {
		ref = range_walk(update, gpa, stop, &pte);
		first = ref.gfn << fmt_geometry.page_shift;
		last = first + range_bytes(ref.level) - 1;
		if (pte == fmt_make_absent(ref.level))
			return (int64_t)(min_u64(last, end - 1) + 1 - gpa);
		if (fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF &&
		    leaf_group_lg2(pte, ref.level)) {
			done = range_unmap_group(update->vm, ref, gpa, end);
			continue;
		}
		if (first == gpa && last < end) {
			range_unmap_whole(update->vm, &ref, pte);
			return (int64_t)range_bytes(ref.level);
		}
		done = range_unmap_cut(update->vm, &ref, pte, gpa, end - gpa);
	}
	return done;
}

static __attribute__((noinline)) int range_unmap_slow(struct vmmu_update *update, uint64_t gpa,
						      uint64_t bytes, uint64_t *done)
{
	uint64_t at = gpa;
	int64_t step = 0;

	if (done)
		*done = 0;
	if (!range_is_valid(gpa, bytes))
		return -EINVAL;
	while (at < gpa + bytes) {
		step = range_unmap_step(update, at, gpa + bytes);
		if (step < 0)
			break;
		at += (uint64_t)step;
	}
	if (done)
		*done = at - gpa;
	return step < 0 ? (int)step : 0;
}

/* The page at gpa, a leaf of its own. False: not that simple. */
static inline bool range_unmap_page(struct vmmu_update *update, uint64_t gpa)
{
	struct tree *tree = &update->vm->tree;
	struct entry_ref ref;
	uint64_t pte;

	if (unlikely(gpa & (RANGE_PAGE - 1)))
		return false;
	if (unlikely(!range_find(update, gpa, 1, memory_order_relaxed, &ref)))
		return false;
	pte = pte_load(ref.ptep);
	if (unlikely(!spte_is_surely_leaf(pte) || !funnel_can_clear(tree, pte, 1)))
		return false;
	funnel_clear(tree, &ref);
	return true;
}

static int range_unmap(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, uint64_t *done)
{
	if (bytes != RANGE_PAGE || !range_unmap_page(update, gpa))
		return range_unmap_slow(update, gpa, bytes, done);
	if (done)
		*done = bytes;
	return 0;
}

#endif
