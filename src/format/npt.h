/* SPDX-License-Identifier: MIT */
/*
 * AMD nested paging (NPT), 4 or 5 levels. AMD64 manual volume 2, "Nested Paging"; the entries are
 * those of long mode.
 *
 * Entries are laid out as Linux KVM lays them out on AMD hosts:
 *
 *   63        no execute (host EFER.NXE is on)
 *   50:12     address
 *   11        software: set in every entry that we make present
 *   10, 9     software: MMU-writable, host-writable
 *   7         leaf above level 1; level 1: PAT
 *   6, 5      dirty (leaf), accessed: hardware sets them
 *   4, 3      PCD, PWT
 *   2, 1, 0   user (every nested access is a user one: set everywhere), write, present
 *
 * Bit 51 is reserved on every CPU that this format is for (MAXPHYADDR up to 51): KVM's MMIO marker.
 * Bit 11 decides nothing: see ept.h.
 *
 * The including instance header sets NPT_LEVELS, and may set NPT_PA_BITS (MAXPHYADDR, at most 51)
 * and NPT_LEAF_LEVELS.
 */
#ifndef VMMU_FORMAT_NPT_H
#define VMMU_FORMAT_NPT_H

#include "base/bits.h"
#include "format/contract.h"
#include "format/mmio.h"

#if !defined(NPT_LEVELS) || NPT_LEVELS < 4 || NPT_LEVELS > 5
#error "include an instance header (npt4.h, npt5.h)"
#endif
#ifndef NPT_PA_BITS
#define NPT_PA_BITS 51
#endif
#if NPT_PA_BITS > 51
#error "the MMIO marker needs bit 51 to be reserved"
#endif
#ifndef NPT_LEAF_LEVELS
#define NPT_LEAF_LEVELS (1 << 1 | 1 << 2 | 1 << 3)
#endif

#define FMT_ARCHITECTURE  "x86-npt"
#define FMT_CAPS          (VMMU_CAP_HW_DIRTY | VMMU_CAP_MMIO_TRAP)
#define FMT_MMIO_GEN_BITS 19

#define FMT_WRITE_BITS NPT_WRITE
#define FMT_LINEAR_PFN
#define FMT_TABLE_BYTE 0x27
/* MMIO entries have bit 51 besides; the others below may be in them too. */
#define FMT_LEAF_MASK  NPT_MMIO_VALUE
#define FMT_LEAF_BITS  NPT_PRESENT
#define FMT_QUIET_BITS (NPT_PRESENT | NPT_WRITE | NPT_USER | NPT_ACCESSED | NPT_DIRTY)
#define FMT_QUIET_MASK (FMT_QUIET_BITS | NPT_MMIO_VALUE)

#define NPT_PRESENT       BIT64(0)
#define NPT_WRITE         BIT64(1)
#define NPT_USER          BIT64(2)
#define NPT_PWT           BIT64(3)
#define NPT_PCD           BIT64(4)
#define NPT_ACCESSED      BIT64(5)
#define NPT_DIRTY         BIT64(6)
#define NPT_LARGE         BIT64(7)
#define NPT_PAT_SMALL     BIT64(7)
#define NPT_PAT_LARGE     BIT64(12)
#define NPT_HOST_WRITABLE BIT64(9)
#define NPT_MMU_WRITABLE  BIT64(10)
#define NPT_OURS          BIT64(11)
#define NPT_ADDRESS       BITS64(50, 12)
#define NPT_NO_EXEC       BIT64(63)
#define NPT_FROZEN        UINT64_C(0x5a0)

/*
 * MMIO: present with reserved bit 51. Access as in a leaf (user for READ, write, no-execute), the
 * generation in bits 10:3 and 62:52, the gfn in 50:12 with its bit 39, whose place the marker
 * takes, in bit 11.
 */
#define NPT_MMIO_VALUE  (BIT64(51) | NPT_PRESENT)
#define NPT_MMIO_GFN_39 BIT64(11)

static const struct vmmu_geometry fmt_geometry = {
	.page_shift = 12,
	.levels = NPT_LEVELS,
	.leaf_levels = NPT_LEAF_LEVELS,
	.gpa_bits = 12 + 9 * NPT_LEVELS,
	.pa_bits = NPT_PA_BITS,
	.shift = {0, 12, 21, 30, 39, NPT_LEVELS == 5 ? 48 : 0},
	.index_bits = {0, 9, 9, 9, 9, NPT_LEVELS == 5 ? 9 : 0},
	.table_lg2 = {0, 12, 12, 12, 12, NPT_LEVELS == 5 ? 12 : 0},
};

/* Is bit 7 a size bit at LEVEL? At level 1 it is PAT, elsewhere reserved. */
static inline bool npt_has_large(unsigned level)
{
	return level > 1 && (NPT_LEAF_LEVELS >> level & 1);
}

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (!(pte & NPT_PRESENT))
		return pte == NPT_FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
	if (level == 1)
		return (pte & NPT_MMIO_VALUE) == NPT_MMIO_VALUE ? VMMU_ENTRY_MMIO : VMMU_ENTRY_LEAF;
	return npt_has_large(level) && (pte & NPT_LARGE) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_TABLE;
}

/* Address bits that a leaf at LEVEL uses. */
static inline uint64_t npt_leaf_address(unsigned level)
{
	return BITS64(50, fmt_geometry.shift[level]);
}

static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	return (pte & npt_leaf_address(level)) >> 12;
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & NPT_ADDRESS;
}

