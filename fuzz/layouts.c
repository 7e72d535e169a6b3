/* SPDX-License-Identifier: MIT */
/*
 * Memslot layouts: whatever the text, calls that make sense, and a trace that is given them tells
 * every call that was not refused, once, with its numbers.
 *
 * Input: a byte (which trace), then the layout file.
 */
#include <vmmu/trace.h>

#include <errno.h>
#include <string.h>

#include "target.h"
#include "tracing/layout.h"

static const char *const traces[] = {
	"# tracer: nop\n"
	"vm-1 [000] d.... 1.000001: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code "
	"0x182\n"
	"vm-1 [000] d.... 2.000001: kvm_page_fault: vcpu 0 rip 0x1 address 0x2000 error_code "
	"0x182\n",
	/* one that says itself where slots change */
	"# tracer: nop\n"
	"vm-1 [000] ..... 1.000000: tracing_mark_write: slot 0 0 0x100000 0x0 0\n"
	"vm-1 [000] d.... 1.000001: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code "
	"0x182\n"
	"vm-1 [000] ..... 2.000000: tracing_mark_write: del 0\n",
};

static void check_call(const struct layout_call *call, const struct layout_call *before)
{
	TARGET_CHECK(call->slot.id <= UINT16_MAX && call->slot.as_id <= UINT16_MAX,
		     "slot %u of address space %u", call->slot.id, call->slot.as_id);
	TARGET_CHECK(call->line, "a call on line 0");
	if (!before)
		return;
	TARGET_CHECK(call->line > before->line && call->writes >= before->writes,
		     "calls out of order at line %llu", (unsigned long long)call->line);
}

/* The file by itself; returns how many calls a trace may tell at most. */
static uint64_t check_layout(const char *path)
{
	struct layout layout;
	char error[128] = "";
	uint64_t told = 0, count;
	int result = layout_read(&layout, path, error, sizeof(error));

	/* -ENOPKG: a trace.dat, which is target dat's matter */
	TARGET_CHECK(!result || result == -ENOEXEC || result == -EBADMSG || result == -EFBIG ||
			     result == -ENOPKG,
		     "layout_read: %d %s", result, error);
	TARGET_CHECK(!result == !*error, "%d, yet error \"%s\"", result, error);
	for (size_t i = 0; !result && i < layout.count; i++) {
		check_call(&layout.calls[i], i ? &layout.calls[i - 1] : NULL);
		TARGET_CHECK(!layout.has_times || layout.calls[i].time_ns, "a call without time");
		told += !layout.calls[i].is_refused;
	}
	count = layout.count;
	TARGET_CHECK(result || (count && told + layout.refused_count == count),
		     "%llu calls, %llu told, %llu refused", (unsigned long long)count,
		     (unsigned long long)told, (unsigned long long)layout.refused_count);
	layout_destroy(&layout);
	return result ? 0 : told;
}

static void check_trace(const char *text, const char *layout, uint64_t told)
{
	struct vmmu_trace_options options = {.size = sizeof(options), .layout = layout};
	struct vmmu_trace_event event;
	struct vmmu_trace *trace;
	char error[128] = "";
	uint64_t slots = 0;
	int result = vmmu_trace_open(target_file(1, text, strlen(text)), &options, &trace, error,
				     sizeof(error));

	TARGET_CHECK(!result == !!told || (!result && !told), "trace: %d %s, %llu calls", result,
		     error, (unsigned long long)told);
	if (result)
		return;
	while ((result = vmmu_trace_next(trace, &event)) == 1)
		slots += event.kind == VMMU_TRACE_SLOT;
	TARGET_CHECK(!result, "%s", vmmu_trace_error(trace));
	TARGET_CHECK(slots <= told + 2, "%llu slot events of %llu calls", (unsigned long long)slots,
		     (unsigned long long)told);
	vmmu_trace_close(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path;
	uint64_t told;

	if (!size)
		return 0;
	target_begin();
	path = target_file(0, data + 1, size - 1);
	told = check_layout(path);
	check_trace(traces[*data & 1], path, told);
	target_end();
	return 0;
}
