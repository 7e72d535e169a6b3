/* SPDX-License-Identifier: MIT */
#include "kvm-live/expected.h"

#include <string.h>
#include <vmmu/fault.h>

#include "base/bits.h"

/* Bits of an entry that say the frame. */
#define PTE_ADDRESS BITS64(50, 12)

/* What is known of the fault that KVM is handling. */
struct expected_fault {
	bool is_open;
	bool has_set, has_mmio, is_fast, is_spurious;
};

struct expected_build {
	struct facts *facts;
	const struct recording *recording;
	size_t next_reply;
	unsigned line;
	const char *text;
	size_t done_count; /* facts when the line's last access was done */
	struct expected_fault fault;
};

static void expected_add(struct expected_build *build, struct fact fact)
{
	fact.line = build->line;
	facts_add(build->facts, fact);
}

/* The fault is over: the guest goes on, faults again, or the line ends. */
static void expected_end_fault(struct expected_build *build, enum fact_end otherwise)
{
	const struct expected_fault *fault = &build->fault;
	enum fact_end end = fault->is_fast       ? END_FAST
			    : fault->is_spurious ? END_SPURIOUS
			    : fault->has_mmio    ? END_EMULATED
			    : fault->has_set     ? END_FIXED
						 : otherwise;

	if (fault->is_open)
		expected_add(build, (struct fact){.kind = FACT_ENDED, .value = end});
	build->fault = (struct expected_fault){0};
}

static void expected_fault(struct expected_build *build, const struct vmmu_trace_event *event)
{
	unsigned flags = event->fault.flags;

	expected_end_fault(build, END_RETRY);
	build->fault.is_open = true;
	expected_add(build, (struct fact){
				    .kind = FACT_FAULT,
				    .address = event->fault.gpa,
				    .access = event->fault.access,
				    .value = flags & VMMU_FAULT_RSVD      ? WHY_MMIO
					     : flags & VMMU_FAULT_PRESENT ? WHY_REFUSED
									  : WHY_ABSENT,
			    });
}

static void expected_entry(struct expected_build *build, const struct vmmu_trace_event *event)
{
	struct fact fact = {.level = event->level, .address = event->gfn};

	switch (event->kind) {
	case VMMU_TRACE_MAP_REQUESTED:
		fact.kind = FACT_REQUESTED;
		fact.pfn = event->pfn;
		break;
	case VMMU_TRACE_MAP_SET:
		fact.kind = FACT_SET;
		fact.access = event->access;
		fact.pte = event->new_pte;
		fact.pfn = (event->new_pte & PTE_ADDRESS) >> 12;
		build->fault.has_set = true;
		break;
	default:
		fact.kind = FACT_TABLE_GET;
		fact.value = event->writable;
		break;
	}
	expected_add(build, fact);
}

static void expected_mmio(struct expected_build *build, const struct vmmu_trace_event *event)
{
	if (event->kind == VMMU_TRACE_MMIO_SET)
		expected_add(build, (struct fact){.kind = FACT_MMIO_SET,
						  .address = event->gfn,
						  .access = event->access,
						  .generation = event->generation});
	else if (event->kind == VMMU_TRACE_MMIO_CHECK)
		expected_add(build, (struct fact){.kind = FACT_MMIO_CHECK,
						  .pte = event->new_pte,
						  .generation = event->count,
						  .value = event->writable});
	else
		build->fault.has_mmio = true;
}

/* Fixed and spurious at once is no end. */
static enum fact_end expected_fast_end(const struct vmmu_trace_event *event)
{
	if (event->count)
		return event->stride ? END_ERROR : END_FAST;
	return event->stride ? END_SPURIOUS : END_SLOW;
}

static void expected_fast_fix(struct expected_build *build, const struct vmmu_trace_event *event)
{
	build->fault.is_fast |= event->count;
	build->fault.is_spurious |= event->stride;
	expected_add(build, (struct fact){.kind = FACT_FAST_FIX,
					  .address = event->gpa,
					  .old_pte = event->old_pte,
					  .pte = event->new_pte,
					  .value = expected_fast_end(event)});
}

/* KVM zaps a root once more when its last vCPU leaves it; the engine unlinked it the first time. */
static void expected_zap(struct expected_build *build, const struct vmmu_trace_event *event)
{
	if (!strstr(event->text, " invalid "))
		expected_add(build, (struct fact){.kind = FACT_TABLE_ZAP,
						  .address = event->gfn,
						  .level = event->level});
}

/* The hlt behind each access: the guest got there. */
static void expected_exit(struct expected_build *build, const struct vmmu_trace_event *event)
{
	if (!strstr(event->text, "reason hlt"))
		return;
	expected_end_fault(build, END_RETRY);
	expected_add(build, (struct fact){.kind = FACT_DONE});
	build->done_count = build->facts->count;
}

/* The line is over: what the VMM printed about it. */
static void expected_end_line(struct expected_build *build)
{
	static const enum fact_kind kinds[] = {
		[REPLY_SLOT] = FACT_SLOT, [REPLY_ACCESS] = FACT_RESULT, [REPLY_DIRTY] = FACT_DIRTY};
	const struct reply *reply;

	expected_end_fault(build, END_ERROR);
	if (!recording_has_reply(build->text) || build->next_reply == build->recording->reply_count)
		return;
	reply = &build->recording->replies[build->next_reply++];
	expected_add(build, (struct fact){.kind = kinds[reply->kind],
					  .address = reply->kind == REPLY_ACCESS ? 0 : reply->id,
					  .value = reply->result});
}

static void expected_event(struct expected_build *build, const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_FAULT:
		expected_fault(build, event);
		break;
	case VMMU_TRACE_MAP_REQUESTED:
	case VMMU_TRACE_MAP_SET:
	case VMMU_TRACE_TABLE_GET:
		expected_entry(build, event);
		break;
	case VMMU_TRACE_MMIO_SET:
	case VMMU_TRACE_MMIO_CHECK:
	case VMMU_TRACE_MMIO:
		expected_mmio(build, event);
		break;
	case VMMU_TRACE_FAST_FIX:
		expected_fast_fix(build, event);
		break;
	case VMMU_TRACE_TABLE_ZAP:
		expected_zap(build, event);
		break;
	case VMMU_TRACE_ZAP_ALL:
		expected_add(build, (struct fact){.kind = FACT_ZAP_ALL});
		break;
	case VMMU_TRACE_EXIT:
		expected_exit(build, event);
		break;
	default:
		break;
	}
}

void expected_build(struct facts *facts, const struct recording *recording)
{
	struct expected_build build = {.facts = facts, .recording = recording, .text = ""};

	for (size_t i = 0; i < recording->event_count; i++) {
		const struct vmmu_trace_event *event = &recording->events[i];

		if (!recording_is_mark(event)) {
			expected_event(&build, event);
			continue;
		}
		expected_end_line(&build);
		build.line++;
		build.text = event->text;
		build.done_count = 0;
	}
	/* Behind the last access the VM is torn down. */
	if (build.done_count)
		facts->count = build.done_count;
	expected_end_line(&build);
}
