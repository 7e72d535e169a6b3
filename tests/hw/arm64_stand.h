/* SPDX-License-Identifier: MIT */
/* An Arm guest with both stages mapped (4K), for tests that then change one thing. */
#ifndef TESTS_HW_ARM64_STAND_H
#define TESTS_HW_ARM64_STAND_H

#include "hw/memory.h"

#define ROOT   UINT64_C(0x10000)
#define HOST   UINT64_C(0x100000) /* guest-physical pages lie here in memory */
#define GVA    UINT64_C(0x12345678)
#define BIT(n) (UINT64_C(1) << (n))
#define S2_ALL 0x7ff /* page, Normal, read and write, inner shareable, AF */
#define S1_RW  0x743 /* page, EL0 and EL1 read and write, AF */
#define DBM    BIT(51)

struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_walk walk;
	struct chain guest, host;
};

/*
 * Input sizes pick the levels: stage 1 from T0SZ, stage 2 from the start level that takes HOST_BITS
 * with one table. Guest tables at 0x1000, 0x2000 ..., the page after them. EL0 makes the access.
 * Free ->memory.
 */
struct stand stand_new(unsigned guest_bits, unsigned host_bits);
/* Stage-2 descriptor of the guest page at IPA. */
void host_set(struct stand *stand, uint64_t ipa, uint64_t descriptor);
uint64_t host_get(const struct stand *stand, uint64_t ipa);
/* Stage-1 descriptor number AT (0: root) of the walk to the access's address. */
void guest_set(struct stand *stand, unsigned at, uint64_t descriptor);
uint64_t guest_get(const struct stand *stand, unsigned at);
/* Do the access; the result is stand->walk. */
const struct vmmu_hw_walk *go(struct stand *stand, unsigned access);
/* The walk ended in a report to exception level EL. */
void expect_esr(const struct vmmu_hw_walk *walk, unsigned el, uint64_t esr);
/* The same to EL2, with HPFAR. */
void expect_hpfar(const struct vmmu_hw_walk *walk, uint64_t esr, uint64_t hpfar);

#endif
