/* SPDX-License-Identifier: MIT */
/*
 * Random ranges against the flat model. VMMU_SEED repeats a run, VMMU_RANDOM_OPS / 250 is the
 * number of updates.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "range/stand.h"

static unsigned random_updates(void)
{
	const char *text = getenv("VMMU_RANDOM_OPS");
	unsigned long ops = text ? strtoul(text, NULL, 0) : 0;

	return ops ? (unsigned)(ops / 250) + 1 : 120;
}

/* A range of the window: a few pages or a few large ones, often at the edge of large ones. */
static void random_range(const struct stand *stand, struct random_state *random, uint64_t *gfn,
			 uint64_t *pages)
{
	unsigned at = 1 + (unsigned)random_below(random, stand->max_level);
	unsigned size = 1 + (unsigned)random_below(random, stand->max_level);
	uint64_t edge = random_below(random, stand->gfns / stand_pages(stand, at)) *
			stand_pages(stand, at);
	uint64_t shift = random_below(random, 3) ? 0 : random_below(random, 4);

	*gfn = edge > shift && random_below(random, 2) ? edge - shift : edge + shift;
	*pages = (1 + random_below(random, 3)) * stand_pages(stand, size);
	if (!random_below(random, 3))
		*pages += random_below(random, 5);
	if (*gfn >= stand->gfns)
		*gfn = stand->gfns - 1;
	if (*pages > stand->gfns - *gfn)
		*pages = stand->gfns - *gfn;
}

/* The frame for gfn: mostly one rule, so that ranges meet what was mapped "in just this way". */
static uint64_t random_pfn(const struct stand *stand, struct random_state *random, uint64_t gfn)
{
	uint64_t huge = stand_pages(stand, stand->max_level);

	switch (random_below(random, 8)) {
	case 0:
		return 4 * huge + gfn + 1; /* never aligned alike */
	case 1:
		return 8 * huge + gfn + stand_pages(stand, 2); /* alike at level 2 */
	default:
		return 2 * huge + gfn;
	}
}

static unsigned random_access(struct random_state *random)
{
	static const unsigned some[] = {
		VMMU_READ, VMMU_READ | VMMU_WRITE, VMMU_READ | VMMU_EXEC, VMMU_RWX, VMMU_RWX,
		VMMU_RWX};

	return some[random_below(random, 6)];
}

static void random_op(struct stand *stand, struct random_state *random)
{
	uint64_t gfn, pages;

	random_range(stand, random, &gfn, &pages);
	switch (random_below(random, 9)) {
	case 0:
	case 1:
		stand_unmap(stand, gfn, pages);
		break;
	case 2:
		stand_protect(stand, gfn, pages, random_access(random));
		break;
	case 3:
		stand_write_protect(stand, gfn, pages);
		break;
	case 4:
		stand_write_allow(stand, gfn, pages);
		break;
	default:
		stand_map(stand, gfn, pages, random_pfn(stand, random, gfn), random_access(random),
			  random_below(random, 16) ? VMMU_MEM_WRITEBACK : VMMU_MEM_DEVICE);
	}
}

/* What a shared update may do. */
static void random_shared_op(struct stand *stand, struct random_state *random)
{
	uint64_t gfn, pages;

	random_range(stand, random, &gfn, &pages);
	if (random_below(random, 3))
		stand_map(stand, gfn, pages, random_pfn(stand, random, gfn), random_access(random),
			  random_below(random, 16) ? VMMU_MEM_WRITEBACK : VMMU_MEM_DEVICE);
	else
		stand_write_allow(stand, gfn, pages);
}

static void random_run(struct stand *stand, uint64_t seed)
{
	struct random_state random = random_start(seed);
	unsigned updates = random_updates();

	for (unsigned i = 1; i <= updates; i++) {
		uint64_t gfn = random_below(&random, stand->gfns);

		bool is_shared = stand->vcpu && random_below(&random, 2);

		if (is_shared)
			stand_begin_shared(stand);
		else
			stand_begin(stand);
		for (uint64_t ops = 1 + random_below(&random, 3); ops; ops--)
			(is_shared ? random_shared_op : random_op)(stand, &random);
		stand_end(stand);
		stand_check_gfn(stand, gfn);
		stand_check_gfn(stand, stand_pages(stand, 2) - 1);
		if (i % 30 == 0)
			stand_check(stand);
	}
}

