/* SPDX-License-Identifier: MIT */
/* What hangs on a slot: counts worked out by hand from the slot's shape. */
#include <criterion/criterion.h>

#include "base/bits.h"
#include "base/mem.h"
#include "memory/dirty_log.h"
#include "memory/geometries.h"

static struct slots slots;
static size_t live_before;

static void start(const struct vmmu_geometry *geometry, unsigned max_level)
{
	live_before = mem_live();
	cr_assert_eq(slots_init(&slots, geometry, max_level, 1, NULL), 0);
}

static void stop(void)
{
	slots_destroy(&slots);
	cr_assert_eq(mem_live(), live_before, "metadata leaked");
}

/* Slot 1, made anew. */
static struct memslot *make(uint64_t gpa, uint64_t bytes, uint64_t hva, unsigned flags)
{
	struct vmmu_slot slot = {.id = 1, .gpa = gpa, .bytes = bytes, .hva = hva, .flags = flags};

	cr_assert_eq(slots_set(&slots, &slot), 0);
	return slots_by_id(&slots, 0, 1);
}

static int change(uint64_t gpa, uint64_t bytes, uint64_t hva, unsigned flags)
{
	struct vmmu_slot slot = {.id = 1, .gpa = gpa, .bytes = bytes, .hva = hva, .flags = flags};

	return slots_set(&slots, &slot);
}

static void remove_slot(void)
{
	cr_assert_eq(change(0, 0, 0, 0), 0);
}

/* COUNT entries of VALUE. */
static void check_all(const uint32_t *lpage, unsigned count, uint32_t value)
{
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(lpage[i], value, "entry %u: %u", i, lpage[i]);
}

Test(lpage, aligned_slot__forbids_nothing)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x80000000, 0x7f0040000000, 0);
	check_all(slot->lpage[2], 1024, 0);
	check_all(slot->lpage[3], 2, 0);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 3), 3);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0xbffff, 3), 3);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0xbffff, 2), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0xbffff, 1), 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0xbffff, 0), 1);
	stop();
}

Test(lpage, counts__exist_up_to_the_largest_mapping)
{
	struct memslot *slot;

	start(&geometry_4k, 2);
	slot = make(0x40000000, 0x40000000, 0x40000000, 0);
	cr_assert_null(slot->lpage[0]);
	cr_assert_null(slot->lpage[1]);
	cr_assert(slot->lpage[2]);
	cr_assert_null(slot->lpage[3]);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 3), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 5), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 1000), 2);
	stop();

	start(&geometry_4k, 1);
	slot = make(0x40000000, 0x40000000, 0x40000000, 0);
	cr_assert_null(slot->lpage[2]);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 3), 1);
	stop();
}

Test(lpage, unaligned_ends__forbid_first_and_last)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	/*
	 * gfns 0x1ff..0x601: parts of the 2M pages 0 and 3, all of 1 and 2; part of one 1G page
	 * at both its ends.
	 */
	slot = make(0x1ff000, 0x402000, 0x401ff000, 0);
	check_all(slot->lpage[2] + 0, 1, 1);
	check_all(slot->lpage[2] + 1, 2, 0);
	check_all(slot->lpage[2] + 3, 1, 1);
	check_all(slot->lpage[3], 1, 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x1ff, 3), 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x200, 3), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x5ff, 3), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x600, 3), 1);
	stop();
}

Test(lpage, slot_within_one_large_page__counts_each_unaligned_end)
{
	static const struct {
		uint64_t gpa, bytes;
		uint32_t count;
	} cases[] = {
		{0x200000, 0x1000, 1},   /* begins the 2M page, does not end it */
		{0x205000, 0x1000, 2},   /* neither */
		{0x3ff000, 0x1000, 1},   /* ends it */
		{0x201000, 0x1fe000, 2}, /* all but one page at each end */
		{0x200000, 0x200000, 0}, /* just it */
	};

	start(&geometry_4k, 3);
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct memslot *slot = make(cases[i].gpa, cases[i].bytes, cases[i].gpa, 0);

		cr_assert_eq(slot->lpage[2][0], cases[i].count, "case %u", i);
		cr_assert_eq(memslot_max_level(slot, &geometry_4k, cases[i].gpa >> 12, 3),
			     cases[i].count ? 1 : 2);
		remove_slot();
	}
	stop();
}

Test(lpage, incongruent_hva__forbids_every_page)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	/* One page off: no 2M page fits. One, not two, also where both ends are unaligned. */
	slot = make(0x1ff000, 0x402000, 0x40000000, 0);
	check_all(slot->lpage[2], 4, 1);
	check_all(slot->lpage[3], 1, 1);
	remove_slot();

	/* 2M off: 2M pages fit, 1G pages do not. */
	slot = make(0, 0x80000000, 0x200000, 0);
	check_all(slot->lpage[2], 1024, 0);
	check_all(slot->lpage[3], 2, 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 3), 2);
	stop();
}

