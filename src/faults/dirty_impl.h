/* SPDX-License-Identifier: MIT */
/*
 * Dirty logs: what is done to the entries of pages that are taken out of the log. Template. Locked
 * throughout; flushes are owed, vm_unlock() does them.
 */
#ifndef VMMU_FAULTS_DIRTY_IMPL_H
#define VMMU_FAULTS_DIRTY_IMPL_H

#include "faults/zap_impl.h"

/* 64 pages of a slot at most, and which of them. */
struct dirty_word {
	struct memslot *slot;
	uint64_t gfn;  /* of bit 0 */
	uint64_t mask; /* not 0 */
};

/* Bits of WORD from gfn START on, up to END. END is above word->gfn. */
static inline uint64_t dirty_bits(const struct dirty_word *word, uint64_t start, uint64_t end)
{
	uint64_t first = start > word->gfn ? start - word->gfn : 0, last = end - word->gfn - 1;

	return first > 63 ? 0 : word->mask & BITS64(min_u64(last, 63), first);
}

/* The leaf at REF is not dirty any more. */
static NEVER_INLINE bool dirty_forget_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
					   struct memslot *slot)
{
	(void)slot;
	group_break(&vm->tree, ref, 1);
	if (fmt_is_dirty(pte_load(ref->ptep), ref->level))
		funnel_update(&vm->tree, ref, fmt_clear_dirty);
	return false;
}

static NEVER_INLINE bool dirty_note_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
					 struct memslot *slot)
{
	(void)vm;
	if (fmt_is_dirty(pte_load(ref->ptep), ref->level))
		memslot_log_dirty(slot, ref->gfn);
	return false;
}

/*
 * The large leaf at REF was not protected when logging began: its next write is a fault, and no
 * lockless one, which could not split it.
 */
static void dirty_forbid_leaf(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	uint64_t pte = pte_load(ref->ptep);

	group_break(&vm->tree, ref, 1);
	if (fmt_mmu_writable(pte, ref->level) || (fmt_access(pte, ref->level) & VMMU_WRITE))
		funnel_update(&vm->tree, ref, fmt_write_forbid);
}

/*
 * The next write to what the leaf at REF maps is seen: it is a fault, or hardware marks the entry.
 * A large page is protected in any case, and split by that write: which part it was is what the log
 * is about.
 */
static NEVER_INLINE void dirty_arm_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
					struct memslot *slot)
{
	if (ref->level > 1 && vm->slots.is_initially_dirty)
		dirty_forbid_leaf(vm, ref);
	else if (vm->dirty_source == VMMU_DIRTY_BY_FAULTS || ref->level > 1)
		zap_protect_leaf(vm, ref, slot);
	if (vm->dirty_source != VMMU_DIRTY_BY_FAULTS)
		dirty_forget_leaf(vm, ref, slot);
}

/* The leaves at LEVEL of WORD's pages, by the slot's reverse maps. */
static NEVER_INLINE void dirty_arm_level(struct vmmu_vm *vm, const struct dirty_word *word,
					 unsigned level)
{
	struct memslot *slot = word->slot;
	uint64_t step = level_gfns(level), start = align_down(word->gfn, step);
	uint64_t last = word->gfn + (63 - (unsigned)__builtin_clzll(word->mask));
	uint64_t i = memslot_index(slot, vm->geometry, start, level);
	struct rmap_iter iter;
	rmap_ptep ptep;

	for (; start <= last; start += step, i++) {
		if (!dirty_bits(word, start, start + step))
			continue;
		rmap_for_each(ptep, &iter, &slot->rmap[level][i])
		{
			struct entry_ref ref = entry_ref_of(&vm->tree, ptep);

			dirty_arm_leaf(vm, &ref, slot);
		}
	}
}

