/* SPDX-License-Identifier: MIT */
/*
 * The funnel: with protect_impl.h the only code that writes an entry of a live table. Template:
 * include after a format header.
 *
 * Each write checks that the change is legal, keeps the tree's counts, owes the flush that the
 * format asks for, breaks before making where the format asks for that, and tells the event sink.
 *
 * Exclusive form (funnel_set, funnel_update): the caller holds the mmu lock exclusively. Nobody
 * else writes but hardware (A, D) and the lockless fix (WRITE, D), and those only into volatile
 * entries: a plain release store elsewhere, one atomic exchange or compare-exchange there.
 *
 * Shared form (funnel_try): anyone under RCU. One compare-exchange; a break-before-make change goes
 * through the frozen value: whoever freezes an entry owns it, nobody else touches it until the new
 * value is stored. It changes permissions, which moves no count. Those of the shared form that map
 * and unmap (funnel_swap, _put_silent, _freeze, _bury) keep books of the caller's own, folded into
 * the tree's later: they are for tdp roots, under the mmu lock shared.
 */
#ifndef VMMU_WALKER_FUNNEL_IMPL_H
#define VMMU_WALKER_FUNNEL_IMPL_H

#include <sched.h>

#include "base/wide.h"
#include "spte/spte_impl.h"
#include "walker/tree.h"

/* gfns that an entry at LEVEL covers. */
static inline uint64_t level_gfns(unsigned level)
{
	return UINT64_C(1) << (fmt_geometry.shift[level] - fmt_geometry.page_shift);
}

/* lg2 entries of a group at LEVEL; 0: the format makes none there. */
static inline unsigned level_group_lg2(unsigned level)
{
#ifdef FMT_GROUPS
	return fmt_geometry.group_lg2[level];
#else
	return (void)level, 0;
#endif
}

/* lg2 entries of the group that the leaf PTE belongs to; 0: it stands alone. */
static inline unsigned leaf_group_lg2(uint64_t pte, unsigned level)
{
#ifdef FMT_GROUPS
	return fmt_group_lg2(pte, level);
#else
	return (void)pte, (void)level, 0;
#endif
}

/* The member of a group in place of LEAF, whose level has groups. */
static inline uint64_t leaf_grouped(uint64_t leaf, unsigned level)
{
#ifdef FMT_GROUPS
	return fmt_group_make(leaf, level);
#else
	return (void)level, leaf;
#endif
}

/* What the leaf PTE, which stands at gfn, would be alone. */
static inline uint64_t leaf_alone(uint64_t pte, uint64_t gfn, unsigned level)
{
#ifdef FMT_GROUPS
	unsigned lg2 = fmt_group_lg2(pte, level);

	if (lg2)
		return fmt_group_undo(pte, gfn / level_gfns(level) & (BIT64(lg2) - 1), level);
#else
	(void)gfn, (void)level;
#endif
	return pte;
}

/* The frame that the leaf PTE gives gfn. */
static inline uint64_t leaf_frame(uint64_t pte, uint64_t gfn, unsigned level)
{
	uint64_t gfns = level_gfns(level) << leaf_group_lg2(pte, level);

	return fmt_leaf_pfn(pte, level) + (gfn & (gfns - 1));
}

/* One-past-the-last gfn that REF covers. */
static inline uint64_t entry_end(const struct entry_ref *ref)
{
	return ref->gfn + level_gfns(ref->level);
}

static NEVER_INLINE void funnel_event_now(const struct tree *tree, struct entry_ref ref,
					  uint64_t old_pte, uint64_t new_pte)
{
	struct vmmu_event event = {.kind = VMMU_EVENT_ENTRY_CHANGED,
				   .vcpu_id = ~0u,
				   .as_id = ref.table->as_id,
				   .level = ref.level,
				   .gfn = ref.gfn,
				   .old_pte = old_pte,
				   .new_pte = new_pte};

	if (old_pte != new_pte)
		tree->hooks.event(tree->hooks.ctx, &event);
}

/* Tell whoever listens. */
static ALWAYS_INLINE void funnel_event(const struct tree *tree, const struct entry_ref *ref,
				       uint64_t old_pte, uint64_t new_pte)
{
	if (unlikely(tree->hooks.event != NULL))
		funnel_event_now(tree, *ref, old_pte, new_pte);
}

