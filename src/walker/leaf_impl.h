/* SPDX-License-Identifier: MIT */
/* Leaves taken apart and put together again. Template: include after a format header. */
#ifndef VMMU_WALKER_LEAF_IMPL_H
#define VMMU_WALKER_LEAF_IMPL_H

#include "base/wide.h"
#include "walker/funnel_impl.h"

/* What LEAF at LEVEL is made of. */
static inline struct vmmu_leaf leaf_parts(uint64_t leaf, unsigned level)
{
	return (struct vmmu_leaf){
		.pfn = fmt_leaf_pfn(leaf, level),
		.access = fmt_access(leaf, level),
		.memtype = fmt_memtype(leaf, level),
		.host_writable = fmt_host_writable(leaf, level),
		.mmu_writable = fmt_mmu_writable(leaf, level),
		.accessed = fmt_is_accessed(leaf, level),
		.dirty = fmt_is_dirty(leaf, level),
	};
}

/* A leaf of PARTS; an aged one too where hardware knows no accessed bit. */
static inline uint64_t leaf_make(struct vmmu_leaf parts, unsigned level)
{
	uint64_t leaf = fmt_make_leaf(parts, level);

	return parts.accessed ? leaf : fmt_clear_accessed(leaf, level);
}

/*
 * COUNT entries at LEVEL: LEAF and those of the frames that follow. Nobody sees them yet.
 */
static inline void leaf_fill(uint64_t *entries, uint64_t count, uint64_t leaf, unsigned level)
{
#ifdef FMT_LINEAR_PFN
	wide_fill(entries, count, leaf, fmt_leaf_with_pfn(0, level_gfns(level), level));
#else
	struct vmmu_leaf parts = leaf_parts(leaf, level);

	for (uint64_t i = 0; i < count; i++, parts.pfn += level_gfns(level)) {
		entries[i] = leaf_make(parts, level);
		if (leaf_group_lg2(leaf, level))
			entries[i] = leaf_grouped(entries[i], level);
	}
#endif
}

#endif
