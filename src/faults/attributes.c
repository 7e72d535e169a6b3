/* SPDX-License-Identifier: MIT */
/*
 * A change of attributes is an invalidation by gfns: what was looked up before it is not mapped
 * after it, and nothing is mapped there meanwhile. The slots lock is held throughout, so slots stay
 * as they are.
 */
#include <errno.h>
#include <vmmu/attributes.h>

#include "base/mem.h"
#include "base/sync.h"
#include "faults/vm.h"

/* FN for the part of each slot of any address space within RANGE. */
static void attributes_for_slots(struct vmmu_vm *vm, const struct gfn_range *range,
				 void (*fn)(struct vmmu_vm *vm, const struct slot_range *part))
{
	for (unsigned as = 0; as < vm->as_count; as++) {
		const struct slot_set *set = slots_active(&vm->slots, as);

		for (size_t i = slot_set_first(set, range->start);
		     i < set->count && set->by_gfn[i]->base_gfn < range->end; i++) {
			struct memslot *slot = set->by_gfn[i];
			struct slot_range part = {slot, max_u64(range->start, slot->base_gfn),
						  min_u64(range->end, slot->base_gfn + slot->gfns)};

			fn(vm, &part);
		}
	}
}

/* Not locked. */
static void attributes_zap(struct vmmu_vm *vm, const struct slot_range *part)
{
	vm_zap_by_parts(vm, part);
}

/* Locked. */
static void attributes_mix(struct vmmu_vm *vm, const struct slot_range *part)
{
	memslot_mix(part->slot, vm->geometry, slots_attributes(&vm->slots), part->start, part->end);
}

/* With the slots lock held: NEXT is what holds from now on, and differs within RANGE. */
static void attributes_change(struct vmmu_vm *vm, const struct gfn_range *range,
			      struct attributes *next)
{
	struct attributes *old = atomic_load_explicit(&vm->slots.attributes, memory_order_relaxed);

	vm_lock(vm);
	vm_invalidate_gfns_begin(vm, range->start, range->end);
	vm_unlock(vm);
	attributes_for_slots(vm, range, attributes_zap);
	vm_lock(vm);
	/* Pairs with slots_attributes(). */
	atomic_store_explicit(&vm->slots.attributes, next, memory_order_release);
	attributes_for_slots(vm, range, attributes_mix);
	vm_invalidate_gfns_end(vm);
	vm_unlock(vm);
	sync_wait_readers();
	mem_free(old);
}

static int attributes_set(struct vmmu_vm *vm, const struct gfn_range *range,
			  enum attributes_extent extent)
{
	const struct attributes *old = slots_attributes(&vm->slots);
	struct attributes *next;
	int err;

	if (attributes_extent(old, range->start, range->end) == extent)
		return 0;
	err = attributes_make(old, range->start, range->end, extent, &next);
	if (!err)
		attributes_change(vm, range, next);
	return err;
}

int vmmu_attributes_set(struct vmmu_vm *vm, uint64_t gpa, uint64_t bytes, unsigned attributes)
{
	struct gfn_range range;
	unsigned shift;
	int err;

	if (!vm || !bytes || gpa + bytes < gpa ||
	    !is_aligned(gpa | bytes, BIT64(vm->geometry->page_shift)) ||
	    (attributes & ~(unsigned)VMMU_ATTRIBUTE_PRIVATE))
		return -EINVAL;
	err = vm_may_update_slots(vm);
	if (err)
		return err;
	shift = vm->geometry->page_shift;
	range = (struct gfn_range){gpa >> shift, (gpa + bytes) >> shift};
	pthread_mutex_lock(&vm->slots.lock);
	err = attributes_set(vm, &range, attributes ? ATTRIBUTES_ALL : ATTRIBUTES_NONE);
	pthread_mutex_unlock(&vm->slots.lock);
	return err;
}

bool vm_is_private(struct vmmu_vm *vm, uint64_t gfn)
{
	bool is_private;

	sync_read_lock();
	is_private = attributes_extent(slots_attributes(&vm->slots), gfn, gfn + 1) ==
		     ATTRIBUTES_ALL;
	sync_read_unlock();
	return is_private;
}

int vmmu_attributes_get(struct vmmu_vm *vm, uint64_t gpa)
{
	if (!vm)
		return -EINVAL;
	return vm_is_private(vm, gpa >> vm->geometry->page_shift) ? VMMU_ATTRIBUTE_PRIVATE : 0;
}
