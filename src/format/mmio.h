/* SPDX-License-Identifier: MIT */
/*
 * Where an MMIO entry keeps its generation, gfn and access: the two layouts that formats share.
 *
 * READ is granted by every MMIO entry and takes no room; only WRITE and EXEC are stored.
 */
#ifndef VMMU_FORMAT_MMIO_H
#define VMMU_FORMAT_MMIO_H

#include "base/bits.h"
#include "format/contract.h"

/* KVM's places on x86: generation 7:0 in bits 10:3, generation 18:8 in bits 62:52. */
static inline uint64_t mmio_x86_pack_generation(uint64_t generation)
{
	return (generation & 0xff) << 3 | (generation >> 8 & 0x7ff) << 52;
}

static inline uint64_t mmio_x86_parse_generation(uint64_t pte)
{
	return (pte >> 3 & 0xff) | (pte >> 52 & 0x7ff) << 8;
}

/*
 * Formats without a marker of their own in hardware (RISC-V, Arm): everything but the valid bit
 * belongs to software while that bit is clear. Bit 0: 0; bit 1: 1, the mark; 2: WRITE; 3: EXEC;
 * 22:4 generation; 63:23 gfn, 41 bits. Absent (0) and frozen values keep bit 1 clear.
 */
#define MMIO_INVALID_MARK  BIT64(1)
#define MMIO_INVALID_WRITE BIT64(2)
#define MMIO_INVALID_EXEC  BIT64(3)

static inline bool mmio_is_invalid_marked(uint64_t pte)
{
	return (pte & (MMIO_INVALID_MARK | 1)) == MMIO_INVALID_MARK;
}

static inline uint64_t mmio_invalid_pack(struct vmmu_mmio mmio)
{
	return MMIO_INVALID_MARK | (mmio.access & VMMU_WRITE ? MMIO_INVALID_WRITE : 0) |
	       (mmio.access & VMMU_EXEC ? MMIO_INVALID_EXEC : 0) |
	       (mmio.generation & 0x7ffff) << 4 | mmio.gfn << 23;
}

static inline struct vmmu_mmio mmio_invalid_parse(uint64_t pte)
{
	return (struct vmmu_mmio){
		.gfn = pte >> 23,
		.access = VMMU_READ | (pte & MMIO_INVALID_WRITE ? VMMU_WRITE : 0) |
			  (pte & MMIO_INVALID_EXEC ? VMMU_EXEC : 0),
		.generation = pte >> 4 & 0x7ffff,
	};
}

#endif
