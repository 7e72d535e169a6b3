/* SPDX-License-Identifier: MIT */
/*
 * The funnel in a tree of one format: SUITE names the tests. Gfns and ranges are worked out for
 * 4K pages, 512 entries a table.
 */
#include "walker/bench.h"

static struct entry_ref ref_in(struct bench *bench, struct table *table, uint64_t gfn)
{
	return table_ref(&bench->tree, table, gfn);
}

Test(SUITE, leaves_come_and_go__are_counted_by_level)
{
	struct bench bench;
	struct entry_ref small, large;

	bench_open(&bench);
	small = ref_in(&bench, bench_table(&bench, 0, 0, 1), 5);
	large = ref_in(&bench, bench_table(&bench, 0, 0, 2), 512);
	cr_assert_eq(funnel_set(&bench.tree, &small, bench_leaf(77, 1)), 0);
	cr_assert_eq(funnel_set(&bench.tree, &large, bench_leaf(1024, 2)), 0);
	cr_assert_eq(bench.tree.leaves[1], 1);
	cr_assert_eq(bench.tree.leaves[2], 1);
	cr_assert_eq(small.table->used, 1);
	/* another value for the same leaf moves no count */
	funnel_update(&bench.tree, &small, fmt_write_protect);
	cr_assert_eq(bench.tree.leaves[1], 1);
	cr_assert_eq(small.table->used, 1);
	cr_assert_eq(funnel_set(&bench.tree, &large, 0), bench_leaf(1024, 2));
	cr_assert_eq(bench.tree.leaves[1], 1);
	cr_assert_eq(bench.tree.leaves[2], 0);
	cr_assert_eq(large.table->used, 0);
	cr_assert_eq(bench.tree.links, 0);
	cr_assert_eq(bench.bugs, 0);
	bench_close(&bench);
}

Test(SUITE, tables_and_mmio_entries__have_counts_of_their_own)
{
	struct vmmu_mmio mmio = {.gfn = 6, .access = VMMU_RWX, .generation = 3};
	struct bench bench;
	struct entry_ref upper, entry;
	struct table *child;

	bench_open(&bench);
	child = bench_table(&bench, 0, 0, 1);
	upper = ref_in(&bench, bench_table(&bench, 0, 0, 2), 0);
	funnel_set(&bench.tree, &upper, fmt_make_table(tree_table_hpa(&bench.tree, child), 2));
	cr_assert_eq(bench.tree.links, 1);
	cr_assert_eq(upper.table->used, 1);
	entry = ref_in(&bench, child, 6);
	funnel_set(&bench.tree, &entry, fmt_make_mmio(mmio, 1));
	cr_assert_eq(bench.tree.mmio_entries, 1);
	cr_assert_eq(child->used, 1);
	bench_expect_nothing_owed(&bench);
	funnel_set(&bench.tree, &entry, bench_leaf(9, 1));
	cr_assert_eq(bench.tree.mmio_entries, 0);
	cr_assert_eq(bench.tree.leaves[1], 1);
	cr_assert_eq(child->used, 1);
	funnel_set(&bench.tree, &upper, 0);
	cr_assert_eq(bench.tree.links, 0);
	cr_assert_eq(upper.table->used, 0);
	/* all that the table mapped may be in a TLB */
	bench_expect_owed(&bench, 0, 0, 512);
	bench_close(&bench);
}

Test(SUITE, an_entry_that_hardware_may_change__is_remembered)
{
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 5);
	funnel_set(&bench.tree, &ref, bench_leaf(77, 1));
	cr_assert(!ref.table->has_volatile);
	funnel_update(&bench.tree, &ref, fmt_write_protect);
	cr_assert(ref.table->has_volatile, "WRITE may be given back at any time");
	bench_close(&bench);
}

