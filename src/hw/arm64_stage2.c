// SPDX-License-Identifier: MIT
/*
 * AArch64 stage 2 (Arm ARM, VTCR_EL2, VTTBR_EL2 and chapter D8).
 */
#include "hw/arm64.h"

#define ARM_S2_READ  BIT64(6)
#define ARM_S2_WRITE BIT64(7)
#define ARM_VTCR_SL2 BIT64(33)
#define ARM_VTCR_DS  BIT64(32)
#define ARM_VTCR_HA  BIT64(21)
#define ARM_VTCR_HD  BIT64(22)
#define ARM_NO_LEVEL 4

/* Level that SL0 and SL2 name, or ARM_NO_LEVEL. */
static int arm_s2_start(const struct arm_stage *stage, const struct vmmu_hw_arm64 *arm)
{
	unsigned sl0 = (arm->vtcr_el2 >> 6) & 3;

	if (stage->granule == 12) {
		if (stage->is_ds && (arm->vtcr_el2 & ARM_VTCR_SL2))
			return sl0 ? ARM_NO_LEVEL : -1;
		if (sl0 == 3)
			return arm->features & VMMU_HW_ARM64_TTST ? 3 : ARM_NO_LEVEL;
		return 2 - (int)sl0;
	}
	if (sl0 == 3)
		return stage->granule == 14 && stage->is_ds ? 0 : ARM_NO_LEVEL;
	return 3 - (int)sl0;
}

/* The highest start levels want a CPU with so many physical address bits. */
static bool arm_s2_is_start_implemented(const struct arm_stage *stage, unsigned pamax)
{
	switch (stage->granule) {
	case 12:
		return stage->start != 0 || pamax >= 44;
	case 14:
		return stage->start != 1 || pamax >= 42;
	default:
		return stage->start != 1 || pamax >= 44;
	}
}

/* T0SZ within what CPU and start level take: the root has from 2 entries to 16 whole tables. */
static bool arm_s2_is_size(const struct arm_stage *stage, const struct vmmu_hw_arm64 *arm,
			   unsigned t0sz)
{
	unsigned ia_max = stage->is_ds || stage->is_lpa64 ? 52 : 48;
	unsigned ia_bits = 64 - t0sz, low = arm_shift(stage, stage->start);

	if (ia_max > arm->pamax)
		ia_max = arm->pamax;
	if (t0sz > arm_txsz_max(arm, stage->granule) || ia_bits > ia_max)
		return false;
	return ia_bits >= low + 1 && ia_bits <= low + stage->granule - 3u + 4;
}

/* False: registers that translate nothing. */
static bool arm_s2_init(struct arm_stage *stage, const struct vmmu_hw_arm64 *arm)
{
	uint64_t vtcr = arm->vtcr_el2;
	unsigned t0sz = vtcr & 0x3f;
	int start;

	*stage = (struct arm_stage){.stage = 2};
	stage->granule = (uint8_t)arm_granule((unsigned)(vtcr >> 14));
	arm_stage_sizes(stage, arm, (unsigned)(vtcr >> 16), vtcr & ARM_VTCR_DS);
	if (arm->features & VMMU_HW_ARM64_HAFDBS) {
		stage->has_af = vtcr & ARM_VTCR_HA;
		stage->has_dirty = stage->has_af && (vtcr & ARM_VTCR_HD);
	}
	start = arm_s2_start(stage, arm);
	if (start == ARM_NO_LEVEL)
		return false;
	stage->start = start;
	if (!arm_s2_is_start_implemented(stage, arm->pamax) || !arm_s2_is_size(stage, arm, t0sz))
		return false;
	stage->ia_bits = (uint8_t)(64 - t0sz);
	arm_stage_base(stage, arm->vttbr_el2);
	return true;
}

/* XN[1:0]: 00 everybody, 01 EL0, 10 nobody, 11 EL1; without FEAT_XNX only bit 54. */
static bool arm_s2_is_executable(const struct vmmu_hw_arm64 *arm, uint64_t descriptor,
				 unsigned flags)
{
	unsigned xn = (descriptor >> 53) & 3;

	if (!(arm->features & VMMU_HW_ARM64_XNX))
		return !(xn & 2);
	switch (xn) {
	case 0:
		return true;
	case 1:
		return flags & VMMU_HW_USER;
	case 2:
		return false;
	default:
		return !(flags & VMMU_HW_USER);
	}
}

/* VMMU_READ, WRITE, EXEC that a leaf grants at a privilege; a dirty-managed leaf counts as
 * writable. */
