/* SPDX-License-Identifier: MIT */
/* What vmmu_map() and vmmu_unmap() build, worked out by hand; which tables come and go. */
#include <errno.h>

#include "range/stand.h"

/* A frame aligned to every level in use. */
#define PFN (UINT64_C(1) << 24)

static void map_ram(struct stand *stand, uint64_t gfn, uint64_t pages, uint64_t pfn)
{
	stand_begin(stand);
	cr_assert_eq(stand_map(stand, gfn, pages, PFN + pfn, VMMU_RWX, VMMU_MEM_WRITEBACK), 0);
	stand_end(stand);
}

static void unmap(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	stand_begin(stand);
	cr_assert_eq(stand_unmap(stand, gfn, pages), 0);
	stand_end(stand);
}

RANGE_TEST(range_map, ragged_ends__large_pages_between_small_ones)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	struct vmmu_stats stats;

	map_ram(stand, large - 1, 2 * large + 2, large - 1);
	stats = stand_stats(stand);
	cr_assert_eq(stats.mapped[1], 2);
	cr_assert_eq(stats.mapped[2], 2);
	cr_assert_eq(stats.mapped[3], 0);
	/* one table a level from the root to level 2, and two of level 1 */
	cr_assert_eq(stats.tables, stand->geometry->levels - 1u + 2);
	cr_assert_eq(stand->flushes, 0, "nothing was taken away");
	stand_destroy(stand);
}

RANGE_TEST(range_map, frames_not_aligned_alike__small_pages)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map_ram(stand, large, large, large + 1);
	cr_assert_eq(stand_stats(stand).mapped[1], large);
	cr_assert_eq(stand_stats(stand).tables, stand->geometry->levels);
	stand_destroy(stand);
}

RANGE_TEST(range_map, the_largest_page__one_entry)
{
	struct stand *stand = stand_create(*index, NULL);
	unsigned level = stand->max_level;

	map_ram(stand, 0, stand_pages(stand, level), 0);
	cr_assert_eq(stand_stats(stand).mapped[level], 1);
	cr_assert_eq(stand_stats(stand).tables, stand->geometry->levels - level + 1u);
	stand_destroy(stand);
}

/* Tables full of leaves are made whole: same result as one by one. */
RANGE_TEST(range_map, level_limit__tables_of_the_largest_that_is_left)
{
	struct stand_options options = {.max_level = 2};
	struct stand *stand = stand_create(*index, &options);
	uint64_t gfns = stand->gfns;

	map_ram(stand, 0, gfns, 0);
	cr_assert_eq(stand_stats(stand).mapped[1], 0);
	cr_assert_eq(stand_stats(stand).mapped[2], gfns / stand_pages(stand, 2));
	cr_assert_eq(stand_stats(stand).mapped[3], 0);
	stand_destroy(stand);
}

RANGE_TEST(range_map, mapped_in_just_this_way__counts_as_mapped)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	uint64_t tables;

	map_ram(stand, 1, 3 * large, 1);
	tables = stand_stats(stand).tables;
	map_ram(stand, 1, 3 * large, 1);
	map_ram(stand, large + 3, 2, large + 3);
	map_ram(stand, 2 * large - 1, large, 2 * large - 1);
	cr_assert_eq(stand_stats(stand).tables, tables);
	stand_destroy(stand);
}

RANGE_TEST(range_map, mapped_otherwise__stops_there)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map_ram(stand, 2 * large, large, 0);
	map_ram(stand, 5, 1, 5);
	stand_begin(stand);
	/* the model knows that this is after 5, 2, 0, 0, 0, 2 * large - 1 pages */
	cr_assert_eq(stand_map(stand, 0, 8, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK), -EEXIST);
	stand_unmap(stand, 0, 5);
	cr_assert_eq(stand_map(stand, 3, 4, PFN + 3, VMMU_READ, VMMU_MEM_WRITEBACK), -EEXIST);
	cr_assert_eq(stand_map(stand, 5, 1, PFN + 5, VMMU_READ, VMMU_MEM_WRITEBACK), -EEXIST);
	cr_assert_eq(stand_map(stand, 5, 1, PFN + 5, VMMU_RWX, VMMU_MEM_DEVICE), -EEXIST);
	cr_assert_eq(stand_map(stand, 2 * large + 1, 1, PFN, VMMU_RWX, VMMU_MEM_WRITEBACK),
		     -EEXIST);
	cr_assert_eq(stand_map(stand, large + 1, large, PFN + large, VMMU_RWX, VMMU_MEM_WRITEBACK),
		     -EEXIST);
	stand_end(stand);
	stand_destroy(stand);
}