/* WORD's pages, all of which stand in TABLE, at level 1: run by run. False: not possible. */
static NEVER_INLINE bool dirty_arm_runs(struct vmmu_vm *vm, const struct dirty_word *word,
					const struct table *table)
{
	uint64_t base = word->gfn - table->gfn; /* may wrap: a word that begins before TABLE */
	struct protect_changed changed = PROTECT_NONE;

	for (uint64_t left = word->mask; left;) {
		unsigned first = (unsigned)__builtin_ctzll(left);
		uint64_t ended = ~(left >> first);
		unsigned count = ended ? (unsigned)__builtin_ctzll(ended) : 64;

		if (!zap_protect_run(vm, table, base + first, base + first + count, &changed))
			return false;
		left &= ~BITS64(first + count - 1, first);
	}
	zap_owe_changed(vm, table, &changed);
	return true;
}

/*
 * The leaves of WORD's pages below TABLE, which all of them go through; depth is bounded by the
 * format's levels.
 */
static NEVER_INLINE void dirty_arm_table(struct vmmu_vm *vm, const struct dirty_word *word,
					 struct table *table)
{
	uint64_t left = word->mask;

	if (table->level == 1 && vm->dirty_source == VMMU_DIRTY_BY_FAULTS &&
	    dirty_arm_runs(vm, word, table))
		return;
	while (left) {
		struct entry_ref ref = table_ref(&vm->tree, table,
						 word->gfn + (unsigned)__builtin_ctzll(left));
		uint64_t pte = pte_load(ref.ptep),
			 bits = dirty_bits(word, ref.gfn, entry_end(&ref));
		enum vmmu_entry_kind kind = fmt_classify(pte, ref.level);
		struct dirty_word below = {word->slot, word->gfn, bits};

		if (kind == VMMU_ENTRY_LEAF)
			dirty_arm_leaf(vm, &ref, word->slot);
		else if (kind == VMMU_ENTRY_TABLE)
			dirty_arm_table(vm, &below, entry_child(&vm->tree, pte, ref.level));
		left &= ~bits;
	}
}

static void dirty_arm_word(struct vmmu_vm *vm, const struct dirty_word *word)
{
	/* What is beyond the reach of tables would fall on other gfns. */
	if (word->gfn < gfn_limit()) {
		const struct dirty_word below = {word->slot, word->gfn,
						 dirty_bits(word, word->gfn, gfn_limit())};

		tdp_for_each_root(vm, word->slot->as_id, root) dirty_arm_table(vm, &below, root);
	}
	if (!slots_have_rmaps(&vm->slots))
		return;
	for (unsigned level = 1; level <= vm->max_level; level++)
		if (level_is_leaf(level))
			dirty_arm_level(vm, word, level);
}

static NEVER_INLINE void engine_dirty_arm(struct vmmu_vm *vm, struct memslot *slot, uint64_t gfn,
					  uint64_t mask)
{
	const struct dirty_word word = {slot, gfn, mask};
	unsigned first = (unsigned)__builtin_ctzll(mask);

	zap_tell_range(vm, VMMU_EVENT_RANGE_PROTECT, slot, gfn + first,
		       gfn + 64 - (unsigned)__builtin_clzll(mask));
	vm->is_taking_dirt = true;
	dirty_arm_word(vm, &word);
	vm->is_taking_dirt = false;
}

static NEVER_INLINE void engine_dirty_scan(struct vmmu_vm *vm, const struct slot_range *range,
					   enum dirty_what what)
{
	unsigned top = what == DIRTY_NOTE ? 1 : vm->max_level;
	bool (*fn)(struct vmmu_vm * vm, const struct entry_ref *ref,
		   struct memslot *slot) = what == DIRTY_NOTE ? dirty_note_leaf : dirty_forget_leaf;

	vm->is_taking_dirt = true;
	tdp_for_leaves(vm, range, 1, top, fn);
	zap_for_levels(vm, range, 1, top, fn);
	vm->is_taking_dirt = false;
}

#endif
