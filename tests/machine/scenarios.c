// SPDX-License-Identifier: MIT
#include "machine/scenarios.h"

#include <stdlib.h>
#include <string.h>

/* Frames that ranges are mapped to: aligned to level 2. */
#define RANGES_HPA (UINT64_C(1) << 36)

void scenario_touch(struct stand *stand, unsigned cpu, uint64_t gfn, unsigned access)
{
	struct vmmu_hw_access asked = {.gva = stand_gpa(stand, gfn), .access = access};
	struct vmmu_access_result result;

	cr_assert_eq(vmmu_cpu_access(stand->cpu[cpu], &asked, &result), 0);
	cr_assert(result.end == VMMU_ACCESS_DONE || stand->plant, "%s: gfn %#llx access %u: end %d",
		  stand->info->name, (unsigned long long)gfn, access, result.end);
}

/* All CPUs access COUNT pages from gfn on. */
static void touch_all(struct stand *stand, uint64_t gfn, uint64_t count, unsigned access)
{
	for (unsigned cpu = 0; cpu < stand->cpu_count; cpu++)
		for (uint64_t i = 0; i < count; i++)
			scenario_touch(stand, cpu, gfn + i, access);
}

/* Faults */

/* Slots with small host pages behind slot 2's. */
static void prepare_pages(struct stand *stand)
{
	stand_slot(stand, 0, 0);
	stand_slot(stand, 1, 0);
	stand_slot(stand, 2, 0);
	touch_all(stand, 2 * stand->large, 8, VMMU_WRITE);
	touch_all(stand, stand->large, 2, VMMU_WRITE);
}

static void act_zap(struct stand *stand)
{
	stand_host_move(stand, 2 * stand->large + 7, 1, 1);
}

static void act_zap_three(struct stand *stand)
{
	stand_host_move(stand, 2 * stand->large + 8, 3, 1);
}

static void act_zap_large(struct stand *stand)
{
	stand_host_move(stand, stand->large, stand->large, 2);
}

static void act_log(struct stand *stand)
{
	stand_slot(stand, 2, VMMU_SLOT_LOG_DIRTY);
}

static void prepare_logged(struct stand *stand)
{
	stand_slot(stand, 2, VMMU_SLOT_LOG_DIRTY);
	touch_all(stand, 2 * stand->large, 8, VMMU_WRITE);
}

/* Nothing is mapped yet. */
static void prepare_empty(struct stand *stand)
{
	stand_slot(stand, 2, 0);
}

static void act_dirty(struct stand *stand)
{
	uint64_t bitmap[1];

	cr_assert_eq(vmmu_dirty_get(stand->vm, 0, 2, bitmap, 64, NULL), 0);
}

/* Nothing was written since the log was read. */
static void prepare_clean(struct stand *stand)
{
	prepare_logged(stand);
	act_dirty(stand);
}

/* What was written is not mapped any more. */
static void prepare_gone(struct stand *stand)
{
	prepare_logged(stand);
	stand_host_move(stand, 2 * stand->large + 7, 8, 1);
}

/* Read-only entries in all TLBs: one CPU writes. */
static void prepare_read_only(struct stand *stand)
{
	uint64_t gfn = 2 * stand->large;

	prepare_logged(stand);
	act_dirty(stand);
	touch_all(stand, gfn, 8, VMMU_READ);
}

static void act_write(struct stand *stand)
{
	scenario_touch(stand, 0, 2 * stand->large + 3, VMMU_WRITE);
}

/* A large page under logging: a write splits it. */
static void prepare_large(struct stand *stand)
{
	stand_slot(stand, 1, 0);
	touch_all(stand, stand->large, 4, VMMU_WRITE);
	stand_slot(stand, 1, VMMU_SLOT_LOG_DIRTY);
	touch_all(stand, stand->large, 4, VMMU_READ);
}

/* A large page, written, of a slot that does not log. */
static void prepare_large_unlogged(struct stand *stand)
{
	stand_slot(stand, 1, 0);
	touch_all(stand, stand->large, 4, VMMU_WRITE);
}

static void act_log_large(struct stand *stand)
{
	stand_slot(stand, 1, VMMU_SLOT_LOG_DIRTY);
}

/* Small pages under logging where the host has a large one. */
static void prepare_split(struct stand *stand)
{
	prepare_large(stand);
	touch_all(stand, stand->large, 4, VMMU_WRITE);
}

