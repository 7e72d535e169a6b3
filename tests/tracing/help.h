/* SPDX-License-Identifier: MIT */
/* Traces out of strings, for the tests of the reader. */
#ifndef TESTS_TRACING_HELP_H
#define TESTS_TRACING_HELP_H

#include <vmmu/trace.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_PATH_BYTES 64

/* A temporary file that holds BYTES bytes; the caller unlinks PATH. */
static inline void help_file(char path[HELP_PATH_BYTES], const void *content, size_t bytes)
{
	int fd;

	snprintf(path, HELP_PATH_BYTES, "/tmp/vmmu-test-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content, bytes), (ssize_t)bytes);
	close(fd);
}

/* Open a trace that reads TEXT, with LAYOUT (text of a layout file, or NULL) and SEMANTICS. */
static inline struct vmmu_trace *help_open_all(const char *text, const char *layout,
					       enum vmmu_trace_semantics semantics)
{
	struct vmmu_trace_options options = {.size = sizeof(options), .semantics = semantics};
	char path[HELP_PATH_BYTES], layout_path[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;
	int result;

	help_file(path, text, strlen(text));
	if (layout) {
		help_file(layout_path, layout, strlen(layout));
		options.layout = layout_path;
	}
	result = vmmu_trace_open(path, &options, &trace, error, sizeof(error));
	unlink(path);
	if (layout)
		unlink(layout_path);
	cr_assert_eq(result, 0, "%d %s", result, error);
	return trace;
}

static inline struct vmmu_trace *help_open(const char *text)
{
	return help_open_all(text, NULL, VMMU_SEMANTICS_AUTO);
}

/* The next event, which must be there. Its strings die with the trace. */
static inline struct vmmu_trace_event help_next(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event;
	int result = vmmu_trace_next(trace, &event);

	cr_assert_eq(result, 1, "%d %s", result, vmmu_trace_error(trace));
	return event;
}

/* The last event of TEXT without its strings. */
static inline struct vmmu_trace_event help_last(const char *text)
{
	struct vmmu_trace *trace = help_open(text);
	struct vmmu_trace_event event, last = {.kind = VMMU_TRACE_KINDS};
	int result;

	while ((result = vmmu_trace_next(trace, &event)) > 0)
		last = event;
	cr_assert_eq(result, 0, "%s", vmmu_trace_error(trace));
	cr_assert_lt((int)last.kind, VMMU_TRACE_KINDS, "no event in: %s", text);
	vmmu_trace_close(trace);
	last.name = NULL;
	last.text = NULL;
	return last;
}

/* How often NAME was counted, 0 when never; *UNDERSTOOD (may be NULL) as counted. */
static inline uint64_t help_count(const struct vmmu_trace *trace, const char *name,
				  bool *understood)
{
	struct vmmu_trace_count count;

	for (unsigned i = 0; vmmu_trace_count_at(trace, i, &count); i++) {
		if (strcmp(count.name, name))
			continue;
		if (understood)
			*understood = count.understood;
		return count.count;
	}
	return 0;
}

/* Read to the end, kinds counted. */
static inline void help_kinds(struct vmmu_trace *trace, uint64_t kinds[VMMU_TRACE_KINDS])
{
	struct vmmu_trace_event event;
	int result;

	memset(kinds, 0, VMMU_TRACE_KINDS * sizeof(*kinds));
	while ((result = vmmu_trace_next(trace, &event)) > 0)
		kinds[event.kind]++;
	cr_assert_eq(result, 0, "%s", vmmu_trace_error(trace));
}

static inline bool help_is_same_slot(const struct vmmu_slot *a, const struct vmmu_slot *b)
{
	return a->as_id == b->as_id && a->id == b->id && a->flags == b->flags && a->gpa == b->gpa &&
	       a->bytes == b->bytes && a->hva == b->hva;
}

/* Counts of what was read and not understood. */
static inline uint64_t help_not_understood(const struct vmmu_trace *trace)
{
	struct vmmu_trace_count count;
	uint64_t sum = 0;

	for (unsigned i = 0; vmmu_trace_count_at(trace, i, &count); i++)
		sum += count.understood ? 0 : count.count;
	return sum;
}

/*
 * Open CONTENT, which must fail: its error text in *ERROR starts with the file name, left out here.
 */
static inline int help_open_bad(const void *content, size_t bytes, char *error, size_t error_bytes)
{
	char path[HELP_PATH_BYTES], text[256];
	struct vmmu_trace *trace;
	int result;

	help_file(path, content, bytes);
	result = vmmu_trace_open(path, NULL, &trace, text, sizeof(text));
	unlink(path);
	cr_assert_lt(result, 0, "opened");
	cr_assert_null(trace);
	cr_assert(!strncmp(text, path, strlen(path)), "%s", text);
	snprintf(error, error_bytes, "%s", text + strlen(path));
	return result;
}

/* Open BYTES, whatever is in them. */
static inline struct vmmu_trace *help_open_bytes(const void *bytes, size_t count)
{
	char path[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;

	help_file(path, bytes, count);
	cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s", error);
	unlink(path);
	return trace;
}

/* How many events are left; *RESULT: how they end. */
static inline uint64_t help_count_events(struct vmmu_trace *trace, int *result)
{
	struct vmmu_trace_event event;
	uint64_t count = 0;

	while ((*result = vmmu_trace_next(trace, &event)) > 0)
		count++;
	return count;
}

/* A pipe with BYTES bytes from a child as standard input. */
static inline void help_stdin(const void *content, size_t bytes)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	if (!fork()) {
		size_t done = 0;

		close(ends[0]);
		while (done < bytes) {
			ssize_t count = write(ends[1], (const char *)content + done, bytes - done);

			if (count <= 0)
				break;
			done += (size_t)count;
		}
		_exit(0);
	}
	close(ends[1]);
	cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
}

#endif
