/* SPDX-License-Identifier: MIT */
/* Tables written by a replay and read back; and files that only look like it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tools/run.h"

#define SCRIPT VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/slots-and-dirty"

static struct run run;
static unsigned char bytes[1 << 20];
static size_t size;

/* Replay into a file; returns its path. */
static const char *make_dump(const char *options)
{
	const char *path = run_file("", 0);
	char text[512];
	FILE *in;

	snprintf(text, sizeof(text),
		 "replay -q --dump-tables %s --layout %s.slots.txt %s %s.tracefs.txt.gz", path,
		 SCRIPT, options, SCRIPT);
	run_vmmu(&run, NULL, text);
	cr_assert(eq(int, run.code, 0), "%s", run.err);
	in = fopen(path, "rb");
	cr_assert(in != NULL);
	size = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	cr_assert(gt(sz, size, 64));
	return path;
}

static void expect_walk(const char *path, const char *gpa, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "walk --tables %s %s", path, gpa);
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(strstr(run.out, line) != NULL, "%s is not in:\n%s", line, run.out);
}

/*
 * By hand from the end of the script and its host lines: `range 0 10800000 20 200000` read 2 MiB
 * steps, of which the first was backed by frame fc00 and the second by fe00; slot 3 at 30000000 was
 * read once, and the host had the zero page 97910 there.
 */
Test(tables, walk__finds_what_the_trace_says_is_there)
{
	const char *path = make_dump("");

	expect_walk(path, "0x10800000", "gpa 0x10800000 -> hpa 0xfc00000  rwx");
	expect_walk(path, "0x10a01234", "gpa 0x10a01234 -> hpa 0xfe01234  rwx");
	expect_walk(path, "0x10a01234", "2 MiB page");
	expect_walk(path, "0x30000abc", "gpa 0x30000abc -> hpa 0x97910abc  r-x");
	/* Dropped with all else when slot 3 was deleted, and not touched again. */
	expect_walk(path, "0x20010000", "not mapped");
	/* Past the end of slot 1: no memory. */
	expect_walk(path, "0x14000000", "-> MMIO");
	expect_walk(path, "0xffffffffffffffff", "beyond the input size of 48 bits");
}

Test(tables, every_format__walks_to_the_same_frame)
{
	static const char *const formats[] = {"ept4",   "ept5",   "npt5",     "sv39x4",
					      "sv48x4", "sv57x4", "arm-s2-4k"};
	char options[64];
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		snprintf(options, sizeof(options), "--format %s", formats[i]);
		expect_walk(make_dump(options), "0x10a01234", "-> hpa 0xfe01234  rwx");
	}
}

Test(tables, dump__merges_neighbours_and_counts)
{
	const char *path = make_dump("");
	char text[256];

	snprintf(text, sizeof(text), "dump %s", path);
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	/* Two huge pages whose frames follow each other: fc00 and fe00. */
	cr_expect(strstr(run.out,
			 "0x000010800000-0x000010bfffff  rwx  level 2         2 x 2 MiB    hpa "
			 "0xfc00000") != NULL,
		  "%s", run.out);
	cr_expect(strstr(run.out, " 0 malformed") != NULL);
	cr_expect(strncmp(run.out, "format npt4, 9 tables, 1 roots, entries of vmmu\n", 48) == 0,
		  "%s", run.out);
}

Test(tables, format_of_another_shape__is_refused)
{
	char text[256];

	snprintf(text, sizeof(text), "walk --tables %s --format sv39x4 0", make_dump(""));
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 65));
	cr_expect(strstr(run.err, "do not have the shape") != NULL, "%s", run.err);
	snprintf(text, sizeof(text), "walk --tables %s --format ept4 0x1000", make_dump(""));
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
}

/* Run dump and walk over bytes[]: they must end by themselves with 0 or 65. */
static void expect_survival(const char *said)
{
	const char *path = run_file(bytes, size);
	char text[256];

	snprintf(text, sizeof(text), "dump %s", path);
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 65), "%s: %s", said, run.err);
	cr_expect(strstr(run.err, said) != NULL, "'%s' is not in: %s", said, run.err);
	snprintf(text, sizeof(text), "walk --tables %s 0x1000", path);
	run_vmmu(&run, NULL, text);
	cr_expect(run.code == 65 || run.code == 0, "%s: walk: %d", said, run.code);
}

