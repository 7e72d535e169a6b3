/* SPDX-License-Identifier: MIT */
/*
 * The vmmu command: what its parts share. It uses the library's public headers only.
 */
#ifndef VMMU_TOOLS_TOOL_H
#define VMMU_TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <vmmu/format.h>

/* Exit codes; the larger ones are those of <sysexits.h>. */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_VIOLATION = 1, /* the audit found something, or two runs disagree */
	TOOL_USAGE = 2,
	TOOL_DATA = 65,     /* the input is not what it should be */
	TOOL_NO_INPUT = 66, /* cannot open or read */
	TOOL_INTERNAL = 70, /* no memory, cannot write, or a defect */
};

/*
 * The commands: as main(), argv[0] being "vmmu COMMAND". Return an exit code, or exit for usage
 * errors and help.
 */
int cmd_replay(int argc, char **argv);
int cmd_formats(int argc, char **argv);
int cmd_walk(int argc, char **argv);
int cmd_dump(int argc, char **argv);

/* Print "vmmu: " and the message as a line on stderr; returns CODE. */
int tool_fail(enum tool_exit code, const char *message, ...) __attribute__((format(printf, 2, 3)));
/* Read a whole argument as an unsigned number (decimal, 0x hexadecimal). False: it is none. */
bool tool_number(const char *text, uint64_t *number);
/* "rwx", "r--" ...: ACCESS is enum vmmu_access, or-ed. Valid until the fourth next call. */
const char *tool_access(unsigned access);
const char *tool_memtype(enum vmmu_memtype memtype);
/* "4 KiB", "2 MiB", "1 GiB" for 2^lg2 bytes. Valid until the fourth next call. */
const char *tool_size(unsigned lg2);
/* Flush stdout: TOOL_OK, or TOOL_INTERNAL and a message when anything printed was lost. */
int tool_finish_output(void);

#endif
