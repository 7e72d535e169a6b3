/* SPDX-License-Identifier: MIT */
/*
 * Arm VMSAv8-64 stage 2, every granule. Arm Architecture Reference Manual, "VMSAv8-64 translation
 * table format descriptors". Our level l is the manual's level 4 - l.
 *
 *   58:55     software (KVM's field): 55 host-writable, 56 MMU-writable
 *   54:53     XN: 00 execute, 10 not; 01 and 11 (one exception level only) are never made
 *   47:g      address
 *   10        access flag: hardware sets it (VTCR_EL2.HA, as KVM has it)
 *   9:8       shareability: inner
 *   7, 6      S2AP: write, read
 *   5:2       memory attributes, HCR_EL2.FWB off
 *   1, 0      11 table, or page at level 1; 01 block; x0 invalid
 *
 * With 52-bit addresses, in leaves and tables:
 *
 *   LPA2 (4K, 16K; VTCR_EL2.DS=1)   49:48 address 49:48, 9:8 address 51:50; shareability is
 *                                   VTCR_EL2.SH0's
 *   LPA (64K, VTCR_EL2.PS=52)       15:12 address 51:48
 *
 * There is no dirty bit as we use it (VTCR_EL2.HD off): a leaf is dirty when it is writable.
 * Reserved bits do not fault; reserved types read as invalid.
 *
 * With ARM_CONT the contiguous bit (52) marks groups: 16 entries of 4K granule tables but for level
 * 4; of 16K 128 pages or 32 blocks; of 64K 32. Where a root is smaller than a group there are none.
 * Each member has its own address, but hardware takes the low bits from the input, and so do we.
 * Without ARM_CONT the bit is ignored.
 *
 * The including instance header sets ARM_GRANULE_SHIFT (12, 14, 16), ARM_IPA_BITS and
 * ARM_START_LEVEL (the manual's number), and may set ARM_LPA2 or ARM_LPA, and ARM_CONT, to 1, and
 * ARM_PA_BITS (VTCR_EL2.PS: at most, and if not set, what the layout holds). The root's index takes
 * what is left of the IPA: up to 16 concatenated tables. With FMT_HAS_GEOMETRY fmt_geometry is the
 * including header's business, and all of these may be looked up at run time.
 */
#ifndef VMMU_FORMAT_ARM_S2_H
#define VMMU_FORMAT_ARM_S2_H

#include "base/bits.h"
#include "format/contract.h"
#include "format/mmio.h"

#ifndef ARM_LPA2
#define ARM_LPA2 0
#endif
#ifndef ARM_LPA
#define ARM_LPA 0
#endif
#ifndef ARM_CONT
#define ARM_CONT 0
#endif
#ifndef ARM_PA_BITS
#define ARM_PA_BITS (ARM_LPA2 || ARM_LPA ? 52 : 48)
#endif

#define FMT_ARCHITECTURE  "arm64"
#define FMT_CAPS          (VMMU_CAP_BREAK_FIRST | VMMU_CAP_WRITE_ONLY | VMMU_CAP_EXEC_ONLY)
#define FMT_MMIO_GEN_BITS 19

#define FMT_WRITE_BITS ARM_S2AP_WRITE
#define FMT_TABLE_BYTE 0x03
/* Members of groups take a closer look. */
#define FMT_LEAF_BITS  (ARM_VALID | ARM_TABLE)
#define FMT_LEAF_MASK  (FMT_LEAF_BITS | (ARM_CONT ? ARM_CONTIGUOUS : 0))
#define FMT_QUIET_BITS (ARM_VALID | ARM_TABLE | ARM_AF | ARM_S2AP_WRITE)
#define FMT_QUIET_MASK (FMT_QUIET_BITS | (ARM_CONT ? ARM_CONTIGUOUS : 0))
#define FMT_GRANT_BITS (ARM_VALID | ARM_TABLE | ARM_AF | ARM_MMU_WRITABLE)
#define FMT_GRANT_MASK (FMT_GRANT_BITS | (ARM_CONT ? ARM_CONTIGUOUS : 0))

