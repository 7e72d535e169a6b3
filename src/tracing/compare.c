/* SPDX-License-Identifier: MIT */
/* The windows of a comparison, and what the recording says in them. */
#include "tracing/compare.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/parse.h"
#include "tracing/profile.h"

/* Where tables are read, pages are of this size. */
#define COMPARE_PAGE_LG2 12

static bool compare_reserve(struct compare_list *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 256;
	struct compare_fact *facts;

	if (list->count < list->capacity)
		return true;
	facts = mem_alloc_array(capacity, sizeof(*facts));
	if (!facts)
		return false;
	if (list->count)
		memcpy(facts, list->facts, list->count * sizeof(*facts));
	mem_free(list->facts);
	list->facts = facts;
	list->capacity = capacity;
	return true;
}

void compare_add(struct vmmu_compare *compare, struct compare_list *list,
		 const struct compare_fact *fact)
{
	if (compare->fact_count >= COMPARE_FACTS_MAX) {
		list->lost++;
	} else if (compare_reserve(list)) {
		list->facts[list->count++] = *fact;
		compare->fact_count++;
	} else {
		compare->error = -ENOMEM;
	}
}

/* The fault of WINDOW is over; OTHERWISE is what it means if nothing was seen of it. */
static void compare_conclude(struct vmmu_compare *compare, struct compare_window *window,
			     enum compare_outcome otherwise)
{
	const struct compare_fault *fault = &window->fault;
	struct compare_fact fact = {
		.event = VMMU_COMPARE_OUTCOME, .address = fault->gpa, .line = compare->last_line};

	/* Where there are no probes either, all that is told is whether the guest went on. */
	if (compare->has_looks && !compare->has_probes && otherwise == COMPARE_AGAIN)
		otherwise = COMPARE_ON;
	fact.value = fault->is_fast       ? COMPARE_FIXED
		     : fault->is_spurious ? COMPARE_AGAIN
		     : fault->has_mmio    ? COMPARE_EMULATED
		     : fault->has_set     ? COMPARE_FIXED
					  : otherwise;
	if (fault->is_open)
		compare_add(compare, &window->kernel, &fact);
	window->fault = (struct compare_fault){0};
}

/*
 * Steps of a script are those of all threads but the host's own: what one of them began may come
 * while the script is a line further.
 */
static struct compare_window *compare_window_of(struct vmmu_compare *compare,
						const struct vmmu_trace_event *event)
{
	uint32_t key = event->pid ? event->pid : event->vcpu;
	/* Before the first mark nobody knows whose the script is. */
	bool is_host = compare->script_threads &&
		       compare->host_threads & ~compare->script_threads & BIT64(key % 64);

	if (!compare->has_script)
		return &compare->windows[key & (COMPARE_WINDOWS - 1)];
	return &compare->windows[is_host ? 1 + key % (COMPARE_WINDOWS - 1) : 0];
}

bool compare_is_main(const struct vmmu_compare *compare, const struct compare_window *window)
{
	return !compare->has_script || window == compare->windows;
}

static void compare_use_window(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	compare->window = compare_window_of(compare, event);
	compare->window->is_used = true;
}

void compare_turn_to(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	compare_use_window(compare, event);
	/* In its place it will say nothing any more. */
	if (event->kind == VMMU_TRACE_INVALIDATE)
		compare->window->fault.is_moved = event->count;
}

/* Learn from EVENT what its thread is. */
static void compare_meet_thread(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	if (!event->pid)
		return;
	switch (event->kind) {
	case VMMU_TRACE_FAULT:
	case VMMU_TRACE_EXIT:
	case VMMU_TRACE_HOST_PAGE:
		compare->script_threads |= BIT64(event->pid % 64);
		break;
	case VMMU_TRACE_INVALIDATE:
		compare->host_threads |= BIT64(event->pid % 64);
		break;
	default:
		if (parse_is_script_line(event))
			compare->script_threads |= BIT64(event->pid % 64);
		break;
	}
}

/*
 * The line is over: was the guest kept from going on? Exits to the VMM and exceptions of the
 * guest's own do not. Or how many pages had a dirty log?
 */