Test(lpage, granule_of_64k__uses_its_own_sizes)
{
	struct memslot *slot;

	start(&geometry_64k, 2);
	/* A large page is 512M: 0x2000 gfns. Gfns 0x1000..0x4000. */
	slot = make(0x10000000, 0x30000000, 0x10000000, 0);
	cr_assert_eq(slot->base_gfn, 0x1000);
	cr_assert_eq(slot->gfns, 0x3000);
	cr_assert_eq(slot->lpage[2][0], 1);
	cr_assert_eq(slot->lpage[2][1], 0);
	cr_assert_eq(memslot_max_level(slot, &geometry_64k, 0x1fff, 2), 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_64k, 0x2000, 2), 2);
	cr_assert_eq(memslot_hva(slot, 0x1003, 16), 0x10030000);
	remove_slot();

	/* One 64K page off. */
	slot = make(0x20000000, 0x20000000, 0x20010000, 0);
	check_all(slot->lpage[2], 1, 1);
	stop();
}

Test(lpage, level_without_leaves__is_counted_and_never_chosen)
{
	struct memslot *slot;

	start(&geometry_no_2m, 3);
	slot = make(0x40000000, 0x40200000, 0x40000000, 0);
	check_all(slot->lpage[2], 513, 0);
	cr_assert_eq(memslot_max_level(slot, &geometry_no_2m, 0x40000, 3), 3);
	cr_assert_eq(memslot_max_level(slot, &geometry_no_2m, 0x40000, 2), 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_no_2m, 0x80000, 3), 1, "end of the slot");
	cr_assert(slot->rmap[1]);
	cr_assert_null(slot->rmap[2]);
	cr_assert(slot->rmap[3]);
	stop();
}

Test(lpage, add__forbids_at_every_level_until_taken_back)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x80000000, 0x40000000, 0);
	memslot_lpage_add(slot, &geometry_4k, 0x80201, 1);
	memslot_lpage_add(slot, &geometry_4k, 0x80202, 1);
	/* 2M page 513 of the slot, 1G page 1. */
	check_all(slot->lpage[2], 513, 0);
	check_all(slot->lpage[2] + 513, 1, 2);
	check_all(slot->lpage[2] + 514, 510, 0);
	check_all(slot->lpage[3], 1, 0);
	check_all(slot->lpage[3] + 1, 1, 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x803ff, 3), 1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x80400, 3), 2);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x40000, 3), 3);
	memslot_lpage_add(slot, &geometry_4k, 0x80201, -1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x803ff, 3), 1);
	memslot_lpage_add(slot, &geometry_4k, 0x80202, -1);
	cr_assert_eq(memslot_max_level(slot, &geometry_4k, 0x803ff, 3), 3);
	stop();
}

Test(lpage, flags_change__keeps_counts_and_move_starts_afresh)
{
	struct memslot *slot;
	_Atomic uint64_t *rmap;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x80000000, 0x40000000, 0);
	rmap = slot->rmap[1];
	memslot_lpage_add(slot, &geometry_4k, 0x40000, 1);
	cr_assert_eq(change(0x40000000, 0x80000000, 0x40000000, VMMU_SLOT_LOG_DIRTY), 0);
	slot = slots_by_id(&slots, 0, 1);
	cr_assert_eq(slot->lpage[2][0], 1);
	cr_assert_eq(slot->lpage[3][0], 1);
	cr_assert_eq(slot->rmap[1], rmap, "heads do not move");

	/* 4K further on, the hva no longer fits. */
	cr_assert_eq(change(0x40001000, 0x80000000, 0x40000000, 0), 0);
	slot = slots_by_id(&slots, 0, 1);
	check_all(slot->lpage[2], 1025, 1);
	cr_assert_eq(change(0x80000000, 0x80000000, 0x40000000, 0), 0);
	slot = slots_by_id(&slots, 0, 1);
	check_all(slot->lpage[2], 1024, 0);
	stop();
}

Test(rmap_heads, each_leaf_level__has_one_a_page)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x1ff000, 0x402000, 0x401ff000, 0);
	for (uint64_t gfn = 0x1ff; gfn < 0x601; gfn++)
		cr_assert_eq(slot->rmap[1][memslot_index(slot, &geometry_4k, gfn, 1)]++, 0);
	/* gfns of the 2M pages 0 to 3, in which the slot begins and ends. */
	cr_assert_eq(memslot_index(slot, &geometry_4k, 0x1ff, 2), 0);
	cr_assert_eq(memslot_index(slot, &geometry_4k, 0x600, 2), 3);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(slot->rmap[2][i]++, 0);
	cr_assert_eq(slot->rmap[3][0]++, 0);
	cr_assert_null(slot->rmap[4]);
	cr_assert_null(slot->rmap[0]);
	stop();
}

Test(dirty, slot_without_logging__notes_nothing)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x100000, 0x40000000, 0);
	cr_assert_null(slot->dirty);
	memslot_log_dirty(slot, 0x40000);
	cr_assert_not(memslot_is_dirty(slot, 0x40000));
	stop();
}

