/* SPDX-License-Identifier: MIT */
#include "tracing/replay_backing.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"

/* Host lines count 4 KiB frames and know 2 MiB huge pages, whatever the replaying format has. */
#define HOST_LG2   12
#define HUGE_LG2   21
#define GIANT_LG2  30
#define HUGE_BYTES BIT64(HUGE_LG2)
/* Pages of a huge page, as a mask of the frame number. */
#define HUGE_FRAME_MASK (BIT64(HUGE_LG2 - HOST_LG2) - 1)
/* Pages are looked at one by one in what is forbidden in pieces no larger than this. */
#define FORBID_BYTES_MAX (2 * HUGE_BYTES)

static struct replay_frame *frame_slot(struct replay_frame *table, uint64_t number)
{
	/* Fibonacci hashing: neighbours spread, and the top bits are the well mixed ones. */
	return table + ((number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - REPLAY_BACKING_LG2));
}

static const struct replay_frame *frame_find(struct replay_frame *table, uint64_t number)
{
	const struct replay_frame *frame = frame_slot(table, number);

	return frame->key == number + 1 ? frame : NULL;
}

int replay_backing_init(struct replay_backing *backing, const struct vmmu_geometry *geometry,
			enum vmmu_backing policy)
{
	memset(backing, 0, sizeof(*backing));
	backing->geometry = geometry;
	backing->policy = policy;
	backing->pages = mem_alloc_array(BIT64(REPLAY_BACKING_LG2), sizeof(*backing->pages));
	backing->regions = mem_alloc_array(BIT64(REPLAY_BACKING_LG2), sizeof(*backing->regions));
	backing->hints = mem_alloc_array(BIT64(REPLAY_BACKING_LG2), sizeof(*backing->hints));
	return backing->pages && backing->regions && backing->hints ? 0 : -ENOMEM;
}

void replay_backing_destroy(struct replay_backing *backing)
{
	mem_free(backing->pages);
	mem_free(backing->regions);
	mem_free(backing->hints);
	replay_spans_clear(&backing->write_denied);
	replay_spans_clear(&backing->unwritten);
	replay_spans_clear(&backing->split);
	replay_spans_clear(&backing->touched);
	replay_spans_clear(&backing->written);
	replay_spans_clear(&backing->present);
	replay_spans_clear(&backing->pool);
	memset(backing, 0, sizeof(*backing));
}

/*
 * What HOST says of pages that nobody has asked for yet: the page's own is there, and with a huge
 * mapping all of it, unless what is there is the zero page, which a write would have to replace.
 */
static void learn_presence(struct replay_backing *backing, const struct vmmu_trace_host *host)
{
	bool is_whole = host->huge && !replay_spans_has(&backing->split, host->hva);
	uint64_t bytes = is_whole ? HUGE_BYTES : BIT64(HOST_LG2);
	uint64_t start = align_down(host->hva, bytes);

	/* A page of the pool, or one that was protected, can be written at once only if it was. */
	if (replay_spans_has(&backing->pool, host->hva) ||
	    replay_spans_has(&backing->unwritten, host->hva))
		return;
	/* A full span set only makes fewer pages be mapped ahead. */
	if (!host->zero)
		(void)replay_spans_add(&backing->present, start, start + bytes);
	else
		(void)replay_spans_remove(&backing->present, start, start + bytes);
}

/* A full set only makes the host look more willing to map large. */
static void touch(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	(void)replay_spans_add(&backing->touched, align_down(start, HUGE_BYTES),
			       align_up(end, HUGE_BYTES));
}

/* Forget what NUMBER in TABLE was. */
static void frame_forget(struct replay_frame *table, uint64_t number)
{
	struct replay_frame *frame = frame_slot(table, number);

	if (frame->key == number + 1)
		frame->key = 0;
}

/*
 * The huge page around HVA begins with frame PFN, 4 KiB: what was learned of another one in its
 * place (the huge zero page, before a write) is over.
 */