Test(SUITE, what_a_change_takes_away__is_owed_exactly)
{
	struct bench bench;
	struct entry_ref small, large, other;

	bench_open(&bench);
	small = ref_in(&bench, bench_table(&bench, 0, 1536, 1), 1541);
	large = ref_in(&bench, bench_table(&bench, 0, 0, 2), 1024);
	other = ref_in(&bench, bench_table(&bench, 1, 0, 1), 7);
	funnel_set(&bench.tree, &small, bench_leaf(1, 1));
	funnel_set(&bench.tree, &large, bench_leaf(512, 2));
	funnel_set(&bench.tree, &other, bench_leaf(1, 1));
	bench_expect_nothing_owed(&bench);
	funnel_update(&bench.tree, &small, fmt_write_protect);
	bench_expect_owed(&bench, 0, 1541, 1542);
	bench_expect_owed(&bench, 1, UINT64_MAX, 0);
	funnel_set(&bench.tree, &large, 0);
	bench_expect_owed(&bench, 0, 1024, 1542);
	funnel_set(&bench.tree, &other, 0);
	bench_expect_owed(&bench, 1, 7, 8);
	cr_assert_eq(bench.flush_count, 0);
	tree_flush(&bench.tree);
	bench_expect_nothing_owed(&bench);
	bench_expect_flushed(&bench, 2, 7, 8);
	cr_assert_eq(bench.flushes[0].gfn_start, 1024);
	cr_assert_eq(bench.flushes[0].gfn_end, 1542);
	cr_assert_eq(bench.flushes[1].as_id, 1);
	tree_flush(&bench.tree);
	cr_assert_eq(bench.flush_count, 2);
	bench_close(&bench);
}

/* TLBs of Arm keep a refusal, those of x86 drop it with the fault, RISC-V's forget lazily. */
Test(SUITE, a_right_given__is_owed_on_arm_alone)
{
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 5);
	funnel_set(&bench.tree, &ref, fmt_write_protect(bench_leaf(77, 1), 1));
	funnel_update(&bench.tree, &ref, fmt_write_allow);
	if (IS_BREAK_FIRST)
		bench_expect_owed(&bench, 0, 5, 6);
	else
		bench_expect_nothing_owed(&bench);
	bench_close(&bench);
}

Test(SUITE, every_change__is_told_once)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(512, 2), protected = fmt_write_protect(leaf, 2);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 1, 0, 2), 700);
	funnel_set(&bench.tree, &ref, leaf);
	funnel_set(&bench.tree, &ref, leaf);
	cr_assert_eq(bench.event_count, 1, "the same value is no change");
	cr_assert_eq(funnel_update(&bench.tree, &ref, fmt_write_protect), leaf);
	cr_assert_eq(funnel_update(&bench.tree, &ref, fmt_write_protect), protected);
	cr_assert_eq(bench.event_count, 2);
	cr_assert(funnel_try(&bench.tree, &ref, protected, leaf));
	cr_assert_eq(bench.event_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(bench.events[i].kind, VMMU_EVENT_ENTRY_CHANGED);
		cr_assert_eq(bench.events[i].vcpu_id, ~0u);
		cr_assert_eq(bench.events[i].as_id, 1);
		cr_assert_eq(bench.events[i].level, 2);
		cr_assert_eq(bench.events[i].gfn, 512);
	}
	cr_assert_eq(bench.events[1].old_pte, leaf);
	cr_assert_eq(bench.events[1].new_pte, protected);
	cr_assert_eq(bench.events[2].new_pte, leaf);
	bench.tree.hooks.event = NULL;
	funnel_set(&bench.tree, &ref, 0);
	cr_assert_eq(bench.event_count, 3);
	bench_close(&bench);
}

