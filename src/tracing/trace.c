/* SPDX-License-Identifier: MIT */
/*
 * The public reader: a trace's events with the slot calls of a layout file merged in. Where the
 * calls go:
 *
 * - MARKS: the trace holds the kit's own "slot" and "del" lines. Each takes the next call of the
 *   file that fits, for its hva and result. Calls before the first that fits come before the first
 *   event: slot 0 has no mark.
 * - TIME: every call has a time and the times are on the trace's clock, near the first event's.
 *   By time.
 * - STRACE: the file is strace's and has marks that the program wrote into the trace. After the
 *   mark that stands before them.
 * - WRITES: calls stand between lines of MMIO writes. After as many exits to the VMM for a write.
 * - BEFORE: else. All calls come before the first event: the state that they leave counts.
 *
 * But for MARKS the file has the last word: slot calls that the trace itself tells become SCRIPT
 * events.
 */
#include <vmmu/trace.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tracing/layout.h"
#include "tracing/scan.h"
#include "tracing/stream.h"

#define TRACE_ERROR_BYTES 512
#define TRACE_TEXT_BYTES  160
/* Two clocks are taken for one when a layout's first call is this near the first event. */
#define TRACE_CLOCK_NS (UINT64_C(3600) * 1000000000)

enum trace_merge {
	TRACE_ALONE, /* no layout */
	TRACE_BEFORE,
	TRACE_MARKS,
	TRACE_TIME,
	TRACE_STRACE,
	TRACE_WRITES,
};

struct vmmu_trace {
	struct stream stream;
	struct layout layout;
	enum trace_merge merge;
	size_t next_call;  /* first call of the layout that has not been handed out */
	size_t next_reply; /* MARKS: first reply of the layout that no line has got */
	size_t next_mark;  /* STRACE: first mark of the layout that the trace has not come to */
	size_t lead_count; /* BEFORE, MARKS: calls that come before the first event */
	bool has_held;     /* TIME: held is the trace's next event */
	struct vmmu_trace_event held;
	int failed; /* sticky -errno */
	char error[TRACE_ERROR_BYTES];
	char call_text[TRACE_TEXT_BYTES];
	char path[];
};

/* Is CALL the one that the script line MARK made? */
static bool trace_call_fits(const struct layout_call *call, const struct vmmu_slot *mark)
{
	if (call->slot.as_id != mark->as_id || call->slot.id != mark->id ||
	    call->slot.bytes != mark->bytes)
		return false;
	return !mark->bytes || call->slot.gpa == mark->gpa;
}

/* Index of the first call from FIRST on that fits MARK, or the number of calls. */
static size_t trace_find_call(const struct layout *layout, size_t first,
			      const struct vmmu_slot *mark)
{
	while (first < layout->count && !trace_call_fits(&layout->calls[first], mark))
		first++;
	return first;
}

static bool trace_is_one_clock(const struct layout *layout, uint64_t event_ns)
{
	uint64_t call_ns = layout->calls[0].time_ns;

	if (!layout->has_times || !event_ns)
		return false;
	return (call_ns > event_ns ? call_ns - event_ns : event_ns - call_ns) < TRACE_CLOCK_NS;
}

/* The text of a mark as the program wrote it. */
static const char *trace_mark_text(const char *text)
{
	const char *inner = scan_after(text, "tracing_mark_write: ");

	return inner ? inner : text;
}

static void trace_choose_merge(struct vmmu_trace *trace)
{
	const struct stream_look *look = &trace->stream.look;
	const struct layout *layout = &trace->layout;

	trace->merge = TRACE_BEFORE;
	trace->lead_count = layout->count;
	if (look->has_first_slot) {
		size_t first = trace_find_call(layout, 0, &look->first_slot);

		if (first < layout->count) {
			trace->merge = TRACE_MARKS;
			trace->lead_count = first;
		}
	} else if (trace_is_one_clock(layout, look->first_time_ns)) {
		trace->merge = TRACE_TIME;
		trace->lead_count = 0;
	} else if (*look->first_mark &&
		   layout_find_mark(layout, 0, trace_mark_text(look->first_mark)) <
			   layout->mark_count) {
		trace->merge = TRACE_STRACE;
		trace->lead_count = 0;
	} else if (layout->calls[layout->count - 1].writes) {
		trace->merge = TRACE_WRITES;
		trace->lead_count = 0;
	}
}

