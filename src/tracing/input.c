/* SPDX-License-Identifier: MIT */
#include "tracing/input.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

/* Enough to tell a trace.dat file, and what is packed. */
#define INPUT_MAGIC_BYTES 10

/* The first bytes decide between plain text, trace.dat and what is to be unpacked. */
static ssize_t input_first_bytes(struct input *input, char *buffer, size_t bytes)
{
	const struct unpack_ops *ops;
	size_t have = 0;
	ssize_t count = 1;

	if (bytes > UNPACK_FIRST_BYTES)
		bytes = UNPACK_FIRST_BYTES;
	while (have < INPUT_MAGIC_BYTES && count > 0) {
		count = source_read(&input->source, buffer + have, bytes - have);
		if (count < 0)
			return count;
		have += (size_t)count;
	}
	input->is_started = true;
	if (dat_is_dat(buffer, have)) {
		count = dat_create(&input->source, &input->dat);
		return count ? count : dat_read(input->dat, buffer, bytes);
	}
	ops = unpack_find(buffer, have);
	if (!ops)
		return (ssize_t)have;
	input->unpack = unpack_create(ops, buffer, have);
	if (!input->unpack)
		return -ENOMEM;
	return unpack_read(input->unpack, &input->source, buffer, bytes);
}

/* More bytes behind those in the buffer; sets is_eof, and error with it, at the end. */
static void input_fill(struct input *input)
{
	char *at = input->buffer + input->end;
	size_t room = INPUT_BUFFER_BYTES - input->end;
	ssize_t count;

	if (!input->is_started)
		count = input_first_bytes(input, at, room);
	else if (input->dat)
		count = dat_read(input->dat, at, room);
	else if (input->unpack)
		count = unpack_read(input->unpack, &input->source, at, room);
	else
		count = source_read(&input->source, at, room);
	if (count > 0) {
		input->end += (size_t)count;
		return;
	}
	input->is_eof = true;
	input->error = (int)count;
}

/* Make room: unread bytes go to the front once less than a longest line would fit behind them. */
static void input_make_room(struct input *input)
{
	size_t unread = input->end - input->start;

	if (INPUT_BUFFER_BYTES - input->end > INPUT_LINE_MAX)
		return;
	memmove(input->buffer, input->buffer + input->start, unread);
	input->scanned -= input->start;
	input->start = 0;
	input->end = unread;
	input->is_whole = false;
}

static void input_fill_whole(struct input *input)
{
	while (!input->is_eof && input->end < INPUT_BUFFER_BYTES)
		input_fill(input);
}

int input_open(struct input *input, const char *path)
{
	int error;

	memset(input, 0, sizeof(*input));
	error = source_open(&input->source, path);
	if (error)
		return error;
	input->buffer = mem_alloc(INPUT_BUFFER_BYTES + 1);
	if (!input->buffer) {
		input_close(input);
		return -ENOMEM;
	}
	input->is_whole = true;
	input_fill_whole(input);
	return 0;
}

/*
 * Hand out the bytes from start to END, where a NUL goes; NEXT is the start of the following line.
 */
static int input_take(struct input *input, size_t end, size_t next, const char **text)
{
	char *line = input->buffer + input->start;
	size_t bytes = end - input->start;

	input->start = next;
	input->scanned = next;
	input->line++;
	if (bytes > INPUT_LINE_MAX)
		return INPUT_LONG;
	if (memchr(line, '\0', bytes))
		return INPUT_BINARY;
	if (bytes && line[bytes - 1] == '\r')
		bytes--;
	input->cut = line + bytes;
	input->cut_character = *input->cut;
	*input->cut = '\0';
	*text = line;
	return INPUT_LINE;
}

/* The last bytes of the input are no line when an error cut them off. */
static int input_take_rest(struct input *input, const char **text)
{
	if (input->error)
		return input->error;
	if (input->is_skipping || input->start < input->end) {
		bool is_long = input->is_skipping;

		input->is_skipping = false;
		if (!is_long)
			return input_take(input, input->end, input->end, text);
		input->start = input->end;
		input->line++;
		return INPUT_LONG;
	}
	return INPUT_END;
}

/* Where the next newline is, or NULL when the buffer has none. */
static char *input_newline(struct input *input)
{
	char *found;

	found = memchr(input->buffer + input->scanned, '\n', input->end - input->scanned);
	if (!found)
		input->scanned = input->end;
	return found;
}

/* A line that outgrew the limit: forget what is there of it and go on to its newline. */
static void input_skip(struct input *input)
{
	input->is_skipping = true;
	input->start = 0;
	input->end = 0;
	input->scanned = 0;
	input->is_whole = false;
}

static void input_uncut(struct input *input)
{
	if (input->cut)
		*input->cut = input->cut_character;
	input->cut = NULL;
}

int input_line(struct input *input, const char **text)
{
	char *newline;

	input_uncut(input);
	while (!(newline = input_newline(input))) {
		if (input->is_eof)
			return input_take_rest(input, text);
		if (input->end - input->start > INPUT_LINE_MAX)
			input_skip(input);
		input_make_room(input);
		input_fill(input);
	}
	if (input->is_skipping) {
		input->is_skipping = false;
		input->start = (size_t)(newline - input->buffer) + 1;
		input->scanned = input->start;
		input->line++;
		return INPUT_LONG;
	}
	return input_take(input, (size_t)(newline - input->buffer),
			  (size_t)(newline - input->buffer) + 1, text);
}

bool input_has_line(const struct input *input)
{
	size_t bytes = input->end - input->start;

	if (memchr(input->buffer + input->start, '\n', bytes))
		return true;
	return input->is_eof && !input->error && bytes;
}

int input_rewind(struct input *input)
{
	int error;

	input_uncut(input);
	input->line = 0;
	input->start = 0;
	input->scanned = 0;
	if (input->is_whole)
		return 0;
	error = source_rewind(&input->source);
	if (error)
		return error;
	dat_destroy(input->dat);
	input->dat = NULL;
	unpack_destroy(input->unpack);
	input->unpack = NULL;
	input->end = 0;
	input->error = 0;
	input->is_started = false;
	input->is_eof = false;
	input->is_skipping = false;
	input->is_whole = true;
	input_fill_whole(input);
	return 0;
}

const char *input_error(const struct input *input)
{
	if (input->dat)
		return dat_error(input->dat);
	return input->unpack ? input->unpack->error : "";
}

void input_progress(const struct input *input, uint64_t *done, uint64_t *total)
{
	uint64_t part, whole;

	*done = input->source.at;
	*total = input->source.total;
	if (!input->dat)
		return;
	dat_progress(input->dat, &part, &whole);
	*total = whole ? *total : 0;
	*done = whole ? (uint64_t)((double)*total * ((double)part / (double)whole)) : part;
}

void input_close(struct input *input)
{
	dat_destroy(input->dat);
	unpack_destroy(input->unpack);
	source_close(&input->source);
	mem_free(input->buffer);
	input->dat = NULL;
	input->unpack = NULL;
	input->buffer = NULL;
}
