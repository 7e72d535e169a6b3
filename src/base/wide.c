/* SPDX-License-Identifier: MIT */
#include "base/wide.h"

#include <stdatomic.h>

#include "base/sanitize.h"

/*
 * One body, compiled for old and for new CPUs; the loader picks. Sanitizers do not get along with
 * that, and clang 14 gives the picked function another name than its callers look for.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !BASE_HAS_ASAN && \
	!BASE_HAS_TSAN
#define WIDE_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define WIDE_CLONES
#endif

/* gcc vectorises these loops from -O3 on only. */
#if defined(__GNUC__) && !defined(__clang__)
#define WIDE_OPTIMIZE __attribute__((optimize("O3")))
#else
#define WIDE_OPTIMIZE
#endif

WIDE_CLONES WIDE_OPTIMIZE void wide_fill(uint64_t *entries, size_t count, uint64_t first,
					 uint64_t step)
{
	for (size_t i = 0; i < count; i++)
		entries[i] = first + i * step;
}

#if BASE_HAS_TSAN

void wide_clear(_Atomic uint64_t *entries, size_t count, uint64_t bits)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t entry = atomic_load_explicit(&entries[i], memory_order_relaxed);

		atomic_store_explicit(&entries[i], entry & ~bits, memory_order_relaxed);
	}
}

bool wide_has_any(const _Atomic uint64_t *entries, size_t count, uint64_t bits)
{
	uint64_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= atomic_load_explicit(&entries[i], memory_order_relaxed);
	return any & bits;
}

bool wide_is_all(const _Atomic uint64_t *entries, size_t count, uint64_t mask, uint64_t bits)
{
	uint64_t other = 0;

	for (size_t i = 0; i < count; i++)
		other |= atomic_load_explicit(&entries[i], memory_order_relaxed) ^ bits;
	return !(other & mask);
}

#else

WIDE_CLONES WIDE_OPTIMIZE static void wide_clear_plain(uint64_t *entries, size_t count,
						       uint64_t bits)
{
	entries = __builtin_assume_aligned(entries, 64);
	for (size_t i = 0; i < count; i++)
		entries[i] &= ~bits;
}

void wide_clear(_Atomic uint64_t *entries, size_t count, uint64_t bits)
{
	wide_clear_plain((uint64_t *)entries, count & ~(size_t)7, bits);
}

WIDE_CLONES WIDE_OPTIMIZE static uint64_t wide_or(const uint64_t *entries, size_t count)
{
	uint64_t any = 0;

	entries = __builtin_assume_aligned(entries, 64);
	for (size_t i = 0; i < count; i++)
		any |= entries[i];
	return any;
}

bool wide_has_any(const _Atomic uint64_t *entries, size_t count, uint64_t bits)
{
	return wide_or((const uint64_t *)entries, count & ~(size_t)7) & bits;
}

/* What differs from BITS anywhere. */
WIDE_CLONES WIDE_OPTIMIZE static uint64_t wide_differing(const uint64_t *entries, size_t count,
							 uint64_t bits)
{
	uint64_t other = 0;

	entries = __builtin_assume_aligned(entries, 64);
	for (size_t i = 0; i < count; i++)
		other |= entries[i] ^ bits;
	return other;
}

bool wide_is_all(const _Atomic uint64_t *entries, size_t count, uint64_t mask, uint64_t bits)
{
	return !(wide_differing((const uint64_t *)entries, count & ~(size_t)7, bits) & mask);
}

#endif
