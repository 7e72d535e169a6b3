// SPDX-License-Identifier: MIT
#include "oracle/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int memory_init(struct memory *memory, const struct oracle_emulator *emulator)
{
	uint64_t bytes = emulator->layout.tables_bytes;

	*memory = (struct memory){.emulator = emulator, .tables_bytes = bytes};
	memory->tables = aligned_alloc(1 << 16, bytes);
	memory->sent = calloc(1, bytes);
	if (!memory->tables || !memory->sent) {
		memory_clear(memory);
		return -ENOMEM;
	}
	memset(memory->tables, 0, bytes);
	return 0;
}

void memory_clear(struct memory *memory)
{
	free(memory->tables);
	free(memory->sent);
	*memory = (struct memory){0};
}

bool memory_is_tagged(const struct oracle_emulator *emulator, uint64_t hpa)
{
	const struct oracle_layout *layout = &emulator->layout;

	return hpa >= layout->tag_hpa && hpa - layout->tag_hpa < layout->tag_bytes;
}

bool memory_is_ram(const struct oracle_emulator *emulator, uint64_t hpa)
{
	return hpa >= emulator->layout.ram_start && hpa < emulator->layout.ram_end;
}

/* Offset of HPA's word in the tables, or UINT64_MAX. */
static uint64_t memory_offset(const struct memory *memory, uint64_t hpa)
{
	uint64_t offset = hpa - memory->emulator->layout.tables_hpa;

	return offset < memory->tables_bytes ? offset / 8 : UINT64_MAX;
}

uint64_t *memory_table_word(struct memory *memory, uint64_t hpa)
{
	uint64_t offset = memory_offset(memory, hpa);

	return offset == UINT64_MAX ? NULL : &memory->tables[offset];
}

/* A word of the guest's tables; false: HPA is not there. */
static bool memory_guest_word(const struct memory *memory, uint64_t hpa, uint64_t *value)
{
	uint64_t offset = hpa - memory->emulator->layout.window_hpa;
	uint64_t page = offset / memory->window_stride;
	uint64_t index = offset % memory->window_stride / 8;

	if (!page || page >= ORACLE_WINDOW_PAGES)
		return false;
	*value = index < MEMORY_GUEST_WORDS ? memory->guest[page][index] : 0;
	return true;
}

static int memory_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct memory *memory = ctx;
	uint64_t *word = memory_table_word(memory, hpa);

	*value = 0;
	if (word && bytes == 8)
		*value = *word;
	else if (memory_is_tagged(memory->emulator, hpa))
		*value = memory->emulator->tag(hpa);
	else if (!memory_guest_word(memory, hpa, value))
		memory->has_strayed = true;
	return 0;
}

/* Only tables may be updated: tagged words must stay what they are. */
static int memory_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value,
		       uint64_t new_value)
{
	struct memory *memory = ctx;
	uint64_t offset = memory_offset(memory, hpa);

	if (offset == UINT64_MAX || bytes != 8) {
		memory->has_strayed = true;
		return 0;
	}
	if (memory->is_frozen)
		return 0;
	if (memory->tables[offset] != old_value)
		return 1;
	memory->tables[offset] = new_value;
	memory->sent[offset] = new_value;
	return 0;
}

struct vmmu_hw_bus memory_bus(struct memory *memory)
{
	return (struct vmmu_hw_bus){.ctx = memory, .load = memory_load, .swap = memory_swap};
}
