/* SPDX-License-Identifier: MIT */
/* Input that is no trace, damaged, huge or odd: a message with file and line, or counted skips. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include "base/failing_mem.h"
#include "tracing/help.h"
#include "tracing/threads.h"

#define LINE "q-1 [000] ..... 1.0: kvm_fpu: load\n"

Test(hostile, what_is_no_trace__is_refused_with_the_reason)
{
	static const struct {
		const char *bytes;
		size_t count;
		const char *why;
	} rows[] = {
		{"", 0, ":1: not a trace: the file is empty"},
		{"one\ntwo: three\n", 15, ":1: not a trace: no event in its first lines"},
		{"\xff\xfeq\0-\0001\0", 8, ":1: not a trace: UTF-16 text: convert it to UTF-8"},
		{"\xfe\xff\0q", 4, ":1: not a trace: UTF-16 text: convert it to UTF-8"},
		{"PERFILE2\0\0", 10,
		 ":1: not a trace: a perf.data file: give the text of perf script"},
		{"\x7f"
		 "ELF\0\0\0",
		 7, ":1: not a trace: binary data"},
		{"kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x1 ua=0x1 ret=0\n", 67,
		 ":1: not a trace: a memslot layout: give it as the layout of a trace"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char error[256];

		cr_expect_eq(help_open_bad(rows[i].bytes, rows[i].count, error, sizeof(error)),
			     -ENOEXEC, "%s", rows[i].why);
		cr_expect_str_eq(error, rows[i].why);
	}
}

Test(hostile, single_line_of_10_megabytes__is_refused)
{
	size_t bytes = 10 << 20;
	char *text = malloc(bytes);
	char error[256];

	memset(text, 'a', bytes);
	cr_expect_eq(help_open_bad(text, bytes, error, sizeof(error)), -ENOEXEC);
	cr_expect_str_eq(error, ":1: not a trace: its first line is longer than 65536 bytes");
	free(text);
}

/*
 * Lines of 64 KiB are read, longer ones are skipped as one line each, wherever the buffer's end
 * falls.
 */
Test(hostile, long_lines_between_events__are_counted_and_skipped)
{
	static const size_t lengths[] = {65536, 65537, 262143, 262144, 262145, 1000000};
	size_t bytes = 0;
	char *text = malloc(4 << 20);
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;
	uint64_t expected_line = 1;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		bytes += (size_t)sprintf(text + bytes, LINE);
		memset(text + bytes, 'x', lengths[i]);
		bytes += lengths[i];
		text[bytes++] = '\n';
	}
	text[bytes] = '\0';
	trace = help_open(text);
	while (vmmu_trace_next(trace, &event) > 0) {
		cr_expect_eq(event.line, expected_line);
		expected_line += 2;
	}
	cr_expect_eq(expected_line, 13);
	cr_expect_eq(help_count(trace, "(line too long)", NULL), 5);
	cr_expect_eq(help_count(trace, "(unparsed line)", NULL), 1);
	vmmu_trace_close(trace);
	free(text);
}

