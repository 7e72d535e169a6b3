/* SPDX-License-Identifier: MIT */
/*
 * Intel EPT, 4 or 5 levels. Intel SDM volume 3, "The Extended Page Table Mechanism (EPT)".
 *
 * Entries are laid out as Linux KVM lays them out on Intel hosts up to 6.12:
 *
 *   63        suppress #VE, see EPT_VE
 *   58, 57    software: MMU-writable, host-writable
 *   56:54     aged leaf without A/D bits: the execute, write, read that it lost
 *   52        software: without A/D bits, set in every entry that we make present
 *   51:12     address
 *   11        software: set in every entry that we make present
 *   10        with mode-based execute control: execute in user mode
 *   9, 8      dirty (leaf), accessed: EPTP bit 6 is on, hardware sets them
 *   7         leaf above level 1
 *   6, 5:3    leaf: ignore the guest's PAT; memory type
 *   2:0       execute, write, read
 *
 * Bit 11 is for people who read dumps. What an entry is follows from what hardware makes of it, so
 * that a stray value is reported as what the guest would get from it.
 *
 * The including instance header sets EPT_LEVELS, and may set EPT_PA_BITS (the CPU's MAXPHYADDR),
 * EPT_EXEC_ONLY (0, 1: IA32_VMX_EPT_VPID_CAP bit 0), EPT_LEAF_LEVELS, and
 *
 *   EPT_AD   0: EPTP bit 6 is off, hardware sets nothing. A leaf is dirty when it is writable. It
 * is
 *            aged by taking all its rights away, which it keeps in bits 56:54, so that the next
 *            access is a violation that gives them back. (KVM keeps read and execute alone and
 *            flushes more elsewhere; with WRITE kept, write-protecting an aged leaf says that it
 *            takes something away from a TLB.) Such a leaf reads as one, its rights are those kept.
 *   EPT_MBE  1: mode-based execute control is on. EXEC is both modes' execute bits; an entry with
 *            one of them is none that we make, and reads as without EXEC.
 *   EPT_VE   1: violations may be delivered to the guest as #VE, except where bit 63 is set. It is
 *            set in all that we make, absent entries included: every violation is an exit. MMIO
 *            entries need none, since misconfigurations always exit.
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
#ifndef EPT_AD
#define EPT_AD 1
#endif
#ifndef EPT_MBE
#define EPT_MBE 0
#endif
#ifndef EPT_VE
#define EPT_VE 0
#endif
#ifndef EPT_LEAF_LEVELS
#define EPT_LEAF_LEVELS (1 << 1 | 1 << 2 | 1 << 3)
#endif

#define FMT_ARCHITECTURE "x86-ept"
#define FMT_CAPS                                                 \
	(VMMU_CAP_MMIO_TRAP | (EPT_AD ? VMMU_CAP_HW_DIRTY : 0) | \
	 (EPT_EXEC_ONLY ? VMMU_CAP_EXEC_ONLY : 0))
#define FMT_MMIO_GEN_BITS 19

#define FMT_WRITE_BITS (EPT_WRITE | EPT_KEPT_WRITE)
#define FMT_LINEAR_PFN
#define FMT_TABLE_BYTE 0x07
#define FMT_LEAF_MASK  EPT_READ
#define FMT_LEAF_BITS  EPT_READ
#define FMT_QUIET_MASK (EPT_READ | EPT_WRITE | (EPT_AD ? EPT_ACCESSED | EPT_DIRTY : 0))
#define FMT_QUIET_BITS FMT_QUIET_MASK
#define FMT_GRANT_MASK (EPT_READ | (EPT_AD ? EPT_ACCESSED : 0) | EPT_MMU_WRITABLE)
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
#define EPT_EXEC_USER     (EPT_MBE ? BIT64(10) : 0)
#define EPT_RIGHTS        (EPT_RWX | EPT_EXEC_USER) /* any of them: present */
#define EPT_AD_OFF        (EPT_AD ? 0 : BIT64(52))
#define EPT_SUPPRESS_VE   (EPT_VE ? BIT64(63) : 0)
/* Rights that an aged leaf keeps. */
#define EPT_KEPT_SHIFT 54
#define EPT_KEPT       (EPT_AD ? 0 : EPT_RWX << EPT_KEPT_SHIFT)
#define EPT_KEPT_WRITE (EPT_AD ? 0 : EPT_WRITE << EPT_KEPT_SHIFT)
/* KVM's values up to 6.9, from 6.10, and with mode-based execute control. */
#define EPT_FROZEN (EPT_SUPPRESS_VE | (EPT_MBE ? UINT64_C(0x1a0) : UINT64_C(0x5a0)))

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

