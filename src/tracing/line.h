/* SPDX-License-Identifier: MIT */
/*
 * One line of a trace, taken apart: thread, time, event name, event text. The three tools' lines
 * differ little:
 *
 * - tracefs: "comm-pid [cpu] flags time: name: text"; flags are 4 or 5 characters, or absent
 * - trace-cmd: the same with the text in a column of its own; flags in newer versions only
 * - perf: "comm pid [cpu] time: system:name: text"
 *
 * So each line is read on its own and says which tool it looks like. A comm may hold anything: what
 * follows the bracket decides. A line may start with the name alone, when somebody cut the columns
 * off.
 */
#ifndef VMMU_TRACING_LINE_H
#define VMMU_TRACING_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_kind {
	LINE_EVENT, /* name, text and whatever columns there were */
	LINE_NAME,  /* name and text only: an event if the name is a known one */
	LINE_EMPTY,
	LINE_COMMENT, /* # ... */
	LINE_TRACER,  /* # tracer: ..., the first line of tracefs */
	LINE_HEADER,  /* trace-cmd: cpus=N, version = N, CPU n is empty */
	LINE_STACK,   /* <stack trace>, => symbol, perf's address symbol */
	LINE_LOST,    /* events were lost */
	LINE_UNKNOWN,
	LINE_KINDS,
};

/* What the columns look like; flags of line.marks. */
enum line_mark {
	LINE_HAS_FLAGS = 1 << 0,  /* irq and preempt column */
	LINE_HAS_SYSTEM = 1 << 1, /* system:name */
	LINE_HAS_COLUMN = 1 << 2, /* more than one blank after the name */
	LINE_HAS_DASH = 1 << 3,   /* comm-pid */
};

struct line {
	const char *name; /* in the line, not ended by NUL */
	size_t name_bytes;
	const char *text; /* after the name and its blanks, to the end of the line */
	uint64_t time_ns; /* 0: none */
	uint32_t pid;     /* 0: none */
	unsigned marks;   /* enum line_mark, or-ed */
};

/* Take TEXT apart. *LINE is written for LINE_EVENT and LINE_NAME and points into TEXT. */
enum line_kind line_split(const char *text, struct line *line);
/*
 * "seconds.fraction" or a bare count of a clock's ticks, followed by END: nanoseconds, and *TEXT
 * moves past END. False and nothing moves when it is something else.
 */
bool line_time(const char **text, char end, uint64_t *time_ns);

#endif
