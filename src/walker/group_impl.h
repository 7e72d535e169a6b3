/* SPDX-License-Identifier: MIT */
/*
 * Groups of leaves that a TLB may hold as one (Arm's contiguous bit, Svnapot): put there, aged and
 * taken apart. Part of the funnel. Template, part of funnel_impl.h.
 *
 * All members say the same but for their places, and have WRITE if they may: no member changes
 * alone, but for its accessed bit, which hardware too may set in just one. Any other change of one
 * begins with group_break(): all members go at once before any comes back (the contiguous bit
 * changes by break-before-make alone, Arm ARM D8 "Translation table entry changes"; RISC-V advises
 * the same, Svnapot), as a TLB must not find some in the group and some out of it. Lockless readers
 * meet frozen entries meanwhile. Only what takes all members away may do so one by one.
 *
 * In tdp roots, beside others, a group belongs to whoever freezes its first member:
 *
 * 	puts a group                       takes a group apart             buries the table
 * 	first: absent -> frozen            first: member -> frozen         exchanges each entry,
 * 	others: absent -> frozen; one      others: exchanged for frozen    from the first on, and
 * 	that is not: all back              flush                           waits at one that is
 * 	members stored                     leaves stored                   frozen already
 *
 * Whoever finds the first frozen goes away; who buries waits there, so nobody is in the middle of a
 * group that another one has. Aging and its repair change single bits of members by
 * compare-exchange, which fails on what is frozen.
 */
#ifndef VMMU_WALKER_GROUP_IMPL_H
#define VMMU_WALKER_GROUP_IMPL_H

/* Groups that are taken apart at once. */
#define FUNNEL_GROUPS 64

/* gfns that a group at LEVEL covers, or an entry where there are no groups. */
static inline uint64_t group_gfns(unsigned level)
{
	return level_gfns(level) << level_group_lg2(level);
}

/* lg2 entries of the group that PTE, of any kind, belongs to; 0: none. */
static inline unsigned entry_group_lg2(uint64_t pte, unsigned level)
{
	if (!level_group_lg2(level) || fmt_classify(pte, level) != VMMU_ENTRY_LEAF)
		return 0;
	return leaf_group_lg2(pte, level);
}

/* The first place of the group that REF, if its leaf is in one, belongs to. */
static inline struct entry_ref group_first(const struct entry_ref *ref)
{
	uint64_t index = ref->gfn / level_gfns(ref->level) &
			 (BIT64(level_group_lg2(ref->level)) - 1);

	return (struct entry_ref){.table = ref->table,
				  .ptep = ref->ptep - index,
				  .gfn = ref->gfn - index * level_gfns(ref->level),
				  .level = ref->level};
}

/* Each place of the group that REF belongs to; AT is a struct entry_ref that the loop declares. */
#define group_for_each(ref, at)                                       \
	for (struct entry_ref at = group_first(ref), at##_first = at; \
	     at.gfn - at##_first.gfn < group_gfns(at.level);          \
	     at.ptep++, at.gfn += level_gfns(at.level))

/* Before an entry of TABLE can be in a group, its table says that one may be. */
static inline void group_note(struct table *table)
{
	if (!(atomic_load_explicit(&table->flags, memory_order_relaxed) & TABLE_GROUPED))
		atomic_fetch_or_explicit(&table->flags, TABLE_GROUPED, memory_order_relaxed);
}

/* What stands at AT if LEAF, alone at some place of the same group, becomes a group with it. */
static inline uint64_t group_member_at(uint64_t leaf, const struct entry_ref *at)
{
	uint64_t member = leaf_grouped(leaf, at->level);

	return leaf_grouped(leaf_alone(member, at->gfn, at->level), at->level);
}

/* Is nothing at all at the places of REF's group? */
static inline bool group_is_absent(const struct entry_ref *ref)
{
	group_for_each(ref, at) if (pte_load(at.ptep) != fmt_make_absent(at.level)) return false;
	return true;
}

/*
 * Exclusive: LEAF, which stands for REF, and the leaves of the frames around it become a group, all
 * of whose places are absent. No flush can be due but a local one.
 */
static inline void funnel_fill_group(struct tree *tree, const struct entry_ref *ref, uint64_t leaf)
{
	group_note(ref->table);
	ref->table->has_volatile |= fmt_is_volatile(leaf, ref->level);
	group_for_each(ref, at) funnel_fill(tree, &at, group_member_at(leaf, &at));
}

