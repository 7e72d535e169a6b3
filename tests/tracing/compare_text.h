/* SPDX-License-Identifier: MIT */
/* Finding and changing lines of a trace's text. */
#ifndef TESTS_TRACING_COMPARE_TEXT_H
#define TESTS_TRACING_COMPARE_TEXT_H

/* A judged value: the digits behind KEY in the text of EVENT. */
struct alteration {
	const char *event, *key;
};

/*
 * The first line from LINE on that says WORD, line by line: a checked strstr() reads all of a text.
 * NULL: none.
 */
char *text_word(char *line, const char *word);
/* Line NUMBER (0, 1, ...) of those in TEXT that say EVENT; NULL: there are fewer. */
char *text_line(char *text, const char *event, unsigned number);
unsigned text_count(char *text, const char *event);
/* Lines that say WORD, and one in their middle, which there must be. */
unsigned text_count_words(char *text, const char *word);
char *text_middle_word(char *text, const char *word);
/* A line of EVENT in the middle of TEXT: before anything is torn down. */
char *text_middle(char *text, const char *event);
/* The last digit behind KEY in LINE. */
char *text_digit(char *line, const char *key);
/* The next hexadecimal digit, or the one before for the last of a decimal number. */
void text_alter(char *digit);
/* The line behind LINE and LINE change places. */
void text_swap(char *line);

#endif
