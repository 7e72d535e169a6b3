/* SPDX-License-Identifier: MIT */
/* Tables of a tree: found, grown, unlinked, kept for readers, given back. */
#include <criterion/criterion.h>
#include <errno.h>

#include "base/failing_mem.h"
#include "format/ept4.h"
#include "walker/tree.h"

#define HPA   (UINT64_C(1) << 32)
#define BYTES (UINT64_C(4) << 20)

static unsigned flushes;
static struct vmmu_flush last;

static void note_flush(void *ctx, const struct vmmu_flush *flush)
{
	(void)ctx;
	flushes++;
	last = *flush;
}

static const struct tree_hooks hooks = {.flush = note_flush};

static void open_tree(struct tree *tree, uint64_t bytes)
{
	flushes = 0;
	cr_assert_eq(tree_init(tree, &fmt_geometry, HPA, bytes, &hooks), 0);
}

static struct table *make(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level)
{
	bool is_zeroed;

	return tree_alloc(tree, as_id, gfn, level, &is_zeroed);
}

Test(tree, a_table__is_found_by_all_that_it_maps)
{
	struct tree tree;
	struct table *table, *other;

	open_tree(&tree, BYTES);
	table = make(&tree, 0, 512, 1);
	other = make(&tree, 1, 512, 1);
	cr_assert_eq(tree_find(&tree, 0, 512, 1), table);
	cr_assert_eq(tree_find(&tree, 1, 512, 1), other);
	cr_assert_null(tree_find(&tree, 0, 512, 2));
	cr_assert_null(tree_find(&tree, 0, 1024, 1));
	cr_assert_eq(table->level, 1);
	cr_assert_eq(table->gfn, 512);
	cr_assert_eq(other->as_id, 1);
	cr_assert_eq(tree_table_hpa(&tree, table), HPA);
	cr_assert_eq(tree_table_at(&tree, HPA + 4096), other);
	tree_destroy(&tree);
}

Test(tree, a_table_out_of_the_hash__is_found_no_more)
{
	struct tree tree;
	struct table *table;

	open_tree(&tree, BYTES);
	table = make(&tree, 0, 512, 1);
	tree_unhash(&tree, table);
	cr_assert_null(tree_find(&tree, 0, 512, 1));
	cr_assert_eq(tree.hashed, 0);
	/* once more does no harm */
	tree_unhash(&tree, table);
	cr_assert_eq(tree.hashed, 0);
	cr_assert_eq(tree.live, 1);
	tree_destroy(&tree);
}

Test(tree, obsolete_or_invalid__is_found_no_more)
{
	struct tree tree;
	struct table *old, *new;

	open_tree(&tree, BYTES);
	old = make(&tree, 0, 512, 1);
	tree.generation ^= 1;
	cr_assert(tree_is_obsolete(&tree, old));
	cr_assert_null(tree_find(&tree, 0, 512, 1));
	new = make(&tree, 0, 512, 1);
	cr_assert_eq(tree_find(&tree, 0, 512, 1), new);
	new->flags |= TABLE_INVALID;
	cr_assert(tree_is_obsolete(&tree, new));
	cr_assert_null(tree_find(&tree, 0, 512, 1));
	new->flags = TABLE_NX_SPLIT;
	cr_assert_eq(tree_find(&tree, 0, 512, 1), new);
	tree_destroy(&tree);
}

static void check_growth(struct tree *tree)
{
	struct table *tables[900];

	for (uint64_t i = 0; i < 900; i++) {
		cr_assert(tree_has_room(tree, 1));
		tables[i] = make(tree, 0, i * 512, 1);
	}
	for (uint64_t i = 0; i < 900; i += 3)
		tree_unhash(tree, tables[i]);
	for (uint64_t i = 0; i < 900; i++)
		if (tree_find(tree, 0, i * 512, 1) != (i % 3 ? tables[i] : NULL))
			cr_assert_fail("table %llu", (unsigned long long)i);
	cr_assert_eq(tree->hashed, 600);
	cr_assert_eq(tree->live, 900);
}

Test(tree, many_tables__the_hash_grows_and_loses_none)
{
	struct tree tree;

	open_tree(&tree, BYTES);
	check_growth(&tree);
	/* 64, 256, 1024: never more tables than buckets by much */
	cr_assert_eq(tree.bucket_count, 1024);
	tree_destroy(&tree);
}

Test(tree, no_memory_to_grow__chains_get_longer)
{
	struct tree tree;

	open_tree(&tree, BYTES);
	failing_mem_after(0);
	check_growth(&tree);
	cr_assert_eq(tree.bucket_count, 64);
	cr_assert_gt(failing_mem_asked, 0);
	failing_mem_stop();
	tree_destroy(&tree);
}