#define ARM_VALID         BIT64(0)
#define ARM_TABLE         BIT64(1)
#define ARM_ATTR          BITS64(5, 2)
#define ARM_ATTR_DEVICE   (UINT64_C(0x1) << 2) /* nGnRE */
#define ARM_ATTR_NC       (UINT64_C(0x5) << 2) /* outer and inner non-cacheable */
#define ARM_ATTR_WB       (UINT64_C(0xf) << 2) /* outer and inner write-back */
#define ARM_S2AP_READ     BIT64(6)
#define ARM_S2AP_WRITE    BIT64(7)
#define ARM_SH_INNER      (UINT64_C(3) << 8)
#define ARM_AF            BIT64(10)
#define ARM_CONTIGUOUS    BIT64(52)
#define ARM_XN            BITS64(54, 53)
#define ARM_XN_NONE       BIT64(54)
#define ARM_HOST_WRITABLE BIT64(55)
#define ARM_MMU_WRITABLE  BIT64(56)
#define ARM_FROZEN        BIT64(10) /* KVM's lock of an invalid entry, up to 6.12 */

#ifndef FMT_HAS_GEOMETRY
#if !defined(ARM_GRANULE_SHIFT) || !defined(ARM_IPA_BITS) || !defined(ARM_START_LEVEL)
#error "include an instance header (arm_s2_4k.h ...)"
#endif

#define ARM_STRIDE     (ARM_GRANULE_SHIFT - 3)
#define ARM_LEVELS     (4 - (ARM_START_LEVEL))
#define ARM_ROOT_SHIFT (ARM_GRANULE_SHIFT + ARM_STRIDE * (ARM_LEVELS - 1))
#define ARM_ROOT_BITS  (ARM_IPA_BITS - ARM_ROOT_SHIFT)

#if ARM_ROOT_BITS < 1 || ARM_ROOT_BITS > ARM_STRIDE + 4 || ARM_LEVELS > VMMU_LEVELS_MAX
#error "no legal start level for this IPA size"
#endif
#if (ARM_LPA2 && ARM_GRANULE_SHIFT == 16) || (ARM_LPA && ARM_GRANULE_SHIFT != 16)
#error "LPA2 is for 4K and 16K granules, LPA for 64K"
#endif
#if ARM_PA_BITS > 52 || ARM_IPA_BITS > 52 || \
	((ARM_PA_BITS > 48 || ARM_IPA_BITS > 48) && !ARM_LPA2 && !ARM_LPA)
#error "52-bit addresses need LPA2 or LPA, which move bits"
#endif

/* Linear only while the address is in one piece. */
#if !ARM_LPA2 && !ARM_LPA
#define FMT_LINEAR_PFN
#endif

/* Blocks: 1G and 2M; 32M; 512M. LPA2 adds 512G; 64G. LPA adds 4T. */
#define ARM_BLOCK_LEVELS                                                     \
	(ARM_GRANULE_SHIFT == 12 ? 1 << 2 | 1 << 3 | (ARM_LPA2 ? 1 << 4 : 0) \
				 : 1 << 2 | (ARM_LPA2 || ARM_LPA ? 1 << 3 : 0))
#define ARM_LEAF_LEVELS ((ARM_BLOCK_LEVELS | 1 << 1) & ((1 << (ARM_LEVELS + 1)) - 1))

#define ARM_SHIFT(level) ((level) > ARM_LEVELS ? 0 : ARM_GRANULE_SHIFT + ARM_STRIDE * ((level)-1))
#define ARM_INDEX(level) \
	((level) > ARM_LEVELS ? 0 : (level) == ARM_LEVELS ? ARM_ROOT_BITS : ARM_STRIDE)
/* A root smaller than a granule still gets a whole one, as in KVM. */
#define ARM_TABLE_LG2(level)                                               \
	((level) > ARM_LEVELS                       ? 0                    \
	 : ARM_INDEX(level) + 3 > ARM_GRANULE_SHIFT ? ARM_INDEX(level) + 3 \
						    : ARM_GRANULE_SHIFT)
#define ARM_EACH_LEVEL(of)                           \
	{                                            \
		0, of(1), of(2), of(3), of(4), of(5) \
	}

