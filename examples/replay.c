/* SPDX-License-Identifier: MIT */
/* vmmu/replay.h: `replay TRACE LAYOUT` drives an engine with the faults of a real guest. */
#include <stdio.h>
#include <vmmu/replay.h>

int main(int argc, char **argv)
{
	struct vmmu_trace_options input = {.size = sizeof(input)};
	struct vmmu_replay_options options = {.size = sizeof(options)};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char error[256];
	int err;

	if (argc != 3)
		return 2;
	input.layout = argv[2];
	if (vmmu_trace_open(argv[1], &input, &trace, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	/* Any format can replay any trace; by default it is one of the trace's architecture. */
	options.format = vmmu_format_find("sv48x4");
	err = vmmu_replay(trace, &options, &report);
	vmmu_trace_close(trace);
	if (err)
		return 1;
	printf("%llu %s faults into %s: %llu fixed, %llu emulated, %llu violations\n",
	       (unsigned long long)report.faults, report.architecture,
	       vmmu_format_info(report.format)->name,
	       (unsigned long long)report.outcomes[VMMU_FIXED],
	       (unsigned long long)report.outcomes[VMMU_EMULATE],
	       (unsigned long long)report.audit.violations);
}
