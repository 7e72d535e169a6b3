/* SPDX-License-Identifier: MIT */
/* Recordings as text that can be changed, and what comparing them comes to. */
#ifndef TESTS_TRACING_COMPARE_HELP_H
#define TESTS_TRACING_COMPARE_HELP_H

#include <vmmu/replay.h>

/* A recording of the kvm-live kit. */
struct recorded {
	const char *config;  /* "x86-6.1/tdp" */
	const char *name;    /* "mmio" */
	const char *version; /* of the kernel; NULL: it tells itself */
	enum vmmu_root_mode root;
	bool nx_huge;
	const char *format; /* NULL: as the recording tells */
};

struct compared {
	int result; /* of vmmu_replay() */
	struct vmmu_compare_tally all;
	struct vmmu_compare_tally events[VMMU_COMPARE_EVENTS];
	uint64_t reasons;
	struct vmmu_digest digest;
	uint64_t violations;
	uint64_t classes, classes_agreeing;
	uint64_t steps;
};

/* The whole text of RECORDED's trace, unpacked; free() it. Fails the test. */
char *compare_text_of(const struct recorded *recorded);
/* Replay TEXT with RECORDED's layout. Differences go to stdout, the first few, if IS_SHOWN. */
struct compared compare_run(const struct recorded *recorded, const char *text, bool is_shown);
bool compare_agrees(const struct compared *compared);

#endif
