/* SPDX-License-Identifier: MIT */
/*
 * The fault, in the order of checks that KVM's direct MMU has (catalogue 1.16, 1.19). Template.
 *
 * 	MMIO: the vCPU's cache, then the entry            lockless
 * 	fast fix: give WRITE back                         lockless
 * 	caches filled, seq read, slot found, page found   no lock
 * 	stale? goal level, walk, map, prefetch            locked
 */
#ifndef VMMU_FAULTS_FAULT_IMPL_H
#define VMMU_FAULTS_FAULT_IMPL_H

#include <errno.h>

#include "faults/adjust.h"
#include "faults/lockless_impl.h"
#include "faults/map_impl.h"
#include "faults/prefetch_impl.h"
#include "faults/tdp_zap_impl.h"
#include "faults/vm_lock.h"

/*
 * What is known of a fault between its steps. It lives in registers: no function that is not
 * inlined may be given its address, but that of a copy.
 */
struct fault_state {
	struct vmmu_vcpu *vcpu;
	struct vmmu_fault *fault;
	struct memslot *slot; /* NULL: none. Valid while the generation below is the current one */
	uint64_t generation;  /* of the slots when the slot was found */
	uint64_t seq;         /* of invalidations, before the page was looked up */
	struct vmmu_page page;
	unsigned tries; /* tdp: before this one, for want of frames */
};

static NEVER_INLINE int fault_exit(struct vmmu_fault *fault, enum vmmu_exit_reason reason)
{
	uint64_t bytes = BIT64(fmt_geometry.page_shift);

	fault->exit = reason;
	fault->memory =
		(struct vmmu_memory_fault){.gpa = align_down(fault->gpa, bytes),
					   .bytes = bytes,
					   .access = fault->access,
					   .is_private = fault_has(fault, VMMU_FAULT_PRIVATE)};
	return VMMU_EXIT_TO_HOST;
}

/* Find the slot as it is now, and have the vCPU remember it. *slot may be NULL. */
static NEVER_INLINE uint64_t fault_search_slot(struct vmmu_vcpu *vcpu, uint64_t gfn,
					       struct memslot **slot)
{
	const struct slot_set *set;
	uint64_t generation;

	sync_reader_enter();
	set = slots_active(&vcpu->vm->slots, vcpu->as_id);
	generation = slot_set_generation(set);
	*slot = slot_set_find(set, gfn, &vcpu->slot_cache);
	sync_reader_leave();
	return generation;
}

/* No slot: MMIO, but for who wants no such thing. */
static NEVER_INLINE int fault_without_slot(const struct vmmu_vm *vm, struct vmmu_fault *fault)
{
	if (fault_is_ahead(fault))
		return VMMU_EMULATE;
	if (fault_has(fault, VMMU_FAULT_PRIVATE))
		return fault_exit(fault, VMMU_EXIT_MEMORY_FAULT);
	return vm->policies & VMMU_POLICY_NO_MMIO_ENTRIES ? VMMU_EMULATE : FAULT_GO_ON;
}

/*
 * Find the slot. Go on, or RETRY (-EAGAIN) while it is going away. What it is, if there is one, is
 * in vcpu->slot_cache.copy: until the lock is taken *s->slot itself may go.
 */
static ALWAYS_INLINE int fault_find_slot(struct fault_state *s)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	const struct slot_cache *cache = &vcpu->slot_cache;
	struct memslot *slot;

	/*
	 * Pairs with invalidate_finish(): a page looked up after this is as new as the sequence
	 * number says.
	 */
	s->seq = atomic_load_explicit(&vcpu->vm->invalidate.seq, memory_order_acquire);
	if (unlikely(fault_is_misplaced(vcpu->vm, s->fault)))
		return fault_exit(s->fault, VMMU_EXIT_MEMORY_FAULT);
	if (likely(slot_cache_find(cache, slots_active(&vcpu->vm->slots, vcpu->as_id),
				   s->fault->gfn))) {
		s->generation = cache->generation;
		s->slot = cache->slot;
	} else {
		s->generation = fault_search_slot(vcpu, s->fault->gfn, &slot);
		s->slot = slot;
	}
	if (unlikely(!s->slot))
		return fault_without_slot(vcpu->vm, s->fault);
	if (unlikely(cache->copy.invalid))
		return fault_is_ahead(s->fault) ? -EAGAIN : VMMU_RETRY;
	return FAULT_GO_ON;
}