/* Shared: what was frozen of REF's group before AT is absent again. */
static inline void group_thaw(const struct entry_ref *ref, const struct entry_ref *end)
{
	group_for_each(ref, at)
	{
		if (at.ptep == end->ptep)
			break;
		funnel_thaw(&at);
	}
}

/* Shared, with books: the same as funnel_fill_group(). False: not all are absent. */
static inline bool funnel_put_group(const struct tree *tree, struct tree_books *books,
				    const struct entry_ref *ref, uint64_t leaf)
{
	unsigned level = ref->level;

	group_for_each(ref, at)
	{
		uint64_t found = fmt_make_absent(level);

		if (atomic_compare_exchange_strong_explicit(at.ptep, &found, fmt_make_frozen(level),
							    memory_order_acq_rel,
							    memory_order_acquire))
			continue;
		group_thaw(ref, &at);
		return false;
	}
	group_note(ref->table);
	group_for_each(ref, at)
	{
		uint64_t member = group_member_at(leaf, &at);

		atomic_store_explicit(at.ptep, member, memory_order_release);
		funnel_event(tree, &at, fmt_make_absent(level), member);
	}
	books->leaves[level] += BIT64(level_group_lg2(level));
	return true;
}

/* Flush COUNT groups from FIRST on now. */
static inline void group_flush_now(const struct tree *tree, const struct entry_ref *first,
				   uint64_t count)
{
	struct vmmu_flush flush = {.gfn_start = first->gfn,
				   .gfn_end = first->gfn + count * group_gfns(first->level),
				   .as_id = first->table->as_id};

	tree->hooks.flush(tree->hooks.ctx, &flush);
}

/*
 * The owner of the frozen group of REF: its places hold leaves that stand alone from now on, as
 * MEMBER, one that it had.
 */
static inline void group_put_alone(const struct tree *tree, const struct entry_ref *ref,
				   uint64_t member)
{
	group_for_each(ref, at)
	{
		uint64_t new_pte = leaf_alone(member, at.gfn, at.level);

		atomic_store_explicit(at.ptep, new_pte, memory_order_release);
		funnel_event(tree, &at, fmt_make_frozen(at.level), new_pte);
	}
}

/*
 * Exclusive: freeze the members of the group at FIRST, if there is one. An accessed bit that
 * changes just now is lost, a sample of aging's. Returns the first member, or 0.
 */
static inline uint64_t group_freeze(const struct tree *tree, const struct entry_ref *first)
{
	uint64_t frozen = fmt_make_frozen(first->level), member = pte_load(first->ptep);

	if (!entry_group_lg2(member, first->level))
		return 0;
	group_for_each(first, at)
	{
		uint64_t old_pte = pte_load(at.ptep);

		atomic_store_explicit(at.ptep, frozen, memory_order_release);
		funnel_event(tree, &at, old_pte, frozen);
	}
	return member;
}

/*
 * Exclusive: COUNT groups, FUNNEL_GROUPS at most, the first of which begins at FIRST, become leaves
 * that stand alone and map the same; places of no group are left as they are. One flush for all.
 */
static inline void funnel_ungroup(struct tree *tree, const struct entry_ref *first, uint64_t count)
{
	struct entry_ref at = *first;
	uint64_t member[FUNNEL_GROUPS], entries = BIT64(level_group_lg2(first->level));
	uint64_t broken = 0;

	for (uint64_t i = 0; i < count; i++) {
		member[i] = group_freeze(tree, &at);
		broken += member[i] != 0;
		at.ptep += entries;
		at.gfn += group_gfns(at.level);
	}
	if (!broken)
		return;
	tree->ungrouped += broken;
	group_flush_now(tree, first, count);
	at = *first;
	for (uint64_t i = 0; i < count; i++) {
		if (member[i])
			group_put_alone(tree, &at, member[i]);
		at.ptep += entries;
		at.gfn += group_gfns(at.level);
	}
}

/*
 * Exclusive: freeze the places of the group at FIRST, which holds leaves that stand alone, or
 * nothing. An accessed bit, and WRITE, that come just now are lost: the group will have them.
 */
static inline void group_take(struct tree *tree, const struct entry_ref *first)
{
	uint64_t frozen = fmt_make_frozen(first->level);

	group_for_each(first, at)
	{
		uint64_t old_pte = atomic_exchange_explicit(at.ptep, frozen, memory_order_acq_rel);

		funnel_count(tree, &at, spte_effects(old_pte, frozen, at.level));
		funnel_event(tree, &at, old_pte, frozen);
	}
}

