/* SPDX-License-Identifier: MIT */
/* vmmu/trace.h: `trace TRACE` counts what a recording holds. */
#include <stdio.h>
#include <vmmu/trace.h>

int main(int argc, char **argv)
{
	uint64_t faults = 0, writes = 0, events = 0;
	struct vmmu_trace_event event;
	struct vmmu_trace *trace;
	char error[256];
	int more;

	if (argc != 2)
		return 2;
	if (vmmu_trace_open(argv[1], NULL, &trace, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	while ((more = vmmu_trace_next(trace, &event)) > 0) {
		events++;
		faults += event.kind == VMMU_TRACE_FAULT;
		writes += event.kind == VMMU_TRACE_FAULT && event.fault.access == VMMU_WRITE;
	}
	if (more < 0)
		fprintf(stderr, "%s\n", vmmu_trace_error(trace));
	else
		printf("%s, %s: %llu events, %llu faults, %llu of them writes\n",
		       vmmu_syntax_name(vmmu_trace_syntax(trace)), vmmu_trace_architecture(trace),
		       (unsigned long long)events, (unsigned long long)faults,
		       (unsigned long long)writes);
	vmmu_trace_close(trace);
	return more < 0;
}
