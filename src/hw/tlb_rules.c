// SPDX-License-Identifier: MIT
/*
 * What the manuals allow to be remembered, under which tags, and what a changed entry asks for.
 * Entries are read by raw bits here, once more: a stale value has no walk around it.
 */
#include "hw/arm64.h"
#include "hw/tlb.h"
#include "hw/x86.h"

#define RULES_EPT_A   BIT64(8)
#define RULES_EPTP_AD BIT64(6)
#define RULES_PCIDE   BIT64(17)
#define RULES_RISCV_G BIT64(5)
#define RULES_RISCV_N BIT64(63)
#define RULES_ARM_NG  BIT64(11)
#define RULES_TCR_A1  BIT64(22)
#define RULES_VTCR_VS BIT64(19)

static struct tlb_tag rules_x86_tag(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_x86 *x86 = &cpu->u.x86;
	struct tlb_tag tag = {.asid = x86->cr4 & RULES_PCIDE ? x86->cr3 & 0xfff : 0};

	if (cpu->arch == VMMU_HW_EPT) {
		tag.context = x86->eptp & BITS64(51, 12);
		tag.vpid = x86->vpid;
	} else if (cpu->arch == VMMU_HW_NPT) {
		tag.context = x86->asid;
	}
	return tag;
}

static struct tlb_tag rules_arm_tag(const struct vmmu_hw_arm64 *arm)
{
	uint64_t ttbr = arm->tcr_el1 & RULES_TCR_A1 ? arm->ttbr1_el1 : arm->ttbr0_el1;

	return (struct tlb_tag){
		.context = arm->vttbr_el2 >> 48 & (arm->vtcr_el2 & RULES_VTCR_VS ? 0xffff : 0xff),
		.asid = ttbr >> 48,
	};
}

struct tlb_tag tlb_tag_of(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_riscv *rv = &cpu->u.riscv;

	if (cpu->arch == VMMU_HW_ARM64)
		return rules_arm_tag(&cpu->u.arm64);
	if (cpu->arch != VMMU_HW_RISCV)
		return rules_x86_tag(cpu);
	return (struct tlb_tag){
		.context = rv->xlen == 32 ? rv->hgatp >> 22 & 0x7f : rv->hgatp >> 44 & 0x3fff,
		.asid = rv->vsxlen == 32 ? rv->vsatp >> 22 & 0x1ff : rv->vsatp >> 44 & 0xffff,
	};
}

/* One more register in a hash of several. */
static uint64_t rules_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

uint64_t tlb_regime_of(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_x86 *x86 = &cpu->u.x86;
	const struct vmmu_hw_riscv *rv = &cpu->u.riscv;
	const struct vmmu_hw_arm64 *arm = &cpu->u.arm64;
	uint64_t hash = cpu->arch;

	if (cpu->arch == VMMU_HW_RISCV) {
		hash = rules_mix(rules_mix(hash, rv->sstatus), rv->vsstatus);
		hash = rules_mix(rules_mix(hash, rv->menvcfg), rv->henvcfg);
		return rules_mix(hash, rv->features);
	}
	if (cpu->arch == VMMU_HW_ARM64) {
		hash = rules_mix(rules_mix(hash, arm->sctlr_el1), arm->tcr_el1);
		hash = rules_mix(rules_mix(hash, arm->hcr_el2), arm->mair_el1);
		return rules_mix(rules_mix(hash, arm->features), arm->pan);
	}
	hash = rules_mix(rules_mix(rules_mix(hash, x86->cr0), x86->cr4), x86->efer);
	hash = rules_mix(rules_mix(rules_mix(hash, x86->rflags), x86->pkru), x86->pkrs);
	return rules_mix(hash, x86->features);
}

bool tlb_is_cacheable(const struct vmmu_hw_cpu *cpu, unsigned stage, enum vmmu_tlb_kind kind,
		      uint64_t value)
{
	switch (cpu->arch) {
	case VMMU_HW_EPT:
		if (stage == 1)
			return value & X86_A;
		return !(cpu->u.x86.eptp & RULES_EPTP_AD) || (value & RULES_EPT_A);
	case VMMU_HW_X86:
	case VMMU_HW_NPT:
		return value & X86_A;
	case VMMU_HW_ARM64:
		return kind != VMMU_TLB_LEAF || (value & ARM_AF);
	default:
		return true;
	}
}

bool tlb_is_global(const struct vmmu_hw_cpu *cpu, uint64_t leaf)
{
	if (cpu->arch == VMMU_HW_ARM64)
		return !(leaf & RULES_ARM_NG);
	return leaf & (cpu->arch == VMMU_HW_RISCV ? RULES_RISCV_G : X86_G);
}

/* Lg2 bytes of the granule that serves INPUT. */
static unsigned rules_arm_granule(const struct vmmu_hw_arm64 *arm, unsigned stage, uint64_t input)
{
	static const uint8_t upper[4] = {12, 14, 12, 16};

	if (stage == 2)
		return arm_granule((unsigned)(arm->vtcr_el2 >> 14));
	if (input & BIT64(55))
		return upper[arm->tcr_el1 >> 30 & 3];
	return arm_granule((unsigned)(arm->tcr_el1 >> 14));
}

/* Lg2 entries of a contiguous group at LEVEL; 0: the bit means nothing there. */
static unsigned rules_arm_group(unsigned granule, unsigned level)
{
	if (granule == 12)
		return level <= 3 ? 4 : 0;
	if (level > 2)
		return 0;
	return granule == 14 && level == 1 ? 7 : 5;
}

unsigned tlb_cover(const struct vmmu_hw_cpu *cpu, const struct cache_path *path, unsigned level,
		   uint64_t value, bool is_leaf)
{
	const struct vmmu_hw_riscv *rv = &cpu->u.riscv;
	unsigned granule, cover, bits = 9;

	if (cpu->arch == VMMU_HW_ARM64) {
		granule = rules_arm_granule(&cpu->u.arm64, path->stage, path->input);
		cover = granule + (granule - 3) * (level - 1);
		return is_leaf && (value & ARM_CONTIGUOUS) ? cover + rules_arm_group(granule, level)
							   : cover;
	}
	if (cpu->arch == VMMU_HW_RISCV) {
		if ((path->stage == 2 ? rv->xlen : rv->vsxlen) == 32)
			bits = 10;
		else if (is_leaf && (value & RULES_RISCV_N))
			return 16;
	} else if (path->stage == 1 && !(cpu->u.x86.efer & X86_EFER_LMA) &&
		   !(cpu->u.x86.cr4 & X86_CR4_PAE)) {
		bits = 10;
	}
	return 12 + bits * (level - 1);
}