/* Counts move by what came and what went. */
static inline void funnel_count(struct tree *tree, const struct entry_ref *ref, unsigned effects)
{
	tree->leaves[ref->level] += !!(effects & SPTE_LEAF_CAME);
	tree->leaves[ref->level] -= !!(effects & SPTE_LEAF_GONE);
	tree->links += !!(effects & SPTE_TABLE_CAME);
	tree->links -= !!(effects & SPTE_TABLE_GONE);
	tree->mmio_entries += !!(effects & SPTE_MMIO_CAME);
	tree->mmio_entries -= !!(effects & SPTE_MMIO_GONE);
	ref->table->used += !!(effects & SPTE_ABSENT_GONE);
	ref->table->used -= !!(effects & SPTE_ABSENT_CAME);
}

/*
 * What follows a write, whichever form made it: books and event. Returns false on an illegal
 * change.
 */
static inline bool funnel_account(struct tree *tree, const struct entry_ref *ref, uint64_t old_pte,
				  uint64_t new_pte)
{
	unsigned effects = spte_effects(old_pte, new_pte, ref->level);

	funnel_count(tree, ref, effects);
	if (fmt_is_volatile(new_pte, ref->level))
		ref->table->has_volatile = true;
	funnel_event(tree, ref, old_pte, new_pte);
	if (unlikely(effects & SPTE_ILLEGAL))
		tree->hooks.bug(tree->hooks.ctx, "illegal change of a page table entry");
	return !(effects & SPTE_ILLEGAL);
}

/* The flush that a change needs, if any; a change that was broken first has had it. */
static inline void funnel_owe(struct tree *tree, const struct entry_ref *ref, uint64_t old_pte,
			      uint64_t new_pte)
{
	if (fmt_flush_needed(old_pte, new_pte, ref->level) == VMMU_FLUSH_REMOTE)
		tree_owe_flush(tree, ref->table->as_id, ref->gfn, entry_end(ref));
}

/* Flush REF's range now, others' pending ranges stay owed. */
static inline void funnel_flush_now(const struct tree *tree, const struct entry_ref *ref)
{
	struct vmmu_flush flush = {
		.gfn_start = ref->gfn, .gfn_end = entry_end(ref), .as_id = ref->table->as_id};

	tree->hooks.flush(tree->hooks.ctx, &flush);
}

/*
 * Break before make: take the entry out with a value that hardware does not use, flush, and leave
 * the new value to the caller. Returns what was there at the moment of the break.
 */
static inline uint64_t funnel_break(const struct tree *tree, const struct entry_ref *ref)
{
	uint64_t old_pte = atomic_exchange_explicit(ref->ptep, fmt_make_frozen(ref->level),
						    memory_order_acq_rel);

	funnel_flush_now(tree, ref); /* before any TLB can meet the new value */
	return old_pte;
}

/*
 * Exclusive: replace whatever REF holds by NEW_PTE, which must not depend on bits that hardware may
 * set meanwhile. Returns what was replaced, those bits included.
 */
static inline uint64_t funnel_set(struct tree *tree, const struct entry_ref *ref, uint64_t new_pte)
{
	uint64_t old_pte = pte_load(ref->ptep);

	if (unlikely(fmt_needs_break(old_pte, new_pte, ref->level))) {
		old_pte = funnel_break(tree, ref);
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
		funnel_account(tree, ref, old_pte, new_pte);
		return old_pte;
	}
	if (fmt_is_volatile(old_pte, ref->level)) {
		old_pte = atomic_exchange_explicit(ref->ptep, new_pte, memory_order_acq_rel);
	} else {
		/* Pairs with pte_load(): a table is filled before it can be reached. */
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
	}
	funnel_owe(tree, ref, old_pte, new_pte);
	funnel_account(tree, ref, old_pte, new_pte);
	return old_pte;
}

/*
 * Exclusive: apply CHANGE, a pure function of the entry, keeping what hardware or the lockless fix
 * set meanwhile. Returns the value before.
 */
static inline uint64_t funnel_update(struct tree *tree, const struct entry_ref *ref,
				     uint64_t (*change)(uint64_t pte, unsigned level))
{
	uint64_t old_pte = pte_load(ref->ptep);
	uint64_t new_pte = change(old_pte, ref->level);

	if (new_pte == old_pte)
		return old_pte;
	if (unlikely(fmt_needs_break(old_pte, new_pte, ref->level))) {
		old_pte = funnel_break(tree, ref);
		new_pte = change(old_pte, ref->level);
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
		funnel_account(tree, ref, old_pte, new_pte);
		return old_pte;
	}
	if (fmt_is_volatile(old_pte, ref->level)) {
		while (!atomic_compare_exchange_weak_explicit(
			ref->ptep, &old_pte, new_pte, memory_order_acq_rel, memory_order_acquire))
			new_pte = change(old_pte, ref->level);
	} else {
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
	}
	funnel_owe(tree, ref, old_pte, new_pte);
	funnel_account(tree, ref, old_pte, new_pte);
	return old_pte;
}

