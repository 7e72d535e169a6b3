// SPDX-License-Identifier: MIT
#include "hw/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct memory *memory_new(void)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	cr_assert_not_null(memory);
	return memory;
}

void memory_free(struct memory *memory)
{
	free(memory);
}

static uint64_t *memory_word(struct memory *memory, uint64_t hpa)
{
	uint64_t key = (hpa & ~UINT64_C(7)) + 1;
	unsigned i = (unsigned)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 51), n;

	for (n = 0; n < MEMORY_WORDS; n++, i = (i + 1) % MEMORY_WORDS) {
		if (!memory->word[i].hpa)
			memory->word[i].hpa = key;
		if (memory->word[i].hpa == key)
			return &memory->word[i].value;
	}
	cr_assert_fail("test memory is full");
	return NULL;
}

uint64_t memory_read(struct memory *memory, uint64_t hpa, unsigned bytes)
{
	uint64_t word = *memory_word(memory, hpa);

	return bytes == 8 ? word : (uint32_t)(word >> (8 * (hpa & 4)));
}

void memory_write(struct memory *memory, uint64_t hpa, unsigned bytes, uint64_t value)
{
	uint64_t *word = memory_word(memory, hpa);
	unsigned shift = 8 * (hpa & 4);

	if (bytes == 8)
		*word = value;
	else
		*word = (*word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)(uint32_t)value
									     << shift;
}

static int memory_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct memory *memory = ctx;

	cr_assert(bytes == 4 || bytes == 8);
	cr_assert_eq(hpa % bytes, 0, "unaligned load at %#lx", (unsigned long)hpa);
	memory->load_count++;
	if (memory->end && hpa >= memory->end)
		return -1;
	*value = memory_read(memory, hpa, bytes);
	return 0;
}

static int memory_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value,
		       uint64_t new_value)
{
	struct memory *memory = ctx;

	if (memory->read_only && hpa >> 12 == memory->read_only >> 12)
		return -1;
	if (memory->races) {
		memory->races--;
		return 1;
	}
	if (memory_read(memory, hpa, bytes) != old_value)
		return 1;
	memory_write(memory, hpa, bytes, new_value);
	memory->swap_count++;
	return 0;
}

struct vmmu_hw_bus memory_bus(struct memory *memory)
{
	return (struct vmmu_hw_bus){.ctx = memory, .load = memory_load, .swap = memory_swap};
}

uint64_t chain_address(const struct chain_entry *place, unsigned at)
{
	const struct chain *chain = place->chain;
	unsigned shift = chain->page_shift + chain->index_bits * (chain->count - 1 - at);
	unsigned bits = at ? chain->index_bits : chain->root_bits;
	uint64_t index = (place->input >> shift) & ((UINT64_C(1) << bits) - 1);

	return place->root + place->stride * at + index * chain->bytes;
}

uint64_t memory_chain(struct memory *memory, const struct chain_entry *place)
{
	uint64_t next;
	unsigned at;

	for (at = 0; at < place->at; at++) {
		next = place->root + place->stride * (at + 1);
		if (place->is_ppn)
			next >>= 2;
		memory_write(memory, chain_address(place, at) + place->offset, place->chain->bytes,
			     next | place->upper);
	}
	memory_write(memory, chain_address(place, at) + place->offset, place->chain->bytes,
		     place->entry);
	return chain_address(place, at);
}