RANGE_TEST(range_unmap, one_page_of_a_large_one__splits_and_flushes_it_all)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	uint64_t tables;

	map_ram(stand, 0, 2 * large, 0);
	tables = stand_stats(stand).tables;
	unmap(stand, large + 7, 1);
	cr_assert_eq(stand_stats(stand).mapped[1], large - 1);
	cr_assert_eq(stand_stats(stand).mapped[2], 1);
	cr_assert_eq(stand_stats(stand).tables, tables + 1);
	/*
	 * a TLB may hold the large page: all of it must go (Arm flushes it twice, in between too)
	 */
	cr_assert_eq(stand->last.gfn_start, large);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	stand_destroy(stand);
}

RANGE_TEST(range_unmap, a_part_of_the_largest_page__splits_level_by_level)
{
	struct stand *stand = stand_create(*index, NULL);
	unsigned level = stand->max_level;
	uint64_t largest = stand_pages(stand, level), large = stand_pages(stand, 2);

	if (level == 3) {
		map_ram(stand, largest, largest, largest);
		/* one large page goes with the first split, then a page of its neighbour */
		unmap(stand, largest + 4 * large, large);
		unmap(stand, largest + 5 * large + 1, 1);
		cr_assert_eq(stand_stats(stand).mapped[3], 0);
		cr_assert_eq(stand_stats(stand).mapped[2], largest / large - 2);
		cr_assert_eq(stand_stats(stand).mapped[1], large - 1);
	}
	stand_destroy(stand);
}

RANGE_TEST(range_unmap, all_that_a_table_maps__gives_the_table_back)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	uint64_t tables;

	map_ram(stand, 0, 1, 0);
	tables = stand_stats(stand).tables;
	map_ram(stand, large, 3, 0);
	cr_assert_eq(stand_stats(stand).tables, tables + 1);
	unmap(stand, large, 3);
	cr_assert_eq(stand_stats(stand).tables, tables + 1, "an entry of it is not covered");
	unmap(stand, large, large);
	cr_assert_eq(stand_stats(stand).tables, tables);
	cr_assert_eq(stand->last.gfn_start, large);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	stand_destroy(stand);
}

RANGE_TEST(range_unmap, nothing_there__no_flush_no_table)
{
	struct stand *stand = stand_create(*index, NULL);

	map_ram(stand, 0, 1, 0);
	unmap(stand, 1, stand->gfns - 1);
	cr_assert_eq(stand->flushes, 0);
	cr_assert_eq(stand_stats(stand).tables, stand->geometry->levels);
	stand_destroy(stand);
}

/* Tables that only wait for readers count as room, in the middle of an update too. */
RANGE_TEST(range_unmap, frames_awaiting_readers__are_had_when_needed)
{
	struct stand_options options = {.tables_bytes = 1 << 20};
	struct stand *stand = stand_create(*index, &options);

	stand_begin(stand);
	for (unsigned i = 0; i < 300; i++) {
		stand_map(stand, 0, 1, PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
		stand_unmap(stand, 0, stand->gfns);
	}
	stand_end(stand);
	cr_assert_gt(stand_stats(stand).tables_freed, 0);
	stand_destroy(stand);
}

/* All frames are tables, but for a few that wait: one of these serves as a root. */
RANGE_TEST(range_unmap, frames_awaiting_readers__are_had_for_a_root)
{
	struct stand *stand = stand_create_short(*index);
	const struct vmmu_geometry *geometry = stand->geometry;
	struct vmmu_update update;

	stand_begin(stand);
	stand_map(stand, 0, stand->gfns, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	cr_assert_eq(stand->short_count, 1);
	stand_unmap(stand, 0, 2 * stand_pages(stand, 2));
	stand_end(stand);
	cr_assert_eq(stand_stats(stand).tables_awaiting, 2);
	/* roots of more than one frame find no such hole */
	if (geometry->table_lg2[geometry->levels] == geometry->table_lg2[1]) {
		cr_assert_eq(vmmu_update_begin(stand->vm, 1, &update), 0);
		vmmu_update_end(&update);
	}
	stand_destroy(stand);
}

RANGE_TEST(range_spaces, two_address_spaces__do_not_meet)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t page = UINT64_C(1) << stand->page_shift;
	struct vmmu_update update;
	struct vmmu_attr attr;

	map_ram(stand, 3, 1, 3);
	cr_assert_eq(vmmu_translate_once(stand->vm, 1, 3 * page), VMMU_NOT_MAPPED);
	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(stand->vm, 1, &update), 0);
	cr_assert_eq(vmmu_map(&update, 3 * page, 9 * page, page, &attr, NULL), 0);
	cr_assert_eq(vmmu_map(&update, 4 * page, 9 * page, 2 * page, &attr, NULL), 0);
	vmmu_update_end(&update);
	cr_assert_eq(vmmu_translate_once(stand->vm, 1, 3 * page + 1), 9 * page + 1);
	stand_check_gfn(stand, 3);
	stand_check_gfn(stand, 4);
	cr_assert_eq(vmmu_update_begin(stand->vm, 1, &update), 0);
	cr_assert_eq(vmmu_unmap(&update, 0, 8 * page, NULL), 0);
	vmmu_update_end(&update);
	cr_assert_eq(stand->last.as_id, 1);
	stand_check_gfn(stand, 3);
	stand_destroy(stand);
}

