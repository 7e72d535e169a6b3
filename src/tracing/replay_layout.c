/* SPDX-License-Identifier: MIT */
#include "tracing/replay_layout.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"

uint64_t replay_layout_hva(uint64_t gpa)
{
	/*
	 * Folded to 46 bits, so that adding the base can neither wrap nor leave a 47-bit address
	 * space.
	 */
	return REPLAY_SYNTHETIC_HVA + (gpa & (REPLAY_SYNTHETIC_HVA - 1));
}

int replay_layout_trim(struct vmmu_slot *slot, unsigned page_shift)
{
	uint64_t page = BIT64(page_shift), offset = -slot->gpa & (page - 1);
	uint64_t bytes = slot->bytes > offset ? align_down(slot->bytes - offset, page) : 0;
	int is_trimmed = bytes != slot->bytes;

	slot->gpa += offset;
	slot->bytes = bytes;
	/*
	 * An hva that is not congruent to gpa for the page loses the difference: there is no such
	 * page.
	 */
	slot->hva = align_down(slot->hva + offset, page);
	return is_trimmed;
}

static void remove_at(struct replay_layout *layout, size_t index)
{
	layout->count--;
	memmove(layout->slots + index, layout->slots + index + 1,
		(layout->count - index) * sizeof(*layout->slots));
}

static int reserve(struct replay_layout *layout)
{
	size_t capacity = layout->capacity ? layout->capacity * 2 : 16;
	struct replay_slot *slots;

	if (layout->count < layout->capacity)
		return 0;
	slots = mem_alloc_array(capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (layout->count)
		memcpy(slots, layout->slots, layout->count * sizeof(*slots));
	mem_free(layout->slots);
	layout->slots = slots;
	layout->capacity = capacity;
	return 0;
}

/* Index of the first slot whose hva is at or above ADDRESS. */
static size_t first_at(const struct replay_layout *layout, uint64_t address)
{
	size_t low = 0, high = layout->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (layout->slots[middle].slot.hva < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void update_ends(struct replay_layout *layout)
{
	uint64_t last_end = 0;
	size_t i;

	for (i = 0; i < layout->count; i++) {
		const struct vmmu_slot *slot = &layout->slots[i].slot;

		last_end = max_u64(last_end, slot->hva + slot->bytes);
		layout->slots[i].last_end = last_end;
	}
}

int replay_layout_set(struct replay_layout *layout, const struct vmmu_slot *slot)
{
	size_t i;

	if (slot->bytes && reserve(layout))
		return -ENOMEM;
	for (i = 0; i < layout->count; i++) {
		const struct vmmu_slot *old = &layout->slots[i].slot;

		if (old->as_id == slot->as_id && old->id == slot->id) {
			remove_at(layout, i);
			break;
		}
	}
	if (slot->bytes) {
		i = first_at(layout, slot->hva);
		memmove(layout->slots + i + 1, layout->slots + i,
			(layout->count - i) * sizeof(*layout->slots));
		layout->slots[i].slot = *slot;
		layout->count++;
	}
	update_ends(layout);
	return 0;
}

bool replay_layout_meets(const struct replay_layout *layout, uint64_t start, uint64_t end)
{
	size_t index = start < end ? first_at(layout, end) : 0;

	/*
	 * Only slots before index start early enough; one of them reaches past start if their
	 * largest end does.
	 */
	return index && layout->slots[index - 1].last_end > start;
}

void replay_layout_clear(struct replay_layout *layout)
{
	mem_free(layout->slots);
	memset(layout, 0, sizeof(*layout));
}
