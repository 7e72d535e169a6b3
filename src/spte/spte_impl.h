/* SPDX-License-Identifier: MIT */
/*
 * An entry as a value: which changes are legal and what each one means for the books. Template:
 * include after a format header.
 */
#ifndef VMMU_SPTE_SPTE_IMPL_H
#define VMMU_SPTE_SPTE_IMPL_H

#include "base/bits.h"
#include "format/contract.h"

/* What a change did, for whoever keeps books; flags. */
enum spte_effect {
	SPTE_LEAF_GONE = 1 << 0,
	SPTE_LEAF_CAME = 1 << 1,
	SPTE_TABLE_GONE = 1 << 2,
	SPTE_TABLE_CAME = 1 << 3,
	SPTE_MMIO_GONE = 1 << 4,
	SPTE_MMIO_CAME = 1 << 5,
	SPTE_ABSENT_GONE = 1 << 6,
	SPTE_ABSENT_CAME = 1 << 7,
	SPTE_ILLEGAL = 1 << 8,
};

/*
 * What can be known at a glance: true is the answer, false is none, fmt_classify() and
 * fmt_is_volatile() know then. For what the engine makes itself, a glance mostly does. Here of a
 * TABLE at LEVEL, above 1.
 */
static inline bool spte_is_surely_table(uint64_t pte, unsigned level)
{
#ifdef FMT_TABLE_BYTE
	(void)level;
	return (uint8_t)pte == FMT_TABLE_BYTE;
#else
	return fmt_classify(pte, level) == VMMU_ENTRY_TABLE;
#endif
}

/* The same of a LEAF at level 1. */
static inline bool spte_is_surely_leaf(uint64_t pte)
{
#ifdef FMT_LEAF_BITS
	return (pte & FMT_LEAF_MASK) == FMT_LEAF_BITS;
#else
	return fmt_classify(pte, 1) == VMMU_ENTRY_LEAF;
#endif
}

/* Of a LEAF at level 1 that has WRITE and is not volatile. */
static inline bool spte_is_surely_quiet(uint64_t pte)
{
#ifdef FMT_QUIET_BITS
	return (pte & FMT_QUIET_MASK) == FMT_QUIET_BITS;
#else
	return fmt_classify(pte, 1) == VMMU_ENTRY_LEAF && (fmt_access(pte, 1) & VMMU_WRITE) &&
	       !fmt_is_volatile(pte, 1);
#endif
}

/* Of an accessed LEAF at level 1 that has mmu_writable. */
static inline bool spte_is_surely_grantable(uint64_t pte)
{
#ifdef FMT_GRANT_BITS
	return (pte & FMT_GRANT_MASK) == FMT_GRANT_BITS;
#else
	return fmt_classify(pte, 1) == VMMU_ENTRY_LEAF && fmt_mmu_writable(pte, 1) &&
	       fmt_is_accessed(pte, 1);
#endif
}

/*
 * Does a leaf's own permission state make sense? WRITE needs mmu_writable, which needs
 * host_writable.
 */
static inline bool spte_is_sane_leaf(uint64_t pte, unsigned level)
{
	bool host = fmt_host_writable(pte, level), mmu = fmt_mmu_writable(pte, level);

	return (!mmu || host) && (mmu || !(fmt_access(pte, level) & VMMU_WRITE));
}

/* Is one of the leaves OLD_PTE and NEW_PTE in a group? */
static inline bool spte_is_in_group(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
#ifdef FMT_GROUPS
	return fmt_group_lg2(old_pte, level) || fmt_group_lg2(new_pte, level);
#else
	return (void)old_pte, (void)new_pte, (void)level, false;
#endif
}

/*
 * A present entry changes what it points to only through a not-present value: anything else would
 * let one TLB hold the old page and another the new one with nobody aware of it. A leaf may become
 * a table, which then maps the same pages: a split. That it does is up to whoever links the table.
 * Members of a group do not change one by one (walker/group_impl.h).
 */
static inline bool spte_is_legal(uint64_t old_pte, enum vmmu_entry_kind old_kind, uint64_t new_pte,
				 enum vmmu_entry_kind new_kind, unsigned level)
{
	if (fmt_is_malformed(new_pte, level))
		return false;
	if (new_kind == VMMU_ENTRY_LEAF) {
		if (!spte_is_sane_leaf(new_pte, level))
			return false;
		if (old_kind == VMMU_ENTRY_LEAF && spte_is_in_group(old_pte, new_pte, level))
			return false;
		if (old_kind == VMMU_ENTRY_LEAF)
			return fmt_leaf_pfn(old_pte, level) == fmt_leaf_pfn(new_pte, level);
		return old_kind != VMMU_ENTRY_TABLE;
	}
	if (new_kind == VMMU_ENTRY_TABLE)
		return level > 1 && old_kind != VMMU_ENTRY_TABLE;
	return true;
}

/* Everything about the change old -> new at LEVEL. */
static inline unsigned spte_effects(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	static const uint8_t gone[] = {[VMMU_ENTRY_ABSENT] = SPTE_ABSENT_GONE,
				       [VMMU_ENTRY_LEAF] = SPTE_LEAF_GONE,
				       [VMMU_ENTRY_TABLE] = SPTE_TABLE_GONE,
				       [VMMU_ENTRY_MMIO] = SPTE_MMIO_GONE};
	static const uint8_t came[] = {[VMMU_ENTRY_ABSENT] = SPTE_ABSENT_CAME,
				       [VMMU_ENTRY_LEAF] = SPTE_LEAF_CAME,
				       [VMMU_ENTRY_TABLE] = SPTE_TABLE_CAME,
				       [VMMU_ENTRY_MMIO] = SPTE_MMIO_CAME};
	enum vmmu_entry_kind old_kind = fmt_classify(old_pte, level);
	enum vmmu_entry_kind new_kind = fmt_classify(new_pte, level);
	unsigned effects = 0;

	if (unlikely(!spte_is_legal(old_pte, old_kind, new_pte, new_kind, level)))
		effects |= SPTE_ILLEGAL;
	if (old_kind != new_kind)
		effects |= gone[old_kind] | came[new_kind];
	return effects;
}

#endif
