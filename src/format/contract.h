/* SPDX-License-Identifier: MIT */
/*
 * The contract of a PTE format: what a format header defines and what the rest of the engine may
 * ask of it.
 *
 * A format is ONE header of static inline functions and one constant geometry, included once per
 * translation unit: the engine's templates then call fmt_*() and the compiler folds all of it.
 * ops_impl.h makes a table of the same functions for whoever needs a format at run time (tests,
 * conformance, dumps, formats from outside).
 *
 * It may define FMT_WRITE_BITS: write_protect() of any leaf at any level clears just these bits,
 * and absent entries do not mind their being cleared. Whole level-1 tables of leaves are protected
 * at once then. MMIO entries do mind (EPT's marker and Arm's generation lie there): not for a table
 * that may hold one.
 *
 * All functions are pure and total: any 64-bit entry and any level 1..levels is a legal argument,
 * and where a comment says "LEAF" the result for another kind is unspecified but defined behaviour.
 * All take the level, since the same bits may mean different things at different levels.
 *
 * A format header defines:
 *   FMT_NAME, FMT_ARCHITECTURE, FMT_DESCRIPTION  strings
 *   FMT_OBJECT                                   the struct vmmu_format that ops_impl.h makes
 *   FMT_CAPS                                     enum vmmu_format_cap, or-ed
 *   FMT_MMIO_GEN_BITS
 *   static const struct vmmu_geometry fmt_geometry
 *   the functions listed in struct format_ops, each named fmt_X
 */
#ifndef VMMU_FORMAT_CONTRACT_H
#define VMMU_FORMAT_CONTRACT_H

#include <vmmu/fault.h>
#include <vmmu/format.h>
#include <vmmu/types.h>

/* What a leaf is made of. */
struct fmt_leaf {
	/* First host frame, aligned to the level. */
	uint64_t pfn;
	/*
	 * VMMU_READ unless the caps say that it can be left out; WRITE only with both flags below.
	 */
	unsigned access;
	enum vmmu_memtype memtype;
	/* Software bit: the host lets the page be written. */
	bool host_writable;
	/* Software bit: WRITE may be given back locklessly; implies host_writable. */
	bool mmu_writable;
	/*
	 * Hardware's bits as to be written. Formats without VMMU_CAP_HW_DIRTY, where nobody would
	 * set them later, set accessed always and dirty at least with WRITE.
	 */
	bool accessed, dirty;
};

/* Every format's MMIO entry has room for gfns of this many bits. */
#define FMT_MMIO_GFN_BITS 40

/* What an MMIO entry is made of. */
struct fmt_mmio {
	/* Below 2^FMT_MMIO_GFN_BITS; for a larger one install no entry. */
	uint64_t gfn;
	/* What the installing fault's entry would have granted: VMMU_READ always, WRITE, EXEC. */
	unsigned access;
	/* Memslot generation, FMT_MMIO_GEN_BITS wide. */
	uint64_t generation;
};

/* Which TLBs must forget when an entry changes. */
enum fmt_flush {
	FMT_FLUSH_NONE,
	/* The vCPU that faulted, and lazily any other: absent entries may be cached. */
	FMT_FLUSH_LOCAL,
	/* All vCPUs, before the lock is dropped. */
	FMT_FLUSH_REMOTE,
};

struct format_ops {
	enum vmmu_entry_kind (*classify)(uint64_t pte, unsigned level);
	/* TABLE or LEAF? */
	bool (*is_present)(uint64_t pte, unsigned level);
	/* LEAF: first frame, in smallest pages. */
	uint64_t (*leaf_pfn)(uint64_t pte, unsigned level);
	/* TABLE: bytes. */
	uint64_t (*table_hpa)(uint64_t pte, unsigned level);
	/* LEAF, not malformed: VMMU_* that hardware grants. */
	unsigned (*access)(uint64_t pte, unsigned level);
	/* LEAF. */
	enum vmmu_memtype (*memtype)(uint64_t pte, unsigned level);
	/* Hardware would call it reserved or misconfigured, and it is no MMIO entry. */
	bool (*is_malformed)(uint64_t pte, unsigned level);

	/* level has its bit in leaf_levels. */
	uint64_t (*make_leaf)(struct fmt_leaf leaf, unsigned level);
	/* LEAF as make_leaf() makes it for pfn 0: its value for PFN, all else equal. */
	uint64_t (*leaf_with_pfn)(uint64_t leaf, uint64_t pfn, unsigned level);
	/* level >= 2; hpa of a table one level down, bytes. */
	uint64_t (*make_table)(uint64_t hpa, unsigned level);
	uint64_t (*make_absent)(unsigned level);
	/* Not present to hardware; classify says FROZEN. */
	uint64_t (*make_frozen)(unsigned level);
	/* level 1. */
	uint64_t (*make_mmio)(struct fmt_mmio mmio, unsigned level);
	/* MMIO. */
	struct fmt_mmio (*parse_mmio)(uint64_t pte, unsigned level);

	/* LEAF, all from here to is_volatile. */
	bool (*host_writable)(uint64_t pte, unsigned level);
	bool (*mmu_writable)(uint64_t pte, unsigned level);
	/* Without WRITE, mmu_writable kept. */
	uint64_t (*write_protect)(uint64_t pte, unsigned level);
	/* Without WRITE and mmu_writable. */
	uint64_t (*write_forbid)(uint64_t pte, unsigned level);
	/* With mmu_writable: WRITE and dirty set. */
	uint64_t (*write_allow)(uint64_t pte, unsigned level);
	/* Formats without the bit: true. */
	bool (*is_accessed)(uint64_t pte, unsigned level);
	/* Formats without the bit: WRITE granted. */
	bool (*is_dirty)(uint64_t pte, unsigned level);
	uint64_t (*clear_accessed)(uint64_t pte, unsigned level);
	/* Formats without VMMU_CAP_HW_DIRTY take WRITE away too, mmu_writable kept. */
	uint64_t (*clear_dirty)(uint64_t pte, unsigned level);

	/*
	 * LEAF: may hardware or the lockless fix change it at any moment? (A missing, or W set and
	 * D missing, where hardware may set them; WRITE missing and mmu_writable set.) Others:
	 * false.
	 */
	bool (*is_volatile)(uint64_t pte, unsigned level);
	/* Is break-before-make due? */
	bool (*needs_break)(uint64_t old_pte, uint64_t new_pte, unsigned level);
	enum fmt_flush (*flush_needed)(uint64_t old_pte, uint64_t new_pte, unsigned level);
};

struct vmmu_format {
	struct vmmu_format_info info;
	const struct format_ops *ops;
};

#endif
