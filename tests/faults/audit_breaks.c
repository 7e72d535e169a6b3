/* SPDX-License-Identifier: MIT */
/*
 * Each invariant of the audit, broken by a word or two. Not here: "leaf-misaligned", which no entry
 * can break as long as a format reads aligned frames only.
 */
#include <string.h>

#include "faults/stage.h"

static struct memslot *slot_of(struct stage *stage, unsigned as_id, unsigned id)
{
	return slots_by_id(&stage->vm->slots, as_id, id);
}

static struct slot_set *set_of(struct stage *stage, unsigned as_id)
{
	return (struct slot_set *)slots_active(&stage->vm->slots, as_id);
}

/* An entry beside the logged leaf, absent so far, gets PTE; it counts as used. */
static void poke_absent(struct stage *stage, uint64_t pte)
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, logged_gfn(stage)) + 1;
	struct table *table = table_of(stage, ptep);

	cr_assert_eq(*ptep, stage->ops->make_absent(1));
	POKE(stage, *ptep, pte);
	POKE(stage, table->used, table->used + 1);
}

/*
 * Flip the first bit of the leaf of gfn at LEVEL for which WANTED(old, new) holds, if there is one.
 */
static void poke_leaf_bit(struct stage *stage, uint64_t gfn, unsigned level,
			  bool (*wanted)(const struct vmmu_format_ops *ops, unsigned level,
					 uint64_t old, uint64_t new))
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, gfn);
	uint64_t pte = *ptep;

	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t other = pte ^ (UINT64_C(1) << bit);

		if (stage->ops->classify(other, level) != VMMU_ENTRY_LEAF ||
		    stage->ops->access(other, level) != stage->ops->access(pte, level) ||
		    !wanted(stage->ops, level, pte, other))
			continue;
		POKE(stage, *ptep, other);
		return;
	}
}

static bool is_malformed_only(const struct vmmu_format_ops *ops, unsigned level, uint64_t old,
			      uint64_t new)
{
	return ops->is_malformed(new, level) && !ops->is_volatile(new, level) &&
	       ops->host_writable(new, level) == ops->host_writable(old, level) &&
	       ops->mmu_writable(new, level) == ops->mmu_writable(old, level);
}

/* NPT has reserved bits in large leaves only, Arm with 48-bit frames none that make a fault. */
static void break_leaf_malformed(struct stage *stage)
{
	poke_leaf_bit(stage, logged_gfn(stage), 1, is_malformed_only);
	if (!stage->poke_count)
		poke_leaf_bit(stage, 0, 2, is_malformed_only);
	if (!stage->poke_count)
		cr_assert_str_eq(stage->machine->info->architecture, "arm64");
}

static bool is_without_mmu_writable(const struct vmmu_format_ops *ops, unsigned level, uint64_t old,
				    uint64_t new)
{
	(void)old;
	return !ops->is_malformed(new, level) && !ops->mmu_writable(new, level);
}

static void break_leaf_writable(struct stage *stage)
{
	poke_leaf_bit(stage, logged_gfn(stage), 1, is_without_mmu_writable);
	cr_assert_eq(stage->poke_count, 1);
}

static void break_leaf_no_slot(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 2)->gfns, 9);
}

static void break_leaf_read_only(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 1)->flags, VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY);
}

static void break_leaf_unseen_write(struct stage *stage)
{
	_Atomic uint8_t *mark = &slot_of(stage, 0, 1)->dirty[67];

	cr_assert_eq(*mark, 1);
	POKE(stage, *mark, 0);
}

static void break_leaf_level(struct stage *stage)
{
	POKE(stage, stage->vm->max_level, 1);
}

static void break_leaf_beyond_slot(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 0)->gfns, stage->large - 1);
}

static void break_leaf_forbidden(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 0)->lpage[2][0], 1);
}

static void break_huge_page_mixed(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 0)->lpage[2][1], LPAGE_MIXED);
}

