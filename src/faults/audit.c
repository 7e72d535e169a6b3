/* SPDX-License-Identifier: MIT */
/* The checks that need no format: slots, counts, roots, invalidation, conservation of tables. */
#include "faults/audit.h"
#include "base/sync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool audit_check(struct audit_run *run, bool holds, const char *invariant,
		 const struct audit_place *place, const char *text)
{
	static const struct audit_place nowhere;
	struct vmmu_finding finding = {.invariant = invariant};
	char line[256];

	run->result->checked++;
	if (likely(holds))
		return true;
	run->result->violations++;
	if (!run->fn)
		return false;
	if (!place)
		place = &nowhere;
	snprintf(line, sizeof(line), "%s: as %u gfn 0x%" PRIx64 " level %u entry 0x%" PRIx64 ": %s",
		 invariant, place->as_id, place->gfn, place->level, place->pte, text);
	finding.text = line;
	finding.gfn = place->gfn;
	finding.level = place->level;
	finding.as_id = place->as_id;
	run->fn(run->ctx, &finding);
	return false;
}

void audit_count(struct audit_run *run, const char *invariant, uint64_t books, uint64_t counted)
{
	char text[96];

	snprintf(text, sizeof(text), "the books say %" PRIu64 ", there are %" PRIu64, books,
		 counted);
	audit_check(run, books == counted, invariant, NULL, text);
}

/* Why-not counts as they follow from the slot alone (nothing else counts them up yet). */
static uint32_t audit_expected_lpage(const struct vmmu_geometry *geometry,
				     const struct memslot *slot, unsigned level, uint64_t index,
				     uint64_t last)
{
	uint64_t mask = BIT64(geometry->shift[level] - geometry->page_shift) - 1;
	uint64_t hva_frame = slot->hva >> geometry->page_shift;

	if ((slot->base_gfn ^ hva_frame) & mask)
		return 1;
	return (uint32_t)((index == 0 && (slot->base_gfn & mask)) +
			  (index == last && ((slot->base_gfn + slot->gfns) & mask)));
}

static void audit_lpage(struct audit_run *run, const struct memslot *slot, unsigned level)
{
	const struct vmmu_geometry *geometry = run->vm->geometry;
	const struct attributes *attributes = slots_attributes(&run->vm->slots);
	uint64_t last = memslot_index(slot, geometry, slot->base_gfn + slot->gfns - 1, level);
	uint64_t gfns = BIT64(geometry->shift[level] - geometry->page_shift);
	uint64_t gfn = slot->base_gfn;

	for (uint64_t i = 0; i <= last; i++, gfn = align_down(gfn, gfns) + gfns) {
		struct audit_place place = {slot->as_id, level, slot->base_gfn, i};
		uint32_t lpage = slot->lpage[level][i];
		bool is_mixed = memslot_is_mixed(slot, geometry, attributes, gfn, level);

		audit_check(run,
			    (lpage & ~LPAGE_MIXED) ==
				    audit_expected_lpage(geometry, slot, level, i, last),
			    "huge-page-count", &place, "count does not follow from the slot");
		audit_check(run, !(lpage & LPAGE_MIXED) == !is_mixed, "huge-page-mixed", &place,
			    "the mark does not follow from the attributes");
	}
}

static void audit_dirty_tail(struct audit_run *run, const struct memslot *slot)
{
	struct audit_place place = {slot->as_id, 0, slot->base_gfn, 0};
	uint64_t tail = slot->gfns % DIRTY_WORD_PAGES;

	audit_check(run,
		    !slot->dirty ==
			    (!(slot->flags & VMMU_SLOT_LOG_DIRTY) || run->vm->slots.has_no_bitmaps),
		    "dirty-bitmap", &place, "a bitmap exists just while writes are logged");
	if (!slot->dirty || !tail)
		return;
	place.pte = memslot_dirty_peek(slot, slot->gfns / DIRTY_WORD_PAGES);
	audit_check(run, !(place.pte >> tail), "dirty-tail", &place,
		    "bits beyond the slot are set");
}