/* Exclusive: replace just OLD_PTE by NEW_PTE. False: another value is there, nothing was done. */
static inline bool funnel_set_exactly(struct tree *tree, const struct entry_ref *ref,
				      uint64_t old_pte, uint64_t new_pte)
{
	bool is_broken = fmt_needs_break(old_pte, new_pte, ref->level);
	uint64_t first = is_broken ? fmt_make_frozen(ref->level) : new_pte, expected = old_pte;

	if (!atomic_compare_exchange_strong_explicit(ref->ptep, &expected, first,
						     memory_order_acq_rel, memory_order_acquire))
		return false;
	if (is_broken) {
		funnel_flush_now(tree, ref); /* between the old value and the new one */
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
	} else {
		funnel_owe(tree, ref, old_pte, new_pte);
	}
	funnel_account(tree, ref, old_pte, new_pte);
	return true;
}

/*
 * Exclusive: LEAF takes the place of the table at REF, which maps no other pages: the one legal
 * change between the two, where the format wants no break. Owes the flush. Returns the old entry.
 */
static inline uint64_t funnel_collapse(struct tree *tree, const struct entry_ref *ref,
				       uint64_t leaf)
{
	uint64_t old_pte = pte_load(ref->ptep);

	atomic_store_explicit(ref->ptep, leaf, memory_order_release);
	funnel_owe(tree, ref, old_pte, leaf);
	funnel_count(tree, ref, spte_effects(old_pte, leaf, ref->level));
	ref->table->has_volatile |= fmt_is_volatile(leaf, ref->level);
	funnel_event(tree, ref, old_pte, leaf);
	return old_pte;
}

/* Does the change give WRITE back to a leaf? What that asks for is known ahead. */
static inline bool funnel_is_grant(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return old_pte != new_pte && new_pte == fmt_write_allow(old_pte, level);
}

/* Must TLBs have forgotten the entry before it has its new value? Never for permissions. */
static inline bool funnel_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
#ifdef FMT_FLUSH_GRANT
	if (funnel_is_grant(old_pte, new_pte, level))
		return false;
#endif
	return fmt_needs_break(old_pte, new_pte, level);
}

/* Does the change ask for a remote flush? */
static inline bool funnel_owes_flush(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
#ifdef FMT_FLUSH_GRANT
	if (funnel_is_grant(old_pte, new_pte, level))
		return VMMU_FLUSH_REMOTE == FMT_FLUSH_GRANT;
#endif
	return fmt_flush_needed(old_pte, new_pte, level) == VMMU_FLUSH_REMOTE;
}

/*
 * Shared: change REF from exactly OLD_PTE to NEW_PTE, a change of permissions only. False: it holds
 * something else by now, nothing was done. A frozen OLD_PTE is somebody else's and is never
 * replaced. The flush that the change needs, if any, is done on return.
 */
static ALWAYS_INLINE bool funnel_try(const struct tree *tree, const struct entry_ref *ref,
				     uint64_t old_pte, uint64_t new_pte)
{
	bool is_break = funnel_needs_break(old_pte, new_pte, ref->level);
	uint64_t first = is_break ? fmt_make_frozen(ref->level) : new_pte;
	uint64_t expected = old_pte;

	if (fmt_classify(old_pte, ref->level) == VMMU_ENTRY_FROZEN)
		return false;
	if (!atomic_compare_exchange_strong_explicit(ref->ptep, &expected, first,
						     memory_order_acq_rel, memory_order_acquire))
		return false;
	if (is_break) {
		funnel_flush_now(tree, ref); /* frozen: nobody else makes it anew meanwhile */
		atomic_store_explicit(ref->ptep, new_pte, memory_order_release);
	}
	funnel_event(tree, ref, old_pte, new_pte);
	if (!is_break && funnel_owes_flush(old_pte, new_pte, ref->level))
		funnel_flush_now(tree, ref); /* no lock whose end would do it */
	return true;
}

/* funnel_count() for a writer beside others, whose books these are. */
static inline void funnel_book(struct tree_books *books, unsigned level, unsigned effects)
{
	books->leaves[level] += !!(effects & SPTE_LEAF_CAME);
	books->leaves[level] -= !!(effects & SPTE_LEAF_GONE);
	books->links += !!(effects & SPTE_TABLE_CAME);
	books->links -= !!(effects & SPTE_TABLE_GONE);
	books->mmio_entries += !!(effects & SPTE_MMIO_CAME);
	books->mmio_entries -= !!(effects & SPTE_MMIO_GONE);
}

