/* SPDX-License-Identifier: MIT */
/*
 * WRITE taken from many entries of a level-1 table: whole lines at once where that loses nothing,
 * one atomic for each other entry that has it. Template: include after a format header.
 *
 * Locked exclusively, and nobody listens to events. Flushes are the caller's, and so it is to say
 * that entries of the table may be volatile now: WRITE can be given back by the lockless fix. MMIO
 * and frozen entries are left alone, groups must not be there.
 */
#ifndef VMMU_WALKER_PROTECT_IMPL_H
#define VMMU_WALKER_PROTECT_IMPL_H

#include "walker/funnel_impl.h"

/* The entries, by number, that changed in a table; first >= end: none. */
struct protect_changed {
	uint64_t first, end;
};

#define PROTECT_NONE ((struct protect_changed){UINT64_MAX, 0})

#ifdef FMT_WRITE_BITS
/* Entries that are looked at together: a cache line. */
#define PROTECT_LINE 8u

static inline void protect_changed_add(struct protect_changed *changed, uint64_t first,
				       uint64_t count)
{
	changed->first = min_u64(changed->first, first);
	changed->end = first + count;
}

/*
 * Exclusive: take WRITE from COUNT entries of a level-1 table from PTEP on, none of which is
 * volatile: hardware and the lockless fix have nothing to set in any, so plain stores lose nothing.
 * COUNT and PTEP as wide_clear() wants them. Flush and events are the caller's, and so it is to say
 * that entries of the table may be volatile now: WRITE can be given back by the lockless fix.
 */
static inline void protect_many(_Atomic uint64_t *ptep, uint64_t count)
{
	wide_clear(ptep, count, FMT_WRITE_BITS);
}

/* Exclusive: the same for one leaf at level 1, which was PTE and may be volatile: one atomic. */
static inline void protect_one(_Atomic uint64_t *ptep, uint64_t pte)
{
	if (spte_is_surely_quiet(pte))
		atomic_store_explicit(ptep, pte & ~FMT_WRITE_BITS, memory_order_release);
	else
		atomic_fetch_and_explicit(ptep, ~FMT_WRITE_BITS, memory_order_acq_rel);
}

/*
 * Take WRITE from COUNT entries, whole lines, if every one is a leaf that has it and that hardware
 * and the lockless fix have nothing to set in. False: not so, nothing was done.
 */
static inline bool protect_quiet(_Atomic uint64_t *ptep, uint64_t count)
{
#ifdef FMT_QUIET_BITS
	if (!wide_is_all(ptep, count, FMT_QUIET_MASK, FMT_QUIET_BITS))
		return false;
	protect_many(ptep, count);
	return true;
#else
	(void)ptep, (void)count;
	return false;
#endif
}

/* Entries [first, end) of a table, ascending: one by one. */
static inline void protect_each(_Atomic uint64_t *entries, uint64_t first, uint64_t end,
				struct protect_changed *changed)
{
	for (uint64_t i = first; i < end; i++) {
		uint64_t pte = pte_load(&entries[i]);

		if (!(pte & FMT_WRITE_BITS) || fmt_classify(pte, 1) != VMMU_ENTRY_LEAF)
			continue;
		protect_one(&entries[i], pte);
		protect_changed_add(changed, i, 1);
	}
}

/* The same of whole lines, as many together as can be. */
static inline void protect_lines(_Atomic uint64_t *entries, uint64_t first, uint64_t end,
				 struct protect_changed *changed)
{
	if (first < end && protect_quiet(&entries[first], end - first)) {
		protect_changed_add(changed, first, end - first);
		return;
	}
	for (uint64_t i = first; i < end; i += PROTECT_LINE) {
		if (!wide_has_any(&entries[i], PROTECT_LINE, FMT_WRITE_BITS))
			continue;
		if (protect_quiet(&entries[i], PROTECT_LINE))
			protect_changed_add(changed, i, PROTECT_LINE);
		else
			protect_each(entries, i, i + PROTECT_LINE, changed);
	}
}

/* Entries [first, end) of the table whose entries are ENTRIES. Those that changed go to CHANGED. */
static inline void protect_run(_Atomic uint64_t *entries, uint64_t first, uint64_t end,
			       struct protect_changed *changed)
{
	uint64_t line = min_u64(align_up(first, PROTECT_LINE), end);
	uint64_t line_end = max_u64(align_down(end, PROTECT_LINE), line);

	if (end - first < PROTECT_LINE) {
		protect_each(entries, first, end, changed);
		return;
	}
	protect_each(entries, first, line, changed);
	protect_lines(entries, line, line_end, changed);
	protect_each(entries, line_end, end, changed);
}
#endif

#endif
