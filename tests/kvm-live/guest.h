/* SPDX-License-Identifier: MIT */
/*
 * The guest's own paging, as far as the scripts use it: x86 with 32-bit, PAE or 64-bit tables, all
 * entries present and permitting. It has no TLB: one that hits hides nothing from the second stage
 * but walks that it would grant.
 */
#ifndef TESTS_KVM_LIVE_GUEST_H
#define TESTS_KVM_LIVE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_LEVELS_MAX 4
/* Pages that the script writes from the host; no others hold tables. */
#define GUEST_PAGES 16

struct guest_mode;

struct guest {
	const struct guest_mode *mode; /* NULL: no paging */
	uint64_t root;                 /* bytes */
	struct {
		uint64_t gfn;
		unsigned char bytes[4096];
	} pages[GUEST_PAGES];
	size_t page_count;
};

/* How a gva is translated: the entries on the way, then the page. */
struct guest_walk {
	uint64_t entries[GUEST_LEVELS_MAX]; /* gpas */
	unsigned entry_count;
	uint64_t gpa;
};

/* "flat", "32", "pae", "64". False: no such mode. */
bool guest_set_mode(struct guest *guest, const char *name, uint64_t root);
/* Write VALUE from the host. False: to more pages than there is room for. */
bool guest_poke(struct guest *guest, uint64_t gpa, uint64_t value);
/* The guest writes BYTES of VALUE; forgotten where no tables can be. Never across a page. */
void guest_store(struct guest *guest, uint64_t gpa, uint64_t value, size_t bytes);
/* False: an entry on the way is not present, or not known. */
bool guest_translate(const struct guest *guest, uint64_t gva, struct guest_walk *walk);

#endif
