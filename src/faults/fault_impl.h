/* SPDX-License-Identifier: MIT */
/*
 * The fault, in the order of checks that KVM's direct MMU has (catalogue 1.16, 1.19). Template.
 *
 * 	MMIO: the vCPU's cache, then the entry            lockless
 * 	fast fix: give WRITE back, or what aging took     lockless
 * 	caches filled, seq read, slot found, page found   no lock
 * 	stale? goal level, walk, map, prefetch            locked
 */
#ifndef VMMU_FAULTS_FAULT_IMPL_H
#define VMMU_FAULTS_FAULT_IMPL_H

#include <errno.h>

#include "base/sync.h"
#include "faults/adjust.h"
#include "faults/map_impl.h"
#include "faults/prefetch_impl.h"

/* Not an outcome: the next step decides. */
#define FAULT_GO_ON VMMU_OUTCOMES
/* Compare-exchanges that the lockless fix may lose before the locked path takes over. */
#define FAST_TRIES 4

/* What is known of a fault between its steps. */
struct fault_state {
	struct vmmu_vcpu *vcpu;
	struct vmmu_fault *fault;
	struct memslot *slot; /* NULL: none. Valid while the generation below is the current one */
	uint64_t generation;  /* of the slots when the slot was found */
	uint64_t seq;         /* of invalidations, before the page was looked up */
	struct vmmu_page page;
	struct memslot copy; /* what the steps without a lock need of the slot */
};

static inline bool fault_has(const struct vmmu_fault *fault, enum vmmu_fault_flag flag)
{
	return fault->flags & flag;
}

/* Is it vmmu_prefault()'s? */
static inline bool fault_is_ahead(const struct vmmu_fault *fault)
{
	return fault->flags & FAULT_AHEAD;
}

/*
 * Does hardware of this format say reliably that an entry was there, and that it was an MMIO one?
 */
static inline bool hardware_tells_kinds(void)
{
	return FMT_CAPS & VMMU_CAP_MMIO_TRAP;
}

/* Generation as an MMIO entry carries it. */
static inline uint64_t mmio_stamp(uint64_t generation)
{
	return generation & (BIT64(FMT_MMIO_GEN_BITS) - 1);
}

/* Remember that gfn has no memory in this generation of the slots. Never while they change. */
static inline void mmio_cache_fill(struct vmmu_vcpu *vcpu, uint64_t gfn, uint64_t generation)
{
	if (generation & SLOTS_GEN_UPDATING)
		return;
	vcpu->mmio = (struct mmio_cache){.gfn = gfn, .generation = generation, .is_set = true};
}

static inline bool mmio_cache_hits(const struct vmmu_vcpu *vcpu, uint64_t gfn, uint64_t generation)
{
	return vcpu->mmio.is_set && vcpu->mmio.gfn == gfn && vcpu->mmio.generation == generation;
}

/* Under RCU: is gfn known to be MMIO? EMULATE, or go on. */
static int fault_check_mmio(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct vmmu_vm *vm = vcpu->vm;
	uint64_t generation = slot_set_generation(slots_active(&vm->slots, vcpu->as_id));
	struct entry_ref ref;
	bool is_current;
	uint64_t pte;

	if (mmio_cache_hits(vcpu, fault->gfn, generation))
		goto emulate;
	ref = walk_to(&vm->tree, vcpu->root, fault->gfn, 1, &pte);
	if (fmt_classify(pte, ref.level) != VMMU_ENTRY_MMIO)
		return FAULT_GO_ON;
	is_current = !(generation & SLOTS_GEN_UPDATING) &&
		     fmt_parse_mmio(pte, ref.level).generation == mmio_stamp(generation);
	vm_event(vm, .kind = VMMU_EVENT_MMIO_CHECK, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = 1, .gfn = fault->gfn, .new_pte = pte, .generation = generation,
		 .value = is_current);
	if (!is_current) {
		vcpu->stats.mmio_stale++;
		return FAULT_GO_ON;
	}
	mmio_cache_fill(vcpu, fault->gfn, generation);
emulate:
	vcpu->stats.mmio_hits++;
	fault->mmio_cached = true;
	return VMMU_EMULATE;
}

/* What the outcome says of the mapping. */
static inline void fault_report_leaf(struct vmmu_fault *fault, uint64_t pte, unsigned level)
{
	fault->level = level;
	fault->pfn = leaf_frame(pte, fault->gfn, level);
}

