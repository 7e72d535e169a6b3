/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/mem.h"
#include "base/sync.h"
#include "faults/vm.h"
#include "rmap/rmap.h"

static struct vmmu_vcpu *vcpu_find(struct vmmu_vm *vm, unsigned id)
{
	list_for_each(node, &vm->vcpus)
	{
		struct vmmu_vcpu *vcpu = container_of(node, struct vmmu_vcpu, link);

		if (vcpu->id == id)
			return vcpu;
	}
	return NULL;
}

int vmmu_vcpu_create(struct vmmu_vm *vm, unsigned id, struct vmmu_vcpu **out)
{
	struct vmmu_vcpu *vcpu;
	bool is_taken;
	int err;

	if (!vm || !out)
		return -EINVAL;
	err = vm_may_lock(vm);
	if (err)
		return err;
	vcpu = mem_alloc(sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	if (vcpu_ring_open(vcpu)) {
		mem_free(vcpu);
		return -ENOMEM;
	}
	vcpu->id = id;
	vcpu->root_mode = vm->root_mode;
	vcpu->current = vm_root(vm, vcpu->root_mode, 0);
	tdp_vcpu_init(&vcpu->tdp);
	list_init(&vcpu->link);
	objcache_init(&vcpu->chunks, sizeof(struct rmap_chunk));
	vm_lock(vm);
	is_taken = vcpu_find(vm, id) != NULL;
	if (!is_taken) {
		list_insert(&vm->vcpus, &vcpu->link);
		if (vcpu->root_mode == VMMU_ROOT_TDP)
			tdp_vcpu_join(vcpu);
	}
	vm_unlock(vm);
	if (is_taken) {
		vcpu_ring_close(vcpu);
		mem_free(vcpu);
		return -EEXIST;
	}
	*out = vcpu;
	return 0;
}

/* Add the counters (not the gauges) of FROM to TO. */
static void stats_add(struct vmmu_stats *to, const struct vmmu_stats *from)
{
	for (unsigned i = 0; i < ARRAY_COUNT(to->faults); i++)
		to->faults[i] += from->faults[i];
	to->fast_fixes += from->fast_fixes;
	to->mmio_installed += from->mmio_installed;
	to->mmio_hits += from->mmio_hits;
	to->mmio_stale += from->mmio_stale;
	to->prefetched += from->prefetched;
	to->prefaulted += from->prefaulted;
	to->grouped += from->grouped;
	to->local_flushes += from->local_flushes;
}

void vmmu_vcpu_destroy(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm;

	if (!vcpu || vcpu->is_busy || sync_is_reading())
		return;
	vm = vcpu->vm;
	vm_lock(vm);
	vcpu_drop_roots(vcpu);
	tdp_vcpu_leave(vcpu);
	list_remove(&vcpu->link);
	stats_add(&vm->past, &vcpu->stats);
	vm_unlock(vm);
	vcpu_ring_close(vcpu);
	objcache_destroy(&vcpu->chunks);
	mem_free(vcpu);
}

int vmmu_vcpu_set_as(struct vmmu_vcpu *vcpu, unsigned as_id)
{
	if (!vcpu || as_id >= vcpu->vm->as_count)
		return -EINVAL;
	if (vcpu_is_busy(vcpu))
		return -EBUSY;
	vcpu->as_id = as_id;
	vcpu->current = vm_root(vcpu->vm, vcpu->root_mode, as_id);
	vcpu->mmio.is_set = false;
	return 0;
}

int vmmu_vcpu_set_root(struct vmmu_vcpu *vcpu, enum vmmu_root_mode mode)
{
	struct vmmu_vm *vm;
	int err;

	if (!vcpu || (mode != VMMU_ROOT_DIRECT && mode != VMMU_ROOT_TDP))
		return -EINVAL;
	vm = vcpu->vm;
	if (vcpu_is_busy(vcpu))
		return -EBUSY;
	err = vm_may_update_slots(vm);
	if (err)
		return err;
	err = mode == VMMU_ROOT_DIRECT ? slots_make_rmaps(&vm->slots) : 0;
	if (err)
		return err;
	vm_lock(vm);
	if (mode == VMMU_ROOT_TDP)
		tdp_vcpu_join(vcpu);
	vcpu->root_mode = mode;
	vcpu->current = vm_root(vm, mode, vcpu->as_id);
	vcpu->mmio.is_set = false;
	vm_unlock(vm);
	return 0;
}

/* Locked: VCPU lets go of ROOT, which may be NULL. */
static void vcpu_put_root(struct vmmu_vcpu *vcpu, struct table *root)
{
	/*
	 * An invalid root was emptied and unlinked when everything was zapped; it lived on for us.
	 * One that is still being emptied is retired by whoever does that.
	 */
	if (root && --root->root_count == 0 &&
	    (root->flags & (TABLE_INVALID | TABLE_DYING)) == TABLE_INVALID)
		tree_retire(&vcpu->vm->tree, root);
}

/* Locked: VCPU keeps no obsolete root. Any of them may be one, not just the first or the last. */
static void vcpu_put_obsolete(struct vmmu_vcpu *vcpu)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < PREVIOUS_ROOTS; i++) {
		struct table *root = vcpu->previous[i];

		vcpu->previous[i] = NULL;
		if (root && tree_is_obsolete(&vcpu->vm->tree, root))
			vcpu_put_root(vcpu, root);
		else if (root)
			vcpu->previous[kept++] = root;
	}
}