static void act_unlog(struct stand *stand)
{
	stand_slot(stand, 1, 0);
}

static void act_split(struct stand *stand)
{
	scenario_touch(stand, 0, stand->large + 2, VMMU_WRITE);
}

/* One small page, though the host has a large one. */
static void fault_small(struct stand *stand, uint64_t gfn)
{
	struct vmmu_fault fault = {
		.gpa = stand_gpa(stand, gfn), .access = VMMU_WRITE, .max_level = 1};

	cr_assert_eq(vmmu_cpu_enter(stand->cpu[0]), 0);
	cr_assert_eq(vmmu_fault(stand->vcpu[0], &fault), VMMU_FIXED);
}

static void prepare_small(struct stand *stand)
{
	stand_slot(stand, 1, 0);
	fault_small(stand, stand->large);
	touch_all(stand, stand->large, 1, VMMU_WRITE);
}

/* The next page comes with the large one. */
static void act_merge(struct stand *stand)
{
	scenario_touch(stand, 0, stand->large + 9, VMMU_WRITE);
}

/* The table of a small page is the oldest when the quota is used up. */
static void prepare_quota(struct stand *stand)
{
	struct vmmu_hw_access device = {.access = VMMU_READ};
	struct vmmu_access_result result;
	struct vmmu_stats stats;

	prepare_small(stand);
	cr_assert_eq(vmmu_tables_quota_set(stand->vm, VMMU_TABLES_MIN), 0);
	for (unsigned block = 8; block < 64; block++) {
		vmmu_vm_stats(stand->vm, &stats);
		if (stats.tables + stand->info->geometry->levels > VMMU_TABLES_MIN)
			break;
		device.gva = stand_gpa(stand, block * stand->large);
		cr_assert_eq(vmmu_cpu_access(stand->cpu[1], &device, &result), 0);
		cr_assert_eq(result.end, VMMU_ACCESS_EMULATE);
	}
	cr_assert_eq(stats.tables_reclaimed, 0);
	cr_assert_gt(stats.tables + stand->info->geometry->levels, VMMU_TABLES_MIN);
}

static void act_remap(struct stand *stand)
{
	uint64_t index = 2 * stand->large + 7 + 2;
	struct host_page *host = &stand->host[index];
	struct vmmu_page page = {.pfn = stand->host[index + 20].pfn, .level = 1};
	uint64_t hva = stand->slot[0].hva + (index << stand->shift);

	host->is_read_only = true;
	cr_assert_eq(vmmu_remap(stand->vm, hva, &page), 0);
}

static void act_zap_all(struct stand *stand)
{
	cr_assert_eq(vmmu_zap_all(stand->vm), 0);
}

static void act_delete(struct stand *stand)
{
	stand_slot_delete(stand, 2);
}

/* Somebody else maps what one CPU found missing. */
static void act_map(struct stand *stand)
{
	scenario_touch(stand, 0, 2 * stand->large + 30, VMMU_READ);
	scenario_touch(stand, 0, 2 * stand->large + 30, VMMU_READ);
}

static void act_age(struct stand *stand)
{
	uint64_t hva = stand->slot[2].hva;
	struct vmmu_hva_range range = {hva, hva + (UINT64_C(8) << stand->shift)};

	cr_assert_eq(vmmu_age(stand->vm, &range), 1);
}

/* What was aged, and no flush said so, goes. */
static void act_age_and_zap(struct stand *stand)
{
	act_age(stand);
	act_zap(stand);
}

/* Ranges */

static void map_range(struct stand *stand, uint64_t gfn, uint64_t pages, uint64_t hpa)
{
	struct vmmu_update update;
	struct vmmu_attr attr;

	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(
		vmmu_map(&update, stand_gpa(stand, gfn), hpa, pages << stand->shift, &attr, NULL),
		0);
	vmmu_update_end(&update);
}

static void unmap_range(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	struct vmmu_update update;

	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(vmmu_unmap(&update, stand_gpa(stand, gfn), pages << stand->shift, NULL), 0);
	vmmu_update_end(&update);
}

