/* SPDX-License-Identifier: MIT */
/* Worked examples from data files: "| id | entry | level | access | options | case | result |". */
#ifndef TESTS_HW_ROWS_H
#define TESTS_HW_ROWS_H

#include <vmmu/hw.h>

#define ROW_COLUMNS_MAX 7
#define ROW_TEXT_BYTES  96
#define ROWS_MAX        64

struct row {
	char column[ROW_COLUMNS_MAX][ROW_TEXT_BYTES];
	const char *id, *options, *result;
	uint64_t entry;
	int level;       /* as the manual counts */
	unsigned access; /* VMMU_READ ... */
};

struct rows {
	struct row row[ROWS_MAX];
	unsigned count, columns;
};

/* Read tests/data/hw/NAME; fails the test if it cannot. Free with rows_free(). */
struct rows *rows_read(const char *name);
void rows_free(struct rows *rows);
/* The number after KEY= in the row's options, or FALLBACK. */
uint64_t row_option(const struct row *row, const char *key, uint64_t fallback);
/* Does the row's option KEY= have this text? */
bool row_option_is(const struct row *row, const char *key, const char *text);
/* The number after PREFIX in the row's result: true, and *VALUE. */
bool row_expects(const struct row *row, const char *prefix, uint64_t *value);
bool row_result_has(const struct row *row, const char *text);
/* Print "NAME: RAN of COUNT rows ran, how", and fail unless that is TOTAL. */
void rows_report(const char *name, const char *how, unsigned ran, unsigned total);

#endif