/* Locked: VCPU stands on ROOT, which is counted, or on none. */
static void vcpu_stand_on(struct vmmu_vcpu *vcpu, struct table *root)
{
	vcpu->root = root;
	vcpu->entries = root ? tree_entries(&vcpu->vm->tree, root) : NULL;
}

/*
 * Locked: keep the root that VCPU stands on, unless it is obsolete; the one left longest ago
 * goes.
 */
static void vcpu_leave_root(struct vmmu_vcpu *vcpu)
{
	struct table *root = vcpu->root;

	vcpu_stand_on(vcpu, NULL);
	if (!root || tree_is_obsolete(&vcpu->vm->tree, root)) {
		vcpu_put_root(vcpu, root);
		return;
	}
	vcpu_put_root(vcpu, vcpu->previous[PREVIOUS_ROOTS - 1]);
	for (unsigned i = PREVIOUS_ROOTS - 1; i > 0; i--)
		vcpu->previous[i] = vcpu->previous[i - 1];
	vcpu->previous[0] = root;
}

void vcpu_drop_roots(struct vmmu_vcpu *vcpu)
{
	vcpu_put_root(vcpu, vcpu->root);
	vcpu_stand_on(vcpu, NULL);
	for (unsigned i = 0; i < PREVIOUS_ROOTS; i++) {
		vcpu_put_root(vcpu, vcpu->previous[i]);
		vcpu->previous[i] = NULL;
	}
}

/* Locked: take a kept root of VCPU's address space out of the kept ones; NULL: there is none. */
static struct table *vcpu_take_previous(struct vmmu_vcpu *vcpu)
{
	for (unsigned i = 0; i < PREVIOUS_ROOTS && vcpu->previous[i]; i++) {
		struct table *root = vcpu->previous[i];

		if (root->as_id != vcpu->as_id || table_mode(root) != vcpu->root_mode)
			continue;
		for (; i < PREVIOUS_ROOTS - 1; i++)
			vcpu->previous[i] = vcpu->previous[i + 1];
		vcpu->previous[PREVIOUS_ROOTS - 1] = NULL;
		return root;
	}
	return NULL;
}

/* VCPU found ROOT there. Of direct roots alone, as it is with KVM. */
static void vcpu_tell_root(const struct vmmu_vcpu *vcpu, const struct table *root)
{
	struct vmmu_vm *vm = vcpu->vm;

	if (vcpu->root_mode == VMMU_ROOT_DIRECT)
		vm_event(vm, .kind = VMMU_EVENT_TABLE_GET, .vcpu_id = vcpu->id,
			 .as_id = root->as_id, .level = root->level,
			 .hpa = tree_table_hpa(&vm->tree, root));
}

/*
 * Back to a root that was kept no flush is due: flushes name an address space, not a root, and went
 * to all vCPUs meanwhile wherever they were. A root new to this vCPU may stand in a frame of which
 * its TLB still knows another one.
 */
int vcpu_load_root(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm = vcpu->vm;
	struct table *root;

	if (vcpu_has_current_root(vcpu))
		return 0;
	vcpu_put_obsolete(vcpu);
	root = vcpu_take_previous(vcpu);
	if (root) {
		vcpu_tell_root(vcpu, root);
		vcpu_leave_root(vcpu);
		vcpu_stand_on(vcpu, root);
		vcpu->mmio.is_set = false;
		return 0;
	}
	root = atomic_load_explicit(vcpu->current, memory_order_relaxed);
	if (root) {
		vcpu_tell_root(vcpu, root);
	} else {
		if (!quota_make_room(vm))
			return -ENOSPC;
		root = vcpu->root_mode == VMMU_ROOT_TDP ? vm->engine->tdp_root_get(vm, vcpu->as_id)
							: vm->engine->root_get(vm, vcpu->as_id);
	}
	if (!root)
		return -ENOMEM;
	root->root_count++;
	vcpu_leave_root(vcpu);
	vcpu_stand_on(vcpu, root);
	vcpu->must_flush = true;
	vcpu->mmio.is_set = false;
	atomic_store_explicit(vcpu->current, root, memory_order_release);
	return 0;
}

