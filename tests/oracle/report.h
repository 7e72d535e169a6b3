/* SPDX-License-Identifier: MIT */
/* What came of it: for people, for programs, for docs/fidelity.md. */
#ifndef TESTS_ORACLE_REPORT_H
#define TESTS_ORACLE_REPORT_H

#include "oracle/compare.h"
#include "oracle/scene.h"

enum report_form {
	REPORT_TEXT,
	REPORT_JSON,
	REPORT_MARKDOWN,
	REPORT_LINE, /* Markdown, of recordings */
};

struct report_asked {
	const struct vmmu_format *format;
	uint64_t probes, seed;
	enum report_form form;
};

struct report {
	struct report_asked asked;
	const struct oracle_emulator *emulator;
	struct scene_tally tally;
	struct compare compare;
	double seconds; /* of emulators */
	unsigned runs;
};

/* ORACLE_OK or ORACLE_DIFFERS. */
int report_verdict(const struct report *report);
/* To standard output. */
void report_print(const struct report *report, int verdict);

#endif