static void forget_other(struct replay_backing *backing, uint64_t hva, uint64_t pfn)
{
	const struct replay_frame *region = frame_find(backing->regions, hva >> HUGE_LG2);
	uint64_t first = align_down(hva, HUGE_BYTES) >> HOST_LG2;

	if (!region || !region->huge || region->pfn == pfn)
		return;
	for (uint64_t i = 0; i <= HUGE_FRAME_MASK; i++) {
		const struct replay_frame *page = frame_find(backing->pages, first + i);

		if (page && page->huge && page->pfn != pfn + i)
			frame_forget(backing->pages, first + i);
	}
}

void replay_backing_learn(struct replay_backing *backing, const struct vmmu_trace_host *host)
{
	uint64_t number = host->hva >> HOST_LG2;
	struct replay_frame frame = {number + 1, host->pfn, host->huge, host->zero};

	if (!host->present)
		return;
	/* A huge frame that is not where its address says cannot be mapped as one: a small page. */
	if ((frame.pfn ^ number) & HUGE_FRAME_MASK)
		frame.huge = false;
	if (frame.huge)
		forget_other(backing, host->hva, frame.pfn & ~HUGE_FRAME_MASK);
	*frame_slot(backing->pages, number) = frame;
	frame.key = (host->hva >> HUGE_LG2) + 1;
	frame.pfn &= ~HUGE_FRAME_MASK;
	*frame_slot(backing->regions, host->hva >> HUGE_LG2) = frame;
	touch(backing, host->hva, host->hva + 1);
	learn_presence(backing, host);
}

void replay_backing_hint(struct replay_backing *backing, uint64_t gpa, uint64_t pfn)
{
	uint64_t number = gpa >> HOST_LG2;

	*frame_slot(backing->hints, number) = (struct replay_frame){.key = number + 1, .pfn = pfn};
}

/* The frame where no host line gives one: as hinted at, else the address itself. */
static uint64_t frame_unseen(const struct replay_backing *backing,
			     const struct vmmu_page_request *request)
{
	const struct replay_frame *hint = NULL;

	if (backing->geometry->page_shift == HOST_LG2)
		hint = frame_find(backing->hints, request->gfn);
	return hint ? hint->pfn : request->hva >> HOST_LG2;
}

/* The regions that [start, end) meets only in part are mapped by small pages from now on. */
static void split_edges(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	uint64_t first = align_down(start, HUGE_BYTES), last = align_down(end, HUGE_BYTES);

	if (replay_spans_has(&backing->pool, start))
		return;
	/* A span set that is full only makes the host look more willing to map large. */
	if (first != start)
		(void)replay_spans_add(&backing->split, first, first + HUGE_BYTES);
	if (last != end)
		(void)replay_spans_add(&backing->split, last, last + HUGE_BYTES);
}

void replay_backing_prefault(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	(void)replay_spans_add(&backing->present, start, end);
	touch(backing, start, end);
}

void replay_backing_prefault_small(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	replay_backing_prefault(backing, start, end);
	(void)replay_spans_add(&backing->written, start, end);
}

void replay_backing_pool(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	(void)replay_spans_add(&backing->pool, start, end);
}

/* The region of EDGE, which lies within it, is mapped by small pages from now on if it has any. */
static void split_touched(struct replay_backing *backing, uint64_t edge)
{
	uint64_t first = align_down(edge, HUGE_BYTES);

	if (first != edge && replay_spans_has(&backing->touched, edge))
		split_edges(backing, edge, first + HUGE_BYTES);
}

void replay_backing_drop(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	uint64_t first = align_up(start, HUGE_BYTES), last = align_down(end, HUGE_BYTES);

	if (start >= end)
		return;
	/* What has nothing yet can still become huge when it is first used. */
	split_touched(backing, start);
	split_touched(backing, end);
	(void)replay_spans_remove(&backing->present, start, end);
	(void)replay_spans_remove(&backing->unwritten, start, end);
	(void)replay_spans_remove(&backing->written, start, end);
	if (first >= start)
		(void)replay_spans_remove(&backing->split, first, last);
	(void)replay_spans_remove(&backing->touched, first, last);
}

