/* SPDX-License-Identifier: MIT */
#include "tracing/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An unlinked file in TMPDIR or /tmp: -1 and errno when there is no room for one. */
static int source_temporary(void)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];
	int length, fd;

	if (!folder || !*folder)
		folder = "/tmp";
	length = snprintf(path, sizeof(path), "%s/vmmu-trace-XXXXXX", folder);
	if (length < 0 || (size_t)length >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int source_find_kind(struct source *source)
{
	struct stat status;
	off_t offset;

	if (fstat(source->fd, &status))
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	offset = S_ISREG(status.st_mode) ? lseek(source->fd, 0, SEEK_CUR) : -1;
	source->is_seekable = offset >= 0;
	if (source->is_seekable) {
		source->first = (uint64_t)offset;
		if (status.st_size > offset)
			source->total = (uint64_t)(status.st_size - offset);
		return 0;
	}
	source->spool_fd = source_temporary();
	if (source->spool_fd < 0)
		source->spool_error = -errno;
	return 0;
}

int source_open(struct source *source, const char *path)
{
	int error;

	*source = (struct source){.fd = -1, .spool_fd = -1};
	if (!strcmp(path, "-"))
		source->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (source->fd < 0)
		return -errno;
	error = source_find_kind(source);
	if (error)
		source_close(source);
	return error;
}

/*
 * Keep what came out of a pipe. A failure ends the spool: the bytes are still handed out, rewind
 * then fails.
 */
static void source_keep(struct source *source, const char *bytes, size_t count)
{
	while (count && source->spool_fd >= 0) {
		ssize_t done = pwrite(source->spool_fd, bytes, count, (off_t)source->spool_bytes);

		if (done > 0) {
			bytes += done;
			count -= (size_t)done;
			source->spool_bytes += (uint64_t)done;
		} else if (done == 0 || errno != EINTR) {
			source->spool_error = done == 0 ? -ENOSPC : -errno;
			close(source->spool_fd);
			source->spool_fd = -1;
		}
	}
}

static ssize_t source_read_once(struct source *source, void *buffer, size_t bytes)
{
	if (source->is_seekable)
		return pread(source->fd, buffer, bytes, (off_t)(source->first + source->at));
	if (source->at < source->spool_bytes) {
		uint64_t kept = source->spool_bytes - source->at;

		return pread(source->spool_fd, buffer, bytes < kept ? bytes : kept,
			     (off_t)source->at);
	}
	return read(source->fd, buffer, bytes);
}

ssize_t source_read(struct source *source, void *buffer, size_t bytes)
{
	ssize_t count;

	do
		count = source_read_once(source, buffer, bytes);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	if (!source->is_seekable && source->at == source->spool_bytes)
		source_keep(source, buffer, (size_t)count);
	source->at += (uint64_t)count;
	return count;
}

int source_file(struct source *source)
{
	char bytes[16384];
	ssize_t count;

	if (source->is_seekable)
		return source->first ? -ESPIPE : source->fd;
	do
		count = source_read(source, bytes, sizeof(bytes));
	while (count > 0);
	if (count < 0)
		return (int)count;
	return source->spool_error ? source->spool_error : source->spool_fd;
}

int source_rewind(struct source *source)
{
	if (!source->is_seekable && source->at && source->spool_error)
		return source->spool_error;
	source->at = 0;
	return 0;
}

void source_close(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	if (source->spool_fd >= 0)
		close(source->spool_fd);
	source->fd = -1;
	source->spool_fd = -1;
}
