/* SPDX-License-Identifier: MIT */
/*
 * vmmu_map() and vmmu_write_allow() where several threads do so at once: see
 * vmmu_update_begin_shared(). Template, part of range_impl.h.
 *
 * The mmu lock is shared, as in faults of tdp roots (faults/tdp.h). Each change is one
 * compare-exchange from what was looked at; whoever loses one looks again. Nothing is taken away
 * meanwhile, so that what a walk came by stays: tables, and leaves but for their rights. A table is
 * filled before it is linked, from the vCPU's stock; what comes is counted in the vCPU's books, and
 * tables whose entries came this way count them later (TABLE_BEHIND).
 *
 * Groups are made where they fill a table; else the members would have to come one by one.
 */
#ifndef VMMU_RANGE_SHARE_IMPL_H
#define VMMU_RANGE_SHARE_IMPL_H

#include "faults/tdp_table_impl.h"

/* Change REF from just OLD_PTE to NEW_PTE. False: it holds something else by now. */
static inline bool share_swap(struct vmmu_update *update, const struct entry_ref *ref,
			      uint64_t old_pte, uint64_t new_pte)
{
	table_falls_behind(ref->table);
	return funnel_swap(&update->vm->tree, &update->vcpu->tdp.books, ref, old_pte, new_pte);
}

/*
 * A table below REF, which was absent: full of leaves if what is left fills it, else empty. The
 * stock is not empty. If REF holds something else by now, nothing happens.
 */
static void share_link(struct range_map_state *s, const struct entry_ref *ref)
{
	struct vmmu_update *update = s->update;
	struct vmmu_vcpu *vcpu = update->vcpu;
	const struct tree *tree = &update->vm->tree;
	bool is_zeroed, is_full = range_map_fills(s, ref->level);
	struct table *table = tdp_table_make(vcpu, ref, 0, &is_zeroed);
	uint64_t leaf = is_full ? range_map_first(s, table->level) : 0;

	table->used = is_full ? (uint32_t)table_entry_count(table->level) : 0;
	table->has_volatile = is_full && fmt_is_volatile(leaf, table->level);
	if (is_full)
		leaf_fill((uint64_t *)tree_entries(tree, table), table->used, leaf, table->level);
	else if (!is_zeroed || fmt_make_absent(table->level))
		map_fill_absent(tree, table);
	if (is_full && leaf_group_lg2(leaf, table->level))
		group_note(table);
	if (!share_swap(update, ref, fmt_make_absent(ref->level),
			fmt_make_table(tree_table_hpa(tree, table), ref->level))) {
		tdp_table_give_back(vcpu, table);
		return;
	}
	tdp_table_is_linked(vcpu, table);
	vcpu->tdp.books.leaves[table->level] += table->used;
	if (is_full)
		range_map_advance(s, range_bytes(ref->level));
}

/* The entry at REF, above level 1, was absent. 0, or -EAGAIN: the stock is empty. */
static int share_map_absent(struct range_map_state *s, const struct entry_ref *ref)
{
	if (range_map_fits(s, ref->level)) {
		if (share_swap(s->update, ref, fmt_make_absent(ref->level),
			       range_leaf(s->attr, s->hpa, ref->level)))
			range_map_advance(s, range_bytes(ref->level));
		return 0;
	}
	if (!s->update->vcpu->tdp.stock_count)
		return -EAGAIN;
	share_link(s, ref);
	return 0;
}

/* Leaves at level 1 from REF on, to the end of its table or of what is left. 0, -EEXIST. */
static int share_map_pages(struct range_map_state *s, struct entry_ref ref)
{
	uint64_t count = min_u64(s->bytes >> fmt_geometry.page_shift,
				 table_entry_count(1) - range_index(s->gpa, 1));

	while (count) {
		uint64_t leaf = range_leaf(s->attr, s->hpa, 1), pte = pte_load(ref.ptep);

		if (pte == fmt_make_absent(1)) {
			if (!share_swap(s->update, &ref, pte, leaf))
				continue;
		} else if (fmt_classify(pte, 1) == VMMU_ENTRY_FROZEN) {
			/* Somebody gives it WRITE; owners neither sleep nor want locks. */
			sched_yield();
			continue;
		} else if (leaf_alone(pte, ref.gfn, 1) != leaf) {
			return -EEXIST;
		}
		range_map_advance(s, RANGE_PAGE);
		count--;
		ref.ptep++;
		ref.gfn++;
	}
	return 0;
}

/* Go on with what is left, or look again at it. 0, -EEXIST, or -EAGAIN: the stock is empty. */
static int share_map_step(struct range_map_state *s)
{
	unsigned stop = fmt_geometry.levels;
	struct entry_ref ref;
	uint64_t pte;

	while (stop > 1 && !range_map_fits(s, stop))
		stop--;
	for (;; stop = ref.level - 1) {
		ref = range_walk(s->update, s->gpa, stop, &pte);
		switch (fmt_classify(pte, ref.level)) {
		case VMMU_ENTRY_LEAF:
			if (ref.level == 1)
				return share_map_pages(s, ref);
			return range_map_is_same(s, &ref, pte) ? 0 : -EEXIST;
		case VMMU_ENTRY_ABSENT:
			return ref.level == 1 ? share_map_pages(s, ref) : share_map_absent(s, &ref);
		case VMMU_ENTRY_TABLE:
			continue;
		case VMMU_ENTRY_FROZEN:
			sched_yield();
			return 0;
		default:
			return -EEXIST;
		}
	}
}

