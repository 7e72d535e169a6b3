/* SPDX-License-Identifier: MIT */
/*
 * How many tables a VM may have, and which go when they become too many. Semantics as those of
 * KVM's shadow MMU.
 *
 * A guest decides how many tables its accesses take: every few pages of a sparse slot, and every
 * access where no memory is, may ask for a chain of them. The quota bounds what a guest can make
 * its host spend.
 */
#include <errno.h>

#include "faults/vm.h"

/* Automatic quota: a table for so many smallest pages of slots, and at least so many tables. */
#define QUOTA_GFNS_PER_TABLE 50
#define QUOTA_FLOOR          64
/* Once tables must go, as many go as leave so many free: the next faults then need not. */
#define QUOTA_REFILL 25

static uint64_t quota_automatic(const struct vmmu_vm *vm)
{
	return max_u64(vm->slot_gfns / QUOTA_GFNS_PER_TABLE, QUOTA_FLOOR);
}

void quota_init(struct vmmu_vm *vm, uint64_t count)
{
	vm->is_tables_max_set = count;
	vm->tables_max = count ? count : quota_automatic(vm);
	if (vm->mode == VMMU_MODE_RANGES)
		vm->tables_max = UINT64_MAX;
}

/* Locked: take TABLE, which no vCPU holds, from its place. */
static void quota_zap(struct vmmu_vm *vm, struct table *table)
{
	/* A current root that nobody stands on is a table like any other. */
	_Atomic(struct table *) *current = vm_root(vm, table_mode(table), table->as_id);
	uint64_t live = vm->tree.live;

	if (atomic_load_explicit(current, memory_order_relaxed) == table)
		atomic_store_explicit(current, NULL, memory_order_release);
	vm->engine->table_zap(vm, table);
	vm->past.tables_reclaimed += live - vm->tree.live;
}

/* Which tables may go. */
enum quota_pass {
	QUOTA_LEAVES, /* of trees of tdp roots that vCPUs hold, leaf tables only */
	QUOTA_ANY,
};

/*
 * Locked: down to GOAL tables, oldest first. A table of a tdp root takes along what is below it,
 * which is newer: any of the newer ones.
 */
static void quota_zap_some(struct vmmu_vm *vm, uint64_t goal, enum quota_pass pass)
{
	struct tree *tree = &vm->tree;
	struct list *node, *newer;

	for (node = tree->tables.prev; node != &tree->tables && tree->live > goal; node = newer) {
		struct table *table = container_of(node, struct table, link);
		bool may_have_others = table_mode(table) == VMMU_ROOT_TDP && table->level > 1;

		newer = node->prev;
		if (table->root_count ||
		    (may_have_others && table->parents && pass == QUOTA_LEAVES))
			continue;
		quota_zap(vm, table);
		if (may_have_others)
			newer = tree->tables.prev;
	}
}

/*
 * Locked: down to GOAL tables. The flush is done on return: what is mapped next may stand where
 * something went, and break-before-make forbids it to come before the flush.
 */
static void quota_zap_oldest(struct vmmu_vm *vm, uint64_t goal)
{
	quota_zap_some(vm, goal, QUOTA_LEAVES);
	quota_zap_some(vm, goal, QUOTA_ANY);
	tree_flush(&vm->tree);
}

bool quota_make_room_slow(struct vmmu_vm *vm)
{
	uint64_t need = vm->geometry->levels, max = vm->tables_max;

	quota_zap_oldest(vm, max - max_u64(need, min_u64(QUOTA_REFILL, max / 2)));
	return vm->tree.live + need <= max;
}

void quota_slots_changed(struct vmmu_vm *vm, int64_t gfns)
{
	vm->slot_gfns += (uint64_t)gfns;
	if (vm->is_tables_max_set || vm->mode == VMMU_MODE_RANGES)
		return;
	vm->tables_max = quota_automatic(vm);
	if (vm->tree.live > vm->tables_max)
		quota_zap_oldest(vm, vm->tables_max);
}

int vmmu_tables_quota_set(struct vmmu_vm *vm, uint64_t count)
{
	int err;

	if (!vm || (count && count < VMMU_TABLES_MIN))
		return -EINVAL;
	err = vm_may_change_faults(vm);
	if (err)
		return err;
	vm_lock(vm);
	tdp_drain(vm);
	vm->is_tables_max_set = count;
	vm->tables_max = count ? count : quota_automatic(vm);
	if (vm->tree.live > vm->tables_max)
		quota_zap_oldest(vm, vm->tables_max);
	vm_unlock(vm);
	/* Whoever lowers the quota wants the memory back. */
	vm_reap(vm);
	return 0;
}
