// SPDX-License-Identifier: MIT
/*
 * AArch64 translation, the part of both stages: walk, addresses, ESR, FAR, HPFAR (Arm ARM, chapter
 * D8 and ESR_ELx).
 */
#include "hw/arm64.h"

#define ARM_EC_INSTRUCTION 0x20 /* from a lower exception level; + 1: from the same */
#define ARM_EC_DATA        0x24
#define ARM_EC_SHIFT       26
#define ARM_ESR_IL         BIT64(25)
#define ARM_ISS_SYNDROME   BITS64(24, 14)
#define ARM_ISS_CM         BIT64(8)
#define ARM_ISS_S1PTW      BIT64(7)
#define ARM_ISS_WNR        BIT64(6)

static bool arm_is_valid(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_arm64 *arm = &cpu->u.arm64;

	if (arm->features & ~(unsigned)VMMU_HW_ARM64_FEATURES)
		return false;
	switch (arm->pamax) {
	case 32:
	case 36:
	case 40:
	case 42:
	case 44:
	case 48:
	case 52:
		return arm->bbm_level <= 2;
	default:
		return false;
	}
}

unsigned arm_granule(unsigned tg0)
{
	static const uint8_t granules[4] = {12, 16, 14, 12};

	return granules[tg0 & 3];
}

void arm_stage_sizes(struct arm_stage *stage, const struct vmmu_hw_arm64 *arm, unsigned ps,
		     uint64_t ds)
{
	static const uint8_t sizes[8] = {32, 36, 40, 42, 44, 48, 52, 52};
	unsigned cap;

	stage->is_ds = ds && stage->granule != 16 && (arm->features & VMMU_HW_ARM64_LPA2);
	stage->is_lpa64 = stage->granule == 16 && arm->pamax == 52;
	cap = stage->is_ds || stage->is_lpa64 ? 52 : 48;
	if (cap > arm->pamax)
		cap = arm->pamax;
	stage->oa_bits = sizes[ps & 7] < cap ? sizes[ps & 7] : (uint8_t)cap;
}

unsigned arm_txsz_max(const struct vmmu_hw_arm64 *arm, unsigned granule)
{
	if (!(arm->features & VMMU_HW_ARM64_TTST))
		return 39;
	return granule == 16 ? 47 : 48;
}

unsigned arm_shift(const struct arm_stage *stage, int level)
{
	return stage->granule + (stage->granule - 3u) * (unsigned)(3 - level);
}

void arm_stage_base(struct arm_stage *stage, uint64_t ttbr)
{
	unsigned root_lg2 = stage->ia_bits - arm_shift(stage, stage->start) + 3;
	bool is_wide = stage->is_ds || (stage->is_lpa64 && stage->oa_bits == 52);

	stage->base = ttbr & BITS64(47, 1);
	if (is_wide) {
		stage->base = (ttbr & BITS64(47, 6)) | ((ttbr >> 2) & 0xf) << 48;
		root_lg2 = root_lg2 < 6 ? 6 : root_lg2;
	}
	stage->base = align_down(stage->base, BIT64(root_lg2));
}

/* Address bits LOW and up of a descriptor, wherever the format keeps the highest. */
static uint64_t arm_address(const struct arm_stage *stage, uint64_t descriptor, unsigned low)
{
	uint64_t address = descriptor & BITS64(47, low);

	if (stage->is_lpa64)
		return address | ((descriptor >> 12) & 0xf) << 48;
	if (stage->is_ds)
		return address | (descriptor & BITS64(49, 48)) | ((descriptor >> 8) & 3) << 50;
	return address;
}

static bool arm_is_beyond(const struct arm_stage *stage, uint64_t address)
{
	return address >> stage->oa_bits;
}

/* May a descriptor of type 01 stand at LEVEL? */
static bool arm_has_blocks(const struct arm_stage *stage, int level)
{
	if (level == 2)
		return true;
	switch (stage->granule) {
	case 12:
		return level == 1 || (level == 0 && stage->is_ds);
	case 14:
		return level == 1 && stage->is_ds;
	default:
		return level == 1 && stage->is_lpa64;
	}
}

enum arm_type {
	ARM_TYPE_INVALID,
	ARM_TYPE_TABLE,
	ARM_TYPE_LEAF
};

static enum arm_type arm_type(const struct arm_stage *stage, uint64_t descriptor, int level)
{
	if (!(descriptor & ARM_VALID))
		return ARM_TYPE_INVALID;
	if (level == 3)
		return descriptor & ARM_TABLE ? ARM_TYPE_LEAF : ARM_TYPE_INVALID;
	if (descriptor & ARM_TABLE)
		return ARM_TYPE_TABLE;
	return arm_has_blocks(stage, level) ? ARM_TYPE_LEAF : ARM_TYPE_INVALID;
}