static void compare_reply(struct vmmu_compare *compare, struct compare_window *window)
{
	const struct compare_accesses *accesses = &compare->accesses;
	struct compare_fact fact = {.event = VMMU_COMPARE_RESULT,
				    .address = accesses->gpa,
				    .value = accesses->reply == -1 ? -1 : 0,
				    .line = compare->last_line};

	if (!accesses->has_reply)
		return;
	if (accesses->is_log) {
		fact.event = VMMU_COMPARE_DIRTY;
		fact.value = accesses->reply;
	}
	compare_add(compare, &window->kernel, &fact);
	fact.value = accesses->is_call             ? accesses->engine_reply
		     : accesses->has_engine_failed ? -1
						   : 0;
	compare_add(compare, &window->engine, &fact);
}

void compare_called(struct vmmu_compare *compare, int64_t result)
{
	compare->accesses.engine_reply = result;
}

void compare_page(struct vmmu_compare *compare, const struct vmmu_dirty_page *page)
{
	struct compare_fact fact = {
		.event = VMMU_COMPARE_PAGE, .address = page->page, .value = page->slot};

	if (compare->window)
		compare_add(compare, &compare->window->engine, &fact);
}

static void compare_begin_step(struct vmmu_compare *compare, struct compare_window *window,
			       const struct vmmu_trace_event *event)
{
	compare_conclude(compare, window, COMPARE_ERROR);
	compare_release(compare, window);
	if (compare_is_main(compare, window))
		compare_reply(compare, window);
	compare_settle(compare, window);
	window->step_line = event->line;
	window->has_stopped = false;
	window->stop_count = 0;
}

static uint64_t compare_slot_word(const struct vmmu_slot *slot)
{
	return (uint64_t)slot->as_id << 16 | slot->id;
}

/* Calls whose result is compared. */
static void compare_script_call(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	struct compare_accesses *accesses = &compare->accesses;

	switch (event->kind) {
	case VMMU_TRACE_DIRTY_GET:
	case VMMU_TRACE_DIRTY_CLEAR:
		accesses->gpa = compare_slot_word(&event->slot);
		break;
	case VMMU_TRACE_PREFAULT:
		accesses->gpa = event->gpa;
		break;
	case VMMU_TRACE_DIRTY_HARVEST:
		break;
	default:
		return;
	}
	accesses->is_call = true;
	accesses->is_log = event->kind == VMMU_TRACE_DIRTY_GET ||
			   event->kind == VMMU_TRACE_DIRTY_HARVEST;
}

/* Accesses at addresses of the guest's own are known by their faults alone. */
static void compare_script_line(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	compare->accesses = (struct compare_accesses){0};
	if (event->kind == VMMU_TRACE_SCRIPT)
		compare->has_paging = true;
	if (event->kind == VMMU_TRACE_ACCESS && !compare->has_paging)
		compare->accesses = (struct compare_accesses){.access = event->access,
							      .gpa = event->gpa,
							      .count = event->count,
							      .stride = event->stride};
	compare_script_call(compare, event);
	compare->accesses.is_slot = event->kind == VMMU_TRACE_SLOT && event->slot.bytes;
	/* What the host says of its own is no KVM's doing, nor are settings that go before all. */
	compare->accesses.has_reply = event->has_reply && event->kind != VMMU_TRACE_RECLAIM &&
				      event->kind != VMMU_TRACE_DIRTY_MANUAL &&
				      event->kind != VMMU_TRACE_DIRTY_RING;
	compare->accesses.reply = event->reply;
}

/* The host gave a page another frame and has KVM map it: the fault under way did not. */
static void compare_follow_probe(struct compare_window *window,
				 const struct vmmu_trace_event *event)
{
	bool is_map = event->count == VMMU_TRACE_STAGE2_MAP;

	window->fault.has_set |= event->count == VMMU_TRACE_STAGE2_RELAX ||
				 (is_map && !window->fault.is_moved);
}

