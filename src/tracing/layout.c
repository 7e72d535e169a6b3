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

static int layout_read_lines(struct layout *layout, struct input *input)
{
	struct layout_call call;
	const char *text;
	int result;

	while ((result = input_line(input, &text)) > 0) {
		if (result != INPUT_LINE || !layout_parse(text, &call)) {
			layout->other_lines++;
			layout->writes += result == INPUT_LINE && scan_after(text, "MMIO write ");
			continue;
		}
		call.line = input->line;
		call.time_ns = layout_time(text);
		call.writes = layout->writes;
		result = layout_add(layout, &call);
		if (result)
			return result;
	}
	if (!result && !layout->count)
		return -ENOEXEC;
	return result;
}

static const char *layout_what(int result, const struct input *input)
{
	if (result == -ENOEXEC)
		return "not a memslot layout: no kvm_set_user_memory and no MEMSLOT line";
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
		snprintf(error, error_bytes, "%s:0: %s", path, strerror(-result));
		return result;
	}
	result = layout_read_lines(layout, &input);
	if (result)
		snprintf(error, error_bytes, "%s:%llu: %s", path, (unsigned long long)input.line,
			 layout_what(result, &input));
	input_close(&input);
	return result;
}

void layout_destroy(struct layout *layout)
{
	mem_free(layout->calls);
	layout->calls = NULL;
	layout->count = 0;
	layout->capacity = 0;
}
