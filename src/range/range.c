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
	*update = (struct vmmu_update){.ops = vm->engine->range,
				       .vm = vm,
				       .root = (void *)tree_entries(&vm->tree, root),
				       .root_hpa = tree_table_hpa(&vm->tree, root),
				       .offset = range_offset(vm),
				       .as_id = as_id};
	range_find_records(&vm->tree.frames, update);
	return 0;
}

void vmmu_update_end(struct vmmu_update *update)
{
	if (!update || !update->vm)
		return;
	vm_unlock(update->vm);
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
