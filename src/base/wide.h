/* SPDX-License-Identifier: MIT */
/*
 * Whole tables at a time: loops over arrays of 64-bit entries that use the widest vectors of the
 * CPU they run on.
 *
 * wide_fill() is for memory that nobody else sees yet. the others run on live
 * tables: every entry is read and written as one aligned 64-bit unit, as vector units do it on
 * every CPU that has them; ThreadSanitizer builds use atomics.
 */
#ifndef VMMU_BASE_WIDE_H
#define VMMU_BASE_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* entries[i] = first + i * step. */
void wide_fill(uint64_t *entries, size_t count, uint64_t first, uint64_t step);
/* entries[i] &= ~bits. COUNT is a multiple of 8, entries are 64-byte aligned. */
void wide_clear(_Atomic uint64_t *entries, size_t count, uint64_t bits);
/* Has any of the entries any of BITS set? Alignment as wide_clear(). */
bool wide_has_any(const _Atomic uint64_t *entries, size_t count, uint64_t bits);
/* Has each of the entries, of the bits in MASK, just BITS set? Alignment as wide_clear(). */
bool wide_is_all(const _Atomic uint64_t *entries, size_t count, uint64_t mask, uint64_t bits);

#endif