static unsigned arm_s2_rights(const struct vmmu_hw_arm64 *arm, const struct arm_stage *stage,
			      uint64_t descriptor, unsigned flags)
{
	unsigned rights = 0;

	if (descriptor & ARM_S2_READ)
		rights |= VMMU_READ;
	if ((descriptor & ARM_S2_WRITE) || ((descriptor & ARM_DBM) && stage->has_dirty))
		rights |= VMMU_WRITE;
	if (arm_s2_is_executable(arm, descriptor, flags))
		rights |= VMMU_EXEC;
	return rights;
}

/* With forced write-back the type's bit 2 is what tells Normal from Device. */
static bool arm_s2_is_device(const struct vmmu_hw_arm64 *arm, uint64_t descriptor)
{
	unsigned attr = (descriptor >> 2) & 0xf;

	return arm->hcr_el2 & ARM_HCR_FWB ? !(attr & 4) : !(attr & 0xc);
}

static unsigned arm_s2_need(const struct hw_run *run, enum vmmu_hw_purpose purpose)
{
	switch (purpose) {
	case VMMU_HW_FINAL:
		return run->access->access;
	case VMMU_HW_TABLE_WRITE:
		return VMMU_WRITE;
	default:
		return VMMU_READ;
	}
}

/* Alignment and permission of a leaf. */
static enum hw_result arm_s2_check(struct hw_run *run, const struct arm_walk *walk, unsigned need)
{
	const struct vmmu_hw_arm64 *arm = &run->cpu->u.arm64;
	bool is_device = arm_s2_is_device(arm, walk->slot.value);
	bool is_table = walk->gpa->purpose != VMMU_HW_FINAL;
	unsigned rights = arm_s2_rights(arm, walk->stage, walk->slot.value, run->access->flags);

	if (is_device && !is_table && arm_is_unaligned(run->access, walk->gpa->gpa))
		return arm_fault(run, walk, VMMU_HW_ALIGNMENT);
	if (is_device && is_table && (arm->hcr_el2 & ARM_HCR_PTW))
		return arm_refuse(run, walk, 0);
	if ((rights & need) == need)
		return HW_OK;
	return arm_refuse(run, walk, is_table ? 0 : rights);
}

/* Access flag and dirty state, where hardware keeps them. Maintenance dirties nothing. */
static enum hw_result arm_s2_mark(struct hw_run *run, struct arm_walk *walk, unsigned need)
{
	uint64_t value = walk->slot.value;
	bool is_store = (need & VMMU_WRITE) && (walk->gpa->purpose != VMMU_HW_FINAL ||
						!(run->access->flags & VMMU_HW_CACHE_OP));
	enum hw_result result;

	if (walk->stage->has_af)
		value |= ARM_AF;
	if (walk->stage->has_dirty && (value & ARM_DBM) && is_store)
		value |= ARM_S2_WRITE;
	if (value == walk->slot.value)
		return HW_OK;
	result = walk_store(run, &walk->slot, value);
	return result == HW_BUS ? arm_fault(run, walk, VMMU_HW_BUS) : result;
}

enum hw_result arm_stage2(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
			  struct vmmu_hw_mapping *mapping)
{
	const struct vmmu_hw_arm64 *arm = &run->cpu->u.arm64;
	struct arm_walk walk = {.gpa = gpa};
	struct arm_stage stage;
	enum hw_result result;
	unsigned need = arm_s2_need(run, gpa->purpose);

	if (!(arm->hcr_el2 & (ARM_HCR_VM | ARM_HCR_DC))) {
		walk_identity(mapping, gpa->gpa);
		return HW_OK;
	}
	walk.stage = &stage;
	if (!arm_s2_init(&stage, arm) || gpa->gpa >> stage.ia_bits)
		return arm_fault(run, &walk, VMMU_HW_INPUT_SIZE);
	result = arm_descend(run, &walk, gpa->gpa);
	if (!result)
		result = arm_s2_check(run, &walk, need);
	if (!result)
		result = arm_s2_mark(run, &walk, need);
	if (result)
		return result;
	arm_mapping(&walk, mapping);
	mapping->kernel_access = (uint8_t)arm_s2_rights(arm, &stage, walk.slot.value, 0);
	mapping->user_access = (uint8_t)arm_s2_rights(arm, &stage, walk.slot.value, VMMU_HW_USER);
	mapping->dirty = walk.slot.value & ARM_S2_WRITE;
	mapping->memtype = (walk.slot.value >> 2) & 0xf;
	return HW_OK;
}
