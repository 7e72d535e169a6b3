/* SPDX-License-Identifier: MIT */
/*
 * What the host does to the guest's memory, and when: invalidations, pages that move, pages that
 * are put together, aging, and the script lines that cause it.
 *
 * An invalidation lasts until its end where the trace tells of ends (the kit's probe), else it is
 * over at once. Faults of others may come in between: they wait for the host, and find that what
 * they looked up is out of date. The end, and the whole of an invalidation that comes while a fault
 * looks its page up, happen inside that lookup (replay_host_foresee()).
 */
#include <vmmu/age.h>
#include <vmmu/replay.h>

#include "base/bits.h"
#include "tracing/compare.h"
#include "tracing/parse.h"
#include "tracing/profile.h"
#include "tracing/replay_run.h"

#define HOST_PAGE_LG2 12
/* What the host puts together. */
#define HOST_BLOCK_BYTES BIT64(21)
/* Faults that may stand between a fault and the host line of its access: bounds the look-ahead. */
#define HOST_LOOK_AHEAD_FAULTS 16u
/* Events among which the invalidations of a fault's own page lookup are looked for. */
#define NESTED_LOOK_AHEAD 64u
/*
 * The same where others' invalidations are, too: one of a huge page may be followed by as many
 * entries.
 */
#define NESTED_LOOK_AHEAD_OTHERS REPLAY_QUEUE_EVENTS

/* The invalidation that thread PID began last and did not end; NULL: none. */
static struct replay_invalidation *find_open(struct replay_run *run, uint32_t pid)
{
	for (unsigned i = run->open_count; i-- > 0;)
		if (run->open[i].pid == pid)
			return &run->open[i];
	return NULL;
}

/* INVALIDATION, one of run->open, is over. */
static void close_one(struct replay_run *run, struct replay_invalidation *invalidation)
{
	if (invalidation->is_begun)
		(void)vmmu_invalidate_end(run->vm, &invalidation->range);
	run->ended[invalidation->pid % REPLAY_ENDED] = *invalidation;
	run->open_count--;
	for (; invalidation < run->open + run->open_count; invalidation++)
		invalidation[0] = invalidation[1];
}

void replay_host_settle(struct replay_run *run)
{
	while (run->open_count)
		close_one(run, &run->open[run->open_count - 1]);
}

/* The page at EVENT's hva got another frame, and KVM maps it by itself. */
static void move(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_page_request request = {.hva = event->hva.start, .access = VMMU_READ};
	struct vmmu_page page = {0};

	if (replay_backing_page(&run->backing, &request, &page))
		return;
	page.writable = false;
	(void)vmmu_remap(run->vm, event->hva.start, &page);
}

/*
 * Is EVENT, an invalidation, about a page that got another frame and is not left to faults? What
 * was mapped went before, by the invalidation around it.
 */
static bool is_moved(const struct replay_run *run, const struct vmmu_trace_event *event)
{
	return event->count && (replay_rules(run->options) & VMMU_RULE_NO_RMAPS);
}

static void invalidate(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct replay_invalidation invalidation = {.pid = event->pid, .range = event->hva};
	bool is_met = replay_layout_meets(&run->layout, event->hva.start, event->hva.end);

	if (is_met && run->is_reclaiming)
		replay_backing_reclaim(&run->backing, event->hva.start, event->hva.end);
	if (is_met)
		run->report->invalidations++;
	else
		run->report->invalidations_outside++;
	if (is_moved(run, event)) {
		if (is_met)
			move(run, event);
		return;
	}
	invalidation.is_begun = is_met && !vmmu_invalidate_begin(run->vm, &event->hva);
	if (run->open_count == REPLAY_OPEN_MAX)
		close_one(run, &run->open[0]);
	run->open[run->open_count++] = invalidation;
	/* One page that moves stands within an invalidation that has an end. */
	if (event->count || !run->scan->has_ends)
		close_one(run, &run->open[run->open_count - 1]);
}

/* The thread of EVENT made one huge page, or did not. */
static void collapse(struct replay_run *run, const struct vmmu_trace_event *event)
{
	const struct replay_invalidation *ended = &run->ended[event->pid % REPLAY_ENDED];
	const struct vmmu_hva_range *range = &ended->range;

	if (event->count && ended->pid == event->pid &&
	    range->end - range->start == HOST_BLOCK_BYTES)
		replay_backing_join(&run->backing, range->start);
}

void replay_host_change(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct replay_invalidation *open;

	switch (event->kind) {
	case VMMU_TRACE_INVALIDATE:
		invalidate(run, event);
		break;
	case VMMU_TRACE_INVALIDATE_END:
		open = find_open(run, event->pid);
		if (open)
			close_one(run, open);
		break;
	case VMMU_TRACE_COLLAPSE:
		collapse(run, event);
		break;
	default:
		break;
	}
}

void replay_host_nested(struct replay_run *run)
{
	unsigned count = run->nested_count;

	/* Threads that replay vCPUs have nothing nested, and write nothing here. */
	if (!count)
		return;
	run->nested_count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (run->options->compare)
			compare_turn_to(run->options->compare, run->nested[i]);
		replay_host_change(run, run->nested[i]);
		/* done: nothing is left for its own place */
		run->nested[i]->kind = VMMU_TRACE_OTHER;
	}
	if (run->options->compare)
		compare_turn_to(run->options->compare, &run->fault);
}