static int trace_fail(struct vmmu_trace *trace, int error)
{
	trace->failed = error;
	snprintf(trace->error, sizeof(trace->error), "%s:%" PRIu64 ": %s",
		 stream_display(trace->path), trace->stream.input.line,
		 stream_what(&trace->stream, error));
	return error;
}

/* Counts that the layout file adds whatever the order of events. */
static int trace_count_layout(struct vmmu_trace *trace)
{
	struct counts *counts = &trace->stream.counts;
	int result = counts_add(counts, "(other layout line)", trace->layout.other_lines, true);

	if (!result)
		result = counts_add(counts, "(slot call without arguments or of another VM)",
				    trace->layout.blind_count, false);
	return result ? result
		      : counts_add(counts, "(refused slot call)", trace->layout.refused_count,
				   true);
}

static int trace_open_files(struct vmmu_trace *trace, const struct vmmu_trace_options *options)
{
	enum vmmu_trace_semantics semantics = options ? options->semantics : VMMU_SEMANTICS_AUTO;
	int result;

	result = stream_open(&trace->stream, trace->path, semantics, trace->error,
			     sizeof(trace->error));
	if (result || !options || !options->layout)
		return result;
	result = layout_read(&trace->layout, options->layout, trace->error, sizeof(trace->error));
	if (result)
		return result;
	trace_choose_merge(trace);
	result = trace_count_layout(trace);
	return result ? trace_fail(trace, result) : 0;
}

static const char *trace_wrong_options(const char *path, const struct vmmu_trace_options *options)
{
	if (!path || !*path)
		return "no file name";
	if (!options)
		return NULL;
	if (options->size != sizeof(*options))
		return "options of another size";
	if ((unsigned)options->semantics > VMMU_SEMANTICS_SHADOW)
		return "unknown fault semantics";
	if (options->layout && !strcmp(options->layout, "-") && !strcmp(path, "-"))
		return "trace and layout cannot both be standard input";
	return NULL;
}

int vmmu_trace_open(const char *path, const struct vmmu_trace_options *options,
		    struct vmmu_trace **trace, char *error, size_t error_bytes)
{
	const char *wrong = trace_wrong_options(path, options);
	struct vmmu_trace *opened;
	int result;

	if (!trace)
		return -EINVAL;
	*trace = NULL;
	if (!error)
		error_bytes = 0;
	if (wrong) {
		snprintf(error, error_bytes, "%s: %s", path ? path : "", wrong);
		return -EINVAL;
	}
	opened = mem_alloc(sizeof(*opened) + strlen(path) + 1);
	if (!opened) {
		snprintf(error, error_bytes, "%s: %s", stream_display(path), strerror(ENOMEM));
		return -ENOMEM;
	}
	memcpy(opened->path, path, strlen(path) + 1);
	result = trace_open_files(opened, options);
	if (result) {
		snprintf(error, error_bytes, "%s", opened->error);
		vmmu_trace_close(opened);
		return result;
	}
	if (error_bytes)
		*error = '\0';
	*trace = opened;
	return 0;
}

static int trace_read(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	int result = stream_next(&trace->stream, event);

	return result < 0 ? trace_fail(trace, result) : result;
}

/* Hand out the layout's next call, up to call LIMIT. 1: *EVENT; 0: none left. */
static int trace_next_call(struct vmmu_trace *trace, size_t limit, struct vmmu_trace_event *event)
{
	const struct layout_call *call;

	while (trace->next_call < limit && trace->layout.calls[trace->next_call].is_refused)
		trace->next_call++;
	if (trace->next_call >= limit)
		return 0;
	call = &trace->layout.calls[trace->next_call++];
	memset(event, 0, sizeof(*event));
	snprintf(trace->call_text, sizeof(trace->call_text),
		 "AddrSpace#%u Slot#%u flags=0x%x gpa=0x%" PRIx64 " size=0x%" PRIx64
		 " ua=0x%" PRIx64,
		 call->slot.as_id, call->slot.id, call->slot.flags, call->slot.gpa,
		 call->slot.bytes, call->slot.hva);
	event->kind = VMMU_TRACE_SLOT;
	event->line = call->line;
	event->time_ns = call->time_ns;
	event->vcpu = THREADS_NO_VCPU;
	event->name = "kvm_set_user_memory";
	event->text = trace->call_text;
	event->slot = call->slot;
	if (counts_add(&trace->stream.counts, event->name, 1, true))
		return trace_fail(trace, -ENOMEM);
	return 1;
}

