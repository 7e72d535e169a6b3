// SPDX-License-Identifier: MIT
/* Flushes that do not come, or not as asked: each is found, and called by its name. */
#include "machine/scenarios.h"

#define X86   (1u << VMMU_HW_EPT | 1u << VMMU_HW_NPT)
#define RISCV (1u << VMMU_HW_RISCV)
#define ARM   (1u << VMMU_HW_ARM64)
#define ALL   (X86 | RISCV | ARM)

/* A bug, and on which architectures it must be found as what. */
struct bug {
	const char *scenario;
	enum plant plant;
	enum vmmu_stale_kind kind;
	unsigned arches;
};

/* What TLBs alone show. */
static const struct bug seen_in_tlbs[] = {
	{"zap", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"zap-large", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"age-and-zap", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"log", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"dirty", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"split", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"remap", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"merge", PLANT_NO_FLUSH, VMMU_STALE_TABLE, ALL},
	{"cut", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"protect-part", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"write-protect-table", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"unmap-page", PLANT_NO_FLUSH, VMMU_STALE_GRANT, ALL},
	{"unmap-table", PLANT_NO_FLUSH, VMMU_STALE_TABLE, ALL},
	{"reuse", PLANT_NO_FLUSH, VMMU_STALE_TABLE, ALL},
	{"write", PLANT_NO_FLUSH, VMMU_STALE_DENIAL, ARM},
	{"ranges-write", PLANT_NO_FLUSH, VMMU_STALE_DENIAL, ARM},
	{"write-allow", PLANT_NO_FLUSH, VMMU_STALE_DENIAL, ARM},
	{"grant-exec", PLANT_NO_FLUSH, VMMU_STALE_DENIAL, ARM},
	{"zap-three", PLANT_SHORT, VMMU_STALE_GRANT, ALL},
	{"unmap-three", PLANT_SHORT, VMMU_STALE_GRANT, ALL},
	{"zap", PLANT_WRONG_SPACE, VMMU_STALE_GRANT, ALL},
	{"unmap-page", PLANT_WRONG_SPACE, VMMU_STALE_GRANT, ALL},
	{"map", PLANT_NO_LOCAL_FLUSH, VMMU_STALE_DENIAL, RISCV},
	{"write", PLANT_NO_LOCAL_FLUSH, VMMU_STALE_DENIAL, RISCV},
};

/* What the order of writes and flushes shows. */
static const struct bug seen_in_order[] = {
	{"zap", PLANT_NO_FLUSH, VMMU_STALE_OWED, ALL},
	{"zap-three", PLANT_SHORT, VMMU_STALE_OWED, ALL},
	{"zap", PLANT_WRONG_SPACE, VMMU_STALE_OWED, ALL},
	{"remap", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"split", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"merge", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"quota", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"cut", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"protect-part", PLANT_NO_FLUSH, VMMU_STALE_BREAK, ARM},
	{"reuse", PLANT_NO_FLUSH, VMMU_STALE_REUSE, ALL},
	{"write", PLANT_NO_FLUSH, VMMU_STALE_OWED, ARM},
};

static void expect_found(const struct vmmu_format *format, const struct bug *bug,
			 struct stand_options options)
{
	struct stand *stand = scenario_make(scenario_find(bug->scenario), format, options);
	unsigned arch = 1u << vmmu_cpu_registers(stand->cpu[0])->arch;
	bool must = bug->arches & arch;

	cr_assert_eq(stand_check(stand), 0);
	stand->plant = bug->plant;
	scenario_find(bug->scenario)->act(stand);
	stand_check(stand);
	cr_assert_eq(stand_found(stand, bug->kind), must, "%s: %s, bug %d: %u findings, first %s",
		     stand->info->name, bug->scenario, bug->plant, stand->stale_count,
		     vmmu_stale_name(stand->stale[0].kind));
	if (must)
		cr_assert_str_eq(stand->stale[0].operation[0] == 'f' ? bug->scenario
								     : stand->stale[0].operation,
				 bug->scenario);
	stand_end(stand);
}

STAND_TEST(planted, a_flush_that_does_not_come__is_seen_in_a_tlb)
{
	for (unsigned i = 0; i < sizeof(seen_in_tlbs) / sizeof(seen_in_tlbs[0]); i++)
		expect_found(vmmu_format_at(*index), &seen_in_tlbs[i],
			     (struct stand_options){.address_spaces = 2});
}

STAND_TEST(planted, a_flush_that_comes_late__is_seen_in_the_order_of_writes)
{
	for (unsigned i = 0; i < sizeof(seen_in_order) / sizeof(seen_in_order[0]); i++)
		expect_found(vmmu_format_at(*index), &seen_in_order[i],
			     (struct stand_options){.has_events = true, .address_spaces = 2});
}

STAND_TEST(planted, no_fence_after_a_map__is_a_livelock_that_names_the_tlb)
{
	struct stand *stand = scenario_make(scenario_find("map"), vmmu_format_at(*index),
					    (struct stand_options){.has_events = true});
	bool is_riscv = vmmu_cpu_registers(stand->cpu[0])->arch == VMMU_HW_RISCV;
	struct vmmu_hw_access access = {.gva = stand_gpa(stand, 2 * stand->large + 30),
					.access = VMMU_READ};
	struct vmmu_access_result result;

	stand->plant = PLANT_NO_LOCAL_FLUSH;
	cr_assert_eq(vmmu_cpu_access(stand->cpu[0], &access, &result), 0);
	cr_assert_eq(result.end, is_riscv ? VMMU_ACCESS_LIVELOCK : VMMU_ACCESS_DONE);
	cr_assert_eq(result.livelock, is_riscv ? VMMU_LIVELOCK_TLB : VMMU_NO_LIVELOCK);
	cr_assert_eq(result.outcome_count[VMMU_FIXED], 1);
	stand_end(stand);
}