/*
 * Under RCU: make the leaf PTE at REF say FIXED, which grants more. FIXED, or RETRY: another write
 * came between.
 *
 * 	fast fix                              write-protect (locked)
 * 	pte has mmu_writable                  WRITE cleared, mmu_writable kept; flush owed
 * 	compare-exchange sets WRITE
 * 	mark dirty                            bitmap read after the protection: this write is in
 * 	                                      what is read now, or in what is read next
 *
 * Whoever must make a page read-only for good clears mmu_writable too, and the compare-exchange
 * here fails. An aged leaf that still had WRITE gets it back with the rest: it was marked when it
 * was given, and protecting the page takes it from aged leaves as well.
 */
static int fast_fix_grant(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault,
			  const struct entry_ref *ref, uint64_t pte, uint64_t fixed)
{
	if (!funnel_try(&vcpu->vm->tree, ref, pte, fixed))
		return VMMU_RETRY;
	vcpu->stats.fast_fixes++;
	fault->fast = true;
	return VMMU_FIXED;
}

/* An aged leaf that hardware cannot mark as used: made anew of all that it says. */
static inline uint64_t fast_fix_aged(uint64_t pte, unsigned level)
{
	struct vmmu_leaf leaf = {
		.pfn = fmt_leaf_pfn(pte, level),
		.access = fmt_access(pte, level),
		.memtype = fmt_memtype(pte, level),
		.host_writable = fmt_host_writable(pte, level),
		.mmu_writable = fmt_mmu_writable(pte, level),
		.accessed = true,
		.dirty = fmt_is_dirty(pte, level),
	};

	return fmt_make_leaf(leaf, level);
}

/*
 * Under RCU: what can be done without the lock for the leaf PTE at REF of SLOT, which becomes
 * *FIXED.
 */
static int fast_fix_leaf(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault,
			 const struct entry_ref *ref, uint64_t pte, struct memslot *slot,
			 uint64_t *fixed)
{
	bool wants_write = fault->access == VMMU_WRITE &&
			   !(fmt_access(pte, ref->level) & VMMU_WRITE);
	int outcome;

	*fixed = pte;
	if (!hardware_marks() && !fmt_is_accessed(pte, ref->level))
		*fixed = fast_fix_aged(pte, ref->level);
	if (wants_write) {
		if (!fmt_mmu_writable(pte, ref->level))
			return FAULT_GO_ON;
		/* A huge page under logging must be split to know which part was written. */
		if (ref->level > 1 && (slot->flags & VMMU_SLOT_LOG_DIRTY))
			return FAULT_GO_ON;
		*fixed = fmt_write_allow(*fixed, ref->level);
	}
	if (!(fmt_access(*fixed, ref->level) & fault->access))
		return FAULT_GO_ON;
	if (*fixed == pte)
		return VMMU_SPURIOUS;
	outcome = fast_fix_grant(vcpu, fault, ref, pte, *fixed);
	if (outcome == VMMU_FIXED && wants_write)
		memslot_mark_dirty(slot, fault->gfn);
	return outcome;
}

/* Under RCU: repair the entry without the lock, if permission is all that it lacks. */
static int fault_fast_fix(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct vmmu_vm *vm = vcpu->vm;
	struct memslot *slot = map_slot(vm, vcpu->as_id, fault->gfn, &vcpu->slot_cache);
	int outcome = VMMU_RETRY;
	struct entry_ref ref;
	uint64_t pte, fixed;

	if (!slot || slot->invalid)
		return FAULT_GO_ON;
	for (unsigned i = 0; i < FAST_TRIES && outcome == VMMU_RETRY; i++) {
		ref = walk_to(&vm->tree, vcpu->root, fault->gfn, 1, &pte);
		if (fmt_classify(pte, ref.level) != VMMU_ENTRY_LEAF)
			return FAULT_GO_ON;
		outcome = fast_fix_leaf(vcpu, fault, &ref, pte, slot, &fixed);
	}
	vm_event(vm, .kind = VMMU_EVENT_FAST_FIX, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = ref.level, .gpa = fault->gpa, .gfn = fault->gfn, .old_pte = pte,
		 .new_pte = outcome == VMMU_FIXED ? fixed : pte, .value = outcome);
	if (outcome == VMMU_RETRY)
		return FAULT_GO_ON;
	if (outcome != FAULT_GO_ON)
		fault_report_leaf(fault, pte, ref.level);
	return outcome;
}

