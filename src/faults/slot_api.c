/* SPDX-License-Identifier: MIT */
/* Memslots as the public API has them, and what slot updates do to the tables. */
#include <errno.h>
#include <string.h>
#include <vmmu/slot.h>

#include "base/sync.h"
#include "faults/vm.h"

/*
 * What is done to a slot's mappings under one hold of the lock: a multiple of what a large entry of
 * any format maps, but for the largest.
 */
#define SLOT_PART_GFNS (UINT64_C(1) << 18)

int vmmu_slot_set(struct vmmu_vm *vm, const struct vmmu_slot *slot)
{
	int err;

	if (!vm || !slot)
		return -EINVAL;
	err = vm_may_update_slots(vm);
	if (err)
		return err;
	return slots_set(&vm->slots, slot);
}

int vmmu_slot_get(struct vmmu_vm *vm, unsigned as_id, unsigned id, struct vmmu_slot *out)
{
	const struct memslot *slot;
	int err;

	if (!vm || !out || !vm_has_slot_ids(vm, as_id, id))
		return -EINVAL;
	err = vm_may_lock(vm);
	if (err)
		return err;
	err = -ENOENT;
	pthread_mutex_lock(&vm->slots.lock);
	slot = slots_by_id(&vm->slots, as_id, id);
	if (slot) {
		*out = (struct vmmu_slot){
			.as_id = as_id,
			.id = id,
			.flags = slot->flags,
			.gpa = slot->base_gfn << vm->geometry->page_shift,
			.bytes = slot->gfns << vm->geometry->page_shift,
			.hva = slot->hva,
		};
		err = 0;
	}
	pthread_mutex_unlock(&vm->slots.lock);
	return err;
}

uint64_t vmmu_slot_generation(struct vmmu_vm *vm, unsigned as_id)
{
	uint64_t generation;

	if (!vm || as_id >= vm->as_count)
		return 0;
	sync_read_lock();
	generation = slot_set_generation(slots_active(&vm->slots, as_id));
	sync_read_unlock();
	return generation;
}

/*
 * PART(vm, range) for all of a range, locked, the lock given away after every SLOT_PART_GFNS. What
 * faults do in between is for whoever calls to judge; parts are not looked at twice, so it ends.
 */
static void slot_range_by_parts(struct vmmu_vm *vm, const struct slot_range *range,
				void (*part)(struct vmmu_vm *vm, const struct slot_range *range))
{
	uint64_t next;

	for (uint64_t gfn = range->start; gfn < range->end; gfn = next) {
		next = min_u64(range->end, align_down(gfn + SLOT_PART_GFNS, SLOT_PART_GFNS));
		vm_lock(vm);
		part(vm, &(struct slot_range){range->slot, gfn, next});
		vm_unlock(vm);
	}
}

static void slot_by_parts(struct vmmu_vm *vm, const struct memslot *slot,
			  void (*part)(struct vmmu_vm *vm, const struct slot_range *range))
{
	struct slot_range range = {(struct memslot *)slot, slot->base_gfn,
				   slot->base_gfn + slot->gfns};

	slot_range_by_parts(vm, &range, part);
}

static void slot_part_zap(struct vmmu_vm *vm, const struct slot_range *range)
{
	vm->engine->zap_range(vm, range);
}

void vm_zap_by_parts(struct vmmu_vm *vm, const struct slot_range *range)
{
	slot_range_by_parts(vm, range, slot_part_zap);
}

/*
 * Everything mapped through OLD goes. The safest way is known to be the whole tree: KVM's default
 * since a bug that nobody pinned down. Part by part: no fault maps anything through a slot that is
 * marked invalid.
 */
void vm_slot_drop(void *ctx, const struct memslot *old)
{
	struct vmmu_vm *vm = ctx;

	if (vm->slot_zap == VMMU_SLOT_ZAP_RANGE) {
		slot_by_parts(vm, old, slot_part_zap);
		return;
	}
	vm_lock(vm);
	vm_zap_all(vm);
	vm_unlock(vm);
}

/*
 * MMIO entries carry the low bits of the generation. When those come round to what address space
 * AS_ID started from, an entry from the round before would pass for current: drop them all.
 */
void vm_slots_updated(void *ctx, unsigned as_id, uint64_t generation)
{
	struct vmmu_vm *vm = ctx;
	uint64_t mask = BIT64(vmmu_format_info(vm->format)->mmio_gen_bits) - 1;

	if ((generation & mask) != as_id)
		return;
	vm_lock(vm);
	vm_zap_all(vm);
	vm_unlock(vm);
}

/*
 * Logging began: no page of a slot can be written unseen. What faults map meanwhile they log. The
 * flush is due whether or not an entry changed: one that was protected earlier may still be
 * writable in a TLB. What cannot be split for want of room is protected as it is.
 */
static void slot_part_log(struct vmmu_vm *vm, const struct slot_range *range)
{
	bool is_by_faults = vm->dirty_source == VMMU_DIRTY_BY_FAULTS;

	vm_split_range(vm, range);
	vm->engine->protect_range(vm, range, is_by_faults ? 1 : 2);
	if (!is_by_faults)
		vm->engine->dirty_scan(vm, range, DIRTY_FORGET);
	tree_owe_flush(&vm->tree, range->slot->as_id, range->start, range->end);
}

/* Logging ended: what was split for it may be mapped large again. */
static void slot_part_collapse(struct vmmu_vm *vm, const struct slot_range *range)
{
	vm->engine->collapse_range(vm, range);
}

void vm_slot_commit(void *ctx, enum slot_change change, const struct memslot *old,
		    const struct memslot *new_slot)
{
	struct vmmu_vm *vm = ctx;

	if (change == SLOT_CREATE || change == SLOT_DELETE) {
		vm_lock(vm);
		quota_slots_changed(vm, (new_slot ? (int64_t)new_slot->gfns : 0) -
						(old ? (int64_t)old->gfns : 0));
		vm_unlock(vm);
	}
	if (change == SLOT_CREATE && new_slot && (vm->policies & VMMU_POLICY_PROTECT_NEW) &&
	    (new_slot->flags & VMMU_SLOT_LOG_DIRTY))
		slot_by_parts(vm, new_slot, slot_part_log);
	if (change != SLOT_FLAGS || !((old->flags ^ new_slot->flags) & VMMU_SLOT_LOG_DIRTY))
		return;
	if ((new_slot->flags & VMMU_SLOT_LOG_DIRTY) && (vm->dirty_flags & VMMU_DIRTY_INITIALLY_SET))
		return; /* all count as written: protected when they are cleared */
	if (new_slot->flags & VMMU_SLOT_LOG_DIRTY)
		slot_by_parts(vm, new_slot, slot_part_log);
	else if (!(new_slot->flags & VMMU_SLOT_READ_ONLY))
		slot_by_parts(vm, new_slot, slot_part_collapse);
}
