/* SPDX-License-Identifier: MIT */
/*
 * Where no tracepoint tells of entries (arm64, riscv64), the kit reads the kernel's tables after
 * each access and each line, and tells what is not as it was. Here the same is done to the engine's
 * tables, at the same moments: entries in gfn order, parents before what is below them; what was
 * below a pointer that went, or is another one now, is not told.
 *
 * Tables get numbers of their own, in the order in which they are seen, and a frame that comes back
 * as another table's gets another number: a matching of frames holds as long as its table stands.
 */
#include <errno.h>
#include <string.h>
#include <vmmu/walk.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/profile.h"

/* Frames that a root may have: 16 concatenated tables (Arm). */
#define LOOK_ROOT_FRAMES 16u
#define LOOK_FRAME_BYTES UINT64_C(4096)

static bool look_reserve(struct compare_look *look)
{
	size_t capacity = look->capacity ? look->capacity * 2 : 1024;
	struct compare_seen *seen;

	if (look->count < look->capacity)
		return true;
	seen = mem_alloc_array(capacity, sizeof(*seen));
	if (!seen)
		return false;
	if (look->count)
		memcpy(seen, look->seen, look->count * sizeof(*seen));
	mem_free(look->seen);
	look->seen = seen;
	look->capacity = capacity;
	return true;
}

static int look_visit(void *ctx, const struct vmmu_visit *visit)
{
	struct compare_look *look = ctx;

	if (visit->obsolete || visit->as_id || visit->mode != VMMU_ROOT_TDP)
		return 0;
	if (!look_reserve(look))
		return -ENOMEM;
	look->seen[look->count++] = (struct compare_seen){.gfn = visit->gfn,
							  .level = visit->level,
							  .pte = visit->pte,
							  .place = visit->pte_hpa};
	return 0;
}

/* gfns that an entry at LEVEL is for. */
static uint64_t look_span(const struct vmmu_compare *compare, unsigned level)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(compare->format)->geometry;

	return BIT64(geometry->shift[level] - geometry->page_shift);
}

/* Does A come before B? */
static bool look_is_before(const struct compare_seen *a, const struct compare_seen *b)
{
	return a->gfn != b->gfn ? a->gfn < b->gfn : a->level > b->level;
}

static bool look_is_table(const struct vmmu_compare *compare, const struct compare_seen *seen)
{
	struct vmmu_entry entry;

	return !vmmu_entry_read(compare->format, seen->pte, seen->level, &entry) &&
	       entry.kind == VMMU_ENTRY_TABLE;
}

/* Where table number ID stands. */
static uint64_t look_table_hpa(uint64_t id)
{
	return COMPARE_TABLES_HPA + (LOOK_ROOT_FRAMES + id) * LOOK_FRAME_BYTES;
}

/* How far the merging of two looks has come. */
struct look_merge {
	struct vmmu_compare *compare;
	struct compare_window *window;
	const struct compare_seen *old, *old_end;
	uint64_t tables[VMMU_LEVELS_MAX + 1]; /* [level]: hpa of the table around what comes next */
};

/* Entries of the older look below *gone, whose pointer is not there any more, are not told. */
static void look_skip_below(struct look_merge *merge, const struct compare_seen *gone)
{
	uint64_t end = gone->gfn + look_span(merge->compare, gone->level);

	while (merge->old < merge->old_end && merge->old->gfn < end &&
	       merge->old->level < gone->level)
		merge->old++;
}

/* OLD or NOW may be NULL, not both: the entry was, or is, absent. */
static void look_tell(struct look_merge *merge, const struct compare_seen *old,
		      const struct compare_seen *now)
{
	const struct compare_seen *seen = now ? now : old;
	uint64_t absent = merge->compare->profile->info.absent;
	struct compare_fact fact = {
		.event = VMMU_COMPARE_ENTRY,
		.level = seen->level,
		.address = seen->gfn,
		.old_pte = old ? old->value : absent,
		.new_pte = now ? now->value : absent,
		.pte_hpa = seen->place,
	};

	compare_add(merge->compare, &merge->window->engine, &fact);
}

/* An entry of the older look that the newer one does not have. */
static void look_gone(struct look_merge *merge)
{
	const struct compare_seen *old = merge->old++;

	look_tell(merge, old, NULL);
	if (look_is_table(merge->compare, old))
		look_skip_below(merge, old);
}

/* Give *now, a table, its number: that of OLD (may be NULL) if it is the same. */
static void look_number(struct look_merge *merge, const struct compare_seen *old,
			struct compare_seen *now)
{
	struct vmmu_compare *compare = merge->compare;

	now->table = old && old->pte == now->pte ? old->table : ++compare->table_count;
	now->value = compare_table_pte(compare, now->pte, look_table_hpa(now->table));
	merge->tables[now->level - 1] = look_table_hpa(now->table);
}

/* An entry of the newer look, and the older one's for the same place, if there is one. */
static void look_seen(struct look_merge *merge, struct compare_seen *now)
{
	struct vmmu_compare *compare = merge->compare;
	unsigned levels = vmmu_format_info(compare->format)->geometry->levels;
	uint64_t bytes = now->level == levels ? LOOK_ROOT_FRAMES * LOOK_FRAME_BYTES
					      : LOOK_FRAME_BYTES;
	const struct compare_seen *old = NULL;

	if (merge->old < merge->old_end && merge->old->gfn == now->gfn &&
	    merge->old->level == now->level)
		old = merge->old++;
	now->place = merge->tables[now->level] + (now->place & (bytes - 1));
	if (look_is_table(compare, now))
		look_number(merge, old, now);
	else
		now->value = compare_engine_pte(compare, now->pte, now->level);
	if (!old || old->value != now->value)
		look_tell(merge, old, now);
	if (old && look_is_table(compare, old) && old->table != now->table)
		look_skip_below(merge, old);
}

static void look_merge(struct vmmu_compare *compare, struct compare_window *window,
		       const struct compare_look *old, struct compare_look *now)
{
	struct look_merge merge = {.compare = compare, .window = window, .old = old->seen};

	if (old->count)
		merge.old_end = old->seen + old->count;
	merge.tables[vmmu_format_info(compare->format)->geometry->levels] = COMPARE_TABLES_HPA;
	for (size_t i = 0; i < now->count; i++) {
		while (merge.old < merge.old_end && look_is_before(merge.old, &now->seen[i]))
			look_gone(&merge);
		look_seen(&merge, &now->seen[i]);
	}
	while (merge.old < merge.old_end)
		look_gone(&merge);
}

void compare_look(struct vmmu_compare *compare, struct compare_window *window)
{
	struct compare_look *old = &compare->looks[compare->look_index];
	struct compare_look *now = &compare->looks[!compare->look_index];

	compare->is_look_due = false;
	if (!compare->has_changed && !compare->has_host_changed)
		return;
	compare->has_changed = compare->has_host_changed = false;
	now->count = 0;
	if (vmmu_visit(compare->vm, look_visit, now)) {
		compare->error = -ENOMEM;
		return;
	}
	look_merge(compare, window, old, now);
	compare->look_index = !compare->look_index;
}