/* What hardware or the lockless fix set since the value was read is not lost. */
Test(SUITE, exact_change__spares_another_value)
{
	uint64_t leaf = bench_leaf(512, 2), table = fmt_make_table(UINT64_C(1) << 32, 2);
	uint64_t protected = fmt_write_protect(leaf, 2);
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 2), 512);
	funnel_set(&bench.tree, &ref, leaf);
	cr_assert(!funnel_set_exactly(&bench.tree, &ref, protected, table));
	cr_assert_eq(*ref.ptep, leaf);
	cr_assert_eq(bench.tree.links, 0);
	cr_assert_eq(bench.flush_count, 0);
	bench_expect_nothing_owed(&bench);
	bench.watched = ref.ptep;
	cr_assert(funnel_set_exactly(&bench.tree, &ref, leaf, table));
	cr_assert_eq(*ref.ptep, table);
	cr_assert_eq(bench.tree.links, 1);
	cr_assert_eq(bench.tree.leaves[2], 0);
	cr_assert_eq(bench.bugs, 0);
	if (IS_BREAK_FIRST) {
		bench_expect_flushed(&bench, 1, 512, 1024);
		cr_assert_eq(bench.seen, fmt_make_frozen(2));
	} else {
		bench_expect_owed(&bench, 0, 512, 1024);
	}
	bench_close(&bench);
}

Test(SUITE, table_that_collapses__owes_a_flush_of_what_it_mapped)
{
	uint64_t leaf = fmt_write_protect(bench_leaf(512, 2), 2);
	uint64_t table = fmt_make_table(UINT64_C(1) << 32, 2);
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 2), 512);
	funnel_set(&bench.tree, &ref, table);
	cr_assert_eq(funnel_collapse(&bench.tree, &ref, leaf), table);
	cr_assert_eq(*ref.ptep, leaf);
	cr_assert_eq(bench.tree.links, 0);
	cr_assert_eq(bench.tree.leaves[2], 1);
	cr_assert_eq(ref.table->used, 1);
	cr_assert(ref.table->has_volatile, "WRITE may be given back at any time");
	cr_assert_eq(bench.event_count, 2);
	cr_assert_eq(bench.bugs, 0);
	bench_expect_owed(&bench, 0, 512, 1024);
	bench_close(&bench);
}

/* One change OLD -> NEW of an entry at LEVEL: is it reported as a bug? */
static void expect_bugs(unsigned level, uint64_t old_pte, uint64_t new_pte, unsigned bugs)
{
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, level), 0);
	*ref.ptep = old_pte;
	funnel_set(&bench.tree, &ref, new_pte);
	cr_assert_eq(bench.bugs, bugs, "level %u: %#llx to %#llx", level,
		     (unsigned long long)old_pte, (unsigned long long)new_pte);
	bench_close(&bench);
}

Test(SUITE, changes_that_may_not_be__are_bugs)
{
	uint64_t leaf = bench_leaf(512, 2), table = fmt_make_table(UINT64_C(1) << 32, 2);
	uint64_t forbidden = fmt_write_forbid(bench_leaf(5, 1), 1);
	struct vmmu_leaf no_host = {.pfn = 5, .access = VMMU_READ, .mmu_writable = true};

	expect_bugs(1, bench_leaf(5, 1), bench_leaf(6, 1), 1);
	expect_bugs(2, leaf, bench_leaf(1024, 2), 1);
	expect_bugs(2, table, fmt_make_table((UINT64_C(1) << 32) + 4096, 2), 1);
	expect_bugs(2, table, leaf, 1);
	expect_bugs(1, 0, forbidden | FMT_WRITE_BITS, 1);
	expect_bugs(1, 0, fmt_make_leaf(no_host, 1), 1);
}

Test(SUITE, changes_that_may_be__are_no_bugs)
{
	struct vmmu_mmio mmio = {.gfn = 0, .access = VMMU_READ};
	uint64_t leaf = bench_leaf(512, 2), table = fmt_make_table(UINT64_C(1) << 32, 2);

	expect_bugs(2, leaf, fmt_write_protect(leaf, 2), 0);
	expect_bugs(2, leaf, fmt_write_forbid(leaf, 2), 0);
	expect_bugs(2, leaf, table, 0);
	expect_bugs(2, table, 0, 0);
	expect_bugs(2, fmt_make_frozen(2), table, 0);
	expect_bugs(1, fmt_make_mmio(mmio, 1), bench_leaf(5, 1), 0);
	expect_bugs(1, bench_leaf(5, 1), fmt_make_mmio(mmio, 1), 0);
	expect_bugs(1, bench_leaf(5, 1), 0, 0);
}

