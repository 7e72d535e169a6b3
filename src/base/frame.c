/* SPDX-License-Identifier: MIT */
/*
 * Table frames by bump pointer and one free list per size.
 *
 * Two reservations: the frames, and behind one another their metadata records and one state byte
 * per smallest frame. Both are mapped without backing, so that a large pool costs only what is
 * touched.
 *
 * State byte of the smallest frame with index i:
 * 	0          no frame handed out begins here
 * 	lg2        a frame of 2^lg2 bytes that begins here is handed out
 * 	FRAME_LENT the lender's, and no frame handed out begins here
 * It tells a free of something that is not handed out from a good one, in every build: one byte to
 * read. Builds with a sanitizer or with assertions then stop; others leave the pool as it was,
 * which leaks at worst. A lent pool has all bytes of a frame set while it has the frame, and so
 * tells a loan of the same memory twice.
 *
 * While a frame is free, its first metadata record holds a struct free_frame.
 */
#include "base/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/sanitize.h"

#define FRAME_UNIT         BIT64(FRAME_LG2_MAX)
#define FRAME_LG2_MIN      12
#define FRAME_LG2_MIN_LAST 16
#define FRAME_LENT         0xff

#if BASE_HAS_ASAN || !defined(NDEBUG)
#define FRAME_STOPS_ON_MISUSE 1
#else
#define FRAME_STOPS_ON_MISUSE 0
#endif

/* What a free frame's metadata holds. */
struct free_frame {
	struct free_frame *next;
	uint64_t zeroed; /* 1: nobody has had the frame yet, its contents are zero */
};

static uint64_t frame_meta_bytes(const struct frame_pool *pool)
{
	return (pool->bytes >> pool->min_lg2) * FRAME_META_BYTES;
}

static unsigned char *frame_state(const struct frame_pool *pool, uint64_t offset)
{
	return pool->meta + frame_meta_bytes(pool) + (offset >> pool->min_lg2);
}

