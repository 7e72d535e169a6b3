/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int tool_fail(enum tool_exit code, const char *message, ...)
{
	va_list args;

	fflush(stdout);
	fputs("vmmu: ", stderr);
	va_start(args, message);
	vfprintf(stderr, message, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

bool tool_number(const char *text, uint64_t *number)
{
	char *end;

	/* strtoull() takes a sign and blanks: we do not. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
	return !errno && !*end;
}

const char *tool_access(unsigned access)
{
	static char texts[4][4];
	static unsigned next;
	char *text = texts[next++ % 4];

	text[0] = access & VMMU_READ ? 'r' : '-';
	text[1] = access & VMMU_WRITE ? 'w' : '-';
	text[2] = access & VMMU_EXEC ? 'x' : '-';
	return text;
}

const char *tool_memtype(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_WRITEBACK:
		return "writeback";
	case VMMU_MEM_NONCACHEABLE:
		return "noncacheable";
	case VMMU_MEM_DEVICE:
		return "device";
	}
	return "?";
}

const char *tool_size(unsigned lg2)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	static char texts[4][16];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof(texts[0]), "%u %s", 1u << lg2 % 10, units[lg2 / 10 % 7]);
	return text;
}

int tool_finish_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		return tool_fail(TOOL_INTERNAL, "cannot write the output: %s", strerror(errno));
	return TOOL_OK;
}