/* Arm: first out, then flush, then in, and nothing is owed. Others: in, and the flush is owed. */
static void expect_break(const struct bench *bench, const struct entry_ref *ref, uint64_t new_pte,
			 uint64_t start, uint64_t end)
{
	cr_assert_eq(*ref->ptep, new_pte);
	if (IS_BREAK_FIRST) {
		bench_expect_flushed(bench, 1, start, end);
		cr_assert_eq(bench->flushes[0].as_id, 1);
		cr_assert_eq(bench->seen, fmt_make_frozen(ref->level));
		bench_expect_nothing_owed(bench);
	} else {
		cr_assert_eq(bench->flush_count, 0);
		bench_expect_owed(bench, 1, start, end);
	}
}

Test(SUITE, a_split__goes_through_a_frozen_entry_where_the_format_wants_it)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(512, 2), table = fmt_make_table(UINT64_C(1) << 32, 2);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 1, 0, 2), 1024);
	funnel_set(&bench.tree, &ref, leaf);
	bench.watched = ref.ptep;
	cr_assert_eq(funnel_set(&bench.tree, &ref, table), leaf);
	expect_break(&bench, &ref, table, 1024, 1536);
	cr_assert_eq(bench.tree.leaves[2], 0);
	cr_assert_eq(bench.tree.links, 1);
	cr_assert_eq(ref.table->used, 1);
	bench_close(&bench);
}

Test(SUITE, another_memory_type__goes_through_a_frozen_entry_where_the_format_wants_it)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(77, 1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 1, 0, 1), 9);
	funnel_set(&bench.tree, &ref, leaf);
	bench.watched = ref.ptep;
	cr_assert_eq(funnel_update(&bench.tree, &ref, bench_uncached), leaf);
	expect_break(&bench, &ref, bench_uncached(leaf, 1), 9, 10);
	cr_assert_eq(bench.tree.leaves[1], 1);
	bench_close(&bench);
}

/* What others owe is theirs: a flush in between leaves it. */
Test(SUITE, a_flush_at_once__leaves_what_is_owed)
{
	struct bench bench;
	struct entry_ref ref;

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 9);
	funnel_set(&bench.tree, &ref, bench_leaf(77, 1));
	tree_owe_flush(&bench.tree, 0, 100, 200);
	cr_assert(funnel_try(&bench.tree, &ref, *ref.ptep, fmt_write_protect(*ref.ptep, 1)));
	bench_expect_flushed(&bench, 1, 9, 10);
	bench_expect_owed(&bench, 0, 100, 200);
	bench_close(&bench);
}

Test(SUITE, shared_and_the_value_changed__nothing_is_done)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(77, 1), protected = fmt_write_protect(leaf, 1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 9);
	funnel_set(&bench.tree, &ref, leaf);
	bench.event_count = 0;
	cr_assert(!funnel_try(&bench.tree, &ref, protected, leaf));
	cr_assert(!funnel_try(&bench.tree, &ref, protected, bench_uncached(protected, 1)));
	cr_assert_eq(*ref.ptep, leaf);
	cr_assert_eq(bench.event_count, 0);
	cr_assert_eq(bench.flush_count, 0);
	bench_close(&bench);
}

Test(SUITE, shared_and_frozen__stays_with_who_froze_it)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t frozen = fmt_make_frozen(1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 9);
	*ref.ptep = frozen;
	cr_assert(!funnel_try(&bench.tree, &ref, frozen, bench_leaf(77, 1)));
	cr_assert(!funnel_try(&bench.tree, &ref, frozen, frozen));
	cr_assert_eq(*ref.ptep, frozen);
	bench_close(&bench);
}