/*
 * A slot call that the trace tells: the file adds the hva and the result, or has said it all
 * already.
 */
static int trace_merge_mark(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	struct counts *counts = &trace->stream.counts;
	size_t at, skipped;

	if (trace->merge != TRACE_MARKS) {
		event->kind = VMMU_TRACE_SCRIPT;
		return 1;
	}
	at = trace_find_call(&trace->layout, trace->next_call, &event->slot);
	if (at == trace->layout.count)
		return counts_add(counts, "(slot line without a layout call)", 1, false)
			       ? trace_fail(trace, -ENOMEM)
			       : 1;
	skipped = at - trace->next_call;
	trace->next_call = at + 1;
	event->slot = trace->layout.calls[at].slot;
	if (trace->layout.calls[at].is_refused)
		event->kind = VMMU_TRACE_SCRIPT;
	if (counts_add(counts, "(layout call without a slot line)", skipped, false))
		return trace_fail(trace, -ENOMEM);
	return 1;
}

/*
 * By time: the layout's call or the trace's event, whichever is earlier. Events without a time wait
 * for no call.
 */
static int trace_next_by_time(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	const struct layout *layout = &trace->layout;
	int result = 1;

	if (!trace->has_held) {
		result = trace_read(trace, &trace->held);
		if (result < 0)
			return result;
		trace->has_held = result;
	}
	if (trace->next_call < layout->count &&
	    (!trace->has_held || layout->calls[trace->next_call].time_ns <= trace->held.time_ns)) {
		result = trace_next_call(trace, layout->count, event);
		if (result)
			return result;
	}
	if (!trace->has_held)
		return 0;
	*event = trace->held;
	trace->has_held = false;
	return 1;
}

/* After an exit for a write the calls follow that the program made before its next one. */
static int trace_next_by_writes(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	const struct layout *layout = &trace->layout;
	size_t due = trace->next_call;
	int result;

	while (due < layout->count && layout->calls[due].writes <= trace->stream.parser.write_exits)
		due++;
	result = trace_next_call(trace, due, event);
	return result ? result : trace_read(trace, event);
}

/* After a mark the calls follow that the program made before it wrote the next one. */
static int trace_next_by_strace(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	const struct layout *layout = &trace->layout;
	size_t due = trace->next_call, mark;
	int result;

	while (due < layout->count && layout->calls[due].marks <= trace->next_mark)
		due++;
	result = trace_next_call(trace, due, event);
	if (result)
		return result;
	result = trace_read(trace, event);
	if (result <= 0 || !stream_is_mark(event))
		return result;
	mark = layout_find_mark(layout, trace->next_mark, trace_mark_text(event->text));
	if (mark < layout->mark_count)
		trace->next_mark = mark + 1;
	return result;
}

static int trace_step(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	switch (trace->merge) {
	case TRACE_TIME:
		return trace_next_by_time(trace, event);
	case TRACE_STRACE:
		return trace_next_by_strace(trace, event);
	case TRACE_WRITES:
		return trace_next_by_writes(trace, event);
	default:
		return trace_read(trace, event);
	}
}

/*
 * Calls that the trace did not get to: those of a program that outlived it are handed out, those
 * that no mark asked for are counted, once.
 */
static int trace_end(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	size_t left = trace->layout.count - trace->next_call;

	if (trace->merge == TRACE_WRITES || trace->merge == TRACE_STRACE)
		return trace_next_call(trace, trace->layout.count, event);
	trace->next_call = trace->layout.count;
	if (trace->merge == TRACE_MARKS &&
	    counts_add(&trace->stream.counts, "(layout call without a slot line)", left, false))
		return trace_fail(trace, -ENOMEM);
	return 0;
}

/* Does the kit's VMM print something about the script's line EVENT? */
static bool trace_is_replied(const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_DIRTY_GET:
	case VMMU_TRACE_DIRTY_CLEAR:
	case VMMU_TRACE_DIRTY_MANUAL:
	case VMMU_TRACE_DIRTY_RING:
	case VMMU_TRACE_DIRTY_HARVEST:
	case VMMU_TRACE_PREFAULT:
	case VMMU_TRACE_RECLAIM:
		return true;
	case VMMU_TRACE_ACCESS:
		return !scan_is_word(trace_mark_text(event->text), "range");
	case VMMU_TRACE_SCRIPT:
		return event->count;
	default:
		return false;
	}
}

