/* SPDX-License-Identifier: MIT */
/*
 * A fault that maps the whole group around its page, where nothing is mapped yet and slot and host
 * have all of it alike. Template.
 *
 * Not where hardware sets dirty bits: it would in one member, of which the others know nothing.
 */
#ifndef VMMU_FAULTS_GROUP_MAP_IMPL_H
#define VMMU_FAULTS_GROUP_MAP_IMPL_H

#include "faults/map_impl.h"

/* Do faults make groups at LEVEL? A constant for most formats. */
static inline bool group_is_made(unsigned level)
{
	return level_group_lg2(level) && !hardware_marks();
}

/* Does nothing in SLOT or in what is private forbid a group of leaves over gfns from START on? */
static bool group_is_allowed(const struct vmmu_vm *vm, const struct memslot *slot,
			     const struct entry_ref *first)
{
	uint64_t start = first->gfn, end = start + group_gfns(first->level);

	if (start < slot->base_gfn || end - slot->base_gfn > slot->gfns ||
	    (slot->flags & VMMU_SLOT_LOG_DIRTY))
		return false;
	group_for_each(first, at)
	{
		/* Of smallest pages nothing is forbidden. */
		if (at.level > 1 &&
		    memslot_max_level(slot, vm->geometry, at.gfn, at.level) != at.level)
			return false;
	}
	/* What is at the hva says nothing of a private page. */
	return attributes_extent(slots_attributes(&vm->slots), start, end) == ATTRIBUTES_NONE;
}

/*
 * Locked, or shared: may LEAF of SLOT, which stands for REF alone, and its neighbours be a group?
 * The host is asked last, and may not be taking away any of it.
 */
static inline bool group_can_be(const struct vmmu_vm *vm, const struct memslot *slot,
				const struct entry_ref *ref, uint64_t leaf)
{
	uint64_t gfns = group_gfns(ref->level);
	struct entry_ref first = group_first(ref);
	unsigned lg2;

	/* Kernels with these habits make no groups. */
	if (vm->policies & VM_POLICIES_ASKED)
		return false;
	if (!vm->env.host_span || !is_aligned(fmt_leaf_pfn(leaf, ref->level) ^ ref->gfn, gfns) ||
	    !group_is_allowed(vm, slot, &first) ||
	    vm_is_invalidating(vm, first.gfn, first.gfn + gfns))
		return false;
	lg2 = vm->env.host_span(vm->env_ctx, memslot_hva(slot, ref->gfn, fmt_geometry.page_shift),
				ref->gfn);
	return lg2 >= (unsigned)__builtin_ctzll(gfns);
}

/*
 * The same of LEAF that comes to stand at REF: is it to be a group, where nothing is mapped?
 */
static NEVER_INLINE bool group_is_wanted(const struct vmmu_vm *vm, const struct memslot *slot,
					 const struct entry_ref *ref, uint64_t leaf)
{
	return group_is_absent(ref) && group_can_be(vm, slot, ref, leaf);
}

/* Is something mapped where REF's group would stand, by a table that is not linked? */
static bool group_has_rmaps(struct memslot *slot, const struct entry_ref *ref)
{
	group_for_each(ref, at) if (atomic_load_explicit(map_rmap(slot, &at),
							 memory_order_relaxed)) return true;
	return false;
}

/* The group of LEAF, of SLOT, stands where REF is. */
static void group_is_set(struct vmmu_vcpu *vcpu, struct memslot *slot, const struct entry_ref *ref,
			 uint64_t leaf)
{
	vcpu->stats.grouped++;
	map_leaf_is_set(vcpu->vm, vcpu, slot, ref, fmt_make_absent(ref->level),
			group_member_at(leaf, ref));
}

/* Locked: map the group of LEAF, of SLOT, around REF of a direct root. False: it is to be alone. */
static NEVER_INLINE bool group_map(struct vmmu_vcpu *vcpu, struct memslot *slot,
				   const struct entry_ref *ref, uint64_t leaf)
{
	struct vmmu_vm *vm = vcpu->vm;

	if (!group_is_wanted(vm, slot, ref, leaf) || group_has_rmaps(slot, ref))
		return false;
	funnel_fill_group(&vm->tree, ref, leaf);
	/* Heads that are empty take no chunk. */
	group_for_each(ref, at) rmap_add(map_rmap(slot, &at), at.ptep, NULL);
	group_is_set(vcpu, slot, ref, leaf);
	return true;
}

/* Shared: the same of a tdp root. */
static NEVER_INLINE bool group_map_shared(struct vmmu_vcpu *vcpu, struct memslot *slot,
					  const struct entry_ref *ref, uint64_t leaf)
{
	if (!group_is_wanted(vcpu->vm, slot, ref, leaf) ||
	    !funnel_put_group(&vcpu->vm->tree, &vcpu->tdp.books, ref, leaf))
		return false;
	group_is_set(vcpu, slot, ref, leaf);
	return true;
}

/*
 * Map the group of LEAF, of SLOT, around REF of VCPU's root, locked as it wants it. False: LEAF is
 * to be alone.
 */
static ALWAYS_INLINE bool group_try(struct vmmu_vcpu *vcpu, struct memslot *slot,
				    const struct entry_ref *ref, uint64_t leaf)
{
	struct entry_ref at;

	if (!group_is_made(ref->level))
		return false;
	/* Of a copy, so that *ref can stay in registers. */
	at = *ref;
	return vcpu_is_direct(vcpu) ? group_map(vcpu, slot, &at, leaf)
				    : group_map_shared(vcpu, slot, &at, leaf);
}

#endif
