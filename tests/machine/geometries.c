// SPDX-License-Identifier: MIT
/* Arm's geometries one by one: small roots, concatenated ones, every start level. */
#include "machine/scenarios.h"

static const char *const names[] = {
	"arm-s2-4k-32-l1", "arm-s2-4k-34-l2", "arm-s2-4k-31-l2", "arm-s2-4k-36-l1",
	"arm-s2-4k-39-l1", "arm-s2-4k-40-l0", "arm-s2-4k-40-l1", "arm-s2-4k-42-l1",
	"arm-s2-4k-43-l1", "arm-s2-4k-44-l0", "arm-s2-4k-48-l0",
};

/* Scenarios that stay within a small guest-physical space. */
static const char *const stories[] = {"zap", "split",       "merge", "remap",
				      "cut", "unmap-table", "write", "quota"};

static struct criterion_test_params geometries(void)
{
	static unsigned indexes[sizeof(names) / sizeof(names[0])];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		indexes[i] = i;
	return cr_make_param_array(unsigned, indexes, sizeof(names) / sizeof(names[0]));
}

ParameterizedTestParameters(geometries, scenarios__silent_as_they_are_and_found_when_planted)
{
	return geometries();
}

ParameterizedTest(unsigned *index, geometries, scenarios__silent_as_they_are_and_found_when_planted)
{
	const struct vmmu_format *format = vmmu_format_find(names[*index]);
	const struct stand_options options = {.has_events = true};

	cr_assert_not_null(format, "%s", names[*index]);
	for (unsigned i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		const struct scenario *scenario = scenario_find(stories[i]);
		struct stand *stand = scenario_make(scenario, format, options);

		scenario->act(stand);
		stand_expect_clean(stand);
		stand_end(stand);
		stand = scenario_make(scenario, format, options);
		stand->plant = PLANT_NO_FLUSH;
		scenario->act(stand);
		cr_assert_gt(stand_check(stand) + (int)stand->stale_count, 0, "%s: %s",
			     names[*index], stories[i]);
		stand_end(stand);
	}
}
