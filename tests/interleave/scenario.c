/* SPDX-License-Identifier: MIT */
#include "interleave/scenario.h"

#include <string.h>

#include "base/bits.h"

/* The page that most threads are about, and neighbours below the same table. */
#define PAGE  3u
#define NEAR  4u
#define OTHER 9u

/* ---- what there is before ---- */

static void setup_mapped(struct stage *stage)
{
	stage_touch(stage, 0, PAGE, VMMU_WRITE);
}

static void setup_other(struct stage *stage)
{
	stage_touch(stage, 0, OTHER, VMMU_READ);
}

/* Logged, written, reported: a write may have its permission back. A neighbour is dirty. */
static void setup_protected(struct stage *stage)
{
	stage_slot(stage, VMMU_SLOT_LOG_DIRTY);
	stage_copy_all(stage);
	stage_touch(stage, 0, PAGE, VMMU_WRITE);
	stage_harvest(stage);
	stage_touch(stage, 0, NEAR, VMMU_WRITE);
}

/* The same, and logging has ended: the page stays protected until somebody writes. */
static void setup_logged_once(struct stage *stage)
{
	setup_protected(stage);
	stage_slot(stage, 0);
	stage->is_logging = false;
}

/* Small pages where the host has a large one: logged. */
static void setup_split(struct stage *stage)
{
	stage_slot(stage, VMMU_SLOT_LOG_DIRTY);
	stage_touch(stage, 0, PAGE, VMMU_WRITE);
	stage_touch(stage, 1, NEAR, VMMU_READ);
}

/* Small pages, and the host has made them one. */
static void setup_grown(struct stage *stage)
{
	stage->is_large = false;
	stage_touch(stage, 0, PAGE, VMMU_READ);
	stage_touch(stage, 1, NEAR, VMMU_READ);
	stage->is_large = true;
}

/* The host has the first pages in one piece; nothing is mapped. */
static void setup_one_piece(struct stage *stage)
{
	stage->is_group = true;
}

static void setup_group(struct stage *stage)
{
	setup_one_piece(stage);
	stage_touch(stage, 0, PAGE, VMMU_WRITE);
}

static void setup_group_aged(struct stage *stage)
{
	setup_group(stage);
	stage_age_page(stage, PAGE);
}

/* Mapped for reading, and by now two pages of it may be written: who does takes it apart. */
static void setup_group_read_only(struct stage *stage)
{
	setup_one_piece(stage);
	for (unsigned i = 0; i < STAGE_GROUP; i++)
		stage->is_read_only[i] = true;
	stage_touch(stage, 0, PAGE, VMMU_READ);
	stage->is_read_only[PAGE] = false;
	stage->is_read_only[NEAR] = false;
}

/* The second CPU's tables are of the other kind. */
static void setup_two_kinds(struct stage *stage)
{
	stage_other_root(stage, 1);
}

/* Logged, written through tables of both kinds, reported. */
static void setup_two_kinds_protected(struct stage *stage)
{
	stage_other_root(stage, 1);
	stage_slot(stage, VMMU_SLOT_LOG_DIRTY);
	stage_copy_all(stage);
	stage_touch(stage, 0, PAGE, VMMU_WRITE);
	stage_touch(stage, 1, PAGE, VMMU_WRITE);
	stage_harvest(stage);
	stage_touch(stage, 0, NEAR, VMMU_WRITE);
}

/* ---- what threads do ---- */

static void do_write(struct stage *stage, unsigned cpu)
{
	stage_touch(stage, cpu, PAGE, VMMU_WRITE);
}

static void do_read(struct stage *stage, unsigned cpu)
{
	stage_touch(stage, cpu, PAGE, VMMU_READ);
}

static void do_write_near(struct stage *stage, unsigned cpu)
{
	stage_touch(stage, cpu, NEAR, VMMU_WRITE);
}

static void do_read_other(struct stage *stage, unsigned cpu)
{
	stage_touch(stage, cpu, OTHER, VMMU_READ);
}

static void do_fault_small(struct stage *stage, unsigned cpu)
{
	stage_fault(stage, cpu, OTHER, VMMU_READ, 1);
}

