/* SPDX-License-Identifier: MIT */
/*
 * The fault, in the order of checks that KVM's direct MMU has (catalogue 1.16, 1.19). Template.
 *
 * 	MMIO: the vCPU's cache, then the entry            lockless
 * 	fast fix: give WRITE back                         lockless
 * 	seq read, slot found, page found, caches filled   no lock
 * 	stale? goal level, walk, map, prefetch            locked
 */
#ifndef VMMU_FAULTS_FAULT_IMPL_H
#define VMMU_FAULTS_FAULT_IMPL_H

#include <errno.h>

#include "faults/adjust.h"
#include "faults/group_map_impl.h"
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
	struct vmmu_vm *vm; /* its VM; known, as the rest, whatever others are seen to write */
	struct vmmu_fault *fault;
	uint64_t gfn;
	struct memslot *slot; /* NULL: none. Valid while the generation below is the current one */
	uint64_t generation;  /* of the slots when the slot was found */
	uint64_t seq;         /* of invalidations, before the page was looked up */
	const struct vmmu_page *page;
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
	enum sync_section section = sync_reader_enter();
	const struct slot_set *set;
	uint64_t generation;

	set = slots_active(&vcpu->vm->slots, vcpu->as_id);
	generation = slot_set_generation(set);
	*slot = slot_set_find(set, gfn, &vcpu->slot_cache);
	sync_reader_leave(section);
	return generation;
}

/* No slot: MMIO, but for who wants no such thing; ahead of any access, too. */
static NEVER_INLINE int fault_without_slot(const struct vmmu_vm *vm, struct vmmu_fault *fault)
{
	if (fault_has(fault, VMMU_FAULT_PRIVATE))
		return fault_is_ahead(fault) ? VMMU_EMULATE
					     : fault_exit(fault, VMMU_EXIT_MEMORY_FAULT);
	return vm->policies & VMMU_POLICY_NO_MMIO_ENTRIES ? VMMU_EMULATE : FAULT_GO_ON;
}

/*
 * Find the slot. Go on, or RETRY (-EAGAIN) while it is going away. What it is, if there is one, is
 * in vcpu->slot_cache.copy: until the lock is taken *s->slot itself may go.
 */
