// SPDX-License-Identifier: MIT
#include "hw/rows.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copy the text of a cell without blanks at the ends and back quotes; returns what follows it. */
static const char *row_cell(const char *line, char *text)
{
	size_t length = strcspn(line, "|"), i, used = 0;

	while (length && line[0] == ' ') {
		line++;
		length--;
	}
	for (i = 0; i < length && used < ROW_TEXT_BYTES - 1; i++) {
		if (line[i] != '`')
			text[used++] = line[i];
	}
	while (used && isspace((unsigned char)text[used - 1]))
		used--;
	text[used] = '\0';
	return line + length;
}

static unsigned row_access(const char *text)
{
	unsigned access = 0;

	access |= strchr(text, 'r') ? VMMU_READ : 0;
	access |= strchr(text, 'w') ? VMMU_WRITE : 0;
	access |= strchr(text, 'x') ? VMMU_EXEC : 0;
	return access;
}

static unsigned row_parse(struct row *row, const char *line)
{
	unsigned columns = 0;

	while (*line == '|' && line[1] != '\n' && columns < ROW_COLUMNS_MAX)
		line = row_cell(line + 1, row->column[columns++]);
	row->id = row->column[0];
	row->entry = strtoull(row->column[1], NULL, 0);
	row->level = atoi(row->column[2]);
	row->access = row_access(row->column[3]);
	row->options = row->column[4];
	row->result = row->column[6];
	return columns;
}

struct rows *rows_read(const char *name)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	char line[512], path[512];
	FILE *file;

	cr_assert_not_null(rows);
	snprintf(path, sizeof(path), "%s/hw/%s", VMMU_TEST_DATA, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		if (line[0] != '|')
			continue;
		cr_assert_lt(rows->count, ROWS_MAX);
		rows->columns = row_parse(&rows->row[rows->count++], line);
	}
	fclose(file);
	return rows;
}

void rows_free(struct rows *rows)
{
	free(rows);
}

/* Text after KEY= at the start of a word of the options, or NULL. */
static const char *row_find(const struct row *row, const char *key)
{
	size_t length = strlen(key);
	const char *at = row->options;

	for (; (at = strstr(at, key)); at++) {
		if ((at == row->options || at[-1] == ' ') && at[length] == '=')
			return at + length + 1;
	}
	return NULL;
}

uint64_t row_option(const struct row *row, const char *key, uint64_t fallback)
{
	const char *at = row_find(row, key);

	return at ? strtoull(at, NULL, 0) : fallback;
}

bool row_option_is(const struct row *row, const char *key, const char *text)
{
	const char *at = row_find(row, key);

	return at && !strncmp(at, text, strlen(text));
}

bool row_expects(const struct row *row, const char *prefix, uint64_t *value)
{
	const char *at = strstr(row->result, prefix);

	if (!at)
		return false;
	*value = strtoull(at + strlen(prefix), NULL, 0);
	return true;
}

bool row_result_has(const struct row *row, const char *text)
{
	return strstr(row->result, text);
}

void rows_report(const char *name, const char *how, unsigned ran, unsigned total)
{
	printf("%s: %u of %u rows ran (%s)\n", name, ran, total, how);
	fflush(stdout);
	cr_assert_eq(ran, total);
}
