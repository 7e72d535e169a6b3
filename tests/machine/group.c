// SPDX-License-Identifier: MIT
/*
 * Groups that a TLB holds as one, made by faults: taking one apart leaves nothing stale, and the
 * order of writes and flushes is the manuals'. Told with flushes that do not come, it is found.
 */
#include <string.h>

#include "machine/scenarios.h"

/* A page of the group that stories are about: the first of slot 1. */
#define PAGE(stand) ((stand)->large + 5)

static struct criterion_test_params group_formats(void)
{
	static unsigned indexes[64];
	unsigned count = 0;
	struct vmmu_hw_cpu cpu;

	for (unsigned i = 0; i < 64 && vmmu_format_at(i); i++)
		if (vmmu_format_info(vmmu_format_at(i))->geometry->group_lg2[1] &&
		    !vmmu_machine_registers(vmmu_format_at(i), &cpu))
			indexes[count++] = i;
	return cr_make_param_array(unsigned, indexes, count);
}

#define GROUP_TEST(name)                                  \
	ParameterizedTestParameters(machine_groups, name) \
	{                                                 \
		return group_formats();                   \
	}                                                 \
	ParameterizedTest(unsigned *index, machine_groups, name)

/* Small host pages in one piece; each CPU holds the group by another page of it. */
static void prepare_with(struct stand *stand, bool is_read_only)
{
	struct vmmu_walk walk;

	for (uint64_t i = stand->large; i < 2 * stand->large; i++) {
		stand->host[i].level = 1;
		stand->host[i].is_read_only = is_read_only;
	}
	stand_slot(stand, 0, 0);
	stand_slot(stand, 1, 0);
	for (unsigned cpu = 0; cpu < stand->cpu_count; cpu++) {
		scenario_touch(stand, cpu, PAGE(stand) + cpu,
			       is_read_only ? VMMU_READ : VMMU_WRITE);
		scenario_touch(stand, cpu, stand->large, VMMU_READ);
	}
	cr_assert_eq(vmmu_walk(stand->vm, 0, stand_gpa(stand, PAGE(stand)), &walk), 0);
	cr_assert_eq(walk.entry.group_lg2, stand->info->geometry->group_lg2[1]);
}

static void prepare_group(struct stand *stand)
{
	prepare_with(stand, false);
}

/* And one page of it may be written by now. */
static void prepare_read_only(struct stand *stand)
{
	prepare_with(stand, true);
	stand->host[PAGE(stand)].is_read_only = false;
}

static void act_take_one(struct stand *stand)
{
	stand_host_move(stand, PAGE(stand), 1, 1);
}

/* The group, and one page of the next. */
static void act_take_all(struct stand *stand)
{
	stand_host_move(stand, stand->large,
			(UINT64_C(1) << stand->info->geometry->group_lg2[1]) + 1, 1);
}

static void act_log(struct stand *stand)
{
	stand_slot(stand, 1, VMMU_SLOT_LOG_DIRTY);
}

static void act_remap(struct stand *stand)
{
	struct host_page *host = &stand->host[PAGE(stand)];
	uint64_t hva = stand_host_va(0) + (PAGE(stand) << stand->shift);
	struct vmmu_page page = {.level = 1};

	host->is_read_only = true;
	page.pfn = stand->host[PAGE(stand) + 20].pfn;
	cr_assert_eq(vmmu_remap(stand->vm, hva, &page), 0);
}

static void act_write(struct stand *stand)
{
	scenario_touch(stand, 0, PAGE(stand), VMMU_WRITE);
}

static void act_age_and_take(struct stand *stand)
{
	uint64_t hva = stand_host_va(0) + (PAGE(stand) << stand->shift);
	struct vmmu_hva_range range = {hva, hva + (UINT64_C(1) << stand->shift)};

	cr_assert_eq(vmmu_age(stand->vm, &range), 1);
	scenario_touch(stand, 1, PAGE(stand) + 2, VMMU_READ);
	act_take_one(stand);
}

static void act_delete(struct stand *stand)
{
	stand_slot_delete(stand, 1);
}

/* And taken apart: each CPU holds pages of it that stand alone. */
static void prepare_logged(struct stand *stand)
{
	prepare_group(stand);
	stand_slot(stand, 1, VMMU_SLOT_LOG_DIRTY);
	for (unsigned cpu = 0; cpu < stand->cpu_count; cpu++) {
		scenario_touch(stand, cpu, PAGE(stand) + cpu, VMMU_WRITE);
		scenario_touch(stand, cpu, stand->large, VMMU_READ);
	}
}

static void act_log_ends(struct stand *stand)
{
	struct vmmu_walk walk;

	stand_slot(stand, 1, 0);
	cr_assert_eq(vmmu_walk(stand->vm, 0, stand_gpa(stand, PAGE(stand)), &walk), 0);
	cr_assert_eq(walk.entry.group_lg2, stand->info->geometry->group_lg2[1]);
	for (unsigned cpu = 0; cpu < stand->cpu_count; cpu++)
		scenario_touch(stand, cpu, PAGE(stand) + 3, VMMU_WRITE);
}