/* All is unmapped: the root is the only table left, and all others were given back. */
static void check_all_given_back(struct stand *stand)
{
	struct vmmu_stats stats;

	stand_begin(stand);
	stand_unmap(stand, 0, stand->gfns);
	stand_end(stand);
	stats = stand_stats(stand);
	for (unsigned level = 1; level <= VMMU_LEVELS_MAX; level++)
		cr_assert_eq(stats.mapped[level], 0);
	cr_assert_eq(stats.tables_allocated - stats.tables_freed - stats.tables_awaiting,
		     stats.tables);
	/* the window ends inside what the root's first entry maps, or it does not */
	cr_assert_leq(stats.tables, stand->geometry->levels);
	stand_begin(stand);
	cr_assert_eq(vmmu_unmap(&stand->update, 0, UINT64_C(1) << stand->geometry->gpa_bits, NULL),
		     0);
	stand_end(stand);
	cr_assert_eq(stand_stats(stand).tables, 1);
}

RANGE_TEST(range_random, any_ranges__the_tables_are_the_model)
{
	struct stand *stand = stand_create(*index, NULL);

	random_run(stand, 100 + *index);
	check_all_given_back(stand);
	stand_destroy(stand);
}

RANGE_TEST(range_random, shared_updates_in_between__the_tables_are_the_model)
{
	struct stand_options options = {.has_events = *index % 2};
	struct stand *stands[2] = {stand_create(*index, &options), stand_create_short(*index)};

	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(vmmu_vcpu_create(stands[i]->vm, 0, &stands[i]->vcpu), 0);
		random_run(stands[i], 500 + *index);
		check_all_given_back(stands[i]);
		stand_destroy(stands[i]);
	}
}

/* Somebody listens to events: another way through the code, the same tables. */
RANGE_TEST(range_random, an_event_sink__changes_no_entry)
{
	struct stand_options options = {.has_events = true};
	struct stand *stands[2] = {stand_create(*index, NULL), stand_create(*index, &options)};
	struct vmmu_digest digests[2];

	for (unsigned i = 0; i < 2; i++) {
		random_run(stands[i], 200 + *index);
		cr_assert_eq(vmmu_digest(stands[i]->vm, &digests[i]), 0);
	}
	cr_assert_eq(digests[0].high, digests[1].high);
	cr_assert_eq(digests[0].low, digests[1].low);
	cr_assert_eq(stands[0]->events, 0);
	cr_assert_gt(stands[1]->events, 0);
	stand_destroy(stands[0]);
	stand_destroy(stands[1]);
}

/* Frames for a handful of tables: -ENOMEM says exactly how far a call got, nothing is lost. */
RANGE_TEST(range_random, frames_run_out__calls_stop_where_they_say)
{
	struct stand *stand = stand_create_short(*index);

	random_run(stand, 300 + *index);
	for (unsigned i = 0; i < 4; i++) {
		stand_begin(stand);
		stand_unmap(stand, 0, stand->gfns);
		stand_map(stand, 1, stand->gfns - 1, 4 * stand->gfns, VMMU_RWX, VMMU_MEM_WRITEBACK);
		stand_end(stand);
	}
	cr_assert_gt(stand->short_count, 3);
	stand_check(stand);
	check_all_given_back(stand);
	stand_destroy(stand);
}

RANGE_TEST(range_random, small_pages_only__the_tables_are_the_model)
{
	struct stand_options options = {.max_level = 1};
	struct stand *stand;
	struct vmmu_stats stats;

	options.window_gfns = UINT64_C(4) << 13;
	stand = stand_create(*index, &options);
	random_run(stand, 400 + *index);
	stats = stand_stats(stand);
	for (unsigned level = 2; level <= VMMU_LEVELS_MAX; level++)
		cr_assert_eq(stats.mapped[level], 0);
	check_all_given_back(stand);
	stand_destroy(stand);
}