static unsigned char *frame_map(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/*
 * Reserve BYTES, a multiple of FRAME_UNIT, aligned to it; NULL when there is no room. The kernel
 * puts one mapping against the other, so that after the first few their addresses are aligned as
 * they come.
 */
static unsigned char *frame_reserve(uint64_t bytes)
{
	unsigned char *map = frame_map(bytes), *base;
	uint64_t head;

	if (!map || is_aligned((uintptr_t)map, FRAME_UNIT))
		return map;
	munmap(map, bytes);
	map = frame_map(bytes + FRAME_UNIT);
	if (!map)
		return NULL;
	/* Cut off what alignment leaves over at both ends. */
	base = (unsigned char *)align_up((uintptr_t)map, FRAME_UNIT);
	head = (uint64_t)(base - map);
	if (head)
		munmap(map, head);
	if (head != FRAME_UNIT)
		munmap(base + bytes, FRAME_UNIT - head);
	return base;
}

static uint64_t frame_side_bytes(const struct frame_pool *pool)
{
	uint64_t frames = pool->bytes >> pool->min_lg2;

	return align_up(frames * (FRAME_META_BYTES + 1), FRAME_UNIT);
}

/*
 * Frames not yet handed out are poisoned like free ones, but only to the end of the unit that the
 * bump stands in: poisoning a whole reservation would touch an eighth of its size.
 */
static void frame_poison_ahead(const struct frame_pool *pool, uint64_t old_bump)
{
	uint64_t poisoned = align_up(old_bump, FRAME_UNIT);
	uint64_t wanted = align_up(pool->bump, FRAME_UNIT);

	if (wanted > poisoned)
		sanitize_poison(pool->base + poisoned, wanted - poisoned);
}

/* Once base and meta are known: frame_of_meta()'s sums, modulo 2^64. */
static void frame_pool_relate(struct frame_pool *pool)
{
	pool->meta_shift = pool->min_lg2 - FRAME_META_LG2;
	pool->offset = (uint64_t)(uintptr_t)pool->base - pool->hpa;
	pool->meta_offset = (uint64_t)(uintptr_t)pool->base -
			    ((uint64_t)(uintptr_t)pool->meta << pool->meta_shift);
}

int frame_pool_init(struct frame_pool *pool, uint64_t hpa, uint64_t bytes, unsigned min_lg2)
{
	uint64_t rounded = align_up(bytes, FRAME_UNIT);

	if (min_lg2 < FRAME_LG2_MIN || min_lg2 > FRAME_LG2_MIN_LAST)
		return -EINVAL;
	/* Rounding up wraps to 0; a range may end at 2^64 exactly. */
	if (!rounded || !is_aligned(hpa, FRAME_UNIT) || hpa + rounded - 1 < hpa)
		return -EINVAL;
	/* More than an address space has; the sums below must not wrap. */
	if (rounded > BIT64(62))
		return -ENOMEM;
	*pool = (struct frame_pool){.hpa = hpa,
				    .bytes = rounded,
				    .huge_from = FRAME_SMALL_BYTES,
				    .min_lg2 = min_lg2,
				    .left = UINT64_MAX};
	pool->base = frame_reserve(rounded);
	if (!pool->base)
		return -ENOMEM;
	pool->meta = frame_reserve(frame_side_bytes(pool));
	if (!pool->meta) {
		munmap(pool->base, rounded);
		pool->base = NULL;
		return -ENOMEM;
	}
	frame_pool_relate(pool);
	return 0;
}

/*
 * Offsets are made such that they are aligned like hpas, as natural alignment of frames is
 * hardware's wish: the range begins as far behind base as its hpa lies behind a multiple of
 * FRAME_UNIT. What is before the range is never handed out.
 */
int frame_pool_init_over(struct frame_pool *pool, void *memory, uint64_t hpa, uint64_t bytes,
			 unsigned min_lg2)
{
	uint64_t head = hpa & (FRAME_UNIT - 1), smallest;

	if (min_lg2 < FRAME_LG2_MIN || min_lg2 > FRAME_LG2_MIN_LAST)
		return -EINVAL;
	smallest = BIT64(min_lg2);
	if (!bytes || !is_aligned(hpa | bytes | (uintptr_t)memory, smallest) ||
	    hpa + bytes - 1 < hpa || bytes > BIT64(62))
		return -EINVAL;
	*pool = (struct frame_pool){.hpa = hpa - head,
				    .bytes = head + bytes,
				    .bump = head,
				    .huge_from = UINT64_MAX,
				    .min_lg2 = min_lg2,
				    .is_borrowed = true,
				    .left = UINT64_MAX};
	pool->meta = frame_reserve(frame_side_bytes(pool));
	if (!pool->meta)
		return -ENOMEM;
	pool->base = (unsigned char *)((uintptr_t)memory - head);
	frame_pool_relate(pool);
	return 0;
}

int frame_pool_init_lent(struct frame_pool *pool, void *memory, uint64_t hpa, uint64_t bytes,
			 unsigned min_lg2, const struct frame_lender *lender)
{
	int err = frame_pool_init_over(pool, memory, hpa, bytes, min_lg2);

	if (err)
		return err;
	/* Nothing of the range is ours to take. */
	pool->first = pool->bump;
	pool->bump = pool->bytes;
	pool->is_lent = true;
	pool->lender = *lender;
	return 0;
}

static void frame_give_back_spares(struct frame_pool *pool);

void frame_pool_destroy(struct frame_pool *pool)
{
	if (!pool->base)
		return;
	/* The next mapping at these addresses must not inherit the poison. */
	if (pool->is_lent)
		frame_give_back_spares(pool);
	else
		sanitize_unpoison(pool->meta, (pool->bump >> pool->min_lg2) * FRAME_META_BYTES);
	if (!pool->is_borrowed) {
		sanitize_unpoison(pool->base, align_up(pool->bump, FRAME_UNIT));
		munmap(pool->base, pool->bytes);
	}
	munmap(pool->meta, frame_side_bytes(pool));
	*pool = (struct frame_pool){0};
}

static uint64_t frame_meta_bytes_of(const struct frame_pool *pool, unsigned lg2)
{
	return (BIT64(lg2) >> pool->min_lg2) * FRAME_META_BYTES;
}

/* Put the frame at OFFSET on its free list. Its state byte says that it is not handed out. */
static inline void frame_push(struct frame_pool *pool, uint64_t offset, unsigned lg2,
			      uint64_t zeroed)
{
	struct free_frame *record = frame_meta(pool, pool->base + offset);
	uint64_t meta_bytes = frame_meta_bytes_of(pool, lg2);

	record->next = pool->free[lg2];
	record->zeroed = zeroed;
	pool->free[lg2] = record;
	/* What is borrowed its owner may look at. */
	if (!pool->is_borrowed)
		sanitize_poison(pool->base + offset, BIT64(lg2));
	sanitize_poison(record + 1, meta_bytes - sizeof(*record));
}

/* Take the newest free frame of exactly 2^lg2 bytes; there is one. */
static inline uint64_t frame_pop(struct frame_pool *pool, unsigned lg2, uint64_t *zeroed)
{
	struct free_frame *record = pool->free[lg2];

	pool->free[lg2] = record->next;
	*zeroed = record->zeroed;
	return (uint64_t)((unsigned char *)frame_of_meta(pool, record) - pool->base);
}

/* ---- frames of a lender's ---- */

/* Is [offset, + 2^lg2) what a frame may be, and nothing of it lent already? */
static bool frame_may_borrow(const struct frame_pool *pool, uint64_t offset, unsigned lg2)
{
	const unsigned char *state;

	if (!is_aligned(offset, BIT64(lg2)) || offset < pool->first || offset >= pool->bytes ||
	    pool->bytes - offset < BIT64(lg2))
		return false;
	state = frame_state(pool, offset);
	for (uint64_t i = 0; i < BIT64(lg2) >> pool->min_lg2; i++)
		if (state[i])
			return false;
	return true;
}

/* Another frame from the lender. False: there is none. */
static bool frame_borrow(struct frame_pool *pool, unsigned lg2, uint64_t *offset)
{
	unsigned char *frame = NULL;

	/* Who did not know once what was lent is not asked again. */
	if (!pool->is_misled)
		frame = pool->lender.get(pool->lender.ctx, BIT64(lg2));
	if (!frame)
		return false;
	*offset = (uint64_t)(frame - pool->base);
	if (!frame_may_borrow(pool, *offset, lg2)) {
		pool->is_misled = true;
		return false;
	}
	memset(frame_state(pool, *offset), FRAME_LENT, BIT64(lg2) >> pool->min_lg2);
	pool->lent++;
	return true;
}

/* The newest free frame of 2^lg2 bytes goes back; there is one. */
static void frame_give_back(struct frame_pool *pool, unsigned lg2)
{
	uint64_t zeroed, offset = frame_pop(pool, lg2, &zeroed);
	unsigned char *frame = pool->base + offset;

	sanitize_unpoison(frame_meta(pool, frame), frame_meta_bytes_of(pool, lg2));
	memset(frame_state(pool, offset), 0, BIT64(lg2) >> pool->min_lg2);
	pool->lent--;
	pool->lender.put(pool->lender.ctx, frame, BIT64(lg2));
}

/* The frame at OFFSET, which is on its free list, was the last to be freed. */
static __attribute__((noinline)) void frame_keep_or_give_back(struct frame_pool *pool,
							      uint64_t offset, unsigned lg2)
{
	*frame_state(pool, offset) = FRAME_LENT;
	if (pool->lent - pool->live > FRAME_SPARES)
		frame_give_back(pool, lg2);
}

static void frame_give_back_spares(struct frame_pool *pool)
{
	for (unsigned lg2 = pool->min_lg2; lg2 <= FRAME_LG2_MAX; lg2++)
		while (pool->free[lg2])
			frame_give_back(pool, lg2);
}

/* ---- frames of our range ---- */

/*
 * Give [start, end), never handed out, to the free lists in the largest naturally aligned pieces.
 */
static void frame_give_gap(struct frame_pool *pool, uint64_t start, uint64_t end)
{
	while (start < end) {
		unsigned lg2 = (unsigned)__builtin_ctzll(start);

		while (start + BIT64(lg2) > end)
			lg2--;
		frame_push(pool, start, lg2, 1);
		start += BIT64(lg2);
	}
}

/*
 * As much again with huge pages as there is before: walks through many tables spare the host's TLB
 * misses, and a system call for each doubling is little. A host that does not care is as good.
 */
static __attribute__((noinline)) void frame_ask_huge(struct frame_pool *pool)
{
	uint64_t from = pool->huge_from, bytes = pool->bytes - from;

	(void)madvise(pool->base + from, bytes < from ? bytes : from, MADV_HUGEPAGE);
	pool->huge_from = 2 * from;
}

/* Take fresh memory. False: not enough left. */
static bool frame_bump(struct frame_pool *pool, unsigned lg2, uint64_t *offset)
{
	uint64_t old_bump = pool->bump;
	uint64_t start = align_up(old_bump, BIT64(lg2));

	if (start >= pool->bytes || pool->bytes - start < BIT64(lg2))
		return false;
	pool->bump = start + BIT64(lg2);
	if (unlikely(pool->bump > pool->huge_from))
		frame_ask_huge(pool);
	if (!pool->is_borrowed)
		frame_poison_ahead(pool, old_bump);
	frame_give_gap(pool, old_bump, start);
	*offset = start;
	return true;
}

/*
 * Cut the smallest larger free frame down to size; its upper halves become free frames. False:
 * there is none.
 */
static bool frame_split(struct frame_pool *pool, unsigned lg2, uint64_t *offset, uint64_t *zeroed)
{
	unsigned from = lg2 + 1;

	while (from <= FRAME_LG2_MAX && !pool->free[from])
		from++;
	if (from > FRAME_LG2_MAX)
		return false;
	*offset = frame_pop(pool, from, zeroed);
	sanitize_unpoison(frame_meta(pool, pool->base + *offset), frame_meta_bytes_of(pool, from));
	while (from > lg2) {
		from--;
		frame_push(pool, *offset + BIT64(from), from, *zeroed);
	}
	return true;
}

/* A frame of a size of which none is free. False: there is none. */
static bool frame_find(struct frame_pool *pool, unsigned lg2, uint64_t *offset, uint64_t *zeroed)
{
	if (pool->is_lent)
		return frame_borrow(pool, lg2, offset);
	return frame_bump(pool, lg2, offset) || frame_split(pool, lg2, offset, zeroed);
}

void *frame_alloc(struct frame_pool *pool, unsigned lg2, bool *zeroed)
{
	uint64_t offset, fresh = 1, meta_bytes;
	unsigned char *meta;

	if (lg2 < pool->min_lg2 || lg2 > FRAME_LG2_MAX || unlikely(!pool->left))
		return NULL;
	if (pool->free[lg2])
		offset = frame_pop(pool, lg2, &fresh);
	else if (!frame_find(pool, lg2, &offset, &fresh))
		return NULL;
	meta = frame_meta(pool, pool->base + offset);
	meta_bytes = frame_meta_bytes_of(pool, lg2);
	if (!pool->is_borrowed)
		sanitize_unpoison(pool->base + offset, BIT64(lg2));
	sanitize_unpoison(meta, meta_bytes);
	memset(meta, 0, meta_bytes);
	*frame_state(pool, offset) = (unsigned char)lg2;
	if (unlikely(pool->left != UINT64_MAX))
		pool->left--;
	pool->live++;
	pool->live_bytes += BIT64(lg2);
	pool->allocated++;
	*zeroed = fresh && !pool->is_borrowed;
	return pool->base + offset;
}

/* The same where frames are borrowed: what we ask for ahead is kept as free frames. */
static bool frame_pool_stock(struct frame_pool *pool, unsigned lg2, unsigned count)
{
	const struct free_frame *frame = pool->free[lg2];
	uint64_t borrowed;

	if (pool->left < count)
		return false;
	for (; frame && count; frame = frame->next)
		count--;
	for (; count; count--) {
		if (!frame_borrow(pool, lg2, &borrowed))
			return false;
		frame_push(pool, borrowed, lg2, 0);
	}
	return true;
}

bool frame_pool_has_room(struct frame_pool *pool, unsigned lg2, unsigned count)
{
	uint64_t start = align_up(pool->bump, BIT64(lg2));
	uint64_t fresh = start < pool->bytes ? (pool->bytes - start) >> lg2 : 0;

	if (unlikely(pool->is_lent))
		return frame_pool_stock(pool, lg2, count);
	for (unsigned list = lg2; fresh < count && list <= FRAME_LG2_MAX; list++) {
		const struct free_frame *frame = pool->free[list];

		for (; frame && fresh < count; frame = frame->next)
			fresh += BIT64(list - lg2);
	}
	return fresh >= count && pool->left >= count;
}

/* Was exactly this frame handed out and not given back? */
static bool frame_is_live(const struct frame_pool *pool, uint64_t offset, unsigned lg2)
{
	return lg2 >= pool->min_lg2 && lg2 <= FRAME_LG2_MAX && offset < pool->bump &&
	       is_aligned(offset, BIT64(lg2)) && *frame_state(pool, offset) == lg2;
}

void frame_free(struct frame_pool *pool, void *frame, unsigned lg2)
{
	uint64_t offset = (uint64_t)((unsigned char *)frame - pool->base);

	if (unlikely(!frame_is_live(pool, offset, lg2))) {
		if (FRAME_STOPS_ON_MISUSE)
			abort();
		return;
	}
	*frame_state(pool, offset) = 0;
	pool->live--;
	pool->live_bytes -= BIT64(lg2);
	pool->freed++;
	frame_push(pool, offset, lg2, 0);
	if (unlikely(pool->is_lent))
		frame_keep_or_give_back(pool, offset, lg2);
}
