/* SPDX-License-Identifier: MIT */
/* Aging through the rmaps, under RCU alone: see rmap/rmap.h and funnel_age(). Template. */
#ifndef VMMU_FAULTS_AGE_IMPL_H
#define VMMU_FAULTS_AGE_IMPL_H

#include "faults/tdp_zap_impl.h"

/* Is the entry at PTEP a leaf that was accessed? AGE_CLEAR: not any more, then. */
static inline bool age_entry(struct vmmu_vm *vm, rmap_ptep ptep, unsigned level, enum age_what what)
{
	struct entry_ref ref;
	uint64_t pte;

	if (what == AGE_CLEAR) {
		ref = entry_ref_of(&vm->tree, ptep);
		return funnel_age(&vm->tree, &ref);
	}
	pte = pte_load(ptep);
	return fmt_classify(pte, level) == VMMU_ENTRY_LEAF && fmt_is_accessed(pte, level);
}

/* How many leaves of one gfn were accessed; AGE_TEST: stops at the first. */
static inline uint64_t age_head(struct vmmu_vm *vm, rmap_head *head, unsigned level,
				enum age_what what)
{
	struct rmap_reader reader;
	rmap_ptep ptep = rmap_reader_begin(head, &reader);
	uint64_t young = 0;

	for (; ptep && !(young && what == AGE_TEST); ptep = rmap_next(&reader.iter))
		young += age_entry(vm, ptep, level, what);
	rmap_reader_end(&reader);
	return young;
}

static uint64_t engine_age_range(struct vmmu_vm *vm, const struct slot_range *range,
				 enum age_what what)
{
	const struct memslot *slot = range->slot;
	uint64_t young = tdp_age_range(vm, range, what);

	if (!slots_have_rmaps(&vm->slots))
		return young;
	for (unsigned level = 1; level <= vm->max_level; level++) {
		uint64_t i, last;

		if (!level_is_leaf(level))
			continue;
		i = memslot_index(slot, vm->geometry, range->start, level);
		last = memslot_index(slot, vm->geometry, range->end - 1, level);
		for (; i <= last && !(young && what == AGE_TEST); i++)
			young += age_head(vm, &slot->rmap[level][i], level, what);
	}
	return young;
}

#endif