/* The access is over, and did not get through if it faulted last. */
static void compare_give_up(struct vmmu_compare *compare, struct compare_window *window)
{
	struct compare_accesses *accesses = &compare->accesses;

	if (!window->fault.is_open)
		return;
	compare_conclude(compare, window, COMPARE_ERROR);
	accesses->is_emulated = accesses->has_engine_emulated = false;
	accesses->done++;
}

/* A trace that does not know its vCPUs is replayed on the first. */
static unsigned compare_vcpu(const struct vmmu_trace_event *event)
{
	return event->vcpu == UINT32_MAX ? 0 : event->vcpu & (COMPARE_VCPUS - 1);
}

unsigned compare_space(const struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	unsigned vcpu = compare_vcpu(event);

	return compare->smm[vcpu / 64] >> vcpu % 64 & 1;
}

static void compare_enter_smm(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	unsigned vcpu = compare_vcpu(event);

	compare->smm[vcpu / 64] &= ~BIT64(vcpu % 64);
	if (event->writable)
		compare->smm[vcpu / 64] |= BIT64(vcpu % 64);
}

/* What has no place in the order of facts, but says how faults ended. */
static void compare_follow(struct vmmu_compare *compare, struct compare_window *window,
			   const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_FAULT:
		compare_conclude(compare, window, COMPARE_AGAIN);
		window->fault = (struct compare_fault){.is_open = true, .gpa = event->fault.gpa};
		break;
	case VMMU_TRACE_EXIT:
		compare_conclude(compare, window, COMPARE_AGAIN);
		window->has_stopped = true;
		window->stop_count = window->kernel.count;
		break;
	case VMMU_TRACE_HOST_PAGE:
		compare_give_up(compare, window);
		break;
	case VMMU_TRACE_MMIO:
		window->fault.has_mmio = true;
		compare->accesses.is_emulated = true;
		break;
	case VMMU_TRACE_SMM:
		compare_enter_smm(compare, event);
		break;
	case VMMU_TRACE_MAP_SET:
		window->fault.has_set = true;
		break;
	case VMMU_TRACE_INVALIDATE:
		window->fault.is_moved = event->count;
		break;
	case VMMU_TRACE_STAGE2:
		compare_follow_probe(window, event);
		break;
	case VMMU_TRACE_ENTRY_CHANGED:
		/* Whoever reads tables has left the guest. */
		if (compare->has_looks)
			compare_conclude(compare, window, COMPARE_ERROR);
		break;
	case VMMU_TRACE_FAST_FIX:
		window->fault.is_fast |= event->count;
		window->fault.is_spurious |= event->stride;
		break;
	default:
		break;
	}
}

static enum vmmu_compare_event compare_event_of(const struct vmmu_trace_event *event)
{
	static const struct {
		enum vmmu_trace_kind kind;
		enum vmmu_compare_event event;
	} judged[] = {
		{VMMU_TRACE_ENTRY_CHANGED, VMMU_COMPARE_ENTRY_CHANGED},
		{VMMU_TRACE_MAP_SET, VMMU_COMPARE_MAP_SET},
		{VMMU_TRACE_MAP_REQUESTED, VMMU_COMPARE_MAP_REQUESTED},
		{VMMU_TRACE_FAST_FIX, VMMU_COMPARE_FAST_FIX},
		{VMMU_TRACE_TABLE_GET, VMMU_COMPARE_TABLE_GET},
		{VMMU_TRACE_TABLE_ZAP, VMMU_COMPARE_TABLE_ZAP},
		{VMMU_TRACE_SPLIT, VMMU_COMPARE_SPLIT},
		{VMMU_TRACE_MMIO_SET, VMMU_COMPARE_MMIO_SET},
		{VMMU_TRACE_MMIO_CHECK, VMMU_COMPARE_MMIO_CHECK},
		{VMMU_TRACE_ZAP_ALL, VMMU_COMPARE_ZAP_ALL},
		{VMMU_TRACE_DIRTY_PAGE, VMMU_COMPARE_PAGE},
	};

