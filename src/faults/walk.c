/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <vmmu/walk.h>
#include <xxhash.h>

#include "base/sync.h"
#include "faults/vm.h"
#include "format/contract.h"

int vmmu_walk(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa, struct vmmu_walk *walk)
{
	struct table *root;
	int err = -ENOENT;

	if (!vm || !walk || as_id >= vm->as_count)
		return -EINVAL;
	sync_read_lock();
	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (root && !(gpa >> vm->geometry->gpa_bits)) {
		vm->engine->walk(vm, root, gpa, walk);
		err = 0;
	}
	sync_read_unlock();
	return err;
}

int vmmu_walk_path(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa, struct vmmu_walk *path,
		   unsigned *count)
{
	struct table *root;
	int err = -ENOENT;

	if (!vm || !path || !count || as_id >= vm->as_count)
		return -EINVAL;
	sync_read_lock();
	root = atomic_load_explicit(&vm->roots[as_id], memory_order_acquire);
	if (root && !(gpa >> vm->geometry->gpa_bits)) {
		*count = vm->engine->walk_path(vm, root, gpa, path);
		err = 0;
	}
	sync_read_unlock();
	return err;
}

/*
 * Locked: current root number INDEX of two for each address space: of the VM's mode, then others.
 */
static struct table *walk_root(struct vmmu_vm *vm, unsigned index)
{
	unsigned as = index % vm->as_count;

	return atomic_load_explicit(index < vm->as_count ? &vm->roots[as] : &vm->other_roots[as],
				    memory_order_relaxed);
}

/* Locked: FN for every entry below every current root. */
static int walk_visit(struct vmmu_vm *vm, int (*fn)(void *ctx, const struct vmmu_visit *visit),
		      void *ctx)
{
	int stop = 0;

	for (unsigned i = 0; i < 2 * vm->as_count && !stop; i++) {
		struct table *root = walk_root(vm, i);

		if (root)
			stop = vm->engine->visit(vm, root, fn, ctx);
	}
	return stop;
}

int vmmu_visit(struct vmmu_vm *vm, int (*fn)(void *ctx, const struct vmmu_visit *visit), void *ctx)
{
	int stop;

	if (!vm || !fn)
		return -EINVAL;
	if (sync_is_reading())
		return -EDEADLK;
	vm_lock(vm);
	stop = walk_visit(vm, fn, ctx);
	vm_unlock(vm);
	return stop;
}

/* A digest in the making. */
struct digest_run {
	XXH3_state_t *state;
	const struct vmmu_format_ops *ops;
	uint64_t tables; /* numbered so far, in walk order */
};

static int digest_entry(void *ctx, const struct vmmu_visit *visit)
{
	struct digest_run *run = ctx;
	uint64_t record[8] = {
		visit->as_id,     0,          visit->gfn, visit->level, visit->entry.access,
		visit->entry.pfn, visit->pte, 0,
	};

	/*
	 * Which frame a table got is an accident of the run: its number in walk order stands for
	 * it.
	 */
	if (visit->entry.kind == VMMU_ENTRY_TABLE) {
		record[6] ^= run->ops->make_table(visit->entry.table_hpa, visit->level);
		record[7] = ++run->tables;
	}
	XXH3_128bits_update(run->state, record, sizeof(record));
	return 0;
}

int vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest)
{
	struct digest_run run;
	XXH128_hash_t hash;

	if (!vm || !digest)
		return -EINVAL;
	if (sync_is_reading())
		return -EDEADLK;
	run = (struct digest_run){XXH3_createState(), vm->format->ops, 0};
	if (!run.state)
		return -ENOMEM;
	XXH3_128bits_reset(run.state);
	vm_lock(vm);
	walk_visit(vm, digest_entry, &run);
	vm_unlock(vm);
	hash = XXH3_128bits_digest(run.state);
	XXH3_freeState(run.state);
	*digest = (struct vmmu_digest){.high = hash.high64, .low = hash.low64};
	return 0;
}

/* Table frames in the making of a list. */
struct tables_run {
	struct vmmu_vm *vm;
	int (*fn)(void *ctx, const struct vmmu_table_frame *frame);
	void *ctx;
};

static int tables_give(const struct tables_run *run, const struct table *table, bool is_root)
{
	struct vmmu_table_frame frame = {
		.hpa = tree_table_hpa(&run->vm->tree, table),
		.bytes = UINT64_C(1) << run->vm->geometry->table_lg2[table->level],
		.data = (const void *)tree_entries(&run->vm->tree, table),
		.level = table->level,
		.as_id = table->as_id,
		.root = is_root,
	};

	return run->fn(run->ctx, &frame);
}

static int tables_entry(void *ctx, const struct vmmu_visit *visit)
{
	const struct tables_run *run = ctx;

	if (visit->entry.kind != VMMU_ENTRY_TABLE)
		return 0;
	return tables_give(run, tree_table_at(&run->vm->tree, visit->entry.table_hpa), false);
}

int vmmu_tables(struct vmmu_vm *vm, int (*fn)(void *ctx, const struct vmmu_table_frame *frame),
		void *ctx)
{
	struct tables_run run = {vm, fn, ctx};
	int stop = 0;

	if (!vm || !fn)
		return -EINVAL;
	if (sync_is_reading())
		return -EDEADLK;
	vm_lock(vm);
	for (unsigned i = 0; i < 2 * vm->as_count && !stop; i++) {
		struct table *root = walk_root(vm, i);

		if (!root)
			continue;
		stop = tables_give(&run, root, true);
		if (!stop)
			stop = vm->engine->visit(vm, root, tables_entry, &run);
	}
	vm_unlock(vm);
	return stop;
}
