/* SPDX-License-Identifier: MIT */
/*
 * Mapping ahead of the guest: the neighbours of a page that was just faulted in. Template.
 * Locked.
 */
#ifndef VMMU_FAULTS_PREFETCH_IMPL_H
#define VMMU_FAULTS_PREFETCH_IMPL_H

#include "faults/map_impl.h"

/* Neighbours that are looked at after a fault, the faulting page included; a power of two. */
#define PREFETCH_WINDOW 8

/* Does hardware set accessed and dirty bits of this format? */
static inline bool hardware_marks(void)
{
	return FMT_CAPS & VMMU_CAP_HW_DIRTY;
}

/* Locked: map the neighbour at REF if the host has it at hand. */
static bool prefetch_one(struct vmmu_vcpu *vcpu, struct memslot *slot, const struct entry_ref *ref)
{
	struct vmmu_vm *vm = vcpu->vm;
	struct vmmu_page_request request = {
		.gfn = ref->gfn,
		.hva = memslot_hva(slot, ref->gfn, vm->geometry->page_shift),
		.access = VMMU_WRITE,
		.flags = VMMU_RESOLVE_NO_FAULT,
		.slot_id = slot->id,
		.as_id = vcpu->as_id,
	};
	struct vmmu_page page = {.level = 1};

	if (vm->env.resolve(vm->env_ctx, &request, &page) != VMMU_RESOLVE_OK || !page.writable)
		return false;
	if (!map_has_sane_page(&page))
		return false;
	map_set_leaf(vm, vcpu, slot, ref,
		     map_make_leaf(vm, slot, ref->gfn, &page, 1, VMMU_RESOLVE_NO_FAULT));
	vcpu->stats.prefetched++;
	return true;
}

/*
 * Locked: map the absent entries for gfns [start, end) of TABLE from the first on, as far as pages
 * are at hand. False: not even the first was, or the run leaves its slot. Pages under logging would
 * count as written.
 */
static bool prefetch_run(struct vmmu_vcpu *vcpu, struct table *table, uint64_t start, uint64_t end)
{
	struct memslot *slot = map_slot(vcpu->vm, vcpu->as_id, start, &vcpu->slot_cache);
	uint64_t gfn = start;
	struct entry_ref ref;

	if (!slot || slot->invalid || (slot->flags & (VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY)))
		return false;
	if (end - slot->base_gfn > slot->gfns)
		return false;
	do {
		ref = table_ref(&vcpu->vm->tree, table, gfn);
	} while (prefetch_one(vcpu, slot, &ref) && ++gfn < end);
	return gfn > start;
}

/*
 * Locked: map what is absent beside the leaf at FAULTED within an aligned window, run by run, until
 * one gives nothing. Only where an accessed bit can tell later that nobody touched them.
 */
static void fault_prefetch(struct vmmu_vcpu *vcpu, const struct entry_ref *faulted)
{
	unsigned at = (unsigned)(faulted->gfn & (PREFETCH_WINDOW - 1)), absent = 0;
	uint64_t window = faulted->gfn - at;

	if (!hardware_marks() || faulted->level > 1)
		return;
	if (atomic_load_explicit(&vcpu->vm->invalidate.in_progress, memory_order_relaxed))
		return;
	for (unsigned i = 0; i < PREFETCH_WINDOW; i++)
		absent |= (unsigned)!fmt_is_present(pte_load(faulted->ptep - at + i), 1) << i;
	while (absent) {
		unsigned first = (unsigned)__builtin_ctz(absent);
		unsigned count = (unsigned)__builtin_ctz(~(absent >> first));

		if (!prefetch_run(vcpu, faulted->table, window + first, window + first + count))
			return;
		absent &= ~0u << (first + count);
	}
}

#endif
