/* SPDX-License-Identifier: MIT */
/*
 * Small stories, one for each reason that the engine has to flush: TLBs are filled, one operation
 * is done, everything is looked at. Told as it is, nothing is stale; told with a flush that does
 * not come, something is.
 */
#ifndef TESTS_MACHINE_SCENARIOS_H
#define TESTS_MACHINE_SCENARIOS_H

#include "machine/stand.h"

struct scenario {
	const char *name;
	enum vmmu_mode mode;
	/* Fill the TLBs; then do what is named. */
	void (*prepare)(struct stand *stand);
	void (*act)(struct stand *stand);
	uint64_t tables_bytes;
};

/* Ends with name NULL. */
extern const struct scenario scenarios[];
const struct scenario *scenario_find(const char *name);
/* A stand on which SCENARIO is prepared. */
struct stand *scenario_make(const struct scenario *scenario, const struct vmmu_format *format,
			    struct stand_options options);

/* One access by gpa that must go through, in either mode. */
void scenario_touch(struct stand *stand, unsigned cpu, uint64_t gfn, unsigned access);

#endif