/*
 * Can permission, or an accessed bit that hardware does not set, be all that is missing? An aged
 * leaf of a format without a bit for it (EPT's) is reported as absent.
 */
static inline bool fault_may_be_fast(const struct vmmu_fault *fault)
{
	bool is_present = fault_has(fault, VMMU_FAULT_PRESENT);

	if (fault_has(fault, VMMU_FAULT_RSVD))
		return false;
	if (!hardware_marks() && (is_present || hardware_tells_kinds()))
		return true;
	return fault->access == VMMU_WRITE && (is_present || !hardware_tells_kinds());
}

/* The steps that need neither lock nor memory. */
static int fault_lockless(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	bool may_be_mmio = fault_has(fault, VMMU_FAULT_RSVD) ||
			   (!hardware_tells_kinds() && !fault_has(fault, VMMU_FAULT_PRESENT));
	bool may_be_fast = fault_may_be_fast(fault);
	int outcome = FAULT_GO_ON;

	if (!may_be_mmio && !may_be_fast)
		return FAULT_GO_ON;
	sync_read_lock();
	if (may_be_mmio)
		outcome = fault_check_mmio(vcpu, fault);
	if (outcome == FAULT_GO_ON && may_be_fast)
		outcome = fault_fast_fix(vcpu, fault);
	sync_read_unlock();
	return outcome;
}

/* Find the slot. Go on, or RETRY (-EAGAIN) while it is going away. */
static int fault_find_slot(struct fault_state *s)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	const struct slot_set *set;

	/*
	 * Pairs with invalidate_finish(): a page looked up after this is as new as the sequence
	 * number says.
	 */
	s->seq = atomic_load_explicit(&vcpu->vm->invalidate.seq, memory_order_acquire);
	sync_read_lock();
	set = slots_active(&vcpu->vm->slots, vcpu->as_id);
	s->generation = slot_set_generation(set);
	s->slot = slot_set_find(set, s->fault->gfn, &vcpu->slot_cache);
	if (s->slot)
		s->copy = *s->slot;
	sync_read_unlock();
	if (!s->slot)
		return fault_is_ahead(s->fault) ? VMMU_EMULATE : FAULT_GO_ON;
	if (s->copy.invalid)
		return fault_is_ahead(s->fault) ? -EAGAIN : VMMU_RETRY;
	return FAULT_GO_ON;
}

static int fault_exit(struct vmmu_fault *fault, enum vmmu_exit_reason reason)
{
	fault->exit = reason;
	return VMMU_EXIT_TO_HOST;
}

/* What a page lookup that gave no page means. */
static int fault_without_page(struct vmmu_fault *fault, enum vmmu_resolve_status status)
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

/* Ask the host for the page. Go on with s->page, or an outcome. */
static int fault_find_page(struct fault_state *s)
{
	struct vmmu_vm *vm = s->vcpu->vm;
	struct vmmu_fault *fault = s->fault;
	struct vmmu_page_request request = {
		.gfn = fault->gfn,
		.hva = memslot_hva(&s->copy, fault->gfn, vm->geometry->page_shift),
		.access = fault->access,
		.flags = fault_has(fault, VMMU_FAULT_NO_WAIT) ? VMMU_RESOLVE_NO_WAIT : 0,
		.slot_id = s->copy.id,
		.as_id = s->vcpu->as_id,
	};
	enum vmmu_resolve_status status;

	fault->hva = request.hva;
	if (fault->access == VMMU_WRITE && (s->copy.flags & VMMU_SLOT_READ_ONLY))
		return VMMU_EMULATE;
	if (vm_must_retry(vm, fault->gfn, s->seq))
		return VMMU_RETRY;
	status = vm->env.resolve(vm->env_ctx, &request, &s->page);
	if (status != VMMU_RESOLVE_OK && status != VMMU_RESOLVE_IO)
		return fault_without_page(fault, status);
	if (status == VMMU_RESOLVE_IO && s->page.memtype == VMMU_MEM_WRITEBACK)
		s->page.memtype = VMMU_MEM_DEVICE;
	if (fault->access == VMMU_WRITE && !s->page.writable)
		return VMMU_EMULATE;
	if (unlikely(!map_has_sane_page(&s->page)))
		return fault_exit(fault, VMMU_EXIT_NO_PAGE);
	/* Cheaper than finding out under the lock. */
	return vm_must_retry(vm, fault->gfn, s->seq) ? VMMU_RETRY : FAULT_GO_ON;
}

