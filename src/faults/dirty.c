/* SPDX-License-Identifier: MIT */
/*
 * Dirty logs as the public API has them. Bits are taken first and entries looked at afterwards,
 * under the lock: see memory/dirty_log.h for why no write falls between.
 */
#include <errno.h>
#include <vmmu/dirty.h>

#include "base/bits.h"
#include "faults/vm.h"

/* What is under way for a slot whose log is read or cleared. */
struct dirty_run {
	struct vmmu_vm *vm;
	struct memslot *slot;
	uint64_t count; /* bits found */
};

/* Locked: pages MASK of word INDEX were taken out of the log; their next write must be seen. */
static void dirty_taken(struct dirty_run *run, uint64_t index, uint64_t mask)
{
	if (!mask)
		return;
	run->count += (uint64_t)__builtin_popcountll(mask);
	run->vm->engine->dirty_arm(run->vm, run->slot,
				   run->slot->base_gfn + index * DIRTY_WORD_PAGES, mask);
}

/*
 * Locked: owe the flush for what was taken. It is due whether or not an entry changed: one that was
 * protected earlier may still be writable in a TLB.
 */
static void dirty_owe(const struct dirty_run *run)
{
	const struct memslot *slot = run->slot;

	if (run->count)
		tree_owe_flush(&run->vm->tree, slot->as_id, slot->base_gfn,
			       slot->base_gfn + slot->gfns);
}

/* Locked: what entries alone know goes into the log. */
static void dirty_collect(const struct dirty_run *run)
{
	const struct slot_range all = {run->slot, run->slot->base_gfn,
				       run->slot->base_gfn + run->slot->gfns};

	if (run->vm->dirty_source == VMMU_DIRTY_BY_BITS)
		run->vm->engine->dirty_scan(run->vm, &all, DIRTY_NOTE);
}

/* Move the slot's log into BITMAP. */
static void dirty_reap(struct dirty_run *run, uint64_t *bitmap)
{
	uint64_t words = dirty_words(run->slot->gfns);

	vm_lock(run->vm);
	dirty_collect(run);
	for (uint64_t i = 0; i < words; i++) {
		bitmap[i] = memslot_dirty_take(run->slot, i);
		dirty_taken(run, i, bitmap[i]);
	}
	dirty_owe(run);
	vm_unlock(run->vm);
}

/* Copy the slot's log into BITMAP; nothing is promised of pages before they are cleared. */
static void dirty_copy(struct dirty_run *run, uint64_t *bitmap)
{
	uint64_t words = dirty_words(run->slot->gfns);

	if (run->vm->dirty_source == VMMU_DIRTY_BY_BITS) {
		vm_lock(run->vm);
		dirty_collect(run);
		vm_unlock(run->vm);
	}
	for (uint64_t i = 0; i < words; i++) {
		bitmap[i] = memslot_dirty_peek(run->slot, i);
		run->count += (uint64_t)__builtin_popcountll(bitmap[i]);
	}
}

/*
 * Locked, but not all the time: large pages of what is about to be cleared of word INDEX become
 * small ones, if that is asked for. Without memory for it they are protected as they are.
 */
static void dirty_split(const struct dirty_run *run, uint64_t index, uint64_t wanted)
{
	const struct vmmu_geometry *geometry = run->vm->geometry;
	uint64_t gfn = run->slot->base_gfn + index * DIRTY_WORD_PAGES, found, last;
	struct slot_range part = {.slot = run->slot};

	if (!run->vm->eager_split)
		return;
	found = wanted & memslot_dirty_peek(run->slot, index);
	if (!found)
		return;
	part.start = gfn + (unsigned)__builtin_ctzll(found);
	last = gfn + 63 - (unsigned)__builtin_clzll(found);
	part.end = last + 1;
	if ((run->vm->policies & VMMU_POLICY_SPLIT_BUT_LAST) &&
	    is_aligned(last, BIT64(geometry->shift[2] - geometry->page_shift)))
		part.end = last;
	(void)vm_split_range(run->vm, &part);
}

static void dirty_clear(struct dirty_run *run, const struct vmmu_dirty_range *range)
{
	uint64_t words = dirty_words(range->pages);

	vm_lock(run->vm);
	for (uint64_t i = 0; i < words; i++) {
		uint64_t index = range->first / DIRTY_WORD_PAGES + i;

		dirty_split(run, index, range->bitmap[i]);
		dirty_taken(run, index,
			    memslot_dirty_take_some(run->slot, index, range->bitmap[i]));
	}
	dirty_owe(run);
	vm_unlock(run->vm);
}

/* May the bitmaps of VM be asked for? */
static int dirty_may_ask(const struct vmmu_vm *vm)
{
	return vm->slots.has_no_bitmaps ? -ENXIO : vm_may_lock(vm);
}

/* Slots lock held: the slot, which logs into a bitmap. 0, -ENOENT. */
static int dirty_find_slot(struct dirty_run *run, unsigned as_id, unsigned id)
{
	run->slot = slots_by_id(&run->vm->slots, as_id, id);
	return run->slot && run->slot->dirty ? 0 : -ENOENT;
}

int vmmu_dirty_get(struct vmmu_vm *vm, unsigned as_id, unsigned id, uint64_t *bitmap, uint64_t bits,
		   uint64_t *count)
{
	struct dirty_run run = {.vm = vm};
	int err;

	if (!vm || !bitmap || !vm_has_slot_ids(vm, as_id, id))
		return -EINVAL;
	err = dirty_may_ask(vm);
	if (err)
		return err;
	pthread_mutex_lock(&vm->slots.lock);
	err = dirty_find_slot(&run, as_id, id);
	if (!err && bits < align_up(run.slot->gfns, DIRTY_WORD_PAGES))
		err = -EINVAL;
	if (!err && (vm->dirty_flags & VMMU_DIRTY_MANUAL))
		dirty_copy(&run, bitmap);
	else if (!err)
		dirty_reap(&run, bitmap);
	pthread_mutex_unlock(&vm->slots.lock);
	if (!err && count)
		*count = run.count;
	return err;
}

/* Does RANGE lie in SLOT, and end at a word's end or at the slot's? */
static bool dirty_range_fits(const struct memslot *slot, const struct vmmu_dirty_range *range)
{
	uint64_t room;

	if (range->first > slot->gfns)
		return false;
	room = slot->gfns - range->first;
	return range->pages == room ||
	       (range->pages < room && is_aligned(range->pages, DIRTY_WORD_PAGES));
}

int vmmu_dirty_clear(struct vmmu_vm *vm, const struct vmmu_dirty_range *range, uint64_t *count)
{
	struct dirty_run run = {.vm = vm};
	int err;

	if (!vm || !range || !range->bitmap || !vm_has_slot_ids(vm, range->as_id, range->id) ||
	    !is_aligned(range->first, DIRTY_WORD_PAGES))
		return -EINVAL;
	err = dirty_may_ask(vm);
	if (err)
		return err;
	pthread_mutex_lock(&vm->slots.lock);
	err = dirty_find_slot(&run, range->as_id, range->id);
	if (!err && !dirty_range_fits(run.slot, range))
		err = -EINVAL;
	if (!err)
		dirty_clear(&run, range);
	pthread_mutex_unlock(&vm->slots.lock);
	if (!err && count)
		*count = run.count;
	return err;
}
