/* SPDX-License-Identifier: MIT */
#include "faults/vm.h"

#include <errno.h>
#include <string.h>
#include <vmmu/dirty.h>
#include <vmmu/format_ops.h>
#include <vmmu/invalidate.h>

#include "base/mem.h"
#include "base/sync.h"
#include "format/registry.h"
#include "rmap/rmap.h"

#define TABLES_HPA_DEFAULT   (UINT64_C(4) << 30)
#define TABLES_BYTES_DEFAULT (UINT64_C(1) << 30)

#define VM_DIRTY_FLAGS \
	((unsigned)VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET | VMMU_DIRTY_RING_BITMAP)

void vmmu_thread_register(void)
{
	sync_thread_register();
}

void vmmu_thread_unregister(void)
{
	sync_thread_unregister();
}

void vm_frames_lock(struct vmmu_vm *vm)
{
	lock_take(&vm->mmu_lock);
}

void vm_frames_unlock(struct vmmu_vm *vm)
{
	lock_give(&vm->mmu_lock);
}

void vm_lock(struct vmmu_vm *vm)
{
	vm_frames_lock(vm);
	if (brlock_is_shared(&vm->shared))
		tdp_claim(vm);
	sync_read_lock();
}

/* Free RETIRED, taken off the tree earlier. */
static void vm_free_retired(struct vmmu_vm *vm, struct table *retired)
{
	sync_wait_readers();
	vm_frames_lock(vm);
	/* A callback that takes a frame back must not call for the lock: see vm_may_lock(). */
	sync_read_lock();
	tree_free(&vm->tree, retired);
	sync_read_unlock();
	vm_frames_unlock(vm);
}

void vm_unlock(struct vmmu_vm *vm)
{
	struct table *retired = NULL;

	if (unlikely(vm->tree.detached != NULL))
		vm->engine->range->settle(vm);
	tree_flush(&vm->tree); /* nobody takes the lock while a TLB is behind */
	if (vm->tree.retired_count >= RETIRED_MAX)
		retired = tree_take_retired(&vm->tree);
	sync_read_unlock();
	brlock_release(&vm->shared);
	vm_frames_unlock(vm);
	if (retired)
		vm_free_retired(vm, retired);
}

void vm_reap(struct vmmu_vm *vm)
{
	struct table *retired;

	vm_frames_lock(vm);
	retired = tree_take_retired(&vm->tree);
	vm_frames_unlock(vm);
	if (retired)
		vm_free_retired(vm, retired);
}

void vm_reap_locked(struct vmmu_vm *vm)
{
	struct table *retired;

	if (vm->tree.detached)
		vm->engine->range->settle(vm);
	tree_flush(&vm->tree); /* before a frame can be used for something else */
	retired = tree_take_retired(&vm->tree);
	if (!retired)
		return;
	sync_read_unlock();
	sync_wait_readers();
	sync_read_lock();
	tree_free(&vm->tree, retired);
}

int vm_may_lock(const struct vmmu_vm *vm)
{
	if (unlikely(vm_is_poisoned(vm)))
		return -EIO;
	return unlikely(sync_is_reading()) ? -EDEADLK : 0;
}

int vm_may_change_faults(const struct vmmu_vm *vm)
{
	return vm->mode == VMMU_MODE_RANGES ? -ENOTSUP : vm_may_lock(vm);
}

int vm_may_update_slots(struct vmmu_vm *vm)
{
	int err = vm_may_change_faults(vm);

	return !err && vm_has_begun_invalidation(vm) ? -EDEADLK : err;
}

void vm_bug(struct vmmu_vm *vm, const char *what)
{
	atomic_store(&vm->is_poisoned, true);
	if (vm->env.on_bug)
		vm->env.on_bug(vm->env_ctx, what);
}

static void vm_hook_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct vmmu_vm *vm = ctx;

	if (!flush->local)
		atomic_fetch_add_explicit(&vm->flushes, 1, memory_order_relaxed);
	if (vm->env.flush)
		vm->env.flush(vm->env_ctx, flush);
	vm_event(vm, .kind = VMMU_EVENT_FLUSH, .vcpu_id = flush->local ? flush->vcpu_id : ~0u,
		 .as_id = flush->as_id, .gfn = flush->gfn_start,
		 .value = (int64_t)(flush->gfn_end - flush->gfn_start));
}

/*
 * VMMU_DIRTY_BY_BITS: an entry changed. If it was dirty and is not any more, only the log can still
 * tell that the page was written. Not for large pages: under logging they are clean, or all that
 * they map is in the log already. Whoever clears bits on purpose says so, with the lock exclusively
 * held; beside a fault, whose changes come here too, nobody does.
 */