void replay_backing_join(struct replay_backing *backing, uint64_t start)
{
	uint64_t first = align_down(start, HUGE_BYTES), end = first + HUGE_BYTES;

	/* All of it has another frame. */
	for (uint64_t at = first; at != end; at += BIT64(HOST_LG2))
		frame_forget(backing->pages, at >> HOST_LG2);
	frame_forget(backing->regions, first >> HUGE_LG2);
	(void)replay_spans_remove(&backing->split, first, end);
	(void)replay_spans_remove(&backing->unwritten, first, end);
	(void)replay_spans_remove(&backing->written, first, end);
	(void)replay_spans_add(&backing->present, first, end);
	(void)replay_spans_add(&backing->touched, first, end);
}

void replay_backing_reclaim(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	replay_backing_drop(backing, start, end);
	if (backing->is_allowed_late && start < end)
		(void)replay_spans_add(&backing->unwritten, start, end);
}

static bool is_small_and_written(const struct replay_backing *backing, uint64_t hva)
{
	const struct replay_frame *known = frame_find(backing->pages, hva >> HOST_LG2);

	return known ? !known->huge && !known->zero : replay_spans_has(&backing->written, hva);
}

/*
 * Small pages that were written stay as they are when they are allowed again: the host's entries
 * say that they are dirty. Entries that came of a split huge page do not, and wait for a write.
 */
static void forbid_late(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	(void)replay_spans_add(&backing->unwritten, start, end);
	(void)replay_spans_remove(&backing->present, start, end);
	if (end - start > FORBID_BYTES_MAX)
		return;
	for (uint64_t at = align_down(start, BIT64(HOST_LG2)); at < end; at += BIT64(HOST_LG2)) {
		if (!is_small_and_written(backing, at))
			continue;
		(void)replay_spans_remove(&backing->unwritten, at, at + BIT64(HOST_LG2));
		(void)replay_spans_add(&backing->present, at, at + BIT64(HOST_LG2));
	}
}

void replay_backing_forbid(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	bool is_pool = replay_spans_has(&backing->pool, start);

	if (start >= end)
		return;
	/* Private pages of the pool wait for a write in every kernel. */
	if (is_pool)
		(void)replay_spans_remove(&backing->present, start, end);
	split_edges(backing, start, end);
	(void)replay_spans_add(&backing->write_denied, start, end);
	if (backing->is_allowed_late)
		forbid_late(backing, start, end);
}

/* Allowed throughout again, what nobody used meanwhile may become one huge page. */
static void rejoin(struct replay_backing *backing, uint64_t edge)
{
	uint64_t first = align_down(edge, HUGE_BYTES);

	if (!replay_spans_has(&backing->touched, edge))
		(void)replay_spans_remove(&backing->split, first, first + HUGE_BYTES);
}

void replay_backing_allow(struct replay_backing *backing, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	/* Writable again does not make it one huge page again. */
	split_touched(backing, start);
	split_touched(backing, end);
	rejoin(backing, start);
	rejoin(backing, end);
	(void)replay_spans_remove(&backing->write_denied, start, end);
}

/*
 * lg2 bytes of the host's mapping around HVA; *base: the 4 KiB frame behind HVA where the trace
 * gives it.
 */
static unsigned mapping_lg2(const struct replay_backing *backing, uint64_t hva, uint64_t *base)
{
	uint64_t number = hva >> HOST_LG2;
	const struct replay_frame *page = frame_find(backing->pages, number);
	const struct replay_frame *region = frame_find(backing->regions, hva >> HUGE_LG2);
	bool is_huge = page ? page->huge : region && region->huge;

	if (page)
		*base = page->pfn;
	else if (is_huge)
		*base = region->pfn + (number & HUGE_FRAME_MASK);
	if (is_huge && backing->is_huge_from_pool && !replay_spans_has(&backing->pool, hva))
		return HOST_LG2;
	if (is_huge)
		return replay_spans_has(&backing->split, hva) ? HOST_LG2 : HUGE_LG2;
	/*
	 * Silence means small: a larger guess would map more than the host did, and the faults that
	 * were recorded next to each other would find their page mapped already.
	 */
	return HOST_LG2;
}

/* The largest leaf level whose pages are no larger than 2^lg2 bytes; at least 1. */
static unsigned level_of(const struct vmmu_geometry *geometry, unsigned lg2)
{
	unsigned level, best = 1;

	for (level = 2; level <= geometry->levels; level++)
		if (geometry->leaf_levels & (1u << level) && geometry->shift[level] <= lg2)
			best = level;
	return best;
}

