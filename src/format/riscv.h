/* SPDX-License-Identifier: MIT */
/*
 * RISC-V G-stage: Sv39x4, Sv48x4, Sv57x4. RISC-V privileged architecture, "Hypervisor Extension",
 * two-stage address translation. Our level l is the manual's level l - 1.
 *
 *   62:61     leaf: PBMT, memory type (Svpbmt)
 *   53:10     physical page number
 *   9, 8      software (RSW): MMU-writable, host-writable
 *   7, 6      dirty, accessed
 *   4         user: set in every leaf, since G-stage accesses are checked as user ones
 *   3, 2, 1   execute, write, read; none of them: pointer to a table
 *   0         valid
 *
 * The root has 2 more index bits than other tables: 16 KiB.
 *
 * With SV_NAPOT (Svnapot) bit 63 of a leaf at level 1 marks groups of 16: all members are equal,
 * their PPN is that of the first with 1000 in its low bits. Without, and elsewhere, bit 63 is
 * reserved.
 *
 * Accessed is set in every leaf made here and dirty in every writable one, as KVM does: whether
 * hardware would set them (Svadu) or fault (Svade) is then all the same, hence no
 * VMMU_CAP_HW_DIRTY. With SV_ADU both are what the engine asks for, and hardware sets them
 * (menvcfg.ADUE).
 *
 * The including instance header sets SV_BITS: 39, 48 or 57. It may set SV_NAPOT or SV_ADU to 1.
 * With FMT_HAS_GEOMETRY fmt_geometry is its own business.
 */
#ifndef VMMU_FORMAT_RISCV_H
#define VMMU_FORMAT_RISCV_H

#include "base/bits.h"
#include "format/contract.h"
#include "format/mmio.h"

#ifndef SV_NAPOT
#define SV_NAPOT 0
#endif

#ifndef SV_ADU
#define SV_ADU 0
#endif

#define SV_DIRTY_CAP (SV_ADU ? VMMU_CAP_HW_DIRTY : 0)

#define FMT_ARCHITECTURE  "riscv64"
#define FMT_CAPS          (VMMU_CAP_CACHES_ABSENT | VMMU_CAP_EXEC_ONLY | SV_DIRTY_CAP)
#define FMT_MMIO_GEN_BITS 19

#define FMT_WRITE_BITS SV_WRITE
#define FMT_TABLE_BYTE 0x01
/* Members of groups take a closer look. */
#define FMT_LEAF_BITS    SV_VALID
#define FMT_LEAF_MASK    (FMT_LEAF_BITS | (SV_NAPOT ? SV_N : 0))
#define FMT_QUIET_BITS   (SV_VALID | SV_WRITE | SV_USER | SV_ACCESSED | SV_DIRTY)
#define FMT_QUIET_MASK   (FMT_QUIET_BITS | (SV_NAPOT ? SV_N : 0))
#define FMT_GRANT_BITS   (SV_VALID | SV_ACCESSED | SV_MMU_WRITABLE)
#define FMT_GRANT_MASK   (FMT_GRANT_BITS | (SV_NAPOT ? SV_N : 0))
#define SV_VALID         BIT64(0)
#define SV_READ          BIT64(1)
#define SV_WRITE         BIT64(2)
#define SV_EXEC          BIT64(3)
#define SV_RWX           (SV_READ | SV_WRITE | SV_EXEC)
#define SV_USER          BIT64(4)
#define SV_ACCESSED      BIT64(6)
#define SV_DIRTY         BIT64(7)
#define SV_HOST_WRITABLE BIT64(8)
#define SV_MMU_WRITABLE  BIT64(9)
#define SV_PPN           BITS64(53, 10)
#define SV_PBMT_NC       BIT64(61)
#define SV_PBMT_IO       BIT64(62)
#define SV_PBMT          (SV_PBMT_NC | SV_PBMT_IO)
#define SV_N             BIT64(63)
#define SV_RESERVED      (BITS64(60, 54) | SV_N)
/* A group: lg2 entries, and what stands in the PPN's low bits. */
#define SV_GROUP_LG2 4
#define SV_GROUP_PPN (UINT64_C(0xf) << 10)
#define SV_GROUP_64K (UINT64_C(0x8) << 10)
/* valid bit and MMIO mark clear; KVM has no such state here */
#define SV_FROZEN UINT64_C(0x5a0)

