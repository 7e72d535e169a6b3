/* SPDX-License-Identifier: MIT */
/*
 * The locked part of a fault in a tdp root: the mmu lock is shared, and others may change any entry
 * between two looks at it. Each change is one compare-exchange from the value that was looked at;
 * whoever loses one has the guest try again. Template, part of fault_impl.h.
 *
 * Order of steps and of what is told as KVM's TDP MMU has it (catalogue 1.12): what is in the way
 * is frozen, flushed and absent before anything else is put there.
 */
#ifndef VMMU_FAULTS_TDP_MAP_IMPL_H
#define VMMU_FAULTS_TDP_MAP_IMPL_H

#include "faults/split_impl.h"
#include "faults/tdp_table_impl.h"

/* Times that a fault may run out of stock. */
#define TDP_TRIES 8

/*
 * A table for REF's range from the stock, which is not empty; all 0 if *is_zeroed, else its entries
 * are uninitialised. FLAGS: more of enum table_flag.
 */
static inline struct table *tdp_table_take(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
					   unsigned flags, bool *is_zeroed)
{
	const struct tree *tree = &vcpu->vm->tree;
	struct table *table = tdp_table_make(vcpu, ref, TABLE_TDP | flags, is_zeroed);

	vm_event(vcpu->vm, .kind = VMMU_EVENT_TABLE_GET, .vcpu_id = ~0u, .as_id = ref->table->as_id,
		 .level = table->level, .gfn = ref->gfn, .value = 1,
		 .hpa = tree_table_hpa(tree, table));
	return table;
}

/*
 * Put TABLE, just taken and filled, below REF, which holds OLD_PTE. False: not any more, and the
 * table is back in stock.
 */
static inline bool tdp_link_table(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
				  uint64_t old_pte, struct table *table)
{
	const struct tree *tree = &vcpu->vm->tree;
	uint64_t pte = fmt_make_table(tree_table_hpa(tree, table), ref->level);

	if (unlikely(!funnel_swap(tree, &vcpu->tdp.books, ref, old_pte, pte))) {
		tdp_table_give_back(vcpu, table);
		return false;
	}
	tdp_table_is_linked(vcpu, table);
	return true;
}

/*
 * A new table below REF, which holds OLD_PTE: not present, or a leaf, which the table then maps in
 * smaller pages. NULL: not any more.
 */
static NEVER_INLINE struct table *tdp_link(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
					   uint64_t old_pte, unsigned flags)
{
	bool is_split = fmt_classify(old_pte, ref->level) == VMMU_ENTRY_LEAF, is_zeroed;
	struct table *table = tdp_table_take(vcpu, ref, flags, &is_zeroed);
	struct tree_books *books = &vcpu->tdp.books;

	if (is_split)
		split_fill(vcpu->vm, table, old_pte);
	else if (!is_zeroed || fmt_make_absent(table->level))
		map_fill_absent(&vcpu->vm->tree, table);
	if (!tdp_link_table(vcpu, ref, old_pte, table))
		return NULL;
	if (is_split) {
		books->leaves[table->level] += table_entry_count(table->level);
		vm_event(vcpu->vm, .kind = VMMU_EVENT_SPLIT, .vcpu_id = ~0u,
			 .as_id = ref->table->as_id, .level = ref->level, .gfn = ref->gfn,
			 .old_pte = old_pte);
	}
	books->nx_tables += !!(flags & TABLE_NX_POSSIBLE);
	return table;
}

/* May a leaf at LEVEL give way to smaller ones in place? */
static inline bool tdp_can_split(const struct vmmu_vm *vm, unsigned level)
{
	bool is_in_place = vm->resize == VMMU_RESIZE_IN_PLACE ||
			   (vm->policies & VMMU_POLICY_SPLIT_AT_FAULTS);

	return is_in_place && level_is_leaf(level - 1);
}

/*
 * PTE, a leaf to be at REF in SLOT, with what FAULT asks for and no more; what OLD_PTE, a leaf of
 * the same page, grants stays.
 */