static void vm_save_dirt(struct vmmu_vm *vm, const struct vmmu_event *event)
{
	const struct vmmu_format_ops *ops = vmmu_format_ops(vm->format);
	struct memslot *slot;

	if (event->level != 1 || ops->classify(event->old_pte, 1) != VMMU_ENTRY_LEAF ||
	    !ops->is_dirty(event->old_pte, 1))
		return;
	if (ops->classify(event->new_pte, 1) == VMMU_ENTRY_LEAF && ops->is_dirty(event->new_pte, 1))
		return;
	if (vm->is_taking_dirt)
		return;
	slot = slot_set_find(slots_active(&vm->slots, event->as_id), event->gfn, NULL);
	if (slot)
		memslot_log_dirty(slot, event->gfn);
}

static void vm_hook_event(void *ctx, const struct vmmu_event *event)
{
	struct vmmu_vm *vm = ctx;

	if (vm->dirty_source == VMMU_DIRTY_BY_BITS)
		vm_save_dirt(vm, event);
	if (vm->env.event)
		vm->env.event(vm->env_ctx, event);
}

/*
 * Does anybody want to hear of every entry that changes? Policies on what faults may ask for are
 * looked at where somebody listens: the short ways know nothing of either.
 */
static bool vm_has_listener(const struct vmmu_vm *vm)
{
	return vm->env.event || vm->dirty_source == VMMU_DIRTY_BY_BITS ||
	       (vm->policies & VM_POLICIES_ASKED);
}

static void vm_hook_bug(void *ctx, const char *what)
{
	vm_bug(ctx, what);
}

/* A caller's struct may be as large as this; what is larger has a size that was never set. */
#define STRUCT_BYTES_MAX 4096

/*
 * Take over a struct of BYTES bytes from a caller that was built against another version, into TO,
 * zeroed, of KNOWN bytes. What the caller does not know stays 0; what we do not know must be 0.
 */
static bool struct_take(void *to, size_t known, size_t min, const void *from, size_t bytes)
{
	const unsigned char *tail = from;

	if (bytes < min || bytes > STRUCT_BYTES_MAX)
		return false;
	for (size_t i = known; i < bytes; i++)
		if (tail[i])
			return false;
	memcpy(to, from, min_u64(bytes, known));
	return true;
}

static bool vm_options_take(struct vmmu_vm_options *options, struct vmmu_env *env,
			    const struct vmmu_vm_options *from)
{
	return from &&
	       struct_take(options, sizeof(*options), VMMU_VM_OPTIONS_MIN, from, from->size) &&
	       options->format && options->env &&
	       struct_take(env, sizeof(*env), VMMU_ENV_MIN, options->env, options->env->size) &&
	       env->resolve && !env->table_get == !env->table_put &&
	       (!env->table_get || options->tables);
}

/* Are these the options of a VM with rings? */
static bool vm_ring_options_are_valid(const struct vmmu_vm_options *options)
{
	uint32_t entries = options->dirty_ring_entries;
	unsigned flags = options->dirty_flags;

	if (!is_aligned(entries, entries) || entries < VMMU_DIRTY_RING_MIN ||
	    entries > VMMU_DIRTY_RING_MAX)
		return false;
	if (options->dirty_source == VMMU_DIRTY_BY_LOG && entries <= VMMU_DIRTY_LOG_ENTRIES)
		return false;
	/* Dirty bits do not say which vCPU it was. */
	if (options->dirty_source == VMMU_DIRTY_BY_BITS)
		return false;
	/* Pages that begin as written are in no ring. */
	if (flags & VMMU_DIRTY_INITIALLY_SET)
		return false;
	return !flags || (flags & VMMU_DIRTY_RING_BITMAP);
}

/* Can the format's hardware find out what the options want it to? */
static bool vm_dirty_source_is_valid(const struct vmmu_vm_options *options)
{
	switch (options->dirty_source) {
	case VMMU_DIRTY_BY_FAULTS:
		return true;
	case VMMU_DIRTY_BY_BITS:
	case VMMU_DIRTY_BY_LOG:
		return options->mode == VMMU_MODE_FAULTS &&
		       (vmmu_format_info(options->format)->caps & VMMU_CAP_HW_DIRTY);
	default:
		return false;
	}
}

static bool vm_dirty_options_are_valid(const struct vmmu_vm_options *options)
{
	unsigned flags = options->dirty_flags;
	uint32_t entries = options->dirty_ring_entries;

	if ((flags & ~VM_DIRTY_FLAGS) || !vm_dirty_source_is_valid(options))
		return false;
	if ((flags & VMMU_DIRTY_INITIALLY_SET) && !(flags & VMMU_DIRTY_MANUAL))
		return false;
	if (entries ? !vm_ring_options_are_valid(options) : flags & VMMU_DIRTY_RING_BITMAP)
		return false;
	return (!flags && !entries) || options->mode == VMMU_MODE_FAULTS;
}

