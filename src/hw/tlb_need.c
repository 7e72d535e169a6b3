// SPDX-License-Identifier: MIT
/*
 * What the manual of each architecture asks for when a second-stage entry is replaced (the tables
 * on TLB maintenance of SDM, APM, RISC-V privileged architecture and Arm ARM D8 "Translation table
 * entry changes").
 */
#include "hw/arm64.h"
#include "hw/tlb.h"
#include "hw/x86.h"

enum need_kind {
	NEED_INVALID,
	NEED_TABLE,
	NEED_LEAF,
};

/* An entry as far as others must follow its changes. */
struct need_view {
	enum need_kind kind;
	uint64_t route;  /* address and memory type, or the next table */
	unsigned rights; /* LEAF: raw, one bit each, set: granted */
};

static struct need_view need_ept(const struct vmmu_hw_x86 *x86, unsigned level, uint64_t pte)
{
	uint64_t rights = pte & 7;
	bool is_leaf = level == 1 || (level <= 3 && (pte & BIT64(7)));

	if (x86->features & VMMU_HW_EPT_MBE)
		rights |= pte >> 7 & 8;
	/* Write without read is the misconfiguration that entries of ours make on purpose. */
	if (!rights || (rights & 3) == 2)
		return (struct need_view){NEED_INVALID, 0, 0};
	if (!is_leaf)
		return (struct need_view){NEED_TABLE, pte & BITS64(51, 12), (unsigned)rights};
	return (struct need_view){NEED_LEAF, pte & (BITS64(51, 12) | BITS64(6, 3)),
				  (unsigned)rights};
}

static struct need_view need_npt(const struct vmmu_hw_x86 *x86, unsigned level, uint64_t pte)
{
	bool is_leaf = level == 1 || (level <= 3 && (pte & X86_PS));
	unsigned rights = 1 | (pte & X86_W ? 2 : 0) | (pte & X86_NX ? 0 : 4);

	if (!(pte & X86_P) ||
	    (pte & BITS64(51, x86->maxphyaddr < 52 ? x86->maxphyaddr : 51) && x86->maxphyaddr < 52))
		return (struct need_view){NEED_INVALID, 0, 0};
	if (!(pte & X86_U))
		rights = 0;
	if (!is_leaf)
		return (struct need_view){NEED_TABLE, pte & BITS64(51, 12), rights};
	return (struct need_view){NEED_LEAF, pte & (BITS64(51, 12) | BITS64(4, 3)), rights};
}

static struct need_view need_riscv(uint64_t pte)
{
	uint64_t route = pte & (BITS64(53, 10) | BITS64(63, 61));

	if (!(pte & 1))
		return (struct need_view){NEED_INVALID, 0, 0};
	if (!(pte & 0xe))
		return (struct need_view){NEED_TABLE, route, 0};
	return (struct need_view){NEED_LEAF, route, pte & BIT64(4) ? pte >> 1 & 7 : 0};
}

/* Rights as four bits: read, write, execute at EL0 and at EL1. */
static struct need_view need_arm(const struct vmmu_hw_arm64 *arm, unsigned level, uint64_t pte)
{
	static const uint8_t fetch[4] = {12, 4, 0, 8};
	unsigned rights = (unsigned)(pte >> 6) & 3, xn = (unsigned)(pte >> 53) & 3;
	uint64_t address = BITS64(49, arm_granule((unsigned)(arm->vtcr_el2 >> 14)));

	if (!(arm->features & VMMU_HW_ARM64_XNX))
		xn &= 2;
	if (!(pte & ARM_VALID) || (level == 1 && !(pte & ARM_TABLE)))
		return (struct need_view){NEED_INVALID, 0, 0};
	if (level > 1 && (pte & ARM_TABLE))
		return (struct need_view){NEED_TABLE, pte & (address | BITS64(15, 12)), 0};
	return (struct need_view){
		NEED_LEAF,
		pte & (address | BITS64(15, 12) | BITS64(9, 8) | BITS64(5, 2) | ARM_CONTIGUOUS),
		rights | fetch[xn]};
}

static struct need_view need_read(const struct vmmu_hw_cpu *cpu, unsigned level, uint64_t pte)
{
	switch (cpu->arch) {
	case VMMU_HW_EPT:
		return need_ept(&cpu->u.x86, level, pte);
	case VMMU_HW_NPT:
		return need_npt(&cpu->u.x86, level, pte);
	case VMMU_HW_RISCV:
		return need_riscv(pte);
	default:
		return need_arm(&cpu->u.arm64, level, pte);
	}
}

enum vmmu_tlb_need vmmu_tlb_need(const struct vmmu_hw_cpu *cpu, unsigned level, uint64_t old_pte,
				 uint64_t new_pte)
{
	struct need_view from, to;
	bool is_arm;

	if (!cpu || cpu->arch == VMMU_HW_X86 || (unsigned)cpu->arch >= VMMU_HW_ARCHES || !level ||
	    level > VMMU_LEVELS_MAX)
		return VMMU_TLB_NEED_NONE;
	from = need_read(cpu, level, old_pte);
	to = need_read(cpu, level, new_pte);
	is_arm = cpu->arch == VMMU_HW_ARM64;
	if (to.kind == NEED_INVALID)
		return from.kind == NEED_INVALID ? VMMU_TLB_NEED_NONE : VMMU_TLB_NEED_REMOTE;
	if (from.kind == NEED_INVALID)
		return cpu->arch == VMMU_HW_RISCV ? VMMU_TLB_NEED_LOCAL : VMMU_TLB_NEED_NONE;
	if (from.kind != to.kind || from.route != to.route)
		return is_arm ? VMMU_TLB_NEED_BREAK : VMMU_TLB_NEED_REMOTE;
	if (from.rights & ~to.rights)
		return VMMU_TLB_NEED_REMOTE;
	if (to.rights == from.rights || cpu->arch <= VMMU_HW_NPT)
		return VMMU_TLB_NEED_NONE;
	return is_arm ? VMMU_TLB_NEED_REMOTE : VMMU_TLB_NEED_LOCAL;
}
