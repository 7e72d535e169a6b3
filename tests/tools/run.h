/* SPDX-License-Identifier: MIT */
/* Running the vmmu command from a test. */
#ifndef VMMU_TESTS_TOOLS_RUN_H
#define VMMU_TESTS_TOOLS_RUN_H

#include <stddef.h>

/* What a run said; texts are NUL-terminated, cut off at their size. */
struct run {
	int code; /* exit code; -1: killed by a signal or not started */
	char out[65536], err[8192];
};

/*
 * Run `vmmu ARGUMENTS...` with standard input from INPUT (a path; NULL: /dev/null). ARGUMENTS is
 * one string, split at blanks. *RUN is filled. The program is ended after 60 seconds.
 */
void run_vmmu(struct run *run, const char *input, const char *arguments);
/* The exit code of `vmmu ARGUMENTS...` with standard output to the existing file OUTPUT. */
int run_vmmu_into(const char *output, const char *arguments);
/* The path of a new temporary file with BYTES of CONTENT, removed when the test ends. */
const char *run_file(const void *content, size_t bytes);

#endif
