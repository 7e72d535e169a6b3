/* SPDX-License-Identifier: MIT */
/*
 * Lines of a text file, plain or packed (unpack.h), or of what a trace.dat file says as text, in
 * bounded memory: one buffer, and no line longer than INPUT_LINE_MAX.
 */
#ifndef VMMU_TRACING_INPUT_H
#define VMMU_TRACING_INPUT_H

#include "tracing/dat.h"
#include "tracing/source.h"
#include "tracing/unpack.h"

#define INPUT_LINE_MAX     65536u
#define INPUT_BUFFER_BYTES 262144u

struct input {
	struct source source;
	struct unpack *unpack; /* NULL: not compressed */
	struct dat *dat;       /* not NULL: a trace.dat file */
	char *buffer;          /* INPUT_BUFFER_BYTES + 1: room for a NUL after the last line */
	size_t start, end;     /* unread bytes of the buffer */
	size_t scanned;        /* no newline before this place in the buffer */
	char *cut; /* where a NUL replaced a character of the line handed out, or NULL */
	char cut_character;
	uint64_t line; /* number of the line handed out last, from 1 */
	int error;     /* -errno that comes after the lines in the buffer */
	bool is_started, is_eof, is_skipping;
	bool is_whole; /* the buffer still holds the input's first byte */
};

enum input_result {
	INPUT_END,    /* no more lines */
	INPUT_LINE,   /* a line */
	INPUT_LONG,   /* a line longer than INPUT_LINE_MAX was skipped */
	INPUT_BINARY, /* a line with a NUL in it was skipped */
};

/*
 * Open PATH ("-": standard input) and fill the buffer. Errors: source_open(), -ENOMEM. Then
 * input_close().
 */
int input_open(struct input *input, const char *path);
/*
 * The next line without its newline, in place, NUL after it, good until the next call. Returns an
 * enum input_result; after the last whole line the error that ended the input: -errno of read(),
 * -EBADMSG (packed data, trace.dat), -ENOPKG (zstd, trace.dat), -ENOMEM, errors of dat_create().
 */
int input_line(struct input *input, const char **text);
/* True when the next line can be had from the buffer alone. */
bool input_has_line(const struct input *input);
/* Start again from line 1. Errors: source_rewind(). */
int input_rewind(struct input *input);
/* Bytes of the file read so far and in all; total 0: not known. */
void input_progress(const struct input *input, uint64_t *done, uint64_t *total);
/* What the error of input_line() was; static text, "" for those that strerror() knows. */
const char *input_error(const struct input *input);
void input_close(struct input *input);

#endif
