/* SPDX-License-Identifier: MIT */
#include "tracing/replay_scan.h"

#include <errno.h>
#include <string.h>
#include <vmmu/dirty.h>
#include <vmmu/vm.h>

#include "base/bits.h"
#include "base/mem.h"

#define PAGE_LG2 12
/* Of KVM's interface. */
#define RING_ENTRY_BYTES 16
/* A fault that no thread waits on: larger than any page number. */
#define NO_PAGE UINT64_MAX

int replay_scan_init(struct replay_scan *scan)
{
	memset(scan, 0, sizeof(*scan));
	scan->address_spaces = 1;
	scan->threads = mem_alloc_array(REPLAY_SCAN_THREADS, sizeof(*scan->threads));
	return scan->threads ? 0 : -ENOMEM;
}

void replay_scan_destroy(struct replay_scan *scan)
{
	replay_pages_clear(&scan->pages);
	mem_free(scan->threads);
	mem_free(scan->hvas);
	memset(scan, 0, sizeof(*scan));
}

/* Who caused EVENT: the thread, or the vCPU where the trace has no threads. Never 0. */
static uint64_t thread_key(const struct vmmu_trace_event *event)
{
	return event->pid ? (uint64_t)event->pid << 1 : (uint64_t)event->vcpu << 1 | 1;
}

static struct replay_scan_thread *thread_of(struct replay_scan *scan,
					    const struct vmmu_trace_event *event)
{
	uint64_t key = thread_key(event);
	struct replay_scan_thread *thread = &scan->threads[key % REPLAY_SCAN_THREADS];

	if (thread->key != key) {
		thread->key = key;
		thread->page = NO_PAGE;
	}
	return thread;
}

static int scan_fault(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	const struct vmmu_trace_fault *fault = &event->fault;

	scan->faults++;
	scan->last_gpa = max_u64(scan->last_gpa, fault->gpa);
	thread_of(scan, event)->page = fault->gpa >> PAGE_LG2;
	/* Nothing but an MMIO entry makes hardware report a reserved bit or a misconfiguration. */
	return replay_pages_add(&scan->pages, fault->gpa,
				fault->flags & VMMU_FAULT_RSVD ? REPLAY_PAGE_MMIO
							       : REPLAY_PAGE_RAM);
}

/*
 * Emulated: the thread's last fault was MMIO if it was on this page, or if the event does not say
 * which page.
 */
static int scan_mmio(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	uint64_t page = thread_of(scan, event)->page;

	if (page == NO_PAGE || (event->gpa && event->gpa >> PAGE_LG2 != page))
		return 0;
	return replay_pages_add(&scan->pages, page << PAGE_LG2, REPLAY_PAGE_MMIO);
}

static int reserve_hva(struct replay_scan *scan)
{
	size_t capacity = scan->hva_capacity ? scan->hva_capacity * 2 : 64;
	struct replay_scan_hva *hvas;

	if (scan->hva_count < scan->hva_capacity)
		return 0;
	hvas = mem_alloc_array(capacity, sizeof(*hvas));
	if (!hvas)
		return -ENOMEM;
	if (scan->hva_count)
		memcpy(hvas, scan->hvas, scan->hva_count * sizeof(*hvas));
	mem_free(scan->hvas);
	scan->hvas = hvas;
	scan->hva_capacity = capacity;
	return 0;
}

static int scan_slot(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	const struct vmmu_slot *slot = &event->slot;

	scan->has_slots = true;
	if (!event->time_ns) {
		scan->is_mixed |= scan->has_begun;
		scan->untimed_deletes += !slot->bytes;
	}
	if (slot->as_id)
		scan->address_spaces = 2;
	if (slot->hva || !slot->bytes || scan->hva_count >= REPLAY_SCAN_HVAS_MAX)
		return 0;
	if (reserve_hva(scan))
		return -ENOMEM;
	scan->hvas[scan->hva_count++].slot = *slot;
	return 0;
}

/* Slot calls looked back at for a host line's slot: it comes soon after its slot. */
#define LOOK_BACK 64u

/*
 * An older call for the same slot, which nothing was learned for: a change of flags came before the
 * first access.
 */
