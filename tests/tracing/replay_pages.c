/* SPDX-License-Identifier: MIT */
#include "tracing/replay_pages.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

/* Up to 16 slots as they were told. */
struct told {
	struct vmmu_slot slots[16];
	unsigned count;
};

static int tell(void *ctx, const struct vmmu_slot *slot)
{
	struct told *told = ctx;

	if (told->count < 16)
		told->slots[told->count] = *slot;
	told->count++;
	return 0;
}

static void expect_slot(const struct told *told, unsigned index, uint64_t gpa, uint64_t end)
{
	cr_assert(lt(u32, index, told->count));
	cr_expect(eq(u32, told->slots[index].id, index));
	cr_expect(eq(u64, told->slots[index].gpa, gpa));
	cr_expect(eq(u64, told->slots[index].gpa + told->slots[index].bytes, end));
	cr_expect(eq(u64, told->slots[index].hva % GIB, gpa % GIB));
}

static struct told infer(struct replay_pages *pages, uint64_t ram, uint64_t mmio)
{
	struct told told = {0};
	uint64_t ram_found, mmio_found;

	replay_pages_settle(pages, &ram_found, &mmio_found);
	cr_expect(eq(u64, ram_found, ram));
	cr_expect(eq(u64, mmio_found, mmio));
	cr_expect(eq(int, replay_pages_slots(pages, tell, &told), 0));
	replay_pages_clear(pages);
	return told;
}

Test(replay_pages, one_page__makes_a_slot_of_its_2m)
{
	struct replay_pages pages = {0};
	struct told told;

	replay_pages_add(&pages, 5 * MIB + 0x123, REPLAY_PAGE_RAM);
	told = infer(&pages, 1, 0);
	cr_assert(eq(u32, told.count, 1));
	expect_slot(&told, 0, 4 * MIB, 6 * MIB);
}

Test(replay_pages, gap_of_2m__is_bridged_and_a_wider_one__is_not)
{
	struct replay_pages pages = {0};
	struct told told;

	replay_pages_add(&pages, 0, REPLAY_PAGE_RAM);
	replay_pages_add(&pages, 0x1000 + 2 * MIB, REPLAY_PAGE_RAM);
	/* The gap before this one is 2 MiB and a page, and the slots on its sides do not touch. */
	replay_pages_add(&pages, 0x3000 + 4 * MIB, REPLAY_PAGE_RAM);
	replay_pages_add(&pages, GIB, REPLAY_PAGE_RAM);
	told = infer(&pages, 4, 0);
	cr_assert(eq(u32, told.count, 3));
	expect_slot(&told, 0, 0, 4 * MIB);
	expect_slot(&told, 1, 4 * MIB, 6 * MIB);
	expect_slot(&told, 2, GIB, GIB + 2 * MIB);
}

Test(replay_pages, mmio_page__stops_widening_on_both_sides)
{
	struct replay_pages pages = {0};
	struct told told;

	replay_pages_add(&pages, 0x10000, REPLAY_PAGE_RAM);
	replay_pages_add(&pages, 0xa0000, REPLAY_PAGE_MMIO);
	replay_pages_add(&pages, 0xf0000, REPLAY_PAGE_RAM);
	told = infer(&pages, 2, 1);
	cr_assert(eq(u32, told.count, 2));
	expect_slot(&told, 0, 0, 0xa0000);
	expect_slot(&told, 1, 0xa1000, 2 * MIB);
}

Test(replay_pages, page_seen_as_both__is_mmio_in_either_order)
{
	struct replay_pages pages = {0};
	struct told told;

	replay_pages_add(&pages, 0x1000, REPLAY_PAGE_MMIO);
	replay_pages_add(&pages, 0x1000, REPLAY_PAGE_RAM);
	replay_pages_add(&pages, 0x5000, REPLAY_PAGE_RAM);
	replay_pages_add(&pages, 0x5000, REPLAY_PAGE_MMIO);
	told = infer(&pages, 0, 2);
	cr_assert(eq(u32, told.count, 0));
}

Test(replay_pages, top_of_the_address_space__does_not_wrap)
{
	struct replay_pages pages = {0};
	struct told told;

	replay_pages_add(&pages, UINT64_MAX - 0x1fff, REPLAY_PAGE_RAM);
	told = infer(&pages, 1, 0);
	cr_assert(eq(u32, told.count, 1));
	cr_assert(eq(u64, told.slots[0].gpa, UINT64_MAX - 0x1fffff));
	cr_assert(eq(u64, told.slots[0].bytes, 0x1ff000));
}

Test(replay_pages, repeated_pages__take_no_room)
{
	struct replay_pages pages = {0};
	uint64_t ram, mmio;
	unsigned i;

	for (i = 0; i < 1000000; i++)
		cr_assert(eq(int, replay_pages_add(&pages, (i % 1000) << 12, REPLAY_PAGE_RAM), 0));
	cr_assert(le(sz, pages.capacity, 4096));
	replay_pages_settle(&pages, &ram, &mmio);
	cr_assert(eq(u64, ram, 1000));
	replay_pages_clear(&pages);
}

Test(replay_pages, more_runs_than_slot_ids__are_bridged_wider)
{
	struct replay_pages pages = {0};
	struct told told = {0};
	uint64_t ram, mmio, i;

	/* A page every 8 MiB: 40,000 runs at a gap of 2 MiB, one at 8 MiB. */
	for (i = 0; i < 40000; i++)
		replay_pages_add(&pages, i * 8 * MIB, REPLAY_PAGE_RAM);
	replay_pages_settle(&pages, &ram, &mmio);
	cr_assert(eq(u64, ram, 40000));
	cr_assert(eq(int, replay_pages_slots(&pages, tell, &told), 0));
	cr_assert(eq(u32, told.count, 1));
	cr_assert(eq(u64, told.slots[0].bytes, 39999 * 8 * MIB + 2 * MIB));
	replay_pages_clear(&pages);
}