/* A large page at L, a table of small ones at 2L. */
static void prepare_ranges(struct stand *stand)
{
	uint64_t large_bytes = stand->large << stand->shift;
	uint64_t page = UINT64_C(1) << stand->shift;

	map_range(stand, stand->large, stand->large, RANGES_HPA);
	map_range(stand, 2 * stand->large, stand->large, RANGES_HPA + large_bytes + page);
	touch_all(stand, stand->large, 3, VMMU_WRITE);
	touch_all(stand, 2 * stand->large, 8, VMMU_WRITE);
}

static void act_cut(struct stand *stand)
{
	unmap_range(stand, stand->large + 1, 1);
}

static void act_unmap_page(struct stand *stand)
{
	unmap_range(stand, 2 * stand->large + 5, 1);
}

static void act_unmap_three(struct stand *stand)
{
	unmap_range(stand, 2 * stand->large + 3, 3);
}

static void act_unmap_table(struct stand *stand)
{
	unmap_range(stand, 2 * stand->large, stand->large);
}

static void protect_range(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	struct vmmu_update update;

	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(
		vmmu_protect(&update, stand_gpa(stand, gfn), pages << stand->shift, access, NULL),
		0);
	vmmu_update_end(&update);
}

static void act_protect_part(struct stand *stand)
{
	protect_range(stand, stand->large, 2, VMMU_READ);
}

static void write_protect_range(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	struct vmmu_update update;

	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(
		vmmu_write_protect(&update, stand_gpa(stand, gfn), pages << stand->shift, NULL), 0);
	vmmu_update_end(&update);
}

static void act_write_protect_table(struct stand *stand)
{
	write_protect_range(stand, 2 * stand->large, stand->large);
}

static void act_write_protect_three(struct stand *stand)
{
	write_protect_range(stand, 2 * stand->large + 4, 3);
}

static void act_write_protect_page(struct stand *stand)
{
	write_protect_range(stand, 2 * stand->large + 4, 1);
}

static void prepare_protected(struct stand *stand)
{
	prepare_ranges(stand);
	act_write_protect_table(stand);
	touch_all(stand, 2 * stand->large, 8, VMMU_READ);
}

static void act_write_allow(struct stand *stand)
{
	struct vmmu_update update;

	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	cr_assert_eq(vmmu_write_allow(&update, stand_gpa(stand, 2 * stand->large + 4),
				      UINT64_C(1) << stand->shift, NULL),
		     0);
	vmmu_update_end(&update);
}

static void act_ranges_write(struct stand *stand)
{
	scenario_touch(stand, 0, 2 * stand->large + 4, VMMU_WRITE);
}

static void prepare_read_alone(struct stand *stand)
{
	prepare_ranges(stand);
	protect_range(stand, 2 * stand->large, 3, VMMU_READ);
	touch_all(stand, 2 * stand->large, 3, VMMU_READ);
}

static void act_grant_exec(struct stand *stand)
{
	protect_range(stand, 2 * stand->large, 3, VMMU_RWX);
}

/* One page in each large one, as many as there are frames for tables. */
static uint64_t fill_frames(struct stand *stand)
{
	uint64_t block = 1, page = UINT64_C(1) << stand->shift;
	struct vmmu_update update;
	struct vmmu_attr attr;

	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	while (!vmmu_map(&update, stand_gpa(stand, block * stand->large), RANGES_HPA, page, &attr,
			 NULL))
		block++;
	vmmu_update_end(&update);
	return block;
}

static void prepare_full(struct stand *stand)
{
	fill_frames(stand);
	for (uint64_t block = 1; block < 5; block++)
		touch_all(stand, block * stand->large, 1, VMMU_WRITE);
}

/* The tables of these go, and are wanted again before the update ends. */
static void act_reuse(struct stand *stand)
{
	uint64_t page = UINT64_C(1) << stand->shift, bytes = stand->large << stand->shift;
	uint64_t free_block = UINT64_C(1) << 12;
	struct vmmu_update update;
	struct vmmu_attr attr;

	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &update), 0);
	for (uint64_t block = 1; block < 9; block++)
		cr_assert_eq(vmmu_unmap(&update, block * bytes, bytes, NULL), 0);
	/* maybe under upper tables of their own */
	for (uint64_t block = 0; block < 4; block++)
		cr_assert_eq(vmmu_map(&update, (free_block + block) * bytes, RANGES_HPA, page,
				      &attr, NULL),
			     0);
	vmmu_update_end(&update);
}

