/* SPDX-License-Identifier: MIT */
/* vmmu_translate() and its batch. Template, part of range_impl.h. */
#ifndef VMMU_RANGE_TRANSLATE_IMPL_H
#define VMMU_RANGE_TRANSLATE_IMPL_H

#include "base/sync_reader.h"

/* Addresses whose cache misses are overlapped. */
#define TRANSLATE_BATCH 32

/* What the leaf PTE at LEVEL makes of gpa. */
static inline uint64_t translate_leaf(uint64_t pte, unsigned level, uint64_t gpa)
{
	uint64_t bytes = range_bytes(level) << leaf_group_lg2(pte, level);

	return fmt_leaf_pfn(pte, level) << fmt_geometry.page_shift | (gpa & (bytes - 1));
}

/* A walk that ended above level 1. */
static __attribute__((noinline, cold)) uint64_t translate_early(uint64_t pte, unsigned level,
								uint64_t gpa)
{
	if (fmt_classify(pte, level) != VMMU_ENTRY_LEAF)
		return VMMU_NOT_MAPPED;
	return translate_leaf(pte, level, gpa);
}

/*
 * Loads are ordered by the addresses that they depend on; pairs with the funnel's release stores.
 */
static inline __attribute__((always_inline)) uint64_t translate_walk(
	const _Atomic uint64_t *entries, uint64_t offset, uint64_t gpa)
{
	uint64_t pte;

	if (unlikely(gpa >> fmt_geometry.gpa_bits))
		return VMMU_NOT_MAPPED;
#pragma GCC unroll 5
	for (unsigned level = fmt_geometry.levels; level > 1; level--) {
		pte = atomic_load_explicit(entries + range_index(gpa, level), memory_order_relaxed);
		if (unlikely(fmt_classify(pte, level) != VMMU_ENTRY_TABLE))
			return translate_early(pte, level, gpa);
		entries = range_below(pte, level, offset);
	}
	pte = atomic_load_explicit(entries + range_index(gpa, 1), memory_order_relaxed);
	if (unlikely(fmt_classify(pte, 1) != VMMU_ENTRY_LEAF))
		return VMMU_NOT_MAPPED;
	return translate_leaf(pte, 1, gpa);
}

static uint64_t range_translate(const struct vmmu_reader *reader, uint64_t gpa)
{
	return translate_walk(reader->root, reader->offset, gpa);
}

static uint64_t range_translate_once(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa)
{
	const struct frame_pool *frames = &vm->tree.frames;
	uint64_t hpa = VMMU_NOT_MAPPED;
	struct table *root;

	sync_reader_enter();
	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (likely(root != NULL))
		hpa = translate_walk(tree_entries(&vm->tree, root),
				     (uint64_t)(uintptr_t)frames->base - frames->hpa, gpa);
	sync_reader_leave();
	return hpa;
}

/*
 * COUNT <= TRANSLATE_BATCH addresses, level by level: the loads of one level wait for memory
 * together.
 */
static inline void translate_some(const struct vmmu_reader *reader, const uint64_t *gpas,
				  uint64_t *hpas, size_t count)
{
	const _Atomic uint64_t *at[TRANSLATE_BATCH];

	for (size_t i = 0; i < count; i++) {
		const _Atomic uint64_t *root = reader->root;
		bool is_beyond = gpas[i] >> fmt_geometry.gpa_bits;

		at[i] = is_beyond ? NULL : root + range_index(gpas[i], fmt_geometry.levels);
		hpas[i] = is_beyond ? VMMU_NOT_MAPPED : gpas[i];
	}
#pragma GCC unroll 5
	for (unsigned level = fmt_geometry.levels; level; level--) {
		for (size_t i = 0; i < count; i++) {
			enum vmmu_entry_kind kind;
			uint64_t pte;

			if (!at[i])
				continue;
			pte = atomic_load_explicit(at[i], memory_order_relaxed);
			kind = fmt_classify(pte, level);
			if (level > 1 && likely(kind == VMMU_ENTRY_TABLE)) {
				at[i] = range_below(pte, level, reader->offset) +
					range_index(hpas[i], level - 1);
				__builtin_prefetch((const void *)at[i]);
				continue;
			}
			hpas[i] = kind == VMMU_ENTRY_LEAF ? translate_leaf(pte, level, hpas[i])
							  : VMMU_NOT_MAPPED;
			at[i] = NULL;
		}
	}
}

static void range_translate_batch(const struct vmmu_reader *reader, const uint64_t *gpas,
				  uint64_t *hpas, size_t count)
{
	for (size_t done = 0; done < count; done += TRANSLATE_BATCH) {
		size_t some = count - done < TRANSLATE_BATCH ? count - done : TRANSLATE_BATCH;

		translate_some(reader, gpas + done, hpas + done, some);
	}
}

#endif