static void break_huge_page_count(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 0)->lpage[2][1], 1);
}

static void break_nx_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.nx_tables, 1);
}

static void break_leaf_logged(struct stage *stage)
{
	struct memslot *slot = slot_of(stage, 0, 0);

	POKE(stage, slot->flags, VMMU_SLOT_LOG_DIRTY);
	POKE(stage, slot->dirty, (uintptr_t)slot_of(stage, 0, 1)->dirty);
}

static void break_leaf_nx(struct stage *stage)
{
	POKE(stage, stage->vm->nx_huge, true);
}

static void break_rmap_missing(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 1)->rmap[1][67], 0);
}

static void break_rmap_stale(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 1)->rmap[1][5], slot_of(stage, 0, 1)->rmap[1][67]);
}

static void break_table_outside(struct stage *stage)
{
	_Atomic uint64_t *parent;

	table_at(stage, logged_gfn(stage), &parent);
	/* the frames are from 4 GiB on */
	POKE(stage, *parent, stage->ops->make_table(UINT64_C(1) << 30, 2));
}

static void break_table_role(struct stage *stage)
{
	_Atomic uint64_t *parent, *other;

	table_at(stage, logged_gfn(stage), &parent);
	table_at(stage, 5 * stage->large, &other);
	POKE(stage, *parent, *other);
}

static void break_table_obsolete(struct stage *stage)
{
	_Atomic uint64_t *parent;
	struct table *table = table_at(stage, logged_gfn(stage), &parent);

	POKE(stage, table->flags, table->flags | TABLE_INVALID);
}

static void break_table_generation(struct stage *stage)
{
	_Atomic uint64_t *parent;
	struct table *table = table_at(stage, logged_gfn(stage), &parent);

	POKE(stage, table->generation, table->generation ^ 1);
}

static void break_parent_missing(struct stage *stage)
{
	_Atomic uint64_t *parent;
	struct table *table = table_at(stage, logged_gfn(stage), &parent);

	POKE(stage, table->parents, 0);
}

static void break_parent_stale(struct stage *stage)
{
	_Atomic uint64_t *parent;
	struct table *table = table_at(stage, logged_gfn(stage), &parent);

	POKE(stage, table->parents, (uintptr_t)entry_at(stage, 0, logged_gfn(stage)));
}

static void break_mmio_gfn(struct stage *stage)
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, 6 * stage->large);
	struct vmmu_mmio mmio = stage->ops->parse_mmio(*ptep, 1);

	cr_assert_eq(mmio.gfn, 6 * stage->large);
	mmio.gfn++;
	POKE(stage, *ptep, stage->ops->make_mmio(mmio, 1));
}

static void break_mmio_over_slot(struct stage *stage)
{
	struct vmmu_mmio mmio = stage->ops->parse_mmio(*entry_at(stage, 0, 6 * stage->large), 1);

	mmio.gfn = logged_gfn(stage) + 1;
	poke_absent(stage, stage->ops->make_mmio(mmio, 1));
	POKE(stage, stage->vm->tree.mmio_entries, stage->vm->tree.mmio_entries + 1);
}

static void break_absent_value(struct stage *stage)
{
	uint64_t other = stage->ops->make_absent(1) ^ UINT64_C(1) << 20;

	cr_assert_eq(stage->ops->classify(other, 1), VMMU_ENTRY_ABSENT);
	poke_absent(stage, other);
}

static void break_frozen(struct stage *stage)
{
	poke_absent(stage, stage->ops->make_frozen(1));
}

static void break_table_used(struct stage *stage)
{
	struct table *table = table_of(stage, entry_at(stage, 0, 0));

	POKE(stage, table->used, table->used - 1);
}

static void break_table_volatile(struct stage *stage)
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, logged_gfn(stage));

	POKE(stage, *ptep, stage->ops->write_protect(*ptep, 1));
	POKE(stage, table_of(stage, ptep)->has_volatile, false);
}

