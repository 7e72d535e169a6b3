/* SPDX-License-Identifier: MIT */
/* The TLB's store: sets of entries by kind, found by what they serve. */
#ifndef VMMU_HW_TLB_H
#define VMMU_HW_TLB_H

#include "hw/cache.h"

/* Entries of one kind; ABSENT ones live among the leaves. */
struct tlb_store {
	struct vmmu_tlb_entry *entry; /* [sets * ways]; free: cover_lg2 is 0 */
	unsigned *next;               /* by set: the way to be replaced next */
	unsigned sets, ways;
	/* Bit n: an entry with cover_lg2 n may be there. */
	uint64_t covers;
};

struct vmmu_tlb {
	enum vmmu_hw_arch arch;
	struct tlb_store combined, leaves, tables;
	struct vmmu_tlb_stats stats;
	struct hw_cache cache; /* of the access under way */
};

/* What identifies an entry besides the address. */
struct tlb_tag {
	uint64_t context;
	uint32_t vpid, asid;
};

/* The tags under which CPU looks things up now. */
struct tlb_tag tlb_tag_of(const struct vmmu_hw_cpu *cpu);
/* A number that differs where rights of a combined entry may: control registers. */
uint64_t tlb_regime_of(const struct vmmu_hw_cpu *cpu);
/* May an entry of this VALUE be kept as KIND, given what the walk made of it? */
bool tlb_is_cacheable(const struct vmmu_hw_cpu *cpu, unsigned stage, enum vmmu_tlb_kind kind,
		      uint64_t value);
/* Is LEAF, of the first stage, for every address space of the guest? */
bool tlb_is_global(const struct vmmu_hw_cpu *cpu, uint64_t leaf);
/* Lg2 bytes that PATH's entry VALUE at LEVEL serves; a leaf: its contiguous or NAPOT group. */
unsigned tlb_cover(const struct vmmu_hw_cpu *cpu, const struct cache_path *path, unsigned level,
		   uint64_t value, bool is_leaf);

/* The entry of STORE that serves INPUT of STAGE, the smallest one that it is for; NULL: none. */
const struct vmmu_tlb_entry *tlb_find(const struct tlb_store *store, const struct tlb_tag *tag,
				      unsigned stage, uint64_t input);
/* Put a copy of ENTRY there, over one of the same place if there is one. */
void tlb_put(struct tlb_store *store, const struct vmmu_tlb_entry *entry);
/* Forget entries of all kinds for which MATCH says so. */
void tlb_drop(struct vmmu_tlb *tlb,
	      bool (*match)(const struct vmmu_tlb_entry *entry, const void *arg), const void *arg);

#endif
