/* SPDX-License-Identifier: MIT */
/* What all kinds of search have in common: one run, and what is kept of it. */
#ifndef TESTS_INTERLEAVE_RUN_H
#define TESTS_INTERLEAVE_RUN_H

#include "interleave/search.h"
#include "interleave/seen.h"

/* A search under way. */
struct search {
	const struct program *program;
	const struct search_limits *limits;
	struct search_result *result;
	struct chooser chooser;
	unsigned fixed;  /* steps that are chosen already: those of the last run, but for its end */
	bool is_drained; /* the rest of the run is like another: it is left out */
	uint64_t events; /* digest of the events so far */
	struct seen orders; /* digests of whole runs */
};

/* One run; false: it was bad. */
bool run_once(struct search *search);
/* Have the limits been reached? */
bool run_is_enough(const struct search *search);
/* EVENT as a number: two runs with the same events, in whatever order, have the same sum. */
uint64_t run_event_digest(const struct event *event);
/* Whom to choose where it does not matter. */
unsigned run_any(unsigned enabled, unsigned current);
/* The run's schedule as text; cut off where it does not fit. */
void run_describe(char *text, size_t room);
/* The kinds of search: search_run() chooses. */
void reduce_run(const struct program *program, const struct search_limits *limits,
		struct search_result *result);
void bound_run(const struct program *program, const struct search_limits *limits,
	       struct search_result *result);

#endif