static bool is_same_slot(const struct replay_scan_hva *older, const struct vmmu_slot *slot)
{
	return !older->hva && older->slot.as_id == slot->as_id && older->slot.id == slot->id &&
	       older->slot.gpa == slot->gpa && older->slot.bytes == slot->bytes;
}

/* A host line says where the newest slot around its gpa lives. */
static void scan_host(struct replay_scan *scan, const struct vmmu_trace_host *host)
{
	size_t i, oldest = scan->hva_count > LOOK_BACK ? scan->hva_count - LOOK_BACK : 0;
	const struct replay_scan_hva *found = NULL;

	scan->has_host = true;
	for (i = scan->hva_count; i-- > oldest;) {
		struct replay_scan_hva *learned = &scan->hvas[i];
		uint64_t offset = host->gpa - learned->slot.gpa;

		if (found && is_same_slot(learned, &found->slot))
			learned->hva = found->hva;
		if (found || offset >= learned->slot.bytes)
			continue;
		if (learned->hva || host->hva <= offset)
			return;
		learned->hva = host->hva - offset;
		found = learned;
	}
}

/* Levels as the architecture counts: which of the two is the root's it knows. */
static void scan_entry(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	scan->has_entries = true;
	if (event->level > scan->entry_level)
		scan->entry_level = event->level;
}

/* Only what KVM takes, and a VM can be made with. */
static void scan_dirty_mode(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	uint64_t entries = event->bytes / RING_ENTRY_BYTES;

	if (event->has_reply && event->reply)
		return;
	if (event->kind == VMMU_TRACE_DIRTY_MANUAL && event->count & VMMU_DIRTY_MANUAL)
		scan->dirty_flags = event->count & (VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET);
	if (event->kind == VMMU_TRACE_DIRTY_RING && !(entries & (entries - 1)) &&
	    entries >= VMMU_DIRTY_RING_MIN && entries <= VMMU_DIRTY_RING_MAX)
		scan->ring_entries = (uint32_t)entries;
	/* There is no log that could be cleared beside rings. */
	if (scan->ring_entries)
		scan->dirty_flags = 0;
}

int replay_scan_event(struct replay_scan *scan, const struct vmmu_trace_event *event)
{
	scan->has_begun |= event->kind != VMMU_TRACE_SLOT;
	switch (event->kind) {
	case VMMU_TRACE_ZAP_ALL:
		scan->zaps++;
		return 0;
	case VMMU_TRACE_FAULT:
		return scan_fault(scan, event);
	case VMMU_TRACE_FAULT_GVA:
		scan->refused_gva++;
		thread_of(scan, event)->page = NO_PAGE;
		return 0;
	case VMMU_TRACE_MMIO:
		return scan_mmio(scan, event);
	case VMMU_TRACE_ENTRY:
		thread_of(scan, event)->page = NO_PAGE;
		return 0;
	case VMMU_TRACE_ACCESS:
		scan->has_script = true;
		return 0;
	case VMMU_TRACE_INVALIDATE_END:
		scan->has_ends = true;
		return 0;
	case VMMU_TRACE_TABLE_GET:
		if (event->level > scan->table_level)
			scan->table_level = event->level;
		return 0;
	case VMMU_TRACE_ENTRY_CHANGED:
		if (event->pte_hpa)
			scan_entry(scan, event);
		return 0;
	case VMMU_TRACE_STAGE2:
		if (event->count == VMMU_TRACE_STAGE2_MAP) {
			scan->input_bits = event->stride;
			scan->root_level = event->level;
		}
		return 0;
	case VMMU_TRACE_SLOT:
		return scan_slot(scan, event);
	case VMMU_TRACE_HOST_PAGE:
		scan_host(scan, &event->host);
		return 0;
	case VMMU_TRACE_DIRTY_MANUAL:
	case VMMU_TRACE_DIRTY_RING:
		scan_dirty_mode(scan, event);
		return 0;
	default:
		return 0;
	}
}

void replay_scan_end(struct replay_scan *scan)
{
	scan->is_paced = !scan->is_mixed && scan->zaps && scan->untimed_deletes == scan->zaps;
}

uint64_t replay_scan_hva(const struct replay_scan *scan, size_t index)
{
	return index < scan->hva_count ? scan->hvas[index].hva : 0;
}