/* What a page lookup that gave no page means. */
static NEVER_INLINE int fault_without_page(struct vmmu_fault *fault,
					   enum vmmu_resolve_status status)
{
	switch (status) {
	case VMMU_RESOLVE_READ_ONLY:
		return VMMU_EMULATE;
	case VMMU_RESOLVE_POISONED:
		return fault_exit(fault, VMMU_EXIT_POISONED);
	case VMMU_RESOLVE_WOULD_BLOCK:
		return fault_exit(fault, VMMU_EXIT_WOULD_BLOCK);
	case VMMU_RESOLVE_INTERRUPTED:
		return fault_is_ahead(fault) ? -EINTR : VMMU_RETRY;
	default:
		return fault_exit(fault, VMMU_EXIT_NO_PAGE);
	}
}

/* I/O memory is never cached, whatever PAGE says of it. */
static ALWAYS_INLINE void fault_fix_memtype(struct vmmu_page *page, enum vmmu_resolve_status status)
{
	if (status == VMMU_RESOLVE_IO && page->memtype == VMMU_MEM_WRITEBACK)
		page->memtype = VMMU_MEM_DEVICE;
}

/* Ask the host for the page. Go on with s->page, or an outcome. */
static ALWAYS_INLINE int fault_find_page(struct fault_state *s)
{
	const struct memslot *slot = &s->vcpu->slot_cache.copy;
	struct vmmu_vm *vm = s->vcpu->vm;
	struct vmmu_fault *fault = s->fault;
	struct vmmu_page_request request = {
		.gfn = fault->gfn,
		.hva = memslot_hva(slot, fault->gfn, fmt_geometry.page_shift),
		.access = fault->access,
		.flags = (fault_has(fault, VMMU_FAULT_NO_WAIT) ? VMMU_RESOLVE_NO_WAIT : 0) |
			 (fault_has(fault, VMMU_FAULT_PRIVATE) ? VMMU_RESOLVE_PRIVATE : 0),
		.slot_id = slot->id,
		.as_id = s->vcpu->as_id,
	};
	enum vmmu_resolve_status status;
	struct vmmu_page page = {0};

	fault->hva = request.hva;
	if (fault->access == VMMU_WRITE && unlikely(slot->flags & VMMU_SLOT_READ_ONLY))
		return VMMU_EMULATE;
	if (unlikely(vm_must_retry(vm, fault->gfn, s->seq)))
		return VMMU_RETRY;
	status = vm->env.resolve(vm->env_ctx, &request, &page);
	s->page = page;
	if (unlikely(status != VMMU_RESOLVE_OK && status != VMMU_RESOLVE_IO))
		return fault_without_page(fault, status);
	fault_fix_memtype(&s->page, status);
	if (fault->access == VMMU_WRITE && unlikely(!s->page.writable))
		return VMMU_EMULATE;
	if (unlikely(!map_has_sane_page(&s->page)))
		return fault_exit(fault, VMMU_EXIT_NO_PAGE);
	/* Cheaper than finding out under the lock. */
	return unlikely(vm_must_retry(vm, fault->gfn, s->seq)) ? VMMU_RETRY : FAULT_GO_ON;
}

/* Locked: did anything change that the steps before relied on? */
static ALWAYS_INLINE bool fault_is_stale(const struct fault_state *s)
{
	const struct vmmu_vcpu *vcpu = s->vcpu;
	const struct slot_set *set = slots_active(&vcpu->vm->slots, vcpu->as_id);

	if (!vcpu_has_current_root(vcpu) || slot_set_generation(set) != s->generation)
		return true;
	return s->slot && vm_must_retry(vcpu->vm, s->fault->gfn, s->seq);
}

/*
 * Flags of a table that a fetch puts below an entry at LEVEL: under the NX rule alone, if the
 * mapping WANTED without it is no smaller.
 */