/*
 * Shared, with books: change REF from exactly OLD_PTE, which is not frozen, to NEW_PTE. False: it
 * holds something else by now, nothing was done. The flush that the change needs, if any, is done
 * on return.
 */
static inline bool funnel_swap(const struct tree *tree, struct tree_books *books,
			       const struct entry_ref *ref, uint64_t old_pte, uint64_t new_pte)
{
	unsigned effects = spte_effects(old_pte, new_pte, ref->level);

	if (!funnel_try(tree, ref, old_pte, new_pte))
		return false;
	funnel_book(books, ref->level, effects);
	if (unlikely((effects & SPTE_ILLEGAL) != 0))
		tree->hooks.bug(tree->hooks.ctx, "illegal change of a page table entry");
	return true;
}

/*
 * funnel_swap() at PTEP, an entry at LEVEL, where nothing was, LEAF is sane, no flush is due but a
 * local one and nobody listens. The caller counts it.
 */
static inline bool funnel_put_uncounted(_Atomic uint64_t *ptep, unsigned level, uint64_t leaf)
{
	uint64_t found = fmt_make_absent(level);

	return atomic_compare_exchange_strong_explicit(ptep, &found, leaf, memory_order_acq_rel,
						       memory_order_acquire);
}

/* The same, counted: a fault's way, one compare-exchange and one count. */
static inline bool funnel_put_silent(struct tree_books *books, _Atomic uint64_t *ptep,
				     unsigned level, uint64_t leaf)
{
	if (unlikely(!funnel_put_uncounted(ptep, level, leaf)))
		return false;
	books->leaves[level]++;
	return true;
}

/*
 * Shared: change REF from exactly OLD_PTE, which is not frozen, to NEW_PTE. False: it holds
 * something else by now. The flush is the caller's.
 */
static inline bool funnel_take(const struct tree *tree, struct tree_books *books,
			       const struct entry_ref *ref, uint64_t old_pte, uint64_t new_pte)
{
	uint64_t found = old_pte;

	if (!atomic_compare_exchange_strong_explicit(ref->ptep, &found, new_pte,
						     memory_order_acq_rel, memory_order_acquire))
		return false;
	funnel_book(books, ref->level, spte_effects(old_pte, new_pte, ref->level));
	funnel_event(tree, ref, old_pte, new_pte);
	return true;
}

/*
 * funnel_take() of all that is at REF: whoever takes it owns the entry until funnel_thaw(), and
 * flushes before.
 */
static inline bool funnel_freeze(const struct tree *tree, struct tree_books *books,
				 const struct entry_ref *ref, uint64_t old_pte)
{
	return funnel_take(tree, books, ref, old_pte, fmt_make_frozen(ref->level));
}

/* The owner of a frozen entry: nothing is there any more. */
static inline void funnel_thaw(const struct entry_ref *ref)
{
	atomic_store_explicit(ref->ptep, fmt_make_absent(ref->level), memory_order_release);
}

/*
 * REF stands in a table that nothing points to any more: freeze it for good, so that whoever still
 * walks there comes again from the root. Returns what was there. Who owns the entry just now is
 * waited for: owners neither sleep nor want locks.
 */
static inline uint64_t funnel_bury(const struct tree *tree, struct tree_books *books,
				   const struct entry_ref *ref)
{
	uint64_t frozen = fmt_make_frozen(ref->level), old_pte;

	while ((old_pte = atomic_exchange_explicit(ref->ptep, frozen, memory_order_acq_rel)) ==
	       frozen)
		sched_yield();
	funnel_book(books, ref->level, spte_effects(old_pte, frozen, ref->level));
	funnel_event(tree, ref, old_pte, frozen);
	return old_pte;
}

/*
 * Shared: clear the accessed bit of the leaf at REF, if one is there. True: the bit was set. No
 * flush, and no count moves.
 *
 * Beside a writer with the lock, one compare-exchange against its store:
 *
 * 	here                                   funnel_set(), funnel_update()
 * 	pte = load: accessed                   old = load: accessed, not volatile
 * 	compare-exchange: not accessed
 * 	store of what follows from old: accessed again, or gone
 *
 * The clear is lost: the page was just worked on and counts as used. Nothing else can be, as the
 * accessed bit is all that changes here, and a bit that others set meanwhile fails the exchange.
 */
