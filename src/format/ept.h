/* SPDX-License-Identifier: MIT */
/*
 * Intel EPT, 4 or 5 levels. Intel SDM volume 3, "The Extended Page Table Mechanism (EPT)".
 *
 * Entries are laid out as Linux KVM lays them out on Intel hosts up to 6.12:
 *
 *   63        not present: suppress #VE (we do not use it)
 *   58, 57    software: MMU-writable, host-writable
 *   51:12     address
 *   11        software: set in every entry that we make present
 *   9, 8      dirty (leaf), accessed: EPTP bit 6 is on, hardware sets them
 *   7         leaf above level 1
 *   6, 5:3    leaf: ignore the guest's PAT; memory type
 *   2:0       execute, write, read
 *
 * Bit 11 is for people who read dumps. What an entry is follows from what hardware makes of it, so
 * that a stray value is reported as what the guest would get from it.
 *
 * The including instance header sets EPT_LEVELS, and may set EPT_PA_BITS (the CPU's MAXPHYADDR),
 * EPT_EXEC_ONLY (0, 1: IA32_VMX_EPT_VPID_CAP bit 0) and EPT_LEAF_LEVELS.
 */
#ifndef VMMU_FORMAT_EPT_H
#define VMMU_FORMAT_EPT_H

#include "base/bits.h"
#include "format/contract.h"
#include "format/mmio.h"

#if !defined(EPT_LEVELS) || EPT_LEVELS < 4 || EPT_LEVELS > 5
#error "include an instance header (ept4.h, ept5.h)"
#endif
#ifndef EPT_PA_BITS
#define EPT_PA_BITS 52
#endif
#ifndef EPT_EXEC_ONLY
#define EPT_EXEC_ONLY 0
#endif
#ifndef EPT_LEAF_LEVELS
#define EPT_LEAF_LEVELS (1 << 1 | 1 << 2 | 1 << 3)
#endif

#define FMT_ARCHITECTURE "x86-ept"
#if EPT_EXEC_ONLY
#define FMT_CAPS (VMMU_CAP_HW_DIRTY | VMMU_CAP_MMIO_TRAP | VMMU_CAP_EXEC_ONLY)
#else
#define FMT_CAPS (VMMU_CAP_HW_DIRTY | VMMU_CAP_MMIO_TRAP)
#endif
#define FMT_MMIO_GEN_BITS 19

#define FMT_WRITE_BITS EPT_WRITE
#define FMT_LINEAR_PFN
#define FMT_TABLE_BYTE 0x07
#define FMT_LEAF_MASK  EPT_READ
#define FMT_LEAF_BITS  EPT_READ
#define FMT_QUIET_MASK (EPT_READ | EPT_WRITE | EPT_ACCESSED | EPT_DIRTY)
#define FMT_QUIET_BITS FMT_QUIET_MASK
#define FMT_GRANT_MASK (EPT_READ | EPT_ACCESSED | EPT_MMU_WRITABLE)
#define FMT_GRANT_BITS FMT_GRANT_MASK

#define EPT_READ          BIT64(0)
#define EPT_WRITE         BIT64(1)
#define EPT_EXEC          BIT64(2)
#define EPT_RWX           UINT64_C(7)
#define EPT_TYPE_UC       (UINT64_C(0) << 3)
#define EPT_TYPE_WC       (UINT64_C(1) << 3)
#define EPT_TYPE_WB       (UINT64_C(6) << 3)
#define EPT_TYPE_MASK     (UINT64_C(7) << 3)
#define EPT_IPAT          BIT64(6)
#define EPT_LARGE         BIT64(7)
#define EPT_ACCESSED      BIT64(8)
#define EPT_DIRTY         BIT64(9)
#define EPT_OURS          BIT64(11)
#define EPT_ADDRESS       BITS64(51, 12)
#define EPT_HOST_WRITABLE BIT64(57)
#define EPT_MMU_WRITABLE  BIT64(58)
#define EPT_FROZEN        UINT64_C(0x5a0)

/*
 * MMIO: write and execute without read, which no CPU accepts whatever its address width. The
 * generation is in bits 10:3 and 62:52, the gfn in 51:12. KVM stores no access; the two bits that
 * are left say what is missing, so that full access has KVM's value.
 */
#define EPT_MMIO_VALUE    (EPT_WRITE | EPT_EXEC)
#define EPT_MMIO_NO_WRITE BIT64(11)
#define EPT_MMIO_NO_EXEC  BIT64(63)

static const struct vmmu_geometry fmt_geometry = {
	.page_shift = 12,
	.levels = EPT_LEVELS,
	.leaf_levels = EPT_LEAF_LEVELS,
	.gpa_bits = 12 + 9 * EPT_LEVELS,
	.pa_bits = EPT_PA_BITS,
	.shift = {0, 12, 21, 30, 39, EPT_LEVELS == 5 ? 48 : 0},
	.index_bits = {0, 9, 9, 9, 9, EPT_LEVELS == 5 ? 9 : 0},
	.table_lg2 = {0, 12, 12, 12, 12, EPT_LEVELS == 5 ? 12 : 0},
};

/* Is bit 7 a size bit at LEVEL? Elsewhere it is ignored (level 1) or reserved. */
static inline bool ept_has_large(unsigned level)
{
	return level > 1 && (EPT_LEAF_LEVELS >> level & 1);
}

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (!(pte & EPT_RWX))
		return pte == EPT_FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
	if (level == 1)
		return (pte & EPT_RWX) == EPT_MMIO_VALUE ? VMMU_ENTRY_MMIO : VMMU_ENTRY_LEAF;
	return ept_has_large(level) && (pte & EPT_LARGE) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_TABLE;
}