static void break_leaf_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.leaves[2], stage->vm->tree.leaves[2] + 1);
}

static void break_link_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.links, stage->vm->tree.links - 1);
}

static void break_mmio_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.mmio_entries, 0);
}

static void break_table_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.live, stage->vm->tree.live + 1);
}

static void break_table_conservation(struct stage *stage)
{
	POKE(stage, stage->vm->tree.frames.freed, stage->vm->tree.frames.freed + 1);
}

static void break_frame_count(struct stage *stage)
{
	POKE(stage, stage->vm->tree.frames.live, stage->vm->tree.frames.live - 1);
}

static void break_flush_owed(struct stage *stage)
{
	POKE(stage, stage->vm->tree.pending[1].start, 3);
	POKE(stage, stage->vm->tree.pending[1].end, 4);
}

static void break_dirty_bitmap(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 2)->flags, VMMU_SLOT_READ_ONLY | VMMU_SLOT_LOG_DIRTY);
}

static void break_dirty_tail(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 1)->dirty[100], 1);
}

static void break_slot_invalid(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 4)->invalid, true);
}

static void break_slot_id(struct stage *stage)
{
	POKE(stage, slot_of(stage, 0, 4)->id, 2);
}

static void break_slot_order(struct stage *stage)
{
	struct memslot *slot = slot_of(stage, 0, 4);

	POKE(stage, slot->base_gfn, slot->base_gfn - 1);
}

static void break_slot_hva_order(struct stage *stage)
{
	struct memslot **by_hva = set_of(stage, 0)->by_hva, *first = by_hva[0];

	POKE(stage, by_hva[0], (uintptr_t)by_hva[1]);
	POKE(stage, by_hva[1], (uintptr_t)first);
}

static void break_slots_generation(struct stage *stage)
{
	struct slot_set *set = set_of(stage, 1);

	POKE(stage, set->generation, set->generation | SLOTS_GEN_UPDATING);
}

static void break_slots_generation_space(struct stage *stage)
{
	struct slot_set *set = set_of(stage, 1);

	POKE(stage, set->generation, set->generation + 1);
}

static void break_root_count(struct stage *stage)
{
	struct table *root = stage->vm->roots[0];

	cr_assert_eq(root->root_count, 2);
	POKE(stage, root->root_count, 3);
}

static void break_root_obsolete(struct stage *stage)
{
	struct table *root = stage->vm->roots[1];

	/* vCPU 1 left it and keeps it. */
	cr_assert_eq(root->root_count, 1);
	POKE(stage, root->flags, root->flags | TABLE_INVALID);
}

static void break_root_role(struct stage *stage)
{
	POKE(stage, stage->vm->roots[1], (uintptr_t)stage->vm->roots[0]);
}

/* The newest vCPU, number 1: it stands on root 0 and keeps root 1. */
static struct vmmu_vcpu *keeper(struct stage *stage)
{
	struct vmmu_vcpu *vcpu = container_of(stage->vm->vcpus.next, struct vmmu_vcpu, link);

	cr_assert_eq(vcpu->previous[0], stage->vm->roots[1]);
	return vcpu;
}

static void break_previous_root_twice(struct stage *stage)
{
	POKE(stage, keeper(stage)->previous[1], (uintptr_t)stage->vm->roots[1]);
}

static void break_previous_root_order(struct stage *stage)
{
	struct vmmu_vcpu *vcpu = keeper(stage);

	POKE(stage, vcpu->previous[2], (uintptr_t)vcpu->previous[0]);
	POKE(stage, vcpu->previous[0], 0);
}

static void break_quota(struct stage *stage)
{
	POKE(stage, stage->vm->tables_max, 1);
}

static void break_invalidate_balance(struct stage *stage)
{
	POKE(stage, stage->vm->invalidate.in_progress, 1);
}

