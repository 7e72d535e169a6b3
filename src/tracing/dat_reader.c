/* SPDX-License-Identifier: MIT */
/*
 * vmmu-trace-dat: a trace.dat file as lines of text, by libtracecmd. A program of its own because
 * that library trusts its input: whatever a damaged file makes of it ends this process alone, whose
 * memory and time are limited (dat.c starts it and judges how it ended).
 *
 * A line is "-PID [CPU] ..... SECONDS: NAME: FIELD=VALUE ...", with the fields that are numbers,
 * read by the formats inside the file; the text of a mark as it is. No plugin is loaded: they
 * rewrite events, and lose fields.
 */
#include <ctype.h>
#include <errno.h>
#include <event-parse.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <trace-cmd.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "tracing/dat_status.h"

#define READER_TEXT_BYTES 65536u
#define READER_LINE_MAX   8192u /* of the text of a mark, at most */
#define READER_FIELDS_MAX 40u
#define READER_NAME_MAX   63u
#define READER_IDS_MAX    65536u /* event ids are 16 bits wide */
#define READER_CPUS_MAX   4096u
/* Address space: the library maps a few pages at a time, and keeps symbols and formats. */
#define READER_MEMORY_BYTES (UINT64_C(4) << 30)
/* Processor time beyond any that a sound file needs, so that an endless loop ends. */
#define READER_SECONDS          60u
#define READER_BYTES_PER_SECOND (UINT64_C(512) << 10)
/* Compressed data may grow this much. */
#define READER_GROWTH 256u

struct reader_field {
	const char *name;
	unsigned offset, bytes;
	bool is_signed;
};

/* How events of one id are written. */
struct reader_plan {
	const char *name;
	bool is_mark;
	unsigned count;
	struct reader_field fields[READER_FIELDS_MAX];
};

static struct {
	struct tep_handle *tep;
	struct reader_plan *plans[READER_IDS_MAX];
	size_t used;
	struct dat_status status;
	uint64_t file_bytes;
	uint64_t first[READER_CPUS_MAX], last[READER_CPUS_MAX]; /* offsets + 1; 0: none */
	char text[READER_TEXT_BYTES];
} reader;

/*
 * The library may unpack events into files in /tmp, which it removes when it closes the trace.
 * These two stand in the place of the C library's, so that a killed process leaves none behind.
 */
int mkstemp(char *template)
{
	int fd = mkostemp(template, O_CLOEXEC);

	if (fd >= 0)
		unlink(template);
	return fd;
}

int mkstemp64(char *template)
{
	return mkstemp(template);
}

static void reader_tell(enum dat_state state)
{
	reader.status.state = state;
	if (pwrite(DAT_FD_STATUS, &reader.status, sizeof(reader.status), 0) < 0)
		exit(1);
}

static void reader_fail(const char *what)
{
	snprintf(reader.status.what, sizeof(reader.status.what), "%s", what);
	reader_tell(DAT_FAILED);
	exit(1);
}

/*
 * How far reading has come. Each CPU's events are one piece of the file; or of what a compressed
 * file unpacks to, whose offsets go beyond the file: the last piece's size is then taken to be the
 * mean of the others.
 */
static void reader_progress(void)
{
	uint64_t done = 0, low = UINT64_MAX, high = 0, total;
	unsigned count = 0;

	for (unsigned cpu = 0; cpu < READER_CPUS_MAX; cpu++) {
		if (!reader.first[cpu] || reader.last[cpu] < reader.first[cpu])
			continue;
		done += reader.last[cpu] - reader.first[cpu];
		low = reader.first[cpu] < low ? reader.first[cpu] : low;
		high = reader.first[cpu] > high ? reader.first[cpu] : high;
		count++;
	}
	if (high < reader.file_bytes)
		total = count ? reader.file_bytes - low : 0;
	else
		total = count > 1 ? (high - low) / (count - 1) * count : 0;
	reader.status.done = done;
	reader.status.total = done < total ? total : 0;
	reader_tell(DAT_RUNNING);
}

static void reader_flush(void)
{
	size_t at = 0;

	while (at < reader.used) {
		ssize_t count = write(DAT_FD_TEXT, reader.text + at, reader.used - at);

		if (count < 0 && errno != EINTR)
			exit(1); /* nobody reads any more */
		at += count > 0 ? (size_t)count : 0;
	}
	reader.used = 0;
}

