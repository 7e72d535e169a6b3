/* SPDX-License-Identifier: MIT */
#include "walker/tree.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define BUCKETS_FIRST 64u

static int tree_init_frames(struct tree *tree, const struct tree_memory *from, unsigned min_lg2)
{
	if (from->lender)
		return frame_pool_init_lent(&tree->frames, from->memory, from->hpa, from->bytes,
					    min_lg2, from->lender);
	if (from->memory)
		return frame_pool_init_over(&tree->frames, from->memory, from->hpa, from->bytes,
					    min_lg2);
	return frame_pool_init(&tree->frames, from->hpa, from->bytes, min_lg2);
}

int tree_init_over(struct tree *tree, const struct vmmu_geometry *geometry,
		   const struct tree_memory *from, const struct tree_hooks *hooks)
{
	/* A lone root may be larger than a page, and than what the pool takes as its smallest. */
	unsigned min_lg2 = geometry->page_shift;
	int err;

	memset(tree, 0, sizeof(*tree));
	tree->geometry = geometry;
	for (unsigned level = 1; level <= geometry->levels; level++)
		if (tree_table_lg2(tree, level) < min_lg2)
			min_lg2 = tree_table_lg2(tree, level);
	tree->below_lg2 = tree_table_lg2(tree, 1);
	for (unsigned level = 1; level < geometry->levels; level++) {
		tree->below_lg2s |= UINT32_C(1) << tree_table_lg2(tree, level);
		if (tree_table_lg2(tree, level) > tree->below_lg2)
			tree->below_lg2 = tree_table_lg2(tree, level);
	}
	tree->hooks = *hooks;
	list_init(&tree->tables);
	for (unsigned as = 0; as < VMMU_ADDRESS_SPACES_MAX; as++)
		tree->pending[as] = (struct tree_pending){UINT64_MAX, 0};
	tree->bucket_count = BUCKETS_FIRST;
	tree->buckets = mem_alloc_array(BUCKETS_FIRST, sizeof(struct table *));
	if (!tree->buckets)
		return -ENOMEM;
	err = tree_init_frames(tree, from, min_lg2);
	if (err) {
		mem_free(tree->buckets);
		tree->buckets = NULL;
	}
	return err;
}

/* What is lent goes back to the last frame, those still in the tree too. */
static void tree_free_all(struct tree *tree)
{
	while (!list_is_empty(&tree->tables))
		tree_retire(tree, container_of(tree->tables.next, struct table, link));
	tree_free(tree, tree_take_retired(tree));
}

void tree_destroy(struct tree *tree)
{
	if (tree->frames.is_lent)
		tree_free_all(tree);
	frame_pool_destroy(&tree->frames);
	mem_free(tree->buckets);
	tree->buckets = NULL;
}

/* Fibonacci hashing of what a table maps. */
static uint32_t tree_bucket(const struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level)
{
	uint64_t key = gfn ^ ((uint64_t)level << 58) ^ ((uint64_t)as_id << 63);

	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (tree->bucket_count - 1);
}

static void tree_hash_add(struct tree *tree, struct table *table)
{
	uint32_t bucket = tree_bucket(tree, table->as_id, table->gfn, table->level);

	table->hash_next = tree->buckets[bucket];
	tree->buckets[bucket] = table;
	table->is_hashed = true;
	tree->hashed++;
}

/* Keep chains short. Without memory they grow longer, that is all. */
static void tree_hash_grow(struct tree *tree)
{
	uint32_t old_count = tree->bucket_count;
	struct table **old = tree->buckets;
	struct table **bigger;

	if (tree->hashed < old_count || old_count > UINT32_MAX / 4)
		return;
	bigger = mem_alloc_array((size_t)old_count * 4, sizeof(struct table *));
	if (!bigger)
		return;
	tree->buckets = bigger;
	tree->bucket_count = old_count * 4;
	tree->hashed = 0;
	for (uint32_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct table *table = old[i];

			old[i] = table->hash_next;
			tree_hash_add(tree, table);
		}
	}
	mem_free(old);
}

/* No frame, because the lender does not know what it lends? Then nothing else of it is safe. */
static void tree_check_lender(struct tree *tree)
{
	if (!tree->frames.is_misled || tree->is_misled)
		return;
	tree->is_misled = true;
	tree->hooks.bug(tree->hooks.ctx,
			"a borrowed table is misplaced, misaligned or lent already");
}

/* What is borrowed comes in one size: the next table's may be any that stands below a root. */
static bool tree_has_lent_room(struct tree *tree, unsigned tables)
{
	for (unsigned lg2 = tree->frames.min_lg2; lg2 <= tree->below_lg2; lg2++)
		if ((tree->below_lg2s >> lg2 & 1) &&
		    !frame_pool_has_room(&tree->frames, lg2, tables))
			return false;
	return true;
}

