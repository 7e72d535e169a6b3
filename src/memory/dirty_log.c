/* SPDX-License-Identifier: MIT */
#include "memory/dirty_log.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"

/* Marks that are read at once: as one 64-bit unit, whose lowest byte is the first page's. */
#define EIGHT 8

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight marks make a little-endian word");

int memslot_dirty_make(struct memslot *slot)
{
	slot->dirty = mem_alloc_array(dirty_words(slot->gfns), DIRTY_WORD_PAGES);
	return slot->dirty ? 0 : -ENOMEM;
}

void memslot_dirty_fill(struct memslot *slot)
{
	memset((void *)slot->dirty, 1, slot->gfns);
}

bool memslot_is_all_dirty(const struct memslot *slot, uint64_t gfn, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!memslot_is_dirty(slot, gfn + i))
			return false;
	return true;
}

/* Eight marks, the K-th of word INDEX. */
static _Atomic uint64_t *dirty_eight(const struct memslot *slot, uint64_t index, unsigned k)
{
	return (_Atomic uint64_t *)(void *)&slot->dirty[index * DIRTY_WORD_PAGES + k * EIGHT];
}

/* Eight marks as bits: the product has mark n at bit 56 + n, and no two terms that meet. */
static uint64_t dirty_gather(uint64_t marks)
{
	return (marks * UINT64_C(0x0102040810204080)) >> 56;
}

/* Eight bits as marks: bit n is left in byte n alone, and carries from there to the byte's top. */
static uint64_t dirty_scatter(uint64_t bits)
{
	uint64_t alone = (bits * UINT64_C(0x0101010101010101)) & UINT64_C(0x8040201008040201);

	return ((alone + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7) & UINT64_C(0x0101010101010101);
}

/* Is nothing marked in word INDEX? Nearly always: a look without branches. */
static bool dirty_is_clean(const struct memslot *slot, uint64_t index)
{
	uint64_t marks = 0;

	for (unsigned k = 0; k < EIGHT; k++)
		marks |= atomic_load_explicit(dirty_eight(slot, index, k), memory_order_relaxed);
	return !marks;
}

uint64_t memslot_dirty_peek(const struct memslot *slot, uint64_t index)
{
	uint64_t bits = 0;

	if (dirty_is_clean(slot, index))
		return 0;
	for (unsigned k = 0; k < EIGHT; k++) {
		uint64_t marks = atomic_load_explicit(dirty_eight(slot, index, k),
						      memory_order_acquire);

		if (marks)
			bits |= dirty_gather(marks) << k * EIGHT;
	}
	return bits;
}

/* Of BITS, what is marked of EIGHT; it is not then. */
static ALWAYS_INLINE uint64_t dirty_take_eight(_Atomic uint64_t *eight, uint64_t bits)
{
	uint64_t mask, marks = atomic_load_explicit(eight, memory_order_relaxed);

	if (!marks)
		return 0;
	if (bits == 0xff)
		return dirty_gather(atomic_exchange_explicit(eight, 0, memory_order_acq_rel));
	mask = dirty_scatter(bits);
	if (!(marks & mask))
		return 0;
	marks = atomic_fetch_and_explicit(eight, ~mask, memory_order_acq_rel);
	return dirty_gather(marks & mask);
}

uint64_t memslot_dirty_take_some(struct memslot *slot, uint64_t index, uint64_t wanted)
{
	uint64_t bits = 0;

	while (wanted) {
		unsigned k = (unsigned)__builtin_ctzll(wanted) / EIGHT, shift = k * EIGHT;

		bits |= dirty_take_eight(dirty_eight(slot, index, k), wanted >> shift & 0xff)
			<< shift;
		wanted &= ~(UINT64_C(0xff) << shift);
	}
	dirty_fence();
	return bits;
}

uint64_t memslot_dirty_take(struct memslot *slot, uint64_t index)
{
	if (dirty_is_clean(slot, index))
		return 0;
	return memslot_dirty_take_some(slot, index, ~UINT64_C(0));
}