/* Locked: did anything change that the steps before relied on? */
static bool fault_is_stale(const struct fault_state *s)
{
	const struct vmmu_vcpu *vcpu = s->vcpu;
	const struct slot_set *set = slots_active(&vcpu->vm->slots, vcpu->as_id);

	if (!vcpu_has_current_root(vcpu) || slot_set_generation(set) != s->generation)
		return true;
	return s->slot && vm_must_retry(vcpu->vm, s->fault->gfn, s->seq);
}

/*
 * Locked: walk to the entry at *GOAL, making tables on the way. Where a table stands because the NX
 * rule split a huge page, *GOAL sinks below it. False: out of frames (not after tree_has_room()).
 */
static bool fault_walk_to_goal(struct fault_state *s, unsigned *goal, unsigned wanted,
			       struct entry_ref *ref)
{
	struct vmmu_vm *vm = s->vcpu->vm;
	bool is_nx_split = vm->nx_huge && s->fault->access == VMMU_EXEC;
	struct table *child;

	*ref = walk_down(&vm->tree, s->vcpu->root, s->fault->gfn, *goal);
	for (;;) {
		uint64_t pte = pte_load(ref->ptep);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref->level);

		child = kind == VMMU_ENTRY_TABLE ? entry_child(&vm->tree, pte, ref->level) : NULL;
		if (child && ref->level == *goal && (child->flags & TABLE_NX_SPLIT))
			--*goal;
		if (ref->level == *goal)
			return true;
		if (!child) {
			map_clear(vm, ref, &s->vcpu->slot_cache);
			tree_flush(&vm->tree);
			child = map_link(vm, ref, &s->vcpu->chunks);
			if (unlikely(!child))
				return false;
			if (is_nx_split && wanted >= ref->level)
				child->flags |= TABLE_NX_SPLIT;
		}
		*ref = table_ref(&vm->tree, child, s->fault->gfn);
	}
}

/* Locked: no memory there. Leave an entry that says so, unless the slots are just changing. */
static int fault_map_mmio(struct fault_state *s)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct vmmu_mmio mmio = {
		.gfn = s->fault->gfn, .access = VMMU_RWX, .generation = mmio_stamp(s->generation)};
	unsigned goal = 1;
	struct entry_ref ref;

	mmio_cache_fill(vcpu, s->fault->gfn, s->generation);
	/* A gfn with more bits than an entry has room for is remembered by the vCPU alone. */
	if ((s->generation & SLOTS_GEN_UPDATING) || s->fault->gfn >> VMMU_MMIO_GFN_BITS)
		return VMMU_EMULATE;
	if (!fault_walk_to_goal(s, &goal, 1, &ref))
		return -ENOMEM;
	if (fmt_is_present(pte_load(ref.ptep), 1)) {
		map_clear(vcpu->vm, &ref, &vcpu->slot_cache);
		tree_flush(&vcpu->vm->tree);
	}
	funnel_set(&vcpu->vm->tree, &ref, fmt_make_mmio(mmio, 1));
	vcpu->stats.mmio_installed++;
	vm_event(vcpu->vm, .kind = VMMU_EVENT_MMIO_SET, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = 1, .access = mmio.access, .gfn = s->fault->gfn,
		 .generation = s->generation);
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