bool tree_has_room(struct tree *tree, unsigned tables)
{
	tree_hash_grow(tree);
	if (likely(!tree->frames.is_lent))
		return frame_pool_has_room(&tree->frames, tree->below_lg2, tables);
	if (tree_has_lent_room(tree, tables))
		return true;
	tree_check_lender(tree);
	return false;
}

struct table *tree_find(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level)
{
	struct table *table = tree->buckets[tree_bucket(tree, as_id, gfn, level)];

	while (table && (table->gfn != gfn || table->level != level || table->as_id != as_id ||
			 tree_is_obsolete(tree, table)))
		table = table->hash_next;
	return table;
}

struct table *tree_alloc_unhashed(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level,
				  bool *zeroed)
{
	unsigned lg2 = tree_table_lg2(tree, level);
	void *frame = frame_alloc(&tree->frames, lg2, zeroed);
	struct table *table;

	if (!frame) {
		tree_check_lender(tree);
		return NULL;
	}
	table = tree_table_make(tree, frame, as_id, gfn, level);
	list_insert(&tree->tables, &table->link);
	tree->live++;
	tree->live_bytes += UINT64_C(1) << lg2;
	return table;
}

void *tree_frame_take(struct tree *tree, bool *zeroed)
{
	void *frame = frame_alloc(&tree->frames, tree->below_lg2, zeroed);

	if (!frame)
		tree_check_lender(tree);
	return frame;
}

struct table *tree_alloc(struct tree *tree, unsigned as_id, uint64_t gfn, unsigned level,
			 bool *zeroed)
{
	struct table *table = tree_alloc_unhashed(tree, as_id, gfn, level, zeroed);

	if (table)
		tree_hash_add(tree, table);
	return table;
}

void tree_unhash(struct tree *tree, struct table *table)
{
	struct table **at =
		&tree->buckets[tree_bucket(tree, table->as_id, table->gfn, table->level)];

	if (!table->is_hashed)
		return;
	while (*at != table)
		at = &(*at)->hash_next;
	*at = table->hash_next;
	table->hash_next = NULL;
	table->is_hashed = false;
	tree->hashed--;
}

void tree_nx_mark(struct tree *tree, struct table *table, unsigned flags)
{
	unsigned old = atomic_load_explicit(&table->flags, memory_order_relaxed);

	/* Agers may set a flag at the same time, but not one of these. */
	atomic_fetch_or_explicit(&table->flags, (uint8_t)flags, memory_order_relaxed);
	tree->nx_tables += !!(flags & ~old & TABLE_NX_POSSIBLE);
}

void tree_nx_unmark(struct tree *tree, struct table *table)
{
	unsigned flags = TABLE_NX_SPLIT | TABLE_NX_POSSIBLE;
	unsigned old = atomic_load_explicit(&table->flags, memory_order_relaxed);

	if (!(old & flags))
		return;
	atomic_fetch_and_explicit(&table->flags, (uint8_t)~flags, memory_order_relaxed);
	tree->nx_tables -= !!(old & TABLE_NX_POSSIBLE);
}

void tree_retire(struct tree *tree, struct table *table)
{
	tree_nx_unmark(tree, table);
	tree_unhash(tree, table);
	list_remove(&table->link);
	table->hash_next = tree->retired;
	tree->retired = table;
	tree->retired_count++;
	tree->live--;
	tree->live_bytes -= UINT64_C(1) << tree_frame_lg2(tree, table);
}

void tree_fold(struct tree *tree, struct tree_books *books)
{
	for (unsigned level = 1; level <= VMMU_LEVELS_MAX; level++)
		tree->leaves[level] += books->leaves[level];
	tree->links += books->links;
	tree->mmio_entries += books->mmio_entries;
	tree->nx_tables += books->nx_tables;
	tree->ungrouped += books->ungrouped;
	tree->live += books->live;
	tree->live_bytes += books->live_bytes;
	*books = (struct tree_books){0};
}

struct table *tree_take_retired(struct tree *tree)
{
	struct table *retired = tree->retired;

	tree->retired = NULL;
	return retired;
}

void tree_free(struct tree *tree, struct table *retired)
{
	while (retired) {
		struct table *next = retired->hash_next;

		frame_free(&tree->frames, tree_entries(tree, retired),
			   tree_frame_lg2(tree, retired));
		tree->retired_count--;
		retired = next;
	}
}

void tree_flush_owed(struct tree *tree)
{
	for (unsigned as = 0; as < VMMU_ADDRESS_SPACES_MAX; as++) {
		struct tree_pending *pending = &tree->pending[as];
		struct vmmu_flush flush = {
			.gfn_start = pending->start, .gfn_end = pending->end, .as_id = as};

		if (pending->start >= pending->end)
			continue;
		*pending = (struct tree_pending){UINT64_MAX, 0};
		tree->hooks.flush(tree->hooks.ctx, &flush);
	}
}
