/* SPDX-License-Identifier: MIT */
/*
 * trace.dat files: a small sound one with some bytes of it changed, cut off or repeated. Whatever
 * libtracecmd makes of it: an error with words, or events, the same ones when read again; and no
 * process, file or memory left behind.
 *
 * Input: decisions (tests/base/draw.h): the length, then places and what goes there.
 */
#include <vmmu/trace.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "target.h"
#include "tracing/dat_file.h"

#define CHANGES_MAX 64
#define EVENTS_MAX  100000

static size_t make_file(struct dat_file *file, struct draw *draw)
{
	size_t size;

	dat_file_example(file);
	size = file->size - (size_t)draw_bytes(draw, 2) % file->size;
	for (unsigned i = 0; i < CHANGES_MAX && !draw_is_done(draw); i++) {
		size_t at = (size_t)draw_bytes(draw, 2) % file->size;
		unsigned bytes = (unsigned)draw_bytes(draw, 1) % 8 + 1;
		uint64_t value = draw_bytes(draw, bytes);

		if (at + bytes <= file->size)
			memcpy(file->bytes + at, &value, bytes);
	}
	return size;
}

static uint64_t read_all(struct vmmu_trace *trace, int *result)
{
	struct vmmu_trace_event event;
	uint64_t events = 0, done, total;

	while ((*result = vmmu_trace_next(trace, &event)) == 1) {
		TARGET_CHECK(event.name && event.text && event.kind < VMMU_TRACE_KINDS,
			     "an event without a name");
		events++;
	}
	TARGET_CHECK(!*result || *result == -EBADMSG, "read: %d %s", *result,
		     vmmu_trace_error(trace));
	TARGET_CHECK(!*result == !*vmmu_trace_error(trace), "%d, yet error \"%s\"", *result,
		     vmmu_trace_error(trace));
	vmmu_trace_progress(trace, &done, &total);
	TARGET_CHECK(!total || done <= total, "progress beyond the end");
	/* a page of 4 KiB holds no more */
	TARGET_CHECK(events < EVENTS_MAX, "%llu events", (unsigned long long)events);
	return events;
}

static void use(struct vmmu_trace *trace)
{
	int first, second;
	uint64_t events = read_all(trace, &first);

	TARGET_CHECK(!vmmu_trace_rewind(trace), "rewind: %s", vmmu_trace_error(trace));
	TARGET_CHECK(read_all(trace, &second) == events && first == second,
		     "read again: %d, first %d", second, first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	struct vmmu_trace *trace;
	struct dat_file file;
	char error[256] = "";
	size_t bytes;
	int result;

	setenv("VMMU_TRACE_DAT", TARGET_TRACE_DAT, 1);
	target_begin();
	bytes = make_file(&file, &draw);
	result = vmmu_trace_open(target_file(0, file.bytes, bytes), NULL, &trace, error,
				 sizeof(error));
	if (!result) {
		use(trace);
		vmmu_trace_close(trace);
	} else {
		TARGET_CHECK(result == -ENOEXEC || result == -EBADMSG ||
				     (result == -ENOPKG && !*TARGET_TRACE_DAT),
			     "open: %d %s", result, error);
		TARGET_CHECK(*error, "an error without a word");
	}
	TARGET_CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a process is left");
	target_end();
	return 0;
}
