/* SPDX-License-Identifier: MIT */
/* gzip data, by zlib. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/unpack.h"

struct gunzip {
	struct unpack unpack;
	z_stream stream;
	bool is_between; /* a member has ended and no other one has begun */
	bool is_over;    /* only bytes that are no gzip data follow: ignored, as gzip does */
	bool is_broken;  /* inflate() has failed and will fail again */
	unsigned char input[UNPACK_FIRST_BYTES];
};

static bool gunzip_can_begin_with(const void *bytes, size_t count)
{
	return count >= 2 && !memcmp(bytes, "\x1f\x8b", 2);
}

static void *gunzip_alloc(void *opaque, unsigned count, unsigned size)
{
	(void)opaque;
	return mem_alloc_array(count, size);
}

static void gunzip_free(void *opaque, void *block)
{
	(void)opaque;
	mem_free(block);
}

static struct unpack *gunzip_create(const void *bytes, size_t count)
{
	struct gunzip *gunzip = mem_alloc(sizeof(*gunzip));

	if (!gunzip)
		return NULL;
	gunzip->stream.zalloc = gunzip_alloc;
	gunzip->stream.zfree = gunzip_free;
	if (inflateInit2(&gunzip->stream, 16 + MAX_WBITS) != Z_OK) {
		mem_free(gunzip);
		return NULL;
	}
	gunzip->unpack = (struct unpack){&gunzip_ops, ""};
	memcpy(gunzip->input, bytes, count);
	gunzip->stream.next_in = gunzip->input;
	gunzip->stream.avail_in = (unsigned)count;
	return &gunzip->unpack;
}

static int gunzip_fail(struct gunzip *gunzip, const char *what)
{
	gunzip->unpack.error = what;
	return -EBADMSG;
}

/* 1: there is input; 0: the data ended where it may end; negative: an error. */
static int gunzip_refill(struct gunzip *gunzip, struct source *source)
{
	ssize_t count;

	if (!gunzip->stream.avail_in && !gunzip->is_broken) {
		count = source_read(source, gunzip->input, sizeof(gunzip->input));
		if (count < 0)
			return (int)count;
		if (!count)
			return gunzip->is_between ? 0 : gunzip_fail(gunzip, "gzip data is cut off");
		gunzip->stream.next_in = gunzip->input;
		gunzip->stream.avail_in = (unsigned)count;
	}
	if (gunzip->is_between) {
		gunzip->is_over = gunzip->stream.next_in[0] != 0x1f;
		if (gunzip->is_over)
			return 0;
		gunzip->is_between = false;
		inflateReset(&gunzip->stream);
	}
	return 1;
}

static ssize_t gunzip_read(struct unpack *unpack, struct source *source, void *buffer, size_t bytes)
{
	struct gunzip *gunzip = container_of(unpack, struct gunzip, unpack);
	int result = 1;

	gunzip->stream.next_out = buffer;
	gunzip->stream.avail_out = (unsigned)bytes;
	while (gunzip->stream.avail_out == bytes && !gunzip->is_over) {
		result = gunzip_refill(gunzip, source);
		if (result <= 0)
			return result;
		result = inflate(&gunzip->stream, Z_NO_FLUSH);
		gunzip->is_broken = result == Z_DATA_ERROR || result == Z_NEED_DICT;
		if (result == Z_MEM_ERROR)
			return -ENOMEM;
		if (result == Z_STREAM_END)
			gunzip->is_between = true;
		else if (gunzip->is_broken)
			break;
	}
	/* What came out before the fault is handed out first; inflate() then fails again. */
	if (gunzip->stream.avail_out == bytes && gunzip->is_broken)
		return gunzip_fail(gunzip, "gzip data is broken");
	return (ssize_t)(bytes - gunzip->stream.avail_out);
}

static void gunzip_destroy(struct unpack *unpack)
{
	struct gunzip *gunzip = container_of(unpack, struct gunzip, unpack);

	inflateEnd(&gunzip->stream);
	mem_free(gunzip);
}

const struct unpack_ops gunzip_ops = {
	.can_begin_with = gunzip_can_begin_with,
	.create = gunzip_create,
	.read = gunzip_read,
	.destroy = gunzip_destroy,
};
