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

/* Locked: does the host have the page of gfn of SLOT at hand, to be mapped ahead? */
static ALWAYS_INLINE bool prefetch_find_page(const struct vmmu_vcpu *vcpu,
					     const struct memslot *slot, uint64_t gfn,
					     struct vmmu_page *page)
{
	const struct vmmu_vm *vm = vcpu->vm;
	struct vmmu_page_request request = {
		.gfn = gfn,
		.hva = memslot_hva(slot, gfn, fmt_geometry.page_shift),
		.access = VMMU_WRITE,
		.flags = VMMU_RESOLVE_NO_FAULT,
		.slot_id = slot->id,
		.as_id = vcpu->as_id,
	};

	*page = (struct vmmu_page){.level = 1};
	return vm->env.resolve(vm->env_ctx, &request, page) == VMMU_RESOLVE_OK && page->writable &&
	       map_has_sane_page(page);
}

/* Locked: map the neighbour at REF to PAGE. */
static void prefetch_map(struct vmmu_vcpu *vcpu, struct memslot *slot, const struct entry_ref *ref,
			 const struct vmmu_page *page)
{
	map_set_leaf(vcpu->vm, vcpu, slot, ref,
		     map_make_leaf(vcpu->vm, slot, ref->gfn, page, 1, VMMU_RESOLVE_NO_FAULT));
	vcpu->stats.prefetched++;
}

/* May pages of SLOT be mapped ahead? Under logging they would count as written. */
static inline bool prefetch_is_allowed(const struct memslot *slot)
{
	return !slot->invalid && !(slot->flags & (VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY));
}

/*
 * Locked: map the absent entries for gfns [start, end) of TABLE from the first on, as far as pages
 * are at hand. FIRST: the first one's page; NULL: not asked yet. False: not even the first was at
 * hand, or the run leaves its slot.
 */
static bool prefetch_run(struct vmmu_vcpu *vcpu, struct table *table, uint64_t start, uint64_t end,
			 const struct vmmu_page *first)
{
	struct memslot *slot = map_slot(vcpu->vm, vcpu->as_id, start, &vcpu->slot_cache);
	uint64_t gfn = start;
	struct vmmu_page page;

	if (!slot || !prefetch_is_allowed(slot) || end - slot->base_gfn > slot->gfns)
		return false;
	for (; gfn < end; gfn++) {
		struct entry_ref ref = table_ref(&vcpu->vm->tree, table, gfn);

		if (first && gfn == start)
			page = *first;
		else if (!prefetch_find_page(vcpu, slot, gfn, &page))
			break;
		prefetch_map(vcpu, slot, &ref, &page);
	}
	return gfn > start;
}

/* Which entries of the window that begins at FIRST are absent, a bit each. */
static unsigned prefetch_absent(const _Atomic uint64_t *first)
{
	unsigned absent = 0;

	for (unsigned i = 0; i < PREFETCH_WINDOW; i++)
		absent |= (unsigned)!fmt_is_present(pte_load(&first[i]), 1) << i;
	return absent;
}

/*
 * Locked: map what is absent in the window from gfn WINDOW on of TABLE, run by run. KNOWN: the page
 * of the first absent entry; NULL: not asked yet.
 */
static NEVER_INLINE void prefetch_window(struct vmmu_vcpu *vcpu, struct table *table,
					 uint64_t window, const struct vmmu_page *known)
{
	struct entry_ref ref = table_ref(&vcpu->vm->tree, table, window);
	unsigned absent = prefetch_absent(ref.ptep);

	while (absent) {
		unsigned first = (unsigned)__builtin_ctz(absent);
		unsigned count = (unsigned)__builtin_ctz(~(absent >> first));

		if (!prefetch_run(vcpu, table, window + first, window + first + count, known))
			return;
		known = NULL;
		absent &= ~0u << (first + count);
	}
}

/*
 * Locked: map what is absent beside the leaf at FAULTED, of SLOT, within an aligned window, run by
 * run, until one gives nothing. Only where an accessed bit can tell later that nobody touched them.
 *
 * Most faults find nothing at hand, and find that out by their first question. So that one is asked
 * here: where the whole window lies in SLOT, it is for the first absent page.
 */
static ALWAYS_INLINE void fault_prefetch(struct vmmu_vcpu *vcpu, struct memslot *slot,
					 const struct entry_ref *faulted)
{
	uint64_t window = align_down(faulted->gfn, PREFETCH_WINDOW);
	/* Tables are aligned to their size, so windows are to theirs. */
	const _Atomic uint64_t *first = (const _Atomic uint64_t *)align_down(
		(uintptr_t)faulted->ptep, PREFETCH_WINDOW * sizeof(*first));
	struct vmmu_page page;
	unsigned i;

	if (!hardware_marks() || faulted->level > 1)
		return;
	if (atomic_load_explicit(&vcpu->vm->invalidate.in_progress, memory_order_relaxed))
		return;
	/* The neighbours may be private where this page is shared, or the other way round. */
	if (unlikely(slots_attributes(&vcpu->vm->slots) != NULL))
		return;
	if (unlikely(window < slot->base_gfn ||
		     window + PREFETCH_WINDOW - slot->base_gfn > slot->gfns)) {
		prefetch_window(vcpu, faulted->table, window, NULL);
		return;
	}
	if (!prefetch_is_allowed(slot))
		return;
#pragma GCC unroll 8
	for (i = 0; i < PREFETCH_WINDOW; i++)
		if (!fmt_is_present(pte_load(&first[i]), 1))
			break;
	if (i < PREFETCH_WINDOW && prefetch_find_page(vcpu, slot, window + i, &page))
		prefetch_window(vcpu, faulted->table, window, &page);
}

#endif