static void put(size_t offset, uint64_t value, unsigned width)
{
	memcpy(bytes + offset, &value, width);
}

/* Make the checksum right again, as somebody would who means harm. */
static void seal(void)
{
	XXH64_hash_t payload = XXH3_64bits(bytes + 64, size - 64);

	put(48, size - 64, 8);
	put(56, XXH3_64bits_withSeed(bytes, 56, payload), 8);
}

Test(tables, damaged_file__is_refused_with_the_offset)
{
	make_dump("");
	bytes[0] ^= 1;
	expect_survival("offset 0: not a table file");
	bytes[0] ^= 1;
	bytes[8] = 2;
	expect_survival("offset 8: written by another version");
	bytes[8] = 1;
	bytes[size / 2] ^= 0x40;
	expect_survival("offset 56: the checksum does not match");
	bytes[size / 2] ^= 0x40;
	size -= 100;
	expect_survival("offset 48: the file is not as long as it says");
	size = 40;
	expect_survival("offset 40: too short");
}

Test(tables, hostile_header__is_refused_with_the_offset)
{
	make_dump("");
	put(12, UINT32_MAX, 4);
	seal();
	expect_survival("offset 12: more frames than the file has room for");
	make_dump("");
	memcpy(bytes + 16, "nonsuch", 8);
	seal();
	expect_survival("offset 16: of a format that is not known here");
	make_dump("");
	put(12, 1, 4);
	seal();
	expect_survival("more than its frames");
	make_dump("");
	size -= 8;
	seal();
	expect_survival("table cut short");
}

/* The first frame's header is at 64; its contents, the root's entries, at 96. */
Test(tables, hostile_frame__is_refused_with_the_offset)
{
	static const struct {
		size_t offset;
		uint64_t value;
		unsigned width;
		const char *said;
	} cases[] = {
		{72, 0, 8, "offset 64: impossible size"},
		{72, UINT64_MAX, 8, "offset 64: impossible size"},
		{72, 0x1800, 8, "offset 64: impossible size"},
		{72, 1 << 20, 8, "offset 64: misaligned table"},
		{64, 0x10000a001, 8, "offset 64: misaligned table"},
		{64, UINT64_MAX - 0xfff, 8, "offset 64: misaligned table"},
		{80, 0, 4, "offset 64: no such level"},
		{80, 9, 4, "offset 64: no such level"},
		{84, 2, 4, "offset 64: no such address space"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_dump("");
		put(cases[i].offset, cases[i].value, cases[i].width);
		seal();
		expect_survival(cases[i].said);
	}
}

Test(tables, table_linked_to_itself_or_nowhere__ends_with_an_error)
{
	uint64_t entry, hpa;

	make_dump("");
	memcpy(&entry, bytes + 96, 8);
	memcpy(&hpa, bytes + 64, 8);
	cr_assert(ne(u64, entry, 0));
	/* The root's first entry leads to the table below it; its second one leads there again. */
	put(104, entry, 8);
	seal();
	expect_survival("is linked twice");
	/* To the root itself, which is of the wrong level. */
	put(96, (entry & 0xfff) | hpa, 8);
	put(104, 0, 8);
	seal();
	expect_survival("is not in the file");
	put(96, (entry & 0xfff) | 0x7000, 8);
	seal();
	expect_survival("is not in the file");
}

Test(tables, random_bytes_under_a_right_checksum__never_crash)
{
	uint32_t seed = 2024;
	unsigned round, i;
	char text[256];

	for (round = 0; round < 60; round++) {
		if (!(round % 20))
			make_dump("");
		for (i = 0; i < 8; i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[64 + (seed >> 8) % (round & 1 ? 256 : size - 64)] =
				(unsigned char)seed;
		}
		seal();
		snprintf(text, sizeof(text), "dump %s", run_file(bytes, size));
		run_vmmu(&run, NULL, text);
		cr_expect(run.code == 65 || run.code == 0, "round %u: %d %s", round, run.code,
			  run.err);
	}
}
