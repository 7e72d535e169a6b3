/* SPDX-License-Identifier: MIT */
/*
 * zstd data, by libzstd where there was one to build with.
 *
 * The library is fed just what it asks for next: a block at a time, whole. So whatever pieces a
 * pipe hands out, the same bytes come out before an error, and a trace that is read again is the
 * same.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/unpack.h"

#if VMMU_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

/* What a frame begins with, at least: RFC 8878 3.1.1, a magic number and a frame header. */
#define UNZSTD_START_BYTES 5
/* As the zstd command: windows of 128 MiB at most, unless told otherwise. */
#define UNZSTD_WINDOW_LG2_MAX 27
/* RFC 8878 3.1.1.2: a block has 128 KiB at most, and headers of 3 bytes before and behind it. */
#define UNZSTD_INPUT_BYTES (131072 + 8)

struct unzstd {
	struct unpack unpack;
	ZSTD_DCtx *stream;
	size_t start, end; /* of input, not yet consumed */
	size_t wanted;     /* bytes that the stream asks for next, at most the input's size */
	bool has_more;     /* unpacked bytes that there was no room for */
	bool is_eof;
	bool is_between; /* a frame has ended and no other one has begun */
	int failed;      /* -errno that ended it */
	unsigned char input[UNZSTD_INPUT_BYTES];
};
#endif

/* RFC 8878 3.1: the magic numbers of a frame, and of a skippable frame. */
static bool unzstd_can_begin_with(const void *bytes, size_t count)
{
	const unsigned char *magic = bytes;

	if (count < 4)
		return false;
	return !memcmp(magic, "\x28\xb5\x2f\xfd", 4) ||
	       ((magic[0] & 0xf0) == 0x50 && !memcmp(magic + 1, "\x2a\x4d\x18", 3));
}

#if VMMU_ZSTD
static struct unpack *unzstd_create(const void *bytes, size_t count)
{
	struct unzstd *unzstd = mem_alloc(sizeof(*unzstd));

	if (!unzstd)
		return NULL;
	unzstd->stream = ZSTD_createDCtx();
	if (!unzstd->stream) {
		mem_free(unzstd);
		return NULL;
	}
	ZSTD_DCtx_setParameter(unzstd->stream, ZSTD_d_windowLogMax, UNZSTD_WINDOW_LG2_MAX);
	unzstd->unpack = (struct unpack){&unzstd_ops, ""};
	memcpy(unzstd->input, bytes, count);
	unzstd->end = count;
	unzstd->wanted = UNZSTD_START_BYTES;
	return &unzstd->unpack;
}

static int unzstd_fail(struct unzstd *unzstd, int error, const char *what)
{
	unzstd->unpack.error = what;
	unzstd->failed = error;
	return error;
}

static void unzstd_fail_by_code(struct unzstd *unzstd, size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_memory_allocation:
		unzstd_fail(unzstd, -ENOMEM, "");
		break;
	case ZSTD_error_frameParameter_windowTooLarge:
		unzstd_fail(unzstd, -EBADMSG, "zstd data needs a window above 128 MiB");
		break;
	case ZSTD_error_dictionary_wrong:
		unzstd_fail(unzstd, -EBADMSG, "zstd data needs a dictionary");
		break;
	default:
		unzstd_fail(unzstd, -EBADMSG, "zstd data is broken");
	}
}

/*
 * 1: there is what is wanted, or all that is left; 0: the data ended where it may end; negative: an
 * error.
 */
static int unzstd_refill(struct unzstd *unzstd, struct source *source)
{
	ssize_t count;

	if (unzstd->end - unzstd->start >= unzstd->wanted)
		return 1;
	memmove(unzstd->input, unzstd->input + unzstd->start, unzstd->end - unzstd->start);
	unzstd->end -= unzstd->start;
	unzstd->start = 0;
	while (unzstd->end < unzstd->wanted && !unzstd->is_eof) {
		count = source_read(source, unzstd->input + unzstd->end,
				    sizeof(unzstd->input) - unzstd->end);
		if (count < 0)
			return (int)count;
		unzstd->end += (size_t)count;
		unzstd->is_eof = !count;
	}
	if (unzstd->end)
		return 1;
	return unzstd->is_between ? 0 : unzstd_fail(unzstd, -EBADMSG, "zstd data is cut off");
}

/* Feed what is wanted, or what is left of the input. */
static void unzstd_step(struct unzstd *unzstd, ZSTD_outBuffer *out)
{
	size_t bytes = min_u64(unzstd->wanted, unzstd->end - unzstd->start), result;
	ZSTD_inBuffer in = {unzstd->input + unzstd->start, bytes, 0};

	result = ZSTD_decompressStream(unzstd->stream, out, &in);
	unzstd->start += in.pos;
	if (ZSTD_isError(result)) {
		unzstd_fail_by_code(unzstd, result);
		return;
	}
	unzstd->has_more = result && out->pos == out->size;
	unzstd->is_between = !result;
	unzstd->wanted = result ? min_u64(result, UNZSTD_INPUT_BYTES) : UNZSTD_START_BYTES;
}

static ssize_t unzstd_read(struct unpack *unpack, struct source *source, void *buffer, size_t bytes)
{
	struct unzstd *unzstd = container_of(unpack, struct unzstd, unpack);
	ZSTD_outBuffer out = {buffer, bytes, 0};

	while (!unzstd->failed && !out.pos) {
		int result = unzstd->has_more ? 1 : unzstd_refill(unzstd, source);

		if (result <= 0)
			return result;
		unzstd_step(unzstd, &out);
	}
	return out.pos ? (ssize_t)out.pos : unzstd->failed;
}

static void unzstd_destroy(struct unpack *unpack)
{
	struct unzstd *unzstd = container_of(unpack, struct unzstd, unpack);

	ZSTD_freeDCtx(unzstd->stream);
	mem_free(unzstd);
}
#else
static struct unpack *unzstd_create(const void *bytes, size_t count)
{
	struct unpack *unpack = mem_alloc(sizeof(*unpack));

	(void)bytes, (void)count;
	if (unpack)
		*unpack = (struct unpack){
			&unzstd_ops, "compressed with zstd, and this program was built without "
				     "libzstd (package libzstd-dev): unpack it first"};
	return unpack;
}

static ssize_t unzstd_read(struct unpack *unpack, struct source *source, void *buffer, size_t bytes)
{
	(void)unpack, (void)source, (void)buffer, (void)bytes;
	return -ENOPKG;
}

static void unzstd_destroy(struct unpack *unpack)
{
	mem_free(unpack);
}
#endif

const struct unpack_ops unzstd_ops = {
	.can_begin_with = unzstd_can_begin_with,
	.create = unzstd_create,
	.read = unzstd_read,
	.destroy = unzstd_destroy,
};