static unsigned policy_lg2(const struct replay_backing *backing, unsigned found_lg2)
{
	switch (backing->policy) {
	case VMMU_BACKING_4K:
		return HOST_LG2;
	case VMMU_BACKING_2M:
		return HUGE_LG2;
	case VMMU_BACKING_1G:
		return GIANT_LG2;
	default:
		return found_lg2;
	}
}

unsigned replay_backing_level(const struct replay_backing *backing, uint64_t hva)
{
	uint64_t base = 0;

	return level_of(backing->geometry, policy_lg2(backing, mapping_lg2(backing, hva, &base)));
}

/*
 * A frame for HVA at a mapping of LEVEL. A huge page is consistent over all of its pages only if
 * every page's frame is congruent to its address: a frame from the trace that is not gives way to
 * the address.
 */
static uint64_t frame_for(const struct replay_backing *backing, uint64_t hva, uint64_t frame,
			  unsigned level)
{
	const struct vmmu_geometry *geometry = backing->geometry;
	unsigned shift = geometry->page_shift;
	uint64_t inside = BIT64(geometry->shift[level]) - 1;
	uint64_t hpa = frame << HOST_LG2;

	if (level > 1 && ((hpa ^ hva) & inside) >> shift)
		hpa = hva;
	if (level > 1 && geometry->shift[level] > HUGE_LG2)
		hpa = hva;
	/*
	 * An address wider than the format's output folds: still deterministic, no longer unique.
	 */
	return (hpa & (BIT64(geometry->pa_bits) - 1)) >> shift;
}

bool replay_backing_is_ordered(const struct replay_backing *backing)
{
	return backing->pool.count || backing->unwritten.count || backing->present.count;
}

/* The page behind HVA, mapped with 2^lg2 bytes, is written. */
static void note_write(struct replay_backing *backing, uint64_t hva, unsigned lg2)
{
	uint64_t region = align_down(hva, HUGE_BYTES), start = align_down(hva, BIT64(lg2));

	if (replay_spans_has(&backing->pool, hva))
		(void)replay_spans_add(&backing->present, region, region + HUGE_BYTES);
	if (replay_spans_has(&backing->unwritten, hva))
		(void)replay_spans_remove(&backing->unwritten, start, start + BIT64(lg2));
}

/* May the page behind HVA, mapped with 2^lg2 bytes, be written when it is faulted for ACCESS? */
static bool is_writable(struct replay_backing *backing, uint64_t hva, unsigned access, unsigned lg2)
{
	const struct replay_frame *known = frame_find(backing->pages, hva >> HOST_LG2);
	bool is_pool = replay_spans_has(&backing->pool, hva);

	if (access & VMMU_WRITE) {
		note_write(backing, hva, lg2);
		/* A write ends the zero page, whatever was seen before. */
		return true;
	}
	if (replay_spans_has(&backing->unwritten, hva))
		return false;
	if (is_pool)
		return replay_spans_has(&backing->present, hva);
	return !known || !known->zero;
}

enum vmmu_resolve_status replay_backing_page(struct replay_backing *backing,
					     const struct vmmu_page_request *request,
					     struct vmmu_page *page)
{
	uint64_t frame = frame_unseen(backing, request);
	bool is_denied = replay_spans_has(&backing->write_denied, request->hva);
	unsigned lg2;

	/* Ahead of any access only what is there and writable counts, as far as the trace knows. */
	if (request->flags & VMMU_RESOLVE_NO_FAULT &&
	    (is_denied || !replay_spans_has(&backing->present, request->hva)))
		return VMMU_RESOLVE_UNMAPPED;
	/* The host's own fault on the guest's behalf fails: it has no page to give for writing. */
	if (request->access & VMMU_WRITE && is_denied)
		return VMMU_RESOLVE_UNMAPPED;
	lg2 = mapping_lg2(backing, request->hva, &frame);
	page->level = level_of(backing->geometry, policy_lg2(backing, lg2));
	page->pfn = frame_for(backing, request->hva, frame, page->level);
	page->memtype = VMMU_MEM_WRITEBACK;
	page->writable = !is_denied && is_writable(backing, request->hva, request->access, lg2);
	return VMMU_RESOLVE_OK;
}
