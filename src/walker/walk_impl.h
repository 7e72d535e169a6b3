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

/* Where a walk came to. */
struct walk_stop {
	_Atomic uint64_t *ptep;
	uint64_t pte; /* what the entry held when the walk passed */
	unsigned level;
};

/*
 * Walk from the root whose entries are ENTRIES towards gfn (below gfn_limit()) down to level STOP
 * at the lowest. Stands at a TABLE only at STOP. The walk goes by entries alone: which tables they
 * are in is left open.
 */
static ALWAYS_INLINE struct walk_stop walk_entries(const struct tree *tree,
						   _Atomic uint64_t *entries, uint64_t gfn,
						   unsigned stop)
{
	uint64_t offset = tree->frames.offset;
	struct walk_stop at;

#pragma GCC unroll 5
	for (unsigned level = fmt_geometry.levels; level > stop; level--) {
		at.ptep = entries + table_index(gfn, level);
		at.pte = pte_load(at.ptep);
		at.level = level;
		if (unlikely(!spte_is_surely_table(at.pte, level)) &&
		    fmt_classify(at.pte, level) != VMMU_ENTRY_TABLE)
			return at;
		entries = (_Atomic uint64_t *)(uintptr_t)(fmt_table_hpa(at.pte, level) + offset);
	}
	at.ptep = entries + table_index(gfn, stop);
	at.pte = pte_load(at.ptep);
	at.level = stop;
	return at;
}

/* AT, where a walk towards gfn came to, with all that its position says. */
static ALWAYS_INLINE struct entry_ref walk_place(const struct tree *tree,
						 const struct walk_stop *at, uint64_t gfn)
{
	return (struct entry_ref){
		.table = frame_meta(&tree->frames, at->ptep - table_index(gfn, at->level)),
		.ptep = at->ptep,
		.gfn = align_down(gfn, level_gfns(at->level)),
		.level = at->level};
}

/*
 * The same from ROOT, a root of TREE: the place, and in *pte what it held. Of all tables only the
 * last one's record is found.
 */
static ALWAYS_INLINE struct entry_ref walk_to(const struct tree *tree, const struct table *root,
					      uint64_t gfn, unsigned stop, uint64_t *pte)
{
	struct walk_stop at = walk_entries(tree, tree_entries(tree, root), gfn, stop);

	*pte = at.pte;
	return walk_place(tree, &at, gfn);
}

/* Each entry of TABLE in gfn order; REF is a struct entry_ref that the loop declares. */
#define table_for_each(tree, parent, ref)                                                          \
	for (struct entry_ref ref = table_ref_at((tree), (parent), 0);                             \
	     ref.gfn - (parent)->gfn < table_entry_count((parent)->level) * level_gfns(ref.level); \
	     ref.ptep++, ref.gfn += level_gfns(ref.level))

/*
 * Shared: an entry of TABLE, of no tdp root, is about to change by a compare-exchange alone; its
 * record does not follow.
 */
static inline void table_falls_behind(struct table *table)
{
	if (!(atomic_load_explicit(&table->flags, memory_order_relaxed) & TABLE_BEHIND))
		atomic_fetch_or_explicit(&table->flags, TABLE_BEHIND, memory_order_relaxed);
}

static NEVER_INLINE void table_recount_now(const struct tree *tree, struct table *table)
{
	const _Atomic uint64_t *entries = tree_entries(tree, table);
	bool has_volatile = table->has_volatile;
	uint32_t used = 0;

	for (uint64_t i = 0; i < table_entry_count(table->level); i++) {
		uint64_t pte = pte_load(&entries[i]);

		used += pte != fmt_make_absent(table->level);
		has_volatile |= fmt_is_volatile(pte, table->level);
	}
	table->used = used;
	table->has_volatile = has_volatile;
	atomic_fetch_and_explicit(&table->flags, (uint8_t)~TABLE_BEHIND, memory_order_relaxed);
}

/* Exclusive: TABLE's record says what its entries are, before used or has_volatile is relied on. */
static inline void table_recount(const struct tree *tree, struct table *table)
{
	if (unlikely(atomic_load_explicit(&table->flags, memory_order_relaxed) & TABLE_BEHIND))
		table_recount_now(tree, table);
}

#endif