static void audit_slot(struct audit_run *run, const struct slot_set *set, size_t i)
{
	const struct memslot *slot = set->by_gfn[i];
	struct audit_place place = {slot->as_id, 0, slot->base_gfn, slot->id};

	audit_check(run, !slot->invalid, "slot-invalid", &place,
		    "an invalid slot outside of an update");
	audit_check(run, slots_by_id(&run->vm->slots, slot->as_id, slot->id) == slot, "slot-id",
		    &place, "the id leads to another slot");
	audit_check(run,
		    i == 0 || set->by_gfn[i - 1]->base_gfn + set->by_gfn[i - 1]->gfns <=
				      slot->base_gfn,
		    "slot-order", &place, "slots overlap or are out of order");
	audit_check(run, i == 0 || set->by_hva[i - 1]->hva <= set->by_hva[i]->hva, "slot-hva-order",
		    &place, "slots are out of hva order");
	for (unsigned level = 2; level <= run->vm->max_level; level++)
		audit_lpage(run, slot, level);
	audit_dirty_tail(run, slot);
}

static void audit_slots(struct audit_run *run)
{
	for (unsigned as = 0; as < run->vm->as_count; as++) {
		const struct slot_set *set = slots_active(&run->vm->slots, as);
		uint64_t generation = slot_set_generation(set);

		audit_check(run, !(generation & SLOTS_GEN_UPDATING), "slots-generation", NULL,
			    "an update is marked as under way");
		audit_check(run, generation % run->vm->as_count == as, "slots-generation-space",
			    NULL, "the generation is another address space's");
		for (size_t i = 0; i < set->count; i++)
			audit_slot(run, set, i);
	}
}

/* Root number INDEX that the vCPU at NODE holds: the one it stands on, then those it keeps. */
static const struct table *audit_held_root(const struct list *node, unsigned index)
{
	const struct vmmu_vcpu *vcpu = container_of(node, struct vmmu_vcpu, link);

	return index ? vcpu->previous[index - 1] : vcpu->root;
}

#define AUDIT_HELD_ROOTS (1 + PREVIOUS_ROOTS)

/* How often the vCPUs from the first to LAST, which is not counted, hold ROOT. */
static uint32_t audit_holds(const struct vmmu_vm *vm, const struct list *last,
			    const struct table *root)
{
	uint32_t holds = 0;

	list_for_each(node, &vm->vcpus)
	{
		if (node == last)
			break;
		for (unsigned i = 0; i < AUDIT_HELD_ROOTS; i++)
			holds += audit_held_root(node, i) == root;
	}
	return holds;
}

/* A vCPU holds each root once, and no hole is among those it keeps. */
static void audit_previous(struct audit_run *run, const struct vmmu_vcpu *vcpu)
{
	struct audit_place place = {vcpu->as_id, 0, 0, vcpu->id};
	bool is_twice = false, has_hole = false;

	for (unsigned i = 0; i < PREVIOUS_ROOTS; i++) {
		is_twice |= vcpu->previous[i] && vcpu->previous[i] == vcpu->root;
		for (unsigned other = 0; other < i; other++) {
			is_twice |= vcpu->previous[i] && vcpu->previous[i] == vcpu->previous[other];
			has_hole |= vcpu->previous[i] && !vcpu->previous[other];
		}
	}
	audit_check(run, !is_twice, "previous-root-twice", &place, "a vCPU holds a root twice");
	audit_check(run, !has_hole, "previous-root-order", &place,
		    "a kept root stands behind an empty place");
}

static void audit_current_root(struct audit_run *run, enum vmmu_root_mode mode, unsigned as)
{
	struct vmmu_vm *vm = run->vm;
	const struct table *root = atomic_load(vm_root(vm, mode, as));
	struct audit_place place = {as, 0, 0, 0};

	if (!root)
		return;
	audit_check(run, !tree_is_obsolete(&vm->tree, root), "root-obsolete", &place,
		    "the current root is obsolete");
	audit_check(run,
		    root->as_id == as && root->level == vm->geometry->levels && !root->gfn &&
			    table_mode(root) == mode,
		    "root-role", &place, "the current root is no root of this address space");
}

/* vCPUs that hold each root, against the root's own count; which roots are current. */
static void audit_roots(struct audit_run *run)
{
	struct vmmu_vm *vm = run->vm;

	list_for_each(node, &vm->vcpus)
	{
		audit_previous(run, container_of(node, struct vmmu_vcpu, link));
		for (unsigned i = 0; i < AUDIT_HELD_ROOTS; i++) {
			const struct table *root = audit_held_root(node, i);

			if (root)
				audit_count(run, "root-count", root->root_count,
					    audit_holds(vm, NULL, root));
		}
	}
	for (unsigned as = 0; as < vm->as_count; as++) {
		audit_current_root(run, VMMU_ROOT_DIRECT, as);
		audit_current_root(run, VMMU_ROOT_TDP, as);
	}
}