/* Lg2 entries of a contiguous group; 0: the bit means nothing at this level. */
static unsigned arm_group_lg2(const struct arm_stage *stage, int level)
{
	if (stage->granule == 12)
		return level >= 1 ? 4 : 0;
	if (level < 2)
		return 0;
	return stage->granule == 14 && level == 3 ? 7 : 5;
}

/* The leaf's output address; a contiguous group passes more of the input through. */
static void arm_leaf(struct arm_walk *walk)
{
	const struct arm_stage *stage = walk->stage;
	uint64_t descriptor = walk->slot.value, mask;

	walk->page_lg2 = (uint8_t)arm_shift(stage, walk->level);
	walk->range_lg2 = walk->page_lg2;
	if (descriptor & ARM_CONTIGUOUS)
		walk->range_lg2 += (uint8_t)arm_group_lg2(stage, walk->level);
	mask = BIT64(walk->range_lg2) - 1;
	walk->output = (arm_address(stage, descriptor, walk->page_lg2) & ~mask) |
		       (walk->slot.input & mask);
}

/* The leaf's checks that need no right: nT, output size, access flag. */
static enum vmmu_hw_cause arm_leaf_cause(const struct hw_run *run, const struct arm_walk *walk)
{
	uint64_t descriptor = walk->slot.value;

	if (walk->level < 3 && (descriptor & ARM_NT) && run->cpu->u.arm64.bbm_level)
		return VMMU_HW_ABSENT;
	if (arm_is_beyond(walk->stage, walk->output))
		return VMMU_HW_ADDRESS_SIZE;
	if (!(descriptor & ARM_AF) && !walk->stage->has_af &&
	    !(run->access->flags & VMMU_HW_CACHE_OP))
		return VMMU_HW_ACCESSED;
	return VMMU_HW_NO_CAUSE;
}

static enum hw_result arm_read(struct hw_run *run, struct arm_walk *walk, uint64_t table,
			       uint64_t input)
{
	const struct arm_stage *stage = walk->stage;
	unsigned top = walk->level == stage->start
			       ? stage->ia_bits
			       : arm_shift(stage, walk->level) + stage->granule - 3u;
	uint64_t index = (input & (BIT64(top) - 1)) >> arm_shift(stage, walk->level);
	enum hw_result result;

	walk->slot = (struct hw_slot){
		.address = table | index * 8,
		.stage = stage->stage,
		.level = (uint8_t)(4 - walk->level),
		.bytes = 8,
		.input = input,
	};
	result = walk_fetch(run, &walk->slot);
	return result == HW_BUS ? arm_fault(run, walk, VMMU_HW_BUS) : result;
}

enum hw_result arm_descend(struct hw_run *run, struct arm_walk *walk, uint64_t input)
{
	const struct arm_stage *stage = walk->stage;
	uint64_t table = stage->base;
	enum vmmu_hw_cause cause;
	enum hw_result result;
	enum arm_type type;

	if (arm_is_beyond(stage, table))
		return arm_fault(run, walk, VMMU_HW_ADDRESS_SIZE);
	for (walk->level = stage->start;; walk->level++) {
		result = arm_read(run, walk, table, input);
		if (result)
			return result;
		type = arm_type(stage, walk->slot.value, walk->level);
		if (type == ARM_TYPE_INVALID)
			return arm_fault(run, walk, VMMU_HW_ABSENT);
		if (type == ARM_TYPE_LEAF)
			break;
		table = arm_address(stage, walk->slot.value, stage->granule);
		if (arm_is_beyond(stage, table))
			return arm_fault(run, walk, VMMU_HW_ADDRESS_SIZE);
		walk->tables |= walk->slot.value;
	}
	arm_leaf(walk);
	cause = arm_leaf_cause(run, walk);
	return cause ? arm_fault(run, walk, cause) : HW_OK;
}

static unsigned arm_fsc(enum vmmu_hw_cause cause, int level)
{
	static const uint8_t bases[] = {
		[VMMU_HW_ABSENT] = 0x04,       [VMMU_HW_INPUT_SIZE] = 0x04,
		[VMMU_HW_ADDRESS_SIZE] = 0x00, [VMMU_HW_ACCESSED] = 0x08,
		[VMMU_HW_PERMISSION] = 0x0c,   [VMMU_HW_BUS] = 0x14,
	};

	if (cause == VMMU_HW_ALIGNMENT)
		return 0x21;
	if (level >= 0)
		return bases[cause] + (unsigned)level;
	switch (cause) {
	case VMMU_HW_ADDRESS_SIZE:
		return 0x29;
	case VMMU_HW_BUS:
		return 0x13;
	default:
		return 0x2b; /* leaves do not stand at level -1: no access flag or permission fault
			      */
	}
}