static inline unsigned fault_nx_flags(unsigned wanted, unsigned level)
{
	return wanted >= level ? TABLE_NX_SPLIT | TABLE_NX_POSSIBLE : TABLE_NX_SPLIT;
}

/* Does the NX rule forbid that a large page takes the place of TABLE? */
static inline bool fault_is_held(const struct vmmu_vm *vm, const struct table *table)
{
	return (table->flags & TABLE_NX_SPLIT) ||
	       (vm->nx_huge && (vm->policies & VMMU_POLICY_NX_ANY_TABLE));
}

/*
 * Locked: go on from REF, where a walk towards GOAL ended, to the entry at GOAL, making tables on
 * the way. Where a table stands because the NX rule split a huge page, GOAL sinks below it. Returns
 * the level reached; 0: out of frames, and nothing was changed.
 */
static NEVER_INLINE unsigned fault_make_way(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
					    unsigned goal, unsigned wanted, struct entry_ref *ref)
{
	struct vmmu_vm *vm = vcpu->vm;
	bool is_nx_split = vm->nx_huge && fault->access == VMMU_EXEC;
	bool has_room = false;
	struct table *child;

	for (;;) {
		uint64_t pte = pte_load(ref->ptep);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref->level);

		child = kind == VMMU_ENTRY_TABLE ? entry_child(&vm->tree, pte, ref->level) : NULL;
		if (child && ref->level == goal && fault_is_held(vm, child))
			goal--;
		if (ref->level == goal)
			return goal;
		if (!child) {
			if (!has_room && !tree_has_room(&vm->tree, fmt_geometry.levels))
				return 0;
			has_room = true;
			map_clear(vm, ref, &vcpu->slot_cache);
			tree_flush(&vm->tree);
			child = map_link(vm, ref, &vcpu->chunks);
			if (unlikely(!child))
				return 0;
			if (is_nx_split)
				tree_nx_mark(&vm->tree, child, fault_nx_flags(wanted, ref->level));
		}
		*ref = table_ref(&vm->tree, child, fault->gfn);
	}
}

/* Locked: walk to the entry at GOAL. Returns as fault_make_way(). */
static ALWAYS_INLINE unsigned fault_walk_to_goal(struct vmmu_vcpu *vcpu,
						 const struct vmmu_fault *fault, unsigned goal,
						 unsigned wanted, struct entry_ref *ref)
{
	struct entry_ref at;
	uint64_t pte;

	*ref = walk_to(&vcpu->vm->tree, vcpu->root, fault->gfn, goal, &pte);
	/* No table stands at level 1: a place there is always the goal. */
	if (likely(ref->level == 1))
		return 1;
	at = *ref;
	goal = fault_make_way(vcpu, fault, goal, wanted, &at);
	*ref = at;
	return goal;
}

static NEVER_INLINE void fault_tell_now(const struct vmmu_vcpu *vcpu,
					const struct vmmu_fault *fault, unsigned level,
					uint64_t pfn)
{
	vm_event(vcpu->vm, .kind = VMMU_EVENT_MAP_REQUESTED, .vcpu_id = vcpu->id,
		 .as_id = vcpu->as_id, .level = level, .gfn = fault->gfn, .pfn = pfn);
}

/* Locked: tell what the fault asks for, as KVM does once it is sure to try. */
static ALWAYS_INLINE void fault_tell(const struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
				     unsigned level, uint64_t pfn)
{
	if (unlikely(vcpu->vm->env.event != NULL))
		fault_tell_now(vcpu, fault, level, pfn);
}

