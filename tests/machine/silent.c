// SPDX-License-Identifier: MIT
/* The engine as it is: no scenario leaves anything stale, by any of the ways to look. */
#include "machine/scenarios.h"

static void expect_silence(const struct vmmu_format *format, struct stand_options options)
{
	for (const struct scenario *scenario = scenarios; scenario->name; scenario++) {
		struct stand *stand = scenario_make(scenario, format, options);

		scenario->act(stand);
		stand_expect_clean(stand);
		stand_end(stand);
	}
}

STAND_TEST(silent, scenarios_with_events__nothing_stale_or_out_of_order)
{
	expect_silence(vmmu_format_at(*index), (struct stand_options){.has_events = true});
}

STAND_TEST(silent, scenarios_without_events__nothing_stale)
{
	expect_silence(vmmu_format_at(*index), (struct stand_options){.cpus = 2});
}

STAND_TEST(silent, scenarios_with_the_architectures_own_flushes__nothing_stale)
{
	expect_silence(vmmu_format_at(*index),
		       (struct stand_options){.flushing = VMMU_FLUSH_NATIVE});
}

static int count_entry(void *ctx, const struct vmmu_tlb_entry *entry)
{
	(void)entry;
	++*(unsigned *)ctx;
	return 0;
}

STAND_TEST(silent, a_new_root__is_entered_with_an_empty_tlb)
{
	struct stand *stand = scenario_make(scenario_find("zap-all"), vmmu_format_at(*index),
					    (struct stand_options){.has_events = true});
	unsigned before = 0, after = 0;

	vmmu_tlb_visit(vmmu_cpu_tlb(stand->cpu[1]), count_entry, &before);
	cr_assert_gt(before, 8);
	stand->plant = PLANT_NO_FLUSH; /* the root's own flush is what this is about */
	cr_assert_eq(vmmu_zap_all(stand->vm), 0);
	cr_assert_eq(vmmu_cpu_enter(stand->cpu[1]), 0);
	vmmu_tlb_visit(vmmu_cpu_tlb(stand->cpu[1]), count_entry, &after);
	cr_assert_eq(after, 0);
	stand_end(stand);
}
