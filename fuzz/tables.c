/* SPDX-License-Identifier: MIT */
/*
 * Table files through `vmmu dump` and `vmmu walk`: whatever the bytes, an exit code and no more.
 *
 * Input: a byte that says what follows. Even: the file itself, whose lengths and checksum are put
 * right if bit 1 is set. Odd: decisions from which a file of a few tables is built, most of them in
 * order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/format_ops.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/draw.h"
#include "table_file.h"
#include "target.h"
#include "tool.h"

#define FILE_BYTES  (1u << 20)
#define FRAMES_MAX  6
#define ENTRIES_MAX 8

static unsigned char file[FILE_BYTES];

__attribute__((constructor)) static void drop_output(void)
{
	if (!freopen("/dev/null", "w", stdout))
		abort();
}

static void put(size_t at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		file[at + i] = (unsigned char)(value >> 8 * i);
}

/* Magic, version, lengths and checksum of the first SIZE bytes. */
static void seal(size_t size)
{
	uint64_t payload;

	if (size < TABLE_FILE_HEADER_BYTES)
		return;
	memcpy(file, "VMMUTAB", 8);
	put(8, 1, 4);
	put(48, size - TABLE_FILE_HEADER_BYTES, 8);
	payload = XXH3_64bits(file + TABLE_FILE_HEADER_BYTES, size - TABLE_FILE_HEADER_BYTES);
	put(56, XXH3_64bits_withSeed(file, 56, payload), 8);
}

struct builder {
	struct draw *draw;
	const struct vmmu_format *format;
	const struct vmmu_format_ops *ops;
	const struct vmmu_geometry *geometry;
	size_t at;
};

/* Frame NUMBER's place: disjoint ones, so that most files are sound. */
static uint64_t frame_hpa(uint64_t number)
{
	return BIT64(32) + (number << 20);
}

static uint64_t draw_entry(struct builder *builder, unsigned level)
{
	uint64_t word;

	switch (draw_below(builder->draw, 4)) {
	case 0:
	case 1:
		if (level > 1)
			return builder->ops->make_table(
				frame_hpa(draw_below(builder->draw, FRAMES_MAX)), level);
		/* fall through */
	case 2:
		word = draw_bytes(builder->draw, 2);
		if (builder->geometry->leaf_levels >> level & 1)
			return builder->ops->make_leaf(
				(struct vmmu_leaf){
					.pfn = (word >> 3) << (builder->geometry->shift[level] -
							       builder->geometry->page_shift),
					.access = VMMU_READ | (word & VMMU_EXEC),
					.accessed = true,
				},
				level);
		/* fall through */
	default:
		return draw_word(builder->draw);
	}
}

static void build_frame(struct builder *builder, uint64_t number)
{
	unsigned level = 1 + (unsigned)draw_below(builder->draw, builder->geometry->levels);
	uint64_t bytes = BIT64(builder->geometry->table_lg2[level]), odd;
	uint64_t hpa = frame_hpa(number);

	if (!number)
		level = builder->geometry->levels;
	bytes = BIT64(builder->geometry->table_lg2[level]);
	odd = draw_below(builder->draw, 64);
	if (odd == 1) /* a header that is wrong in one way */
		hpa = draw_word(builder->draw);
	if (odd == 2)
		bytes = BIT64(draw_below(builder->draw, 64));
	if (odd == 3)
		level = (unsigned)draw_bytes(builder->draw, 4);
	if (builder->at + TABLE_FILE_FRAME_BYTES > FILE_BYTES)
		return;
	memset(file + builder->at, 0, TABLE_FILE_FRAME_BYTES);
	put(builder->at, hpa, 8);
	put(builder->at + 8, bytes, 8);
	put(builder->at + 16, level, 4);
	put(builder->at + 20, odd >> 5, 4);
	put(builder->at + 24, !number || odd == 4, 4);
	builder->at += TABLE_FILE_FRAME_BYTES;
	if (bytes > FILE_BYTES - builder->at || bytes < 8)
		return;
	memset(file + builder->at, 0, bytes);
	for (uint64_t n = draw_below(builder->draw, ENTRIES_MAX); n; n--) {
		uint64_t index = draw_below(builder->draw, bytes / 8);

		if (level && level <= builder->geometry->levels)
			put(builder->at + 8 * index, draw_entry(builder, level), 8);
	}
	builder->at += bytes;
}

/* Returns the file's size. */
static size_t build(struct draw *draw)
{
	struct builder builder = {.draw = draw, .at = TABLE_FILE_HEADER_BYTES};
	uint64_t frames = 1 + draw_below(draw, FRAMES_MAX);

	builder.format = target_format(draw);
	builder.ops = vmmu_format_ops(builder.format);
	builder.geometry = vmmu_format_info(builder.format)->geometry;
	memset(file, 0, TABLE_FILE_HEADER_BYTES);
	snprintf((char *)file + 16, 32, "%s", vmmu_format_info(builder.format)->name);
	/* now and then one more than there are */
	put(12, frames + (draw_below(draw, 8) == 1), 4);
	for (uint64_t number = 0; number < frames; number++)
		build_frame(&builder, number);
	/* now and then the last table is not whole */
	if (draw_below(draw, 8) == 1)
		builder.at -= draw_below(draw, 32);
	seal(builder.at);
	return builder.at;
}

static void check_code(int code)
{
	TARGET_CHECK(code == TOOL_OK || code == TOOL_USAGE || code == TOOL_DATA ||
			     code == TOOL_NO_INPUT,
		     "exit code %d", code);
}

static void dump(const char *path)
{
	char *argv[] = {(char *)"vmmu dump", (char *)path, NULL};

	check_code(cmd_dump(2, argv));
}

static void walk(const char *path, struct draw *draw)
{
	unsigned choice = (unsigned)draw_below(draw, 256);
	const struct vmmu_format *other = vmmu_format_at(choice >> 2);
	char gpa[24];
	char *argv[] = {(char *)"vmmu walk",
			(char *)"--tables",
			(char *)path,
			gpa,
			(char *)"--as",
			(char *)(choice & 1 ? "1" : "0"),
			(char *)"--format",
			(char *)(other ? vmmu_format_info(other)->name : "none"),
			NULL};
	int argc = choice & 2 ? 8 : 6;

	argv[argc] = NULL;
	snprintf(gpa, sizeof(gpa), "%llu",
		 (unsigned long long)(draw_word(draw) >> draw_below(draw, 64)));
	check_code(cmd_walk(argc, argv));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	unsigned choice = (unsigned)draw_below(&draw, 256);
	const char *path;

	if (size > FILE_BYTES)
		return 0;
	if (choice & 1) {
		size = build(&draw);
	} else if (size) {
		memcpy(file, data + 1, --size);
		if (choice & 2)
			seal(size);
	}
	target_begin();
	path = target_file(0, file, size);
	dump(path);
	walk(path, &draw);
	target_end();
	return 0;
}
