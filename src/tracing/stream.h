/* SPDX-License-Identifier: MIT */
/* The events of one trace file in file order: lines, read by their syntax, counted, understood. */
#ifndef VMMU_TRACING_STREAM_H
#define VMMU_TRACING_STREAM_H

#include "tracing/counts.h"
#include "tracing/input.h"
#include "tracing/parse.h"
#include "tracing/profile.h"

/*
 * What a look at the first lines found: whether this is a trace, of which tool, and hints for
 * reading it.
 */
struct stream_look {
	enum vmmu_trace_syntax syntax;
	enum vmmu_trace_semantics known; /* as parser.known after the first lines */
	uint64_t first_time_ns;          /* of the first event that has one; 0: none */
	bool has_first_slot;
	struct vmmu_slot first_slot; /* of the first script line that is a slot call */
	char first_mark[64];         /* text of the first mark of any kind, cut; "": none */
	/* votes for the syntax */
	bool has_tracer, has_header;
	uint64_t event_count, system_count, column_count, flags_count;
};

struct stream {
	struct input input;
	struct parser parser;
	struct counts counts;
	struct stream_look look;
	struct profile_evidence evidence; /* which kernel it was; stays through a rewind */
	struct counts_entry
		*kinds[16]; /* counters of lines that are no event, by enum stream_skip */
};

/*
 * Open PATH and look at its first lines. OPTION as in vmmu_trace_options. With an error, ERROR gets
 * "file:line: what": input_open()'s and input_line()'s, -ENOEXEC: no trace. Then stream_close().
 */
int stream_open(struct stream *stream, const char *path, enum vmmu_trace_semantics option,
		char *error, size_t error_bytes);
/* The next event: 1 and *EVENT; 0 at the end; errors of input_line(). */
int stream_next(struct stream *stream, struct vmmu_trace_event *event);
/* Did a program write EVENT into the trace? */
bool stream_is_mark(const struct vmmu_trace_event *event);
/* Start again: the same events, counts from 0. Errors of input_rewind(). */
int stream_rewind(struct stream *stream);
/* "" or what the last error was about; static text. */
const char *stream_what(const struct stream *stream, int error);
/* Close; harmless on a zeroed stream whose open failed. */
void stream_close(struct stream *stream);
/* PATH as messages name it. */
const char *stream_display(const char *path);

#endif
