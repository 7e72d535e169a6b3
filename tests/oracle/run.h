/* SPDX-License-Identifier: MIT */
/* Running an emulator on a job. */
#ifndef TESTS_ORACLE_RUN_H
#define TESTS_ORACLE_RUN_H

#include "oracle/jobs.h"

struct run_results {
	struct job_result *result; /* for free() */
	size_t count;
	double seconds;
};

/* What is missing to run EMULATOR with PROGRAMS (a directory), or NULL. */
const char *run_lacks(const struct oracle_emulator *emulator, const char *programs);
/*
 * Run JOBS in a directory of its own, which is removed unless KEEP is set. 0, and *RESULTS; -errno:
 * the emulator could not be started, took too long, or wrote no results; what it said is printed.
 */
int run_jobs(const struct jobs *jobs, const char *programs, bool keep, struct run_results *results);

#endif
