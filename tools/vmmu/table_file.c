/* SPDX-License-Identifier: MIT */
#include "table_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <vmmu/walk.h>
#include <xxhash.h>

#include "tool.h"

#define MAGIC           "VMMUTAB"
#define VERSION         1u
#define HASHED_BYTES    56u
#define FLAG_ROOT       1u
#define FRAME_BYTES_MAX (UINT64_C(1) << 20)

static void put_le(unsigned char *place, uint64_t value, unsigned bytes)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		place[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get_le(const unsigned char *place, unsigned bytes)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)place[i] << 8 * i;
	return value;
}

struct writer {
	FILE *out;
	XXH3_state_t *hash;
	uint64_t bytes, frames;
};

static int put(struct writer *writer, const void *data, size_t bytes)
{
	if (fwrite(data, 1, bytes, writer->out) != bytes)
		return errno ? -errno : -EIO;
	XXH3_64bits_update(writer->hash, data, bytes);
	writer->bytes += bytes;
	return 0;
}

static int write_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	struct writer *writer = ctx;
	unsigned char head[TABLE_FILE_FRAME_BYTES] = {0};
	const uint64_t *entries = frame->data;
	unsigned char entry[8];
	uint64_t i;
	int ret;

	put_le(head, frame->hpa, 8);
	put_le(head + 8, frame->bytes, 8);
	put_le(head + 16, frame->level, 4);
	put_le(head + 20, frame->as_id, 4);
	put_le(head + 24, frame->root ? FLAG_ROOT : 0, 4);
	ret = put(writer, head, sizeof(head));
	for (i = 0; i < frame->bytes / 8 && !ret; i++) {
		put_le(entry, entries[i], 8);
		ret = put(writer, entry, sizeof(entry));
	}
	writer->frames++;
	return ret;
}

static int write_header(const struct writer *writer, const struct vmmu_format *format)
{
	unsigned char head[TABLE_FILE_HEADER_BYTES] = {0};

	memcpy(head, MAGIC, sizeof(MAGIC));
	put_le(head + 8, VERSION, 4);
	put_le(head + 12, writer->frames, 4);
	snprintf((char *)head + 16, 32, "%s", vmmu_format_info(format)->name);
	put_le(head + 48, writer->bytes, 8);
	put_le(head + 56,
	       XXH3_64bits_withSeed(head, HASHED_BYTES, XXH3_64bits_digest(writer->hash)), 8);
	if (fseek(writer->out, 0, SEEK_SET) ||
	    fwrite(head, 1, sizeof(head), writer->out) != sizeof(head) || fflush(writer->out))
		return errno ? -errno : -EIO;
	return 0;
}

int table_file_write(struct vmmu_vm *vm, FILE *out)
{
	struct writer writer = {.out = out, .hash = XXH3_createState()};
	unsigned char nothing[TABLE_FILE_HEADER_BYTES] = {0};
	int ret = writer.hash ? 0 : -ENOMEM;

	if (!ret && fwrite(nothing, 1, sizeof(nothing), out) != sizeof(nothing))
		ret = errno ? -errno : -EIO;
	if (!ret) {
		XXH3_64bits_reset(writer.hash);
		ret = vmmu_tables(vm, write_frame, &writer);
	}
	/* The header comes last: a file cut short by an error stays invalid. */
	if (!ret)
		ret = write_header(&writer, vmmu_vm_format(vm));
	XXH3_freeState(writer.hash);
	return ret;
}

static int wrong(const char *path, uint64_t offset, const char *what)
{
	return tool_fail(TOOL_DATA, "%s: offset %llu: %s", path, (unsigned long long)offset, what);
}

/* The whole file into memory: no more of it than the file has bytes. */
static int load(const char *path, struct table_file *file)
{
	FILE *in = fopen(path, "rb");
	struct stat status;
	int code = TOOL_OK;

	if (!in)
		return tool_fail(TOOL_NO_INPUT, "%s: %s", path, strerror(errno));
	if (fstat(fileno(in), &status) || !S_ISREG(status.st_mode))
		code = tool_fail(TOOL_NO_INPUT, "%s: not a regular file", path);
	else if ((uint64_t)status.st_size < TABLE_FILE_HEADER_BYTES)
		code = wrong(path, (uint64_t)status.st_size, "too short for a table file");
	if (code == TOOL_OK) {
		file->size = (size_t)status.st_size;
		file->bytes = malloc(file->size);
		if (!file->bytes)
			code = tool_fail(TOOL_INTERNAL, "%s: out of memory", path);
		else if (fread(file->bytes, 1, file->size, in) != file->size)
			code = tool_fail(TOOL_NO_INPUT, "%s: cannot read", path);
	}
	fclose(in);
	return code;
}

