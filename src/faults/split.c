/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>

#include "faults/vm.h"

/* Locked: let others have the lock. */
static void split_rest(struct vmmu_vm *vm)
{
	vm_unlock(vm);
	sched_yield();
	vm_lock(vm);
}

/* Locked: frames in stocks, and those that only wait for readers, become free. */
static void split_find_room(struct vmmu_vm *vm)
{
	tdp_drain(vm);
	vm_unlock(vm);
	vm_reap(vm);
	vm_lock(vm);
}

/*
 * vm_split_range() for the current root of one kind, whichever that is after a rest. What is split
 * stays so, as faults map nothing large while writes are logged: each round begins where the one
 * before ended.
 */
static int split_root(struct vmmu_vm *vm, enum vmmu_root_mode mode, struct slot_range range)
{
	_Atomic(struct table *) *current = vm_root(vm, mode, range.slot->as_id);
	bool has_looked = false;

	for (;;) {
		struct table *root = atomic_load_explicit(current, memory_order_relaxed);
		int err = root ? vm->engine->split_range(vm, root, &range) : 0;

		if (err != -EAGAIN && (err != -ENOMEM || has_looked))
			return err;
		if (err == -EAGAIN) {
			split_rest(vm);
			continue;
		}
		split_find_room(vm);
		has_looked = true;
	}
}

int vm_split_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	int err;

	/* Of a read-only slot there is nothing to log. */
	if (!vm->eager_split || vm->max_level == 1 || (range->slot->flags & VMMU_SLOT_READ_ONLY))
		return 0;
	err = split_root(vm, VMMU_ROOT_DIRECT, *range);
	return err ? err : split_root(vm, VMMU_ROOT_TDP, *range);
}
