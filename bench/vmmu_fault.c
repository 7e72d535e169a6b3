/* SPDX-License-Identifier: MIT */
/* Faults: no floor has them. What they cost is counted in instructions and told in nanoseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/replay.h>

#include "bench.h"
#include "guest.h"

static void fault_pages(struct bench_run *run)
{
	struct guest guest;

	guest_open(run, &guest, run->sizes->pages, VMMU_ROOT_DIRECT, 1);
	guest_warm(run, &guest);
	guest_measure(run, &guest, FAULT_FRESH, 0);
	guest_log(run, &guest);
	guest_measure(run, &guest, FAULT_FAST, VMMU_FAULT_PRESENT);
	guest_close(&guest);
}

static void replay_trace(struct bench_run *run)
{
	struct vmmu_trace_options input = {.size = sizeof(input), .layout = run->layout};
	struct vmmu_replay_options options = {.size = sizeof(options), .format = run->format};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char error[256];

	if (vmmu_trace_open(run->trace, &input, &trace, error, sizeof(error))) {
		fprintf(stderr, "bench: %s\n", error);
		exit(1);
	}
	bench_begin(run);
	bench_expect(run, !vmmu_replay(trace, &options, &report) && report.faults);
	bench_end(run, REPLAY, report.faults);
	bench_expect(run, report.errors == 0 && report.audit.violations == 0);
	vmmu_trace_close(trace);
}

void bench_faults(struct bench_run *run)
{
	fault_pages(run);
	if (run->trace)
		replay_trace(run);
}
