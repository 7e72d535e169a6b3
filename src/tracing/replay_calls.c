/* SPDX-License-Identifier: MIT */
/* Calls of a script that are neither slots nor reads of a dirty log. */
#include <errno.h>
#include <vmmu/dirty.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/parse.h"
#include "tracing/replay_run.h"

/* Pages taken from the rings at a time. */
#define CALLS_PAGES 512u
/* More is not mapped at one line's word. */
#define CALLS_PREFAULT_BYTES (UINT64_C(1) << 30)
#define WORD_BITS            64

/* For the line that is being applied. */
static void calls_result(struct replay_run *run, int64_t result)
{
	if (run->options->compare)
		compare_called(run->options->compare, result);
}

/* What a word of the line says of 64 pages goes for all of the range. -ENOMEM. */
static int calls_clear(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_dirty_range range = {.as_id = event->slot.as_id,
					 .id = event->slot.id,
					 .first = event->gfn,
					 .pages = event->count};
	struct vmmu_slot slot = {0};
	uint64_t *bitmap, words;
	int ret;

	/* What is refused has no use for a bitmap larger than the slot's. */
	(void)vmmu_slot_get(run->vm, range.as_id, range.id, &slot);
	words = min_u64(range.pages, slot.bytes >> run->geometry->page_shift) / WORD_BITS + 1;
	bitmap = mem_alloc_array(words, sizeof(*bitmap));
	if (!bitmap)
		return -ENOMEM;
	for (uint64_t i = 0; i < words; i++)
		bitmap[i] = event->stride;
	range.bitmap = bitmap;
	ret = vmmu_dirty_clear(run->vm, &range, NULL);
	mem_free(bitmap);
	run->report->dirty_errors += ret != 0;
	calls_result(run, ret ? -1 : 0);
	return 0;
}

/* All rings are emptied first, vCPU by vCPU. */
static int calls_harvest(struct replay_run *run)
{
	struct vmmu_dirty_page *pages = mem_alloc_array(CALLS_PAGES, sizeof(*pages));
	uint64_t count = 0, total = 0;
	int ret;

	if (!pages)
		return -ENOMEM;
	do {
		ret = vmmu_dirty_ring_harvest(run->vm, pages, CALLS_PAGES, &count);
		for (uint64_t i = 0; !ret && run->options->compare && i < count; i++)
			compare_page(run->options->compare, &pages[i]);
		total += ret ? 0 : count;
	} while (!ret && count);
	mem_free(pages);
	if (!ret)
		ret = vmmu_dirty_ring_reset(run->vm, &count);
	run->report->dirty_reads++;
	run->report->dirty_errors += ret != 0;
	run->report->dirty_pages += total;
	calls_result(run, ret ? -1 : (int64_t)count);
	return 0;
}

/* What the host has behind the pages is told behind the call. */
static void calls_look_for_host_lines(struct replay_run *run)
{
	const struct vmmu_trace_event *event;

	for (unsigned i = 0; (event = replay_queue_peek(&run->queue, i)); i++) {
		if (parse_is_script_line(event))
			return;
		if (event->kind == VMMU_TRACE_HOST_PAGE)
			replay_backing_learn(&run->backing, &event->host);
	}
}

/* Page after page, up to the first that cannot be mapped. */
static void calls_prefault(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_vcpu *vcpu = replay_run_vcpu(run, event);
	uint64_t gpa = event->gpa, left = event->bytes, done = 0;
	int ret = vcpu ? 0 : -ENOMEM;

	if (left > CALLS_PREFAULT_BYTES)
		ret = -E2BIG;
	calls_look_for_host_lines(run);
	replay_run_look_for_frames(run);
	while (!ret && left) {
		ret = vmmu_prefault(vcpu, gpa, left, &done);
		gpa += done;
		left -= done;
	}
	run->report->errors += ret != 0;
	calls_result(run, ret ? -1 : 0);
}

int replay_call_event(struct replay_run *run, const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_DIRTY_CLEAR:
		return calls_clear(run, event);
	case VMMU_TRACE_DIRTY_HARVEST:
		return calls_harvest(run);
	case VMMU_TRACE_PREFAULT:
		calls_prefault(run, event);
		return 0;
	default:
		return 0;
	}
}
