/* SPDX-License-Identifier: MIT */
/* The laws of formats about replacing one entry by another: flushes and break-before-make. */
#include "base/bits.h"
#include "format/conformance.h"
#include "format/conformance_impl.h"

/*
 * Entries of one level to try against each other: the variants over two pfns, and a few that are no
 * leaves.
 */
struct sample {
	unsigned count;
	uint64_t pte[2 * LEAF_VARIANTS + 8];
};

static void sample_leaves(const struct conformance *check, unsigned level, struct sample *sample)
{
	const struct vmmu_geometry *geometry = check->format->info.geometry;
	uint64_t lowest = BIT64(geometry->shift[level] - geometry->page_shift);
	struct vmmu_leaf leaf;

	if (!(geometry->leaf_levels >> level & 1))
		return;
	for (unsigned i = 0; i < 2 * LEAF_VARIANTS; i++) {
		leaf.pfn = i < LEAF_VARIANTS ? 0 : lowest;
		if (conformance_variant(check, i % LEAF_VARIANTS, &leaf))
			sample->pte[sample->count++] = check->format->ops->make_leaf(leaf, level);
	}
}

static void sample_others(const struct conformance *check, unsigned level, struct sample *sample)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	const struct vmmu_geometry *geometry = check->format->info.geometry;

	sample->pte[sample->count++] = ops->make_absent(level);
	sample->pte[sample->count++] = ops->make_frozen(level);
	if (level == 1) {
		for (uint64_t gfn = 0; gfn < 2; gfn++)
			sample->pte[sample->count++] =
				ops->make_mmio((struct vmmu_mmio){gfn, VMMU_RWX, 1}, 1);
		return;
	}
	for (uint64_t table = 1; table <= 2; table++)
		sample->pte[sample->count++] =
			ops->make_table(table << geometry->table_lg2[level - 1], level);
}

/* What happens to an entry: both sides as read, and what the format says is due. */
struct change {
	struct leaf_view old_view, new_view;
	bool was_present, is_present, is_moved, needs_break;
	enum vmmu_flush_due flush;
};

/* Does a walk through the entry end up elsewhere, or differently cached? Both are present. */
static bool is_moved(const struct conformance *check, const struct leaf_view *old_view,
		     const struct leaf_view *new_view)
{
	const struct vmmu_format_ops *ops = check->format->ops;

	if (old_view->kind != new_view->kind)
		return true;
	if (old_view->kind == VMMU_ENTRY_TABLE)
		return ops->table_hpa(check->pte, check->level) !=
		       ops->table_hpa(check->other, check->level);
	return !conformance_is_same_memory(old_view, new_view);
}

/* From check->pte to check->other. */
static struct change read_change(const struct conformance *check)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct change change = {
		.old_view = conformance_view(ops, check->pte, check->level),
		.new_view = conformance_view(ops, check->other, check->level),
		.was_present = ops->is_present(check->pte, check->level),
		.is_present = ops->is_present(check->other, check->level),
		.needs_break = ops->needs_break(check->pte, check->other, check->level),
		.flush = ops->flush_needed(check->pte, check->other, check->level),
	};

	change.is_moved = change.was_present && change.is_present &&
			  is_moved(check, &change.old_view, &change.new_view);
	return change;
}

/* Does PTE hold no more than its VIEW says? A random leaf may: shareability, reserved bits. */
static bool is_made(const struct conformance *check, uint64_t pte, const struct leaf_view *view)
{
	struct vmmu_leaf leaf = {
		.pfn = view->pfn,
		.access = view->access,
		.memtype = view->memtype,
		.host_writable = view->host_writable,
		.mmu_writable = view->mmu_writable,
		.accessed = view->accessed,
		.dirty = view->dirty,
	};

	return view->kind != VMMU_ENTRY_LEAF ||
	       check->format->ops->make_leaf(leaf, check->level) == pte;
}

static const char *check_break(const struct conformance *check, const struct change *change)
{
	if (change->needs_break && !conformance_has_cap(check, VMMU_CAP_BREAK_FIRST))
		return "changes: break-before-make without VMMU_CAP_BREAK_FIRST";
	if (change->needs_break && !(change->was_present && change->is_present))
		return "changes: break-before-make of an entry that is not present";
	if (change->needs_break && change->flush != VMMU_FLUSH_REMOTE)
		return "changes: break-before-make without a remote flush";
	if (change->is_moved && conformance_has_cap(check, VMMU_CAP_BREAK_FIRST) &&
	    !change->needs_break)
		return "changes: break-before-make is missing";
	if (!change->is_moved && change->needs_break &&
	    is_made(check, check->other, &change->new_view))
		return "changes: break-before-make for permissions alone";
	return NULL;
}

/* A leaf became a leaf of the same memory. */
static const char *check_permissions(const struct conformance *check, const struct change *change)
{
	unsigned lost = change->old_view.access & ~change->new_view.access;
	unsigned won = change->new_view.access & ~change->old_view.access;

	if (change->flush == VMMU_FLUSH_REMOTE)
		return NULL;
	if (lost)
		return "changes: less access without a remote flush";
	if (change->old_view.mmu_writable && !change->new_view.mmu_writable)
		return "changes: mmu_writable lost without a remote flush";
	if (change->old_view.dirty && !change->new_view.dirty)
		return "changes: dirty cleared without a remote flush";
	if (won && conformance_has_cap(check, VMMU_CAP_CACHES_ABSENT) &&
	    change->flush == VMMU_FLUSH_NONE)
		return "changes: more access without a flush, but denials are cached";
	return NULL;
}

static const char *check_change(const struct conformance *check)
{
	struct change change = read_change(check);
	const char *broken;

	if (check->pte == check->other)
		return change.flush != VMMU_FLUSH_NONE || change.needs_break
			       ? "changes: something is due although nothing changes"
			       : NULL;
	/*
	 * Values from outside may be malformed: no format installs them, so nothing is due to get
	 * there.
	 */
	broken = change.new_view.malformed ? NULL : check_break(check, &change);
	if (broken)
		return broken;
	if (change.was_present && (!change.is_present || change.is_moved))
		return change.flush == VMMU_FLUSH_REMOTE
			       ? NULL
			       : "changes: an entry replaced without a remote flush";
	if (change.was_present)
		return change.old_view.kind == VMMU_ENTRY_LEAF ? check_permissions(check, &change)
							       : NULL;
	if (change.is_present && conformance_has_cap(check, VMMU_CAP_CACHES_ABSENT) &&
	    change.flush == VMMU_FLUSH_NONE)
		return "changes: a new entry without a flush, but absent ones are cached";
	return NULL;
}

/* Every sample to every other one, and to a few random values. */
static const char *check_level(struct conformance *check, unsigned level,
			       const struct sample *sample)
{
	const char *broken = NULL;

	for (unsigned i = 0; i < sample->count; i++) {
		for (unsigned j = 0; j < sample->count + 64 && !broken; j++) {
			uint64_t other = j < sample->count ? sample->pte[j]
							   : conformance_random(check);

			conformance_look(check, level, sample->pte[i], other);
			broken = check_change(check);
		}
		if (broken)
			break;
	}
	return broken;
}

const char *conformance_check_changes(struct conformance *check)
{
	const char *broken = NULL;
	struct sample sample;

	for (unsigned level = 1; level <= check->format->info.geometry->levels && !broken;
	     level++) {
		sample.count = 0;
		sample_leaves(check, level, &sample);
		sample_others(check, level, &sample);
		broken = check_level(check, level, &sample);
	}
	return broken;
}
