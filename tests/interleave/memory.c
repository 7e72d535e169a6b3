/* SPDX-License-Identifier: MIT */
#include "interleave/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"
#include "base/mem.h"
#include "interleave/point.h"

#define ARENA_BYTES  (UINT64_C(48) << 20)
#define FRAMES_MAX   4096
#define FRAME_BYTES  4096
#define BLOCK_LIVE   UINT64_C(0x6c6976656c697665)
#define FREED_BYTE   0xa5
#define BLOCK_FREE   UINT64_C(0x6672656566726565)
#define KEY_OF_FRAME (UINT64_C(1) << 60)
#define KEY_OF_HEAP  (UINT64_C(2) << 60)
#define KEY_OF_META  (UINT64_C(3) << 60)

/* In front of each block. */
struct block {
	uint64_t state, bytes;
};

static _Alignas(64) unsigned char arena[ARENA_BYTES];
static size_t arena_used, blocks_live;
/* A byte for each 16 of the arena: it went back. */
static unsigned char arena_free[ARENA_BYTES / 16];
static const unsigned char *frames_base;
static size_t frames_bytes, meta_bytes;
static const unsigned char *meta_base; /* records of frames */
static unsigned char frame_is_free[FRAMES_MAX];

static void *memory_alloc(size_t bytes)
{
	size_t room = (bytes + 15) & ~(size_t)15;
	struct block *block = (struct block *)(void *)(arena + arena_used);

	if (room > ARENA_BYTES || arena_used + sizeof(*block) + room > ARENA_BYTES) {
		fprintf(stderr, "interleave: the heap of a run is too small\n");
		abort();
	}
	arena_used += sizeof(*block) + room;
	*block = (struct block){BLOCK_LIVE, room};
	blocks_live++;
	return block + 1;
}

static void memory_free(void *ptr)
{
	struct block *block;

	if (!ptr)
		return;
	block = (struct block *)ptr - 1;
	if (block->state != BLOCK_LIVE) {
		fprintf(stderr, "interleave: freed twice, or never allocated\n");
		abort();
	}
	block->state = BLOCK_FREE;
	point_at(POINT_FREE, ptr, block->bytes, __func__);
	/* Not 0, and no address: who reads it without a point goes wrong soon. */
	memset(ptr, FREED_BYTE, block->bytes);
	memset(arena_free + (size_t)((unsigned char *)ptr - arena) / 16, 1, block->bytes / 16);
	blocks_live--;
}

static const struct mem_ops memory_ops = {memory_alloc, memory_free};

void memory_start(void)
{
	mem_ops_set(&memory_ops);
}

void memory_reset(void)
{
	memset(arena, 0, arena_used);
	memset(arena_free, 0, arena_used / 16 + 1);
	arena_used = 0;
	blocks_live = 0;
	frames_base = NULL;
	frames_bytes = meta_bytes = 0;
	memset(frame_is_free, 0, sizeof(frame_is_free));
}

size_t memory_live(void)
{
	return blocks_live;
}

void memory_frames_are(const struct frame_pool *pool)
{
	if (pool->bytes / FRAME_BYTES > FRAMES_MAX)
		abort();
	frames_base = pool->base;
	frames_bytes = pool->bytes;
	meta_base = pool->meta;
	meta_bytes = (pool->bytes >> pool->min_lg2) * FRAME_META_BYTES;
}

bool memory_is_frame(const volatile void *address)
{
	return (size_t)((const volatile unsigned char *)address - frames_base) < frames_bytes;
}

static bool memory_is_heap(const volatile void *address)
{
	return (size_t)((const volatile unsigned char *)address - arena) < ARENA_BYTES;
}

uint64_t memory_key(const volatile void *address)
{
	uint64_t place = (uintptr_t)address;

	if (memory_is_frame(address))
		return KEY_OF_FRAME | (place - (uintptr_t)frames_base);
	if (memory_is_heap(address))
		return KEY_OF_HEAP | (place - (uintptr_t)arena);
	if (place - (uintptr_t)meta_base < meta_bytes)
		return KEY_OF_META | (place - (uintptr_t)meta_base);
	return place;
}

bool memory_is_free(const volatile void *address)
{
	size_t offset;

	if (memory_is_frame(address)) {
		offset = (size_t)((const volatile unsigned char *)address - frames_base);
		return frame_is_free[offset / FRAME_BYTES];
	}
	if (!memory_is_heap(address))
		return false;
	offset = (size_t)((const volatile unsigned char *)address - arena);
	return arena_free[offset / 16];
}

/* The linker puts these in front of the pool's own: see CMakeLists.txt. */
void *__real_frame_alloc(struct frame_pool *pool, unsigned lg2, bool *zeroed);
void __real_frame_free(struct frame_pool *pool, void *frame, unsigned lg2);
void *__wrap_frame_alloc(struct frame_pool *pool, unsigned lg2, bool *zeroed);
void __wrap_frame_free(struct frame_pool *pool, void *frame, unsigned lg2);

/*
 * A new frame each time: whoever still knows a table that was freed never finds another one there,
 * and is found out.
 */
void *__wrap_frame_alloc(struct frame_pool *pool, unsigned lg2, bool *zeroed)
{
	void *free_frames = pool->free[lg2], *frame;

	pool->free[lg2] = NULL;
	frame = __real_frame_alloc(pool, lg2, zeroed);
	if (pool->free[lg2]) {
		fprintf(stderr, "interleave: frames of a run have a gap\n");
		abort();
	}
	pool->free[lg2] = free_frames;
	return frame;
}

void __wrap_frame_free(struct frame_pool *pool, void *frame, unsigned lg2)
{
	point_at(POINT_FREE, frame, UINT64_C(1) << lg2, "frame_free");
	if (memory_is_frame(frame))
		memset(frame_is_free + ((unsigned char *)frame - frames_base) / FRAME_BYTES, 1,
		       (UINT64_C(1) << lg2) / FRAME_BYTES);
	__real_frame_free(pool, frame, lg2);
}