Test(dirty, bit_n__is_page_n_of_the_slot)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	/* 130 pages: three words. */
	slot = make(0x40003000, 130 * 0x1000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	memslot_log_dirty(slot, 0x40003);
	memslot_log_dirty(slot, 0x40003 + 63);
	memslot_log_dirty(slot, 0x40003 + 64);
	memslot_log_dirty(slot, 0x40003 + 129);
	memslot_log_dirty(slot, 0x40003 + 129);
	cr_assert_eq(memslot_dirty_peek(slot, 0), 0x8000000000000001);
	cr_assert_eq(memslot_dirty_peek(slot, 1), 1);
	cr_assert_eq(memslot_dirty_peek(slot, 2), 2);
	cr_assert(memslot_is_dirty(slot, 0x40003 + 63));
	cr_assert_not(memslot_is_dirty(slot, 0x40003 + 62));
	stop();
}

Test(dirty, word_taken__is_what_was_marked_and_clean_then)
{
	uint64_t bits = UINT64_C(0x8f01a3c500ff7e42);
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 192 * 0x1000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	for (unsigned i = 0; i < 64; i++) {
		if (bits >> i & 1)
			memslot_log_dirty(slot, 0x40040 + i);
	}
	memslot_log_dirty(slot, 0x4003f);
	memslot_log_dirty(slot, 0x40080);
	cr_assert_eq(memslot_dirty_peek(slot, 1), bits);
	cr_assert_eq(memslot_dirty_take(slot, 1), bits);
	cr_assert_eq(memslot_dirty_peek(slot, 1), 0);
	cr_assert_eq(memslot_dirty_take(slot, 1), 0);
	cr_assert(memslot_is_dirty(slot, 0x4003f));
	cr_assert(memslot_is_dirty(slot, 0x40080));
	stop();
}

Test(dirty, part_of_a_word_taken__leaves_the_rest)
{
	uint64_t bits = UINT64_C(0xf00d00ff12345678), wanted = UINT64_C(0x80ff0f3301010101);
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 64 * 0x1000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	for (unsigned i = 0; i < 64; i++) {
		if (bits >> i & 1)
			memslot_log_dirty(slot, 0x40000 + i);
	}
	cr_assert_eq(memslot_dirty_take_some(slot, 0, wanted), bits & wanted);
	cr_assert_eq(memslot_dirty_peek(slot, 0), bits & ~wanted);
	for (unsigned i = 0; i < 64; i++) {
		uint64_t rest = memslot_dirty_peek(slot, 0);

		cr_assert_eq(memslot_dirty_take_some(slot, 0, UINT64_C(1) << i),
			     rest & UINT64_C(1) << i);
	}
	cr_assert_eq(memslot_dirty_peek(slot, 0), 0);
	stop();
}

Test(dirty, gfn_outside__is_ignored)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40003000, 0x3000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	memslot_log_dirty(slot, 0x40002);
	memslot_log_dirty(slot, 0x40006);
	memslot_log_dirty(slot, UINT64_MAX);
	cr_assert_eq(memslot_dirty_peek(slot, 0), 0);
	cr_assert_not(memslot_is_dirty(slot, 0x40006));
	stop();
}

Test(dirty, logging_turned_off_and_on__starts_clean)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x100000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	memslot_log_dirty(slot, 0x40001);
	cr_assert_eq(change(0x40000000, 0x100000, 0x40000000, 0), 0);
	slot = slots_by_id(&slots, 0, 1);
	cr_assert_null(slot->dirty);
	cr_assert_eq(change(0x40000000, 0x100000, 0x40000000, VMMU_SLOT_LOG_DIRTY), 0);
	slot = slots_by_id(&slots, 0, 1);
	cr_assert(slot->dirty);
	cr_assert_not(memslot_is_dirty(slot, 0x40001));
	stop();
}

Test(dirty, moved_slot__keeps_what_was_written)
{
	struct memslot *slot;

	start(&geometry_4k, 3);
	slot = make(0x40000000, 0x100000, 0x40000000, VMMU_SLOT_LOG_DIRTY);
	memslot_log_dirty(slot, 0x40001);
	cr_assert_eq(change(0x50000000, 0x100000, 0x40000000, VMMU_SLOT_LOG_DIRTY), 0);
	slot = slots_by_id(&slots, 0, 1);
	cr_assert(memslot_is_dirty(slot, 0x50001));
	cr_assert_eq(memslot_dirty_peek(slot, 0), 2);
	/* Moved and no longer logging at once. */
	cr_assert_eq(change(0x60000000, 0x100000, 0x40000000, 0), 0);
	cr_assert_null(slots_by_id(&slots, 0, 1)->dirty);
	/* Moved and logging again. */
	cr_assert_eq(change(0x50000000, 0x100000, 0x40000000, VMMU_SLOT_LOG_DIRTY), 0);
	cr_assert_eq(memslot_dirty_peek(slots_by_id(&slots, 0, 1), 0), 0);
	stop();
}
