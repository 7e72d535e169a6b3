/* SPDX-License-Identifier: MIT */
/*
 * A PTE format of one's own: what src/format/contract.h asks for, in one header. Two levels of 4K
 * tables translate 30 bits; level 2 has 2M pages.
 *
 *   0        valid                      7, 8   memory type
 *   1        leaf                       47:12  address
 *   2, 3, 4  read, write, execute
 *   5, 6     host-writable, MMU-writable
 *
 * Hardware sets nothing in an entry. What is not valid belongs to software: see mmio.h for MMIO.
 */
#ifndef EXAMPLES_FORMAT_TINY_H
#define EXAMPLES_FORMAT_TINY_H

#include "base/bits.h"
#include "format/contract.h"
#include "format/mmio.h"

#define FMT_NAME          "tiny"
#define FMT_ARCHITECTURE  "tiny"
#define FMT_DESCRIPTION   "the example of docs/formats.md, 2 levels, 30-bit guest addresses"
#define FMT_OBJECT        format_tiny
#define FMT_CAPS          0
#define FMT_MMIO_GEN_BITS 19
/* Promises for whole tables at a time; see the contract. */
#define FMT_WRITE_BITS TINY_WRITE
#define FMT_LINEAR_PFN

#define TINY_VALID         BIT64(0)
#define TINY_LEAF          BIT64(1)
#define TINY_READ          BIT64(2)
#define TINY_WRITE         BIT64(3)
#define TINY_EXEC          BIT64(4)
#define TINY_HOST_WRITABLE BIT64(5)
#define TINY_MMU_WRITABLE  BIT64(6)
#define TINY_TYPE          BITS64(8, 7)
#define TINY_ADDRESS       BITS64(47, 12)
#define TINY_FROZEN        BIT64(9)

static const struct vmmu_geometry fmt_geometry = {
	.page_shift = 12,
	.levels = 2,
	.leaf_levels = 1 << 1 | 1 << 2,
	.gpa_bits = 30,
	.pa_bits = 48,
	.shift = {0, 12, 21},
	.index_bits = {0, 9, 9},
	.table_lg2 = {0, 12, 12},
};

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	if (pte & TINY_VALID)
		return level == 1 || (pte & TINY_LEAF) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_TABLE;
	if (level == 1 && mmio_is_invalid_marked(pte))
		return VMMU_ENTRY_MMIO;
	return pte == TINY_FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
}

static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	return (pte & BITS64(47, fmt_geometry.shift[level])) >> 12;
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & TINY_ADDRESS;
}

static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	(void)level;
	return pte >> 2 & VMMU_RWX; /* VMMU_READ, WRITE, EXEC in this order */
}

static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	uint64_t type = (pte & TINY_TYPE) >> 7;

	(void)level;
	return type < VMMU_MEM_DEVICE ? (enum vmmu_memtype)type : VMMU_MEM_DEVICE;
}

/* Address bits that do not belong, bits above them, and the type that does not exist. */
static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	if (!(pte & TINY_VALID))
		return false;
	if ((pte & BITS64(63, 48)) || (pte & TINY_TYPE) == TINY_TYPE)
		return true;
	return fmt_classify(pte, level) == VMMU_ENTRY_LEAF &&
	       (pte & TINY_ADDRESS & (BIT64(fmt_geometry.shift[level]) - 1));
}

static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	(void)level;
	return TINY_VALID | TINY_LEAF | (uint64_t)(leaf.access & VMMU_RWX) << 2 |
	       ((uint64_t)leaf.memtype << 7 & TINY_TYPE) | (leaf.pfn << 12 & TINY_ADDRESS) |
	       (leaf.host_writable ? TINY_HOST_WRITABLE : 0) |
	       (leaf.mmu_writable ? TINY_MMU_WRITABLE : 0);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	(void)level;
	return leaf | (pfn << 12 & TINY_ADDRESS);
}

static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	(void)level;
	return TINY_VALID | (hpa & TINY_ADDRESS);
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	(void)level;
	return 0;
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	(void)level;
	return TINY_FROZEN;
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
	return pte & TINY_HOST_WRITABLE;
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & TINY_MMU_WRITABLE;
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~TINY_WRITE;
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & ~(TINY_WRITE | TINY_MMU_WRITABLE);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | TINY_WRITE;
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	(void)pte, (void)level;
	return true;
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	return fmt_access(pte, level) & VMMU_WRITE;
}

static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	(void)level;
	return pte;
}

static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	return fmt_write_protect(pte, level);
}

static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return false;
}

/* What decides where an access goes and how it is cached. */
static inline uint64_t fmt_route(uint64_t pte, unsigned level)
{
	(void)level;
	return pte & (TINY_ADDRESS | TINY_TYPE);
}

/* TLBs keep nothing that refuses. */
#define FMT_FLUSH_INSTALL VMMU_FLUSH_NONE
#define FMT_FLUSH_GRANT   VMMU_FLUSH_NONE
#define FMT_FLUSH_MARK    VMMU_FLUSH_NONE

/* fmt_is_present(), fmt_is_volatile() and fmt_flush_needed(), from the above. */
#include "format/rules_impl.h"

#endif
