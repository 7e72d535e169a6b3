/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is one file with one LLVMFuzzerTestOneInput(): libFuzzer,
 * AFL++ and driver.c call it, with any bytes, any number of times in one process. It says what is
 * wrong by target_fail(), and leaves nothing behind: target_end() sees to that.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/draw.h"

struct vmmu_format;

/* Heap that the library may have during one input: whoever asks for more is refused. */
#define TARGET_HEAP_BYTES (UINT64_C(64) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Print a finding, where a fuzzer has closed stderr too, and stop. */
void target_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* CONDITION holds, or the message (a printf format and its values) is a finding. */
#define TARGET_CHECK(condition, ...)                                  \
	do {                                                          \
		if (!(condition))                                     \
			target_fail(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/*
 * Around each input: from here on the library's heap is counted and limited. target_end() fails
 * if a block or a file descriptor is left.
 */
void target_begin(void);
void target_end(void);
/* Bytes of heap that the library has now, and the most it had since target_begin(). */
uint64_t target_heap_now(void);
uint64_t target_heap_most(void);

/* Formats of the library, and those that came in from outside (tests/format/outside.h). */
unsigned target_format_count(void);
/* One of them. */
const struct vmmu_format *target_format(struct draw *draw);

/*
 * A file that holds these bytes, in memory: its path, good until the same NUMBER (0..1) is used
 * again.
 */
const char *target_file(unsigned number, const void *data, size_t size);

#endif