static int check_header(const char *path, struct table_file *file)
{
	const unsigned char *bytes = file->bytes;
	size_t payload = file->size - TABLE_FILE_HEADER_BYTES;
	char name[33] = "";
	uint64_t hash;

	if (memcmp(bytes, MAGIC, sizeof(MAGIC)))
		return wrong(path, 0, "not a table file");
	if (get_le(bytes + 8, 4) != VERSION)
		return wrong(path, 8, "written by another version");
	if (get_le(bytes + 48, 8) != payload)
		return wrong(path, 48, "the file is not as long as it says");
	hash = XXH3_64bits(bytes + TABLE_FILE_HEADER_BYTES, payload);
	if (get_le(bytes + 56, 8) != XXH3_64bits_withSeed(bytes, HASHED_BYTES, hash))
		return wrong(path, 56, "the checksum does not match");
	memcpy(name, bytes + 16, 32);
	file->format = vmmu_format_find(name);
	if (!file->format)
		return wrong(path, 16, "of a format that is not known here");
	file->frame_count = get_le(bytes + 12, 4);
	if (file->frame_count > payload / TABLE_FILE_FRAME_BYTES)
		return wrong(path, 12, "more frames than the file has room for");
	return TOOL_OK;
}

/* NULL, or what is wrong with a frame. */
static const char *frame_defect(const struct table_frame *frame,
				const struct vmmu_geometry *geometry, uint64_t room)
{
	uint64_t size = frame->bytes;

	if (frame->level < 1 || frame->level > geometry->levels)
		return "no such level";
	if (frame->as_id >= VMMU_ADDRESS_SPACES_MAX)
		return "no such address space";
	if (size > FRAME_BYTES_MAX || size & (size - 1) ||
	    size < 8ull << geometry->index_bits[frame->level])
		return "impossible size of a table";
	if (frame->hpa & (size - 1) || frame->hpa > UINT64_MAX - size)
		return "misaligned table";
	if (size > room)
		return "table cut short";
	return NULL;
}

static int read_frames(const char *path, struct table_file *file)
{
	uint64_t offset = TABLE_FILE_HEADER_BYTES;
	const char *defect = NULL;
	size_t i;

	file->frames = calloc(file->frame_count ? file->frame_count : 1, sizeof(*file->frames));
	if (!file->frames)
		return tool_fail(TOOL_INTERNAL, "%s: out of memory", path);
	for (i = 0; i < file->frame_count; i++) {
		struct table_frame *frame = &file->frames[i];
		const unsigned char *head = file->bytes + offset;

		if (file->size - offset < TABLE_FILE_FRAME_BYTES)
			return wrong(path, offset, "frame cut short");
		*frame = (struct table_frame){
			.hpa = get_le(head, 8),
			.bytes = get_le(head + 8, 8),
			.offset = offset + TABLE_FILE_FRAME_BYTES,
			.level = (unsigned)get_le(head + 16, 4),
			.as_id = (unsigned)get_le(head + 20, 4),
			.is_root = get_le(head + 24, 4) & FLAG_ROOT,
		};
		defect = frame_defect(frame, vmmu_format_info(file->format)->geometry,
				      file->size - frame->offset);
		if (defect)
			return wrong(path, offset, defect);
		offset = frame->offset + frame->bytes;
	}
	return offset == file->size ? TOOL_OK : wrong(path, offset, "more than its frames");
}

static int compare_frames(const void *a, const void *b)
{
	const struct table_frame *x = a, *y = b;

	return (x->hpa > y->hpa) - (x->hpa < y->hpa);
}

static int index_frames(const char *path, struct table_file *file)
{
	size_t i;

	qsort(file->frames, file->frame_count, sizeof(*file->frames), compare_frames);
	for (i = 0; i < file->frame_count; i++) {
		const struct table_frame *frame = &file->frames[i];

		if (i && frame->hpa < frame[-1].hpa + frame[-1].bytes)
			return wrong(path, frame->offset - TABLE_FILE_FRAME_BYTES,
				     "overlaps another table");
		if (!frame->is_root)
			continue;
		if (file->root_count == TABLE_FILE_ROOTS_MAX)
			return wrong(path, frame->offset - TABLE_FILE_FRAME_BYTES,
				     "too many roots");
		file->roots[file->root_count++] = i;
	}
	return TOOL_OK;
}

int table_file_open(const char *path, struct table_file *file)
{
	int code;

	memset(file, 0, sizeof(*file));
	code = load(path, file);
	if (code == TOOL_OK)
		code = check_header(path, file);
	if (code == TOOL_OK)
		code = read_frames(path, file);
	if (code == TOOL_OK)
		code = index_frames(path, file);
	if (code != TOOL_OK)
		table_file_close(file);
	return code;
}

void table_file_close(struct table_file *file)
{
	free(file->bytes);
	free(file->frames);
	memset(file, 0, sizeof(*file));
}

struct table_frame *table_file_find(const struct table_file *file, uint64_t hpa)
{
	struct table_frame key = {.hpa = hpa};

	return bsearch(&key, file->frames, file->frame_count, sizeof(key), compare_frames);
}

struct table_frame *table_file_root(const struct table_file *file, unsigned as_id)
{
	unsigned i;

	for (i = 0; i < file->root_count; i++)
		if (file->frames[file->roots[i]].as_id == as_id)
			return &file->frames[file->roots[i]];
	return NULL;
}

uint64_t table_file_entry(const struct table_file *file, const struct table_frame *frame,
			  uint64_t index)
{
	return get_le(file->bytes + frame->offset + 8 * index, 8);
}
