/* SPDX-License-Identifier: MIT */
/* Dirty rings as the public API has them, and writes that no table saw. */
#include <errno.h>
#include <vmmu/dirty.h>

#include "base/sync.h"
#include "faults/vm.h"

#define WORD_BITS 64
/* Words of 64 pages that are protected under one hold of the lock. */
#define RESET_WORDS 256

int vcpu_ring_open(struct vmmu_vcpu *vcpu)
{
	struct vm_rings *rings = &vcpu->vm->rings;
	uint32_t reserved = VMMU_DIRTY_RING_RESERVED;

	if (!rings->entries)
		return 0;
	if (vcpu->vm->dirty_source == VMMU_DIRTY_BY_LOG)
		reserved += VMMU_DIRTY_LOG_ENTRIES;
	vcpu->ring = ring_create(rings->entries, reserved);
	if (!vcpu->ring)
		return -ENOMEM;
	vcpu->ring->has_writer = true;
	pthread_mutex_lock(&rings->lock);
	list_insert(rings->list.prev, &vcpu->ring->link);
	pthread_mutex_unlock(&rings->lock);
	return 0;
}

/* Rings lock held: RING goes, if nobody writes to it any more and nothing is left in it. */
static void ring_drop(struct dirty_ring *ring)
{
	if (ring->has_writer || !ring_is_empty(ring))
		return;
	list_remove(&ring->link);
	ring_destroy(ring);
}

void vcpu_ring_close(struct vmmu_vcpu *vcpu)
{
	struct vm_rings *rings = &vcpu->vm->rings;

	if (!vcpu->ring)
		return;
	pthread_mutex_lock(&rings->lock);
	vcpu->ring->has_writer = false;
	ring_drop(vcpu->ring);
	pthread_mutex_unlock(&rings->lock);
	vcpu->ring = NULL;
}

void vm_rings_destroy(struct vmmu_vm *vm)
{
	struct list *list = &vm->rings.list;

	while (!list_is_empty(list)) {
		struct dirty_ring *ring = container_of(list->next, struct dirty_ring, link);

		list_remove(&ring->link);
		ring_destroy(ring);
	}
}

void vcpu_push_dirty(struct vmmu_vcpu *vcpu, struct memslot *slot, uint64_t gfn)
{
	uint32_t place = (uint32_t)slot->as_id << 16 | slot->id;

	if (unlikely(!ring_push(vcpu->ring, place, gfn - slot->base_gfn)))
		vm_bug(vcpu->vm, "a page was written, and its vCPU's dirty ring has no room");
}

int vmmu_dirty_ring_harvest(struct vmmu_vm *vm, struct vmmu_dirty_page *pages, uint64_t max,
			    uint64_t *count)
{
	uint64_t found = 0;
	int err;

	if (!vm || !pages || !count)
		return -EINVAL;
	if (!vm->rings.entries)
		return -ENXIO;
	err = vm_may_lock(vm);
	if (err)
		return err;
	pthread_mutex_lock(&vm->rings.lock);
	list_for_each(node, &vm->rings.list) found += ring_harvest(
		container_of(node, struct dirty_ring, link), pages + found, max - found);
	pthread_mutex_unlock(&vm->rings.lock);
	*count = found;
	return 0;
}

/*
 * Locked, with the slots lock: protect what WORD stands for, as far as the slot of that name still
 * has it: it may be another one by now. Each entry that changes owes its flush; one that does not
 * was flushed by whoever changed it.
 */
static void reset_word(struct vmmu_vm *vm, const struct ring_word *word)
{
	struct memslot *slot = slots_by_id(&vm->slots, word->slot >> 16, word->slot & 0xffff);
	uint64_t mask = word->mask, room;

	if (!slot || !(slot->flags & VMMU_SLOT_LOG_DIRTY) || word->first >= slot->gfns)
		return;
	room = slot->gfns - word->first;
	if (room < WORD_BITS)
		mask &= BIT64(room) - 1;
	if (mask)
		vm->engine->dirty_arm(vm, slot, slot->base_gfn + word->first, mask);
}