	static const enum vmmu_compare_event probes[] = {
		[VMMU_TRACE_STAGE2_MAP] = VMMU_COMPARE_STAGE2_MAP,
		[VMMU_TRACE_STAGE2_UNMAP] = VMMU_COMPARE_STAGE2_UNMAP,
		[VMMU_TRACE_STAGE2_PROTECT] = VMMU_COMPARE_STAGE2_PROTECT,
		[VMMU_TRACE_STAGE2_RELAX] = VMMU_COMPARE_STAGE2_RELAX,
	};

	if (event->kind == VMMU_TRACE_ENTRY_CHANGED && event->pte_hpa)
		return VMMU_COMPARE_ENTRY;
	if (event->kind == VMMU_TRACE_STAGE2)
		return probes[event->count];
	for (unsigned i = 0; i < ARRAY_COUNT(judged); i++)
		if (judged[i].kind == event->kind)
			return judged[i].event;
	return VMMU_COMPARE_EVENTS;
}

static void compare_judged_entry(const struct vmmu_compare *compare,
				 const struct vmmu_trace_event *event, struct compare_fact *fact)
{
	const char *architecture = vmmu_format_info(compare->format)->architecture;

	fact->as_id = event->slot.as_id;
	fact->pte_hpa = event->pte_hpa;
	if (event->pte_hpa)
		fact->level = profile_level(architecture, event->level);
}

/* The level whose pages have BYTES; 0: none. */
static unsigned compare_level_of(const struct vmmu_compare *compare, uint64_t bytes)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(compare->format)->geometry;

	for (unsigned level = 1; level <= geometry->levels; level++)
		if (bytes == BIT64(geometry->shift[level]))
			return level;
	return 0;
}

static void compare_judged_probe(const struct vmmu_compare *compare,
				 const struct vmmu_trace_event *event, struct compare_fact *fact)
{
	fact->address = event->gpa >> COMPARE_PAGE_LG2;
	fact->access = event->access;
	fact->level = 0;
	if (event->count == VMMU_TRACE_STAGE2_MAP)
		fact->level = compare_level_of(compare, event->bytes);
	else
		fact->value = (int64_t)(event->bytes >> COMPARE_PAGE_LG2);
}

/* What EVENT says that must be the same. Members that it does not have are 0 in it. */
static void compare_judged(struct vmmu_compare *compare, struct compare_window *window,
			   const struct vmmu_trace_event *event)
{
	struct compare_fact fact = {
		.event = compare_event_of(event),
		.level = event->level,
		.address = event->gfn,
		.pfn = event->pfn,
		.old_pte = event->old_pte,
		.new_pte = event->new_pte,
		.generation = event->generation,
		.line = event->line,
	};

	switch (event->kind) {
	case VMMU_TRACE_ENTRY_CHANGED:
		compare_judged_entry(compare, event, &fact);
		break;
	case VMMU_TRACE_STAGE2:
		compare_judged_probe(compare, event, &fact);
		break;
	case VMMU_TRACE_MAP_SET:
		fact.access = event->access;
		fact.pte_hpa = event->pte_hpa;
		break;
	case VMMU_TRACE_FAST_FIX:
		fact.address = event->gpa;
		fact.value = event->count ? COMPARE_FIXED : COMPARE_ERROR;
		if (event->stride)
			fact.value = event->count ? COMPARE_ERROR : COMPARE_AGAIN;
		break;
	case VMMU_TRACE_TABLE_GET:
		fact.value = event->writable;
		break;
	case VMMU_TRACE_SPLIT:
		fact.value = (int64_t)event->count;
		break;
	case VMMU_TRACE_DIRTY_PAGE:
		fact.value = (int64_t)compare_slot_word(&event->slot);
		break;
	case VMMU_TRACE_MMIO_SET:
		/* KVM 7 prints a bit of the generation with them. */
		fact.access = event->access & VMMU_RWX;
		break;
	case VMMU_TRACE_MMIO_CHECK:
		fact.current = event->count;
		fact.value = event->writable;
		break;
	default:
		break;
	}
	compare_add(compare, &window->kernel, &fact);
}

/* A root that is invalid already is told once more when its last vCPU leaves it. */
static bool compare_is_judged(const struct vmmu_trace_event *event)
{
	if (event->kind == VMMU_TRACE_TABLE_ZAP && event->count)
		return false;
	return compare_event_of(event) != VMMU_COMPARE_EVENTS;
}