static void do_zap_all(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_zap_all(stage);
}

static void do_move(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_move(stage, PAGE, 1, false);
}

static void do_move_near(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_move(stage, NEAR, 1, false);
}

static void do_merge(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_merge(stage, PAGE);
}

static void do_unmerge(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_unmerge(stage, PAGE);
}

static void do_prefault(struct stage *stage, unsigned cpu)
{
	stage_prefault(stage, cpu, PAGE, 1);
}

/* Both in a table that is there. */
static void do_prefault_two(struct stage *stage, unsigned cpu)
{
	stage_prefault(stage, cpu, PAGE, 2);
}

/* A whole table. */
static void do_prefault_all(struct stage *stage, unsigned cpu)
{
	stage_prefault(stage, cpu, 0, STAGE_PAGES);
}

/* The same where nobody takes any of it away. */
static void do_prefault_for_good(struct stage *stage, unsigned cpu)
{
	do_prefault_all(stage, cpu);
	stage_expect_mapped(stage, 0);
	stage_expect_mapped(stage, NEAR);
	stage_expect_mapped(stage, STAGE_PAGES - 1);
}

static void do_harvest(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_harvest(stage);
}

static void do_harvest_twice(struct stage *stage, unsigned cpu)
{
	do_harvest(stage, cpu);
	do_harvest(stage, cpu);
}

static void do_log(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_slot(stage, VMMU_SLOT_LOG_DIRTY);
	stage_copy_all(stage);
}

static void do_stop_log(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_slot(stage, 0);
}

static void do_delete(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_slot_delete(stage);
}

static void do_age(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_age(stage);
}

/* By one page, which is all of a group. */
static void do_age_page(struct stage *stage, unsigned cpu)
{
	(void)cpu;
	stage_age_page(stage, NEAR);
}

/* A look without a lock: whatever it finds, it may not look at what is gone. */
static void do_walk(struct stage *stage, unsigned cpu)
{
	struct vmmu_walk walk;

	(void)cpu;
	vmmu_walk(stage->vm, 0, (uint64_t)PAGE << stage->shift, &walk);
}

