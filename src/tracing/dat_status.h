/* SPDX-License-Identifier: MIT */
/* What the program that reads trace.dat files tells its caller, in a file that both hold open. */
#ifndef VMMU_TRACING_DAT_STATUS_H
#define VMMU_TRACING_DAT_STATUS_H

#include <stdint.h>

/* The program's file descriptors. */
enum dat_fd {
	DAT_FD_FILE,  /* the trace.dat file, at any offset */
	DAT_FD_TEXT,  /* lines of text go here */
	DAT_FD_ERROR, /* what the library prints: not looked at */
	DAT_FD_STATUS,
	DAT_FDS,
};

enum dat_state {
	DAT_RUNNING,  /* also what a program that was killed leaves */
	DAT_FINISHED, /* all events were written */
	DAT_FAILED,   /* what[] says why */
};

/* At the start of the status file. Whoever reads it trusts nothing of it. */
struct dat_status {
	uint64_t done, total; /* of the events' bytes; total 0: not known */
	uint32_t state;       /* enum dat_state */
	char what[108];       /* NUL-terminated */
};

#endif
