/* SPDX-License-Identifier: MIT */
#include "kvm-live/guest.h"

#include <string.h>

#include "base/bits.h"

#define ENTRY_PRESENT BIT64(0)
#define ENTRY_LARGE   BIT64(7)

struct guest_mode {
	const char *name;
	unsigned levels, entry_bytes;
	uint8_t shift[GUEST_LEVELS_MAX], index_bits[GUEST_LEVELS_MAX]; /* root first */
	uint8_t large_from; /* first step of the walk that may end at a large page */
};

static const struct guest_mode guest_modes[] = {
	{"32", 2, 4, {22, 12}, {10, 10}, 0},
	{"pae", 3, 8, {30, 21, 12}, {2, 9, 9}, 1},
	{"64", 4, 8, {39, 30, 21, 12}, {9, 9, 9, 9}, 1},
};

bool guest_set_mode(struct guest *guest, const char *name, uint64_t root)
{
	guest->mode = NULL;
	guest->root = root;
	for (size_t i = 0; i < sizeof(guest_modes) / sizeof(*guest_modes); i++)
		if (!strcmp(guest_modes[i].name, name))
			guest->mode = &guest_modes[i];
	return guest->mode || !strcmp(name, "flat");
}

static unsigned char *guest_find(struct guest *guest, uint64_t gpa)
{
	for (size_t i = 0; i < guest->page_count; i++)
		if (guest->pages[i].gfn == gpa >> 12)
			return guest->pages[i].bytes + (gpa & 4095);
	return NULL;
}

void guest_store(struct guest *guest, uint64_t gpa, uint64_t value, size_t bytes)
{
	unsigned char *at = guest_find(guest, gpa);

	if (at && (gpa & 4095) + bytes <= 4096)
		memcpy(at, &value, bytes);
}

bool guest_poke(struct guest *guest, uint64_t gpa, uint64_t value)
{
	if (!guest_find(guest, gpa)) {
		if (guest->page_count == GUEST_PAGES)
			return false;
		guest->pages[guest->page_count++].gfn = gpa >> 12;
	}
	guest_store(guest, gpa, value, sizeof(value));
	return true;
}

static bool guest_read(const struct guest *guest, uint64_t gpa, uint64_t *entry)
{
	const unsigned char *at = guest_find((struct guest *)guest, gpa);

	*entry = 0;
	if (at)
		memcpy(entry, at, guest->mode->entry_bytes);
	return at && (*entry & ENTRY_PRESENT);
}

bool guest_translate(const struct guest *guest, uint64_t gva, struct guest_walk *walk)
{
	const struct guest_mode *mode = guest->mode;
	uint64_t table = guest->root;

	*walk = (struct guest_walk){.gpa = gva};
	for (unsigned i = 0; mode && i < mode->levels; i++) {
		uint64_t index = gva >> mode->shift[i] & (BIT64(mode->index_bits[i]) - 1);
		uint64_t at = table + index * mode->entry_bytes;
		uint64_t offset = gva & (BIT64(mode->shift[i]) - 1);
		uint64_t entry;

		walk->entries[walk->entry_count++] = at;
		if (!guest_read(guest, at, &entry))
			return false;
		table = entry & BITS64(51, 12);
		walk->gpa = align_down(table, BIT64(mode->shift[i])) + offset;
		if (i >= mode->large_from && (entry & ENTRY_LARGE))
			break;
	}
	return true;
}
