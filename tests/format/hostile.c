/* SPDX-License-Identifier: MIT */
#include "format/hostile.h"

/*
 * The sound word of a valid entry; bits above the address are reserved.
 *
 *   0        valid                    5, 6   memory type
 *   1        leaf                     7, 8   accessed, dirty
 *   2, 3, 4  read, write, execute     9, 10  host-writable, MMU-writable
 *   48:11    address, bits 50:13
 *
 * Not valid: 0 absent; 0x10 frozen; bit 1 MMIO at level 1: 2 write, 3 execute, 23:5 generation (11
 * bits used), 63:24 gfn.
 */
#define VALID         UINT64_C(1)
#define LEAF          (UINT64_C(1) << 1)
#define READ          (UINT64_C(1) << 2)
#define WRITE         (UINT64_C(1) << 3)
#define EXEC          (UINT64_C(1) << 4)
#define TYPE_SHIFT    5
#define TYPE          (UINT64_C(3) << TYPE_SHIFT)
#define ACCESSED      (UINT64_C(1) << 7)
#define DIRTY         (UINT64_C(1) << 8)
#define HOST_WRITABLE (UINT64_C(1) << 9)
#define MMU_WRITABLE  (UINT64_C(1) << 10)
#define PFN_SHIFT     11
#define PFN_BITS      38
#define PFN           (((UINT64_C(1) << PFN_BITS) - 1) << PFN_SHIFT)
#define RESERVED      (~UINT64_C(0) << (PFN_SHIFT + PFN_BITS))
#define FROZEN        UINT64_C(0x10)
#define MMIO_MARK     (UINT64_C(1) << 1)
#define MMIO_WRITE    (UINT64_C(1) << 2)
#define MMIO_EXEC     (UINT64_C(1) << 3)
#define MMIO_GEN_BITS 11
#define MMIO_GEN      ((UINT64_C(1) << MMIO_GEN_BITS) - 1)

#define PAGE_SHIFT 13

/* Tables of 8, 16 and 8 KiB that hold 128, 2048 and 512 entries. */
static const struct vmmu_geometry geometry = {
	.page_shift = PAGE_SHIFT,
	.levels = 3,
	.leaf_levels = 1 << 1 | 1 << 2 | 1 << 3,
	.gpa_bits = 40,
	.pa_bits = PAGE_SHIFT + PFN_BITS,
	.shift = {0, 13, 20, 31},
	.index_bits = {0, 7, 11, 9},
	.table_lg2 = {0, 13, 14, 13},
};

static const unsigned rotations[VMMU_LEVELS_MAX + 1] = {0, 11, 29, 53};
static const uint64_t keys[VMMU_LEVELS_MAX + 1] = {0, UINT64_C(0x0f1e2d3c4b5a6978),
						   UINT64_C(0xc3a5c85c97cb3127),
						   UINT64_C(0x9ae16a3b2f90404f)};

static uint64_t encode(uint64_t word, unsigned level)
{
	unsigned by = rotations[level];

	return (word << by | word >> (64 - by)) ^ keys[level];
}

static uint64_t decode(uint64_t pte, unsigned level)
{
	unsigned by = rotations[level];

	pte ^= keys[level];
	return pte >> by | pte << (64 - by);
}

static enum vmmu_entry_kind classify(uint64_t pte, unsigned level)
{
	uint64_t word = decode(pte, level);

	if (word & VALID)
		return level == 1 || (word & LEAF) ? VMMU_ENTRY_LEAF : VMMU_ENTRY_TABLE;
	if (level == 1 && (word & MMIO_MARK))
		return VMMU_ENTRY_MMIO;
	return word == FROZEN ? VMMU_ENTRY_FROZEN : VMMU_ENTRY_ABSENT;
}

static bool is_present(uint64_t pte, unsigned level)
{
	return decode(pte, level) & VALID;
}

