/* SPDX-License-Identifier: MIT */
/*
 * What can be done for a fault without lock and memory, by one walk under RCU. Template.
 */
#ifndef VMMU_FAULTS_LOCKLESS_IMPL_H
#define VMMU_FAULTS_LOCKLESS_IMPL_H

#include "base/sync_reader.h"
#include "faults/map_impl.h"
#include "walker/leaf_impl.h"

/* Not an outcome: the next step decides. */
#define FAULT_GO_ON VMMU_OUTCOMES
/* Compare-exchanges that the lockless fix may lose before the locked path takes over. */
#define FAST_TRIES 4

static inline bool fault_has(const struct vmmu_fault *fault, enum vmmu_fault_flag flag)
{
	return fault->flags & flag;
}

/* Is it vmmu_prefault()'s? */
static inline bool fault_is_ahead(const struct vmmu_fault *fault)
{
	return fault->flags & FAULT_AHEAD;
}

/* Is the access private where memory is shared, or the other way round? Nearly always neither. */
static ALWAYS_INLINE bool fault_is_misplaced(struct vmmu_vm *vm, const struct vmmu_fault *fault)
{
	bool is_private = fault_has(fault, VMMU_FAULT_PRIVATE);

	if (likely(!is_private &&
		   !atomic_load_explicit(&vm->slots.attributes, memory_order_relaxed)))
		return false;
	return vm_is_private(vm, fault->gfn) != is_private;
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

static int fault_is_mmio(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	/* Whoever wants private memory is told that there is none, or that this is not the way. */
	if (unlikely(fault_has(fault, VMMU_FAULT_PRIVATE) || fault_is_misplaced(vcpu->vm, fault)))
		return FAULT_GO_ON;
	vcpu->stats.mmio_hits++;
	fault->mmio_cached = true;
	return VMMU_EMULATE;
}

/*
 * Under RCU: the walk found PTE, an MMIO entry. EMULATE if it is of GENERATION, which was that of
 * the slots before the walk; else go on.
 */
static NEVER_INLINE int fault_check_mmio(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault,
					 uint64_t pte, uint64_t generation)
{
	/* Such entries stand at level 1 alone. */
	bool is_current = !(generation & SLOTS_GEN_UPDATING) &&
			  fmt_parse_mmio(pte, 1).generation == mmio_stamp(generation);

	vm_event(vcpu->vm, .kind = VMMU_EVENT_MMIO_CHECK, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = 1, .gfn = fault->gfn, .new_pte = pte, .generation = generation,
		 .value = is_current);
	if (!is_current) {
		vcpu->stats.mmio_stale++;
		return FAULT_GO_ON;
	}
	mmio_cache_fill(vcpu, fault->gfn, generation);
	return fault_is_mmio(vcpu, fault);
}

/* What the outcome says of the mapping. */
static inline void fault_report_leaf(struct vmmu_fault *fault, uint64_t pte, unsigned level)
{
	fault->level = level;
	fault->pfn = leaf_frame(pte, fault->gfn, level);
}

/* An aged leaf over gfn that hardware cannot mark as used: made anew of all that it says. */
static inline uint64_t fast_fix_aged(uint64_t pte, uint64_t gfn, unsigned level)
{
	struct vmmu_leaf leaf = leaf_parts(leaf_alone(pte, gfn, level), level);
	uint64_t used;

	leaf.accessed = true;
	used = fmt_make_leaf(leaf, level);
	return leaf_group_lg2(pte, level) ? leaf_grouped(used, level) : used;
}

/* Did it lose its accessed bit, and hardware does not set it? */
static inline bool fast_fix_is_aged(uint64_t pte, unsigned level)
{
	return !hardware_marks() && !fmt_is_accessed(pte, level);
}

/* What the leaf PTE over gfn becomes for ACCESS, which it can grant, or WRITE, which it may get. */
static inline uint64_t fast_fix_value(uint64_t pte, uint64_t gfn, unsigned level, unsigned access)
{
	uint64_t used = fast_fix_is_aged(pte, level) ? fast_fix_aged(pte, gfn, level) : pte;

	return fmt_access(pte, level) & access ? used : fmt_write_allow(used, level);
}

/*
 * Under RCU: make the leaf at AT say FIXED, which grants more. FIXED, or RETRY: another write
 * came between.
 *
 * 	fast fix                              write-protect (locked)
 * 	pte has mmu_writable                  WRITE cleared, mmu_writable kept; flush owed
 * 	compare-exchange sets WRITE
 * 	mark dirty                            bitmap read after the protection: this write is in
 * 	                                      what is read now, or in what is read next
 *
 * Whoever must make a page read-only for good clears mmu_writable too, and the compare-exchange
 * here fails. An aged leaf that still had WRITE gets it back with the rest: the page was marked
 * when it was given, and protecting the page takes it from aged leaves as well.
 */
static ALWAYS_INLINE int fast_fix_grant(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
					struct vmmu_fault *fault, const struct walk_stop *at,
					uint64_t fixed)
{
	struct entry_ref ref = walk_place(&vm->tree, at, fault->gfn);

	if (!funnel_try(&vm->tree, &ref, at->pte, fixed))
		return VMMU_RETRY;
	vcpu->stats.fast_fixes++;
	fault->fast = true;
	return VMMU_FIXED;
}

/*
 * Under RCU: the leaf over gfn at AT, in a group, is not aged any more, and so are the others by
 * and by: each at its next use, or now, if nobody works on it.
 */
static NEVER_INLINE void fast_fix_group(const struct vmmu_vm *vm, struct walk_stop at, uint64_t gfn)
{
	struct entry_ref ref = walk_place(&vm->tree, &at, gfn);

	group_for_each(&ref, member)
	{
		uint64_t pte = pte_load(member.ptep);

		if (entry_group_lg2(pte, member.level) && fast_fix_is_aged(pte, member.level))
			funnel_try(&vm->tree, &member, pte,
				   fast_fix_aged(pte, member.gfn, member.level));
	}
}

/* Under RCU: what can be done without the lock for the leaf of SLOT at AT. */
static ALWAYS_INLINE int fast_fix_leaf(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
				       struct vmmu_fault *fault, const struct walk_stop *at,
				       struct memslot *slot)
{
	/* Where hardware marks, nothing but a write comes here. */
	unsigned wanted = hardware_marks() ? VMMU_WRITE : fault->access;
	bool is_granted = fmt_access(at->pte, at->level) & wanted;
	int outcome;

	if (is_granted && !fast_fix_is_aged(at->pte, at->level))
		return VMMU_SPURIOUS;
	if (!is_granted && (wanted != VMMU_WRITE || !fmt_mmu_writable(at->pte, at->level)))
		return FAULT_GO_ON;
	/* Members have WRITE if they may, and do not change alone. */
	if (!is_granted && unlikely(leaf_group_lg2(at->pte, at->level)))
		return FAULT_GO_ON;
	/* A huge page under logging must be split to know which part was written. */
	if (!is_granted && at->level > 1 && (slot->flags & VMMU_SLOT_LOG_DIRTY))
		return FAULT_GO_ON;
	outcome = fast_fix_grant(vm, vcpu, fault, at,
				 fast_fix_value(at->pte, fault->gfn, at->level, wanted));
	if (outcome == VMMU_FIXED && unlikely(leaf_group_lg2(at->pte, at->level)))
		fast_fix_group(vm, *at, fault->gfn);
	if (outcome == VMMU_FIXED && !is_granted)
		vcpu_mark_dirty(vcpu, slot, fault->gfn);
	return outcome;
}

static NEVER_INLINE void fast_fix_tell(const struct vmmu_vcpu *vcpu, const struct vmmu_fault *fault,
				       struct walk_stop at, int outcome)
{
	uint64_t fixed = outcome == VMMU_FIXED
				 ? fast_fix_value(at.pte, fault->gfn, at.level, fault->access)
				 : at.pte;

	vm_event(vcpu->vm, .kind = VMMU_EVENT_FAST_FIX, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .level = at.level, .gpa = fault->gpa, .gfn = fault->gfn, .old_pte = at.pte,
		 .new_pte = fixed, .value = outcome);
}

/* As fault_fast_fix(), of a leaf of any size of SLOT. TRIES were made. */
static NEVER_INLINE int fast_fix_try(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault,
				     struct walk_stop at, struct memslot *slot, unsigned tries)
{
	struct vmmu_vm *vm = vcpu->vm;
	int outcome;

	for (;;) {
		outcome = fast_fix_leaf(vm, vcpu, fault, &at, slot);
		if (outcome != VMMU_RETRY || ++tries == FAST_TRIES)
			break;
		at = walk_entries(&vm->tree, vcpu->entries, fault->gfn, 1);
		if (fmt_classify(at.pte, at.level) != VMMU_ENTRY_LEAF)
			return FAULT_GO_ON;
	}
	fast_fix_tell(vcpu, fault, at, outcome);
	if (outcome == VMMU_RETRY)
		return FAULT_GO_ON;
	if (outcome != FAULT_GO_ON)
		fault_report_leaf(fault, at.pte, at.level);
	return outcome;
}

/* Somebody came between the first try. */
static NEVER_INLINE int fast_fix_again(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault,
				       struct memslot *slot)
{
	struct walk_stop at = walk_entries(&vcpu->vm->tree, vcpu->entries, fault->gfn, 1);

	if (fmt_classify(at.pte, at.level) != VMMU_ENTRY_LEAF)
		return FAULT_GO_ON;
	return fast_fix_try(vcpu, fault, at, slot, 1);
}

/*
 * Under RCU: the walk came to a leaf at AT. Repair it without the lock, if permission is all that
 * it lacks. Nearly always it is a small one, and nobody listens or comes between.
 */
static ALWAYS_INLINE int fault_fast_fix(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
					struct vmmu_fault *fault, struct walk_stop at)
{
	struct memslot *slot = map_slot(vm, vcpu->as_id, fault->gfn, &vcpu->slot_cache);
	int outcome;

	if (!slot || slot->invalid || unlikely(fault_is_misplaced(vm, fault)) ||
	    (vm->policies & VMMU_POLICY_LOCKED_FIX))
		return FAULT_GO_ON;
	if (unlikely(at.level > 1 || vm->env.event))
		return fast_fix_try(vcpu, fault, at, slot, 0);
	at.level = 1;
	outcome = fast_fix_leaf(vm, vcpu, fault, &at, slot);
	if (unlikely(outcome == VMMU_RETRY))
		return fast_fix_again(vcpu, fault, slot);
	if (outcome != FAULT_GO_ON)
		fault_report_leaf(fault, at.pte, 1);
	return outcome;
}

/*
 * Can permission, or an accessed bit that hardware does not set, be all that is missing? An aged
 * leaf of a format without a bit for it (EPT's) is reported as absent; RISC-V reports all alike.
 */
static inline bool fault_may_be_fast(const struct vmmu_fault *fault)
{
	if (fault_has(fault, VMMU_FAULT_RSVD))
		return false;
	if (!hardware_marks())
		return true;
	if (hardware_tells_kinds() && !fault_has(fault, VMMU_FAULT_PRESENT))
		return false;
	return fault->access == VMMU_WRITE;
}

/* The steps that need neither lock nor memory: one walk, and what the entry found asks for. */
static ALWAYS_INLINE int fault_lockless(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	bool may_be_mmio = fault_has(fault, VMMU_FAULT_RSVD) ||
			   (!hardware_tells_kinds() && !fault_has(fault, VMMU_FAULT_PRESENT));
	bool may_be_fast = fault_may_be_fast(fault);
	struct vmmu_vm *vm = vcpu->vm;
	enum sync_section section;
	int outcome = FAULT_GO_ON;
	struct walk_stop at;
	uint64_t generation = 0;

	if (hardware_marks() && hardware_tells_kinds() &&
	    likely(!(fault->flags & ((unsigned)VMMU_FAULT_RSVD | VMMU_FAULT_PRESENT))))
		return FAULT_GO_ON; /* the usual one, of which the rest would say the same */
	if (!may_be_mmio && !may_be_fast)
		return FAULT_GO_ON;
	if (may_be_mmio) {
		generation = slot_set_generation(slots_active(&vm->slots, vcpu->as_id));
		if (mmio_cache_hits(vcpu, fault->gfn, generation))
			return fault_is_mmio(vcpu, fault);
	}
	section = sync_reader_enter();
	at = walk_entries(&vm->tree, vcpu->entries, fault->gfn, 1);
	switch (fmt_classify(at.pte, at.level)) {
	case VMMU_ENTRY_LEAF:
		if (may_be_fast)
			outcome = fault_fast_fix(vm, vcpu, fault, at);
		break;
	case VMMU_ENTRY_MMIO:
		if (may_be_mmio)
			outcome = fault_check_mmio(vcpu, fault, at.pte, generation);
		break;
	default:
		break;
	}
	sync_reader_leave(section);
	return outcome;
}

/*
 * A VM of VMMU_MODE_RANGES maps nothing by itself: an access that its tables grant is spurious,
 * WRITE that they would give is given back, and for the rest there is no memory.
 */
static NEVER_INLINE int fault_in_ranges(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	enum sync_section section = sync_reader_enter();
	int outcome = VMMU_RETRY;

	for (unsigned i = 0; i < FAST_TRIES && outcome == VMMU_RETRY; i++) {
		struct walk_stop at = walk_entries(&vcpu->vm->tree, vcpu->entries, fault->gfn, 1);
		enum vmmu_entry_kind kind = fmt_classify(at.pte, at.level);

		/* Frozen: somebody is about to put a table or leaf there. */
		outcome = kind == VMMU_ENTRY_FROZEN ? VMMU_RETRY : VMMU_EMULATE;
		if (kind != VMMU_ENTRY_LEAF)
			break;
		fault_report_leaf(fault, at.pte, at.level);
		if (fmt_access(at.pte, at.level) & fault->access)
			outcome = VMMU_SPURIOUS;
		else if (fault->access == VMMU_WRITE && fmt_mmu_writable(at.pte, at.level))
			outcome = fast_fix_grant(vcpu->vm, vcpu, fault, &at,
						 fmt_write_allow(at.pte, at.level));
	}
	sync_reader_leave(section);
	return outcome;
}

#endif
