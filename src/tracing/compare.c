/* SPDX-License-Identifier: MIT */
/* The windows of a comparison, and what the recording says in them. */
#include "tracing/compare.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/parse.h"

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

	fact.value = fault->is_fast       ? COMPARE_FIXED
		     : fault->is_spurious ? COMPARE_AGAIN
		     : fault->has_mmio    ? COMPARE_EMULATED
		     : fault->has_set     ? COMPARE_FIXED
					  : otherwise;
	if (fault->is_open)
		compare_add(compare, &window->kernel, &fact);
	window->fault = (struct compare_fault){0};
}

/* Steps of a script are those of all threads. */
static struct compare_window *compare_window_of(struct vmmu_compare *compare,
						const struct vmmu_trace_event *event)
{
	uint32_t key = event->pid ? event->pid : event->vcpu;

	return &compare->windows[compare->has_script ? 0 : key & (COMPARE_WINDOWS - 1)];
}

static void compare_begin_step(struct vmmu_compare *compare, struct compare_window *window,
			       const struct vmmu_trace_event *event)
{
	compare_conclude(compare, window, COMPARE_ERROR);
	compare_release(compare, window);
	compare_settle(compare, window);
	window->step_line = event->line;
	window->has_stopped = false;
	window->stop_count = 0;
}

/* Accesses at addresses of the guest's own are known by their faults alone. */
static void compare_script_line(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	compare->accesses = (struct compare_accesses){0};
	if (event->kind == VMMU_TRACE_SCRIPT)
		compare->has_paging = true;
	if (event->kind != VMMU_TRACE_ACCESS || compare->has_paging)
		return;
	compare->accesses = (struct compare_accesses){.access = event->access,
						      .gpa = event->gpa,
						      .count = event->count,
						      .stride = event->stride};
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
	case VMMU_TRACE_MMIO:
		window->fault.has_mmio = true;
		compare->accesses.is_emulated = true;
		break;
	case VMMU_TRACE_MAP_SET:
		window->fault.has_set = true;
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
	};

	for (unsigned i = 0; i < ARRAY_COUNT(judged); i++)
		if (judged[i].kind == event->kind)
			return judged[i].event;
	return VMMU_COMPARE_EVENTS;
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
		fact.as_id = event->slot.as_id;
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
	case VMMU_TRACE_MMIO_SET:
		fact.access = event->access;
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

int compare_recorded(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	struct compare_window *window = compare_window_of(compare, event);
	bool is_mark = parse_is_script_line(event);

	compare->window = window;
	window->is_used = true;
	if (compare->has_script ? is_mark : event->kind == VMMU_TRACE_FAULT)
		compare_begin_step(compare, window, event);
	if (is_mark)
		compare_script_line(compare, event);
	if (!is_mark)
		compare->last_line = event->line;
	compare_follow(compare, window, event);
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

		if (!window->is_used)
			continue;
		compare_release(compare, window);
		compare_cut_teardown(compare, window);
		compare_conclude(compare, window, COMPARE_ERROR);
		compare_settle(compare, window);
	}
	/* What the VM does from here on, down to its end, has no counterpart. */
	compare->window = NULL;
	return compare->error;
}