/* Lines and replies are in one order. Where they are not, there is none from there on. */
static void trace_merge_reply(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	const struct layout_reply *reply;

	if (trace->merge != TRACE_MARKS || trace->next_reply >= trace->layout.reply_count ||
	    !trace_is_replied(event))
		return;
	reply = &trace->layout.replies[trace->next_reply];
	if (!scan_is_word(trace_mark_text(event->text), reply->word))
		return;
	trace->next_reply++;
	event->has_reply = true;
	event->reply = reply->value;
}

int vmmu_trace_next(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	int result = 0;

	if (!trace || !event)
		return -EINVAL;
	if (trace->failed)
		return trace->failed;
	if (trace->next_call < trace->lead_count)
		result = trace_next_call(trace, trace->lead_count, event);
	if (result)
		return result;
	result = trace_step(trace, event);
	if (!result)
		return trace_end(trace, event);
	if (result > 0)
		trace_merge_reply(trace, event);
	if (result > 0 && event->kind == VMMU_TRACE_SLOT && trace->merge != TRACE_ALONE &&
	    event->text != trace->call_text)
		return trace_merge_mark(trace, event);
	return result;
}

int vmmu_trace_rewind(struct vmmu_trace *trace)
{
	int result;

	if (!trace)
		return -EINVAL;
	trace->next_call = 0;
	trace->next_mark = 0;
	trace->next_reply = 0;
	trace->has_held = false;
	trace->failed = 0;
	trace->error[0] = '\0';
	result = stream_rewind(&trace->stream);
	if (result)
		return trace_fail(trace, result == -ENOMEM ? result : -EIO);
	return trace_count_layout(trace) ? trace_fail(trace, -ENOMEM) : 0;
}

void vmmu_trace_close(struct vmmu_trace *trace)
{
	if (!trace)
		return;
	stream_close(&trace->stream);
	layout_destroy(&trace->layout);
	mem_free(trace);
}

const char *vmmu_trace_error(const struct vmmu_trace *trace)
{
	return trace ? trace->error : "";
}

enum vmmu_trace_syntax vmmu_trace_syntax(const struct vmmu_trace *trace)
{
	return trace ? trace->stream.look.syntax : VMMU_SYNTAX_UNKNOWN;
}

const char *vmmu_syntax_name(enum vmmu_trace_syntax syntax)
{
	static const char *const names[] = {"unknown", "tracefs", "trace-cmd", "perf", "trace.dat"};

	return (unsigned)syntax < sizeof(names) / sizeof(*names) ? names[syntax] : "?";
}

const char *vmmu_trace_architecture(const struct vmmu_trace *trace)
{
	return trace ? trace->stream.parser.architecture : NULL;
}

const struct vmmu_profile *vmmu_trace_profile(const struct vmmu_trace *trace, char *why,
					      size_t why_bytes)
{
	char text[TRACE_TEXT_BYTES] = "";
	const struct vmmu_profile *profile = NULL;

	if (trace)
		profile = profile_detect(&trace->stream.evidence, trace->stream.parser.architecture,
					 text, sizeof(text));
	if (why && why_bytes)
		snprintf(why, why_bytes, "%s", text);
	return profile;
}

bool vmmu_trace_count_at(const struct vmmu_trace *trace, unsigned index,
			 struct vmmu_trace_count *count)
{
	const struct counts *counts = trace ? &trace->stream.counts : NULL;

	if (!counts || !count)
		return false;
	for (unsigned i = 0; i < counts->count; i++) {
		const struct counts_entry *entry = counts->entries[i];

		/* A name whose every text failed is counted under its other entry alone. */
		if (!entry->count || index--)
			continue;
		count->name = entry->name;
		count->count = entry->count;
		count->understood = entry->is_understood;
		return true;
	}
	return false;
}

void vmmu_trace_progress(const struct vmmu_trace *trace, uint64_t *done, uint64_t *total)
{
	uint64_t so_far = 0, in_all = 0;

	if (trace)
		input_progress(&trace->stream.input, &so_far, &in_all);
	if (done)
		*done = so_far;
	if (total)
		*total = in_all;
}
