/* SPDX-License-Identifier: MIT */
/*
 * The readers of trace text (and gzip and zstd data): whatever the bytes, events that make sense,
 * in bounded memory, and the same ones when read again; then a replay of them, which must leave
 * sound tables.
 *
 * Input: a byte for the options, then the file.
 */
#include <vmmu/fault.h>
#include <vmmu/replay.h>
#include <vmmu/trace.h>

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "format/outside.h"
#include "target.h"

#define MEMORY_MAX (UINT64_C(16) << 20)

/* One bit of the first byte. */
#define REPLAYS 0x80

struct reading {
	uint64_t events, last_line;
	uint64_t hash; /* over all events */
	int result;    /* of the last read */
};

static void check_fault(const struct vmmu_trace_fault *fault)
{
	unsigned access = fault->access;

	TARGET_CHECK(access == VMMU_READ || access == VMMU_WRITE || access == VMMU_EXEC,
		     "a fault with access %u", access);
	TARGET_CHECK(fault->flags < VMMU_FAULT_NO_WAIT, "a fault with flags %#x", fault->flags);
}

static void check_event(const struct vmmu_trace_event *event, struct reading *reading)
{
	TARGET_CHECK(event->kind < VMMU_TRACE_KINDS, "kind %u", (unsigned)event->kind);
	TARGET_CHECK(event->name && event->text, "no name or no text");
	TARGET_CHECK(event->line >= reading->last_line, "line %llu after line %llu",
		     (unsigned long long)event->line, (unsigned long long)reading->last_line);
	TARGET_CHECK(event->level <= VMMU_LEVELS_MAX, "level %u", event->level);
	if (event->kind == VMMU_TRACE_FAULT)
		check_fault(&event->fault);
	if (event->kind == VMMU_TRACE_INVALIDATE || event->kind == VMMU_TRACE_AGE)
		TARGET_CHECK(event->hva.start <= event->hva.end, "a backward range");
	if (event->kind == VMMU_TRACE_ACCESS)
		TARGET_CHECK(event->access && !(event->access & ~(unsigned)VMMU_RWX),
			     "a script access %u", event->access);
	reading->last_line = event->line;
}

static uint64_t hash_event(const struct vmmu_trace_event *event, uint64_t hash)
{
	struct vmmu_trace_event plain = *event;

	hash = XXH3_64bits_withSeed(event->name, strlen(event->name), hash);
	hash = XXH3_64bits_withSeed(event->text, strlen(event->text), hash);
	/* the rest is plain data: readers start from all zeros, padding included */
	plain.name = plain.text = NULL;
	return XXH3_64bits_withSeed(&plain.gpa,
				    sizeof(plain) - offsetof(struct vmmu_trace_event, gpa), hash);
}

static struct reading read_all(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event;
	struct reading reading = {0};

	while ((reading.result = vmmu_trace_next(trace, &event)) == 1) {
		check_event(&event, &reading);
		reading.hash = hash_event(&event, reading.hash);
		reading.events++;
	}
	TARGET_CHECK(reading.result == 0 || reading.result == -EBADMSG, "read: %d %s",
		     reading.result, vmmu_trace_error(trace));
	TARGET_CHECK(!reading.result == !*vmmu_trace_error(trace), "%d, yet error \"%s\"",
		     reading.result, vmmu_trace_error(trace));
	TARGET_CHECK(target_heap_most() < MEMORY_MAX, "%llu bytes of heap",
		     (unsigned long long)target_heap_most());
	return reading;
}

static void check_counts(const struct vmmu_trace *trace)
{
	struct vmmu_trace_count count;
	uint64_t done, total;
	unsigned i = 0;

	while (vmmu_trace_count_at(trace, i, &count)) {
		TARGET_CHECK(*count.name && strlen(count.name) < MEMORY_MAX && count.count,
			     "an empty count");
		i++;
	}
	vmmu_trace_progress(trace, &done, &total);
	TARGET_CHECK(!total || done <= total, "progress beyond the end");
	TARGET_CHECK((unsigned)vmmu_trace_syntax(trace) <= VMMU_SYNTAX_PERF, "unknown syntax");
	TARGET_CHECK(vmmu_syntax_name(vmmu_trace_syntax(trace)), "a syntax without a name");
}

/* Twice over the same input: equal tables, none of them broken. */
static void replay(struct vmmu_trace *trace, unsigned choice)
{
	struct vmmu_replay_options options = {.size = sizeof(options), .repeat = 2};
	struct vmmu_replay_report report;
	uint64_t outcomes = 0;
	int result;

	if (choice & 1)
		options.format = outside_at(choice % target_format_count());
	options.dirty_log = choice & 2;
	options.nx_huge = choice & 4;
	options.backing = (enum vmmu_backing)(choice >> 3 & 3);
	result = vmmu_replay(trace, &options, &report);
	if (result) {
		TARGET_CHECK(result == -ENODATA || result == -ENOMEM || result == -EBADMSG,
			     "replay: %d %s", result, vmmu_trace_error(trace));
		return;
	}
	for (unsigned i = 0; i < VMMU_OUTCOMES; i++)
		outcomes += report.outcomes[i];
	TARGET_CHECK(outcomes + report.errors == report.faults, "%llu faults, %llu outcomes",
		     (unsigned long long)report.faults, (unsigned long long)outcomes);
	TARGET_CHECK(!report.audit.violations, "audit: %llu violations",
		     (unsigned long long)report.audit.violations);
	TARGET_CHECK(report.digest_repeatable, "two replays differ");
}

static void use(struct vmmu_trace *trace, unsigned choice)
{
	struct reading first = read_all(trace), second;

	check_counts(trace);
	TARGET_CHECK(!vmmu_trace_rewind(trace), "rewind: %s", vmmu_trace_error(trace));
	second = read_all(trace);
	TARGET_CHECK(first.events == second.events && first.hash == second.hash &&
			     first.result == second.result,
		     "read again: %llu events, first %llu", (unsigned long long)second.events,
		     (unsigned long long)first.events);
	check_counts(trace);
	if (choice & REPLAYS)
		replay(trace, choice >> 2 & 31);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmmu_trace_options options = {.size = sizeof(options)};
	struct vmmu_trace *trace;
	char error[128] = "";
	unsigned choice;
	int result;

	if (!size)
		return 0;
	choice = *data;
	options.semantics = (enum vmmu_trace_semantics)(choice & 3);
	target_begin();
	result = vmmu_trace_open(target_file(0, data + 1, size - 1), &options, &trace, error,
				 sizeof(error));
	if (!result) {
		use(trace, choice);
		vmmu_trace_close(trace);
	} else {
		/* -ENOPKG: a trace.dat, which is target dat's matter */
		TARGET_CHECK(result == -ENOEXEC || result == -EBADMSG || result == -ENOPKG,
			     "open: %d %s", result, error);
		TARGET_CHECK(*error, "an error without a word");
	}
	target_end();
	return 0;
}