/*
 * A line of the script is over. What the host's own threads changed then, and was not told before
 * the next line began, the kit sees in that one.
 */
static bool compare_is_line_look(struct vmmu_compare *compare)
{
	bool is_look = compare->has_changed || !compare->is_host_change_new;

	compare->is_host_change_new = false;
	return is_look;
}

/*
 * Had the kit read the tables before it, or at it, told EVENT? It does so when an access is over,
 * before its `host` line, and when a line is.
 */
static bool compare_is_look(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_ENTRY_CHANGED:
		return true;
	case VMMU_TRACE_HOST_PAGE:
		return compare->is_look_due || compare->window->fault.is_open;
	case VMMU_TRACE_FAULT:
	case VMMU_TRACE_EXIT:
		return compare->is_look_due;
	default:
		return parse_is_script_line(event) && compare_is_line_look(compare);
	}
}

/* A line of the script, a fault without one, an invalidation of a thread of the host's own. */
static bool compare_is_step(const struct vmmu_compare *compare,
			    const struct vmmu_trace_event *event)
{
	if (!compare_is_main(compare, compare->window))
		return event->kind == VMMU_TRACE_INVALIDATE;
	return compare->has_script ? parse_is_script_line(event) : event->kind == VMMU_TRACE_FAULT;
}

int compare_recorded(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	struct compare_window *window;
	bool is_mark = parse_is_script_line(event);

	compare_meet_thread(compare, event);
	compare_use_window(compare, event);
	window = compare->window;
	if (compare->has_looks && compare_is_look(compare, event))
		compare_look(compare, window);
	if (compare_is_step(compare, event))
		compare_begin_step(compare, window, event);
	if (is_mark)
		compare_script_line(compare, event);
	if (!is_mark)
		compare->last_line = event->line;
	compare_follow(compare, window, event);
	if (event->kind == VMMU_TRACE_FAULT)
		compare_fault(compare, event);
	if (compare_is_judged(event))
		compare_judged(compare, window, event);
	return compare->error;
}

/* Does FACT take something away, as the end of a VM does? */
static bool compare_is_removal(const struct vmmu_compare *compare, const struct compare_fact *fact)
{
	enum vmmu_compare_entry entry = compare_entry(compare, fact->new_pte, fact->level);

	switch (fact->event) {
	case VMMU_COMPARE_ENTRY_CHANGED:
		return entry == VMMU_COMPARE_ABSENT || entry == VMMU_COMPARE_FROZEN;
	case VMMU_COMPARE_TABLE_ZAP:
	case VMMU_COMPARE_ZAP_ALL:
	case VMMU_COMPARE_STAGE2_UNMAP:
		return true;
	default:
		return false;
	}
}

/*
 * Behind the last thing that the guest did, and all that the engine did, the recording tells of the
 * VM's end.
 */
static void compare_cut_teardown(struct vmmu_compare *compare, struct compare_window *window)
{
	struct compare_list *kernel = &window->kernel;
	size_t end = window->has_stopped ? window->stop_count : window->engine.count;

	while (kernel->count > end &&
	       compare_is_removal(compare, &kernel->facts[kernel->count - 1])) {
		kernel->count--;
		compare->fact_count--;
		compare->teardown++;
	}
}

int compare_end(struct vmmu_compare *compare)
{
	for (unsigned i = 0; i < COMPARE_WINDOWS; i++) {
		struct compare_window *window = &compare->windows[i];
		bool is_last = window == (compare->has_script ? compare->windows : compare->window);

		if (!window->is_used)
			continue;
		compare_release(compare, window);
		if (compare->has_looks && is_last && compare_is_line_look(compare))
			compare_look(compare, window);
		compare_cut_teardown(compare, window);
		compare_conclude(compare, window, COMPARE_ERROR);
		if (compare->has_script && is_last)
			compare_reply(compare, window);
		compare_settle(compare, window);
	}
	/* What the VM does from here on, down to its end, has no counterpart. */
	compare->window = NULL;
	return compare->error;
}
