/* SPDX-License-Identifier: MIT */
/*
 * The contract of a PTE format: what a format header defines and what the rest of the engine may ask of it.
 *
 * A format is ONE header of static inline functions and one constant geometry, included once per translation unit:
 * the engine's templates then call fmt_*() and the compiler folds all of it. ops_impl.h makes a table of the same
 * functions for whoever needs a format at run time (tests, conformance, dumps, formats from outside).
 *
 * All functions are pure and total: any 64-bit entry and any level 1..levels is a legal argument, and where a
 * comment says "LEAF" the result for another kind is unspecified but defined behaviour. All take the level, since
 * the same bits may mean different things at different levels.
 *
 * A format header defines:
 *   FMT_NAME, FMT_ARCHITECTURE, FMT_DESCRIPTION (strings), FMT_CAPS (enum vmmu_format_cap), FMT_MMIO_GEN_BITS,
 *   static const struct vmmu_geometry fmt_geometry, and the functions listed in struct format_ops, each named fmt_X.
 */
#ifndef VMMU_FORMAT_CONTRACT_H
#define VMMU_FORMAT_CONTRACT_H

#include <vmmu/fault.h>
#include <vmmu/format.h>
#include <vmmu/types.h>

/* What a leaf is made of. */
struct fmt_leaf {
	uint64_t pfn;               /* first host frame, aligned to the level */
	unsigned access;            /* VMMU_READ always; WRITE only with both writable flags */
	enum vmmu_memtype memtype;
	bool host_writable;         /* software bit: the host lets the page be written */
	bool mmu_writable;          /* software bit: WRITE may be given back locklessly; implies host_writable */
	bool accessed, dirty;       /* hardware's bits as to be written; formats without them ignore it */
};

/* What an MMIO entry is made of. */
struct fmt_mmio {
	uint64_t gfn;
	unsigned access;            /* what the installing fault's entry would have granted: VMMU_RWX subset */
	uint64_t generation;        /* memslot generation, FMT_MMIO_GEN_BITS wide */
};

/* Which TLBs must forget when an entry changes. */
enum fmt_flush {
	FMT_FLUSH_NONE,
	FMT_FLUSH_LOCAL,  /* the vCPU that faulted, and lazily any other: absent entries may be cached */
	FMT_FLUSH_REMOTE, /* all vCPUs, before the lock is dropped */
};

struct format_ops {
	enum vmmu_entry_kind (*classify)(uint64_t pte, unsigned level);
	bool (*is_present)(uint64_t pte, unsigned level);          /* TABLE or LEAF */
	uint64_t (*leaf_pfn)(uint64_t pte, unsigned level);        /* LEAF: first frame, in smallest pages */
	uint64_t (*table_hpa)(uint64_t pte, unsigned level);       /* TABLE: bytes */
	unsigned (*access)(uint64_t pte, unsigned level);          /* LEAF: VMMU_* that hardware grants */
	enum vmmu_memtype (*memtype)(uint64_t pte, unsigned level); /* LEAF */
	bool (*is_malformed)(uint64_t pte, unsigned level);        /* hardware would call it reserved or misconfigured, and it is no MMIO entry */
	uint64_t (*make_leaf)(struct fmt_leaf leaf, unsigned level); /* level has its bit in leaf_levels */
	uint64_t (*make_table)(uint64_t hpa, unsigned level);      /* level >= 2; hpa of a table one level down */
	uint64_t (*make_absent)(unsigned level);
	uint64_t (*make_frozen)(unsigned level);                   /* not present to hardware; classify says FROZEN */
	uint64_t (*make_mmio)(struct fmt_mmio mmio, unsigned level); /* level 1 */
	struct fmt_mmio (*parse_mmio)(uint64_t pte, unsigned level); /* MMIO */
	bool (*host_writable)(uint64_t pte, unsigned level);       /* LEAF */
	bool (*mmu_writable)(uint64_t pte, unsigned level);        /* LEAF */
	uint64_t (*write_protect)(uint64_t pte, unsigned level);   /* LEAF: without WRITE, mmu_writable kept */
	uint64_t (*write_forbid)(uint64_t pte, unsigned level);    /* LEAF: without WRITE and mmu_writable */
	uint64_t (*write_allow)(uint64_t pte, unsigned level);     /* LEAF with mmu_writable: WRITE and dirty set */
	bool (*is_accessed)(uint64_t pte, unsigned level);         /* LEAF; formats without the bit: true */
	bool (*is_dirty)(uint64_t pte, unsigned level);            /* LEAF; formats without the bit: WRITE granted */
	uint64_t (*clear_accessed)(uint64_t pte, unsigned level);  /* LEAF */
	uint64_t (*clear_dirty)(uint64_t pte, unsigned level);     /* LEAF */
	/*
	 * LEAF: may hardware or the lockless fix change it at any moment? (A missing, or W set and D missing, where hardware
	 * sets them; WRITE missing and mmu_writable set.) Others: false.
	 */
	bool (*is_volatile)(uint64_t pte, unsigned level);
	bool (*needs_break)(uint64_t old_pte, uint64_t new_pte, unsigned level); /* break-before-make due */
	enum fmt_flush (*flush_needed)(uint64_t old_pte, uint64_t new_pte, unsigned level);
};

struct vmmu_format {
	struct vmmu_format_info info;
	const struct format_ops *ops;
};

#endif
