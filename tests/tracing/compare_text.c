/* SPDX-License-Identifier: MIT */
#include "tracing/compare_text.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *text_word(char *line, const char *word)
{
	for (char *end; (end = strchr(line, '\n')); line = end + 1)
		if (memmem(line, (size_t)(end - line), word, strlen(word)))
			return line;
	return NULL;
}

char *text_line(char *text, const char *event, unsigned number)
{
	char word[64], *line;

	snprintf(word, sizeof(word), ": %s: ", event);
	for (line = text_word(text, word); line && number; number--)
		line = text_word(strchr(line, '\n') + 1, word);
	return line;
}

unsigned text_count(char *text, const char *event)
{
	char word[64];

	snprintf(word, sizeof(word), ": %s: ", event);
	return text_count_words(text, word);
}

void text_alter(char *digit)
{
	static const char after[] = "1032547698badcfe";
	static const char digits[] = "0123456789abcdef";

	*digit = after[strchr(digits, *digit) - digits];
}

char *text_digit(char *line, const char *key)
{
	char *end = strchr(line, '\n');
	char *at = memmem(line, (size_t)(end - line), key, strlen(key));

	cr_assert(at, "%s", key);
	at += strlen(key);
	while (isxdigit((unsigned char)at[1]))
		at++;
	return at;
}

char *text_middle(char *text, const char *event)
{
	unsigned count = text_count(text, event);

	cr_assert_gt(count, 0, "%s", event);
	return text_line(text, event, count / 3);
}

void text_swap(char *line)
{
	char *next = strchr(line, '\n') + 1, *end = strchr(next, '\n') + 1;
	size_t bytes = (size_t)(next - line), next_bytes = (size_t)(end - next);
	char *copy = strndup(line, bytes);

	memmove(line, next, next_bytes);
	memcpy(line + next_bytes, copy, bytes);
	free(copy);
}

unsigned text_count_words(char *text, const char *word)
{
	unsigned count = 0;

	while ((text = text_word(text, word))) {
		text = strchr(text, '\n') + 1;
		count++;
	}
	return count;
}

char *text_middle_word(char *text, const char *word)
{
	unsigned number = text_count_words(text, word) / 3;

	for (text = text_word(text, word); text && number; number--)
		text = text_word(strchr(text, '\n') + 1, word);
	cr_assert(text, "%s", word);
	return text;
}
