/* SPDX-License-Identifier: MIT */
/* Groups of 16 in a table of one format, from inside: SUITE names the tests. */
#include "walker/bench.h"

#define FIRST 32u /* gfn of a group's first place */
#define PFN   4096u

struct group_bench {
	struct bench bench;
	struct tree_books books;
	struct table *table;
	struct entry_ref inside; /* some place of the group */
	uint64_t leaf;           /* for it, alone */
};

static void group_open(struct group_bench *group)
{
	bench_open(&group->bench);
	group->bench.tree.hooks.event = NULL;
	group->books = (struct tree_books){0};
	group->table = bench_table(&group->bench, 0, 0, 1);
	group->inside = table_ref(&group->bench.tree, group->table, FIRST + 5);
	group->leaf = bench_leaf(PFN + FIRST + 5, 1);
}

static uint64_t entry_at(struct group_bench *group, uint64_t gfn)
{
	return pte_load(table_ref(&group->bench.tree, group->table, gfn).ptep);
}

Test(SUITE, put_beside_others__is_counted_and_says_so)
{
	struct group_bench group;

	group_open(&group);
	cr_assert(funnel_put_group(&group.bench.tree, &group.books, &group.inside, group.leaf));
	cr_assert_eq(group.books.leaves[1], 16);
	cr_assert(group.table->flags & TABLE_GROUPED);
	for (uint64_t gfn = FIRST; gfn < FIRST + 16; gfn++) {
		cr_assert_eq(entry_group_lg2(entry_at(&group, gfn), 1), 4);
		cr_assert_eq(leaf_frame(entry_at(&group, gfn), gfn, 1), PFN + gfn);
	}
	cr_assert_eq(entry_at(&group, FIRST - 1), 0);
	cr_assert_eq(entry_at(&group, FIRST + 16), 0);
	cr_assert_eq(group.bench.flush_count, 0);
	bench_close(&group.bench);
}

Test(SUITE, put_with_a_page_in_the_way__leaves_no_trace)
{
	struct group_bench group;
	struct entry_ref other;

	group_open(&group);
	other = table_ref(&group.bench.tree, group.table, FIRST + 9);
	funnel_set(&group.bench.tree, &other, bench_leaf(77, 1));
	cr_assert_not(funnel_put_group(&group.bench.tree, &group.books, &group.inside, group.leaf));
	for (uint64_t gfn = FIRST; gfn < FIRST + 16; gfn++)
		cr_assert_eq(entry_at(&group, gfn), gfn == FIRST + 9 ? bench_leaf(77, 1) : 0);
	cr_assert_eq(group.books.leaves[1], 0);
	bench_close(&group.bench);
}

Test(SUITE, taken_apart_beside_others__frozen_while_it_is_flushed)
{
	struct group_bench group;

	group_open(&group);
	cr_assert(funnel_put_group(&group.bench.tree, &group.books, &group.inside, group.leaf));
	group.bench.watched = table_ref(&group.bench.tree, group.table, FIRST + 15).ptep;
	cr_assert(funnel_break_shared(&group.bench.tree, &group.books, &group.inside));
	bench_expect_flushed(&group.bench, 1, FIRST, FIRST + 16);
	cr_assert_eq(group.bench.seen, fmt_make_frozen(1));
	for (uint64_t gfn = FIRST; gfn < FIRST + 16; gfn++)
		cr_assert_eq(entry_at(&group, gfn), bench_leaf(PFN + gfn, 1));
	cr_assert_eq(group.books.ungrouped, 1);
	cr_assert_eq(group.books.leaves[1], 16);
	/* once */
	cr_assert_not(funnel_break_shared(&group.bench.tree, &group.books, &group.inside));
	cr_assert_eq(group.bench.flush_count, 1);
	bench_close(&group.bench);
}

/* Somebody has it, to put it there or to take it apart. */
Test(SUITE, first_member_frozen__is_left_alone)
{
	struct group_bench group;
	struct entry_ref first;

	group_open(&group);
	first = group_first(&group.inside);
	cr_assert_eq(first.gfn, FIRST);
	atomic_store(first.ptep, fmt_make_frozen(1));
	cr_assert_not(funnel_put_group(&group.bench.tree, &group.books, &group.inside, group.leaf));
	cr_assert_not(funnel_break_shared(&group.bench.tree, &group.books, &group.inside));
	cr_assert_eq(entry_at(&group, FIRST), fmt_make_frozen(1));
	for (uint64_t gfn = FIRST + 1; gfn < FIRST + 16; gfn++)
		cr_assert_eq(entry_at(&group, gfn), 0);
	bench_close(&group.bench);
}

/* Three groups, of which the middle one is none: one flush for all. */
Test(SUITE, taken_apart_together__what_is_no_group_stays)
{
	struct group_bench group;
	struct entry_ref low, middle, high;

	group_open(&group);
	low = table_ref(&group.bench.tree, group.table, 0);
	middle = table_ref(&group.bench.tree, group.table, 16 + 3);
	high = group.inside;
	funnel_fill_group(&group.bench.tree, &low, bench_leaf(PFN, 1));
	funnel_set(&group.bench.tree, &middle,
		   fmt_make_mmio((struct vmmu_mmio){.gfn = 19, .access = VMMU_RWX}, 1));
	funnel_fill_group(&group.bench.tree, &high, group.leaf);
	cr_assert_eq(group.bench.tree.leaves[1], 32);
	cr_assert_eq(group.table->used, 33);
	low.ptep += 7;
	low.gfn += 7;
	group_break(&group.bench.tree, &low, FIRST - 7 + 1);
	bench_expect_flushed(&group.bench, 1, 0, FIRST + 16);
	cr_assert_eq(fmt_classify(entry_at(&group, 19), 1), VMMU_ENTRY_MMIO);
	cr_assert_eq(entry_at(&group, 7), bench_leaf(PFN + 7, 1));
	cr_assert_eq(entry_at(&group, FIRST + 15), bench_leaf(PFN + FIRST + 15, 1));
	cr_assert_eq(group.bench.tree.ungrouped, 2);
	cr_assert_eq(group.bench.tree.leaves[1], 32);
	cr_assert_eq(group.table->used, 33);
	group_break(&group.bench.tree, &low, 16);
	cr_assert_eq(group.bench.flush_count, 1);
	bench_close(&group.bench);
}

Test(SUITE, member_changed_by_itself__is_a_bug)
{
	struct group_bench group;

	group_open(&group);
	funnel_fill_group(&group.bench.tree, &group.inside, group.leaf);
	cr_assert_eq(group.bench.bugs, 0);
	funnel_update(&group.bench.tree, &group.inside, fmt_write_protect);
	cr_assert_eq(group.bench.bugs, 1);
	bench_close(&group.bench);
}

Test(SUITE, aged__all_members_and_nobody_else)
{
	struct group_bench group;
	struct entry_ref other;

	group_open(&group);
	other = table_ref(&group.bench.tree, group.table, FIRST + 16);
	funnel_fill_group(&group.bench.tree, &group.inside, group.leaf);
	funnel_set(&group.bench.tree, &other, bench_leaf(77, 1));
	cr_assert(funnel_age(&group.bench.tree, &group.inside));
	for (uint64_t gfn = FIRST; gfn < FIRST + 16; gfn++)
		cr_assert_not(fmt_is_accessed(entry_at(&group, gfn), 1));
	cr_assert(fmt_is_accessed(pte_load(other.ptep), 1));
	cr_assert_not(funnel_age(&group.bench.tree, &group.inside));
	cr_assert_eq(group.bench.flush_count, 0);
	bench_close(&group.bench);
}
