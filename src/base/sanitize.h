/* SPDX-License-Identifier: MIT */
/*
 * Which sanitizer this translation unit is built for (gcc says it with a macro, clang with
 * __has_feature), and the few calls by which we tell it what it cannot see: free table frames, and
 * what RCU orders.
 */
#ifndef VMMU_BASE_SANITIZE_H
#define VMMU_BASE_SANITIZE_H

#include <stddef.h>

#if defined(__has_feature)
#define BASE_FEATURE(x) __has_feature(x)
#else
#define BASE_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || BASE_FEATURE(address_sanitizer)
#define BASE_HAS_ASAN 1
#include <sanitizer/asan_interface.h>
#else
#define BASE_HAS_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || BASE_FEATURE(thread_sanitizer)
#define BASE_HAS_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define BASE_HAS_TSAN 0
#endif

/* From now on any access to these bytes is an error; granularity 8 bytes. */
static inline void sanitize_poison(const void *ptr, size_t bytes)
{
#if BASE_HAS_ASAN
	__asan_poison_memory_region(ptr, bytes);
#else
	(void)ptr;
	(void)bytes;
#endif
}

static inline void sanitize_unpoison(const void *ptr, size_t bytes)
{
#if BASE_HAS_ASAN
	__asan_unpoison_memory_region(ptr, bytes);
#else
	(void)ptr;
	(void)bytes;
#endif
}

/* What this thread did so far happens before what follows a later sanitize_acquire() of TAG. */
static inline void sanitize_release(void *tag)
{
#if BASE_HAS_TSAN
	__tsan_release(tag);
#else
	(void)tag;
#endif
}

static inline void sanitize_acquire(void *tag)
{
#if BASE_HAS_TSAN
	__tsan_acquire(tag);
#else
	(void)tag;
#endif
}

#endif
