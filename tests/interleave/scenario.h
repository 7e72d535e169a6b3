/* SPDX-License-Identifier: MIT */
/* What is explored: who does what at the same time, on what. */
#ifndef TESTS_INTERLEAVE_SCENARIO_H
#define TESTS_INTERLEAVE_SCENARIO_H

#include "interleave/search.h"
#include "interleave/stage.h"

struct scenario {
	const char *name;
	const char *what;                   /* for people */
	void (*setup)(struct stage *stage); /* NULL: nothing */
	void (*thread[THREADS_MAX])(struct stage *stage, unsigned cpu);
	unsigned threads;
	unsigned max_level; /* of mappings; 0: any */
	enum vmmu_slot_zap slot_zap;
	unsigned dirty_flags;
	enum vmmu_dirty_source dirty_source; /* BY_BITS: of formats that can */
	bool is_large;                       /* the host maps large pages */
	bool has_rings;
	bool is_tdp;     /* on tdp roots alone */
	bool has_groups; /* for the formats that have groups, and for these alone */
};

/* Number INDEX; NULL: there are no more. */
const struct scenario *scenario_at(unsigned index);
const struct scenario *scenario_find(const char *name);

/* SCENARIO on tables of KIND, ready to be searched. The world is a static one: one at a time. */
struct program scenario_program(const struct scenario *scenario, const struct stage_kind *kind);
/* The world of the program that runs. */
const struct stage *scenario_stage(void);

#endif