static uint64_t leaf_pfn(uint64_t pte, unsigned level)
{
	return (decode(pte, level) & PFN) >> PFN_SHIFT;
}

static uint64_t table_hpa(uint64_t pte, unsigned level)
{
	return leaf_pfn(pte, level) << PAGE_SHIFT;
}

static unsigned access_of(uint64_t pte, unsigned level)
{
	uint64_t word = decode(pte, level);

	return (word & READ ? VMMU_READ : 0) | (word & WRITE ? VMMU_WRITE : 0) |
	       (word & EXEC ? VMMU_EXEC : 0);
}

static enum vmmu_memtype memtype(uint64_t pte, unsigned level)
{
	unsigned type = (decode(pte, level) & TYPE) >> TYPE_SHIFT;

	return type > VMMU_MEM_DEVICE ? VMMU_MEM_DEVICE : (enum vmmu_memtype)type;
}

/* Reserved bits, a type that does not exist, a frame that is not aligned to its level. */
static bool is_malformed(uint64_t pte, unsigned level)
{
	uint64_t word = decode(pte, level);
	uint64_t below = (UINT64_C(1) << (geometry.shift[level] - PAGE_SHIFT)) - 1;

	if (!(word & VALID))
		return false;
	if ((word & RESERVED) || (word & TYPE) == TYPE || (level == 1 && !(word & LEAF)))
		return true;
	return (word & LEAF) && (leaf_pfn(pte, level) & below);
}

static uint64_t make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	return encode(VALID | LEAF | (leaf.access & VMMU_READ ? READ : 0) |
			      (leaf.access & VMMU_WRITE ? WRITE : 0) |
			      (leaf.access & VMMU_EXEC ? EXEC : 0) |
			      ((uint64_t)leaf.memtype << TYPE_SHIFT & TYPE) |
			      (leaf.accessed ? ACCESSED : 0) | (leaf.dirty ? DIRTY : 0) |
			      (leaf.host_writable ? HOST_WRITABLE : 0) |
			      (leaf.mmu_writable ? MMU_WRITABLE : 0) |
			      (leaf.pfn << PFN_SHIFT & PFN),
		      level);
}

static uint64_t leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	return encode(decode(leaf, level) | (pfn << PFN_SHIFT & PFN), level);
}

static uint64_t make_table(uint64_t hpa, unsigned level)
{
	return encode(VALID | (hpa >> PAGE_SHIFT << PFN_SHIFT & PFN), level);
}

static uint64_t make_absent(unsigned level)
{
	return encode(0, level);
}

static uint64_t make_frozen(unsigned level)
{
	return encode(FROZEN, level);
}

static uint64_t make_mmio(struct vmmu_mmio mmio, unsigned level)
{
	return encode(MMIO_MARK | (mmio.access & VMMU_WRITE ? MMIO_WRITE : 0) |
			      (mmio.access & VMMU_EXEC ? MMIO_EXEC : 0) |
			      (mmio.generation & MMIO_GEN) << 5 | mmio.gfn << 24,
		      level);
}

static struct vmmu_mmio parse_mmio(uint64_t pte, unsigned level)
{
	uint64_t word = decode(pte, level);

	return (struct vmmu_mmio){
		.gfn = word >> 24,
		.access = VMMU_READ | (word & MMIO_WRITE ? VMMU_WRITE : 0) |
			  (word & MMIO_EXEC ? VMMU_EXEC : 0),
		.generation = word >> 5 & MMIO_GEN,
	};
}

static bool host_writable(uint64_t pte, unsigned level)
{
	return decode(pte, level) & HOST_WRITABLE;
}

static bool mmu_writable(uint64_t pte, unsigned level)
{
	return decode(pte, level) & MMU_WRITABLE;
}

static uint64_t write_protect(uint64_t pte, unsigned level)
{
	return encode(decode(pte, level) & ~WRITE, level);
}