/* A group that is no larger than its table. */
#define ARM_GROUP_IN(level, lg2) (ARM_CONT && ARM_INDEX(level) >= (lg2) ? (lg2) : 0)
#define ARM_GROUP(level)                                                       \
	(ARM_GRANULE_SHIFT == 12   ? (level) <= 3 ? ARM_GROUP_IN(level, 4) : 0 \
	 : ARM_GRANULE_SHIFT == 16 ? (level) <= 2 ? ARM_GROUP_IN(level, 5) : 0 \
	 : (level) == 1            ? ARM_GROUP_IN(level, 7)                    \
	 : (level) == 2            ? ARM_GROUP_IN(level, 5)                    \
				   : 0)

static const struct vmmu_geometry fmt_geometry = {
	.page_shift = ARM_GRANULE_SHIFT,
	.levels = ARM_LEVELS,
	.leaf_levels = ARM_LEAF_LEVELS,
	.gpa_bits = ARM_IPA_BITS,
	.pa_bits = ARM_PA_BITS,
	.shift = ARM_EACH_LEVEL(ARM_SHIFT),
	.index_bits = ARM_EACH_LEVEL(ARM_INDEX),
	.table_lg2 = ARM_EACH_LEVEL(ARM_TABLE_LG2),
	.group_lg2 = ARM_EACH_LEVEL(ARM_GROUP),
};
#endif

/* Type 01 where there are no blocks is reserved; hardware takes it as invalid. */
static inline bool arm_has_reserved_type(uint64_t pte, unsigned level)
{
	if ((pte & (ARM_VALID | ARM_TABLE)) != ARM_VALID)
		return false;
	return level == 1 || !(fmt_geometry.leaf_levels >> level & 1);
}

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (level == 1 && mmio_is_invalid_marked(pte))
		return VMMU_ENTRY_MMIO;
	if (!(pte & ARM_VALID))
		return pte == ARM_FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
	if (arm_has_reserved_type(pte, level))
		return VMMU_ENTRY_ABSENT;
	return (pte & ARM_TABLE) && level > 1 ? VMMU_ENTRY_TABLE : VMMU_ENTRY_LEAF;
}

/* The address that an entry holds, in bytes, brought together. */
static inline uint64_t arm_address(uint64_t pte)
{
	if (ARM_LPA2)
		return (pte & BITS64(49, ARM_GRANULE_SHIFT)) | (pte & BITS64(9, 8)) << 42;
	if (ARM_LPA)
		return (pte & BITS64(47, ARM_GRANULE_SHIFT)) | (pte & BITS64(15, 12)) << 36;
	return pte & BITS64(47, ARM_GRANULE_SHIFT);
}

/* The other way round; what the layout has no room for is dropped. */
static inline uint64_t arm_address_bits(uint64_t hpa)
{
	if (ARM_LPA2)
		return (hpa & BITS64(49, ARM_GRANULE_SHIFT)) | (hpa & BITS64(51, 50)) >> 42;
	if (ARM_LPA)
		return (hpa & BITS64(47, ARM_GRANULE_SHIFT)) | (hpa & BITS64(51, 48)) >> 36;
	return hpa & BITS64(47, ARM_GRANULE_SHIFT);
}

static inline unsigned fmt_group_lg2(uint64_t pte, unsigned level)
{
	return ARM_CONT && (pte & ARM_CONTIGUOUS) ? fmt_geometry.group_lg2[level] : 0;
}

/* Below a leaf's size, address bits are reserved and ignored; below a group's, ignored. */
static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	unsigned low = fmt_geometry.shift[level] + fmt_group_lg2(pte, level);

	return (arm_address(pte) & BITS64(51, low)) >> ARM_GRANULE_SHIFT;
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	(void)level;
	return arm_address(pte);
}

/* EXEC only if every exception level may. */
static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	(void)level;
	return (pte & ARM_S2AP_READ ? VMMU_READ : 0) | (pte & ARM_S2AP_WRITE ? VMMU_WRITE : 0) |
	       (pte & ARM_XN ? 0 : VMMU_EXEC);
}

/*
 * Outer attributes 00 are device memory. Write-through mixtures, never made, read as the stricter
 * neighbour.
 */
static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	(void)level;
	if (!(pte & BITS64(5, 4)))
		return VMMU_MEM_DEVICE;
	return (pte & ARM_ATTR) == ARM_ATTR_WB ? VMMU_MEM_WRITEBACK : VMMU_MEM_NONCACHEABLE;
}

