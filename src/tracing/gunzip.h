/* SPDX-License-Identifier: MIT */
/* Unpacking gzip data as it is read, several members one after another included. */
#ifndef VMMU_TRACING_GUNZIP_H
#define VMMU_TRACING_GUNZIP_H

#include "tracing/source.h"

struct gunzip;

/* True when the COUNT bytes at BYTES start gzip data. */
bool gunzip_is_gzip(const void *bytes, size_t count);
/*
 * An unpacker that begins with COUNT bytes already read (at most GUNZIP_FIRST_BYTES). NULL: no
 * memory.
 */
#define GUNZIP_FIRST_BYTES 65536u
struct gunzip *gunzip_create(const void *bytes, size_t count);
/*
 * Unpacked bytes: how many, 0 at the end, -EBADMSG: broken or cut off, -ENOMEM, or what
 * source_read() says.
 */
ssize_t gunzip_read(struct gunzip *gunzip, struct source *source, void *buffer, size_t bytes);
/* What -EBADMSG was about; static text. */
const char *gunzip_error(const struct gunzip *gunzip);
void gunzip_destroy(struct gunzip *gunzip);

#endif