static NEVER_INLINE uint64_t tdp_leaf_asked(struct vmmu_vcpu *vcpu, const struct memslot *slot,
					    const struct vmmu_fault *fault, uint64_t old_pte,
					    uint64_t pte, unsigned level)
{
	unsigned policies = vcpu->vm->policies;
	struct vmmu_leaf leaf = leaf_parts(pte, level);

	if ((policies & VMMU_POLICY_EXEC_BY_FETCH) && fault->access != VMMU_EXEC)
		leaf.access &= ~(unsigned)VMMU_EXEC;
	if ((policies & VMMU_POLICY_LOGGED_READ_ONLY) && fault->access != VMMU_WRITE &&
	    (slot->flags & VMMU_SLOT_LOG_DIRTY))
		leaf.access &= ~(unsigned)VMMU_WRITE;
	vcpu->asked = leaf.access;
	if (fmt_classify(old_pte, level) == VMMU_ENTRY_LEAF &&
	    leaf_frame(old_pte, align_down(fault->gfn, level_gfns(level)), level) == leaf.pfn)
		leaf.access |= fmt_access(old_pte, level) &
			       (leaf.mmu_writable ? VMMU_RWX : VMMU_READ | VMMU_EXEC);
	return fmt_make_leaf(leaf, level);
}

/*
 * FAULT wants less than the large leaf that is there, which stays. A write was logged before that
 * came out.
 */
static NEVER_INLINE int tdp_large_stays(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault)
{
	struct memslot *slot = map_slot(vcpu->vm, vcpu->as_id, fault->gfn, &vcpu->slot_cache);

	if (slot && fault->access == VMMU_WRITE)
		vcpu_mark_dirty(vcpu, slot, fault->gfn);
	return -EEXIST;
}

/* Where a walk towards a goal stands. */
struct tdp_place {
	struct entry_ref ref;
	uint64_t pte;    /* what the entry held when the walk passed */
	unsigned goal;   /* level to get to */
	unsigned wanted; /* the same without the NX rule */
};

/* The place AT, where a walk towards gfn came to. */
static inline struct tdp_place tdp_place_of(const struct vmmu_vcpu *vcpu, struct walk_stop at,
					    uint64_t gfn, unsigned goal, unsigned wanted)
{
	return (struct tdp_place){.ref = walk_place(&vcpu->vm->tree, &at, gfn),
				  .pte = at.pte,
				  .goal = goal,
				  .wanted = wanted};
}

/*
 * Go on from where walk_entries() came, making tables, until the goal. Where a table stands because
 * the NX rule split a huge page, the goal sinks below it. FAULT_GO_ON; RETRY;
 * -EAGAIN: not enough frames in stock; -EEXIST: a large leaf stays.
 */
static NEVER_INLINE int tdp_walk_on(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
				    struct tdp_place *place)
{
	const struct tree *tree = &vcpu->vm->tree;
	bool is_nx_split = vcpu->vm->nx_huge && fault->access == VMMU_EXEC;
	struct entry_ref *ref = &place->ref;

	for (;;) {
		enum vmmu_entry_kind kind = fmt_classify(place->pte, ref->level);
		struct table *child = NULL;

		if (kind == VMMU_ENTRY_FROZEN)
			return VMMU_RETRY;
		if (kind == VMMU_ENTRY_TABLE)
			child = entry_child(tree, place->pte, ref->level);
		if (child && ref->level == place->goal && fault_is_held(vcpu->vm, child))
			place->goal--;
		if (ref->level == place->goal)
			return FAULT_GO_ON;
		/* Nothing is changed before there is enough for all of it. */
		if (!child && vcpu->tdp.stock_count < ref->level - place->goal) {
			vcpu->tdp.need = ref->level - place->goal;
			return -EAGAIN;
		}
		if (kind == VMMU_ENTRY_LEAF && (vcpu->vm->policies & VMMU_POLICY_LARGE_STAYS))
			return tdp_large_stays(vcpu, fault);
		if (entry_group_lg2(place->pte, ref->level)) {
			if (!funnel_break_shared(tree, &vcpu->tdp.books, ref))
				return VMMU_RETRY;
			place->pte = leaf_alone(place->pte, ref->gfn, ref->level);
		}
		if (kind == VMMU_ENTRY_LEAF && !tdp_can_split(vcpu->vm, ref->level)) {
			if (!tdp_remove(vcpu, ref, place->pte))
				return VMMU_RETRY;
			place->pte = fmt_make_absent(ref->level);
		}
		if (!child)
			child = tdp_link(vcpu, ref, place->pte,
					 is_nx_split ? fault_nx_flags(place->wanted, ref->level)
						     : 0);
		if (!child)
			return VMMU_RETRY;
		*ref = table_ref(tree, child, fault->gfn);
		place->pte = pte_load(ref->ptep);
	}
}

