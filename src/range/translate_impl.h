/* SPDX-License-Identifier: MIT */
/* vmmu_translate() and its batch. Template, part of range_impl.h. */
#ifndef VMMU_RANGE_TRANSLATE_IMPL_H
#define VMMU_RANGE_TRANSLATE_IMPL_H

#include "base/sanitize.h"
#include "base/sync_reader.h"

/* Addresses whose cache misses are overlapped. */
#define TRANSLATE_BATCH 32

/*
 * Of loads of entries: each is ordered behind that of the table's own entry by its address, which
 * CPUs keep. ThreadSanitizer does not see that.
 */
#if BASE_HAS_TSAN
#define TRANSLATE_ORDER memory_order_acquire
#else
#define TRANSLATE_ORDER memory_order_relaxed
#endif

/* What the leaf PTE at LEVEL makes of gpa. */
static inline uint64_t translate_leaf(uint64_t pte, unsigned level, uint64_t gpa)
{
	uint64_t bytes = range_bytes(level) << leaf_group_lg2(pte, level);

	return fmt_leaf_pfn(pte, level) << FMT_SHIFT(1) | (gpa & (bytes - 1));
}

/* The end of a walk that met PTE at LEVEL, which is not what it mostly is. */
static __attribute__((noinline, cold)) uint64_t translate_rest(uint64_t pte, unsigned level,
							       uint64_t offset, uint64_t gpa)
{
	while (level > 1 && fmt_classify(pte, level) == VMMU_ENTRY_TABLE) {
		const _Atomic uint64_t *entries = range_below(pte, level, offset);

		level--;
		pte = atomic_load_explicit(entries + range_index(gpa, level), TRANSLATE_ORDER);
	}
	if (fmt_classify(pte, level) != VMMU_ENTRY_LEAF)
		return VMMU_NOT_MAPPED;
	return translate_leaf(pte, level, gpa);
}

/* How far a walk got by glances: the entry that needs a closer look. */
struct translate_stop {
	uint64_t pte;
	unsigned level;
};

/*
 * Walk by glances to gpa, whose hpa is then in *hpa. False: *stop says where a closer look is
 * needed. Loads, TRANSLATE_ORDER, pair with the funnel's release stores.
 */
static inline __attribute__((always_inline)) bool translate_glance(const _Atomic uint64_t *root,
								   uint64_t offset, uint64_t gpa,
								   uint64_t *hpa,
								   struct translate_stop *stop)
{
	unsigned levels = fmt_geometry.levels;
	uint64_t top = range_top(gpa, levels), pte;
	const _Atomic uint64_t *ptep;

	if (unlikely(top >= range_top_limit(levels))) {
		*stop = (struct translate_stop){fmt_make_absent(1), 1};
		return false;
	}
	ptep = root + top;
#pragma GCC unroll 5
	for (unsigned level = FMT_LEVELS_MAX; level > 1; level--) {
		if (level > levels)
			continue;
		pte = atomic_load_explicit(ptep, TRANSLATE_ORDER);
		if (unlikely(!spte_is_surely_table(pte, level))) {
			*stop = (struct translate_stop){pte, level};
			return false;
		}
		ptep = range_at(fmt_table_hpa(pte, level), range_place(gpa, level - 1, offset));
	}
	pte = atomic_load_explicit(ptep, TRANSLATE_ORDER);
	*stop = (struct translate_stop){pte, 1};
	if (unlikely(!spte_is_surely_leaf(pte)))
		return false;
	*hpa = translate_leaf(pte, 1, gpa);
	return true;
}

static inline __attribute__((always_inline)) uint64_t translate_walk(const _Atomic uint64_t *root,
								     uint64_t offset, uint64_t gpa)
{
	struct translate_stop stop;
	uint64_t hpa;

	if (likely(translate_glance(root, offset, gpa, &hpa, &stop)))
		return hpa;
	return translate_rest(stop.pte, stop.level, offset, gpa);
}

static uint64_t range_translate(const struct vmmu_reader *reader, uint64_t gpa)
{
	return translate_walk(reader->root, reader->offset, gpa);
}

/* The end of translate_rest()'s walk and of a light section. */
static __attribute__((noinline, cold)) uint64_t translate_rest_once(uint64_t pte, unsigned level,
								    uint64_t offset, uint64_t gpa)
{
	return sync_reader_leave_light(translate_rest(pte, level, offset, gpa));
}

static inline uint64_t translate_offset(const struct vmmu_vm *vm)
{
	return vm->tree.frames.offset;
}

/* Nested in another section, in a thread that is not registered, or on an old kernel. */
static __attribute__((noinline, cold)) uint64_t translate_once_slow(const struct vmmu_vm *vm,
								    unsigned as_id, uint64_t gpa)
{
	enum sync_section section = sync_reader_enter();
	uint64_t hpa = VMMU_NOT_MAPPED;
	const struct table *root;

	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (root)
		hpa = translate_walk(tree_entries(&vm->tree, root), translate_offset(vm), gpa);
	sync_reader_leave(section);
	return hpa;
}

/* Every way out is a call's last step: nothing is kept over a call, and no frame is needed. */
static uint64_t range_translate_once(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa)
{
	struct translate_stop stop;
	const struct table *root;
	uint64_t hpa;

	if (unlikely(!sync_reader_try_light()))
		return translate_once_slow(vm, as_id, gpa);
	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (unlikely(!root))
		return sync_reader_leave_light(VMMU_NOT_MAPPED);
	if (unlikely(!translate_glance(tree_entries(&vm->tree, root), translate_offset(vm), gpa,
				       &hpa, &stop)))
		return translate_rest_once(stop.pte, stop.level, translate_offset(vm), gpa);
	return sync_reader_leave_light(hpa);
}

/*
 * COUNT <= TRANSLATE_BATCH addresses, level by level: the loads of one level wait for memory
 * together.
 */
static inline void translate_some(const struct vmmu_reader *reader, const uint64_t *gpas,
				  uint64_t *hpas, size_t count)
{
	const _Atomic uint64_t *at[TRANSLATE_BATCH];
	unsigned levels = fmt_geometry.levels;

	for (size_t i = 0; i < count; i++) {
		const _Atomic uint64_t *root = reader->root;
		bool is_beyond = gpas[i] >> fmt_geometry.gpa_bits;

		at[i] = is_beyond ? NULL : root + range_top(gpas[i], levels);
		hpas[i] = is_beyond ? VMMU_NOT_MAPPED : gpas[i];
	}
#pragma GCC unroll 5
	for (unsigned level = FMT_LEVELS_MAX; level; level--) {
		if (level > levels)
			continue;
		for (size_t i = 0; i < count; i++) {
			uint64_t pte;

			if (!at[i])
				continue;
			pte = atomic_load_explicit(at[i], TRANSLATE_ORDER);
			if (level > 1 && likely(spte_is_surely_table(pte, level))) {
				at[i] = range_at(fmt_table_hpa(pte, level),
						 range_place(hpas[i], level - 1, reader->offset));
				__builtin_prefetch((const void *)at[i]);
				continue;
			}
			hpas[i] = level == 1 && likely(spte_is_surely_leaf(pte))
					  ? translate_leaf(pte, 1, hpas[i])
					  : translate_rest(pte, level, reader->offset, hpas[i]);
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
