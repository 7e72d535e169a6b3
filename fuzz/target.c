/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "format/outside.h"

#define FILES 2

static uint64_t heap_now, heap_most;
static size_t blocks_before;
static unsigned descriptors_before;
static int files[FILES] = {-1, -1};
/* A copy of stderr from before anybody could close it. */
static int messages = STDERR_FILENO;

__attribute__((constructor)) static void keep_stderr(void)
{
	int copy = dup(STDERR_FILENO);

	if (copy >= 0)
		messages = copy;
}

void target_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	dprintf(messages, "%s:%d: finding: ", file, line);
	va_start(args, format);
	vdprintf(messages, format, args);
	va_end(args);
	dprintf(messages, "\n");
	abort();
}

static void *heap_alloc(size_t bytes)
{
	void *ptr;

	if (bytes > TARGET_HEAP_BYTES - heap_now)
		return NULL;
	ptr = calloc(1, bytes);
	if (!ptr)
		return NULL;
	heap_now += malloc_usable_size(ptr);
	if (heap_now > heap_most)
		heap_most = heap_now;
	return ptr;
}

static void heap_free(void *ptr)
{
	heap_now -= malloc_usable_size(ptr);
	free(ptr);
}

/* Open file descriptors of this process. */
static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

unsigned target_format_count(void)
{
	static unsigned count;

	while (outside_at(count))
		count++;
	return count;
}

const struct vmmu_format *target_format(struct draw *draw)
{
	return outside_at((unsigned)draw_below(draw, target_format_count()));
}

void target_begin(void)
{
	static const struct mem_ops ops = {.alloc = heap_alloc, .free = heap_free};

	/* formats from outside are registered once and stay */
	target_format_count();
	mem_ops_set(&ops);
	/* the two files come once and stay */
	target_file(0, "", 0);
	target_file(1, "", 0);
	blocks_before = mem_live();
	descriptors_before = count_descriptors();
	heap_most = heap_now;
}

void target_end(void)
{
	unsigned descriptors = count_descriptors();

	TARGET_CHECK(mem_live() == blocks_before, "%zu blocks leaked", mem_live() - blocks_before);
	TARGET_CHECK(descriptors == descriptors_before, "%u file descriptors, before %u",
		     descriptors, descriptors_before);
}

uint64_t target_heap_now(void)
{
	return heap_now;
}

uint64_t target_heap_most(void)
{
	return heap_most;
}

const char *target_file(unsigned number, const void *data, size_t size)
{
	static char paths[FILES][32];

	if (files[number] < 0)
		files[number] = memfd_create("input", MFD_CLOEXEC);
	TARGET_CHECK(files[number] >= 0, "memfd_create: %s", strerror(errno));
	TARGET_CHECK(!ftruncate(files[number], 0), "ftruncate: %s", strerror(errno));
	TARGET_CHECK(pwrite(files[number], data, size, 0) == (ssize_t)size, "write: %s",
		     strerror(errno));
	snprintf(paths[number], sizeof(paths[0]), "/proc/self/fd/%d", files[number]);
	return paths[number];
}
