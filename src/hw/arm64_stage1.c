// SPDX-License-Identifier: MIT
/*
 * AArch64 stage 1 of the EL1&0 regime (Arm ARM, TCR_EL1, TTBRn_EL1 and chapter D8).
 */
#include "hw/arm64.h"

#define ARM_SCTLR_M    BIT64(0)
#define ARM_SCTLR_WXN  BIT64(19)
#define ARM_SCTLR_EPAN BIT64(57)

#define ARM_TCR_HA BIT64(39)
#define ARM_TCR_HD BIT64(40)
#define ARM_TCR_DS BIT64(59)

#define ARM_S1_AP_EL0       BIT64(6) /* AP[1] */
#define ARM_S1_AP_READ_ONLY BIT64(7) /* AP[2] */
#define ARM_S1_NG           BIT64(11)
#define ARM_S1_PXN          BIT64(53)
#define ARM_S1_UXN          BIT64(54)
#define ARM_S1_PXN_TABLE    BIT64(59)
#define ARM_S1_UXN_TABLE    BIT64(60)
#define ARM_S1_AP_TABLE_EL0 BIT64(61)
#define ARM_S1_AP_TABLE_RO  BIT64(62)

/* TCR_EL1 for the half of the address space in question. */
struct arm_half {
	uint64_t ttbr;
	unsigned txsz, granule;
	bool is_upper, is_disabled, is_el0_denied, is_flat; /* VA[55], EPD, E0PD, HPD */
	bool has_tbi, has_tbid;
};

static struct arm_half arm_half(const struct vmmu_hw_arm64 *arm, uint64_t va)
{
	static const uint8_t tg1_to_tg0[4] = {0, 2, 0, 1};
	uint64_t tcr = arm->tcr_el1;
	struct arm_half half = {.is_upper = va & BIT64(55)};

	half.ttbr = half.is_upper ? arm->ttbr1_el1 : arm->ttbr0_el1;
	if (half.is_upper) {
		half.txsz = (tcr >> 16) & 0x3f;
		half.granule = arm_granule(tg1_to_tg0[(tcr >> 30) & 3]);
	} else {
		half.txsz = tcr & 0x3f;
		half.granule = arm_granule((unsigned)(tcr >> 14) & 3);
	}
	half.is_disabled = tcr & BIT64(half.is_upper ? 23 : 7);
	half.has_tbi = tcr & BIT64(37 + half.is_upper);
	half.is_flat = tcr & BIT64(41 + half.is_upper);
	half.has_tbid = tcr & BIT64(51 + half.is_upper);
	half.is_el0_denied = tcr & BIT64(55 + half.is_upper);
	return half;
}

/* Bits of the address that count: the top byte does not where it may hold a tag. */
static unsigned arm_s1_top(const struct arm_half *half, unsigned access)
{
	return half->has_tbi && !(access == VMMU_EXEC && half->has_tbid) ? 56 : 64;
}

/* Do the bits from the input size up repeat bit 55? */
static bool arm_s1_is_input(const struct arm_half *half, uint64_t va, unsigned access)
{
	unsigned bits = 64 - half->txsz, top = arm_s1_top(half, access);
	uint64_t mask = BITS64(top - 1, bits);

	return (va & mask) == (half->is_upper ? mask : 0);
}

/* False: no translation for this address. */
static bool arm_s1_init(struct arm_stage *stage, const struct hw_run *run,
			const struct arm_half *half)
{
	const struct vmmu_hw_arm64 *arm = &run->cpu->u.arm64;
	unsigned min = 16, stride = half->granule - 3;

	*stage = (struct arm_stage){.stage = 1, .granule = (uint8_t)half->granule};
	arm_stage_sizes(stage, arm, (unsigned)(arm->tcr_el1 >> 32), arm->tcr_el1 & ARM_TCR_DS);
	if (stage->is_ds || (half->granule == 16 && (arm->features & VMMU_HW_ARM64_LVA)))
		min = 12;
	if (half->is_disabled || half->txsz < min || half->txsz > arm_txsz_max(arm, half->granule))
		return false;
	if (half->is_el0_denied && (run->access->flags & VMMU_HW_USER))
		return false;
	if (!arm_s1_is_input(half, run->access->gva, run->access->access))
		return false;
	if (arm->features & VMMU_HW_ARM64_HAFDBS) {
		stage->has_af = arm->tcr_el1 & ARM_TCR_HA;
		stage->has_dirty = stage->has_af && (arm->tcr_el1 & ARM_TCR_HD);
	}
	stage->ia_bits = (uint8_t)(64 - half->txsz);
	stage->start = 3 - (int)((stage->ia_bits - 1 - half->granule) / stride);
	arm_stage_base(stage, half->ttbr);
	return true;
}

/* Hardware would clear AP[2] on a write. */
static bool arm_s1_is_dirty_managed(const struct arm_walk *walk)
{
	return walk->stage->has_dirty && (walk->slot.value & ARM_DBM);
}

/* Data rights of either privilege by AP and the tables above; PAN and execution left aside. */
static unsigned arm_s1_data(const struct arm_walk *walk, unsigned flags)
{
	uint64_t leaf = walk->slot.value;
	bool is_read_only = (leaf & ARM_S1_AP_READ_ONLY) && !arm_s1_is_dirty_managed(walk);

	if ((flags & VMMU_HW_USER) &&
	    (!(leaf & ARM_S1_AP_EL0) || (walk->tables & ARM_S1_AP_TABLE_EL0)))
		return 0;
	if (is_read_only || (walk->tables & ARM_S1_AP_TABLE_RO))
		return VMMU_READ;
	return VMMU_READ | VMMU_WRITE;
}