static const struct scenario scenarios[] = {
	{"fault-fault", "two faults on one page", .threads = 2, .thread = {do_write, do_read}},
	{"fault-near", "two faults on neighbours: who makes the tables?", .threads = 2,
	 .thread = {do_write, do_write_near}},
	{"fault-zap", "a fault, and everything is dropped", .setup = setup_mapped, .threads = 2,
	 .thread = {do_read_other, do_zap_all}},
	{"fault-move", "a fault, and the host moves the page", .threads = 2,
	 .thread = {do_write, do_move}},
	{"fault-delete", "a fault, and the slot is deleted", .setup = setup_mapped, .threads = 2,
	 .thread = {do_read_other, do_delete}},
	{"fault-delete-own", "the same where a slot takes only its own mappings along",
	 .slot_zap = VMMU_SLOT_ZAP_RANGE, .setup = setup_mapped, .threads = 2,
	 .thread = {do_read_other, do_delete}},
	{"fix-protect", "a fast fix, and the dirty log is read twice", .setup = setup_protected,
	 .threads = 2, .thread = {do_write, do_harvest_twice}},
	{"fix-clear", "the same, and what is reported is protected by another call",
	 .dirty_flags = VMMU_DIRTY_MANUAL, .setup = setup_protected, .threads = 2,
	 .thread = {do_write, do_harvest_twice}},
	{"fix-ring", "the same, and each vCPU has a ring", .has_rings = true,
	 .setup = setup_protected, .threads = 2, .thread = {do_write, do_harvest_twice}},
	{"write-bits", "a write that hardware notes in the entry, and the dirty log is read twice",
	 .dirty_source = VMMU_DIRTY_BY_BITS, .setup = setup_protected, .threads = 2,
	 .thread = {do_write, do_harvest_twice}},
	{"fix-log", "a fast fix of a page that was logged before, and logging begins",
	 .setup = setup_logged_once, .threads = 2, .thread = {do_write, do_log}},
	{"fix-zap", "a fast fix, and everything is dropped", .setup = setup_protected, .threads = 2,
	 .thread = {do_write, do_zap_all}},
	{"fix-move", "a fast fix, and the host moves the page", .setup = setup_protected,
	 .threads = 2, .thread = {do_write, do_move}},
	{"fix-fix", "two fast fixes of one page", .setup = setup_protected, .threads = 2,
	 .thread = {do_write, do_write}},
	{"fix-age", "a fast fix, and the page ages", .setup = setup_protected, .threads = 2,
	 .thread = {do_write, do_age}},
	{"split-fault", "a write into a large page, and logging begins", .is_large = true,
	 .setup = setup_mapped, .threads = 2, .thread = {do_write_near, do_log}},
	{"collapse-fault", "a fault, and logging ends where a large page can be", .is_large = true,
	 .setup = setup_split, .threads = 2, .thread = {do_read_other, do_stop_log}},
	{"grow-fault", "a large page comes in the place of a table, a small one into it",
	 .is_large = true, .setup = setup_grown, .threads = 2,
	 .thread = {do_read_other, do_fault_small}},
	{"walk-zap", "a look without a lock, and the tables are freed", .setup = setup_mapped,
	 .threads = 2, .thread = {do_walk, do_zap_all}},
	{"age-zap", "aging without a lock, and the tables are freed", .setup = setup_mapped,
	 .threads = 2, .thread = {do_age, do_zap_all}},
	{"prefault-move", "a page is mapped ahead, and the host moves it", .threads = 2,
	 .thread = {do_prefault, do_move}},
	{"prefault-two-move", "two pages are mapped ahead, and the host moves one", .is_tdp = true,
	 .setup = setup_other, .threads = 2, .thread = {do_prefault_two, do_move_near}},
	{"prefault-two-fault", "two pages are mapped ahead, and one is written to", .is_tdp = true,
	 .setup = setup_other, .threads = 2, .thread = {do_prefault_two, do_write_near}},
	{"prefault-all-move", "a table is mapped ahead at once, and the host moves a page",
	 .is_tdp = true, .threads = 2, .thread = {do_prefault_all, do_move}},
	{"prefault-all-fault", "a table is mapped ahead at once, and a fault makes one",
	 .is_tdp = true, .threads = 2, .thread = {do_prefault_for_good, do_write}},
	{"prefault-all-log", "a table is mapped ahead at once, and logging begins", .is_tdp = true,
	 .threads = 2, .thread = {do_prefault_all, do_log}},
	{"fault-merge", "a read, and the host puts a read-only page in its place", .threads = 2,
	 .thread = {do_read, do_merge}},
	{"fix-unmerge", "a fast fix, and the host puts a writable page in its place",
	 .setup = setup_protected, .threads = 2, .thread = {do_write, do_unmerge}},
	{"two-kinds", "faults in tables of both kinds", .setup = setup_two_kinds, .threads = 2,
	 .thread = {do_write, do_write}},
	{"two-kinds-protect", "a fast fix in tables of one kind, and the dirty log is read of both",
	 .setup = setup_two_kinds_protected, .threads = 2, .thread = {do_write, do_harvest}},
	{"two-kinds-move", "faults in tables of both kinds, and the host moves the page",
	 .setup = setup_two_kinds, .threads = 3, .thread = {do_write, do_read, do_move}},
	{"group-group", "two faults of which one makes a group of both pages", .has_groups = true,
	 .setup = setup_one_piece, .threads = 2, .thread = {do_write, do_read_other}},
	{"group-move", "a fault that makes a group, and the host moves another page of it",
	 .has_groups = true, .setup = setup_one_piece, .threads = 2,
	 .thread = {do_write, do_move_near}},
	{"group-log", "a write into a group, and logging begins", .has_groups = true,
	 .setup = setup_group, .threads = 2, .thread = {do_write_near, do_log}},
	{"group-break", "two faults that each take the group apart", .has_groups = true,
	 .setup = setup_group_read_only, .threads = 2, .thread = {do_write, do_write_near}},
	{"group-break-move", "a fault that takes a group apart, and the host moves a page of it",
	 .has_groups = true, .setup = setup_group_read_only, .threads = 2,
	 .thread = {do_write, do_move_near}},
	{"group-break-age", "a fault that takes a group apart, and it ages", .has_groups = true,
	 .setup = setup_group_read_only, .threads = 2, .thread = {do_write, do_age_page}},
	/* the second CPU's: the first one's TLB still knows */
	{"group-fix-age", "the first use of an aged group, and it ages again", .has_groups = true,
	 .setup = setup_group_aged, .threads = 2, .thread = {do_age_page, do_write}},
	{"group-fix-move", "the first use of an aged group, and the host moves a page of it",
	 .has_groups = true, .setup = setup_group_aged, .threads = 2,
	 .thread = {do_move_near, do_write}},
	{"group-walk", "a look without a lock, and the host moves a page of a group",
	 .has_groups = true, .setup = setup_group, .threads = 2, .thread = {do_walk, do_move}},
	{"fault-move-move", "a fault, and two invalidations beside each other", .threads = 3,
	 .thread = {do_write, do_move, do_move_near}},
	{"fix-fix-protect", "two fast fixes, and the dirty log is read", .setup = setup_protected,
	 .threads = 3, .thread = {do_write, do_write, do_harvest}},
	{"fault-fault-zap", "two faults, and everything is dropped", .threads = 3,
	 .thread = {do_write, do_write_near, do_zap_all}},
	{"fault-fault-move", "two faults, and the host moves the page", .threads = 3,
	 .thread = {do_write, do_read, do_move}},
	{"write-write-ring", "two writes, each into its vCPU's ring, and rings are read",
	 .has_rings = true, .setup = setup_protected, .threads = 3,
	 .thread = {do_write, do_write, do_harvest}},
	{"fix-protect-move", "a fast fix, the dirty log is read, the host moves the page",
	 .setup = setup_protected, .threads = 3, .thread = {do_write, do_harvest, do_move}},
	{"fix-protect-age", "a fast fix, the dirty log is read, the page ages",
	 .setup = setup_protected, .threads = 3, .thread = {do_write, do_harvest, do_age}},
	{"grow-fault-walk", "a large page for a table, a small one into it, a look without a lock",
	 .is_large = true, .setup = setup_grown, .threads = 3,
	 .thread = {do_read_other, do_fault_small, do_walk}},
	{"group-break-move-age", "a group is taken apart by a fault and by the host, and ages",
	 .has_groups = true, .setup = setup_group_read_only, .threads = 3,
	 .thread = {do_write, do_move_near, do_age_page}},
};