Test(SUITE, shared__the_flush_is_done_on_return)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(77, 1), protected = fmt_write_protect(leaf, 1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 1, 0, 1), 9);
	funnel_set(&bench.tree, &ref, protected);
	cr_assert(funnel_try(&bench.tree, &ref, protected, leaf));
	cr_assert_eq(*ref.ptep, leaf);
	cr_assert_eq(bench.flush_count, IS_BREAK_FIRST);
	cr_assert(funnel_try(&bench.tree, &ref, leaf, protected));
	bench_expect_flushed(&bench, IS_BREAK_FIRST + 1u, 9, 10);
	cr_assert_eq(bench.flushes[0].as_id, 1);
	bench_expect_nothing_owed(&bench);
	bench_close(&bench);
}

Test(SUITE, shared_and_another_memory_type__goes_through_a_frozen_entry)
{
	struct bench bench;
	struct entry_ref ref;
	uint64_t leaf = bench_leaf(77, 1), uncached = bench_uncached(leaf, 1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 9);
	funnel_set(&bench.tree, &ref, leaf);
	bench.watched = ref.ptep;
	cr_assert(funnel_try(&bench.tree, &ref, leaf, uncached));
	cr_assert_eq(*ref.ptep, uncached);
	bench_expect_flushed(&bench, 1, 9, 10);
	cr_assert_eq(bench.seen, IS_BREAK_FIRST ? fmt_make_frozen(1) : uncached);
	bench_close(&bench);
}

Test(SUITE, the_short_ways__keep_the_same_books)
{
	struct bench bench;
	struct entry_ref ref, next;
	uint64_t leaf = bench_leaf(77, 1);

	bench_open(&bench);
	ref = ref_in(&bench, bench_table(&bench, 0, 0, 1), 9);
	next = ref_in(&bench, ref.table, 11);
	funnel_fill(&bench.tree, &ref, leaf);
	funnel_fill(&bench.tree, &next, fmt_write_protect(leaf, 1));
	cr_assert_eq(*ref.ptep, leaf);
	cr_assert_eq(bench.tree.leaves[1], 2);
	cr_assert_eq(ref.table->used, 2);
	cr_assert_eq(bench.event_count, 2);
	cr_assert_eq(bench.events[0].old_pte, 0);
	cr_assert_eq(bench.events[0].new_pte, leaf);
	for (unsigned i = 0; i < 2; i++) {
		struct entry_ref *at = i ? &ref : &next;

		/* one that is volatile, or a listener: not that simple */
		cr_assert(!funnel_can_clear(&bench.tree, fmt_clear_accessed(leaf, 1), 1));
		cr_assert_eq(funnel_can_clear(&bench.tree, leaf, 1), i);
		cr_assert(!funnel_can_clear(&bench.tree, fmt_write_protect(leaf, 1), 1));
		funnel_clear(&bench.tree, at);
		cr_assert_eq(*at->ptep, 0);
		cr_assert_eq(bench.tree.leaves[1], 1 - i);
		cr_assert_eq(ref.table->used, 1 - i);
		bench_expect_owed(&bench, 0, i ? 9 : 11, 12);
		cr_assert_eq(bench.event_count, 2);
		bench.tree.hooks.event = NULL;
	}
	bench_close(&bench);
}

/* A plain store suffices to give WRITE only where nobody else sets bits. */
Test(SUITE, a_plain_grant__only_where_nothing_else_is_due)
{
	struct bench bench;
	uint64_t leaf = fmt_write_protect(bench_leaf(77, 1), 1);
	_Atomic uint64_t entry = leaf;

	bench_open(&bench);
	cr_assert(funnel_can_grant(leaf));
	cr_assert(!funnel_can_grant(fmt_clear_accessed(leaf, 1)));
	cr_assert(!funnel_can_grant(fmt_write_forbid(leaf, 1)));
	cr_assert(!funnel_can_grant(fmt_make_absent(1)));
	/* Arm may have cached the denial */
	cr_assert_eq(funnel_grant(&entry, leaf), IS_BREAK_FIRST);
	cr_assert_eq(entry, bench_leaf(77, 1));
	bench_close(&bench);
}