static void reader_put(char c)
{
	reader.text[reader.used++] = c;
}

static void reader_put_text(const char *text)
{
	size_t bytes = strlen(text);

	memcpy(reader.text + reader.used, text, bytes);
	reader.used += bytes;
}

/* At least WIDTH decimal digits. */
static void reader_put_decimal(uint64_t value, unsigned width)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value || count < width);
	while (count)
		reader_put(digits[--count]);
}

static void reader_put_hex(uint64_t value)
{
	unsigned shift = value ? (63 - (unsigned)__builtin_clzll(value)) & ~3u : 0;

	reader_put_text("0x");
	for (;; shift -= 4) {
		reader_put("0123456789abcdef"[value >> shift & 15]);
		if (!shift)
			return;
	}
}

static bool reader_is_name(const char *name)
{
	size_t bytes = name ? strlen(name) : 0;

	for (size_t i = 0; i < bytes; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return bytes && bytes <= READER_NAME_MAX;
}

static bool reader_is_number(const struct tep_format_field *field)
{
	return !(field->flags &
		 (TEP_FIELD_IS_ARRAY | TEP_FIELD_IS_STRING | TEP_FIELD_IS_DYNAMIC)) &&
	       (field->size == 1 || field->size == 2 || field->size == 4 || field->size == 8) &&
	       field->offset >= 0 && reader_is_name(field->name);
}

static struct reader_plan *reader_make_plan(struct tep_event *event)
{
	struct reader_plan *plan = calloc(1, sizeof(*plan));
	struct tep_format_field *field = event->format.fields;

	if (!plan)
		reader_fail("out of memory");
	plan->is_mark = event->name && !strcmp(event->name, "print");
	plan->name = plan->is_mark                 ? "tracing_mark_write"
		     : reader_is_name(event->name) ? event->name
						   : "unnamed";
	for (; field && plan->count < READER_FIELDS_MAX; field = field->next) {
		bool is_text = plan->is_mark && field->name && !strcmp(field->name, "buf");

		if (field->offset < 0 || (plan->is_mark ? !is_text : !reader_is_number(field)))
			continue;
		plan->fields[plan->count++] = (struct reader_field){
			.name = field->name,
			.offset = (unsigned)field->offset,
			.bytes = (unsigned)field->size,
			.is_signed = field->flags & TEP_FIELD_IS_SIGNED,
		};
	}
	return plan;
}

/* NULL: the file has no format for this record. */
static struct reader_plan *reader_plan(const struct tep_record *record)
{
	int id = record->size >= 8 ? tep_data_type(reader.tep, (struct tep_record *)record) : -1;
	struct tep_event *event;

	if (id < 0 || id >= (int)READER_IDS_MAX)
		return NULL;
	if (!reader.plans[id]) {
		event = tep_find_event(reader.tep, id);
		if (event)
			reader.plans[id] = reader_make_plan(event);
	}
	return reader.plans[id];
}

static void reader_put_field(const struct reader_field *field, const struct tep_record *record)
{
	const char *bytes = (const char *)record->data + field->offset;
	unsigned long long value;
	unsigned sign = 64 - 8 * field->bytes;

	if (field->offset > (unsigned)record->size ||
	    field->bytes > (unsigned)record->size - field->offset)
		return; /* the record is shorter than its format says */
	value = tep_read_number(reader.tep, bytes, (int)field->bytes);
	reader_put(' ');
	reader_put_text(field->name);
	reader_put('=');
	if (field->is_signed && (int64_t)(value << sign) < 0) {
		reader_put('-');
		reader_put_decimal(0 - (uint64_t)((int64_t)(value << sign) >> sign), 1);
	} else {
		reader_put_hex(value);
	}
}

/* The text of a mark runs to the end of its record; what would end or break a line is a blank. */
static void reader_put_mark(const struct reader_field *field, const struct tep_record *record)
{
	const char *bytes = (const char *)record->data;
	unsigned at = field->offset, end = at;

	while (end < (unsigned)record->size && bytes[end] && end - at < READER_LINE_MAX)
		end++;
	while (end > at && isspace((unsigned char)bytes[end - 1]))
		end--;
	reader_put(' ');
	for (; at < end; at++)
		reader_put(iscntrl((unsigned char)bytes[at]) ? (char)' ' : bytes[at]);
}

static void reader_put_columns(const struct tep_record *record, const char *name)
{
	int pid = tep_data_pid(reader.tep, (struct tep_record *)record);

	reader_put('-');
	reader_put_decimal(pid > 0 ? (unsigned)pid : 0, 1);
	reader_put_text(" [");
	reader_put_decimal(record->cpu > 0 ? (unsigned)record->cpu : 0, 3);
	reader_put_text("] ..... ");
	reader_put_decimal(record->ts / 1000000000, 1);
	reader_put('.');
	reader_put_decimal(record->ts % 1000000000, 9);
	reader_put_text(": ");
	reader_put_text(name);
	reader_put(':');
}

static void reader_put_lost(const struct tep_record *record)
{
	reader_put_text("CPU:");
	reader_put_decimal(record->cpu > 0 ? (unsigned)record->cpu : 0, 1);
	reader_put_text(" [LOST EVENTS]\n");
}

static int reader_record(struct tracecmd_input *input, struct tep_record *record, int cpu,
			 void *ctx)
{
	const struct reader_plan *plan = reader_plan(record);

	(void)input, (void)ctx;
	if (READER_TEXT_BYTES - reader.used <
	    READER_LINE_MAX + READER_FIELDS_MAX * (READER_NAME_MAX + 24) + 256) {
		reader_flush();
		reader_progress();
	}
	if (cpu >= 0 && cpu < (int)READER_CPUS_MAX) {
		reader.last[cpu] = record->offset + 1;
		if (!reader.first[cpu])
			reader.first[cpu] = reader.last[cpu];
	}
	if (record->missed_events)
		reader_put_lost(record);
	reader_put_columns(record, plan ? plan->name : "unknown_event");
	for (unsigned i = 0; plan && i < plan->count; i++)
		if (plan->is_mark)
			reader_put_mark(&plan->fields[i], record);
		else
			reader_put_field(&plan->fields[i], record);
	reader_put('\n');
	return 0;
}

static void reader_limit(int what, uint64_t most)
{
	struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	(void)setrlimit(what, &limit); /* one that is lower already stays */
}

static void reader_set_limits(void)
{
	reader_limit(RLIMIT_CORE, 0);
	reader_limit(RLIMIT_CPU, READER_SECONDS + reader.file_bytes / READER_BYTES_PER_SECOND);
	reader_limit(RLIMIT_FSIZE, (UINT64_C(64) << 20) + READER_GROWTH * reader.file_bytes);
	if (!BASE_HAS_ASAN && !BASE_HAS_TSAN) /* they map terabytes */
		reader_limit(RLIMIT_AS, READER_MEMORY_BYTES);
}

static void reader_all(struct tracecmd_input *input)
{
	enum {
		INPUTS_MAX = 64
	};
	struct tracecmd_input *inputs[INPUTS_MAX] = {input};
	int count = 1, instances = tracecmd_buffer_instances(input);

	for (int i = 0; i < instances && count < INPUTS_MAX; i++) {
		inputs[count] = tracecmd_buffer_instance_handle(input, i);
		count += inputs[count] != NULL;
	}
	if (count > 1)
		tracecmd_iterate_events_multi(inputs, count, reader_record, NULL);
	else
		tracecmd_iterate_events(input, NULL, 0, reader_record, NULL);
}

int main(void)
{
	struct tracecmd_input *input;
	struct stat status;

	if (fstat(DAT_FD_FILE, &status) || fcntl(DAT_FD_STATUS, F_GETFD) < 0) {
		fputs("vmmu-trace-dat is run by vmmu: it takes no arguments\n", stderr);
		return 2;
	}
	reader.file_bytes = (uint64_t)status.st_size;
	reader_set_limits();
	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	reader_tell(DAT_RUNNING);
	input = tracecmd_open_fd(DAT_FD_FILE, TRACECMD_FL_LOAD_NO_PLUGINS);
	if (!input)
		reader_fail("libtracecmd does not take its head");
	reader.tep = tracecmd_get_tep(input);
	reader_all(input);
	reader_flush();
	reader_progress();
	reader_tell(DAT_FINISHED);
	/* Nothing is given back one by one: it goes with the process. */
	_exit(0);
}
