/* SPDX-License-Identifier: MIT */
/* An x86 guest with both stages mapped, for tests that then change one thing. */
#ifndef TESTS_HW_X86_STAND_H
#define TESTS_HW_X86_STAND_H

#include "hw/memory.h"

#define ROOT   UINT64_C(0x10000)  /* second-stage tables */
#define HOST   UINT64_C(0x100000) /* guest-physical pages lie here in memory */
#define GVA    UINT64_C(0x7f1256789abc)
#define NX     (UINT64_C(1) << 63)
#define AD_ON  (1 << 6)
#define EFER64 (1 << 10 | 1 << 11)

extern const struct chain chain4, chain5, chain_pae, chain32;

struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_walk walk;
	const struct chain *guest, *host;
	uint64_t host_upper; /* bits of second-stage tables above the entry set next */
};

/*
 * Guest tables at 0x1000, 0x2000 ..., the page after them; everything with all rights and accessed
 * and dirty set, so that a walk has nothing to update. Free ->memory.
 */
struct stand stand_new(enum vmmu_hw_arch arch, const struct chain *guest, const struct chain *host);
/* Second-stage entry of the guest page at GPA. */
struct chain_entry host_place(const struct stand *stand, uint64_t gpa);
void host_set(struct stand *stand, uint64_t gpa, uint64_t entry);
uint64_t host_get(const struct stand *stand, uint64_t gpa);
/* Guest entry number AT (0: root) of the walk to the access's address. */
void guest_set(struct stand *stand, unsigned at, uint64_t entry);
uint64_t guest_get(const struct stand *stand, unsigned at);
/* Do the access; the result is stand->walk. */
const struct vmmu_hw_walk *go(struct stand *stand, unsigned access);
/* The walk ended in an EPT violation on the way to GVA. */
void expect_exit(const struct vmmu_hw_walk *walk, uint64_t qualification, uint64_t gpa);

#endif
