/* SPDX-License-Identifier: MIT */
#include "range/range.h"

#include <errno.h>
#include <string.h>

#include "base/sync.h"

int vmmu_attr_make(const struct vmmu_vm *vm, unsigned access, enum vmmu_memtype memtype,
		   struct vmmu_attr *attr)
{
	if (!vm || !attr || !(access & VMMU_READ) || (access & ~(unsigned)VMMU_RWX))
		return -EINVAL;
	memset(attr, 0, sizeof(*attr));
	attr->access = access;
	attr->memtype = memtype;
	vm->engine->range->attr_make(vm, attr);
	return 0;
}

/* What pointers to table entries are away from their hpas. */
static uint64_t range_offset(const struct vmmu_vm *vm)
{
	return vm->tree.frames.offset;
}

/*
 * What takes an hpa to the record of its table: a sum less for each, as frames and their records
 * are aligned. See range_table_at().
 */
static void range_find_records(const struct frame_pool *frames, struct vmmu_update *update)
{
	update->records_shift = frames->meta_shift;
	update->records = (uint64_t)(uintptr_t)frames->meta -
			  (frames->hpa >> update->records_shift);
}

/* Locked: the root of an address space, made at the first update. */
static struct table *range_root(struct vmmu_vm *vm, unsigned as_id)
{
	struct table *root = atomic_load_explicit(&vm->roots[as_id], memory_order_relaxed);

	if (root)
		return root;
	root = vm->engine->root_get(vm, as_id);
	if (!root) {
		/* Frames may only be waiting for readers to leave. */
		vm_reap_locked(vm);
		root = vm->engine->root_get(vm, as_id);
	}
	if (root)
		atomic_store_explicit(&vm->roots[as_id], root, memory_order_release);
	return root;
}

/* Locked, or shared: ROOT is where UPDATE's walks begin. */
static void range_stand_on(struct vmmu_update *update, struct table *root)
{
	const struct tree *tree = &update->vm->tree;

	update->root = (void *)tree_entries(tree, root);
	update->root_hpa = tree_table_hpa(tree, root);
	update->offset = range_offset(update->vm);
}

int vmmu_update_begin(struct vmmu_vm *vm, unsigned as_id, struct vmmu_update *update)
{
	struct table *root;
	int err;

	if (!vm || !update || as_id >= vm->as_count)
		return -EINVAL;
	if (vm->mode != VMMU_MODE_RANGES)
		return -ENOTSUP;
	err = vm_may_lock(vm);
	if (err)
		return err;
	vm_lock(vm);
	root = range_root(vm, as_id);
	if (!root) {
		vm_unlock(vm);
		return -ENOMEM;
	}
	*update = (struct vmmu_update){.ops = vm->engine->range, .vm = vm, .as_id = as_id};
	range_stand_on(update, root);
	range_find_records(&vm->tree.frames, update);
	return 0;
}

/*
 * UPDATE's vCPU is in the shared section, on the root of its address space, which stays as long as
 * it is there. Whoever takes all tables away takes that one, too: it is made anew. -ENOMEM.
 */
static int range_share_enter(struct vmmu_update *update)
{
	struct vmmu_vcpu *vcpu = update->vcpu;
	struct vmmu_vm *vm = update->vm;
	struct table *root;

	for (;;) {
		if (likely(vcpu->may_share)) {
			tdp_enter(vcpu);
			root = atomic_load_explicit(&vm->roots[update->as_id],
						    memory_order_acquire);
			if (likely(root != NULL)) {
				range_stand_on(update, root);
				return 0;
			}
			tdp_leave(vcpu);
		}
		vm_lock(vm);
		tdp_vcpu_join(vcpu);
		vcpu->may_share = true;
		root = range_root(vm, update->as_id);
		vm_unlock(vm);
		if (!root)
			return -ENOMEM;
	}
}

int vmmu_update_begin_shared(struct vmmu_vcpu *vcpu, struct vmmu_update *update)
{
	struct vmmu_vm *vm;
	int err;

	if (!vcpu || !update)
		return -EINVAL;
	vm = vcpu->vm;
	if (vm->mode != VMMU_MODE_RANGES)
		return -ENOTSUP;
	err = vm_may_lock(vm);
	if (err)
		return err;
	if (vcpu_is_busy(vcpu))
		return -EBUSY;
	vcpu_set_busy(vcpu);
	*update = (struct vmmu_update){
		.ops = vm->engine->range->share, .vm = vm, .vcpu = vcpu, .as_id = vcpu->as_id};
	range_find_records(&vm->tree.frames, update);
	err = range_share_enter(update);
	if (err) {
		update->vm = NULL;
		vcpu_set_idle(vcpu);
	}
	return err;
}

static int range_lost_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
			  const struct vmmu_attr *attr, uint64_t *done)
{
	(void)update, (void)gpa, (void)hpa, (void)bytes, (void)attr;
	if (done)
		*done = 0;
	return -ENOMEM;
}

/* Of a shared update that is outside and stays there: its root went, and there is no other. */
static const struct vmmu_range_ops range_lost_ops = {
	.map = range_lost_map,
	.unmap = range_share_refuse,
	.protect = range_share_refuse_access,
	.write_protect = range_share_refuse,
	.write_allow = range_share_refuse,
};

int range_share_topup(struct vmmu_update *update)
{
	struct vmmu_vcpu *vcpu = update->vcpu;
	int err;

	tdp_leave(vcpu);
	vcpu->tdp.need = 1;
	err = tdp_topup(vcpu);
	if (range_share_enter(update)) {
		vcpu_set_idle(vcpu);
		update->ops = &range_lost_ops;
		update->vm = NULL;
		return -ENOMEM;
	}
	return err;
}

int range_share_refuse(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, uint64_t *done)
{
	(void)update, (void)gpa, (void)bytes;
	if (done)
		*done = 0;
	return -EPERM;
}

int range_share_refuse_access(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			      unsigned access, uint64_t *done)
{
	(void)access;
	return range_share_refuse(update, gpa, bytes, done);
}

void vmmu_update_end(struct vmmu_update *update)
{
	if (!update || !update->vm)
		return;
	if (update->vcpu) {
		tdp_leave(update->vcpu);
		vcpu_set_idle(update->vcpu);
	} else {
		vm_unlock(update->vm);
	}
	update->vm = NULL;
}

int vmmu_reader_begin(struct vmmu_vm *vm, unsigned as_id, struct vmmu_reader *reader)
{
	struct table *root;

	if (!vm || !reader || as_id >= vm->as_count)
		return -EINVAL;
	sync_read_lock();
	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (!root) {
		sync_read_unlock();
		return -ENOENT;
	}
	*reader = (struct vmmu_reader){.ops = vm->engine->range,
				       .vm = vm,
				       .root = (const void *)tree_entries(&vm->tree, root),
				       .offset = range_offset(vm)};
	return 0;
}

void vmmu_reader_end(struct vmmu_reader *reader)
{
	if (!reader || !reader->root)
		return;
	reader->root = NULL;
	sync_read_unlock();
}

uint64_t vmmu_translate_once(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa)
{
	if (!vm || as_id >= vm->as_count)
		return VMMU_NOT_MAPPED;
	return vm->engine->range->translate_once(vm, as_id, gpa);
}
