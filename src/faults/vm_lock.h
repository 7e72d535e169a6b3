/* SPDX-License-Identifier: MIT */
/* vm_lock() and vm_unlock() inline, for what every fault does. Contracts as in vm.h. */
#ifndef VMMU_FAULTS_VM_LOCK_H
#define VMMU_FAULTS_VM_LOCK_H

#include "base/sync_reader.h"
#include "faults/vm.h"

/* Gives what vm_unlock_inline() must be told. */
static inline enum sync_section vm_lock_inline(struct vmmu_vm *vm)
{
	lock_take(&vm->mmu_lock);
	if (unlikely(brlock_is_shared(&vm->shared)))
		tdp_claim(vm);
	return sync_reader_enter();
}

/* Locked: is there something that whoever lets go of the lock must do first? */
static inline bool vm_unlock_has_work(const struct vmmu_vm *vm)
{
	return brlock_is_shared(&vm->shared) || vm->tree.detached ||
	       vm->tree.retired_count >= RETIRED_MAX || tree_is_flush_owed(&vm->tree);
}

static inline void vm_unlock_inline(struct vmmu_vm *vm, enum sync_section section)
{
	if (unlikely(vm_unlock_has_work(vm))) {
		vm_unlock(vm);
		return;
	}
	sync_reader_leave(section);
	lock_give(&vm->mmu_lock);
}

#endif