/* Locked: no memory there. Leave an entry that says so, unless the slots are just changing. */
static NEVER_INLINE int fault_map_mmio(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
				       uint64_t generation)
{
	struct vmmu_vm *vm = vcpu->vm;
	struct vmmu_mmio mmio = {
		.gfn = fault->gfn, .access = VMMU_RWX, .generation = mmio_stamp(generation)};
	struct entry_ref ref;

	/* A gfn with more bits than an entry has room for is remembered by the vCPU alone. */
	if ((generation & SLOTS_GEN_UPDATING) || fault->gfn >> VMMU_MMIO_GFN_BITS) {
		mmio_cache_fill(vcpu, fault->gfn, generation);
		return VMMU_EMULATE;
	}
	fault_tell(vcpu, fault, 1, VMMU_PFN_NONE);
	if (!fault_walk_to_goal(vcpu, fault, 1, 1, &ref))
		return -ENOMEM;
	mmio_cache_fill(vcpu, fault->gfn, generation);
	/* No flush in between: hardware uses an MMIO entry as little as an absent one. */
	if (fmt_is_present(pte_load(ref.ptep), 1))
		map_clear(vm, &ref, &vcpu->slot_cache);
	funnel_set(&vm->tree, &ref, fmt_make_mmio(mmio, 1));
	vcpu->stats.mmio_installed++;
	vm_event(vm, .kind = VMMU_EVENT_MMIO_SET, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = 1, .access = mmio.access, .gfn = fault->gfn, .generation = generation);
	return VMMU_EMULATE;
}

/* Locked: LEVEL, or as much less as keeps the page clear of what the host is taking away. */
static unsigned fault_level_now(const struct fault_state *s, unsigned level)
{
	for (; level > 1; level--) {
		uint64_t start = align_down(s->fault->gfn, level_gfns(level));

		if ((fmt_geometry.leaf_levels & (1u << level)) &&
		    !vm_is_invalidating(s->vcpu->vm, start, start + level_gfns(level)))
			break;
	}
	return level;
}

/* Locked: the level to map s->page at; *wanted: the same without the NX rule. */
static inline unsigned fault_goal(const struct fault_state *s, unsigned *wanted)
{
	const struct vmmu_vm *vm = s->vcpu->vm;
	const struct vmmu_fault *fault = s->fault;
	unsigned max = fault->max_level && fault->max_level < vm->max_level ? fault->max_level
									    : vm->max_level;

	*wanted = fault_level_now(s,
				  adjust_level(s->slot, &fmt_geometry, fault->gfn, &s->page, max));
	return vm->nx_huge && fault->access == VMMU_EXEC ? 1 : *wanted;
}

/* Locked: map s->page at level GOAL; without the NX rule it would be WANTED. */
static ALWAYS_INLINE int fault_map_at(struct fault_state *s, unsigned goal, unsigned wanted)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct vmmu_vm *vm = vcpu->vm;
	struct vmmu_fault *fault = s->fault;
	struct entry_ref ref;
	unsigned level;
	uint64_t leaf;

	fault_tell(vcpu, fault, goal, s->page.pfn);
	level = fault_walk_to_goal(vcpu, fault, goal, wanted, &ref);
	if (unlikely(!level))
		return -ENOMEM;
	/* The NX rule may have made it less; a goal of 1 stays the constant that it is. */
	if (goal > 1)
		goal = level;
	ref.level = goal;
	leaf = map_make_leaf(vm, s->slot, fault->gfn, &s->page, goal,
			     fault_is_ahead(fault) ? VMMU_RESOLVE_NO_FAULT : 0);
	fault_report_leaf(fault, leaf, goal);
	if (map_set_leaf(vm, vcpu, s->slot, &ref, leaf) == MAP_SAME)
		return VMMU_SPURIOUS;
	if (!fault_is_ahead(fault))
		fault_prefetch(vcpu, s->slot, &ref);
	return VMMU_FIXED;
}

/* Locked: map s->page, which the host maps as a large one. */
static NEVER_INLINE int fault_map_large(struct fault_state *s)
{
	unsigned wanted, goal = fault_goal(s, &wanted);

	return fault_map_at(s, goal, wanted);
}

/* Locked: map s->page. */
static ALWAYS_INLINE int fault_map_page(struct fault_state *s)
{
	struct fault_state copy;

	if (s->page.level <= 1)
		return fault_map_at(s, 1, 1);
	copy = *s;
	return fault_map_large(&copy);
}

/*
 * Locked: is gfn mapped, with whatever rights? Then vmmu_prefault() leaves it alone: it may have
 * been used already, or be write-protected, or as large as it is, for a reason.
 */