Test(hostile, lines_with_nul__are_counted_and_skipped)
{
	char path[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;
	uint64_t kinds[VMMU_TRACE_KINDS];
	static const char text[] = LINE "q-1 [000] .....\0 1.0: kvm_fpu: load\n" LINE "\0\0\n";

	help_file(path, text, sizeof(text) - 1);
	cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s", error);
	help_kinds(trace, kinds);
	cr_expect_eq(kinds[VMMU_TRACE_OTHER], 2);
	cr_expect_eq(help_count(trace, "(binary line)", NULL), 2);
	vmmu_trace_close(trace);
	unlink(path);
}

Test(hostile, carriage_returns_and_no_last_newline__do_no_harm)
{
	struct vmmu_trace *trace = help_open(
		"q-1 [000] ..... 1.0: kvm_fpu: load\r\n"
		"q-1 [000] ..... 1.0: kvm_mmu_spte_requested: gfn 1 pfn 2 level 3");
	struct vmmu_trace_event event = help_next(trace);

	cr_expect_str_eq(event.text, "load");
	event = help_next(trace);
	cr_expect_eq(event.level, 3);
	cr_expect_eq(event.line, 2);
	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
	vmmu_trace_close(trace);
}

Test(hostile, folders_and_missing_files__give_the_systems_errno)
{
	struct vmmu_trace_options options = {.size = 1};
	struct vmmu_trace *trace = (void *)1;
	char error[256], small[8];

	cr_expect_eq(vmmu_trace_open("/tmp", NULL, &trace, error, sizeof(error)), -EISDIR);
	cr_expect_str_eq(error, "/tmp: Is a directory");
	cr_expect_null(trace);
	cr_expect_eq(vmmu_trace_open("/nowhere/x", NULL, &trace, error, sizeof(error)), -ENOENT);
	cr_expect_str_eq(error, "/nowhere/x: No such file or directory");
	cr_expect_eq(vmmu_trace_open("/nowhere/x", NULL, &trace, small, sizeof(small)), -ENOENT);
	cr_expect_str_eq(small, "/nowher");
	cr_expect_eq(vmmu_trace_open("/nowhere/x", NULL, &trace, NULL, 0), -ENOENT);
	cr_expect_eq(vmmu_trace_open("/tmp", &options, &trace, error, sizeof(error)), -EINVAL);
	options = (struct vmmu_trace_options){.size = sizeof(options), .semantics = 77};
	cr_expect_eq(vmmu_trace_open("/tmp", &options, &trace, error, sizeof(error)), -EINVAL);
	options = (struct vmmu_trace_options){.size = sizeof(options), .layout = "-"};
	cr_expect_eq(vmmu_trace_open("-", &options, &trace, error, sizeof(error)), -EINVAL);
	cr_expect_eq(vmmu_trace_open(NULL, NULL, &trace, error, sizeof(error)), -EINVAL);
	cr_expect_eq(vmmu_trace_open("", NULL, &trace, error, sizeof(error)), -EINVAL);
	cr_expect_eq(vmmu_trace_open("/tmp", NULL, NULL, error, sizeof(error)), -EINVAL);
	cr_expect_eq(vmmu_trace_next(NULL, NULL), -EINVAL);
	cr_expect_eq(vmmu_trace_rewind(NULL), -EINVAL);
	vmmu_trace_close(NULL);
}

/* COUNT copies of LINE as one gzip member; returns its size. */
static size_t pack_lines(unsigned char *packed, size_t room, int count)
{
	z_stream stream = {0};
	char *text = malloc(strlen(LINE) * (size_t)count + 1), *at = text;

	for (int i = 0; i < count; i++)
		at = stpcpy(at, LINE);
	cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (unsigned char *)text;
	stream.avail_in = (unsigned)(at - text);
	stream.next_out = packed;
	stream.avail_out = (unsigned)room;
	cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	free(text);
	return stream.total_out;
}

Test(hostile, gzip_members_and_trailing_zeros__are_one_text, .timeout = 30)
{
	static unsigned char packed[1 << 16];
	size_t bytes = pack_lines(packed, sizeof(packed), 3);
	struct vmmu_trace *trace;
	int result;

	bytes += pack_lines(packed + bytes, sizeof(packed) - bytes, 4);
	memset(packed + bytes, 0, 512);
	trace = help_open_bytes(packed, bytes + 512);
	cr_expect_eq(help_count_events(trace, &result), 7);
	cr_expect_eq(result, 0);
	cr_assert_eq(vmmu_trace_rewind(trace), 0);
	cr_expect_eq(help_count_events(trace, &result), 7);
	vmmu_trace_close(trace);
}

/*
 * An unfinished line, as a recording that was stopped ends: too long for one, and too long at all.
 */
Test(hostile, last_line_without_an_end__is_counted_like_others)
{
	size_t bytes = strlen(LINE), more = 400000;
	char *text = malloc(bytes + more);
	struct vmmu_trace *trace;
	int result;

	memcpy(text, LINE, bytes);
	memset(text + bytes, 'x', more);
	trace = help_open_bytes(text, bytes + more);
	cr_expect_eq(help_count_events(trace, &result), 1);
	cr_expect_eq(result, 0);
	cr_expect_eq(help_count(trace, "(line too long)", NULL), 1);
	cr_expect_not(vmmu_trace_count_at(trace, 0, NULL));
	cr_expect_not(vmmu_trace_count_at(NULL, 0, &(struct vmmu_trace_count){0}));
	vmmu_trace_close(trace);
	free(text);
}

/* 100,000 lines: far more than the first look takes in. */
Test(hostile, gzip_cut_off_anywhere__gives_its_lines_then_an_error)
{
	static unsigned char packed[1 << 20];
	size_t bytes = pack_lines(packed, sizeof(packed), 100000);

	for (size_t cut = bytes - 1; cut > bytes / 2; cut -= bytes / 20) {
		struct vmmu_trace *trace = help_open_bytes(packed, cut);
		uint64_t count, again;
		int result;

		count = help_count_events(trace, &result);
		cr_expect_eq(result, -EBADMSG);
		cr_expect_gt(count, 1000);
		cr_expect_leq(count, 100000);
		cr_expect(strstr(vmmu_trace_error(trace), ": gzip data is cut off"), "%s",
			  vmmu_trace_error(trace));
		again = vmmu_trace_next(trace, &(struct vmmu_trace_event){0}) == -EBADMSG;
		cr_expect(again, "the error does not stay");
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
		cr_expect_eq(help_count_events(trace, &result), count);
		vmmu_trace_close(trace);
	}
}

Test(hostile, gzip_with_a_wrong_byte__is_an_error)
{
	static unsigned char packed[1 << 20];
	size_t bytes = pack_lines(packed, sizeof(packed), 100000);
	struct vmmu_trace *trace;
	char error[256];
	int result;

	packed[bytes - 6] ^= 1; /* the checksum */
	trace = help_open_bytes(packed, bytes);
	help_count_events(trace, &result);
	cr_expect_eq(result, -EBADMSG);
	cr_expect(strstr(vmmu_trace_error(trace), ": gzip data is broken"), "%s",
		  vmmu_trace_error(trace));
	vmmu_trace_close(trace);
	packed[2] = 99; /* the method */
	cr_expect_eq(help_open_bad(packed, bytes, error, sizeof(error)), -EBADMSG);
	cr_expect_str_eq(error, ":1: gzip data is broken");
	cr_expect_eq(help_open_bad(packed, 2, error, sizeof(error)), -EBADMSG);
}

Test(hostile, gzip_on_a_pipe__is_unpacked_and_read_again)
{
	static unsigned char packed[1 << 20];
	struct vmmu_trace *trace;
	char error[256];
	int result;

	help_stdin(packed, pack_lines(packed, sizeof(packed), 100000));
	cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s", error);
	cr_expect_eq(help_count_events(trace, &result), 100000);
	cr_expect_eq(result, 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
		cr_expect_eq(help_count_events(trace, &result), 100000);
	}
	vmmu_trace_close(trace);
}

/* Rewind before the pipe's end: first what was kept, then the rest of the pipe. */
Test(hostile, rewind_in_the_middle_of_a_pipe__loses_nothing)
{
	size_t bytes = strlen(LINE) * 50000;
	char *text = malloc(bytes + 1), *at = text;
	struct vmmu_trace_event event;
	struct vmmu_trace *trace;
	char error[256];
	int result;

	for (int i = 0; i < 50000; i++)
		at = stpcpy(at, LINE);
	help_stdin(text, bytes);
	cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s", error);
	for (int i = 0; i < 30000; i++)
		cr_assert_eq(vmmu_trace_next(trace, &event), 1);
	cr_assert_eq(vmmu_trace_rewind(trace), 0);
	cr_expect_eq(help_count_events(trace, &result), 50000);
	cr_expect_eq(result, 0);
	vmmu_trace_close(trace);
	free(text);
}

/* Nowhere to keep a pipe's bytes: it can be read once. */
Test(hostile, pipe_without_a_temporary_folder__cannot_be_rewound)
{
	size_t bytes = strlen(LINE) * 50000;
	char *text = malloc(bytes + 1), *at = text;
	struct vmmu_trace *trace;
	char error[256];
	int result;

	for (int i = 0; i < 50000; i++)
		at = stpcpy(at, LINE);
	setenv("TMPDIR", "/nowhere", 1);
	help_stdin(text, bytes);
	cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s", error);
	cr_expect_eq(help_count_events(trace, &result), 50000);
	cr_expect_eq(vmmu_trace_rewind(trace), -EIO);
	cr_expect(strstr(vmmu_trace_error(trace), "stdin:"), "%s", vmmu_trace_error(trace));
	vmmu_trace_close(trace);
	free(text);
}

/* Thread N: numbers far apart, many of which share a bucket of the table. */
static uint32_t thread_number(uint32_t n)
{
	return n << 15;
}

Test(hostile, more_threads_than_the_table_holds__forget_the_oldest, .timeout = 30)
{
	struct threads threads = {0};

	for (uint32_t n = 1; n <= THREADS_MAX + 1000; n++) {
		struct thread *thread = threads_get(&threads, thread_number(n));

		cr_assert_not_null(thread);
		thread->vcpu = n;
	}
	for (uint32_t n = 1; n <= THREADS_MAX + 1000; n++) {
		struct thread *thread = threads_find(&threads, thread_number(n));

		if (n <= 1000)
			cr_assert_null(thread, "%u", n);
		else
			cr_assert(thread && thread->vcpu == n, "%u", n);
	}
	cr_expect_eq(threads.count, THREADS_MAX);
	threads_clear(&threads);
	cr_assert_null(threads_find(&threads, thread_number(2000)));
	threads_destroy(&threads);
}

/* Every allocation fails once: an error each time, nothing kept. */
Test(hostile, failing_allocations__leave_nothing_behind)
{
	struct vmmu_trace_options options = {.size = sizeof(options),
					     .layout = VMMU_TEST_DATA
					     "/traces/kvm-live/x86-6.1/direct/mmio.slots.txt"};
	const char *path = VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/mmio.tracefs.txt.gz";
	struct vmmu_trace_event event;
	size_t live = mem_live();
	int result = -ENOMEM;

	for (uint64_t left = 0; result == -ENOMEM; left++) {
		struct vmmu_trace *trace;
		char error[256];

		cr_assert_lt(left, 1000);
		failing_mem_after(left);
		result = vmmu_trace_open(path, &options, &trace, error, sizeof(error));
		if (result) {
			cr_expect_eq(result, -ENOMEM, "%d", result);
			cr_expect_null(trace);
			cr_expect(strstr(error, "Cannot allocate memory"), "%s", error);
		} else {
			while ((result = vmmu_trace_next(trace, &event)) > 0)
				;
			cr_expect(result == 0 || result == -ENOMEM, "%d", result);
			vmmu_trace_close(trace);
		}
		cr_assert_eq(mem_live(), live, "%lu blocks kept", mem_live() - live);
	}
	failing_mem_stop();
	cr_expect_eq(result, 0);
}