/* Present gives READ. Without the user bit every nested access faults. */
static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	(void)level;
	if (!(pte & NPT_USER))
		return 0;
	return VMMU_READ | (pte & NPT_WRITE ? VMMU_WRITE : 0) | (pte & NPT_NO_EXEC ? 0 : VMMU_EXEC);
}

/*
 * PCD and PWT choose from the host's PAT: 0 is write-back, 2 uncached-minus and 3 uncached both at
 * reset and as Linux programs it. The PAT bit chooses from the upper half, which repeats or
 * resembles the lower: not looked at.
 */
static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	(void)level;
	switch (pte & (NPT_PCD | NPT_PWT)) {
	case 0:
		return VMMU_MEM_WRITEBACK;
	case NPT_PCD | NPT_PWT:
		return VMMU_MEM_DEVICE;
	default:
		return VMMU_MEM_NONCACHEABLE;
	}
}

/*
 * Bits that must be 0 in a present entry of KIND at LEVEL. In a large leaf bit 12 is PAT, no
 * address bit. Levels 4 and 5 reserve bit 8 on AMD, lower tables ignore it.
 */
static inline uint64_t npt_reserved(enum vmmu_entry_kind kind, unsigned level)
{
	uint64_t too_wide = BITS64(51, 12) & BITS64(51, NPT_PA_BITS);

	if (kind == VMMU_ENTRY_TABLE)
		return too_wide | NPT_LARGE | (level >= 4 ? BIT64(8) : 0);
	return too_wide | (NPT_ADDRESS & ~npt_leaf_address(level) & ~NPT_PAT_LARGE);
}

static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	enum vmmu_entry_kind kind = fmt_classify(pte, level);

	if (kind != VMMU_ENTRY_TABLE && kind != VMMU_ENTRY_LEAF)
		return false;
	return pte & npt_reserved(kind, level);
}

static inline uint64_t npt_type_bits(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_DEVICE:
		return NPT_PCD | NPT_PWT;
	case VMMU_MEM_NONCACHEABLE:
		return NPT_PCD;
	default:
		return 0;
	}
}

/* READ is always granted: NPT cannot express anything less. */
static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	return (leaf.pfn << 12 & NPT_ADDRESS) | NPT_PRESENT | NPT_USER | NPT_OURS |
	       (leaf.access & VMMU_WRITE ? NPT_WRITE : 0) |
	       (leaf.access & VMMU_EXEC ? 0 : NPT_NO_EXEC) | npt_type_bits(leaf.memtype) |
	       (level > 1 ? NPT_LARGE : 0) | (leaf.accessed ? NPT_ACCESSED : 0) |
	       (leaf.dirty ? NPT_DIRTY : 0) | (leaf.host_writable ? NPT_HOST_WRITABLE : 0) |
	       (leaf.mmu_writable ? NPT_MMU_WRITABLE : 0);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	(void)level;
	return leaf | (pfn << 12 & NPT_ADDRESS);
}

/* Accessed is preset: tables are not aged, and hardware need not write them then. */
static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	(void)level;
	return (hpa & NPT_ADDRESS) | NPT_PRESENT | NPT_WRITE | NPT_USER | NPT_ACCESSED | NPT_OURS;
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return 0;
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	(void)level;
	return NPT_FROZEN;
}

static inline uint64_t fmt_make_mmio(struct vmmu_mmio mmio, unsigned level)
{
	(void)level;
	return NPT_MMIO_VALUE | NPT_USER | (mmio.access & VMMU_WRITE ? NPT_WRITE : 0) |
	       (mmio.access & VMMU_EXEC ? 0 : NPT_NO_EXEC) |
	       mmio_x86_pack_generation(mmio.generation) | (mmio.gfn << 12 & NPT_ADDRESS) |
	       (mmio.gfn & BIT64(39) ? NPT_MMIO_GFN_39 : 0);
}

static inline struct vmmu_mmio fmt_parse_mmio(uint64_t pte, unsigned level)
{
	(void)level;
	return (struct vmmu_mmio){
		.gfn = (pte & NPT_ADDRESS) >> 12 | (pte & NPT_MMIO_GFN_39 ? BIT64(39) : 0),
		.access = VMMU_READ | (pte & NPT_WRITE ? VMMU_WRITE : 0) |
			  (pte & NPT_NO_EXEC ? 0 : VMMU_EXEC),
		.generation = mmio_x86_parse_generation(pte),
	};
}

static inline bool fmt_host_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & NPT_HOST_WRITABLE;
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & NPT_MMU_WRITABLE;
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~NPT_WRITE;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(NPT_WRITE | NPT_MMU_WRITABLE);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | NPT_WRITE | NPT_DIRTY;
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & NPT_ACCESSED;
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & NPT_DIRTY;
}

static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~NPT_ACCESSED;
}

static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~NPT_DIRTY;
}

/* No break-before-make on x86: stale and new may coexist until the flush. */
static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return false;
}

static inline uint64_t fmt_route(uint64_t pte, unsigned level)
{
	uint64_t pat = level > 1 ? NPT_PAT_LARGE : NPT_PAT_SMALL;

	return pte & (npt_leaf_address(level) | NPT_PCD | NPT_PWT | pat);
}

/* Non-present entries are not cached; a stale denial costs one spurious fault, which removes it. */
#define FMT_FLUSH_INSTALL VMMU_FLUSH_NONE
#define FMT_FLUSH_GRANT   VMMU_FLUSH_NONE
#define FMT_FLUSH_MARK    VMMU_FLUSH_NONE

#include "format/rules_impl.h"

#endif
