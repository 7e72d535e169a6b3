/* SPDX-License-Identifier: MIT */
#include "faults/tdp.h"

#include <errno.h>
#include <sched.h>

#include "base/sync.h"
#include "faults/vm.h"

/* Frames beyond a fault's need are stocked only if that leaves so many more in the quota. */
#define TDP_ROOM_PLENTY (UINT64_C(8) * TDP_STOCK)

void tdp_vcpu_init(struct tdp_vcpu *tdp)
{
	brlock_slot_init(&tdp->shared);
	list_init(&tdp->made);
}

void tdp_vcpu_join(struct vmmu_vcpu *vcpu)
{
	brlock_register(&vcpu->vm->shared, &vcpu->tdp.shared);
}

/* Mutex held: VCPU's frames go back to the pool. Nobody is using the stock. */
static void tdp_stock_drain(struct vmmu_vcpu *vcpu)
{
	struct tree *tree = &vcpu->vm->tree;
	struct tdp_vcpu *tdp = &vcpu->tdp;

	while (tdp->stock_count)
		frame_free(&tree->frames, tdp->stock[--tdp->stock_count], tree->below_lg2);
}

void tdp_vcpu_leave(struct vmmu_vcpu *vcpu)
{
	brlock_unregister(&vcpu->tdp.shared);
	tdp_stock_drain(vcpu);
}

static struct tdp_vcpu *tdp_of_node(const struct list *node)
{
	return &container_of(node, struct vmmu_vcpu, link)->tdp;
}

/* The tables in MADE, newest first, become the newest of the tree. */
static void tdp_fold_made(struct tree *tree, struct list *made)
{
	struct list *first = made->next, *last = made->prev;

	if (list_is_empty(made))
		return;
	last->next = tree->tables.next;
	tree->tables.next->prev = last;
	tree->tables.next = first;
	first->prev = &tree->tables;
	list_init(made);
}

/*
 * A table may have been made by one vCPU and removed by another: all are listed before any goes.
 */
static void tdp_fold(struct vmmu_vm *vm)
{
	list_for_each(node, &vm->vcpus)
	{
		struct tdp_vcpu *tdp = tdp_of_node(node);

		tree_fold(&vm->tree, &tdp->books);
		tdp_fold_made(&vm->tree, &tdp->made);
	}
	list_for_each(node, &vm->vcpus)
	{
		struct tdp_vcpu *tdp = tdp_of_node(node);
		struct table *table;

		while ((table = tdp->removed) != NULL) {
			tdp->removed = table->hash_next;
			tree_retire(&vm->tree, table);
		}
		tdp->removed_count = 0;
	}
}

void tdp_claim(struct vmmu_vm *vm)
{
	brlock_claim(&vm->shared);
	tdp_fold(vm);
}

uint64_t tdp_stocked(const struct vmmu_vm *vm)
{
	uint64_t count = 0;

	list_for_each(node, &vm->vcpus) count += tdp_of_node(node)->stock_count;
	return count;
}

void tdp_drain(struct vmmu_vm *vm)
{
	list_for_each(node, &vm->vcpus) tdp_stock_drain(container_of(node, struct vmmu_vcpu, link));
}

/*
 * Mutex held: tables that may be made before the quota is used up, stocked frames counted as made.
 */
static uint64_t tdp_room(const struct vmmu_vm *vm)
{
	uint64_t used = vm->tree.frames.live - vm->tree.retired_count;

	return vm->tables_max > used ? vm->tables_max - used : 0;
}

/* Mutex held: fill VCPU's stock. */
static int tdp_stock_fill(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm = vcpu->vm;
	struct tdp_vcpu *tdp = &vcpu->tdp;
	unsigned want = vm->geometry->levels - 1u; /* for any one fault */
	uint64_t room = tdp_room(vm);

	/* The rule of quota_make_room(). */
	if (room + tdp->stock_count < vm->geometry->levels)
		return -ENOSPC;
	if (room > TDP_ROOM_PLENTY)
		want = TDP_STOCK;
	while (tdp->stock_count < want) {
		unsigned bit = 1u << tdp->stock_count;
		bool is_zeroed;
		void *frame = tree_frame_take(&vm->tree, &is_zeroed);

		if (!frame)
			break;
		tdp->stock_zeroed = is_zeroed ? tdp->stock_zeroed | bit : tdp->stock_zeroed & ~bit;
		tdp->stock[tdp->stock_count++] = frame;
	}
	return tdp->stock_count < tdp->need ? -ENOMEM : 0;
}