RANGE_TEST(range_spaces, everything_is_dropped__a_new_root_maps_again)
{
	struct stand *stand = stand_create(*index, NULL);

	map_ram(stand, 0, stand->gfns, 0);
	cr_assert_eq(vmmu_zap_all(stand->vm), 0);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, 0), VMMU_NOT_MAPPED);
	cr_assert_eq(stand_stats(stand).tables, 0);
	for (uint64_t gfn = 0; gfn < stand->gfns; gfn++)
		stand->pages[gfn] = 0;
	map_ram(stand, 1, 4, 1);
	stand_check_gfn(stand, 1);
	stand_destroy(stand);
}

/* Addresses beyond the tables must not be cut to such as are inside, nor to their last page. */
RANGE_TEST(range_translate, beyond_the_tables__nothing)
{
	struct stand *stand = stand_create(*index, NULL);
	const struct vmmu_geometry *geometry = stand->geometry;
	uint64_t page = UINT64_C(1) << stand->page_shift;
	uint64_t beyond = UINT64_C(1) << geometry->gpa_bits;
	/* the last page below the root's first entry */
	uint64_t last = (UINT64_C(1) << geometry->shift[geometry->levels]) - page;
	uint64_t gpas[4] = {beyond, beyond + last, UINT64_MAX, last + 3}, hpas[4];
	struct vmmu_reader reader;
	struct vmmu_attr attr;

	vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr);
	stand_begin(stand);
	cr_assert_eq(vmmu_map(&stand->update, 0, 7 * page, page, &attr, NULL), 0);
	cr_assert_eq(vmmu_map(&stand->update, last, 9 * page, page, &attr, NULL), 0);
	stand_end(stand);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, &reader), 0);
	vmmu_translate_batch(&reader, gpas, hpas, 4);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(hpas[i], VMMU_NOT_MAPPED);
		cr_assert_eq(vmmu_translate(&reader, gpas[i]), VMMU_NOT_MAPPED);
		cr_assert_eq(vmmu_translate_once(stand->vm, 0, gpas[i]), VMMU_NOT_MAPPED);
	}
	cr_assert_eq(hpas[3], 9 * page + 3);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, last + 3), 9 * page + 3, "nested");
	vmmu_reader_end(&reader);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(vmmu_translate_once(stand->vm, 0, gpas[i]), VMMU_NOT_MAPPED);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, last + 3), 9 * page + 3);
	stand_begin(stand);
	cr_assert_eq(vmmu_unmap(&stand->update, 0, beyond, NULL), 0);
	stand_end(stand);
	stand_destroy(stand);
}

/* Batches shorter than, equal to and longer than what goes together; beyond the tables. */
RANGE_TEST(range_translate, batches_of_any_length__each_its_own_answer)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t beyond = UINT64_C(1) << stand->geometry->gpa_bits;
	struct vmmu_reader reader;
	uint64_t gpas[70], hpas[71];

	map_ram(stand, 0, 50, 100);
	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, &reader), 0);
	for (unsigned count = 0; count <= 70; count++) {
		for (unsigned i = 0; i < 70; i++)
			gpas[i] = i % 7 == 6 ? beyond + i : (UINT64_C(69) - i) << stand->page_shift;
		hpas[count] = 77;
		vmmu_translate_batch(&reader, gpas, hpas, count);
		cr_assert_eq(hpas[count], 77);
		for (unsigned i = 0; i < count; i++) {
			bool is_mapped = i % 7 != 6 && 69 - i < 50;
			uint64_t hpa = (PFN + 100 + 69 - i) << stand->page_shift;

			cr_assert_eq(hpas[i], is_mapped ? hpa : VMMU_NOT_MAPPED);
		}
	}
	cr_assert_eq(vmmu_translate(&reader, beyond), VMMU_NOT_MAPPED);
	cr_assert_eq(vmmu_translate(&reader, UINT64_MAX - 1), VMMU_NOT_MAPPED);
	vmmu_reader_end(&reader);
	stand_destroy(stand);
}
