/* SPDX-License-Identifier: MIT */
/* The laws of formats about leaves: reading back, changing one, replacing one. */
#include "base/bits.h"
#include "format/conformance.h"
#include "format/conformance_impl.h"

static bool is_equal(const struct leaf_view *a, const struct leaf_view *b)
{
	return conformance_is_same_memory(a, b) && a->access == b->access &&
	       a->host_writable == b->host_writable && a->mmu_writable == b->mmu_writable &&
	       a->accessed == b->accessed && a->dirty == b->dirty;
}

/*
 * Calls VISIT for every variant over pfns with one bit, with all bits, and 0, at all leaf levels.
 */
static const char *for_each_leaf(struct conformance *check,
				 const char *(*visit)(struct conformance *check,
						      const struct vmmu_leaf *leaf))
{
	const struct vmmu_geometry *geometry = check->format->info.geometry;
	struct vmmu_leaf leaf;
	const char *broken = NULL;

	for (unsigned level = 1; level <= geometry->levels; level++) {
		unsigned low = geometry->shift[level] - geometry->page_shift;
		unsigned end = geometry->pa_bits - geometry->page_shift;

		if (!(geometry->leaf_levels >> level & 1))
			continue;
		for (unsigned i = 0; i < LEAF_VARIANTS * (end - low + 2) && !broken; i++) {
			unsigned bit = low + i / LEAF_VARIANTS;

			leaf.pfn = bit < end ? BIT64(bit) : bit == end ? BITS64(end - 1, low) : 0;
			if (!conformance_variant(check, i % LEAF_VARIANTS, &leaf))
				continue;
			conformance_look(check, level, check->format->ops->make_leaf(leaf, level),
					 0);
			broken = visit(check, &leaf);
		}
	}
	return broken;
}

/* ---- reading back ---- */

static const char *check_marks(const struct conformance *check, const struct leaf_view *view,
			       const struct vmmu_leaf *leaf)
{
	if (conformance_has_cap(check, VMMU_CAP_HW_DIRTY) &&
	    (view->accessed != leaf->accessed || view->dirty != leaf->dirty))
		return "leaves: accessed or dirty is lost";
	if (!conformance_has_cap(check, VMMU_CAP_HW_DIRTY) &&
	    (!view->accessed || (!view->dirty && (leaf->access & VMMU_WRITE))))
		return "leaves: accessed or dirty is clear where nobody sets it";
	return NULL;
}

static const char *check_read_back(struct conformance *check, const struct vmmu_leaf *leaf)
{
	struct leaf_view view = conformance_view(check->format->ops, check->pte, check->level);

	if (view.kind != VMMU_ENTRY_LEAF || view.malformed)
		return "leaves: a leaf does not read as one";
	if (view.pfn != leaf->pfn)
		return "leaves: pfn is lost";
	if (view.access != leaf->access)
		return "leaves: access is lost";
	if (view.memtype != leaf->memtype)
		return "leaves: memory type is lost";
	if (view.host_writable != leaf->host_writable || view.mmu_writable != leaf->mmu_writable)
		return "leaves: a software bit is lost";
	return check_marks(check, &view, leaf);
}

static const char *check_with_pfn(struct conformance *check, const struct vmmu_leaf *leaf)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct vmmu_leaf first = *leaf;

	first.pfn = 0;
	check->other = ops->make_leaf(first, check->level);
	if (ops->leaf_with_pfn(check->other, leaf->pfn, check->level) != check->pte)
		return "leaves: leaf_with_pfn does not make what make_leaf makes";
	return NULL;
}

/* Setting or clearing the software bits changes nothing that hardware looks at. */
static const char *check_software_bits(struct conformance *check, const struct vmmu_leaf *leaf)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct vmmu_leaf bare = *leaf, full = *leaf;
	struct leaf_view with, without;
	uint64_t software;

	bare.access = full.access = VMMU_READ;
	bare.host_writable = bare.mmu_writable = false;
	full.host_writable = full.mmu_writable = true;
	software = ops->make_leaf(bare, check->level) ^ ops->make_leaf(full, check->level);
	check->other = check->pte & ~software;
	with = conformance_view(ops, check->pte | software, check->level);
	without = conformance_view(ops, check->other, check->level);
	if (!conformance_is_same_memory(&with, &without) || with.access != without.access ||
	    with.accessed != without.accessed || with.dirty != without.dirty)
		return "leaves: a software bit is one of hardware's";
	return NULL;
}

/*
 * Exact but for one case: a format without VMMU_CAP_HW_DIRTY may say volatile for a clear accessed
 * or dirty bit, since some hardware sets them.
 */
