/* SPDX-License-Identifier: MIT */
/* Traces and layouts compressed with zstd: whole, in frames, cut off, damaged, through a pipe. */
#include <errno.h>
#include <zstd.h>

#include "tracing/help.h"

#define LINE  "q-1 [000] ..... 1.0: kvm_fpu: load\n"
#define LINES 100000
/* Lines differ, so that packed data has many blocks. */
#define TEXT_BYTES (LINES * 48)
/* A skippable frame of 5 bytes: RFC 8878 3.1.2. */
#define SKIPPABLE "\x50\x2a\x4d\x18\x05\0\0\0abcde"

static char text[TEXT_BYTES];
static unsigned char packed[TEXT_BYTES + 4096];

/* COUNT lines from FIRST on as one frame, with a checksum, behind what is packed; its new size. */
static size_t pack(size_t bytes, unsigned first, unsigned count)
{
	ZSTD_CCtx *stream = ZSTD_createCCtx();
	size_t length = 0;

	for (unsigned i = first; i < first + count; i++)
		length += (size_t)sprintf(text + length, "q-1 [000] ..... %u.%u: kvm_fpu: load\n",
					  i, i * 7919 % 99991);
	ZSTD_CCtx_setParameter(stream, ZSTD_c_checksumFlag, 1);
	length = ZSTD_compress2(stream, packed + bytes, sizeof(packed) - bytes, text, length);
	ZSTD_freeCCtx(stream);
	cr_assert_not(ZSTD_isError(length));
	return bytes + length;
}

Test(zstd, frames_one_after_another__are_one_text)
{
	size_t bytes;
	struct vmmu_trace *trace;
	int result;

	memcpy(packed, SKIPPABLE, 13);
	bytes = pack(13, 0, 3);
	memcpy(packed + bytes, SKIPPABLE, 13);
	bytes = pack(bytes + 13, 3, LINES);
	bytes = pack(bytes, LINES + 3, 4);
	trace = help_open_bytes(packed, bytes);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(help_count_events(trace, &result), LINES + 7);
		cr_expect_eq(result, 0);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

Test(zstd, cut_off_anywhere__gives_its_lines_then_an_error)
{
	size_t bytes = pack(0, 0, LINES);

	for (size_t cut = bytes - 1; cut > bytes / 2; cut -= bytes / 20) {
		struct vmmu_trace *trace = help_open_bytes(packed, cut);
		uint64_t count;
		int result;

		count = help_count_events(trace, &result);
		cr_expect_eq(result, -EBADMSG);
		/* nothing is missing but what is in the block that was cut, of 128 KiB at most */
		cr_expect_gt(count, LINES * cut / bytes - 5000);
		cr_expect_leq(count, LINES);
		cr_expect(strstr(vmmu_trace_error(trace), ": zstd data is cut off"), "%s",
			  vmmu_trace_error(trace));
		cr_expect_eq(vmmu_trace_next(trace, &(struct vmmu_trace_event){0}), -EBADMSG,
			     "the error does not stay");
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
		cr_expect_eq(help_count_events(trace, &result), count);
		vmmu_trace_close(trace);
	}
}

#define BLOCK 131072

/*
 * A frame made by hand of the first COUNT whole blocks of text, not compressed: RFC 8878 3.1.1 (no
 * content size, no checksum, a window of 1 MiB), 3.1.1.2 (type 0, and the size).
 */
static size_t store_blocks(unsigned count)
{
	unsigned char *at = packed;

	memcpy(at, "\x28\xb5\x2f\xfd\x00\x50", 6);
	at += 6;
	for (unsigned i = 0; i < count; i++) {
		uint32_t header = BLOCK << 3 | (i == count - 1);

		memcpy(at, &header, 3);
		memcpy(at + 3, text + i * BLOCK, BLOCK);
		at += 3 + BLOCK;
	}
	return (size_t)(at - packed);
}

static uint64_t lines_in(size_t bytes)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < bytes; i++)
		lines += text[i] == '\n';
	return lines;
}

/*
 * Every line that is there in full, wherever the reader's own buffer ends; stored blocks come in
 * parts.
 */
Test(zstd, cut_off_inside_a_stored_block__gives_all_lines_before_it)
{
	unsigned blocks = 20;

	pack(0, 0, LINES);
	cr_assert_gt(strlen(text), blocks * BLOCK);
	store_blocks(blocks);
	for (unsigned whole = 1; whole < blocks; whole++) {
		/* just behind a block, or somewhere in the next */
		size_t more = whole % 2 ? 0 : 1000;
		struct vmmu_trace *trace =
			help_open_bytes(packed, 6 + whole * (3 + BLOCK) + (more ? 3 + more : 0));
		int result;

		cr_expect_eq(help_count_events(trace, &result), lines_in(whole * BLOCK + more));
		cr_expect_eq(result, -EBADMSG);
		vmmu_trace_close(trace);
	}
}

/* In its header, too, where nothing has come out yet. */
Test(zstd, cut_off_at_the_start__is_refused)
{
	char error[256];

	pack(0, 0, 3);
	for (size_t cut = 4; cut < 20; cut++) {
		cr_expect_eq(help_open_bad(packed, cut, error, sizeof(error)), -EBADMSG);
		cr_expect_str_eq(error, ":1: zstd data is cut off", "%zu bytes", cut);
	}
}

