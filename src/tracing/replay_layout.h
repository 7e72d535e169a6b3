/* SPDX-License-Identifier: MIT */
/*
 * The memslots as a replay knows them: trimmed to the format's pages, with an address each, and
 * searchable by host-virtual address.
 */
#ifndef VMMU_TRACING_REPLAY_LAYOUT_H
#define VMMU_TRACING_REPLAY_LAYOUT_H

#include <vmmu/slot.h>

/*
 * Where slots live of which no one knows the address: one page of hva per page of gpa, aligned
 * alike.
 */
#define REPLAY_SYNTHETIC_HVA (UINT64_C(1) << 46)

struct replay_slot {
	struct vmmu_slot slot;
	uint64_t last_end; /* the largest end of this slot and of all before it */
};

/* Zero-initialised: empty. Sorted by hva; ranges may overlap (aliases). */
struct replay_layout {
	struct replay_slot *slots;
	size_t count, capacity;
};

/*
 * Put SLOT in place of the one with its ids; bytes 0 only takes that away. -ENOMEM: unchanged.
 * O(slots).
 */
int replay_layout_set(struct replay_layout *layout, const struct vmmu_slot *slot);
/* Does [start, end) meet any slot? O(log slots) */
bool replay_layout_meets(const struct replay_layout *layout, uint64_t start, uint64_t end);
void replay_layout_clear(struct replay_layout *layout);
/* An address for a slot at GPA when the trace has none: congruent to gpa at every page size. */
uint64_t replay_layout_hva(uint64_t gpa);
/*
 * Shrink SLOT to whole pages of 2^page_shift bytes, its hva too. Returns 1 if that took anything
 * away, else 0; bytes becomes 0 when nothing is left.
 */
int replay_layout_trim(struct vmmu_slot *slot, unsigned page_shift);

#endif