static NEVER_INLINE int share_map_slow(struct vmmu_update *update, uint64_t gpa, uint64_t hpa,
				       uint64_t bytes, const struct vmmu_attr *attr, uint64_t *done)
{
	struct range_map_state s = {update, attr, gpa, hpa, bytes};
	int err = 0;

	if (done)
		*done = 0;
	if (!range_map_is_valid(gpa, hpa, bytes))
		return -EINVAL;
	while (!err && s.bytes) {
		err = share_map_step(&s);
		if (err == -EAGAIN)
			err = range_share_topup(update);
	}
	if (done)
		*done = s.gpa - gpa;
	return err;
}

/* As range_map_leaf(). */
static ALWAYS_INLINE bool share_map_leaf(struct vmmu_update *update, uint64_t gpa, uint64_t hpa,
					 unsigned level, const struct vmmu_attr *attr)
{
	struct entry_ref ref;

	if (unlikely((gpa & (range_bytes(level) - 1)) || update->vm->tree.hooks.event))
		return false;
	if (unlikely(hpa & ~(BIT64(fmt_geometry.pa_bits) - range_bytes(level))))
		return false;
	if (unlikely(!range_find(update, gpa, level, memory_order_acquire, &ref)))
		return false;
	table_falls_behind(ref.table);
	return funnel_put_silent(&update->vcpu->tdp.books, ref.ptep, level,
				 range_leaf(attr, hpa, level));
}

static int share_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
		     const struct vmmu_attr *attr, uint64_t *done)
{
	bool is_done = false;

	if (likely(bytes == RANGE_PAGE))
		is_done = share_map_leaf(update, gpa, hpa, 1, attr);
	else if (fmt_geometry.levels > 1 && bytes == range_bytes(2) &&
		 range_is_leaf_level(update->vm, 2))
		is_done = share_map_leaf(update, gpa, hpa, 2, attr);
	if (unlikely(!is_done))
		return share_map_slow(update, gpa, hpa, bytes, attr, done);
	if (done)
		*done = bytes;
	return 0;
}

/*
 * The leaf PTE at REF gets WRITE if it was mapped with it. False: look again. Members of groups
 * have it already: whoever took it from one made all of them stand alone.
 */
static bool share_allow_leaf(struct vmmu_update *update, const struct entry_ref *ref, uint64_t pte)
{
	if (!fmt_mmu_writable(pte, ref->level) || (fmt_access(pte, ref->level) & VMMU_WRITE))
		return true;
	return funnel_try(&update->vm->tree, ref, pte, fmt_write_allow(pte, ref->level));
}

/* Deal with what is at GPA, in a range up to END. Bytes done with, 0: look again, or -ENOTSUP. */
static int64_t share_allow_step(struct vmmu_update *update, uint64_t gpa, uint64_t end)
{
	uint64_t pte, first, last;
	struct entry_ref ref = range_walk(update, gpa, 1, &pte);

	first = ref.gfn << fmt_geometry.page_shift;
	last = first + range_bytes(ref.level) - 1;
	if (fmt_classify(pte, ref.level) == VMMU_ENTRY_FROZEN) {
		sched_yield();
		return 0;
	}
	if (fmt_classify(pte, ref.level) == VMMU_ENTRY_LEAF) {
		if (first < gpa || last >= end)
			return -ENOTSUP;
		if (!share_allow_leaf(update, &ref, pte))
			return 0;
	}
	return (int64_t)(min_u64(last, end - 1) + 1 - gpa);
}

static NEVER_INLINE int share_allow_slow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
					 uint64_t *done)
{
	uint64_t at = gpa;
	int64_t step = 0;

	if (done)
		*done = 0;
	if (!range_is_valid(gpa, bytes))
		return -EINVAL;
	while (at < gpa + bytes && step >= 0) {
		step = share_allow_step(update, at, gpa + bytes);
		at += step > 0 ? (uint64_t)step : 0;
	}
	if (done)
		*done = at - gpa;
	return step < 0 ? (int)step : 0;
}

/* The page at gpa, if nothing but one compare-exchange is to be done. False: not that simple. */
static ALWAYS_INLINE bool share_allow_page(struct vmmu_update *update, uint64_t gpa)
{
	struct entry_ref ref;
	uint64_t pte, fixed;

	if (unlikely((gpa & (RANGE_PAGE - 1)) || update->vm->tree.hooks.event))
		return false;
	if (unlikely(!range_find(update, gpa, 1, memory_order_acquire, &ref)))
		return false;
	pte = pte_load(ref.ptep);
	if (unlikely(!funnel_can_grant(pte)))
		return false;
	fixed = fmt_write_allow(pte, 1);
	if (unlikely(funnel_grant_owes_flush(pte, fixed)))
		return false;
	return atomic_compare_exchange_strong_explicit(ref.ptep, &pte, fixed, memory_order_acq_rel,
						       memory_order_relaxed);
}

static int share_write_allow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			     uint64_t *done)
{
	if (unlikely(bytes != RANGE_PAGE || !share_allow_page(update, gpa)))
		return share_allow_slow(update, gpa, bytes, done);
	if (done)
		*done = bytes;
	return 0;
}

#endif