const struct scenario scenarios[] = {
	{"zap", VMMU_MODE_FAULTS, prepare_pages, act_zap, 0},
	{"zap-three", VMMU_MODE_FAULTS, prepare_pages, act_zap_three, 0},
	{"zap-large", VMMU_MODE_FAULTS, prepare_pages, act_zap_large, 0},
	{"log", VMMU_MODE_FAULTS, prepare_pages, act_log, 0},
	{"dirty", VMMU_MODE_FAULTS, prepare_logged, act_dirty, 0},
	{"zap-unmapped", VMMU_MODE_FAULTS, prepare_empty, act_zap, 0},
	{"log-unmapped", VMMU_MODE_FAULTS, prepare_empty, act_log, 0},
	{"dirty-clean", VMMU_MODE_FAULTS, prepare_clean, act_dirty, 0},
	{"dirty-gone", VMMU_MODE_FAULTS, prepare_gone, act_dirty, 0},
	{"write", VMMU_MODE_FAULTS, prepare_read_only, act_write, 0},
	{"split", VMMU_MODE_FAULTS, prepare_large, act_split, 0},
	{"log-large", VMMU_MODE_FAULTS, prepare_large_unlogged, act_log_large, 0},
	{"eager-split", VMMU_MODE_FAULTS, prepare_large_unlogged, act_log_large, 0},
	{"collapse", VMMU_MODE_FAULTS, prepare_split, act_unlog, 0},
	{"merge", VMMU_MODE_FAULTS, prepare_small, act_merge, 0},
	{"quota", VMMU_MODE_FAULTS, prepare_quota, act_merge, 0},
	{"remap", VMMU_MODE_FAULTS, prepare_pages, act_remap, 0},
	{"zap-all", VMMU_MODE_FAULTS, prepare_pages, act_zap_all, 0},
	{"delete", VMMU_MODE_FAULTS, prepare_pages, act_delete, 0},
	{"map", VMMU_MODE_FAULTS, prepare_pages, act_map, 0},
	{"age", VMMU_MODE_FAULTS, prepare_pages, act_age, 0},
	{"age-and-zap", VMMU_MODE_FAULTS, prepare_pages, act_age_and_zap, 0},
	{"cut", VMMU_MODE_RANGES, prepare_ranges, act_cut, 0},
	{"unmap-page", VMMU_MODE_RANGES, prepare_ranges, act_unmap_page, 0},
	{"unmap-three", VMMU_MODE_RANGES, prepare_ranges, act_unmap_three, 0},
	{"unmap-table", VMMU_MODE_RANGES, prepare_ranges, act_unmap_table, 0},
	{"protect-part", VMMU_MODE_RANGES, prepare_ranges, act_protect_part, 0},
	{"write-protect-table", VMMU_MODE_RANGES, prepare_ranges, act_write_protect_table, 0},
	{"write-protect-three", VMMU_MODE_RANGES, prepare_ranges, act_write_protect_three, 0},
	{"write-protect-page", VMMU_MODE_RANGES, prepare_ranges, act_write_protect_page, 0},
	{"write-allow", VMMU_MODE_RANGES, prepare_protected, act_write_allow, 0},
	{"ranges-write", VMMU_MODE_RANGES, prepare_protected, act_ranges_write, 0},
	{"grant-exec", VMMU_MODE_RANGES, prepare_read_alone, act_grant_exec, 0},
	{"reuse", VMMU_MODE_RANGES, prepare_full, act_reuse, UINT64_C(2) << 20},
	{NULL, VMMU_MODE_FAULTS, NULL, NULL, 0},
};

const struct scenario *scenario_find(const char *name)
{
	const struct scenario *scenario = scenarios;

	while (scenario->name && strcmp(scenario->name, name))
		scenario++;
	cr_assert_not_null(scenario->name, "%s", name);
	return scenario;
}

struct stand *scenario_make(const struct scenario *scenario, const struct vmmu_format *format,
			    struct stand_options options)
{
	struct stand *stand;

	options.mode = scenario->mode;
	options.eager_split = !strncmp(scenario->name, "eager-", 6);
	options.tables_bytes = scenario->tables_bytes;
	if (!options.tlb_entries)
		options.tlb_entries = 256;
	stand = stand_make(format, &options);
	scenario->prepare(stand);
	stand_op(stand, scenario->name);
	return stand;
}