static bool vm_options_are_valid(const struct vmmu_vm_options *options)
{
	const struct vmmu_geometry *geometry;

	if (options->address_spaces > VMMU_ADDRESS_SPACES_MAX)
		return false;
	if (options->mode != VMMU_MODE_FAULTS && options->mode != VMMU_MODE_RANGES)
		return false;
	if (options->root != VMMU_ROOT_DIRECT &&
	    (options->root != VMMU_ROOT_TDP || options->mode == VMMU_MODE_RANGES))
		return false;
	if (options->slot_zap != VMMU_SLOT_ZAP_ALL && options->slot_zap != VMMU_SLOT_ZAP_RANGE)
		return false;
	if (!vm_dirty_options_are_valid(options))
		return false;
	if ((unsigned)options->resize > VMMU_RESIZE_BY_FAULTS)
		return false;
	if (options->policies & ~(unsigned)VMMU_POLICIES)
		return false;
	if (options->tables && (!options->tables_hpa || !options->tables_bytes))
		return false;
	if (options->tables_max &&
	    (options->tables_max < VMMU_TABLES_MIN || options->mode == VMMU_MODE_RANGES))
		return false;
	geometry = vmmu_format_info(options->format)->geometry;
	return !options->max_level || (options->max_level <= geometry->levels &&
				       (geometry->leaf_levels & (1u << options->max_level)));
}

static unsigned geometry_max_leaf(const struct vmmu_geometry *geometry)
{
	unsigned level = geometry->levels;

	while (level > 1 && !(geometry->leaf_levels & (1u << level)))
		level--;
	return level;
}

static int vm_init_locks(struct vmmu_vm *vm)
{
	int err = pthread_mutex_init(&vm->invalidate.lock, NULL);

	if (err)
		return -err;
	err = pthread_cond_init(&vm->invalidate.idle, NULL);
	if (err)
		goto no_cond;
	err = pthread_mutex_init(&vm->rings.lock, NULL);
	if (!err)
		return 0;
	pthread_cond_destroy(&vm->invalidate.idle);
no_cond:
	pthread_mutex_destroy(&vm->invalidate.lock);
	return -err;
}

static void vm_destroy_locks(struct vmmu_vm *vm)
{
	pthread_mutex_destroy(&vm->rings.lock);
	pthread_cond_destroy(&vm->invalidate.idle);
	pthread_mutex_destroy(&vm->invalidate.lock);
}

static int vm_init(struct vmmu_vm *vm, const struct vmmu_vm_options *options)
{
	uint64_t hpa = options->tables_hpa ? options->tables_hpa : TABLES_HPA_DEFAULT;
	uint64_t bytes = options->tables_bytes ? options->tables_bytes : TABLES_BYTES_DEFAULT;
	struct slots_hooks slot_hooks = {.ctx = vm,
					 .publish_begin = vm_publish_begin,
					 .publish_end = vm_publish_end,
					 .drop = vm_slot_drop,
					 .updated = vm_slots_updated,
					 .commit = vm_slot_commit};
	struct tree_hooks tree_hooks = {.ctx = vm,
					.flush = vm_hook_flush,
					.event = vm_has_listener(vm) ? vm_hook_event : NULL,
					.bug = vm_hook_bug};
	struct frame_lender lender = {vm->env_ctx, vm->env.table_get, vm->env.table_put};
	struct tree_memory memory = {.memory = options->tables,
				     .hpa = hpa,
				     .bytes = bytes,
				     .lender = lender.get ? &lender : NULL};
	int err;

	/* A table entry must be able to point to every frame. */
	if (hpa >> vm->geometry->pa_bits || bytes > BIT64(vm->geometry->pa_bits) - hpa)
		return -EINVAL;
	err = vm_init_locks(vm);
	if (err)
		return err;
	err = slots_init(&vm->slots, vm->geometry, vm->max_level, vm->as_count, &slot_hooks);
	if (err)
		goto no_slots;
	/* Until vmmu_vcpu_set_root() asks for them. */
	atomic_store_explicit(&vm->slots.has_rmaps, vm->root_mode == VMMU_ROOT_DIRECT,
			      memory_order_relaxed);
	vm->slots.is_initially_dirty = vm->dirty_flags & VMMU_DIRTY_INITIALLY_SET;
	vm->slots.has_no_bitmaps = vm->rings.entries && !(vm->dirty_flags & VMMU_DIRTY_RING_BITMAP);
	err = tree_init_over(&vm->tree, vm->geometry, &memory, &tree_hooks);
	if (!err)
		return 0;
	slots_destroy(&vm->slots);
no_slots:
	vm_destroy_locks(vm);
	return err;
}

