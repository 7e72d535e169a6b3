/* SPDX-License-Identifier: MIT */
/*
 * Reading numbers and words out of one line of text. Every text here ends in NUL and no function
 * reads past it: NUL is no digit, no space and no letter of any pattern.
 */
#ifndef VMMU_TRACING_SCAN_H
#define VMMU_TRACING_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool scan_is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* Value of a hexadecimal digit, or -1. */
static inline int scan_hex_digit(char c)
{
	unsigned char decimal = (unsigned char)(c - '0');
	unsigned char letter = (unsigned char)((c | 0x20) - 'a');

	if (decimal < 10)
		return decimal;
	return letter < 6 ? letter + 10 : -1;
}

static inline const char *scan_spaces(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

/*
 * Decimal digits at *TEXT, which moves past them. False, and nothing moves: none, or more than 64
 * bits.
 */
static inline bool scan_decimal(const char **text, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;

	for (; scan_is_digit(*at); at++) {
		unsigned digit = (unsigned)(*at - '0');

		if (sum > UINT64_MAX / 10 || sum * 10 > UINT64_MAX - digit)
			return false;
		sum = sum * 10 + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	*value = sum;
	return true;
}

/* As scan_decimal(), hexadecimal with or without 0x. */
static inline bool scan_hex(const char **text, uint64_t *value)
{
	const char *at = *text;
	const char *first;
	uint64_t sum = 0;
	int digit;

	if (at[0] == '0' && (at[1] | 0x20) == 'x')
		at += 2;
	for (first = at; (digit = scan_hex_digit(*at)) >= 0; at++) {
		if (sum >> 60)
			return false;
		sum = sum << 4 | (unsigned)digit;
	}
	if (at == first)
		return false;
	*text = at;
	*value = sum;
	return true;
}

/* 0x...: hexadecimal, else decimal. */
static inline bool scan_number(const char **text, uint64_t *value)
{
	if ((*text)[0] == '0' && ((*text)[1] | 0x20) == 'x')
		return scan_hex(text, value);
	return scan_decimal(text, value);
}

/* Where TEXT goes on after PREFIX, or NULL when it does not start with it. */
static inline const char *scan_after(const char *text, const char *prefix)
{
	for (; *prefix; text++, prefix++)
		if (*text != *prefix)
			return NULL;
	return text;
}

/* True when TEXT starts with WORD and the word ends there. */
static inline bool scan_is_word(const char *text, const char *word)
{
	const char *end = scan_after(text, word);

	return end && (*end == '\0' || *end == ' ' || *end == '\t' || *end == '\n');
}

#endif
