/* SPDX-License-Identifier: MIT */
#include "tracing/replay_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/replay_layout.h"

#define PAGE_LG2       12
#define REGION_BYTES   BIT64(21)
#define FIRST_CAPACITY 4096u

static int compare_marks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sort and keep one mark a page: the last of equals, which is the MMIO one. */
static void compact(struct replay_pages *pages)
{
	size_t i, kept = 0;

	if (pages->sorted == pages->count)
		return;
	qsort(pages->marks, pages->count, sizeof(*pages->marks), compare_marks);
	for (i = 0; i < pages->count; i++)
		if (i + 1 == pages->count || pages->marks[i] >> 1 != pages->marks[i + 1] >> 1)
			pages->marks[kept++] = pages->marks[i];
	pages->count = kept;
	pages->sorted = kept;
}

/*
 * Room for one more: first by forgetting duplicates, then, if that freed less than half, by
 * growing.
 */
static int make_room(struct replay_pages *pages)
{
	size_t capacity = pages->capacity ? pages->capacity * 2 : FIRST_CAPACITY;
	uint64_t *marks;

	compact(pages);
	if (pages->capacity && pages->count <= pages->capacity / 2)
		return 0;
	if (pages->capacity >= REPLAY_PAGES_MAX) {
		/*
		 * Sorting again for every few further pages would never end: three quarters are
		 * full for good.
		 */
		pages->is_full = pages->count > pages->capacity / 4 * 3;
		return 0;
	}
	marks = mem_alloc_array(capacity, sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	if (pages->count)
		memcpy(marks, pages->marks, pages->count * sizeof(*marks));
	mem_free(pages->marks);
	pages->marks = marks;
	pages->capacity = capacity;
	return 0;
}

static bool is_known(const struct replay_pages *pages, uint64_t mark)
{
	return pages->sorted &&
	       bsearch(&mark, pages->marks, pages->sorted, sizeof(mark), compare_marks);
}

int replay_pages_add(struct replay_pages *pages, uint64_t gpa, enum replay_page_use use)
{
	uint64_t mark = gpa >> PAGE_LG2 << 1 | (use == REPLAY_PAGE_MMIO);
	int ret;

	/* The same page again and again is the common case. */
	if (pages->count && pages->marks[pages->count - 1] == mark)
		return 0;
	if (!pages->is_full && pages->count == pages->capacity) {
		ret = make_room(pages);
		if (ret)
			return ret;
	}
	if (pages->is_full) {
		pages->lost += !is_known(pages, mark);
		return 0;
	}
	pages->marks[pages->count++] = mark;
	return 0;
}

void replay_pages_settle(struct replay_pages *pages, uint64_t *ram, uint64_t *mmio)
{
	size_t i;

	compact(pages);
	*ram = 0;
	*mmio = 0;
	for (i = 0; i < pages->count; i++)
		*(pages->marks[i] & 1 ? mmio : ram) += 1;
}

/* The run being built, in bytes. */
struct run {
	uint64_t start, end;
	uint64_t floor; /* nothing below is ours: an MMIO page or the slot before ends here */
	unsigned count; /* slots finished */
	bool is_open;
};

/* Finish the open run, which may not reach CEILING. *slot: what came of it. False: none is open. */
static bool close_run(struct run *run, uint64_t ceiling, struct vmmu_slot *slot)
{
	uint64_t start, end;

	if (!run->is_open)
		return false;
	start = max_u64(align_down(run->start, REGION_BYTES), run->floor);
	/* At the very top align_up() wraps to 0, and there is nothing to widen into. */
	end = align_up(run->end, REGION_BYTES);
	end = end < run->end ? run->end : min_u64(end, ceiling);
	*slot = (struct vmmu_slot){.id = run->count++,
				   .gpa = start,
				   .bytes = end - start,
				   .hva = replay_layout_hva(start)};
	run->floor = end;
	run->is_open = false;
	return true;
}

/* Go through the marks, bridging gaps of up to GAP bytes; FN NULL: only count. */
static int build_runs(const struct replay_pages *pages, uint64_t gap, unsigned *count,
		      int (*fn)(void *ctx, const struct vmmu_slot *slot), void *ctx)
{
	struct run run = {0};
	struct vmmu_slot slot;
	size_t i;
	int ret = 0;

	for (i = 0; i < pages->count && !ret; i++) {
		uint64_t gpa = pages->marks[i] >> 1 << PAGE_LG2;
		bool is_mmio = pages->marks[i] & 1;

		if (is_mmio || (run.is_open && gpa - run.end > gap))
			if (close_run(&run, gpa, &slot) && fn)
				ret = fn(ctx, &slot);
		if (is_mmio) {
			run.floor = gpa + BIT64(PAGE_LG2);
			continue;
		}
		if (!run.is_open)
			run.start = gpa;
		run.end = gpa + BIT64(PAGE_LG2);
		run.is_open = true;
	}
	if (!ret && close_run(&run, UINT64_MAX, &slot) && fn)
		ret = fn(ctx, &slot);
	*count = run.count;
	return ret;
}

int replay_pages_slots(const struct replay_pages *pages,
		       int (*fn)(void *ctx, const struct vmmu_slot *slot), void *ctx)
{
	uint64_t gap = REGION_BYTES;
	unsigned count;

	/*
	 * More runs than slot ids: bridge wider gaps. MMIO pages between them may still keep them
	 * too many, and then the last ones are refused by whoever sets the slots.
	 */
	for (build_runs(pages, gap, &count, NULL, NULL); count > VMMU_SLOT_IDS && gap < BIT64(30);
	     build_runs(pages, gap, &count, NULL, NULL))
		gap *= 2;
	return build_runs(pages, gap, &count, fn, ctx);
}

void replay_pages_clear(struct replay_pages *pages)
{
	mem_free(pages->marks);
	memset(pages, 0, sizeof(*pages));
}
