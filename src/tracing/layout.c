/* SPDX-License-Identifier: MIT */
#include "tracing/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tracing/form.h"
#include "tracing/input.h"
#include "tracing/line.h"
#include "tracing/scan.h"

/* The number behind NAME in TEXT. */
static bool layout_number(const char *text, const char *name, uint64_t *value)
{
	const char *at = strstr(text, name);

	if (!at)
		return false;
	at += strlen(name);
	return scan_number(&at, value);
}

/* Slot# and AddrSpace#, or the whole slot word in Slot#. */
static bool layout_ids(const char *text, struct vmmu_slot *slot)
{
	uint64_t space, word;

	if (!layout_number(text, "Slot#", &word) && !layout_number(text, "slot=", &word))
		return false;
	if (!layout_number(text, "AddrSpace#", &space))
		space = word >> 16;
	slot->as_id = (unsigned)space;
	slot->id = (unsigned)(word & 0xffff);
	return space < 0x10000 && word <= UINT32_MAX;
}

bool layout_parse(const char *text, struct layout_call *call)
{
	const char *qemu = strstr(text, "kvm_set_user_memory ");
	uint64_t flags;
	const char *ret;

	*call = (struct layout_call){0};
	if (!qemu && !scan_after(scan_spaces(text), "MEMSLOT "))
		return false;
	if (qemu)
		text = qemu;
	if (!layout_ids(text, &call->slot) || !layout_number(text, " flags=", &flags) ||
	    !layout_number(text, " gpa=", &call->slot.gpa) ||
	    !layout_number(text, " size=", &call->slot.bytes))
		return false;
	if (!layout_number(text, qemu ? " ua=" : " hva=", &call->slot.hva))
		return false;
	call->slot.flags = (unsigned)flags;
	ret = strstr(text, " ret=");
	call->is_refused = ret && ret[5] == '-';
	return true;
}

/* "pid@seconds.microseconds:" before the call, as QEMU's log prints it. */
static uint64_t layout_time(const char *text)
{
	const char *at = strchr(text, '@');
	uint64_t time_ns;

	if (!at)
		return 0;
	at++;
	return line_time(&at, ':', &time_ns) ? time_ns : 0;
}

static int layout_add(struct layout *layout, const struct layout_call *call)
{
	size_t capacity = layout->capacity ? 2 * layout->capacity : 64;
	struct layout_call *calls;

	if (layout->count == LAYOUT_CALLS_MAX)
		return -EFBIG;
	if (layout->count == layout->capacity) {
		calls = mem_alloc_array(capacity, sizeof(*calls));
		if (!calls)
			return -ENOMEM;
		if (layout->count)
			memcpy(calls, layout->calls, layout->count * sizeof(*calls));
		mem_free(layout->calls);
		layout->calls = calls;
		layout->capacity = capacity;
	}
	if (!call->time_ns ||
	    (layout->count && call->time_ns < layout->calls[layout->count - 1].time_ns))
		layout->has_times = false;
	layout->calls[layout->count++] = *call;
	layout->refused_count += call->is_refused;
	return 0;
}

/* Marks beyond the limit, or without memory for them, are lost: fewer calls find their place. */
static void layout_add_mark(struct layout *layout, const char *text)
{
	size_t capacity = layout->mark_capacity ? 2 * layout->mark_capacity : 64;
	struct layout_mark *marks;

	if (layout->mark_count == LAYOUT_MARKS_MAX)
		return;
	if (layout->mark_count == layout->mark_capacity) {
		marks = mem_alloc_array(capacity, sizeof(*marks));
		if (!marks)
			return;
		if (layout->mark_count)
			memcpy(marks, layout->marks, layout->mark_count * sizeof(*marks));
		mem_free(layout->marks);
		layout->marks = marks;
		layout->mark_capacity = capacity;
	}
	memcpy(&layout->marks[layout->mark_count++], text, STRACE_MARK_BYTES);
}

/* "w 0x1000 -> -1" */
static bool layout_access_reply(const char *text, struct layout_reply *reply)
{
	uint64_t v[2];

	if (form_match(text, "%w %x -> -%u", v))
		reply->value = -(int64_t)(v[1] & INT64_MAX);
	else if (form_match(text, "%w %x -> %u", v))
		reply->value = (int64_t)(v[1] & INT64_MAX);
	else
		return false;
	return true;
}

/* "dirty slot 1 count 3 ret 0" */
static bool layout_dirty_reply(const char *text, struct layout_reply *reply)
{
	uint64_t v[3];

	if (!scan_after(text, "dirty slot "))
		return false;
	reply->value = -1;
	if (form_match(text, "dirty slot %u count %u ret %u", v) && !v[2])
		reply->value = (int64_t)(v[1] & INT64_MAX);
	return true;
}

/* TEXT may be a reply; those beyond the limit are lost. -ENOMEM. */
static int layout_add_reply(struct layout *layout, const char *text)
{
	size_t capacity = layout->reply_capacity ? 2 * layout->reply_capacity : 64;
	size_t bytes = strcspn(text, " ");
	struct layout_reply reply = {.value = 0}, *replies;

	if (layout->reply_count == LAYOUT_CALLS_MAX || bytes >= sizeof(reply.word) ||
	    (!layout_dirty_reply(text, &reply) && !layout_access_reply(text, &reply)))
		return 0;
	memcpy(reply.word, text, bytes);
	if (layout->reply_count == layout->reply_capacity) {
		replies = mem_alloc_array(capacity, sizeof(*replies));
		if (!replies)
			return -ENOMEM;
		if (layout->reply_count)
			memcpy(replies, layout->replies, layout->reply_count * sizeof(*replies));
		mem_free(layout->replies);
		layout->replies = replies;
		layout->reply_capacity = capacity;
	}
	layout->replies[layout->reply_count++] = reply;
	return 0;
}