/*
 * Put LEAF at REF in the place of OLD_PTE, a table whose pages it maps, with nothing in between.
 * RETRY: it holds something else by now.
 */
static NEVER_INLINE int tdp_cover(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
				  uint64_t old_pte, uint64_t leaf)
{
	struct tdp_zap zap = {.vm = vcpu->vm, .books = &vcpu->tdp.books, .tdp = &vcpu->tdp};

	if (!funnel_take(&vcpu->vm->tree, zap.books, ref, old_pte, leaf))
		return VMMU_RETRY;
	tdp_bury_table(&zap, ref, old_pte);
	funnel_flush_now(&vcpu->vm->tree, ref);
	return VMMU_FIXED;
}

/* Put NEW_PTE, a leaf or an MMIO entry, at REF, which holds OLD_PTE, alone. RETRY: not any more. */
static NEVER_INLINE int tdp_replace_alone(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
					  uint64_t old_pte, uint64_t new_pte)
{
	const struct tree *tree = &vcpu->vm->tree;
	bool is_same_page = fmt_classify(old_pte, ref->level) == VMMU_ENTRY_LEAF &&
			    fmt_classify(new_pte, ref->level) == VMMU_ENTRY_LEAF &&
			    fmt_leaf_pfn(old_pte, ref->level) == fmt_leaf_pfn(new_pte, ref->level);

	if (old_pte == new_pte)
		return VMMU_SPURIOUS;
	if (fmt_classify(old_pte, ref->level) == VMMU_ENTRY_TABLE &&
	    !fmt_needs_break(old_pte, new_pte, ref->level))
		return tdp_cover(vcpu, ref, old_pte, new_pte);
	if (!is_same_page && fmt_is_present(old_pte, ref->level)) {
		if (!tdp_remove(vcpu, ref, old_pte))
			return VMMU_RETRY;
		old_pte = fmt_make_absent(ref->level);
	}
	return funnel_swap(tree, &vcpu->tdp.books, ref, old_pte, new_pte) ? VMMU_FIXED : VMMU_RETRY;
}

/* The same where OLD_PTE may be in a group. */
static ALWAYS_INLINE int tdp_replace(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
				     uint64_t old_pte, uint64_t new_pte)
{
	uint64_t alone = old_pte;

	if (entry_group_lg2(old_pte, ref->level)) {
		alone = leaf_alone(old_pte, ref->gfn, ref->level);
		if (alone != new_pte &&
		    !funnel_break_shared(&vcpu->vm->tree, &vcpu->tdp.books, ref))
			return VMMU_RETRY;
	}
	return tdp_replace_alone(vcpu, ref, alone, new_pte);
}

