/* SPDX-License-Identifier: MIT */
/*
 * Which schedules to run, so that all that differ in what they do are run: each from the start of a
 * fresh world.
 */
#ifndef TESTS_INTERLEAVE_SEARCH_H
#define TESTS_INTERLEAVE_SEARCH_H

#include "interleave/schedule.h"

/* Longest schedule as text. */
#define SCHEDULE_TEXT_MAX 4096

/* What is explored. */
struct program {
	unsigned count;           /* threads */
	void (*begin)(void *ctx); /* make the world; outside the run */
	void (*const *body)(void *ctx, unsigned thread);
	void (*end)(void *ctx);  /* judge it by schedule_blame(), and unmake it */
	void (*drop)(void *ctx); /* threads stand in the middle of it: only give memory back */
	void *ctx;
};

struct search_limits {
	uint64_t runs;  /* at most, those pruned included; 0: any number */
	uint64_t steps; /* no new run after so many, in all runs; 0: any number */
	/* at most in a schedule; -1: any number, and orders instead of schedules */
	int preemptions;
};

struct search_result {
	uint64_t runs;   /* to their ends, each different */
	uint64_t pruned; /* that turned out to be like others before their end */
	uint64_t left;   /* known to be different, and not run for want of limits.runs */
	uint64_t steps;  /* in all runs */
	uint64_t digest; /* over all runs, in any order: which partial orders were seen */
	enum verdict verdict;
	char blamed[512];
	char schedule[SCHEDULE_TEXT_MAX]; /* of the run that was bad */
};

/*
 * Without a bound: all partial orders of PROGRAM's events, each once, by dynamic partial-order
 * reduction (Flanagan and Godefroid 2005, with the source sets of Abdulla and others 2014) and
 * sleep sets. With one: all schedules with at most so many preemptions; of those that reach the
 * same state by the same events in another order, the first.
 */
void search_run(const struct program *program, const struct search_limits *limits,
		struct search_result *result);
/*
 * Run PROGRAM by TEXT ("0x12 1x3 ...": thread and steps); what is left of it as it comes.
 * false: TEXT is none.
 */
bool search_replay(const struct program *program, const char *text, struct search_result *result);
/* For tests of the search itself: all schedules, nothing left out; result->left: more than RUNS. */
void search_naive(const struct program *program, uint64_t runs, struct search_result *result);

#endif
