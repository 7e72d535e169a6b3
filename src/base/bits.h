/* SPDX-License-Identifier: MIT */
/* Small arithmetic that everybody needs. */
#ifndef VMMU_BASE_BITS_H
#define VMMU_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT64(n) (UINT64_C(1) << (n))
/* Bits low..high set, inclusive. */
#define BITS64(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define ARRAY_COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
/* For what is counted in instructions: hot parts into their callers, cold parts out of them. */
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NEVER_INLINE  __attribute__((noinline))
/* The struct of TYPE that PTR, its MEMBER, is part of. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline bool is_aligned(uint64_t value, uint64_t power_of_two)
{
	return !(value & (power_of_two - 1));
}

static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
	return value & ~(power_of_two - 1);
}

/* Wraps to 0 above the last multiple. */
static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
	return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