/* Reserved types, and addresses beyond VTCR_EL2.PS (an address size fault). */
static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	if (arm_has_reserved_type(pte, level))
		return true;
	return (pte & ARM_VALID) && arm_address(pte) >> ARM_PA_BITS;
}

static inline uint64_t arm_type_bits(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_DEVICE:
		return ARM_ATTR_DEVICE;
	case VMMU_MEM_NONCACHEABLE:
		return ARM_ATTR_NC;
	default:
		return ARM_ATTR_WB;
	}
}

/* The access flag is always set: whether hardware could set it is then all the same. */
static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	return arm_address_bits(leaf.pfn << ARM_GRANULE_SHIFT) | ARM_VALID |
	       (level == 1 ? ARM_TABLE : 0) | arm_type_bits(leaf.memtype) |
	       (ARM_LPA2 ? 0 : ARM_SH_INNER) | ARM_AF |
	       (leaf.access & VMMU_READ ? ARM_S2AP_READ : 0) |
	       (leaf.access & VMMU_WRITE ? ARM_S2AP_WRITE : 0) |
	       (leaf.access & VMMU_EXEC ? 0 : ARM_XN_NONE) |
	       (leaf.host_writable ? ARM_HOST_WRITABLE : 0) |
	       (leaf.mmu_writable ? ARM_MMU_WRITABLE : 0);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	(void)level;
	return leaf | arm_address_bits(pfn << ARM_GRANULE_SHIFT);
}

static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	(void)level;
	return arm_address_bits(hpa) | ARM_TABLE | ARM_VALID;
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return 0;
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	(void)level;
	return ARM_FROZEN;
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
	return pte & ARM_HOST_WRITABLE;
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ARM_MMU_WRITABLE;
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~ARM_S2AP_WRITE;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(ARM_S2AP_WRITE | ARM_MMU_WRITABLE);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | ARM_S2AP_WRITE;
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ARM_AF;
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ARM_S2AP_WRITE;
}

static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~ARM_AF;
}

/* Clean is not writable: the next store faults. */
static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	return fmt_write_protect(pte, level);
}

#if ARM_CONT || defined(FMT_HAS_GEOMETRY)
#define FMT_GROUPS

static inline uint64_t fmt_group_make(uint64_t leaf, unsigned level)
{
	(void)level;
	return leaf | ARM_CONTIGUOUS;
}

static inline uint64_t fmt_group_undo(uint64_t pte, uint64_t index, unsigned level)
{
	uint64_t pfn = fmt_leaf_pfn(pte, level) +
		       (index << (fmt_geometry.shift[level] - ARM_GRANULE_SHIFT));
	uint64_t rest = pte & ~(ARM_CONTIGUOUS | arm_address_bits(BITS64(51, 0)));

	return fmt_leaf_with_pfn(rest, pfn, level);
}
#endif

/* All of a leaf but what may change in place: permissions, access flag, software bits. */
static inline uint64_t fmt_route(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(ARM_S2AP_READ | ARM_S2AP_WRITE | ARM_XN | ARM_AF | BITS64(58, 55));
}

/* Valid to different valid: other address, attributes, size, or block against table. */
static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	enum vmmu_entry_kind old_kind = fmt_classify(old_pte, level);
	enum vmmu_entry_kind new_kind = fmt_classify(new_pte, level);

	if (old_kind == VMMU_ENTRY_TABLE && new_kind == VMMU_ENTRY_TABLE)
		return fmt_table_hpa(old_pte, level) != fmt_table_hpa(new_pte, level);
	if (old_kind == VMMU_ENTRY_LEAF && new_kind == VMMU_ENTRY_LEAF)
		return fmt_route(old_pte, level) != fmt_route(new_pte, level);
	return (old_kind == VMMU_ENTRY_TABLE && new_kind == VMMU_ENTRY_LEAF) ||
	       (old_kind == VMMU_ENTRY_LEAF && new_kind == VMMU_ENTRY_TABLE);
}

/*
 * Invalid and AF=0 entries are never cached; entries that refuse by permission are: relaxing needs
 * a TLBI.
 */
#define FMT_FLUSH_INSTALL VMMU_FLUSH_NONE
#define FMT_FLUSH_GRANT   VMMU_FLUSH_REMOTE
#define FMT_FLUSH_MARK    VMMU_FLUSH_NONE

#include "format/rules_impl.h"

#endif