static uint64_t write_forbid(uint64_t pte, unsigned level)
{
	return encode(decode(pte, level) & ~(WRITE | MMU_WRITABLE), level);
}

static uint64_t write_allow(uint64_t pte, unsigned level)
{
	return encode(decode(pte, level) | WRITE | DIRTY, level);
}

static bool is_accessed(uint64_t pte, unsigned level)
{
	return decode(pte, level) & ACCESSED;
}

static bool is_dirty(uint64_t pte, unsigned level)
{
	return decode(pte, level) & DIRTY;
}

static uint64_t clear_accessed(uint64_t pte, unsigned level)
{
	return encode(decode(pte, level) & ~ACCESSED, level);
}

static uint64_t clear_dirty(uint64_t pte, unsigned level)
{
	return encode(decode(pte, level) & ~DIRTY, level);
}

static bool is_volatile(uint64_t pte, unsigned level)
{
	uint64_t word = decode(pte, level);

	if (classify(pte, level) != VMMU_ENTRY_LEAF)
		return false;
	return !(word & ACCESSED) || (word & (WRITE | DIRTY)) == WRITE ||
	       (word & (WRITE | MMU_WRITABLE)) == MMU_WRITABLE;
}

/* Valid to valid, other than in permissions, marks and software bits. */
static bool needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	uint64_t in_place = READ | WRITE | EXEC | ACCESSED | DIRTY | HOST_WRITABLE | MMU_WRITABLE;
	uint64_t changed = decode(old_pte, level) ^ decode(new_pte, level);

	return is_present(old_pte, level) && is_present(new_pte, level) && (changed & ~in_place);
}

static enum vmmu_flush_due flush_needed(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	uint64_t old_word = decode(old_pte, level), new_word = decode(new_pte, level);
	uint64_t rights = READ | WRITE | EXEC;

	if (old_pte == new_pte)
		return VMMU_FLUSH_NONE;
	if (!(old_word & VALID))
		return new_word & VALID ? VMMU_FLUSH_LOCAL : VMMU_FLUSH_NONE;
	if (!(new_word & VALID) || needs_break(old_pte, new_pte, level) ||
	    (old_word & ~new_word & (rights | ACCESSED | DIRTY | MMU_WRITABLE)))
		return VMMU_FLUSH_REMOTE;
	return new_word & ~old_word & rights ? VMMU_FLUSH_LOCAL : VMMU_FLUSH_NONE;
}

const struct vmmu_format_info hostile_info = {
	.name = "hostile",
	.architecture = "test",
	.description = "bits move with the level; 8 KiB pages, 3 levels of unlike tables",
	.geometry = &geometry,
	.caps = VMMU_CAP_HW_DIRTY | VMMU_CAP_BREAK_FIRST | VMMU_CAP_CACHES_ABSENT |
		VMMU_CAP_EXEC_ONLY,
	.mmio_gen_bits = MMIO_GEN_BITS,
};

const struct vmmu_format_ops hostile_ops = {
	.size = sizeof(struct vmmu_format_ops),
	.classify = classify,
	.is_present = is_present,
	.leaf_pfn = leaf_pfn,
	.table_hpa = table_hpa,
	.access = access_of,
	.memtype = memtype,
	.is_malformed = is_malformed,
	.make_leaf = make_leaf,
	.leaf_with_pfn = leaf_with_pfn,
	.make_table = make_table,
	.make_absent = make_absent,
	.make_frozen = make_frozen,
	.make_mmio = make_mmio,
	.parse_mmio = parse_mmio,
	.host_writable = host_writable,
	.mmu_writable = mmu_writable,
	.write_protect = write_protect,
	.write_forbid = write_forbid,
	.write_allow = write_allow,
	.is_accessed = is_accessed,
	.is_dirty = is_dirty,
	.clear_accessed = clear_accessed,
	.clear_dirty = clear_dirty,
	.is_volatile = is_volatile,
	.needs_break = needs_break,
	.flush_needed = flush_needed,
};