const struct scenario *scenario_at(unsigned index)
{
	return index < ARRAY_COUNT(scenarios) ? &scenarios[index] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(scenarios); i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	return NULL;
}

/* ---- as a program ---- */

static struct {
	const struct scenario *scenario;
	struct stage_kind kind;
	struct stage stage;
} world;

static void world_begin(void *ctx)
{
	(void)ctx;
	stage_begin(&world.stage, &world.kind, world.scenario->is_large, world.scenario->max_level);
	if (world.scenario->setup)
		world.scenario->setup(&world.stage);
}

static void world_end(void *ctx)
{
	(void)ctx;
	stage_end(&world.stage);
}

static void world_drop(void *ctx)
{
	(void)ctx;
	stage_drop(&world.stage);
}

static void world_thread(void *ctx, unsigned thread)
{
	(void)ctx;
	world.scenario->thread[thread](&world.stage, thread);
}

struct program scenario_program(const struct scenario *scenario, const struct stage_kind *kind)
{
	static void (*const body[THREADS_MAX])(void *ctx, unsigned thread) = {
		world_thread, world_thread, world_thread};

	world.scenario = scenario;
	world.kind = *kind;
	world.kind.slot_zap = scenario->slot_zap;
	world.kind.dirty_flags = scenario->dirty_flags;
	world.kind.dirty_source = scenario->dirty_source;
	world.kind.has_rings = scenario->has_rings;
	return (struct program){.count = scenario->threads,
				.begin = world_begin,
				.body = body,
				.end = world_end,
				.drop = world_drop};
}

const struct stage *scenario_stage(void)
{
	return &world.stage;
}