/* Exclusive: the frozen places of the group at FIRST hold LEAF's group. */
static inline void group_put(struct tree *tree, const struct entry_ref *first, uint64_t leaf)
{
	uint64_t frozen = fmt_make_frozen(first->level);

	group_note(first->table);
	group_for_each(first, at)
	{
		uint64_t member = group_member_at(leaf, &at);

		first->table->has_volatile |= fmt_is_volatile(member, at.level);
		atomic_store_explicit(at.ptep, member, memory_order_release);
		funnel_count(tree, &at, spte_effects(frozen, member, at.level));
		funnel_event(tree, &at, frozen, member);
	}
}

/*
 * Exclusive: of COUNT groups, FUNNEL_GROUPS at most, the first of which begins at BEGIN, those
 * whose LEAF is not 0 come to be: it stands for what is mapped there, by leaves that stand alone,
 * and for what is not. One flush for all.
 */
static inline void funnel_group(struct tree *tree, const struct entry_ref *begin,
				const uint64_t *leaf, uint64_t count)
{
	uint64_t entries = BIT64(level_group_lg2(begin->level)), taken = 0;
	struct entry_ref at = *begin;

	for (uint64_t i = 0; i < count; i++, at.ptep += entries, at.gfn += group_gfns(at.level)) {
		if (!leaf[i])
			continue;
		group_take(tree, &at);
		taken++;
	}
	if (!taken)
		return;
	group_flush_now(tree, begin, count); /* frozen: no TLB meets a member before */
	at = *begin;
	for (uint64_t i = 0; i < count; i++, at.ptep += entries, at.gfn += group_gfns(at.level))
		if (leaf[i])
			group_put(tree, &at, leaf[i]);
}

/*
 * Exclusive: COUNT entries from REF on, all of one table, are about to change: groups that they are
 * in stand alone from now on. Costs a look at the table where it has no groups, nothing in formats
 * without.
 */
static inline void group_break(struct tree *tree, const struct entry_ref *ref, uint64_t count)
{
	unsigned lg2 = level_group_lg2(ref->level);
	struct entry_ref first;

	if (!lg2 || likely(!(atomic_load_explicit(&ref->table->flags, memory_order_relaxed) &
			     TABLE_GROUPED)))
		return;
	first = group_first(ref);
	count = align_up(count + (uint64_t)(ref->ptep - first.ptep), BIT64(lg2)) >> lg2;
	while (count) {
		uint64_t some = min_u64(count, FUNNEL_GROUPS);

		funnel_ungroup(tree, &first, some);
		first.ptep += some << lg2;
		first.gfn += some * group_gfns(ref->level);
		count -= some;
	}
}

/*
 * Shared, with books: the group that REF is in stands alone from now on, flushed. False: there is
 * none any more, or somebody else has it.
 */
static inline bool funnel_break_shared(const struct tree *tree, struct tree_books *books,
				       const struct entry_ref *ref)
{
	struct entry_ref first = group_first(ref);
	uint64_t frozen = fmt_make_frozen(ref->level), member = pte_load(first.ptep);

	do {
		if (!entry_group_lg2(member, ref->level))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		first.ptep, &member, frozen, memory_order_acq_rel, memory_order_acquire));
	funnel_event(tree, &first, member, frozen);
	group_for_each(ref, at)
	{
		if (at.ptep == first.ptep)
			continue;
		funnel_event(tree, &at,
			     atomic_exchange_explicit(at.ptep, frozen, memory_order_acq_rel),
			     frozen);
	}
	group_flush_now(tree, &first, 1); /* frozen: nobody makes them anew meanwhile */
	group_put_alone(tree, &first, member);
	books->ungrouped++;
	return true;
}

/*
 * Shared: clear the accessed bit of the leaf at REF, if one is there, and of all others of its
 * group: it is used as one, like a large page. True: one was set. As funnel_age_one().
 */
static inline bool funnel_age(const struct tree *tree, const struct entry_ref *ref)
{
	uint64_t pte = pte_load(ref->ptep);
	bool is_any = false;

	if (likely(!entry_group_lg2(pte, ref->level)))
		return funnel_age_one(tree, ref);
	/* Nearly always so are the others: the first of its pages that was asked about did it. */
	if (!fmt_is_accessed(pte, ref->level))
		return false;
	group_for_each(ref, at) is_any |= funnel_age_one(tree, &at);
	return is_any;
}

#endif