static const char *check_volatile(struct conformance *check, uint64_t pte)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct leaf_view view = conformance_view(ops, pte, check->level);
	bool is_writable = view.access & VMMU_WRITE;
	bool is_marking = !view.accessed || (is_writable && !view.dirty);
	bool is_volatile = ops->is_volatile(pte, check->level);

	check->other = pte;
	if (!is_writable && view.mmu_writable && !is_volatile)
		return "leaves: WRITE may come back locklessly, but not volatile";
	if (is_marking && conformance_has_cap(check, VMMU_CAP_HW_DIRTY) && !is_volatile)
		return "leaves: hardware may set accessed or dirty, but not volatile";
	if (!is_marking && (is_writable || !view.mmu_writable) && is_volatile)
		return "leaves: volatile without a reason";
	return NULL;
}

/* ---- changing one ---- */

/* check->pte became PTE: does it say exactly WANT now? */
static bool has_become(struct conformance *check, uint64_t pte, struct leaf_view want)
{
	struct leaf_view view = conformance_view(check->format->ops, pte, check->level);

	/* A format without a dirty bit reads it from WRITE: the caller judges dirty itself. */
	if (!conformance_has_cap(check, VMMU_CAP_HW_DIRTY))
		want.dirty = view.dirty;
	check->other = pte;
	return is_equal(&view, &want);
}

static const char *check_write_removal(struct conformance *check, struct leaf_view want)
{
	const struct vmmu_format_ops *ops = check->format->ops;

	want.access &= ~(unsigned)VMMU_WRITE;
	if (!conformance_is_legal_access(check, want.access))
		return NULL;
	if (!has_become(check, ops->write_protect(check->pte, check->level), want))
		return "leaves: write_protect changes something else, or leaves WRITE";
	want.mmu_writable = false;
	if (!has_become(check, ops->write_forbid(check->pte, check->level), want))
		return "leaves: write_forbid changes something else, or leaves WRITE or "
		       "mmu_writable";
	return NULL;
}

static const char *check_write_allow(struct conformance *check, struct leaf_view want)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	bool was_given = (want.access & VMMU_WRITE) && want.dirty;
	uint64_t protected = ops->write_protect(check->pte, check->level), allowed;

	if (!want.mmu_writable || !(want.access & VMMU_READ))
		return NULL;
	want.access |= VMMU_WRITE;
	want.dirty = true;
	allowed = ops->write_allow(protected, check->level);
	if (!has_become(check, allowed, want) || !ops->is_dirty(allowed, check->level))
		return "leaves: write_allow does not give WRITE and dirty, or changes something "
		       "else";
	if (was_given && allowed != check->pte)
		return "leaves: write_allow does not undo write_protect";
	return NULL;
}

static const char *check_clear_marks(struct conformance *check, struct leaf_view view)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct leaf_view want = view;
	uint64_t old = ops->clear_accessed(check->pte, check->level);
	uint64_t clean = ops->clear_dirty(check->pte, check->level);

	want.accessed = old == check->pte && view.accessed; /* a format without the bit */
	if (!has_become(check, old, want) ||
	    (conformance_has_cap(check, VMMU_CAP_HW_DIRTY) && want.accessed))
		return "leaves: clear_accessed leaves it set, or changes something else";
	want = view;
	want.dirty = false;
	if (!conformance_has_cap(check, VMMU_CAP_HW_DIRTY))
		want.access &= ~(unsigned)VMMU_WRITE;
	if (!conformance_is_legal_access(check, want.access))
		return NULL;
	if (!has_become(check, clean, want) || ops->is_dirty(clean, check->level))
		return "leaves: clear_dirty leaves it set, or changes something else";
	return NULL;
}

/* check->pte was made of LEAF: all laws about it alone. */
static const char *check_leaf(struct conformance *check, const struct vmmu_leaf *leaf)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct leaf_view view = conformance_view(ops, check->pte, check->level);
	const char *broken = check_read_back(check, leaf);

	if (!broken)
		broken = check_with_pfn(check, leaf);
	if (!broken)
		broken = check_software_bits(check, leaf);
	if (!broken)
		broken = check_volatile(check, check->pte);
	if (!broken)
		broken = check_write_removal(check, view);
	if (!broken)
		broken = check_write_allow(check, view);
	if (!broken)
		broken = check_clear_marks(check, view);
	if (!broken)
		broken = check_volatile(check, ops->clear_accessed(check->pte, check->level));
	if (!broken)
		broken = check_volatile(check, ops->clear_dirty(check->pte, check->level));
	return broken;
}

const char *conformance_check_leaves(struct conformance *check)
{
	return for_each_leaf(check, check_leaf);
}