/* No memory there. Leave an entry that says so, unless the slots are just changing. */
static NEVER_INLINE int tdp_map_mmio(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
				     uint64_t generation, unsigned tries)
{
	struct vmmu_mmio mmio = {
		.gfn = fault->gfn, .access = VMMU_RWX, .generation = mmio_stamp(generation)};
	struct tdp_place place;
	int outcome;

	/* A gfn with more bits than an entry has room for is remembered by the vCPU alone. */
	if ((generation & SLOTS_GEN_UPDATING) || fault->gfn >> VMMU_MMIO_GFN_BITS) {
		mmio_cache_fill(vcpu, fault->gfn, generation);
		return VMMU_EMULATE;
	}
	if (!tries)
		fault_tell(vcpu->vm, vcpu, fault, 1, VMMU_PFN_NONE);
	place = tdp_place_of(vcpu, walk_entries(&vcpu->vm->tree, vcpu->entries, fault->gfn, 1),
			     fault->gfn, 1, 1);
	outcome = tdp_walk_on(vcpu, fault, &place);
	if (outcome == FAULT_GO_ON)
		outcome = tdp_replace(vcpu, &place.ref, place.pte, fmt_make_mmio(mmio, 1));
	if (outcome < 0)
		return outcome;
	mmio_cache_fill(vcpu, fault->gfn, generation);
	/* The vCPU knows; others find out by themselves. */
	if (outcome == VMMU_RETRY)
		return VMMU_EMULATE;
	vcpu->stats.mmio_installed++;
	vm_event(vcpu->vm, .kind = VMMU_EVENT_MMIO_SET, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = 1, .access = mmio.access, .gfn = fault->gfn, .generation = generation);
	return VMMU_EMULATE;
}

/* Put LEAF of SLOT at REF, which holds PTE, for FAULT, and tell whoever listens. */
static NEVER_INLINE int tdp_set_leaf_told(struct vmmu_vcpu *vcpu, struct memslot *slot,
					  const struct vmmu_fault *fault,
					  const struct entry_ref *ref, uint64_t pte, uint64_t leaf)
{
	int outcome;

	if ((vcpu->vm->policies & VMMU_POLICY_LEAF_STAYS) &&
	    fmt_classify(pte, ref->level) == VMMU_ENTRY_LEAF &&
	    (fmt_access(pte, ref->level) & fault->access))
		return VMMU_SPURIOUS;
	if (vcpu->vm->policies & VM_POLICIES_ASKED)
		leaf = tdp_leaf_asked(vcpu, slot, fault, pte, leaf, ref->level);
	leaf = map_leaf_over(vcpu->vm, pte, leaf, ref->level);
	outcome = tdp_replace(vcpu, ref, pte, leaf);
	if (outcome == VMMU_FIXED)
		map_leaf_is_set(vcpu->vm, vcpu, slot, ref, pte, leaf);
	return outcome;
}

/* Put LEAF of s->slot at AT: nearly always there is nothing, and nobody listens. */
static ALWAYS_INLINE int tdp_set_leaf(const struct fault_state *s, const struct walk_stop *at,
				      unsigned level, uint64_t leaf)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct tree *tree = &s->vm->tree;
	struct entry_ref ref;

	if (unlikely(at->pte != fmt_make_absent(level) || tree->hooks.event)) {
		ref = walk_place(tree, at, s->gfn);
		return tdp_set_leaf_told(vcpu, s->slot, s->fault, &ref, at->pte, leaf);
	}
	if (unlikely(!funnel_put_silent(&vcpu->tdp.books, at->ptep, level, leaf)))
		return VMMU_RETRY;
	if (fmt_access(leaf, level) & VMMU_WRITE)
		vcpu_mark_dirty(vcpu, s->slot, align_down(s->gfn, level_gfns(level)));
	return VMMU_FIXED;
}