#ifndef FMT_HAS_GEOMETRY
#if !defined(SV_BITS) || (SV_BITS != 39 && SV_BITS != 48 && SV_BITS != 57)
#error "include an instance header (sv39x4.h, sv48x4.h, sv57x4.h)"
#endif

#define SV_LEVELS ((SV_BITS - 12) / 9)

static const struct vmmu_geometry fmt_geometry = {
	.page_shift = 12,
	.levels = SV_LEVELS,
	.leaf_levels = (1 << (SV_LEVELS + 1)) - 2,
	.gpa_bits = SV_BITS + 2,
	.pa_bits = 56,
	.shift = {0, 12, 21, 30, SV_LEVELS >= 4 ? 39 : 0, SV_LEVELS >= 5 ? 48 : 0},
	.index_bits = {0, 9, 9, SV_LEVELS == 3 ? 11 : 9,
		       SV_LEVELS == 4  ? 11
		       : SV_LEVELS > 4 ? 9
				       : 0,
		       SV_LEVELS == 5 ? 11 : 0},
	.table_lg2 = {0, 12, 12, SV_LEVELS == 3 ? 14 : 12,
		      SV_LEVELS == 4  ? 14
		      : SV_LEVELS > 4 ? 12
				      : 0,
		      SV_LEVELS == 5 ? 14 : 0},
	.group_lg2 = {0, SV_NAPOT ? SV_GROUP_LG2 : 0},
};
#endif

/* Equal members of groups do not differ by a sum. */
#if !SV_NAPOT
#define FMT_LINEAR_PFN 1
#endif

/*
 * A valid pointer at level 1 has nothing to point to and faults like a leaf that grants nothing: it
 * is classified as such a leaf, and malformed.
 */
static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (pte & SV_VALID)
		return (pte & SV_RWX) || level == 1 ? VMMU_ENTRY_LEAF : VMMU_ENTRY_TABLE;
	if (level == 1 && mmio_is_invalid_marked(pte))
		return VMMU_ENTRY_MMIO;
	return pte == SV_FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
}

/* Page number bits, in place, that a leaf at LEVEL uses. */
static inline uint64_t sv_leaf_ppn(unsigned level)
{
	return BITS64(53, fmt_geometry.shift[level] - 2);
}

/* Encodings other than the one for 64K are reserved. */
static inline unsigned fmt_group_lg2(uint64_t pte, unsigned level)
{
	bool is_member = SV_NAPOT && level == 1 &&
			 (pte & (SV_N | SV_GROUP_PPN)) == (SV_N | SV_GROUP_64K);

	return is_member ? SV_GROUP_LG2 : 0;
}

static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	uint64_t ppn = pte & sv_leaf_ppn(level);

	return (fmt_group_lg2(pte, level) ? ppn & ~SV_GROUP_PPN : ppn) >> 10;
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	(void)level;
	return (pte & SV_PPN) << 2;
}

/*
 * Permission bits only: a clear accessed or dirty bit may make hardware fault all the same (Svade).
 */
static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & SV_USER ? (pte & SV_RWX) >> 1 : 0; /* the order of VMMU_READ, WRITE, EXEC */
}

static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	(void)level;
	switch (pte & SV_PBMT) {
	case 0:
		return VMMU_MEM_WRITEBACK; /* as the physical memory attributes say */
	case SV_PBMT_NC:
		return VMMU_MEM_NONCACHEABLE;
	default:
		return VMMU_MEM_DEVICE;
	}
}

