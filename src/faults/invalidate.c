/* SPDX-License-Identifier: MIT */
/*
 * Host invalidations against faults. A fault reads seq, looks the page up, and checks under the
 * lock:
 *
 * 	fault                              invalidation
 * 	seq = load(seq)
 * 	page = resolve()
 * 	                                   begin: lock; in_progress++; range; zap; unlock
 * 	                                   (host changes the page)
 * 	                                   end: lock; seq++; in_progress--; unlock
 * 	lock; in range and in progress?
 * 	      or seq changed? -> RETRY
 *
 * Whatever the order, a page looked up before the change is not mapped after the zap.
 *
 * Slot sets do not change between a begin and its end (vm_publish_begin() waits), so both meet the
 * same slots.
 */
#include <errno.h>
#include <vmmu/invalidate.h>

#include "base/sync.h"
#include "faults/vm.h"

void vm_publish_begin(void *ctx)
{
	struct vmmu_vm *vm = ctx;

	pthread_mutex_lock(&vm->invalidate.lock);
	while (vm->invalidate.active)
		pthread_cond_wait(&vm->invalidate.idle, &vm->invalidate.lock);
}

void vm_publish_end(void *ctx)
{
	struct vmmu_vm *vm = ctx;

	pthread_mutex_unlock(&vm->invalidate.lock);
}

bool vm_is_invalidating(const struct vmmu_vm *vm, uint64_t start, uint64_t end)
{
	const struct vm_invalidate *inv = &vm->invalidate;

	return atomic_load_explicit(&inv->in_progress, memory_order_relaxed) &&
	       start < atomic_load_explicit(&inv->gfn_end, memory_order_relaxed) &&
	       end > atomic_load_explicit(&inv->gfn_start, memory_order_relaxed);
}

/* What an invalidation met so far. */
struct invalidate_run {
	struct vmmu_vm *vm;
	bool has_met;
};

/* Locked. The hull of several ranges is one range: retrying a fault too many costs little. */
static void invalidate_widen(struct vm_invalidate *inv, uint64_t start, uint64_t end)
{
	uint64_t old_start = atomic_load_explicit(&inv->gfn_start, memory_order_relaxed);
	uint64_t old_end = atomic_load_explicit(&inv->gfn_end, memory_order_relaxed);

	atomic_store_explicit(&inv->gfn_start, min_u64(old_start, start), memory_order_relaxed);
	atomic_store_explicit(&inv->gfn_end, max_u64(old_end, end), memory_order_relaxed);
}

/* Locked: the first range of an invalidation comes. */
static void invalidate_meet(struct vm_invalidate *inv)
{
	if (!atomic_load_explicit(&inv->in_progress, memory_order_relaxed)) {
		atomic_store_explicit(&inv->gfn_start, UINT64_MAX, memory_order_relaxed);
		atomic_store_explicit(&inv->gfn_end, 0, memory_order_relaxed);
	}
	inv->total++;
}

static int invalidate_part(void *ctx, const struct slot_range *range)
{
	struct invalidate_run *run = ctx;
	struct vm_invalidate *inv = &run->vm->invalidate;

	if (!run->has_met)
		invalidate_meet(inv);
	run->has_met = true;
	invalidate_widen(inv, range->start, range->end);
	run->vm->engine->zap_range(run->vm, range);
	return 0;
}

static int invalidate_met(void *ctx, const struct slot_range *range)
{
	struct invalidate_run *run = ctx;

	(void)range;
	run->has_met = true;
	return 1;
}

/* Locked: call FN for each slot part of every address space behind RANGE. */
static void invalidate_each(struct vmmu_vm *vm, const struct vmmu_hva_range *range,
			    int (*fn)(void *ctx, const struct slot_range *range), void *ctx)
{
	for (unsigned as = 0; as < vm->as_count; as++)
		slot_set_for_hva(slots_active(&vm->slots, as), &vm->slots, range->start, range->end,
				 fn, ctx);
}

/* Remember RANGE's begin. */
static void invalidate_track(struct vm_invalidate *inv, const struct vmmu_hva_range *range)
{
	pthread_mutex_lock(&inv->lock);
	inv->active++;
	if (inv->tracked_count < INVALIDATE_TRACKED) {
		inv->tracked[inv->tracked_count].start = range->start;
		inv->tracked[inv->tracked_count].end = range->end;
		inv->tracked[inv->tracked_count].thread = sync_self();
		inv->tracked_count++;
	}
	pthread_mutex_unlock(&inv->lock);
}

/* Was there a begin for RANGE? Exact unless more are under way than are tracked. */
static bool invalidate_has_begun(struct vm_invalidate *inv, const struct vmmu_hva_range *range,
				 uint64_t *index)
{
	for (*index = 0; *index < inv->tracked_count; (*index)++)
		if (inv->tracked[*index].start == range->start &&
		    inv->tracked[*index].end == range->end)
			return true;
	return inv->active > inv->tracked_count;
}