static const struct scenario stories[] = {
	{"take-one", VMMU_MODE_FAULTS, prepare_group, act_take_one, 0},
	{"take-all", VMMU_MODE_FAULTS, prepare_group, act_take_all, 0},
	{"log", VMMU_MODE_FAULTS, prepare_group, act_log, 0},
	{"remap", VMMU_MODE_FAULTS, prepare_group, act_remap, 0},
	{"write", VMMU_MODE_FAULTS, prepare_read_only, act_write, 0},
	{"age-and-take", VMMU_MODE_FAULTS, prepare_group, act_age_and_take, 0},
	{"delete", VMMU_MODE_FAULTS, prepare_group, act_delete, 0},
	{"log-ends", VMMU_MODE_FAULTS, prepare_logged, act_log_ends, 0},
};

#define STORIES (sizeof(stories) / sizeof(stories[0]))
/* Those before "delete": without their flush a TLB grants what is gone. */
#define TAKING (STORIES - 2)

static void expect_silence(unsigned index, struct stand_options options)
{
	options.has_spans = true;
	for (unsigned i = 0; i < 2 * STORIES; i++) {
		struct stand *stand;

		options.root = i < STORIES ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP;
		stand = scenario_make(&stories[i % STORIES], vmmu_format_at(index), options);
		stories[i % STORIES].act(stand);
		stand_expect_clean(stand);
		stand_end(stand);
	}
}

GROUP_TEST(stories_with_events__nothing_stale_or_out_of_order)
{
	expect_silence(*index, (struct stand_options){.has_events = true});
}

GROUP_TEST(stories_with_the_architectures_own_flushes__nothing_stale)
{
	expect_silence(*index, (struct stand_options){.flushing = VMMU_FLUSH_NATIVE});
}

/* What was mapped up front, and is protected in part. */
GROUP_TEST(range_protected_in_part__in_order_too)
{
	const struct stand_options options = {
		.mode = VMMU_MODE_RANGES, .has_events = true, .tlb_entries = 64};
	struct stand *stand = stand_make(vmmu_format_at(*index), &options);
	struct vmmu_update update;
	struct vmmu_attr attr;

	stand_op(stand, "protect");
	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(vmmu_map(&update, 0, UINT64_C(1) << 36, stand_gpa(stand, 256), &attr, NULL),
		     0);
	vmmu_update_end(&update);
	scenario_touch(stand, 0, 5, VMMU_WRITE);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(vmmu_write_protect(&update, stand_gpa(stand, 3), stand_gpa(stand, 1), NULL),
		     0);
	vmmu_update_end(&update);
	stand_expect_clean(stand);
	stand_end(stand);
}

/* Every story has a flush that it cannot do without. */
static void expect_found(unsigned index, const struct scenario *story, struct stand_options options,
			 enum vmmu_stale_kind kind)
{
	struct stand *stand;

	options.has_spans = true;
	stand = scenario_make(story, vmmu_format_at(index), options);
	cr_assert_eq(stand_check(stand), 0);
	stand->plant = PLANT_NO_FLUSH;
	story->act(stand);
	stand_check(stand);
	cr_assert(stand_found(stand, kind), "%s: %s: %u findings, first %s", stand->info->name,
		  story->name, stand->stale_count, vmmu_stale_name(stand->stale[0].kind));
	stand_end(stand);
}

GROUP_TEST(a_flush_that_does_not_come__is_seen_in_a_tlb)
{
	for (unsigned i = 0; i < 2 * TAKING; i++)
		if (stories[i / 2].act != act_write)
			expect_found(*index, &stories[i / 2],
				     (struct stand_options){.root = i % 2 ? VMMU_ROOT_TDP
									  : VMMU_ROOT_DIRECT},
				     VMMU_STALE_GRANT);
}

/* Arm wants a break before members come back, if any do; RISC-V wants what is owed. */
GROUP_TEST(a_flush_that_comes_late__is_seen_in_the_order_of_writes)
{
	for (unsigned i = 0; i < 2 * TAKING; i++) {
		struct stand_options options = {.has_events = true,
						.root = i % 2 ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT};
		bool is_arm = !strcmp(vmmu_format_info(vmmu_format_at(*index))->architecture,
				      "arm64");

		expect_found(*index, &stories[i / 2], options,
			     is_arm && stories[i / 2].act != act_take_all ? VMMU_STALE_BREAK
									  : VMMU_STALE_OWED);
	}
}

/* Pages that stand alone may be in a TLB: their group may not come before they are forgotten. */
GROUP_TEST(group_put_together_without_a_flush__is_seen_in_the_order_of_writes)
{
	bool is_arm = !strcmp(vmmu_format_info(vmmu_format_at(*index))->architecture, "arm64");

	for (unsigned i = 0; i < 2; i++)
		expect_found(*index, &stories[STORIES - 1],
			     (struct stand_options){.has_events = true,
						    .root = i ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT},
			     is_arm ? VMMU_STALE_BREAK : VMMU_STALE_OWED);
}
