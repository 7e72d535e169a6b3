/* SPDX-License-Identifier: MIT */
/* Slot calls and dirty-log reads of a trace, brought to the format's page size. */
#include <errno.h>
#include <string.h>
#include <vmmu/dirty.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/replay_run.h"

/* May ids index our tables? The engine is asked in any case, and says what is wrong with them. */
static bool has_legal_ids(const struct vmmu_slot *slot)
{
	return slot->as_id < VMMU_ADDRESS_SPACES_MAX && slot->id < VMMU_SLOT_IDS;
}

static bool has_vanished(const struct replay_run *run, const struct vmmu_slot *slot)
{
	return has_legal_ids(slot) &&
	       run->vanished[slot->as_id][slot->id / 64] & BIT64(slot->id % 64);
}

static void set_vanished(struct replay_run *run, const struct vmmu_slot *slot)
{
	if (has_legal_ids(slot))
		run->vanished[slot->as_id][slot->id / 64] |= BIT64(slot->id % 64);
}

static void clear_vanished(struct replay_run *run, const struct vmmu_slot *slot)
{
	if (has_legal_ids(slot))
		run->vanished[slot->as_id][slot->id / 64] &= ~BIT64(slot->id % 64);
}

/*
 * Where SLOT lives when the call does not say: where it already does, where host lines say, else
 * made up.
 */
static uint64_t slot_hva(struct replay_run *run, const struct vmmu_slot *slot,
			 const struct vmmu_slot *old)
{
	uint64_t learned = replay_scan_hva(run->scan, run->unplaced++);

	if (old)
		return old->hva;
	return learned ? learned : replay_layout_hva(slot->gpa);
}

/* Bring the wanted slot into the form that the format can have. */
static struct vmmu_slot prepare(struct replay_run *run, const struct vmmu_slot *wanted,
				const struct vmmu_slot *old)
{
	struct vmmu_slot slot = *wanted;
	uint64_t offset = -slot.gpa & (BIT64(run->geometry->page_shift) - 1);

	if (!slot.bytes)
		return slot;
	if (!slot.hva) {
		slot.hva = slot_hva(run, &slot, old);
		/*
		 * The old address is that of the trimmed slot: undo, to have it trimmed alike
		 * again.
		 */
		if (old)
			slot.hva -= offset;
	}
	if (run->options->dirty_log)
		slot.flags |= VMMU_SLOT_LOG_DIRTY;
	run->report->slots_trimmed += replay_layout_trim(&slot, run->geometry->page_shift);
	return slot;
}

int replay_slot_call(struct replay_run *run, const struct vmmu_slot *wanted)
{
	struct vmmu_slot slot, old;
	bool had_old = !vmmu_slot_get(run->vm, wanted->as_id, wanted->id, &old);
	int ret;

	replay_host_settle(run);
	slot = prepare(run, wanted, had_old ? &old : NULL);
	if (has_vanished(run, &slot) && !wanted->bytes) {
		clear_vanished(run, &slot);
		return 0;
	}
	if (wanted->bytes && !slot.bytes && !had_old) {
		set_vanished(run, &slot);
		return 0;
	}
	ret = vmmu_slot_set(run->vm, &slot);
	if (ret) {
		run->report->slot_errors++;
		return 0;
	}
	clear_vanished(run, &slot);
	/*
	 * The kernel's own zap for a slot deleted or moved follows in the trace; the engine did it
	 * by itself.
	 */
	if (had_old && (run->report->faults || run->scan->has_script) &&
	    (!slot.bytes || slot.gpa != old.gpa))
		run->zaps_implied++;
	return replay_layout_set(&run->layout, &slot);
}

static int hold(struct replay_run *run, const struct vmmu_slot *slot)
{
	size_t capacity = run->held_capacity ? run->held_capacity * 2 : 64;
	struct vmmu_slot *held;

	if (run->held_count == run->held_capacity) {
		held = mem_alloc_array(capacity, sizeof(*held));
		if (!held)
			return -ENOMEM;
		if (run->held_count)
			memcpy(held, run->held, run->held_count * sizeof(*held));
		mem_free(run->held);
		run->held = held;
		run->held_capacity = capacity;
	}
	run->held[run->held_count++] = *slot;
	return 0;
}

/* The kit keeps the memory of a slot that goes: it backs one that is new to it, and no other. */
static bool is_backed_now(struct replay_run *run, const struct vmmu_slot *slot)
{
	uint64_t *word, bit = BIT64(slot->id % 64);

	if (!has_legal_ids(slot))
		return false;
	word = &run->backed[slot->as_id][slot->id / 64];
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/*
 * A slot call of a script, which may say how the host backs a new slot.
 */
static int slot_script(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_slot slot;
	int ret = replay_slot_call(run, &event->slot);

	if (ret || vmmu_slot_get(run->vm, event->slot.as_id, event->slot.id, &slot) ||
	    !is_backed_now(run, &slot))
		return ret;
	if (event->count & VMMU_TRACE_BACKED_POOL)
		replay_backing_pool(&run->backing, slot.hva, slot.hva + slot.bytes);
	if (event->count & VMMU_TRACE_BACKED_PRESENT) {
		if (event->count & VMMU_TRACE_BACKED_HUGE)
			replay_backing_prefault(&run->backing, slot.hva, slot.hva + slot.bytes);
		else
			replay_backing_prefault_small(&run->backing, slot.hva,
						      slot.hva + slot.bytes);
	}
	return 0;
}

/*
 * A layout without times comes all at once, before the first event. But the kernel drops every
 * mapping when a slot goes, and says so in the trace: where there are as many zaps as deletes, the
 * n-th zap is the n-th delete. From the first delete on the calls are held back, and each zap lets
 * one delete go and the calls up to the next.
 */
int replay_slot_event(struct replay_run *run, const struct vmmu_trace_event *event)
{
	if (run->scan->is_paced && !event->time_ns && (run->held_count || !event->slot.bytes))
		return hold(run, &event->slot);
	return slot_script(run, event);
}

int replay_slot_release(struct replay_run *run)
{
	int ret = 0;

	do {
		if (run->held_next == run->held_count)
			return 0;
		ret = replay_slot_call(run, &run->held[run->held_next++]);
	} while (!ret && run->held_next < run->held_count && run->held[run->held_next].bytes);
	return ret;
}

int replay_dirty_read(struct replay_run *run, const struct vmmu_trace_event *event)
{
	unsigned as_id = event->slot.as_id, id = event->slot.id;
	struct vmmu_slot slot;
	uint64_t *bitmap, words, count = 0;
	int ret = vmmu_slot_get(run->vm, as_id, id, &slot);

	run->report->dirty_reads++;
	if (!ret) {
		words = ((slot.bytes >> run->geometry->page_shift) + 63) / 64;
		bitmap = mem_alloc_array(words, sizeof(*bitmap));
		if (!bitmap)
			return -ENOMEM;
		ret = vmmu_dirty_get(run->vm, as_id, id, bitmap, words * 64, &count);
		mem_free(bitmap);
	}
	if (ret)
		run->report->dirty_errors++;
	else
		run->report->dirty_pages += count;
	if (run->options->compare)
		compare_called(run->options->compare, ret ? -1 : (int64_t)count);
	return 0;
}
