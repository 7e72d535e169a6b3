/* SPDX-License-Identifier: MIT */
/*
 * Between the walkers and a TLB: what a run is served instead of memory, and what it met.
 *
 * A walk of one stage is served from one remembered path, found when it reads its root: every entry
 * down to where the path ends, values of one time. Below it memory is read. A store to an entry
 * that was served is not made: the path is forgotten and the access walks again.
 */
#ifndef VMMU_HW_CACHE_H
#define VMMU_HW_CACHE_H

#include <vmmu/tlb.h>

#include "hw/walk.h"

/* Walks of single stages that one access can make, a restart's included. */
#define CACHE_WALKS_MAX (2 * VMMU_HW_REFS_MAX)

/* One stage's walk, as far as it got. */
struct cache_path {
	uint64_t input;
	uint8_t stage;
	uint8_t count;  /* entries below */
	uint8_t served; /* the first so many came from the TLB */
	uint8_t level;  /* of the last */
	struct {
		uint64_t value, hpa;
	} pte[VMMU_LEVELS_MAX];
};

/* What a TLB knows of an access under way. */
struct hw_cache {
	struct vmmu_tlb *tlb;
	const struct vmmu_hw_cpu *cpu;
	unsigned space;
	struct cache_path *current[3];          /* by stage; NULL: it has read nothing yet */
	const struct vmmu_tlb_entry *served[3]; /* by stage: the path that serves it */
	struct cache_path path[CACHE_WALKS_MAX];
	unsigned path_count;
};

/* A new try of the access: what the last one met does not count. */
void cache_restart(struct hw_cache *cache);
/* Serve SLOT, filled as for walk_fetch(): true, and value and hpa are set. */
bool cache_fetch(struct hw_cache *cache, struct hw_slot *slot);
/* SLOT was read from memory. */
void cache_note(struct hw_cache *cache, const struct hw_slot *slot);
/* SLOT was written: the path has the new value. */
void cache_stored(struct hw_cache *cache, const struct hw_slot *slot);
/* SLOT, which was served, would be written: forget what served it. */
void cache_drop(struct hw_cache *cache, const struct hw_slot *slot);

#endif
