/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a file or a pipe that can be read again from the start. What cannot seek (standard
 * input, a FIFO) is copied to an unlinked temporary file while it is read.
 */
#ifndef VMMU_TRACING_SOURCE_H
#define VMMU_TRACING_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct source {
	int fd;          /* -1: closed */
	int spool_fd;    /* -1: none: the file can seek, or the spool failed */
	int spool_error; /* -errno of the failure that ended the spool; 0: none */
	bool is_seekable;
	uint64_t first;       /* seekable: file offset of the first byte */
	uint64_t at;          /* next byte to hand out, counted from the first */
	uint64_t spool_bytes; /* bytes the spool holds */
	uint64_t total;       /* bytes in all; 0: not known */
};

/* Open PATH ("-": standard input). -errno of open() or fstat(); -EISDIR. */
int source_open(struct source *source, const char *path);
/* Up to BYTES bytes into BUFFER: how many, 0 at the end, -errno of read(). */
ssize_t source_read(struct source *source, void *buffer, size_t bytes);
/*
 * A descriptor, the source's own, of a file that holds all the bytes from its offset 0 on: what
 * cannot seek is read to its end first. The source is to be rewound before it is read again.
 * -ESPIPE: a file that was given at another offset; errors of source_read() and source_rewind().
 */
int source_file(struct source *source);
/* Start again. The spool's -errno when a pipe's bytes could not be kept. */
int source_rewind(struct source *source);
/* Close; harmless on a source that never opened if fd and spool_fd are -1. */
void source_close(struct source *source);

#endif