/*
 * WnR: maintenance always says write; an atomic says write only if a read would have gone through.
 * In a fault on a stage-1 table it is the original access's.
 */
static bool arm_is_write(const struct vmmu_hw_access *access, unsigned granted)
{
	if (access->flags & VMMU_HW_CACHE_OP)
		return true;
	if (access->access == (VMMU_READ | VMMU_WRITE))
		return granted & VMMU_READ;
	return access->access & VMMU_WRITE;
}

static uint64_t arm_iss(const struct hw_run *run, bool is_table, unsigned granted)
{
	const struct vmmu_hw_access *access = run->access;
	uint64_t iss = is_table ? ARM_ISS_S1PTW : 0;

	if (access->access == VMMU_EXEC)
		return iss;
	if (access->flags & VMMU_HW_CACHE_OP)
		iss |= ARM_ISS_CM;
	return iss | (arm_is_write(access, granted) ? ARM_ISS_WNR : 0);
}

/* HPFAR_EL2 is written by every stage-2 fault but those on permission, alignment and the bus of the
 * access itself. */
static bool arm_has_hpfar(enum vmmu_hw_cause cause, bool is_table)
{
	switch (cause) {
	case VMMU_HW_PERMISSION:
		return is_table;
	case VMMU_HW_ALIGNMENT:
	case VMMU_HW_BUS:
		return false;
	default:
		return true;
	}
}

static enum hw_result arm_report(struct hw_run *run, const struct arm_walk *walk,
				 enum vmmu_hw_cause cause, unsigned granted)
{
	struct vmmu_hw_report *report = &run->walk->report;
	const struct vmmu_hw_access *access = run->access;
	bool is_second = walk->stage->stage == 2;
	bool is_table = is_second && walk->gpa->purpose != VMMU_HW_FINAL;
	uint64_t ec = access->access == VMMU_EXEC ? ARM_EC_INSTRUCTION : ARM_EC_DATA;
	uint64_t input = is_second ? walk->gpa->gpa : walk->slot.address;

	walk_fail(run, &(struct walk_failure){
			       .cause = cause,
			       .stage = walk->stage->stage,
			       .purpose = is_second ? walk->gpa->purpose : VMMU_HW_FINAL,
			       .gpa = input,
			       .slot = walk->slot.level ? &walk->slot : NULL,
		       });
	if (!is_second && !(access->flags & VMMU_HW_USER))
		ec++;
	report->arm64.el = is_second ? 2 : 1;
	report->arm64.far = run->access->gva;
	report->arm64.esr = ec << ARM_EC_SHIFT | ARM_ESR_IL | arm_iss(run, is_table, granted) |
			    arm_fsc(cause, walk->level);
	if (is_second && !is_table && access->access != VMMU_EXEC)
		report->arm64.esr |= access->syndrome & ARM_ISS_SYNDROME;
	report->arm64.hpfar_valid = is_second && arm_has_hpfar(cause, is_table);
	if (report->arm64.hpfar_valid)
		report->arm64.hpfar = (input >> 12) << 4;
	return HW_FAULT;
}

enum hw_result arm_fault(struct hw_run *run, const struct arm_walk *walk, enum vmmu_hw_cause cause)
{
	return arm_report(run, walk, cause, 0);
}

enum hw_result arm_refuse(struct hw_run *run, const struct arm_walk *walk, unsigned granted)
{
	return arm_report(run, walk, VMMU_HW_PERMISSION, granted);
}

bool arm_is_unaligned(const struct vmmu_hw_access *access, uint64_t address)
{
	return access->access != VMMU_EXEC && access->bytes && (address & (access->bytes - 1));
}

void arm_mapping(const struct arm_walk *walk, struct vmmu_hw_mapping *mapping)
{
	*mapping = (struct vmmu_hw_mapping){
		.input = walk->slot.input,
		.output = walk->output,
		.level = walk->slot.level,
		.page_lg2 = walk->page_lg2,
		.range_lg2 = walk->range_lg2,
	};
}

const struct hw_arch hw_arch_arm64 = {
	.is_valid = arm_is_valid,
	.stage1 = arm_stage1,
	.stage2 = arm_stage2,
};
