/* SPDX-License-Identifier: MIT */
/*
 * The library's heap: one allocator table. mem.c is the only user of jemalloc (or, by the CMake
 * switch VMMU_ALLOCATOR=libc, of malloc). Table frames do not come from here: see frame.h.
 */
#ifndef VMMU_BASE_MEM_H
#define VMMU_BASE_MEM_H

#include <stddef.h>

struct mem_ops {
	void *(*alloc)(size_t bytes); /* zeroed, 16-byte aligned; NULL when there is none */
	void (*free)(void *ptr);      /* NULL allowed */
};

/* Zeroed memory, or NULL. bytes 0 is served as 1. */
void *mem_alloc(size_t bytes);
/* Zeroed count * size bytes, or NULL, also when the product overflows. */
void *mem_alloc_array(size_t count, size_t size);
void mem_free(void *ptr);
/* Blocks handed out and not freed, in the whole process: for leak checks. */
size_t mem_live(void);
/*
 * Replace the allocator (tests inject failures); NULL restores the built-in one. Returns the one
 * replaced.
 */
const struct mem_ops *mem_ops_set(const struct mem_ops *ops);

#endif
