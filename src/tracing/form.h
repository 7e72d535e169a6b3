/* SPDX-License-Identifier: MIT */
/*
 * The texts of events as patterns, so that a parser reads like the kernel's own format string.
 */
#ifndef VMMU_TRACING_FORM_H
#define VMMU_TRACING_FORM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Match the start of TEXT against PATTERN and put the numbers into VALUES in order. In a pattern
 *   %u  decimal digits                %x  hexadecimal digits, 0x allowed
 *   %w  a word, not stored            ' ' one or more blanks (none before the end of the text)
 * and anything else is itself. VALUES keeps its former numbers from the first part on that does not
 * match.
 */
bool form_match(const char *text, const char *pattern, uint64_t *values);

/*
 * The key=value form that a tool prints when it cannot parse the event's own text: put the numbers
 * of KEYS (names separated by one blank) into VALUES in the order of KEYS. Values are decimal
 * unless 0x stands before them. False unless every key is there.
 */
bool form_fields(const char *text, const char *keys, uint64_t *values);

#endif
