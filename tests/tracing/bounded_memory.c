/* SPDX-License-Identifier: MIT */
/*
 * A million lines from a pipe, read twice by a process of its own: its memory at the end must not
 * depend on the trace. A plain program, so that nothing else is in the process that is measured.
 */
#include <vmmu/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"

#define LINES 1000000

/* Different threads, names now and then, faults: all tables of the reader fill. */
static void write_lines(int fd)
{
	FILE *out = fdopen(fd, "w");

	for (unsigned i = 0; i < LINES; i++) {
		if (i % 10 == 9)
			fprintf(out, "vm-%u [000] ..... %u.%06u: name_%u: x\n", i, i / 1000,
				i % 1000, i);
		else
			fprintf(out,
				"vm-%u [001] ..... %u.%06u: kvm_page_fault: vcpu %u rip 0x1 "
				"address 0x%016x "
				"error_code 0x182\n",
				i, i / 1000, i % 1000, i % 64, i << 12);
	}
	fclose(out);
}

static int read_lines(void)
{
	struct vmmu_trace *trace;
	char error[256];
	int result = 0;

	if (vmmu_trace_open("-", NULL, &trace, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (int round = 0; round < 2 && !result; round++) {
		struct vmmu_trace_event event;
		unsigned count = 0;

		while ((result = vmmu_trace_next(trace, &event)) > 0)
			count++;
		if (result || count != LINES) {
			fprintf(stderr, "%u events: %s\n", count, vmmu_trace_error(trace));
			return 1;
		}
		result = vmmu_trace_rewind(trace);
	}
	vmmu_trace_close(trace);
	return result != 0;
}

int main(void)
{
	/*
	 * Measured: 9 MB, of which the thread table is 5. The input is 105 MB. Sanitizers keep
	 * freed memory.
	 */
	const long limit_kib = BASE_HAS_ASAN || BASE_HAS_TSAN ? 512 << 10 : 32 << 10;
	struct rusage usage;
	int ends[2], status;
	pid_t writer;

	if (pipe(ends))
		return 1;
	writer = fork();
	if (!writer) {
		close(ends[0]);
		write_lines(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	if (read_lines())
		return 1;
	waitpid(writer, &status, 0);
	getrusage(RUSAGE_SELF, &usage);
	printf("%d lines twice: %ld KiB at most\n", LINES, usage.ru_maxrss);
	if (usage.ru_maxrss > limit_kib) {
		fprintf(stderr, "more than %ld KiB\n", limit_kib);
		return 1;
	}
	return 0;
}