int vmmu_vm_create(const struct vmmu_vm_options *given, struct vmmu_vm **out)
{
	struct vmmu_vm_options options = {0};
	struct vmmu_env env = {0};
	struct vmmu_vm *vm;
	int err;

	if (!out || !vm_options_take(&options, &env, given) || !vm_options_are_valid(&options))
		return -EINVAL;
	vm = mem_alloc(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->format = options.format;
	vm->engine = engine_of_format(vm->format);
	vm->geometry = vmmu_format_info(options.format)->geometry;
	vm->env = env;
	vm->env_ctx = options.env_ctx;
	vm->max_level = options.max_level ? options.max_level : geometry_max_leaf(vm->geometry);
	vm->as_count = options.address_spaces ? options.address_spaces : 1;
	vm->nx_huge = options.nx_huge;
	vm->eager_split = options.eager_split;
	vm->mode = options.mode;
	vm->root_mode = options.root;
	vm->slot_zap = options.slot_zap;
	vm->dirty_flags = options.dirty_flags;
	vm->dirty_source = options.dirty_source;
	vm->rings.entries = options.dirty_ring_entries;
	list_init(&vm->rings.list);
	vm->resize = options.resize;
	vm->policies = options.policies;
	brlock_init(&vm->shared);
	list_init(&vm->vcpus);
	quota_init(vm, options.tables_max);
	registry_pin(vm->format);
	err = vm_init(vm, &options);
	if (err) {
		registry_unpin(vm->format);
		mem_free(vm);
		return err;
	}
	*out = vm;
	return 0;
}

void vmmu_vm_destroy(struct vmmu_vm *vm)
{
	if (!vm || sync_is_reading())
		return;
	while (!list_is_empty(&vm->vcpus))
		vmmu_vcpu_destroy(container_of(vm->vcpus.next, struct vmmu_vcpu, link));
	/*
	 * No vCPU runs, so nothing holds a translation; the rmaps give back their chunks as the
	 * tables empty.
	 */
	vm->env.flush = NULL;
	vm->env.event = NULL;
	vm->tree.hooks.event = NULL;
	vm_lock(vm);
	vm_zap_all(vm);
	if (vm->tree.live || vm->tree.links || vm->tree.mmio_entries)
		vm_bug(vm, "tables or entries left when the VM was destroyed");
	vm_unlock(vm);
	vm_rings_destroy(vm);
	slots_destroy(&vm->slots);
	/* As above, though no lock is held. */
	sync_read_lock();
	tree_destroy(&vm->tree);
	sync_read_unlock();
	vm_destroy_locks(vm);
	registry_unpin(vm->format);
	mem_free(vm);
}

const struct vmmu_format *vmmu_vm_format(const struct vmmu_vm *vm)
{
	return vm ? vm->format : NULL;
}

void vm_zap_all(struct vmmu_vm *vm)
{
	struct tree *tree = &vm->tree;
	struct list *node, *newer;

	vm->past.zap_all++;
	vm_event(vm, .kind = VMMU_EVENT_ZAP_ALL, .vcpu_id = ~0u, .generation = tree->generation);
	atomic_store_explicit(&tree->generation, tree->generation ^ 1, memory_order_release);
	tdp_invalidate_roots(vm);
	for (unsigned as = 0; as < vm->as_count; as++)
		atomic_store_explicit(vm_root(vm, VMMU_ROOT_DIRECT, as), NULL,
				      memory_order_release);
	list_for_each(vcpu_node, &vm->vcpus)
	{
		struct vmmu_vcpu *vcpu = container_of(vcpu_node, struct vmmu_vcpu, link);

		atomic_store_explicit(&vcpu->must_reload, true, memory_order_release);
		if (vm->env.kick)
			vm->env.kick(vm->env_ctx, vcpu->id);
	}
	/*
	 * All tables but those made from here on are obsolete: empty them, so that generation may
	 * turn again.
	 */
	for (node = tree->tables.prev; node != &tree->tables; node = newer) {
		struct table *table = container_of(node, struct table, link);

		newer = node->prev;
		if (table_mode(table) == VMMU_ROOT_DIRECT)
			vm->engine->table_zap(vm, table);
	}
	tdp_zap_invalid(vm);
}

int vmmu_zap_all(struct vmmu_vm *vm)
{
	int err;

	if (!vm)
		return -EINVAL;
	err = vm_may_lock(vm);
	if (err)
		return err;
	vm_lock(vm);
	vm_zap_all(vm);
	vm_unlock(vm);
	return 0;
}
