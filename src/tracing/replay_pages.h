/* SPDX-License-Identifier: MIT */
/*
 * The guest pages a trace touched, each memory or MMIO, and the memory layout they suggest. 4 KiB
 * pages throughout.
 *
 * Bounded: REPLAY_PAGES_MAX pages are told apart (32 MiB), further ones are counted in `lost` and
 * have no memory.
 */
#ifndef VMMU_TRACING_REPLAY_PAGES_H
#define VMMU_TRACING_REPLAY_PAGES_H

#include <stddef.h>
#include <vmmu/slot.h>

#define REPLAY_PAGES_MAX (UINT64_C(1) << 22)

struct replay_pages {
	uint64_t *marks; /* page << 1 | is MMIO; sorted and unique up to `sorted` */
	size_t count, capacity, sorted;
	uint64_t lost; /* pages not noted, counted each time they came */
	bool is_full;  /* no further page is noted */
};

enum replay_page_use {
	REPLAY_PAGE_RAM,
	REPLAY_PAGE_MMIO, /* outdoes RAM: a page that was ever emulated has no memory */
};

/* Note that the page at GPA (bytes) is used so. -ENOMEM. Amortised O(log pages). */
int replay_pages_add(struct replay_pages *pages, uint64_t gpa, enum replay_page_use use);
/*
 * Sort what was noted and settle pages noted as both. Call once, after the last page. *ram, *mmio:
 * pages of each.
 */
void replay_pages_settle(struct replay_pages *pages, uint64_t *ram, uint64_t *mmio);
/*
 * Call FN with a slot for each run of RAM pages, in order, ids from 0: gaps of up to 2 MiB without
 * an MMIO page are bridged, ends are widened to 2 MiB where no MMIO page or other run is in the
 * way. When there are more runs than slot ids, wider gaps are bridged too. FN returns non-zero to
 * stop; that value is returned.
 */
int replay_pages_slots(const struct replay_pages *pages,
		       int (*fn)(void *ctx, const struct vmmu_slot *slot), void *ctx);
void replay_pages_clear(struct replay_pages *pages);

#endif