/*
 * Load the root. Frames that only await a grace period are no reason to fail, and neither is a root
 * of our own that takes up the last frame or the last of the quota.
 */
int vcpu_reload(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm = vcpu->vm;
	int err = vm_may_lock(vm);

	if (err)
		return err;
	vm_lock(vm);
	err = vcpu_load_root(vcpu);
	/* Our obsolete root may be the only frame of a root's size that is left. */
	if (err)
		vcpu_drop_roots(vcpu);
	vm_unlock(vm);
	if (!err)
		return 0;
	/* A lender of tables may have broken the VM. */
	if (vm_is_poisoned(vm))
		return -EIO;
	vm_reap(vm);
	vm_lock(vm);
	err = vcpu_load_root(vcpu);
	vm_unlock(vm);
	return err;
}

int vmmu_vcpu_root(struct vmmu_vcpu *vcpu, struct vmmu_root *root, bool *flush_local)
{
	int err;

	if (!vcpu || !root)
		return -EINVAL;
	if (vm_is_poisoned(vcpu->vm))
		return -EIO;
	if (vcpu_is_busy(vcpu))
		return -EBUSY;
	atomic_store_explicit(&vcpu->must_reload, false, memory_order_release);
	err = vcpu_has_current_root(vcpu) ? 0 : vcpu_reload(vcpu);
	if (err)
		return err;
	*root = (struct vmmu_root){
		.hpa = tree_table_hpa(&vcpu->vm->tree, vcpu->root),
		.level = vcpu->root->level,
		.as_id = vcpu->as_id,
	};
	if (flush_local)
		*flush_local = vcpu->must_flush;
	vcpu->must_flush = false;
	return 0;
}

/* Gauge: how many gfns have how many entries, by powers of two. */
static void stats_rmap_lengths(struct vmmu_vm *vm, uint64_t lengths[8])
{
	for (unsigned as = 0; as < vm->as_count; as++) {
		const struct slot_set *set = slots_active(&vm->slots, as);

		for (size_t i = 0; i < set->count; i++) {
			const struct memslot *slot = set->by_gfn[i];

			for (unsigned level = 1; level <= vm->max_level; level++) {
				uint64_t last = slot->base_gfn + slot->gfns - 1;
				uint64_t count = memslot_index(slot, vm->geometry, last, level) + 1;

				for (uint64_t n = 0; slot->rmap[level] && n < count; n++) {
					size_t entries = rmap_count(&slot->rmap[level][n]);
					unsigned bin = 0;

					if (!entries)
						continue;
					while (bin < 7 && entries >= (2u << bin))
						bin++;
					lengths[bin]++;
				}
			}
		}
	}
}

void vmmu_vm_stats(struct vmmu_vm *vm, struct vmmu_stats *stats)
{
	if (!stats)
		return;
	*stats = (struct vmmu_stats){0};
	if (!vm || sync_is_reading())
		return;
	vm_lock(vm);
	*stats = vm->past;
	list_for_each(node, &vm->vcpus)
		stats_add(stats, &container_of(node, struct vmmu_vcpu, link)->stats);
	stats->flushes = atomic_load_explicit(&vm->flushes, memory_order_relaxed);
	stats->aged = atomic_load_explicit(&vm->aged, memory_order_relaxed);
	stats->invalidations = vm->invalidate.total;
	for (unsigned level = 1; level <= VMMU_LEVELS_MAX; level++)
		stats->mapped[level] = vm->tree.leaves[level];
	stats->nx_tables = vm->tree.nx_tables;
	stats->ungrouped = vm->tree.ungrouped;
	stats->tables = vm->tree.live;
	stats->table_bytes = vm->tree.live_bytes;
	stats->tables_allocated = vm->tree.frames.allocated - tdp_stocked(vm);
	stats->tables_freed = vm->tree.frames.freed;
	stats->tables_awaiting = vm->tree.retired_count;
	stats->mmio_entries = vm->tree.mmio_entries;
	stats->tables_max = vm->tables_max;
	if (slots_have_rmaps(&vm->slots))
		stats_rmap_lengths(vm, stats->rmap_lengths);
	vm_unlock(vm);
}
