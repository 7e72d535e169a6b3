/* SPDX-License-Identifier: MIT */
/*
 * Table frames: naturally aligned blocks of 2^lg2 bytes from one reserved address range, so that
 * hpa <-> pointer is an addition, and a fixed-size metadata record per smallest frame, found by
 * arithmetic too.
 *
 * Memory is reserved, not used: a frame costs memory when first touched; past the first
 * FRAME_SMALL_BYTES, the host is asked to back frames with huge pages. Freed frames are reused,
 * newest first. Callers serialise (the VM's mmu lock); hpa/pointer conversions are free for all.
 *
 * A pool may instead borrow each frame when it is needed, from a lender whose frames all lie in the
 * range: then only they are touched, and the rest of the range may be a hole. Up to FRAME_SPARES of
 * them are kept for the next allocations; what is over goes back as it is freed.
 *
 * A free of what is not handed out (twice, misaligned, with another size) ends the program in
 * sanitizer and assertion builds and is ignored in others. Sanitizer builds poison free frames, and
 * all of their metadata but the first 16 bytes.
 */
#ifndef VMMU_BASE_FRAME_H
#define VMMU_BASE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_LG2_MAX 20
/* Bytes of metadata per smallest frame. */
#define FRAME_META_LG2   6
#define FRAME_META_BYTES (1 << FRAME_META_LG2)
/* Free frames that a pool keeps rather than give back to its lender; more than tables in a walk. */
#define FRAME_SPARES 16
/* A pool this small is not worth whole huge pages of the host's. */
#define FRAME_SMALL_BYTES (4 << 20)

/* Who lends frames; both called by whoever calls the pool. CTX is handed back. */
struct frame_lender {
	void *ctx;
	/*
	 * BYTES bytes, a power of two and naturally aligned by hpa, inside the pool's range and not
	 * lent already; NULL: none
	 */
	void *(*get)(void *ctx, uint64_t bytes);
	void (*put)(void *ctx, void *frame, uint64_t bytes); /* what get() gave, in one piece */
};

struct frame_pool {
	/* first byte of the range; a borrowed one begins inside of the first 2^FRAME_LG2_MAX */
	unsigned char *base;
	uint64_t hpa;       /* hpa of base, bytes */
	uint64_t offset;    /* from an hpa to where we see it, modulo 2^64 */
	uint64_t bytes;     /* size of the range */
	uint64_t bump;      /* offset of the first byte never handed out */
	uint64_t huge_from; /* the host was asked for huge pages up to here; UINT64_MAX: never is */
	unsigned min_lg2;   /* smallest frame */
	bool is_borrowed;   /* the range is the caller's, and holds who knows what */
	bool is_lent;       /* frames come from lender */
	bool is_misled;     /* the lender gave what no frame can be: it was not used */
	unsigned char *meta; /* FRAME_META_BYTES for each 2^min_lg2 bytes of the range */
	/* a frame is its metadata's address << meta_shift, plus meta_offset: see frame_of_meta() */
	unsigned meta_shift;
	uint64_t meta_offset;
	struct frame_lender lender;
	uint64_t lent;                 /* frames that we have of the lender's: live and free ones */
	uint64_t first;                /* offset of the first byte that may be lent */
	void *free[FRAME_LG2_MAX + 1]; /* free frames by lg2, linked through their metadata */
	uint64_t live;                 /* frames handed out now */
	uint64_t live_bytes;
	uint64_t allocated; /* frames ever handed out */
	uint64_t freed;     /* frames ever given back */
	/* allocations that may still be made; UINT64_MAX: any number (tests let them run out) */
	uint64_t left;
};

/*
 * Reserve BYTES (rounded up to 2^FRAME_LG2_MAX) at hpa HPA (aligned to 2^FRAME_LG2_MAX).
 * min_lg2 12..16. -EINVAL: misaligned, zero or wrapping; -ENOMEM.
 */
int frame_pool_init(struct frame_pool *pool, uint64_t hpa, uint64_t bytes, unsigned min_lg2);
/*
 * The same over BYTES bytes of the caller's at MEMORY, which hardware sees at HPA; both, and BYTES,
 * multiples of the smallest frame. The memory is used as it is and left as it is.
 */
int frame_pool_init_over(struct frame_pool *pool, void *memory, uint64_t hpa, uint64_t bytes,
			 unsigned min_lg2);
/*
 * The same, but frames are lent one by one: the range is where they may lie. Frames live at
 * frame_pool_destroy() do not go back.
 */
int frame_pool_init_lent(struct frame_pool *pool, void *memory, uint64_t hpa, uint64_t bytes,
			 unsigned min_lg2, const struct frame_lender *lender);
/* Gives everything back, live frames too. */
void frame_pool_destroy(struct frame_pool *pool);
/*
 * A frame of 2^lg2 bytes, min_lg2..FRAME_LG2_MAX; NULL when the range is used up. *zeroed: its
 * contents are all zero. Its metadata is zeroed.
 */
void *frame_alloc(struct frame_pool *pool, unsigned lg2, bool *zeroed);
/*
 * Will COUNT allocations of 2^lg2 bytes succeed? Pieces cut from larger free frames count. Borrows
 * what is wanting.
 */
bool frame_pool_has_room(struct frame_pool *pool, unsigned lg2, unsigned count);
/* Give it back; lg2 as when allocated. */
void frame_free(struct frame_pool *pool, void *frame, unsigned lg2);

static inline uint64_t frame_hpa(const struct frame_pool *pool, const void *ptr)
{
	return pool->hpa + (uint64_t)((const unsigned char *)ptr - pool->base);
}

static inline void *frame_ptr(const struct frame_pool *pool, uint64_t hpa)
{
	return (void *)(uintptr_t)(hpa + pool->offset);
}

/* Does hpa lie in the range at all? */
static inline bool frame_has(const struct frame_pool *pool, uint64_t hpa)
{
	return hpa - pool->hpa < pool->bytes;
}

/* Metadata record of the smallest frame that PTR points into. */
static inline void *frame_meta(const struct frame_pool *pool, const void *ptr)
{
	uint64_t offset = (uint64_t)((const unsigned char *)ptr - pool->base);

	return pool->meta + (offset >> pool->min_lg2) * FRAME_META_BYTES;
}

/* The smallest frame that META, the beginning of a metadata record, belongs to. */
static inline void *frame_of_meta(const struct frame_pool *pool, const void *meta)
{
	uint64_t address = (uint64_t)(uintptr_t)meta << pool->meta_shift;

	return (void *)(uintptr_t)(address + pool->meta_offset);
}

#endif
