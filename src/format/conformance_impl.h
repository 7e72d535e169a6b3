/* SPDX-License-Identifier: MIT */
/* What the files of the conformance check share. */
#ifndef VMMU_FORMAT_CONFORMANCE_IMPL_H
#define VMMU_FORMAT_CONFORMANCE_IMPL_H

#include "format/conformance.h"

/* splitmix64. */
static inline uint64_t conformance_random(struct conformance *check)
{
	uint64_t mixed = check->seed += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* Remember what is being looked at, for whoever reads the verdict. */
static inline void conformance_look(struct conformance *check, unsigned level, uint64_t pte,
				    uint64_t other)
{
	check->level = level;
	check->pte = pte;
	check->other = other;
}

/* Everything that a leaf says. */
struct leaf_view {
	enum vmmu_entry_kind kind;
	uint64_t pfn;
	unsigned access;
	enum vmmu_memtype memtype;
	bool host_writable, mmu_writable, accessed, dirty, malformed;
};

static inline struct leaf_view conformance_view(const struct vmmu_format_ops *ops, uint64_t pte,
						unsigned level)
{
	return (struct leaf_view){
		.kind = ops->classify(pte, level),
		.pfn = ops->leaf_pfn(pte, level),
		.access = ops->access(pte, level),
		.memtype = ops->memtype(pte, level),
		.host_writable = ops->host_writable(pte, level),
		.mmu_writable = ops->mmu_writable(pte, level),
		.accessed = ops->is_accessed(pte, level),
		.dirty = ops->is_dirty(pte, level),
		.malformed = ops->is_malformed(pte, level),
	};
}

/* Both sound leaves that lead to the same memory in the same way? */
static inline bool conformance_is_same_memory(const struct leaf_view *a, const struct leaf_view *b)
{
	return a->kind == VMMU_ENTRY_LEAF && b->kind == VMMU_ENTRY_LEAF && !a->malformed &&
	       !b->malformed && a->pfn == b->pfn && a->memtype == b->memtype;
}

static inline bool conformance_has_cap(const struct conformance *check, enum vmmu_format_cap cap)
{
	return check->format->info.caps & cap;
}

/* May a leaf grant ACCESS and nothing else? */
static inline bool conformance_is_legal_access(const struct conformance *check, unsigned access)
{
	if (access & VMMU_READ)
		return true;
	if (access & VMMU_WRITE)
		return conformance_has_cap(check, VMMU_CAP_WRITE_ONLY);
	return access && conformance_has_cap(check, VMMU_CAP_EXEC_ONLY);
}

/* Number of combinations of everything but the pfn: access, memory type, software bits, A, D. */
#define LEAF_VARIANTS (8 * 3 * 3 * 4)

/* Variant number INDEX into *LEAF (its pfn is kept); false: this combination is illegal. */
static inline bool conformance_variant(const struct conformance *check, unsigned index,
				       struct vmmu_leaf *leaf)
{
	unsigned writable;

	leaf->accessed = index & 1;
	leaf->dirty = index >> 1 & 1;
	index >>= 2;
	leaf->access = index & 7;
	index >>= 3;
	leaf->memtype = index % 3;
	writable = index / 3;
	leaf->host_writable = writable >= 1;
	leaf->mmu_writable = writable >= 2;
	return conformance_is_legal_access(check, leaf->access) &&
	       (!(leaf->access & VMMU_WRITE) || leaf->mmu_writable);
}

#endif