/* Slots lock and rings lock held. Returns how many entries were reset. */
static uint64_t reset_ring(struct vmmu_vm *vm, struct dirty_ring *ring)
{
	uint64_t first = atomic_load_explicit(&ring->reset, memory_order_relaxed), at = first;

	while (at < ring->harvested) {
		struct ring_word word;

		vm_lock(vm);
		for (unsigned i = 0; i < RESET_WORDS && ring_next_word(ring, &at, &word); i++)
			reset_word(vm, &word);
		vm_unlock(vm);
		ring_set_reset(ring, at);
	}
	return at - first;
}

static uint64_t reset_rings(struct vmmu_vm *vm)
{
	struct list *list = &vm->rings.list, *next;
	uint64_t count = 0;

	for (struct list *node = list->next; node != list; node = next) {
		struct dirty_ring *ring = container_of(node, struct dirty_ring, link);

		next = node->next;
		count += reset_ring(vm, ring);
		ring_drop(ring);
	}
	return count;
}

int vmmu_dirty_ring_reset(struct vmmu_vm *vm, uint64_t *count)
{
	uint64_t found;
	int err;

	if (!vm)
		return -EINVAL;
	if (!vm->rings.entries)
		return -ENXIO;
	err = vm_may_lock(vm);
	if (err)
		return err;
	pthread_mutex_lock(&vm->slots.lock);
	pthread_mutex_lock(&vm->rings.lock);
	found = reset_rings(vm);
	pthread_mutex_unlock(&vm->rings.lock);
	pthread_mutex_unlock(&vm->slots.lock);
	if (count)
		*count = found;
	return 0;
}

/* Under RCU: gfn was written by VCPU. */
static void log_gfn(struct vmmu_vcpu *vcpu, uint64_t gfn)
{
	const struct slot_set *set = slots_active(&vcpu->vm->slots, vcpu->as_id);
	struct memslot *slot = slot_set_find(set, gfn, &vcpu->slot_cache);

	if (slot)
		vcpu_mark_dirty(vcpu, slot, gfn);
}

int vmmu_dirty_log(struct vmmu_vcpu *vcpu, const uint64_t *gpas, uint64_t count, uint64_t *done)
{
	struct vmmu_vm *vm;
	uint64_t i;

	if (!vcpu || !gpas)
		return -EINVAL;
	vm = vcpu->vm;
	if (vm->mode == VMMU_MODE_RANGES)
		return -ENOTSUP;
	if (vcpu_is_busy(vcpu))
		return -EBUSY;
	if (vm_is_poisoned(vm))
		return -EIO;
	sync_read_lock();
	for (i = 0; i < count && (!vcpu->ring || ring_room(vcpu->ring)); i++)
		log_gfn(vcpu, gpas[i] >> vm->geometry->page_shift);
	sync_read_unlock();
	if (done)
		*done = i;
	return i < count ? -ENOSPC : 0;
}

/* Under RCU: mark gfns [start, end) of SET's slots. */
static void mark_gfns(const struct slot_set *set, uint64_t start, uint64_t end)
{
	for (size_t i = slot_set_first(set, start); i < set->count; i++) {
		struct memslot *slot = set->by_gfn[i];
		uint64_t last = min_u64(end, slot->base_gfn + slot->gfns);

		if (slot->base_gfn >= end)
			break;
		for (uint64_t gfn = max_u64(start, slot->base_gfn); slot->dirty && gfn < last;
		     gfn++)
			memslot_log_dirty(slot, gfn);
	}
}

int vmmu_dirty_mark(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa, uint64_t bytes)
{
	unsigned shift;

	if (!vm || as_id >= vm->as_count || gpa + bytes < gpa)
		return -EINVAL;
	if (vm->mode == VMMU_MODE_RANGES)
		return -ENOTSUP;
	if (vm->slots.has_no_bitmaps)
		return -ENXIO;
	if (vm_is_poisoned(vm))
		return -EIO;
	shift = vm->geometry->page_shift;
	if (!bytes)
		return 0;
	sync_read_lock();
	mark_gfns(slots_active(&vm->slots, as_id), gpa >> shift, ((gpa + bytes - 1) >> shift) + 1);
	sync_read_unlock();
	return 0;
}