Test(tree, the_list__has_the_newest_first)
{
	struct tree tree;
	struct table *first, *second;

	open_tree(&tree, BYTES);
	first = make(&tree, 0, 0, 1);
	second = make(&tree, 0, 512, 1);
	cr_assert_eq(tree.tables.next, &second->link);
	cr_assert_eq(second->link.next, &first->link);
	cr_assert_eq(tree.tables.prev, &first->link);
	tree_destroy(&tree);
}

/* Unlinked, retired, a grace period, freed: a reader may look until the last step. */
Test(tree, a_retired_table__keeps_its_contents_until_it_is_freed)
{
	struct tree tree;
	struct table *table, *other, *retired;
	_Atomic uint64_t *entries;
	bool is_zeroed;

	open_tree(&tree, BYTES);
	table = make(&tree, 0, 512, 1);
	other = make(&tree, 0, 1024, 1);
	entries = tree_entries(&tree, table);
	entries[7] = 0x1234;
	tree_retire(&tree, table);
	tree_retire(&tree, other);
	cr_assert_null(tree_find(&tree, 0, 512, 1));
	cr_assert(list_is_empty(&tree.tables));
	cr_assert_eq(tree.live, 0);
	cr_assert_eq(tree.live_bytes, 0);
	cr_assert_eq(tree.retired_count, 2);
	cr_assert_eq(tree.frames.live, 2);
	cr_assert_eq(entries[7], 0x1234);
	retired = tree_take_retired(&tree);
	cr_assert_null(tree_take_retired(&tree));
	cr_assert_eq(tree.retired_count, 2, "taken, not freed yet");
	cr_assert_eq(entries[7], 0x1234);
	/* what is allocated meanwhile is another frame */
	cr_assert_neq(tree_entries(&tree, make(&tree, 0, 512, 1)), entries);
	tree_free(&tree, retired);
	cr_assert_eq(tree.retired_count, 0);
	cr_assert_eq(tree.frames.live, 1);
	cr_assert_eq(tree.frames.freed, 2);
	table = tree_alloc(&tree, 0, 2048, 1, &is_zeroed);
	cr_assert(!is_zeroed, "a frame used before");
	cr_assert_eq(table->used, 0);
	cr_assert_eq(tree.live_bytes, 2 * 4096);
	tree_destroy(&tree);
}

/* 1 MiB are 256 frames of 4 KiB. */
Test(tree, room__is_what_can_be_allocated)
{
	struct tree tree;

	open_tree(&tree, 1 << 20);
	cr_assert(tree_has_room(&tree, 256));
	cr_assert(!tree_has_room(&tree, 257));
	for (uint64_t i = 0; i < 254; i++)
		cr_assert_not_null(make(&tree, 0, i * 512, 1));
	cr_assert(tree_has_room(&tree, 2));
	cr_assert(!tree_has_room(&tree, 3));
	make(&tree, 0, 0, 2);
	tree_retire(&tree, make(&tree, 0, 0, 3));
	cr_assert(!tree_has_room(&tree, 1), "a retired table is no room yet");
	cr_assert_null(make(&tree, 0, 0, 4));
	cr_assert_eq(tree.live, 255);
	tree_free(&tree, tree_take_retired(&tree));
	cr_assert(tree_has_room(&tree, 1));
	tree_destroy(&tree);
}

Test(tree, flushes_owed__one_hull_for_each_address_space)
{
	struct tree tree;

	open_tree(&tree, BYTES);
	tree_flush(&tree);
	cr_assert_eq(flushes, 0);
	tree_owe_flush(&tree, 1, 10, 12);
	tree_owe_flush(&tree, 1, 30, 31);
	tree_owe_flush(&tree, 1, 11, 13);
	tree_flush(&tree);
	cr_assert_eq(flushes, 1);
	cr_assert_eq(last.as_id, 1);
	cr_assert_eq(last.gfn_start, 10);
	cr_assert_eq(last.gfn_end, 31);
	tree_flush(&tree);
	cr_assert_eq(flushes, 1);
	tree_owe_flush(&tree, 0, 0, 1);
	tree_flush(&tree);
	cr_assert_eq(last.as_id, 0);
	cr_assert_eq(last.gfn_end, 1);
	tree_destroy(&tree);
}

Test(tree, bad_frames_or_no_memory__refused_without_a_leak)
{
	size_t live = mem_live();
	struct tree tree;

	cr_assert_eq(tree_init(&tree, &fmt_geometry, HPA + 4096, BYTES, &hooks), -EINVAL);
	cr_assert_eq(tree_init(&tree, &fmt_geometry, HPA, 0, &hooks), -EINVAL);
	failing_mem_after(0);
	cr_assert_eq(tree_init(&tree, &fmt_geometry, HPA, BYTES, &hooks), -ENOMEM);
	failing_mem_stop();
	cr_assert_eq(mem_live(), live);
}