/* The same, not locked. Frames may be the embedder's, whose callback must not call for the lock. */
static int tdp_stock_refill(struct vmmu_vcpu *vcpu)
{
	int err;

	vm_frames_lock(vcpu->vm);
	sync_read_lock();
	err = tdp_stock_fill(vcpu);
	sync_read_unlock();
	vm_frames_unlock(vcpu->vm);
	return err;
}

/* What lies in stocks, and what may go to make room, becomes room. */
static int tdp_make_room(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm = vcpu->vm;
	int err = 0;

	vm_lock(vm);
	tdp_drain(vm);
	if (!quota_make_room(vm))
		err = -ENOSPC;
	vm_unlock(vm);
	if (err)
		return err;
	/* Frames may only be waiting for readers to leave. */
	vm_reap(vm);
	return tdp_stock_refill(vcpu);
}

int tdp_topup(struct vmmu_vcpu *vcpu)
{
	int err = vm_may_lock(vcpu->vm);

	if (err)
		return err;
	return tdp_stock_refill(vcpu) ? tdp_make_room(vcpu) : 0;
}

void tdp_enter(struct vmmu_vcpu *vcpu)
{
	struct vmmu_vm *vm = vcpu->vm;

	if (unlikely(!brlock_enter(&vm->shared, &vcpu->tdp.shared))) {
		vm_frames_lock(vm);
		brlock_enter_locked(&vcpu->tdp.shared);
		vm_frames_unlock(vm);
	}
	sync_read_lock();
}

static void tdp_leave_shared(struct vmmu_vcpu *vcpu)
{
	sync_read_unlock();
	brlock_leave(&vcpu->tdp.shared);
}

void tdp_leave(struct vmmu_vcpu *vcpu)
{
	unsigned removed_count = vcpu->tdp.removed_count;

	tdp_leave_shared(vcpu);
	/* Fold the books, and free what is retired. */
	if (unlikely(removed_count >= TDP_REMOVED_MAX)) {
		vm_lock(vcpu->vm);
		vm_unlock(vcpu->vm);
	}
}

void tdp_invalidate_roots(struct vmmu_vm *vm)
{
	_Static_assert(VMMU_ADDRESS_SPACES_MAX <= 2, "which is newer is known of two");
	for (unsigned i = 1; i <= vm->as_count; i++) {
		unsigned as = (vm->tdp_newest + i) % vm->as_count;
		_Atomic(struct table *) *current = vm_root(vm, VMMU_ROOT_TDP, as);
		struct table *root = atomic_load_explicit(current, memory_order_relaxed);

		if (!root)
			continue;
		atomic_store_explicit(current, NULL, memory_order_release);
		atomic_fetch_or_explicit(&root->flags, TABLE_INVALID | TABLE_DYING,
					 memory_order_release);
		root->hash_next = vm->dying;
		vm->dying = root;
	}
}

void tdp_drop_root(struct vmmu_vm *vm, struct table *root)
{
	struct table **at = &vm->dying;

	while (*at && *at != root)
		at = &(*at)->hash_next;
	if (*at)
		*at = root->hash_next;
	root->hash_next = NULL;
	atomic_store_explicit(&root->flags, TABLE_TDP | TABLE_INVALID, memory_order_release);
	vm_event(vm, .kind = VMMU_EVENT_TABLE_ZAP, .vcpu_id = ~0u, .as_id = root->as_id,
		 .level = root->level);
	if (root->root_count)
		list_remove(&root->link); /* the last vCPU to leave it retires it */
	else
		tree_retire(&vm->tree, root);
}

/*
 * Each round takes something away and nobody puts anything back, so it ends, whoever else is at it.
 */
void tdp_zap_invalid(struct vmmu_vm *vm)
{
	while (vm->dying) {
		struct table *root = vm->dying;

		if (vm->engine->tdp_zap_some(vm, root)) {
			tdp_drop_root(vm, root);
			continue;
		}
		vm_unlock(vm);
		/* Who waited shall find the lock free before we are back. */
		sched_yield();
		vm_lock(vm);
	}
}

struct table *tdp_next_root(const struct vmmu_vm *vm, const struct table *root)
{
	struct table *next = root->flags & TABLE_DYING ? root->hash_next : vm->dying;

	while (next && next->as_id != root->as_id)
		next = next->hash_next;
	return next;
}

struct table *tdp_first_root(const struct vmmu_vm *vm, unsigned as_id)
{
	struct table *root = atomic_load_explicit(
		vm_root((struct vmmu_vm *)vm, VMMU_ROOT_TDP, as_id), memory_order_relaxed);

	for (struct table *dying = vm->dying; !root && dying; dying = dying->hash_next)
		if (dying->as_id == as_id)
			root = dying;
	return root;
}
