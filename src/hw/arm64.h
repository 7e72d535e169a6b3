/* SPDX-License-Identifier: MIT */
/*
 * What the two stages of AArch64 translation share: geometry, descriptors' types and addresses,
 * fault registers. Levels are the manual's here (-1 to 3); results carry 4 - level.
 */
#ifndef VMMU_HW_ARM64_H
#define VMMU_HW_ARM64_H

#include "hw/walk.h"

/* Descriptor bits of both stages. */
#define ARM_VALID      BIT64(0)
#define ARM_TABLE      BIT64(1) /* or page, at level 3 */
#define ARM_AF         BIT64(10)
#define ARM_NT         BIT64(16)
#define ARM_DBM        BIT64(51)
#define ARM_CONTIGUOUS BIT64(52)

#define ARM_HCR_VM  BIT64(0)
#define ARM_HCR_PTW BIT64(2)
#define ARM_HCR_DC  BIT64(12)
#define ARM_HCR_FWB BIT64(46)

/* One stage as its registers set it up. */
struct arm_stage {
	uint64_t base; /* bytes: the root table */
	uint8_t stage;
	uint8_t granule;        /* lg2 bytes: 12, 14, 16 */
	uint8_t ia_bits;        /* input address size */
	uint8_t oa_bits;        /* effective output address size */
	int start;              /* level of the root */
	bool is_ds;             /* LPA2 descriptors: address bits 49:48 and 9:8 */
	bool is_lpa64;          /* 64K granule on a 52-bit CPU: address bits 15:12 */
	bool has_af, has_dirty; /* hardware sets the access flag, the dirty state */
};

/* A walk of one stage. */
struct arm_walk {
	const struct arm_stage *stage;
	const struct vmmu_hw_gpa *gpa; /* stage 2 */
	struct hw_slot slot;           /* the descriptor read last */
	int level;                     /* that a fault would report */
	uint64_t tables;               /* stage 1: APTable, XNTable bits or-ed over the tables */
	uint64_t output;               /* bytes */
	uint8_t page_lg2, range_lg2;
};

/* Lg2 bytes by TG0's encoding; the reserved value counts as 4K. */
unsigned arm_granule(unsigned tg0);
/* The descriptor holds address bits above 47 only if it may; fill what follows from granule, DS and
 * PS. */
void arm_stage_sizes(struct arm_stage *stage, const struct vmmu_hw_arm64 *arm, unsigned ps,
		     uint64_t ds);
/* Fill ->base from a TTBR: address bits above 47 from 5:2 where there can be any, aligned to the
 * root's size. */
void arm_stage_base(struct arm_stage *stage, uint64_t ttbr);
/* Largest T0SZ. */
unsigned arm_txsz_max(const struct vmmu_hw_arm64 *arm, unsigned granule);
/* Lg2 bytes that a descriptor at LEVEL covers. */
unsigned arm_shift(const struct arm_stage *stage, int level);

/*
 * Walk to a leaf and form its output address; faults up to the access flag's are taken, permission
 * is not judged. INPUT: address bits the tables translate.
 */
enum hw_result arm_descend(struct hw_run *run, struct arm_walk *walk, uint64_t input);
/* Report a fault of WALK's stage at walk->level. */
enum hw_result arm_fault(struct hw_run *run, const struct arm_walk *walk, enum vmmu_hw_cause cause);
/* A permission fault; GRANTED: rights the page has, for atomics' WnR. */
enum hw_result arm_refuse(struct hw_run *run, const struct arm_walk *walk, unsigned granted);
/* Is the access unaligned for its width? Device memory takes none. */
bool arm_is_unaligned(const struct vmmu_hw_access *access, uint64_t address);
/* Fill what both stages have. */
void arm_mapping(const struct arm_walk *walk, struct vmmu_hw_mapping *mapping);

/* The stages themselves. */
enum hw_result arm_stage1(struct hw_run *run);
enum hw_result arm_stage2(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
			  struct vmmu_hw_mapping *mapping);

#endif