/* The unfinished call of thread PID, or NULL. */
static struct layout_unfinished *layout_find_unfinished(struct layout *layout, uint64_t pid)
{
	for (unsigned i = 0; i < LAYOUT_UNFINISHED_MAX; i++)
		if (layout->unfinished[i].call && layout->unfinished[i].pid == pid)
			return &layout->unfinished[i];
	return NULL;
}

static void layout_resume(struct layout *layout, const struct strace_line *line)
{
	struct layout_unfinished *unfinished = layout_find_unfinished(layout, line->pid);

	if (!unfinished)
		return;
	layout->calls[unfinished->call - 1].is_refused = line->is_refused;
	layout->refused_count += line->is_refused;
	unfinished->call = 0;
}

/* Remember that the last call has no result yet. With too many such, it counts as done. */
static void layout_leave_unfinished(struct layout *layout, uint64_t pid)
{
	for (unsigned i = 0; i < LAYOUT_UNFINISHED_MAX; i++) {
		if (layout->unfinished[i].call)
			continue;
		layout->unfinished[i] = (struct layout_unfinished){pid, layout->count};
		return;
	}
}

/* A call of strace's: 1: added, or left out because it is another VM's; -errno. */
static int layout_strace_call(struct layout *layout, const struct strace_line *line, uint64_t at)
{
	struct layout_call call = {.slot = line->slot,
				   .line = at,
				   .writes = layout->writes,
				   .marks = layout->mark_count,
				   .time_ns = line->time_ns,
				   .is_refused = line->is_refused};
	int result;

	if (layout->has_file && layout->file != line->file) {
		layout->blind_count++;
		return 1;
	}
	layout->has_file = true;
	layout->file = line->file;
	result = layout_add(layout, &call);
	if (result)
		return result;
	if (line->is_unfinished)
		layout_leave_unfinished(layout, line->pid);
	return 1;
}

/* 1: TEXT was strace's, and is dealt with; 0: it was not; -errno. */
static int layout_strace(struct layout *layout, const char *text, uint64_t at)
{
	struct strace_line line;

	switch (strace_split(text, &line)) {
	case STRACE_CALL:
		return layout_strace_call(layout, &line, at);
	case STRACE_BLIND:
		layout->blind_count++;
		return 1;
	case STRACE_RESUMED:
		layout_resume(layout, &line);
		break;
	case STRACE_MARK:
		layout_add_mark(layout, line.mark);
		break;
	default:
		break;
	}
	return 0;
}

size_t layout_find_mark(const struct layout *layout, size_t first, const char *text)
{
	for (; first < layout->mark_count; first++) {
		const char *mark = layout->marks[first].text;

		if (!strncmp(text, mark, strlen(mark)))
			break;
	}
	return first;
}

static int layout_read_lines(struct layout *layout, struct input *input)
{
	struct layout_call call;
	const char *text;
	int result;

	while ((result = input_line(input, &text)) > 0) {
		bool is_line = result == INPUT_LINE;

		if (!is_line || !layout_parse(text, &call)) {
			result = is_line ? layout_strace(layout, text, input->line) : 0;
			if (result < 0)
				return result;
			layout->other_lines += !result;
			if (is_line && !result && layout_add_reply(layout, text))
				return -ENOMEM;
			layout->writes += is_line && scan_after(text, "MMIO write ");
			continue;
		}
		call.line = input->line;
		call.time_ns = layout_time(text);
		call.writes = layout->writes;
		call.marks = layout->mark_count;
		result = layout_add(layout, &call);
		if (result)
			return result;
	}
	if (!result && !layout->count)
		return -ENOEXEC;
	return result;
}

static const char *layout_what(int result, const struct layout *layout, const struct input *input)
{
	if (result == -ENOEXEC && layout->blind_count)
		return "strace did not print the arguments of the slot calls: a newer one may";
	if (result == -ENOEXEC)
		return "not a memslot layout: no kvm_set_user_memory, no MEMSLOT and no strace "
		       "line with a KVM_SET_USER_MEMORY_REGION";
	if (result == -EFBIG)
		return "too many slot calls";
	return *input_error(input) ? input_error(input) : strerror(-result);
}

int layout_read(struct layout *layout, const char *path, char *error, size_t error_bytes)
{
	struct input input;
	int result;

	*layout = (struct layout){.has_times = true};
	result = input_open(&input, path);
	if (result) {
		snprintf(error, error_bytes, "%s: %s", path, strerror(-result));
		return result;
	}
	result = layout_read_lines(layout, &input);
	if (result)
		snprintf(error, error_bytes, "%s:%llu: %s", path, (unsigned long long)input.line,
			 layout_what(result, layout, &input));
	input_close(&input);
	return result;
}

void layout_destroy(struct layout *layout)
{
	mem_free(layout->calls);
	mem_free(layout->marks);
	mem_free(layout->replies);
	*layout = (struct layout){0};
}