static NEVER_INLINE bool fault_is_mapped(const struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	uint64_t pte;
	struct entry_ref ref = walk_to(&vcpu->vm->tree, vcpu->root, fault->gfn, 1, &pte);

	if (fmt_classify(pte, ref.level) != VMMU_ENTRY_LEAF)
		return false;
	fault_report_leaf(fault, pte, ref.level);
	return true;
}

/*
 * The locked part. -ENOMEM, -ENOSPC: nothing was mapped. Room is made before anything is found to
 * be current, since what goes to make room may be just what the fault relied on.
 */
static ALWAYS_INLINE int fault_map(struct fault_state *s)
{
	struct vmmu_vm *vm = s->vcpu->vm;
	int outcome = VMMU_RETRY;

	vm_lock_inline(vm);
	if (unlikely(!quota_make_room(vm)))
		outcome = -ENOSPC;
	else if (unlikely(fault_is_stale(s)))
		outcome = VMMU_RETRY;
	else if (unlikely(fault_is_ahead(s->fault)) && fault_is_mapped(s->vcpu, s->fault))
		outcome = VMMU_SPURIOUS;
	else if (likely(s->slot != NULL))
		outcome = fault_map_page(s);
	else
		outcome = fault_map_mmio(s->vcpu, s->fault, s->generation);
	vm_unlock_inline(vm);
	return outcome;
}

#include "faults/tdp_map_impl.h"

/*
 * Tell the faulting vCPU's TLB, where it may have kept that there was nothing, or less. Also due
 * when another vCPU mapped the page: a format that caches absence faults until it forgets. No lock
 * needed.
 */
static void fault_flush_local(const struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault)
{
	uint64_t gfn = align_down(fault->gfn, level_gfns(fault->level));
	struct vmmu_flush flush = {.gfn_start = gfn,
				   .gfn_end = gfn + level_gfns(fault->level),
				   .as_id = vcpu->as_id,
				   .vcpu_id = vcpu->id,
				   .local = true};
	struct tree *tree = &vcpu->vm->tree;

	if (FMT_CAPS & VMMU_CAP_CACHES_ABSENT)
		tree->hooks.flush(tree->hooks.ctx, &flush);
}

/* All that comes before the lock: caches filled, slot and page found. Go on, or an outcome. */
static ALWAYS_INLINE int fault_prepare(struct fault_state *s)
{
	int outcome;

	if (unlikely(sync_reader_is_inside()))
		return -EDEADLK;
	if (vcpu_is_direct(s->vcpu) && unlikely(objcache_topup(&s->vcpu->chunks, FAULT_CHUNKS)))
		return -ENOMEM;
	outcome = fault_find_slot(s);
	if (likely(outcome == FAULT_GO_ON && s->slot))
		outcome = fault_find_page(s);
	return outcome;
}

/* The steps that need memory, the slots and the lock. */
static ALWAYS_INLINE int fault_slow(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct fault_state s;
	int outcome;

	s.vcpu = vcpu;
	s.fault = fault;
	outcome = fault_prepare(&s);
	if (unlikely(outcome != FAULT_GO_ON))
		return outcome;
	if (!vcpu_is_direct(vcpu))
		return tdp_fault(&s);
	for (bool has_reaped = false;; has_reaped = true) {
		outcome = fault_map(&s);
		if (likely(outcome != -ENOMEM) || has_reaped)
			return outcome;
		/* Frames may only be waiting for readers to leave. */
		vm_reap(vcpu->vm);
	}
}

static int engine_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	int outcome;

	/* Beyond what tables can say there is no memory, and no entry to say so. */
	if (fault->gfn >= gfn_limit())
		return VMMU_EMULATE;
	if (fault_is_ahead(fault))
		outcome = FAULT_GO_ON;
	else if (vcpu->vm->mode == VMMU_MODE_RANGES)
		outcome = fault_in_ranges(vcpu, fault);
	else
		outcome = fault_lockless(vcpu, fault);
	if (outcome == FAULT_GO_ON)
		outcome = fault_slow(vcpu, fault);
	if (outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS)
		fault_flush_local(vcpu, fault);
	return outcome;
}

#endif
