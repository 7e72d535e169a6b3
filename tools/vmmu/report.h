/* SPDX-License-Identifier: MIT */
/* The two forms of a replay's report. */
#ifndef VMMU_TOOLS_REPORT_H
#define VMMU_TOOLS_REPORT_H

#include <vmmu/replay.h>

#include "comparison.h"
#include "kernel.h"

/* For people. PATH: what was replayed, with OPTIONS. TRACE: for counts of what was skipped. */
void report_print(const char *path, const struct vmmu_trace *trace, const struct kernel *kernel,
		  const struct vmmu_replay_options *options,
		  const struct vmmu_replay_report *report);
/* As one JSON object, schema vmmu-replay/1: see docs/json.md. COMPARISON: NULL if there is none. */
void report_print_json(const char *path, const struct vmmu_trace *trace,
		       const struct kernel *kernel, const struct vmmu_replay_options *options,
		       const struct vmmu_replay_report *report,
		       const struct comparison *comparison);

/* "fault", "invalidate" ...: an enum vmmu_trace_kind. */
const char *report_kind_name(unsigned kind);
/* "1", "2-3" ...: an index of vmmu_stats.rmap_lengths. */
const char *report_rmap_name(unsigned index);
#define REPORT_RMAP_LENGTHS 8u
/* "fixed" ...: an enum vmmu_outcome, as JSON keys have it. */
const char *report_outcome_name(unsigned outcome);
/* Faults handled in a second of vmmu_replay_report.fault_ns_wall; 0: there were none. */
double report_faults_per_second(const struct vmmu_replay_report *report);

#endif