static bool arm_s1_is_executable(const struct vmmu_hw_arm64 *arm, const struct arm_walk *walk,
				 unsigned flags)
{
	uint64_t leaf = walk->slot.value;
	bool is_user = flags & VMMU_HW_USER;

	if ((arm->sctlr_el1 & ARM_SCTLR_WXN) && (arm_s1_data(walk, flags) & VMMU_WRITE))
		return false;
	if (is_user)
		return !(leaf & ARM_S1_UXN) && !(walk->tables & ARM_S1_UXN_TABLE);
	if (arm_s1_data(walk, VMMU_HW_USER) & VMMU_WRITE)
		return false;
	return !(leaf & ARM_S1_PXN) && !(walk->tables & ARM_S1_PXN_TABLE);
}

/* PSTATE.PAN keeps EL1's data accesses off what EL0 can use. */
static bool arm_s1_is_pan_denied(const struct vmmu_hw_arm64 *arm, const struct arm_walk *walk)
{
	if (!arm->pan)
		return false;
	if (arm_s1_data(walk, VMMU_HW_USER))
		return true;
	return (arm->sctlr_el1 & ARM_SCTLR_EPAN) && arm_s1_is_executable(arm, walk, VMMU_HW_USER);
}

static unsigned arm_s1_rights(const struct vmmu_hw_arm64 *arm, const struct arm_walk *walk,
			      unsigned flags)
{
	unsigned rights = arm_s1_data(walk, flags);

	if (!(flags & VMMU_HW_USER) && arm_s1_is_pan_denied(arm, walk))
		rights = 0;
	return rights | (arm_s1_is_executable(arm, walk, flags) ? VMMU_EXEC : 0);
}

/* MAIR attributes 0000xxxx are Device. */
static bool arm_s1_is_device(const struct vmmu_hw_arm64 *arm, uint64_t leaf)
{
	unsigned index = (leaf >> 2) & 7;

	return !((arm->mair_el1 >> (8 * index)) & 0xf0);
}

/* Access flag and dirty state: writes of the guest's own table, so the second stage has its say. */
static enum hw_result arm_s1_mark(struct hw_run *run, struct arm_walk *walk)
{
	bool is_store = (run->access->access & VMMU_WRITE) &&
			!(run->access->flags & VMMU_HW_CACHE_OP);
	uint64_t value = walk->slot.value;
	enum hw_result result;

	if (walk->stage->has_af)
		value |= ARM_AF;
	if (is_store && arm_s1_is_dirty_managed(walk))
		value &= ~ARM_S1_AP_READ_ONLY;
	if (value == walk->slot.value)
		return HW_OK;
	result = walk_store(run, &walk->slot, value);
	return result == HW_BUS ? arm_fault(run, walk, VMMU_HW_BUS) : result;
}

static void arm_s1_mapping(const struct vmmu_hw_arm64 *arm, const struct arm_walk *walk,
			   struct vmmu_hw_mapping *mapping)
{
	arm_mapping(walk, mapping);
	mapping->kernel_access = (uint8_t)arm_s1_rights(arm, walk, 0);
	mapping->user_access = (uint8_t)arm_s1_rights(arm, walk, VMMU_HW_USER);
	mapping->dirty = !(walk->slot.value & ARM_S1_AP_READ_ONLY);
	mapping->global = !(walk->slot.value & ARM_S1_NG);
	mapping->memtype = (walk->slot.value >> 2) & 7;
}

/* SCTLR.M off (or HCR.DC on): the address itself, if the CPU has that many bits. */
static enum hw_result arm_s1_off(struct hw_run *run, const struct arm_half *half)
{
	const struct arm_stage stage = {.stage = 1};
	struct arm_walk walk = {.stage = &stage};
	uint64_t va = run->access->gva & BITS64(arm_s1_top(half, run->access->access) - 1, 0);

	if (va >> run->cpu->u.arm64.pamax)
		return arm_fault(run, &walk, VMMU_HW_ADDRESS_SIZE);
	walk_identity(&run->walk->stage1, va);
	run->walk->stage1.input = run->access->gva;
	return HW_OK;
}

enum hw_result arm_stage1(struct hw_run *run)
{
	const struct vmmu_hw_arm64 *arm = &run->cpu->u.arm64;
	struct arm_half half = arm_half(arm, run->access->gva);
	unsigned access = run->access->access, rights;
	struct arm_walk walk = {0};
	struct arm_stage stage;
	enum hw_result result;

	run->walk->stage1.input = run->access->gva;
	if (!(arm->sctlr_el1 & ARM_SCTLR_M) || (arm->hcr_el2 & ARM_HCR_DC))
		return arm_s1_off(run, &half);
	walk.stage = &stage;
	if (!arm_s1_init(&stage, run, &half))
		return arm_fault(run, &walk, VMMU_HW_INPUT_SIZE);
	result = arm_descend(run, &walk, run->access->gva & BITS64(stage.ia_bits - 1, 0));
	if (result)
		return result;
	if (half.is_flat)
		walk.tables = 0;
	if (arm_s1_is_device(arm, walk.slot.value) &&
	    arm_is_unaligned(run->access, run->access->gva))
		return arm_fault(run, &walk, VMMU_HW_ALIGNMENT);
	rights = arm_s1_rights(arm, &walk, run->access->flags);
	if ((rights & access) != access)
		return arm_refuse(run, &walk, rights);
	result = arm_s1_mark(run, &walk);
	if (result)
		return result;
	arm_s1_mapping(arm, &walk, &run->walk->stage1);
	run->walk->stage1.input = run->access->gva;
	return HW_OK;
}