/* Not present to hardware: is it a leaf that was aged? */
static inline bool ept_is_aged(uint64_t pte, unsigned level)
{
	uint64_t marks = EPT_OURS | EPT_AD_OFF | (level > 1 ? EPT_LARGE : 0);

	return (pte & EPT_KEPT) && (pte & (EPT_RIGHTS | marks)) == marks &&
	       (level == 1 || ept_has_large(level));
}

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (!(pte & EPT_RIGHTS)) {
		if (pte == EPT_FROZEN)
			return VMMU_ENTRY_FROZEN;
		return ept_is_aged(pte, level) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_ABSENT;
	}
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

/* Execute bits for ACCESS. */
static inline uint64_t ept_exec_bits(unsigned access)
{
	return access & VMMU_EXEC ? EPT_EXEC | EPT_EXEC_USER : 0;
}

/* VMMU_READ, WRITE, EXEC are the very bits that hardware has. */
static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	if (ept_is_aged(pte, level))
		return pte >> EPT_KEPT_SHIFT & EPT_RWX;
	if (EPT_MBE && !(pte & EPT_EXEC_USER))
		return pte & (EPT_READ | EPT_WRITE);
	return pte & EPT_RWX;
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
	if (!(pte & EPT_READ) && ((pte & EPT_WRITE) || !EPT_EXEC_ONLY) && !ept_is_aged(pte, level))
		return true;
	if (kind == VMMU_ENTRY_LEAF && ept_has_bad_type(pte))
		return true;
	return pte & ept_reserved(kind, level);
}

/* Ordinary RAM overrules the guest's PAT, as KVM does without non-coherent DMA. */
static inline uint64_t ept_type_bits(enum vmmu_memtype memtype)
{
	if (likely(memtype == VMMU_MEM_WRITEBACK))
		return EPT_TYPE_WB | EPT_IPAT;
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
	return (leaf.pfn << 12 & EPT_ADDRESS) | (leaf.access & (EPT_READ | EPT_WRITE)) |
	       ept_exec_bits(leaf.access) | ept_type_bits(leaf.memtype) | EPT_OURS | EPT_AD_OFF |
	       EPT_SUPPRESS_VE | (level > 1 ? EPT_LARGE : 0) |
	       (EPT_AD && leaf.accessed ? EPT_ACCESSED : 0) |
	       (EPT_AD && leaf.dirty ? EPT_DIRTY : 0) |
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
	return (hpa & EPT_ADDRESS) | EPT_RIGHTS | (EPT_AD ? EPT_ACCESSED : EPT_AD_OFF) | EPT_OURS |
	       EPT_SUPPRESS_VE;
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return EPT_SUPPRESS_VE;
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
	return pte & ~FMT_WRITE_BITS;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(FMT_WRITE_BITS | EPT_MMU_WRITABLE);
}

/* An aged leaf stays aged. */
static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	if (ept_is_aged(pte, level))
		return pte | EPT_KEPT_WRITE;
	return pte | EPT_WRITE | (EPT_AD ? EPT_DIRTY : 0);
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	return EPT_AD ? pte & EPT_ACCESSED : !ept_is_aged(pte, level);
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	return EPT_AD ? pte & EPT_DIRTY : fmt_access(pte, level) & VMMU_WRITE;
}

/* What grants nothing has nothing to keep, and cannot be aged. */
static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	uint64_t kept = (uint64_t)fmt_access(pte, level) << EPT_KEPT_SHIFT;

	if (EPT_AD)
		return pte & ~EPT_ACCESSED;
	if (!kept)
		return pte;
	return (pte & ~(EPT_RIGHTS | EPT_KEPT)) | kept | EPT_OURS | EPT_AD_OFF;
}

/* Without A/D bits clean is not writable: the next store is a violation. */
static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	return EPT_AD ? pte & ~EPT_DIRTY : fmt_write_protect(pte, level);
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