Test(SUITE, whole_tables__are_adopted_protected_forgotten)
{
	struct bench bench;
	struct table *table;

	bench_open(&bench);
	table = bench_table(&bench, 0, 512, 1);
	for (unsigned i = 0; i < 500; i++)
		tree_entries(&bench.tree, table)[i] = bench_leaf(i, 1);
	funnel_adopt(&bench.tree, table, 500);
	cr_assert_eq(table->used, 500);
	cr_assert_eq(bench.tree.leaves[1], 500);
	protect_many(tree_entries(&bench.tree, table), 512);
	table_for_each(&bench.tree, table, ref)
	{
		uint64_t expected = ref.gfn - 512 < 500
					    ? bench_leaf(ref.gfn - 512, 1) & ~FMT_WRITE_BITS
					    : 0;

		if (*ref.ptep != expected)
			cr_assert_fail("gfn %llu", (unsigned long long)ref.gfn);
	}
	funnel_forget(&bench.tree, table);
	cr_assert_eq(bench.tree.leaves[1], 0);
	bench_close(&bench);
}

/* Root to level 1 for gfn 0x12345: made by hand, one entry a table. */
static struct table *link_path(struct bench *bench, uint64_t gfn, unsigned bottom)
{
	struct table *root = bench_table(bench, 0, 0, fmt_geometry.levels), *table = root;

	for (unsigned level = fmt_geometry.levels; level > bottom; level--) {
		struct entry_ref ref = ref_in(bench, table, gfn);

		table = bench_table(bench, 0, ref.gfn, level - 1);
		*ref.ptep = fmt_make_table(tree_table_hpa(&bench->tree, table), level);
	}
	return root;
}

Test(SUITE, a_walk__stops_where_tables_end)
{
	struct bench bench;
	struct table *root;
	struct entry_ref ref;
	uint64_t pte;

	bench_open(&bench);
	root = link_path(&bench, 0x12345, 1);
	ref = walk_to(&bench.tree, root, 0x12345, 1, &pte);
	cr_assert_eq(ref.level, 1);
	cr_assert_eq(ref.gfn, 0x12345);
	/* 0x12345 is number 0x145 among 512 */
	cr_assert_eq(ref.ptep - tree_entries(&bench.tree, ref.table), 0x145);
	cr_assert_eq(pte, 0);
	*ref.ptep = bench_leaf(0x777, 1);
	walk_to(&bench.tree, root, 0x12345, 1, &pte);
	cr_assert_eq(pte, bench_leaf(0x777, 1));
	ref = walk_to(&bench.tree, root, 0x12345, 2, &pte);
	cr_assert_eq(ref.level, 2);
	cr_assert_eq(ref.gfn, 0x12200);
	cr_assert_eq(fmt_classify(pte, 2), VMMU_ENTRY_TABLE);
	/* beside the path nothing leads on */
	ref = walk_to(&bench.tree, root, 0x12345 + 512, 1, &pte);
	cr_assert_eq(ref.level, 2);
	cr_assert_eq(ref.gfn, 0x12400);
	cr_assert_eq(pte, 0);
	bench_close(&bench);
}

/* Every place of every table, wide roots included, is found from its address alone. */
Test(SUITE, the_place_of_an_entry__follows_from_its_address)
{
	struct bench bench;
	struct table *tables[2];

	bench_open(&bench);
	tables[0] = bench_table(&bench, 0, 0, fmt_geometry.levels);
	tables[1] = bench_table(&bench, 1, 1024, 1);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t count = 0;

		table_for_each(&bench.tree, tables[i], ref)
		{
			struct entry_ref found = entry_ref_of(&bench.tree, ref.ptep);

			if (found.table != tables[i] || found.gfn != ref.gfn ||
			    found.level != tables[i]->level || found.ptep != ref.ptep)
				cr_assert_fail("entry %llu", (unsigned long long)count);
			count++;
		}
		cr_assert_eq(count, UINT64_C(1) << fmt_geometry.index_bits[tables[i]->level]);
	}
	bench_close(&bench);
}