/* Does EVENT, of another thread than FAULT's, change the page at HVA? */
static bool is_changed(const struct vmmu_trace_event *event, const struct vmmu_trace_event *fault,
		       uint64_t hva)
{
	return event->kind == VMMU_TRACE_INVALIDATE && event->pid != fault->pid &&
	       hva - event->hva.start < event->hva.end - event->hva.start;
}

/* Does the host line at INDEX of the queue still tell of the page that FAULT met? */
static bool is_telling(struct replay_run *run, const struct vmmu_trace_event *fault, unsigned index)
{
	uint64_t hva = replay_queue_peek(&run->queue, index)->host.hva;

	while (index-- > 0)
		if (is_changed(replay_queue_peek(&run->queue, index), fault, hva))
			return false;
	return true;
}

void replay_host_look(struct replay_run *run, const struct vmmu_trace_event *fault)
{
	const struct vmmu_trace_event *event;
	unsigned faults = 0;

	if (!run->scan->has_host)
		return;
	for (unsigned i = 0; faults < HOST_LOOK_AHEAD_FAULTS; i++) {
		event = replay_queue_peek(&run->queue, i);
		if (!event || parse_is_script_line(event))
			return;
		if (event->kind == VMMU_TRACE_HOST_PAGE &&
		    event->host.gpa >> HOST_PAGE_LG2 == fault->fault.gpa >> HOST_PAGE_LG2) {
			if (is_telling(run, fault, i))
				replay_backing_learn(&run->backing, &event->host);
			return;
		}
		faults += event->kind == VMMU_TRACE_FAULT;
	}
}

/* What comes of a fault's own thread: is it part of the page lookup? */
enum nested {
	NESTED_PASS,
	NESTED_TAKE,
	NESTED_STOP,
};

static enum nested nested_own(const struct replay_run *run, const struct vmmu_trace_event *event,
			      bool *is_moving)
{
	bool is_stop;

	switch (event->kind) {
	case VMMU_TRACE_INVALIDATE:
		*is_moving = is_moved(run, event);
		return NESTED_TAKE;
	case VMMU_TRACE_INVALIDATE_END:
		return NESTED_TAKE;
	case VMMU_TRACE_STAGE2:
		/* of the invalidation; else the fault's own doing */
		is_stop = event->count != VMMU_TRACE_STAGE2_UNMAP && !*is_moving;
		*is_moving = false;
		return is_stop ? NESTED_STOP : NESTED_PASS;
	case VMMU_TRACE_AGE:
	case VMMU_TRACE_FAST_FIX:
	case VMMU_TRACE_MMIO_CHECK:
	case VMMU_TRACE_OTHER:
		return NESTED_PASS;
	default:
		return NESTED_STOP;
	}
}

/* Others' invalidations count where their ends are told: else nobody knows whether they last. */
static enum nested nested_other(const struct replay_run *run, const struct vmmu_trace_event *event)
{
	bool is_host = event->kind == VMMU_TRACE_INVALIDATE ||
		       event->kind == VMMU_TRACE_INVALIDATE_END ||
		       event->kind == VMMU_TRACE_COLLAPSE;

	return run->scan->has_ends && is_host ? NESTED_TAKE : NESTED_PASS;
}

void replay_host_foresee(struct replay_run *run, const struct vmmu_trace_event *fault)
{
	unsigned i, last = run->scan->has_ends ? NESTED_LOOK_AHEAD_OTHERS : NESTED_LOOK_AHEAD;
	struct vmmu_trace_event *event;
	bool is_moving = false;
	enum nested nested;

	run->nested_count = 0;
	for (i = 0; fault->pid && i < last && run->nested_count < REPLAY_NESTED_MAX; i++) {
		event = replay_queue_peek(&run->queue, i);
		if (!event)
			return;
		nested = event->pid == fault->pid ? nested_own(run, event, &is_moving)
						  : nested_other(run, event);
		if (nested == NESTED_STOP)
			return;
		if (nested == NESTED_TAKE)
			run->nested[run->nested_count++] = event;
	}
}

void replay_host_age(struct replay_run *run, const struct vmmu_trace_event *event)
{
	int young;

	if (!replay_layout_meets(&run->layout, event->hva.start, event->hva.end)) {
		run->report->ages_outside++;
		return;
	}
	young = event->count ? vmmu_test_age(run->vm, &event->hva) : vmmu_age(run->vm, &event->hva);
	run->report->ages++;
	run->report->ages_young += young > 0;
}

void replay_host_script(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_slot slot;
	uint64_t start;

	if (vmmu_slot_get(run->vm, event->slot.as_id, event->slot.id, &slot))
		return;
	start = slot.hva + event->gpa;
	if (event->kind == VMMU_TRACE_DROP)
		replay_backing_drop(&run->backing, start, start + event->bytes);
	else if (event->writable)
		replay_backing_allow(&run->backing, start, start + event->bytes);
	else
		replay_backing_forbid(&run->backing, start, start + event->bytes);
}
