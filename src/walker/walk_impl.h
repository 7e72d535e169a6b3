/* SPDX-License-Identifier: MIT */
/*
 * Walking: from a root towards a gfn, and over all entries of a table. Template: include after a
 * format header.
 *
 * A walk under RCU without the lock sees each entry at one moment, and tables that it reaches stay
 * readable until the section ends, linked or not.
 */
#ifndef VMMU_WALKER_WALK_IMPL_H
#define VMMU_WALKER_WALK_IMPL_H

#include "walker/funnel_impl.h"

/* Index of gfn in a table at LEVEL; a root's index takes all bits that are left. */
static inline uint64_t table_index(uint64_t gfn, unsigned level)
{
	uint64_t index = gfn >> (fmt_geometry.shift[level] - fmt_geometry.page_shift);

	return index & (BIT64(fmt_geometry.index_bits[level]) - 1);
}

/* Entries of a table at LEVEL. */
static inline uint64_t table_entry_count(unsigned level)
{
	return BIT64(fmt_geometry.index_bits[level]);
}

static inline bool level_is_leaf(unsigned level)
{
	return fmt_geometry.leaf_levels & (1u << level);
}

/* First gfn beyond what tables can translate. */
static inline uint64_t gfn_limit(void)
{
	return BIT64(fmt_geometry.gpa_bits - fmt_geometry.page_shift);
}

/* The place in TABLE that gfn goes through. gfn is below TABLE. */
static inline struct entry_ref table_ref(const struct tree *tree, struct table *table, uint64_t gfn)
{
	unsigned level = table->level;

	return (struct entry_ref){
		.table = table,
		.ptep = tree_entries(tree, table) + table_index(gfn, level),
		.gfn = align_down(gfn, level_gfns(level)),
		.level = level,
	};
}

/* Entry number INDEX of TABLE. */
static inline struct entry_ref table_ref_at(const struct tree *tree, struct table *table,
					    uint64_t index)
{
	return (struct entry_ref){
		.table = table,
		.ptep = tree_entries(tree, table) + index,
		.gfn = table->gfn + index * level_gfns(table->level),
		.level = table->level,
	};
}

/* Where PTEP, an entry of some table of TREE, stands. */
static inline struct entry_ref entry_ref_of(const struct tree *tree, _Atomic uint64_t *ptep)
{
	uint64_t offset = (uint64_t)((unsigned char *)ptep - tree->frames.base);
	uint64_t frame = align_down(offset, BIT64(tree->frames.min_lg2));
	struct table *table = frame_meta(&tree->frames, tree->frames.base + frame);

	/* Tables of more than one smallest frame keep their record with the first. */
	while (unlikely(!table->level))
		table = (struct table *)((unsigned char *)table - FRAME_META_BYTES);
	return table_ref_at(tree, table, (uint64_t)(ptep - tree_entries(tree, table)));
}

/* The table that a TABLE entry points to. */
static inline struct table *entry_child(const struct tree *tree, uint64_t pte, unsigned level)
{
	return tree_table_at(tree, fmt_table_hpa(pte, level));
}

/* The place that gfn goes through in the table at LEVEL whose entries are ENTRIES. */
static ALWAYS_INLINE struct entry_ref walk_place(const struct tree *tree, _Atomic uint64_t *entries,
						 uint64_t gfn, unsigned level)
{
	return (struct entry_ref){.table = frame_meta(&tree->frames, entries),
				  .ptep = entries + table_index(gfn, level),
				  .gfn = align_down(gfn, level_gfns(level)),
				  .level = level};
}

/*
 * Walk from ROOT, a root of TREE, towards gfn (below gfn_limit()) down to level STOP at the lowest.
 * Returns the last place reached and, in *pte, what it held when the walk passed: a TABLE only at
 * STOP. The walk goes by entries alone: of all tables only the last one's record is found.
 */
static ALWAYS_INLINE struct entry_ref walk_to(const struct tree *tree, const struct table *root,
					      uint64_t gfn, unsigned stop, uint64_t *pte)
{
	_Atomic uint64_t *entries = tree_entries(tree, root);

#pragma GCC unroll 5
	for (unsigned level = fmt_geometry.levels; level > stop; level--) {
		*pte = pte_load(entries + table_index(gfn, level));
		if (unlikely(fmt_classify(*pte, level) != VMMU_ENTRY_TABLE))
			return walk_place(tree, entries, gfn, level);
		entries = frame_ptr(&tree->frames, fmt_table_hpa(*pte, level));
	}
	*pte = pte_load(entries + table_index(gfn, stop));
	return walk_place(tree, entries, gfn, stop);
}

/* Each entry of TABLE in gfn order; REF is a struct entry_ref that the loop declares. */
#define table_for_each(tree, parent, ref)                                                          \
	for (struct entry_ref ref = table_ref_at((tree), (parent), 0);                             \
	     ref.gfn - (parent)->gfn < table_entry_count((parent)->level) * level_gfns(ref.level); \
	     ref.ptep++, ref.gfn += level_gfns(ref.level))

#endif
