/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ARENA_HUGE ((size_t)2 << 20)
/* Where tables are as their entries say it. */
#define ARENA_ADDRESS UINT64_C(0x100000000)

static struct arena arena_first;
_Thread_local struct arena *arena;
uint64_t arena_offset;

static void arena_die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

void arena_init(size_t bytes)
{
	char *map = mmap(NULL, bytes + ARENA_HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		arena_die("no memory for the floor's tables");
	map = (char *)(((uintptr_t)map + ARENA_HUGE - 1) & ~(uintptr_t)(ARENA_HUGE - 1));
	/* Without huge pages it is slower, that is all. */
	(void)madvise(map, bytes, MADV_HUGEPAGE);
	memset(map, 0, bytes);
	arena_first = (struct arena){.bump = map, .end = map + bytes};
	arena_offset = (uint64_t)(uintptr_t)map - ARENA_ADDRESS;
	arena = &arena_first;
}

__attribute__((noinline)) void *arena_zalloc(void)
{
	void *page = arena_alloc();

	if (!page)
		arena_die("the floor's tables do not fit");
	return memset(page, 0, ARENA_PAGE);
}

static void arena_push(struct arena *to, void *page)
{
	memcpy(page, &to->freed, sizeof(to->freed));
	to->freed = page;
}

__attribute__((noinline)) void arena_free(void *page)
{
	struct arena *a = arena;

	arena_push(a, page);
	a->live--;
}

void arena_lend(struct arena *other, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		arena_push(other, arena_zalloc());
}

void arena_take_back(struct arena *other)
{
	while (other->freed) {
		void *page = other->freed;

		memcpy(&other->freed, page, sizeof(other->freed));
		arena_push(arena, page);
	}
}
