/* SPDX-License-Identifier: MIT */
#include "tracing/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tracing/layout.h"
#include "tracing/line.h"

/* Lines that are no event: enum line_kind, and after it those that the input skips. */
enum stream_skip {
	STREAM_LONG = LINE_KINDS,
	STREAM_BINARY,
	STREAM_SKIPS,
};

static const struct {
	const char *name;
	bool is_understood;
} stream_skips[STREAM_SKIPS] = {
	[LINE_NAME] = {"(unparsed line)", false},   [LINE_EMPTY] = {"(empty line)", true},
	[LINE_COMMENT] = {"(comment)", true},       [LINE_TRACER] = {"(comment)", true},
	[LINE_HEADER] = {"(header)", true},         [LINE_STACK] = {"(stack trace line)", true},
	[LINE_LOST] = {"(lost events)", false},     [LINE_UNKNOWN] = {"(unparsed line)", false},
	[STREAM_LONG] = {"(line too long)", false}, [STREAM_BINARY] = {"(binary line)", false},
};

_Static_assert(STREAM_SKIPS <= sizeof(((struct stream *)0)->kinds) / sizeof(void *),
	       "a counter for each kind");

/* Count one line that is no event. */
static int stream_skip(struct stream *stream, unsigned kind)
{
	if (!stream->kinds[kind]) {
		const char *name = stream_skips[kind].name;
		struct counts_entry *entry = counts_find(&stream->counts, name, strlen(name), NULL);

		if (!entry)
			return -ENOMEM;
		entry->is_understood = stream_skips[kind].is_understood;
		stream->kinds[kind] = entry;
	}
	stream->kinds[kind]->count++;
	return 0;
}

/* Count a text that the reader of its name did not understand, apart from those that it did. */
static int stream_fail(struct stream *stream, struct counts_entry *entry)
{
	char name[128];
	int bytes;

	if (!entry->failed) {
		bytes = snprintf(name, sizeof(name), "%s (not understood)", entry->name);
		entry->failed = counts_find(&stream->counts, name, (size_t)bytes, NULL);
		if (!entry->failed)
			return -ENOMEM;
		entry->failed->is_understood = false;
	}
	entry->failed->count++;
	return 0;
}

/* 1: *EVENT is filled; 0: the text was not understood and counted as such. */
static int stream_event(struct stream *stream, const struct line *line,
			struct vmmu_trace_event *event)
{
	struct counts_entry *entry;
	bool is_new;

	entry = counts_find(&stream->counts, line->name, line->name_bytes, &is_new);
	if (!entry)
		return -ENOMEM;
	if (is_new)
		entry->event = parse_find(line->name, line->name_bytes);
	memset(event, 0, sizeof(*event));
	event->kind = VMMU_TRACE_OTHER;
	event->line = stream->input.line;
	event->time_ns = line->time_ns;
	event->pid = line->pid;
	event->vcpu = THREADS_NO_VCPU;
	event->name = entry->name;
	event->text = line->text;
	if (entry->event && !entry->event->read(&stream->parser, line->text, event))
		return stream->parser.error ? stream->parser.error : stream_fail(stream, entry);
	entry->count++;
	profile_observe(&stream->evidence, event, stream->parser.architecture);
	return 1;
}

/* Read one line, which must be there. 1: an event; 0: none in it. */
static int stream_line(struct stream *stream, const char *text, struct line *line,
		       struct vmmu_trace_event *event)
{
	enum line_kind kind = line_split(text, line);

	if (kind == LINE_EVENT ||
	    (kind == LINE_NAME && parse_is_kvm_name(line->name, line->name_bytes)))
		return stream_event(stream, line, event);
	line->name = NULL;
	stream->look.has_tracer |= kind == LINE_TRACER;
	stream->look.has_header |= kind == LINE_HEADER;
	return stream_skip(stream, kind);
}

int stream_next(struct stream *stream, struct vmmu_trace_event *event)
{
	struct line line;
	const char *text;
	int result;

	while ((result = input_line(&stream->input, &text)) > 0) {
		if (result == INPUT_LINE)
			result = stream_line(stream, text, &line, event);
		else
			result = stream_skip(stream,
					     result == INPUT_LONG ? STREAM_LONG : STREAM_BINARY);
		if (result)
			break;
	}
	return result;
}

bool stream_is_mark(const struct vmmu_trace_event *event)
{
	return !strcmp(event->name, "tracing_mark_write") || !strcmp(event->name, "print");
}

static void stream_vote(struct stream_look *look, const struct line *line,
			const struct vmmu_trace_event *event, bool is_event)
{
	look->event_count++;
	look->system_count += !!(line->marks & LINE_HAS_SYSTEM);
	look->column_count += !!(line->marks & LINE_HAS_COLUMN);
	look->flags_count += !!(line->marks & LINE_HAS_FLAGS);
	if (!look->first_time_ns)
		look->first_time_ns = line->time_ns;
	if (is_event && !*look->first_mark && stream_is_mark(event))
		snprintf(look->first_mark, sizeof(look->first_mark), "%s", event->text);
	if (is_event && event->kind == VMMU_TRACE_SLOT && !look->has_first_slot) {
		look->has_first_slot = true;
		look->first_slot = event->slot;
	}
}