/* Emptied roots that vCPUs still hold: live, but in no list. */
static uint64_t audit_lingering_roots(const struct vmmu_vm *vm)
{
	uint64_t count = 0;

	list_for_each(node, &vm->vcpus)
	{
		for (unsigned i = 0; i < AUDIT_HELD_ROOTS; i++) {
			const struct table *root = audit_held_root(node, i);

			/* Counted with the first vCPU that holds it; one vCPU holds it once. */
			count += root && (root->flags & TABLE_INVALID) &&
				 !(root->flags & TABLE_DYING) && !audit_holds(vm, node, root);
		}
	}
	return count;
}

static void audit_books(struct audit_run *run)
{
	const struct tree *tree = &run->vm->tree;
	uint64_t stocked = tdp_stocked(run->vm);

	for (unsigned level = 1; level <= run->vm->geometry->levels; level++)
		audit_count(run, "leaf-count", tree->leaves[level], run->leaves[level]);
	audit_count(run, "link-count", tree->links, run->links);
	audit_count(run, "parent-count", run->parents, run->links);
	audit_count(run, "nx-count", tree->nx_tables, run->nx_tables);
	audit_count(run, "mmio-count", tree->mmio_entries, run->mmio_entries);
	audit_count(run, "table-count", tree->live, run->tables + audit_lingering_roots(run->vm));
	audit_count(run, "table-conservation", tree->frames.allocated,
		    tree->live + tree->frames.freed + tree->retired_count + stocked);
	audit_count(run, "frame-count", tree->frames.live,
		    tree->live + tree->retired_count + stocked);
	if (run->vm->mode == VMMU_MODE_FAULTS)
		audit_count(run, "rmap-count", run->rmap_entries, run->rmap_leaves);
	for (unsigned as = 0; as < VMMU_ADDRESS_SPACES_MAX; as++)
		audit_check(run, tree->pending[as].start >= tree->pending[as].end, "flush-owed",
			    NULL, "a flush is still owed");
}

/* Over the quota only if nothing is left that could go. */
static void audit_quota(struct audit_run *run)
{
	struct vmmu_vm *vm = run->vm;
	uint64_t slot_gfns = 0, reclaimable = 0;

	for (unsigned as = 0; as < vm->as_count; as++) {
		const struct slot_set *set = slots_active(&vm->slots, as);

		for (size_t i = 0; i < set->count; i++)
			slot_gfns += set->by_gfn[i]->gfns;
	}
	audit_count(run, "quota-slots", vm->slot_gfns, slot_gfns);
	if (vm->tree.live <= vm->tables_max)
		return;
	list_for_each(node, &vm->tree.tables)
		reclaimable += !container_of(node, struct table, link)->root_count;
	audit_count(run, "quota", 0, reclaimable);
}

static void audit_invalidations(struct audit_run *run)
{
	struct vm_invalidate *inv = &run->vm->invalidate;
	uint64_t active;

	pthread_mutex_lock(&inv->lock);
	active = inv->active;
	pthread_mutex_unlock(&inv->lock);
	audit_check(run, atomic_load(&inv->in_progress) <= active, "invalidate-balance", NULL,
		    "more invalidations in progress than begun");
}

int vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
	       void (*fn)(void *ctx, const struct vmmu_finding *finding), void *ctx)
{
	struct audit_run run = {.vm = vm, .result = audit, .fn = fn, .ctx = ctx};

	if (!vm || !audit)
		return -EINVAL;
	if (sync_is_reading())
		return -EDEADLK;
	*audit = (struct vmmu_audit){0};
	pthread_mutex_lock(&vm->slots.lock);
	audit_invalidations(&run);
	vm_lock(vm);
	audit_slots(&run);
	audit_roots(&run);
	vm->engine->audit(vm, &run);
	audit_books(&run);
	audit_quota(&run);
	vm_unlock(vm);
	pthread_mutex_unlock(&vm->slots.lock);
	return 0;
}
