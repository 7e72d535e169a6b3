/* SPDX-License-Identifier: MIT */
#include "tracing/counts.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define COUNTS_SLOTS (2 * COUNTS_MAX)

static const char counts_rest[] = "(other names)";

int counts_init(struct counts *counts)
{
	counts->count = 0;
	counts->entries = mem_alloc_array(COUNTS_MAX, sizeof(*counts->entries));
	counts->slots = mem_alloc_array(COUNTS_SLOTS, sizeof(*counts->slots));
	if (counts->entries && counts->slots)
		return 0;
	counts_destroy(counts);
	return -ENOMEM;
}

/* First and last eight characters and the length: event names differ there. */
static unsigned counts_hash(const char *name, size_t bytes)
{
	uint64_t head = 0, tail = 0;

	if (bytes >= 8) {
		memcpy(&head, name, 8);
		memcpy(&tail, name + bytes - 8, 8);
	} else {
		memcpy(&head, name, bytes);
	}
	head = (head ^ bytes) * UINT64_C(0x9e3779b97f4a7c15);
	head = ((head >> 32 | head << 32) ^ tail) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (unsigned)(head >> 40) % COUNTS_SLOTS;
}

static struct counts_entry *counts_create(const char *name, size_t bytes)
{
	struct counts_entry *entry = mem_alloc(sizeof(*entry));

	if (!entry)
		return NULL;
	entry->name = mem_alloc(bytes + 1);
	if (!entry->name) {
		mem_free(entry);
		return NULL;
	}
	memcpy(entry->name, name, bytes);
	entry->name_bytes = bytes;
	entry->is_understood = true;
	return entry;
}

struct counts_entry *counts_find(struct counts *counts, const char *name, size_t name_bytes,
				 bool *is_new)
{
	unsigned slot = counts_hash(name, name_bytes);
	struct counts_entry *entry;

	if (is_new)
		*is_new = false;
	/* At least half of the slots are free: the search ends. */
	for (; counts->slots[slot]; slot = (slot + 1) % COUNTS_SLOTS) {
		entry = counts->entries[counts->slots[slot] - 1];
		if (entry->name_bytes == name_bytes && !memcmp(entry->name, name, name_bytes))
			return entry;
	}
	if (counts->count >= COUNTS_MAX - 1 && name != counts_rest)
		return counts_find(counts, counts_rest, sizeof(counts_rest) - 1, NULL);
	entry = counts_create(name, name_bytes);
	if (!entry)
		return NULL;
	counts->entries[counts->count++] = entry;
	counts->slots[slot] = (uint16_t)counts->count;
	if (is_new)
		*is_new = true;
	return entry;
}

int counts_add(struct counts *counts, const char *name, uint64_t count, bool is_understood)
{
	struct counts_entry *entry;
	bool is_new;

	if (!count)
		return 0;
	entry = counts_find(counts, name, strlen(name), &is_new);
	if (!entry)
		return -ENOMEM;
	if (is_new)
		entry->is_understood = is_understood;
	entry->count += count;
	return 0;
}

void counts_clear(struct counts *counts)
{
	for (unsigned i = 0; i < counts->count; i++) {
		mem_free(counts->entries[i]->name);
		mem_free(counts->entries[i]);
	}
	counts->count = 0;
	if (counts->slots)
		memset(counts->slots, 0, COUNTS_SLOTS * sizeof(*counts->slots));
}

void counts_destroy(struct counts *counts)
{
	counts_clear(counts);
	mem_free(counts->entries);
	mem_free(counts->slots);
	counts->entries = NULL;
	counts->slots = NULL;
}