/* Map s->page at level GOAL; without the NX rule it would be WANTED. WHY: see fault_why(). */
static ALWAYS_INLINE int tdp_map_at(struct fault_state *s, unsigned goal, unsigned wanted,
				    enum vmmu_resolve_flag why)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct walk_stop at;
	uint64_t leaf;

	if (!s->tries)
		fault_tell(s->vm, vcpu, s->fault, goal, s->page->pfn);
	at = walk_entries(&s->vm->tree, vcpu->entries, s->gfn, goal);
	if (goal > 1 || unlikely(at.level > 1)) {
		struct tdp_place place = tdp_place_of(vcpu, at, s->gfn, goal, wanted);
		int outcome = tdp_walk_on(vcpu, s->fault, &place);

		if (unlikely(outcome != FAULT_GO_ON))
			return outcome;
		/* A goal of 1 stays the constant that it is. */
		if (goal > 1)
			goal = place.goal;
		at = (struct walk_stop){.ptep = place.ref.ptep, .pte = place.pte, .level = goal};
	}
	fault_report(s, goal);
	leaf = map_make_leaf(s->vm, s->slot, s->gfn, s->page, goal, why);
	if (group_is_made(goal)) {
		struct entry_ref ref = walk_place(&s->vm->tree, &at, s->gfn);

		if (group_try(vcpu, s->slot, &ref, leaf))
			return VMMU_FIXED;
	}
	return tdp_set_leaf(s, &at, goal, leaf);
}

static NEVER_INLINE int tdp_map_large(struct fault_state *s)
{
	unsigned wanted, goal = fault_goal(s, &wanted);

	return tdp_map_at(s, goal, wanted, fault_why(s->fault));
}

static NEVER_INLINE int tdp_map_ahead(struct fault_state *s)
{
	return fault_is_mapped(s) ? VMMU_SPURIOUS : tdp_map_large(s);
}

/* As fault_map_page(). */
static ALWAYS_INLINE int tdp_map_page(struct fault_state *s)
{
	bool is_ahead = fault_is_ahead(s->fault);
	struct fault_state copy;

	if (likely(s->page->level <= 1 && !is_ahead))
		return tdp_map_at(s, 1, 1, 0);
	copy = *s;
	return is_ahead ? tdp_map_ahead(&copy) : tdp_map_large(&copy);
}

/* tdp_enter(), short where nothing is in the way. */
static ALWAYS_INLINE enum sync_section tdp_enter_inline(struct fault_state *s)
{
	if (likely(brlock_enter(&s->vm->shared, &s->vcpu->tdp.shared)))
		return sync_reader_enter();
	tdp_enter(s->vcpu);
	return SYNC_SECTION_USUAL;
}

static ALWAYS_INLINE void tdp_leave_inline(struct vmmu_vcpu *vcpu, enum sync_section section)
{
	if (unlikely(vcpu->tdp.removed_count >= TDP_REMOVED_MAX)) {
		tdp_leave(vcpu);
		return;
	}
	sync_reader_leave(section);
	brlock_leave(&vcpu->tdp.shared);
}

/*
 * As fault_map(). A root that became obsolete is seen here or not used before its vCPU asks for
 * another. -EAGAIN: nothing was changed for want of frames in stock.
 */
static ALWAYS_INLINE int tdp_map(struct fault_state *s)
{
	enum sync_section section = tdp_enter_inline(s);
	int outcome;

	if (unlikely(fault_is_stale(s)))
		outcome = VMMU_RETRY;
	else if (likely(s->slot != NULL))
		outcome = tdp_map_page(s);
	else
		outcome = tdp_map_mmio(s->vcpu, s->fault, s->generation, s->tries);
	tdp_leave_inline(s->vcpu, section);
	return outcome;
}

/*
 * After a try that found too few frames in stock. What makes room may take away just what the fault
 * relied on: it looks again. And whoever else makes room may take the stock away before we are
 * back.
 */
static NEVER_INLINE int tdp_fault_again(struct fault_state *s)
{
	for (s->tries = 1; s->tries < TDP_TRIES; s->tries++) {
		int outcome = tdp_topup(s->vcpu);

		if (outcome)
			return outcome;
		outcome = tdp_map(s);
		if (outcome != -EAGAIN)
			return outcome;
	}
	return VMMU_RETRY;
}

static ALWAYS_INLINE int tdp_fault(struct fault_state *s)
{
	struct fault_state copy;
	int outcome;

	s->tries = 0;
	outcome = tdp_map(s);
	if (likely(outcome != -EAGAIN))
		return outcome;
	copy = *s;
	return tdp_fault_again(&copy);
}

#endif
