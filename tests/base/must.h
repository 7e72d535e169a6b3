/* SPDX-License-Identifier: MIT */
/* What test programs without Criterion share: a condition that must hold, numbers from outside. */
#ifndef TESTS_BASE_MUST_H
#define TESTS_BASE_MUST_H

#include <stdio.h>
#include <stdlib.h>

/* Else the program ends, and says where. */
#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* The number in the environment variable NAME, or FALLBACK. */
static inline unsigned number_from(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text && *text ? (unsigned)strtoul(text, NULL, 0) : fallback;
}

#endif