static ALWAYS_INLINE int fault_find_slot(struct fault_state *s)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct vmmu_vm *vm = s->vm;
	const struct slot_cache *cache = &vcpu->slot_cache;
	struct memslot *slot;

	/*
	 * Pairs with invalidate_finish(): a page looked up after this is as new as the sequence
	 * number says.
	 */
	s->seq = atomic_load_explicit(&vm->invalidate.seq, memory_order_acquire);
	if (unlikely(fault_is_misplaced(vm, s->fault)))
		return fault_exit(s->fault, VMMU_EXIT_MEMORY_FAULT);
	if (likely(slot_cache_find(cache, slots_active(&vm->slots, vcpu->as_id), s->gfn))) {
		s->generation = cache->generation;
		s->slot = cache->slot;
	} else {
		s->generation = fault_search_slot(vcpu, s->gfn, &slot);
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

/* The answer was not RESOLVE_OK: I/O memory is never cached, whatever PAGE says of it. */
static NEVER_INLINE int fault_with_page(struct vmmu_fault *fault, enum vmmu_resolve_status status,
					struct vmmu_page *page)
{
	if (status != VMMU_RESOLVE_IO)
		return fault_without_page(fault, status);
	if (page->memtype == VMMU_MEM_WRITEBACK)
		page->memtype = VMMU_MEM_DEVICE;
	return FAULT_GO_ON;
}

/* enum vmmu_resolve_flag for FAULT: nearly always none. */
static ALWAYS_INLINE unsigned fault_resolve_flags(const struct vmmu_fault *fault)
{
	if (likely(!(fault->flags & ((unsigned)VMMU_FAULT_NO_WAIT | VMMU_FAULT_PRIVATE))))
		return 0;
	return (fault_has(fault, VMMU_FAULT_NO_WAIT) ? VMMU_RESOLVE_NO_WAIT : 0) |
	       (fault_has(fault, VMMU_FAULT_PRIVATE) ? VMMU_RESOLVE_PRIVATE : 0);
}

/* Ask the host for the page. Go on with PAGE, or an outcome. */
static ALWAYS_INLINE int fault_find_page(struct fault_state *s, struct vmmu_page *page)
{
	const struct memslot *slot = &s->vcpu->slot_cache.copy;
	struct vmmu_vm *vm = s->vm;
	struct vmmu_fault *fault = s->fault;
	struct vmmu_page_request request = {
		.gfn = s->gfn,
		.hva = memslot_hva(slot, s->gfn, fmt_geometry.page_shift),
		.access = fault->access,
		.flags = fault_resolve_flags(fault),
		.slot_id = slot->id,
		.as_id = s->vcpu->as_id,
	};
	enum vmmu_resolve_status status;
	int outcome;

	fault->hva = request.hva;
	if (fault->access == VMMU_WRITE && unlikely(slot->flags & VMMU_SLOT_READ_ONLY))
		return VMMU_EMULATE;
	/* Cheaper than finding out under the lock that the host has not done yet. */
	if (unlikely(vm_is_being_invalidated(vm, s->gfn)))
		return VMMU_RETRY;
	*page = (struct vmmu_page){0};
	s->page = page;
	status = vm->env.resolve(vm->env_ctx, &request, page);
	if (unlikely(status != VMMU_RESOLVE_OK)) {
		outcome = fault_with_page(fault, status, page);
		if (outcome != FAULT_GO_ON)
			return outcome;
	}
	if (fault->access == VMMU_WRITE && unlikely(!page->writable))
		return VMMU_EMULATE;
	if (unlikely(!map_has_sane_page(page)))
		return fault_exit(fault, VMMU_EXIT_NO_PAGE);
	return FAULT_GO_ON;
}

/* Locked: did anything change that the steps before relied on? */
static ALWAYS_INLINE bool fault_is_stale(const struct fault_state *s)
{
	const struct vmmu_vcpu *vcpu = s->vcpu;
	const struct slot_set *set = slots_active(&s->vm->slots, vcpu->as_id);

	if (!vcpu_has_current_root(vcpu) || slot_set_generation(set) != s->generation)
		return true;
	return s->slot && vm_must_retry(s->vm, s->gfn, s->seq);
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
			group_break(&vm->tree, ref, 1);
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
static ALWAYS_INLINE unsigned fault_walk_to_goal(const struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
						 const struct vmmu_fault *fault, unsigned goal,
						 unsigned wanted, struct entry_ref *ref)
{
	struct walk_stop stop = walk_entries(&vm->tree, vcpu->entries, fault->gfn, goal);
	struct entry_ref at;

	/* No table stands at level 1: a place there is always the goal. */
	if (likely(stop.level == 1)) {
		stop.level = 1; /* a constant from here on */
		*ref = walk_place(&vm->tree, &stop, fault->gfn);
		return 1;
	}
	at = walk_place(&vm->tree, &stop, fault->gfn);
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
static ALWAYS_INLINE void fault_tell(const struct vmmu_vm *vm, const struct vmmu_vcpu *vcpu,
				     const struct vmmu_fault *fault, unsigned level, uint64_t pfn)
{
	if (unlikely(vm->env.event != NULL))
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
	fault_tell(vm, vcpu, fault, 1, VMMU_PFN_NONE);
	if (!fault_walk_to_goal(vm, vcpu, fault, 1, 1, &ref))
		return -ENOMEM;
	mmio_cache_fill(vcpu, fault->gfn, generation);
	/* No flush in between: hardware uses an MMIO entry as little as an absent one. */
	if (fmt_is_present(pte_load(ref.ptep), 1)) {
		group_break(&vm->tree, &ref, 1);
		map_clear(vm, &ref, &vcpu->slot_cache);
	}
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
	const struct vmmu_vm *vm = s->vm;
	const struct vmmu_fault *fault = s->fault;
	unsigned max = fault->max_level && fault->max_level < vm->max_level ? fault->max_level
									    : vm->max_level;

	*wanted = fault_level_now(s,
				  adjust_level(s->slot, &fmt_geometry, fault->gfn, s->page, max));
	return vm->nx_huge && fault->access == VMMU_EXEC ? 1 : *wanted;
}

/* As vmmu_page_request.flags tell it: is the mapping ahead of any access? */
static inline enum vmmu_resolve_flag fault_why(const struct vmmu_fault *fault)
{
	return fault_is_ahead(fault) ? VMMU_RESOLVE_NO_FAULT : 0;
}

/* What the outcome says of a mapping to s->page at LEVEL. */
static ALWAYS_INLINE void fault_report(const struct fault_state *s, unsigned level)
{
	s->fault->level = level;
	s->fault->pfn = s->page->pfn;
}

/*
 * Locked: map s->page at level GOAL; without the NX rule it would be WANTED. WHY: see fault_why().
 */
static ALWAYS_INLINE int fault_map_at(struct fault_state *s, unsigned goal, unsigned wanted,
				      enum vmmu_resolve_flag why)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct vmmu_vm *vm = s->vm;
	struct vmmu_fault *fault = s->fault;
	struct entry_ref ref;
	unsigned level;
	uint64_t leaf;

	fault_tell(vm, vcpu, fault, goal, s->page->pfn);
	level = fault_walk_to_goal(vm, vcpu, fault, goal, wanted, &ref);
	if (unlikely(!level))
		return -ENOMEM;
	/* The NX rule may have made it less; a goal of 1 stays the constant that it is. */
	if (goal > 1)
		goal = level;
	ref.level = goal;
	leaf = map_make_leaf(vm, s->slot, s->gfn, s->page, goal, why);
	fault_report(s, goal);
	if (group_try(vcpu, s->slot, &ref, leaf))
		return VMMU_FIXED;
	if (map_set_leaf(vm, vcpu, s->slot, &ref, leaf) == MAP_SAME)
		return VMMU_SPURIOUS;
	fault_prefetch(vcpu, s->slot, &ref);
	return VMMU_FIXED;
}

/* Locked: map s->page, however large the host maps it. */
static NEVER_INLINE int fault_map_large(struct fault_state *s)
{
	unsigned wanted, goal = fault_goal(s, &wanted);

	return fault_map_at(s, goal, wanted, fault_why(s->fault));
}

/*
 * Locked: is gfn mapped, with whatever rights, and no larger than it should be? Then
 * vmmu_prefault() leaves it alone: it may have been used already, or be write-protected, or as
 * small as it is, for a reason.
 */
static NEVER_INLINE bool fault_is_mapped(const struct fault_state *s)
{
	const struct vmmu_vcpu *vcpu = s->vcpu;
	struct walk_stop at = walk_entries(&vcpu->vm->tree, vcpu->entries, s->gfn, 1);
	unsigned wanted, goal = fault_goal(s, &wanted);

	if (fmt_classify(at.pte, at.level) != VMMU_ENTRY_LEAF || at.level > goal)
		return false;
	/* What hardware marks as dirty for a log is not to be lost. */
	if ((s->vm->policies & VMMU_POLICY_PREFAULT_ANEW) &&
	    s->vm->dirty_source == VMMU_DIRTY_BY_FAULTS)
		return false;
	/* Of tries for want of frames only the first comes here: others found nothing mapped. */
	fault_tell(s->vm, vcpu, s->fault, goal, s->page->pfn);
	fault_report_leaf(s->fault, at.pte, at.level);
	return true;
}

/* Locked: map s->page for vmmu_prefault(). */
static NEVER_INLINE int fault_map_ahead(struct fault_state *s)
{
	return fault_is_mapped(s) ? VMMU_SPURIOUS : fault_map_large(s);
}

/* Locked: map s->page: nearly always a small one that the guest wants. */
static ALWAYS_INLINE int fault_map_page(struct fault_state *s)
{
	bool is_ahead = fault_is_ahead(s->fault);
	struct fault_state copy;

	if (likely(s->page->level <= 1 && !is_ahead))
		return fault_map_at(s, 1, 1, 0);
	copy = *s;
	return is_ahead ? fault_map_ahead(&copy) : fault_map_large(&copy);
}

/*
 * The locked part. -ENOMEM, -ENOSPC: nothing was mapped. Room is made before anything is found to
 * be current, since what goes to make room may be just what the fault relied on.
 */
static ALWAYS_INLINE int fault_map(struct fault_state *s)
{
	struct vmmu_vm *vm = s->vm;
	enum sync_section section = vm_lock_inline(vm);
	int outcome = VMMU_RETRY;

	if (unlikely(!quota_make_room(vm)))
		outcome = -ENOSPC;
	else if (unlikely(fault_is_stale(s)))
		outcome = VMMU_RETRY;
	else if (likely(s->slot != NULL))
		outcome = fault_map_page(s);
	else
		outcome = fault_map_mmio(s->vcpu, s->fault, s->generation);
	vm_unlock_inline(vm, section);
	return outcome;
}

#include "faults/ahead_impl.h"

/*
 * Tell the faulting vCPU's TLB, where it may have kept that there was nothing, or less. Also due
 * when another vCPU mapped the page: a format that caches absence faults until it forgets. No lock
 * needed.
 */
static void fault_flush_local(struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault)
{
	uint64_t gfn = align_down(fault->gfn, level_gfns(fault->level));
	struct vmmu_flush flush = {.gfn_start = gfn,
				   .gfn_end = gfn + level_gfns(fault->level),
				   .as_id = vcpu->as_id,
				   .vcpu_id = vcpu->id,
				   .local = true};
	struct tree *tree = &vcpu->vm->tree;

	if (!(FMT_CAPS & VMMU_CAP_CACHES_ABSENT))
		return;
	vcpu->stats.local_flushes++;
	tree->hooks.flush(tree->hooks.ctx, &flush);
}

/* All that comes before the lock: slot and PAGE found. Go on, or an outcome. */
static ALWAYS_INLINE int fault_prepare(struct fault_state *s, struct vmmu_page *page)
{
	int outcome;

	if (unlikely(sync_reader_is_inside()))
		return -EDEADLK;
	outcome = fault_find_slot(s);
	if (likely(outcome == FAULT_GO_ON && s->slot))
		outcome = fault_find_page(s, page);
	return outcome;
}

/* The same once more: frames may only have been waiting for readers to leave. */
static NEVER_INLINE int fault_map_again(struct fault_state *s)
{
	vm_reap(s->vm);
	return fault_map(s);
}

/* Direct roots: the locked part, and the memory that it may need. */
static ALWAYS_INLINE int fault_direct(struct fault_state *s)
{
	struct fault_state copy;
	int outcome;

	if (unlikely(objcache_topup(&s->vcpu->chunks, FAULT_CHUNKS)))
		return -ENOMEM;
	outcome = fault_map(s);
	if (likely(outcome != -ENOMEM))
		return outcome;
	copy = *s;
	return fault_map_again(&copy);
}

/* The steps that need memory, the slots and the lock. */
static ALWAYS_INLINE int fault_slow(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct fault_state s;
	struct vmmu_page page;
	int outcome;

	s.vcpu = vcpu;
	s.vm = vcpu->vm;
	s.fault = fault;
	s.gfn = fault->gfn;
	outcome = fault_prepare(&s, &page);
	if (unlikely(outcome != FAULT_GO_ON))
		return outcome;
	return vcpu_is_direct(vcpu) ? fault_direct(&s) : tdp_fault(&s);
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
