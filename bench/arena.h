/* SPDX-License-Identifier: MIT */
/*
 * Memory for tables, touched and on huge pages before anything is measured. The same for every
 * subject, so that what is compared is what they do with it. An arena is one thread's.
 */
#ifndef VMMU_BENCH_ARENA_H
#define VMMU_BENCH_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARENA_PAGE 4096u

/* Pages not in use: freed ones first, newest first, then fresh ones from bump to end. */
struct arena {
	void *freed; /* linked through their first words */
	char *bump, *end;
	long live, peak;
};

extern _Thread_local struct arena *arena;
/* Pointer minus the address that entries hold, as a hypervisor's direct map has it. */
extern uint64_t arena_offset;

/* Make the calling thread's arena of BYTES, never given back. Ends the program if it cannot. */
void arena_init(size_t bytes);
/* A page of zeroes; ends the program when there is none. */
void *arena_zalloc(void);
void arena_free(void *page);
/* COUNT pages of the calling thread's arena become OTHER's, and what is left of them come back. */
void arena_lend(struct arena *other, uint64_t count);
void arena_take_back(struct arena *other);

static inline uint64_t arena_address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer - arena_offset;
}

static inline void *arena_pointer(uint64_t address)
{
	return (void *)(uintptr_t)(address + arena_offset);
}

/* A page of anything, or NULL. */
static inline void *arena_alloc(void)
{
	struct arena *a = arena;
	void *page = a->freed;

	if (page) {
		memcpy(&a->freed, page, sizeof(a->freed));
	} else {
		if (a->bump + ARENA_PAGE > a->end)
			return NULL;
		page = a->bump;
		a->bump += ARENA_PAGE;
	}
	a->live++;
	if (a->live > a->peak)
		a->peak = a->live;
	return page;
}

#endif
