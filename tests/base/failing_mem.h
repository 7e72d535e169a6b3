/* SPDX-License-Identifier: MIT */
/*
 * An allocator that fails on demand. Criterion runs each test in a process of its own, so nothing
 * need be put back.
 */
#ifndef TESTS_BASE_FAILING_MEM_H
#define TESTS_BASE_FAILING_MEM_H

#include <stdint.h>

#include "base/mem.h"

static const struct mem_ops *failing_mem_real;
/* Allocations that still succeed. */
static uint64_t failing_mem_left;
/* Allocations asked for since failing_mem_after(). */
static uint64_t failing_mem_asked;

static inline void *failing_mem_alloc(size_t bytes)
{
	failing_mem_asked++;
	if (!failing_mem_left)
		return NULL;
	failing_mem_left--;
	return failing_mem_real->alloc(bytes);
}

static inline void failing_mem_free(void *ptr)
{
	failing_mem_real->free(ptr);
}

/* From now on LEFT allocations succeed and all others fail. */
static inline void failing_mem_after(uint64_t left)
{
	static const struct mem_ops ops = {.alloc = failing_mem_alloc, .free = failing_mem_free};
	const struct mem_ops *replaced = mem_ops_set(&ops);

	if (replaced != &ops)
		failing_mem_real = replaced;
	failing_mem_left = left;
	failing_mem_asked = 0;
}

/* Allocations succeed again. */
static inline void failing_mem_stop(void)
{
	mem_ops_set(NULL);
}

#endif