/* One entry says that it is in a group, the others do not: Arm's bit 52, Svnapot's 63 and PPN. */
static void break_leaf_group(struct stage *stage)
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, logged_gfn(stage));

	if (!stage->machine->geometry->group_lg2[1])
		return;
	if (!strcmp(stage->machine->info->architecture, "arm64"))
		POKE(stage, *ptep, *ptep | UINT64_C(1) << 52);
	else
		POKE(stage, *ptep, (*ptep & ~UINT64_C(0x3c00)) | UINT64_C(0x8000000000002000));
}

/* The same, and it has no WRITE, though it may: Arm's bit 7, RISC-V's 2. */
static void break_group_write(struct stage *stage)
{
	_Atomic uint64_t *ptep = entry_at(stage, 0, logged_gfn(stage));
	bool is_arm = !strcmp(stage->machine->info->architecture, "arm64");

	break_leaf_group(stage);
	if (!stage->poke_count)
		return;
	POKE(stage, *ptep, *ptep & ~(UINT64_C(1) << (is_arm ? 7 : 2)));
	POKE(stage, table_of(stage, ptep)->has_volatile, true);
}

const struct audit_break audit_breaks[] = {
	{"leaf-group group-beyond-slot group-logged ", break_leaf_group},
	{"leaf-group group-beyond-slot group-write ", break_group_write},
	{"leaf-malformed ", break_leaf_malformed},
	{"leaf-writable ", break_leaf_writable},
	{"leaf-no-slot rmap-count quota-slots ", break_leaf_no_slot},
	{"leaf-read-only ", break_leaf_read_only},
	{"leaf-unseen-write ", break_leaf_unseen_write},
	{"leaf-level rmap-count ", break_leaf_level},
	{"huge-page-count leaf-beyond-slot quota-slots ", break_leaf_beyond_slot},
	{"huge-page-count leaf-forbidden ", break_leaf_forbidden},
	{"huge-page-count ", break_huge_page_count},
	{"huge-page-mixed ", break_huge_page_mixed},
	{"leaf-logged ", break_leaf_logged},
	{"leaf-nx ", break_leaf_nx},
	{"nx-count ", break_nx_count},
	{"rmap-missing rmap-count ", break_rmap_missing},
	{"rmap-stale rmap-count ", break_rmap_stale},
	{"table-outside parent-stale ", break_table_outside},
	{"table-role parent-missing parent-stale ", break_table_role},
	{"table-obsolete ", break_table_obsolete},
	{"table-obsolete ", break_table_generation},
	{"parent-missing parent-count ", break_parent_missing},
	{"parent-missing parent-stale ", break_parent_stale},
	{"mmio-gfn ", break_mmio_gfn},
	{"mmio-over-slot ", break_mmio_over_slot},
	{"absent-value ", break_absent_value},
	{"frozen ", break_frozen},
	{"table-used ", break_table_used},
	{"table-volatile ", break_table_volatile},
	{"leaf-count ", break_leaf_count},
	{"link-count ", break_link_count},
	{"mmio-count ", break_mmio_count},
	{"table-count table-conservation frame-count ", break_table_count},
	{"table-conservation ", break_table_conservation},
	{"frame-count ", break_frame_count},
	{"flush-owed ", break_flush_owed},
	{"dirty-bitmap ", break_dirty_bitmap},
	{"dirty-tail ", break_dirty_tail},
	{"slot-invalid ", break_slot_invalid},
	{"slot-id ", break_slot_id},
	{"slot-order ", break_slot_order},
	{"slot-hva-order ", break_slot_hva_order},
	{"slots-generation ", break_slots_generation},
	{"slots-generation-space ", break_slots_generation_space},
	{"root-count ", break_root_count},
	{"root-obsolete table-count ", break_root_obsolete},
	{"root-role ", break_root_role},
	{"previous-root-twice root-count ", break_previous_root_twice},
	{"previous-root-order ", break_previous_root_order},
	{"quota ", break_quota},
	{"invalidate-balance ", break_invalidate_balance},
	{NULL, NULL},
};