static inline bool funnel_age_one(const struct tree *tree, const struct entry_ref *ref)
{
	uint64_t pte = pte_load(ref->ptep), aged;

	/* Before the entry can be volatile, its table says that one may be. */
	if (!(atomic_load_explicit(&ref->table->flags, memory_order_relaxed) & TABLE_AGED))
		atomic_fetch_or_explicit(&ref->table->flags, TABLE_AGED, memory_order_relaxed);
	do {
		if (fmt_classify(pte, ref->level) != VMMU_ENTRY_LEAF ||
		    !fmt_is_accessed(pte, ref->level))
			return false;
		aged = fmt_clear_accessed(pte, ref->level);
	} while (!atomic_compare_exchange_weak_explicit(ref->ptep, &pte, aged, memory_order_acq_rel,
							memory_order_acquire));
	funnel_event(tree, ref, pte, aged);
	return true;
}

/*
 * Exclusive: LEAF over an absent entry, for loops that know what they do: no flush can be due but a
 * local one, nothing can be illegal, LEAF is not volatile, and nobody listens to events.
 */
static inline void funnel_fill_silent(struct tree *tree, const struct entry_ref *ref, uint64_t leaf)
{
	/* Pairs with pte_load(). */
	atomic_store_explicit(ref->ptep, leaf, memory_order_release);
	tree->leaves[ref->level]++;
	ref->table->used++;
}

/* Exclusive: the same, and whoever listens is told. */
static inline void funnel_fill(struct tree *tree, const struct entry_ref *ref, uint64_t leaf)
{
	funnel_fill_silent(tree, ref, leaf);
	if (unlikely(tree->hooks.event != NULL))
		funnel_event(tree, ref, fmt_make_absent(ref->level), leaf);
}

/*
 * Exclusive: is PTE a leaf at level 1 that can be given WRITE by a plain store, if nobody listens?
 * Not while hardware has a bit left to set (accessed; dirty cannot be without WRITE). The lockless
 * fix, the only other writer, would store the same value. False says nothing.
 */
static inline bool funnel_can_grant(uint64_t pte)
{
#ifndef FMT_FLUSH_GRANT
	if (fmt_needs_break(pte, fmt_write_allow(pte, 1), 1))
		return false;
#endif
	return spte_is_surely_grantable(pte);
}

/* OLD_PTE became NEW_PTE, with WRITE: is a flush of what it maps owed? */
static inline bool funnel_grant_owes_flush(uint64_t old_pte, uint64_t new_pte)
{
#ifdef FMT_FLUSH_GRANT
	return (void)old_pte, (void)new_pte, FMT_FLUSH_GRANT == VMMU_FLUSH_REMOTE;
#else
	return fmt_flush_needed(old_pte, new_pte, 1) == VMMU_FLUSH_REMOTE;
#endif
}

/* Exclusive: do so; PTEP holds OLD_PTE. True: a flush of what it maps is owed, by the caller. */
static inline bool funnel_grant(_Atomic uint64_t *ptep, uint64_t old_pte)
{
	uint64_t new_pte = fmt_write_allow(old_pte, 1);

	atomic_store_explicit(ptep, new_pte, memory_order_release);
	return funnel_grant_owes_flush(old_pte, new_pte);
}

/*
 * Exclusive: can the leaf PTE at LEVEL be taken out by a plain store? Not while hardware or the
 * lockless fix has a bit to set, or somebody listens.
 */
static inline bool funnel_can_clear(const struct tree *tree, uint64_t pte, unsigned level)
{
	if (tree->hooks.event)
		return false;
	return (level == 1 && spte_is_surely_quiet(pte)) || !fmt_is_volatile(pte, level);
}

/* Exclusive: do so. Owes the flush. */
static inline void funnel_clear(struct tree *tree, const struct entry_ref *ref)
{
	atomic_store_explicit(ref->ptep, fmt_make_absent(ref->level), memory_order_release);
	tree->leaves[ref->level]--;
	ref->table->used--;
	/* a leaf that goes always owes it */
	tree_owe_flush(tree, ref->table->as_id, ref->gfn, ref->gfn + level_gfns(ref->level));
}

/*
 * Exclusive: what detaching TABLE, a level-1 table with nothing but leaves in it, does to the
 * counts. Its entries stay as they are: whoever still walks through it finds what was there.
 */
static inline void funnel_forget(struct tree *tree, const struct table *table)
{
	tree->leaves[1] -= table->used;
}

/* Exclusive: the counts of TABLE, filled with USED leaves while nobody saw it. */
static inline void funnel_adopt(struct tree *tree, struct table *table, uint64_t used)
{
	table->used = (uint32_t)used;
	tree->leaves[table->level] += used;
}

#include "walker/group_impl.h"

#endif