/* Address bits that a leaf at LEVEL uses. */
static inline uint64_t ept_leaf_address(unsigned level)
{
	return BITS64(51, fmt_geometry.shift[level]);
}

static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	return (pte & ept_leaf_address(level)) >> 12;
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_ADDRESS;
}

static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_RWX; /* VMMU_READ, WRITE, EXEC are these very bits */
}

/* Write-through and write-protected, which we never make, read as the stricter neighbour. */
static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	(void)level;
	switch (pte & EPT_TYPE_MASK) {
	case EPT_TYPE_WB:
		return VMMU_MEM_WRITEBACK;
	case EPT_TYPE_UC:
		return VMMU_MEM_DEVICE;
	default:
		return VMMU_MEM_NONCACHEABLE;
	}
}

/* Types 2, 3 and 7 do not exist. */
static inline bool ept_has_bad_type(uint64_t pte)
{
	unsigned type = (pte & EPT_TYPE_MASK) >> 3;

	return type == 2 || type == 3 || type == 7;
}

/* Bits that must be 0 in a present entry of KIND at LEVEL. */
static inline uint64_t ept_reserved(enum vmmu_entry_kind kind, unsigned level)
{
	uint64_t too_wide = BITS64(51, 12) & BITS64(51, EPT_PA_BITS);

	if (kind == VMMU_ENTRY_TABLE)
		return too_wide | BITS64(7, 3);
	return too_wide | (EPT_ADDRESS & ~ept_leaf_address(level));
}

/* The EPT misconfigurations of the SDM, of entries that are not our MMIO entries. */
static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	enum vmmu_entry_kind kind = fmt_classify(pte, level);

	if (kind != VMMU_ENTRY_TABLE && kind != VMMU_ENTRY_LEAF)
		return false;
	if (!(pte & EPT_READ) && ((pte & EPT_WRITE) || !EPT_EXEC_ONLY))
		return true;
	if (kind == VMMU_ENTRY_LEAF && ept_has_bad_type(pte))
		return true;
	return pte & ept_reserved(kind, level);
}

/* Ordinary RAM overrules the guest's PAT, as KVM does without non-coherent DMA. */
static inline uint64_t ept_type_bits(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_DEVICE:
		return EPT_TYPE_UC;
	case VMMU_MEM_NONCACHEABLE:
		return EPT_TYPE_WC;
	default:
		return EPT_TYPE_WB | EPT_IPAT;
	}
}

static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	return (leaf.pfn << 12 & EPT_ADDRESS) | (leaf.access & EPT_RWX) |
	       ept_type_bits(leaf.memtype) | EPT_OURS | (level > 1 ? EPT_LARGE : 0) |
	       (leaf.accessed ? EPT_ACCESSED : 0) | (leaf.dirty ? EPT_DIRTY : 0) |
	       (leaf.host_writable ? EPT_HOST_WRITABLE : 0) |
	       (leaf.mmu_writable ? EPT_MMU_WRITABLE : 0);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	(void)level;
	return leaf | (pfn << 12 & EPT_ADDRESS);
}

/* Accessed is preset: tables are not aged, and hardware need not write them then. */
static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	(void)level;
	return (hpa & EPT_ADDRESS) | EPT_RWX | EPT_ACCESSED | EPT_OURS;
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return 0;
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	(void)level;
	return EPT_FROZEN;
}

static inline uint64_t fmt_make_mmio(struct vmmu_mmio mmio, unsigned level)
{
	(void)level;
	return EPT_MMIO_VALUE | mmio_x86_pack_generation(mmio.generation) |
	       (mmio.gfn << 12 & EPT_ADDRESS) | (mmio.access & VMMU_WRITE ? 0 : EPT_MMIO_NO_WRITE) |
	       (mmio.access & VMMU_EXEC ? 0 : EPT_MMIO_NO_EXEC);
}

static inline struct vmmu_mmio fmt_parse_mmio(uint64_t pte, unsigned level)
{
	(void)level;
	return (struct vmmu_mmio){
		.gfn = (pte & EPT_ADDRESS) >> 12,
		.access = VMMU_READ | (pte & EPT_MMIO_NO_WRITE ? 0 : VMMU_WRITE) |
			  (pte & EPT_MMIO_NO_EXEC ? 0 : VMMU_EXEC),
		.generation = mmio_x86_parse_generation(pte),
	};
}

static inline bool fmt_host_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_HOST_WRITABLE;
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_MMU_WRITABLE;
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~EPT_WRITE;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(EPT_WRITE | EPT_MMU_WRITABLE);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | EPT_WRITE | EPT_DIRTY;
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_ACCESSED;
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & EPT_DIRTY;
}

static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~EPT_ACCESSED;
}

static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~EPT_DIRTY;
}

/* No break-before-make on x86: stale and new may coexist until the flush. */
static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return false;
}

static inline uint64_t fmt_route(uint64_t pte, unsigned level)
{
	return pte & (ept_leaf_address(level) | EPT_TYPE_MASK | EPT_IPAT);
}

/*
 * Not-present and misconfigured entries are never cached; a violation drops what it was judged by.
 */
#define FMT_FLUSH_INSTALL VMMU_FLUSH_NONE
#define FMT_FLUSH_GRANT   VMMU_FLUSH_NONE
#define FMT_FLUSH_MARK    VMMU_FLUSH_NONE

#include "format/rules_impl.h"

#endif