/* Forget RANGE's begin, once everything else of its end is done; slot updates may go on. */
static void invalidate_untrack(struct vm_invalidate *inv, const struct vmmu_hva_range *range)
{
	uint64_t index;

	pthread_mutex_lock(&inv->lock);
	if (invalidate_has_begun(inv, range, &index) && index < inv->tracked_count)
		inv->tracked[index] = inv->tracked[--inv->tracked_count];
	if (--inv->active == 0)
		pthread_cond_broadcast(&inv->idle);
	pthread_mutex_unlock(&inv->lock);
}

bool vm_has_begun_invalidation(struct vmmu_vm *vm)
{
	struct vm_invalidate *inv = &vm->invalidate;
	bool has_begun = false;

	pthread_mutex_lock(&inv->lock);
	for (uint64_t i = 0; i < inv->tracked_count; i++)
		has_begun |= inv->tracked[i].thread == sync_self();
	pthread_mutex_unlock(&inv->lock);
	return has_begun;
}

int vmmu_invalidate_begin(struct vmmu_vm *vm, const struct vmmu_hva_range *range)
{
	struct invalidate_run run = {.vm = vm};
	int err;

	if (!vm || !range || range->start >= range->end)
		return -EINVAL;
	err = vm_may_lock(vm);
	if (err)
		return err;
	invalidate_track(&vm->invalidate, range);
	vm_lock(vm);
	invalidate_each(vm, range, invalidate_part, &run);
	if (run.has_met)
		atomic_fetch_add_explicit(&vm->invalidate.in_progress, 1, memory_order_release);
	vm_unlock(vm);
	return 0;
}

/* Locked: an invalidation that met a slot is over. */
static void invalidate_finish(struct vm_invalidate *inv)
{
	/*
	 * Pairs with the acquire in fault_find_slot(): a fault that reads the new number finds the
	 * host's new page, too. (The lock does not say so: the number is read without it.)
	 */
	atomic_fetch_add_explicit(&inv->seq, 1, memory_order_release);
	/*
	 * Pairs with the acquires in vm_must_retry(): not in progress any more means that seq has
	 * moved.
	 */
	atomic_fetch_sub_explicit(&inv->in_progress, 1, memory_order_release);
}

void vm_invalidate_gfns_begin(struct vmmu_vm *vm, uint64_t start, uint64_t end)
{
	struct vm_invalidate *inv = &vm->invalidate;

	invalidate_meet(inv);
	invalidate_widen(inv, start, end);
	atomic_fetch_add_explicit(&inv->in_progress, 1, memory_order_release);
}

void vm_invalidate_gfns_end(struct vmmu_vm *vm)
{
	invalidate_finish(&vm->invalidate);
}

int vmmu_invalidate_end(struct vmmu_vm *vm, const struct vmmu_hva_range *range)
{
	struct invalidate_run run = {.vm = vm};
	bool has_begun;
	uint64_t index;
	int err;

	if (!vm || !range || range->start >= range->end)
		return -EINVAL;
	err = vm_may_lock(vm);
	if (err)
		return err;
	pthread_mutex_lock(&vm->invalidate.lock);
	has_begun = invalidate_has_begun(&vm->invalidate, range, &index);
	pthread_mutex_unlock(&vm->invalidate.lock);
	if (!has_begun)
		return -EINVAL;
	vm_lock(vm);
	invalidate_each(vm, range, invalidate_met, &run);
	if (run.has_met)
		invalidate_finish(&vm->invalidate);
	vm_unlock(vm);
	invalidate_untrack(&vm->invalidate, range);
	return 0;
}

/* A remap under way. */
struct remap_run {
	struct vmmu_vm *vm;
	const struct vmmu_page *page;
	bool has_met;
};

static int remap_part(void *ctx, const struct slot_range *range)
{
	struct remap_run *run = ctx;

	run->has_met = true;
	/* A private page is not the one at the hva. */
	if (!vm_is_private(run->vm, range->start))
		run->vm->engine->remap(run->vm, range, run->page);
	return 0;
}

static bool remap_arguments_are_valid(const struct vmmu_vm *vm, uint64_t hva,
				      const struct vmmu_page *page)
{
	const struct vmmu_geometry *geometry = vm->geometry;
	uint64_t bytes = BIT64(geometry->page_shift);

	return is_aligned(hva, bytes) && hva + bytes > hva &&
	       !(page->pfn >> (geometry->pa_bits - geometry->page_shift)) &&
	       page->memtype <= VMMU_MEM_DEVICE;
}

int vmmu_remap(struct vmmu_vm *vm, uint64_t hva, const struct vmmu_page *page)
{
	struct remap_run run = {.vm = vm, .page = page};
	struct vmmu_hva_range range;
	int err;

	if (!vm || !page || !remap_arguments_are_valid(vm, hva, page))
		return -EINVAL;
	err = vm_may_change_faults(vm);
	if (err)
		return err;
	range = (struct vmmu_hva_range){hva, hva + BIT64(vm->geometry->page_shift)};
	vm_lock(vm);
	invalidate_each(vm, &range, remap_part, &run);
	/* Begin and end in one: who looked the page up before takes it for out of date. */
	if (run.has_met)
		atomic_fetch_add_explicit(&vm->invalidate.seq, 1, memory_order_release);
	vm_unlock(vm);
	return 0;
}