/* Hardware raises the ordinary guest-page fault for all of these. */
static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	enum vmmu_entry_kind kind = fmt_classify(pte, level);

	if (kind == VMMU_ENTRY_TABLE)
		return pte & (SV_RESERVED | SV_PBMT | SV_USER | SV_ACCESSED | SV_DIRTY);
	if (kind != VMMU_ENTRY_LEAF)
		return false;
	if (!(pte & SV_RWX) || (pte & (SV_READ | SV_WRITE)) == SV_WRITE)
		return true;
	if (pte & (fmt_group_lg2(pte, level) ? SV_RESERVED & ~SV_N : SV_RESERVED))
		return true;
	return (pte & SV_PBMT) == SV_PBMT || (pte & SV_PPN & ~sv_leaf_ppn(level));
}

static inline uint64_t sv_type_bits(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_DEVICE:
		return SV_PBMT_IO;
	case VMMU_MEM_NONCACHEABLE:
		return SV_PBMT_NC;
	default:
		return 0;
	}
}

static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	bool is_dirty = leaf.dirty || (!SV_ADU && (leaf.access & VMMU_WRITE));

	(void)level;
	return (leaf.pfn << 10 & SV_PPN) | SV_VALID | SV_USER |
	       (!SV_ADU || leaf.accessed ? SV_ACCESSED : 0) |
	       (uint64_t)(leaf.access & VMMU_RWX) << 1 | (is_dirty ? SV_DIRTY : 0) |
	       sv_type_bits(leaf.memtype) | (leaf.host_writable ? SV_HOST_WRITABLE : 0) |
	       (leaf.mmu_writable ? SV_MMU_WRITABLE : 0);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	(void)level;
	return leaf | (pfn << 10 & SV_PPN);
}

static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	(void)level;
	return (hpa >> 2 & SV_PPN) | SV_VALID;
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return 0;
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	(void)level;
	return SV_FROZEN;
}

static inline uint64_t fmt_make_mmio(struct vmmu_mmio mmio, unsigned level)
{
	(void)level;
	return mmio_invalid_pack(mmio);
}

static inline struct vmmu_mmio fmt_parse_mmio(uint64_t pte, unsigned level)
{
	(void)level;
	return mmio_invalid_parse(pte);
}

static inline bool fmt_host_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & SV_HOST_WRITABLE;
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & SV_MMU_WRITABLE;
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~SV_WRITE;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(SV_WRITE | SV_MMU_WRITABLE);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | SV_WRITE | SV_DIRTY;
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & SV_ACCESSED;
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & SV_DIRTY;
}

/* Without SV_ADU the next access faults: whoever ages pages makes the leaf anew then. */
static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~SV_ACCESSED;
}

/*
 * Where hardware does not set the bit WRITE goes too: a store would fault anyway, and this fault
 * the engine knows to mend.
 */
static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(SV_DIRTY | (SV_ADU ? 0 : SV_WRITE));
}

#if SV_NAPOT
#define FMT_GROUPS

static inline uint64_t fmt_group_make(uint64_t leaf, unsigned level)
{
	(void)level;
	return (leaf & ~SV_GROUP_PPN) | SV_GROUP_64K | SV_N;
}

static inline uint64_t fmt_group_undo(uint64_t pte, uint64_t index, unsigned level)
{
	(void)level;
	return (pte & ~(SV_N | SV_GROUP_PPN)) | index << 10;
}
#endif

/* No break-before-make; a mixture of old and new is used until the fence. */
static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return false;
}

static inline uint64_t fmt_route(uint64_t pte, unsigned level)
{
	return pte & (sv_leaf_ppn(level) | SV_PBMT | SV_USER | (SV_NAPOT ? SV_N : 0));
}

/*
 * Invalid entries and denials may be cached. The fence may be lazy (sheet, section 5): the faulting
 * hart at once, others when they take the spurious fault.
 */
#define FMT_FLUSH_INSTALL VMMU_FLUSH_LOCAL
#define FMT_FLUSH_GRANT   VMMU_FLUSH_LOCAL
#define FMT_FLUSH_MARK    VMMU_FLUSH_LOCAL

#include "format/rules_impl.h"

#endif