/* Locked: map s->page. */
static int fault_map_page(struct fault_state *s)
{
	struct vmmu_vcpu *vcpu = s->vcpu;
	struct vmmu_vm *vm = vcpu->vm;
	struct vmmu_fault *fault = s->fault;
	unsigned max = fault->max_level && fault->max_level < vm->max_level ? fault->max_level
									    : vm->max_level;
	unsigned wanted =
		fault_level_now(s, adjust_level(s->slot, vm->geometry, fault->gfn, &s->page, max));
	unsigned goal = vm->nx_huge && fault->access == VMMU_EXEC ? 1 : wanted;
	struct entry_ref ref;
	uint64_t leaf;

	vm_event(vm, .kind = VMMU_EVENT_MAP_REQUESTED, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = goal, .gfn = fault->gfn, .pfn = s->page.pfn);
	if (!fault_walk_to_goal(s, &goal, wanted, &ref))
		return -ENOMEM;
	leaf = map_make_leaf(vm, s->slot, fault->gfn, &s->page, goal,
			     fault_is_ahead(fault) ? VMMU_RESOLVE_NO_FAULT : 0);
	fault_report_leaf(fault, leaf, goal);
	if (map_set_leaf(vm, vcpu, s->slot, &ref, leaf) == MAP_SAME)
		return VMMU_SPURIOUS;
	if (!fault_is_ahead(fault))
		fault_prefetch(vcpu, &ref);
	return VMMU_FIXED;
}

/*
 * Locked: is gfn mapped, with whatever rights? Then vmmu_prefault() leaves it alone: it may have
 * been used already, or be write-protected, or as large as it is, for a reason.
 */
static bool fault_is_mapped(struct fault_state *s)
{
	uint64_t pte;
	struct entry_ref ref = walk_to(&s->vcpu->vm->tree, s->vcpu->root, s->fault->gfn, 1, &pte);

	if (fmt_classify(pte, ref.level) != VMMU_ENTRY_LEAF)
		return false;
	fault_report_leaf(s->fault, pte, ref.level);
	return true;
}

/*
 * The locked part. -ENOMEM, -ENOSPC: nothing was mapped. Room is made before anything is found to
 * be current, since what goes to make room may be just what the fault relied on.
 */
static int fault_map(struct fault_state *s)
{
	struct vmmu_vm *vm = s->vcpu->vm;
	int outcome = VMMU_RETRY;

	vm_lock(vm);
	if (unlikely(!quota_make_room(vm))) {
		outcome = -ENOSPC;
	} else if (!fault_is_stale(s)) {
		if (fault_is_ahead(s->fault) && fault_is_mapped(s))
			outcome = VMMU_SPURIOUS;
		else if (!tree_has_room(&vm->tree, fmt_geometry.levels))
			outcome = -ENOMEM;
		else
			outcome = s->slot ? fault_map_page(s) : fault_map_mmio(s);
	}
	vm_unlock(vm);
	return outcome;
}

/*
 * A VM of VMMU_MODE_RANGES maps nothing by itself: an access that its tables grant is spurious,
 * WRITE that they would give is given back, and for the rest there is no memory.
 */
static int fault_in_ranges(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	int outcome = VMMU_RETRY;

	sync_read_lock();
	for (unsigned i = 0; i < FAST_TRIES && outcome == VMMU_RETRY; i++) {
		uint64_t pte;
		struct entry_ref ref = walk_to(&vcpu->vm->tree, vcpu->root, fault->gfn, 1, &pte);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref.level);

		/* Frozen: somebody is about to put a table or leaf there. */
		outcome = kind == VMMU_ENTRY_FROZEN ? VMMU_RETRY : VMMU_EMULATE;
		if (kind != VMMU_ENTRY_LEAF)
			break;
		fault_report_leaf(fault, pte, ref.level);
		if (fmt_access(pte, ref.level) & fault->access)
			outcome = VMMU_SPURIOUS;
		else if (fault->access == VMMU_WRITE && fmt_mmu_writable(pte, ref.level))
			outcome = fast_fix_grant(vcpu, fault, &ref, pte,
						 fmt_write_allow(pte, ref.level));
	}
	sync_read_unlock();
	return outcome;
}

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

/* The steps that need memory, the slots and the lock. */
static int fault_slow(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct fault_state s = {.vcpu = vcpu, .fault = fault};
	int outcome;

	if (unlikely(sync_is_reading()))
		return -EDEADLK;
	if (objcache_topup(&vcpu->chunks, FAULT_CHUNKS))
		return -ENOMEM;
	outcome = fault_find_slot(&s);
	if (outcome == FAULT_GO_ON && s.slot)
		outcome = fault_find_page(&s);
	if (outcome != FAULT_GO_ON)
		return outcome;
	outcome = fault_map(&s);
	if (outcome == -ENOMEM) {
		/* Frames may only be waiting for readers to leave. */
		vm_reap(vcpu->vm);
		outcome = fault_map(&s);
	}
	return outcome;
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
