/* SPDX-License-Identifier: MIT */
/*
 * The allocator table and its two built-in implementations.
 *
 * Big blocks matter here: slot metadata is gigabytes of address space of which little is ever
 * touched. Both jemalloc's zeroing allocation and calloc leave fresh pages to the kernel, so
 * nothing in this file may write to a block.
 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/sanitize.h"

/*
 * Sanitizers know malloc, and neither see overruns in mallocx's blocks nor blocks changing hands
 * between threads: they get malloc.
 */
#if defined(VMMU_JEMALLOC) && !BASE_HAS_ASAN && !BASE_HAS_TSAN
#define MEM_USES_JEMALLOC 1
#include <jemalloc/jemalloc.h>
#else
#define MEM_USES_JEMALLOC 0
#endif

#define MEM_ALIGN 16
/* Live counters: threads spread over them, so that allocating vCPUs do not write one cache line. */
#define MEM_COUNTER_COUNT 32

struct mem_counter {
	/*
	 * Blocks that threads of this counter allocated, less those that they freed: may be below
	 * 0.
	 */
	_Alignas(64) _Atomic int64_t live;
};

static struct mem_counter mem_counters[MEM_COUNTER_COUNT];
static _Atomic unsigned mem_next_counter;
/* 0: none chosen yet; else index + 1. */
static _Thread_local unsigned mem_my_counter;

static void *mem_builtin_alloc(size_t bytes)
{
#if MEM_USES_JEMALLOC
	return mallocx(bytes, MALLOCX_ZERO | MALLOCX_ALIGN(MEM_ALIGN));
#else
	_Static_assert(_Alignof(max_align_t) >= MEM_ALIGN, "calloc aligns less than promised");
	return calloc(1, bytes);
#endif
}

static void mem_builtin_free(void *ptr)
{
#if MEM_USES_JEMALLOC
	if (ptr)
		dallocx(ptr, 0);
#else
	free(ptr);
#endif
}

static const struct mem_ops mem_builtin = {
	.alloc = mem_builtin_alloc,
	.free = mem_builtin_free,
};

static const struct mem_ops *_Atomic mem_ops = &mem_builtin;

static void mem_count(int64_t delta)
{
	if (unlikely(!mem_my_counter))
		mem_my_counter = 1 + atomic_fetch_add_explicit(&mem_next_counter, 1,
							       memory_order_relaxed) %
					     MEM_COUNTER_COUNT;
	atomic_fetch_add_explicit(&mem_counters[mem_my_counter - 1].live, delta,
				  memory_order_relaxed);
}

void *mem_alloc(size_t bytes)
{
	const struct mem_ops *ops = atomic_load_explicit(&mem_ops, memory_order_acquire);
	void *ptr;

	/*
	 * No object may be larger than ptrdiff_t can measure; allocators differ in how they say so.
	 */
	if (bytes > PTRDIFF_MAX - MEM_ALIGN)
		return NULL;
	ptr = ops->alloc(bytes ? bytes : 1);
	if (ptr)
		mem_count(1);
	return ptr;
}

void *mem_alloc_array(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return mem_alloc(bytes);
}

void mem_free(void *ptr)
{
	const struct mem_ops *ops = atomic_load_explicit(&mem_ops, memory_order_acquire);

	if (ptr)
		mem_count(-1);
	ops->free(ptr);
}

size_t mem_live(void)
{
	int64_t live = 0;

	for (unsigned i = 0; i < MEM_COUNTER_COUNT; i++)
		live += atomic_load_explicit(&mem_counters[i].live, memory_order_relaxed);
	/* Sampled one by one: while other threads allocate, the sum is only near the truth. */
	return live < 0 ? 0 : (size_t)live;
}

const struct mem_ops *mem_ops_set(const struct mem_ops *ops)
{
	return atomic_exchange_explicit(&mem_ops, ops ? ops : &mem_builtin, memory_order_acq_rel);
}
