/* SPDX-License-Identifier: MIT */
#include "tracing/form.h"

#include "tracing/scan.h"

/* What one %letter takes from *TEXT; STORED says whether it is a number. */
static bool form_take(const char **text, char letter, uint64_t *value, bool *is_stored)
{
	const char *start = *text;

	*is_stored = letter != 'w';
	if (letter == 'u')
		return scan_decimal(text, value);
	if (letter == 'x')
		return scan_hex(text, value);
	while (**text && **text != ' ' && **text != '\t')
		(*text)++;
	return *text != start;
}

bool form_match(const char *text, const char *pattern, uint64_t *values)
{
	bool is_stored;

	for (; *pattern; pattern++) {
		if (*pattern == ' ') {
			if (*text != ' ' && *text != '\t')
				return false;
			text = scan_spaces(text);
		} else if (*pattern != '%') {
			if (*text++ != *pattern)
				return false;
		} else {
			uint64_t value = 0;

			if (!form_take(&text, *++pattern, &value, &is_stored))
				return false;
			if (is_stored)
				*values++ = value;
		}
	}
	return true;
}

/*
 * The number of KEY (BYTES long) in TEXT: KEY stands after a blank or at the start and before '='.
 */
static bool form_field(const char *text, const char *key, size_t bytes, uint64_t *value)
{
	const char *at = text;

	while (*at) {
		at = scan_spaces(at);
		if (!strncmp(at, key, bytes) && at[bytes] == '=') {
			at += bytes + 1;
			return scan_number(&at, value);
		}
		while (*at && *at != ' ' && *at != '\t')
			at++;
	}
	return false;
}

bool form_fields(const char *text, const char *keys, uint64_t *values)
{
	if (!strchr(text, '='))
		return false;
	while (*keys) {
		size_t bytes = strcspn(keys, " ");

		if (!form_field(text, keys, bytes, values++))
			return false;
		keys += bytes;
		keys += *keys == ' ';
	}
	return true;
}
