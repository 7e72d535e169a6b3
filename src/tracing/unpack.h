/* SPDX-License-Identifier: MIT */
/* Unpacking compressed data as it is read. Which kind it is, its first bytes say. */
#ifndef VMMU_TRACING_UNPACK_H
#define VMMU_TRACING_UNPACK_H

#include "tracing/source.h"

/* Bytes that are enough to tell; and at most so many may have been read before unpack_create(). */
#define UNPACK_MAGIC_BYTES 4u
#define UNPACK_FIRST_BYTES 65536u

struct unpack {
	const struct unpack_ops *ops;
	const char *error; /* what -EBADMSG was about; static text, "" while there is none */
};

/* One kind of packed data. */
struct unpack_ops {
	/* do the COUNT bytes at BYTES, UNPACK_MAGIC_BYTES or a whole input, begin such data? */
	bool (*can_begin_with)(const void *bytes, size_t count);
	struct unpack *(*create)(const void *bytes, size_t count);
	ssize_t (*read)(struct unpack *unpack, struct source *source, void *buffer, size_t bytes);
	void (*destroy)(struct unpack *unpack);
};

/* Members one after another are one text; what follows the last and is none is ignored. */
extern const struct unpack_ops gunzip_ops;
/* Frames one after another are one text. Needs up to 128 MiB for its window, as zstd does. */
extern const struct unpack_ops unzstd_ops;

/* The kind of data that begins with the COUNT bytes at BYTES; NULL: not packed. */
const struct unpack_ops *unpack_find(const void *bytes, size_t count);
/*
 * An unpacker that begins with COUNT bytes already read (at most UNPACK_FIRST_BYTES). NULL: no
 * memory.
 */
static inline struct unpack *unpack_create(const struct unpack_ops *ops, const void *bytes,
					   size_t count)
{
	return ops->create(bytes, count);
}

/*
 * Unpacked bytes: how many, 0 at the end, -EBADMSG: broken or cut off, -ENOPKG: the library was
 * built without what this takes, -ENOMEM, or what
 * source_read() says, each time again. What came out before an error is handed out before it.
 */
static inline ssize_t unpack_read(struct unpack *unpack, struct source *source, void *buffer,
				  size_t bytes)
{
	return unpack->ops->read(unpack, source, buffer, bytes);
}

/* NULL is ignored. */
static inline void unpack_destroy(struct unpack *unpack)
{
	if (unpack)
		unpack->ops->destroy(unpack);
}

#endif