Test(zstd, wrong_byte_anywhere__is_an_error)
{
	size_t bytes = pack(0, 0, 20000);

	/* behind the header, up to the checksum */
	for (size_t at = 20; at < bytes; at += bytes / 13 - 1) {
		struct vmmu_trace *trace = NULL;
		char path[HELP_PATH_BYTES], error[256];
		uint64_t count;
		int result;

		packed[at] ^= 0x10;
		help_file(path, packed, bytes);
		result = vmmu_trace_open(path, NULL, &trace, error, sizeof(error));
		unlink(path);
		if (!result) {
			count = help_count_events(trace, &result);
			snprintf(error, sizeof(error), "%s", vmmu_trace_error(trace));
			cr_assert_eq(vmmu_trace_rewind(trace), 0);
			cr_expect_eq(help_count_events(trace, &result), count);
		}
		cr_expect_eq(result, -EBADMSG, "byte %zu", at);
		cr_expect(strstr(error, ": zstd data is "), "%s", error);
		vmmu_trace_close(trace);
		packed[at] ^= 0x10;
	}
}

/* By hand from RFC 8878 3.1.1.1: descriptor, window, dictionary id. */
Test(zstd, frames_that_ask_for_too_much__are_refused)
{
	char error[256];

	cr_expect_eq(help_open_bad("\x28\xb5\x2f\xfd\0\x90\x01\0\0", 9, error, sizeof(error)),
		     -EBADMSG, "a window of 2^28 bytes");
	cr_expect_str_eq(error, ":1: zstd data needs a window above 128 MiB");
	cr_expect_eq(help_open_bad("\x28\xb5\x2f\xfd\x01\0\x07\x01\0\0", 10, error, sizeof(error)),
		     -EBADMSG, "dictionary 7");
	cr_expect_str_eq(error, ":1: zstd data needs a dictionary");
	cr_expect_eq(help_open_bad("\x28\xb5\x2f\xfd\x08\0\x01\0\0", 9, error, sizeof(error)),
		     -EBADMSG, "a reserved bit");
	cr_expect_str_eq(error, ":1: zstd data is broken");
}

/* gzip ignores what follows; zstd does not. */
Test(zstd, other_bytes_behind_a_frame__are_an_error)
{
	size_t bytes = pack(0, 0, 3);
	struct vmmu_trace *trace;
	int result;

	memcpy(packed + bytes, "plain", 5);
	trace = help_open_bytes(packed, bytes + 5);
	cr_expect_eq(help_count_events(trace, &result), 3);
	cr_expect_eq(result, -EBADMSG);
	cr_expect(strstr(vmmu_trace_error(trace), ": zstd data is broken"), "%s",
		  vmmu_trace_error(trace));
	vmmu_trace_close(trace);
}

Test(zstd, data_on_a_pipe__is_unpacked_and_read_again)
{
	struct vmmu_trace *trace;
	char error[256];
	int result;

	help_stdin(packed, pack(0, 0, LINES));
	cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s", error);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(help_count_events(trace, &result), LINES);
		cr_expect_eq(result, 0);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

/* A pipe hands out pieces, its copy does not: the same lines come before the error. */
Test(zstd, damage_on_a_pipe__shows_at_the_same_line_again)
{
	unsigned blocks = 20;
	struct vmmu_trace *trace;
	char error[256];
	uint64_t count;
	int result;

	pack(0, 0, LINES);
	for (unsigned broken = 2; broken < blocks; broken += 3) {
		size_t bytes = store_blocks(blocks);

		packed[6 + broken * (3 + BLOCK)] |= 6; /* a type of blocks that there is not */
		help_stdin(packed, bytes);
		cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s",
			     error);
		count = help_count_events(trace, &result);
		cr_expect_eq(result, -EBADMSG);
		/* the block before may be lost: its end and the next header are one piece */
		cr_expect_geq(count, lines_in((broken - 1) * BLOCK));
		cr_expect_leq(count, lines_in(broken * BLOCK));
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
		cr_expect_eq(help_count_events(trace, &result), count);
		cr_expect_eq(result, -EBADMSG);
		vmmu_trace_close(trace);
	}
}

Test(zstd, layout__is_unpacked)
{
	static const char layout[] =
		"MEMSLOT slot=2 flags=2 gpa=0xa0000000 size=0x400000 hva=0x1000\n";
	size_t bytes = ZSTD_compress(packed, sizeof(packed), layout, strlen(layout), 3);
	struct vmmu_trace_options options = {.size = sizeof(options)};
	char path[HELP_PATH_BYTES], line[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;

	help_file(line, LINE, strlen(LINE));
	help_file(path, packed, bytes);
	options.layout = path;
	cr_assert_eq(vmmu_trace_open(line, &options, &trace, error, sizeof(error)), 0, "%s", error);
	event = help_next(trace);
	cr_expect_eq(event.kind, VMMU_TRACE_SLOT);
	cr_expect_eq(event.slot.gpa, 0xa0000000);
	vmmu_trace_close(trace);
	unlink(path);
	help_file(path, packed, bytes - 1);
	cr_assert_eq(vmmu_trace_open(line, &options, &trace, error, sizeof(error)), -EBADMSG);
	cr_expect(strstr(error, "zstd data is cut off"), "%s", error);
	unlink(path);
	unlink(line);
}