static enum vmmu_trace_syntax stream_syntax(const struct stream_look *look)
{
	if (look->has_tracer)
		return VMMU_SYNTAX_TRACEFS;
	if (2 * look->system_count > look->event_count)
		return VMMU_SYNTAX_PERF;
	if (look->has_header || look->column_count)
		return VMMU_SYNTAX_TRACE_CMD;
	if (look->flags_count)
		return VMMU_SYNTAX_TRACEFS;
	return look->event_count ? VMMU_SYNTAX_TRACE_CMD : VMMU_SYNTAX_UNKNOWN;
}

/* Read what the first buffer holds, for the hints; the caller starts again. */
static int stream_look(struct stream *stream)
{
	struct vmmu_trace_event event;
	struct line line = {0};
	const char *text;
	int result = 0;

	while (result >= 0 && input_has_line(&stream->input)) {
		result = input_line(&stream->input, &text);
		if (result != INPUT_LINE)
			continue;
		result = stream_line(stream, text, &line, &event);
		if (result >= 0 && line.name)
			stream_vote(&stream->look, &line, &event, result > 0);
	}
	stream->look.syntax = stream->input.dat ? VMMU_SYNTAX_TRACE_DAT
						: stream_syntax(&stream->look);
	stream->look.known = stream->parser.known;
	return result < 0 ? result : 0;
}

/* Known beginnings of files that people may take for a trace. */
static const struct {
	const char *bytes;
	size_t count;
	const char *what;
} stream_magics[] = {
	{"\x17\x08\x44tracing", 10, "a trace.dat file in a compressed one: unpack it first"},
	{"PERFILE2", 8, "a perf.data file: give the text of perf script"},
	{"\xff\xfe", 2, "UTF-16 text: convert it to UTF-8"},
	{"\xfe\xff", 2, "UTF-16 text: convert it to UTF-8"},
	{"\xfd"
	 "7zXZ",
	 5, "compressed with xz: unpack it first"},
	{"BZh", 3, "compressed with bzip2: unpack it first"},
};

/* Why the input is no trace, from its first buffer. */
static const char *stream_refusal(const struct input *input)
{
	struct layout_call call;

	if (!input->end)
		return "the file is empty";
	for (size_t i = 0; i < sizeof(stream_magics) / sizeof(*stream_magics); i++)
		if (input->end >= stream_magics[i].count &&
		    !memcmp(input->buffer, stream_magics[i].bytes, stream_magics[i].count))
			return stream_magics[i].what;
	if (memchr(input->buffer, '\0', input->end))
		return "binary data";
	input->buffer[input->end] = '\0';
	if (layout_parse(input->buffer, &call))
		return "a memslot layout: give it as the layout of a trace";
	if (input->end > INPUT_LINE_MAX && !memchr(input->buffer, '\n', INPUT_LINE_MAX))
		return "its first line is longer than 65536 bytes";
	return "no event in its first lines";
}

const char *stream_display(const char *path)
{
	return strcmp(path, "-") ? path : "stdin";
}

const char *stream_what(const struct stream *stream, int error)
{
	bool is_inputs = error == -EBADMSG || error == -ENOPKG;
	const char *what = is_inputs ? input_error(&stream->input) : "";

	return *what ? what : strerror(-error);
}

static int stream_start(struct stream *stream, const char *path, char *error, size_t error_bytes)
{
	int result = stream_look(stream);
	const struct stream_look *look = &stream->look;

	if (!result && !look->event_count && !look->has_header)
		result = stream->input.error;
	if (!result && look->syntax == VMMU_SYNTAX_UNKNOWN && !look->has_header)
		result = -ENOEXEC;
	if (result == -ENOEXEC) {
		input_rewind(&stream->input);
		snprintf(error, error_bytes, "%s:1: not a trace: %s", stream_display(path),
			 stream_refusal(&stream->input));
	} else if (result) {
		snprintf(error, error_bytes, "%s:%llu: %s", stream_display(path),
			 (unsigned long long)stream->input.line + 1, stream_what(stream, result));
	}
	return result ? result : stream_rewind(stream);
}

int stream_open(struct stream *stream, const char *path, enum vmmu_trace_semantics option,
		char *error, size_t error_bytes)
{
	int result;

	memset(stream, 0, sizeof(*stream));
	stream->parser.option = option;
	result = counts_init(&stream->counts);
	if (result) {
		stream->input.source.fd = -1;
		stream->input.source.spool_fd = -1;
	} else {
		result = input_open(&stream->input, path);
	}
	if (result) {
		snprintf(error, error_bytes, "%s: %s", stream_display(path), strerror(-result));
		return result;
	}
	return stream_start(stream, path, error, error_bytes);
}

int stream_rewind(struct stream *stream)
{
	struct parser *parser = &stream->parser;

	threads_clear(&parser->threads);
	parser->known = stream->look.known;
	parser->next_vcpu = 0;
	parser->write_exits = 0;
	parser->error = 0;
	counts_clear(&stream->counts);
	memset(stream->kinds, 0, sizeof(stream->kinds));
	return input_rewind(&stream->input);
}

void stream_close(struct stream *stream)
{
	counts_destroy(&stream->counts);
	threads_destroy(&stream->parser.threads);
	input_close(&stream->input);
}
