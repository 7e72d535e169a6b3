/* SPDX-License-Identifier: MIT */
/*
 * Recovery from the NX rule for huge pages: a fetch costs its whole huge page, which comes back
 * here some time after the code has stopped running.
 */
#include <errno.h>
#include <sched.h>

#include "faults/vm.h"

/* Tables after which the lock is given away. */
#define NX_PART 32u

/* Does the slot of what TABLE maps log writes? Then nothing large would take its place. */
static bool nx_is_logged(const struct vmmu_vm *vm, const struct table *table)
{
	const struct memslot *slot = slot_set_find(slots_active(&vm->slots, table->as_id),
						   table->gfn, NULL);

	return slot && (slot->flags & VMMU_SLOT_LOG_DIRTY);
}

/* Locked: TABLE goes, or is counted no longer. */
static void nx_recover_table(struct vmmu_vm *vm, struct table *table)
{
	if (nx_is_logged(vm, table)) {
		tree_nx_unmark(&vm->tree, table);
		return;
	}
	vm->past.nx_recovered++;
	vm->engine->table_zap(vm, table);
}

/*
 * Locked: the oldest COUNT tables. Returns how many were found; fewer: there are no more. What is
 * below a table goes with it, and is newer: maybe the very next one.
 */
static unsigned nx_recover_oldest(struct vmmu_vm *vm, unsigned count)
{
	struct tree *tree = &vm->tree;
	struct list *node, *newer;
	unsigned found = 0;

	for (node = tree->tables.prev; node != &tree->tables && found < count; node = newer) {
		struct table *table = container_of(node, struct table, link);
		bool may_have_others = table->level > 1;

		newer = node->prev;
		if (!(table->flags & TABLE_NX_POSSIBLE))
			continue;
		found++;
		nx_recover_table(vm, table);
		if (may_have_others)
			newer = tree->tables.prev;
	}
	return found;
}

/* Locked: the oldest COUNT tables, the lock given away in between. */
static void nx_recover(struct vmmu_vm *vm, uint64_t count)
{
	while (count) {
		unsigned part = (unsigned)min_u64(count, NX_PART);

		if (nx_recover_oldest(vm, part) < part)
			return;
		count -= part;
		vm_unlock(vm);
		sched_yield();
		vm_lock(vm);
	}
}

int vmmu_nx_recover(struct vmmu_vm *vm, unsigned ratio, uint64_t *recovered)
{
	uint64_t before;
	int err;

	if (!vm || !ratio)
		return -EINVAL;
	err = vm_may_change_faults(vm);
	if (err)
		return err;
	vm_lock(vm);
	before = vm->past.nx_recovered;
	nx_recover(vm, vm->tree.nx_tables / ratio + !!(vm->tree.nx_tables % ratio));
	if (recovered)
		*recovered = vm->past.nx_recovered - before;
	vm_unlock(vm);
	return 0;
}
