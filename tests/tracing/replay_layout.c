/* SPDX-License-Identifier: MIT */
#include "tracing/replay_layout.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct vmmu_slot slot(unsigned id, uint64_t gpa, uint64_t bytes, uint64_t hva)
{
	return (struct vmmu_slot){.id = id, .gpa = gpa, .bytes = bytes, .hva = hva};
}

Test(replay_layout, aligned_slot__is_not_trimmed)
{
	struct vmmu_slot a = slot(0, 0x100000, 0x20000, 0x7f0000000000);

	cr_assert(eq(int, replay_layout_trim(&a, 16), 0));
	cr_assert(eq(u64, a.gpa, 0x100000));
	cr_assert(eq(u64, a.bytes, 0x20000));
	cr_assert(eq(u64, a.hva, 0x7f0000000000));
}

Test(replay_layout, slot_of_4k_pages_under_64k__loses_its_ragged_ends)
{
	struct vmmu_slot a = slot(0, 0x9000, 0x28000, 0x7f0000009000);

	/* 0x9000..0x31000 holds the whole 64 KiB pages 0x10000..0x30000. */
	cr_assert(eq(int, replay_layout_trim(&a, 16), 1));
	cr_assert(eq(u64, a.gpa, 0x10000));
	cr_assert(eq(u64, a.bytes, 0x20000));
	cr_assert(eq(u64, a.hva, 0x7f0000010000));
}

Test(replay_layout, slot_without_a_whole_page__vanishes)
{
	struct vmmu_slot a = slot(0, 0x9000, 0x10000, 0x7f0000009000);
	struct vmmu_slot b = slot(0, 0x1000, 0x2000, 0x7f0000001000);

	cr_assert(eq(int, replay_layout_trim(&a, 16), 1));
	cr_assert(eq(u64, a.bytes, 0));
	cr_assert(eq(int, replay_layout_trim(&b, 16), 1));
	cr_assert(eq(u64, b.bytes, 0));
}

Test(replay_layout, invented_address__is_aligned_as_the_gpa_and_never_zero)
{
	cr_assert(eq(u64, replay_layout_hva(0), 0x400000000000));
	cr_assert(eq(u64, replay_layout_hva(0x40201000), 0x400040201000));
	cr_assert(eq(u64, replay_layout_hva(UINT64_MAX & ~UINT64_C(0xfff)), 0x7ffffffff000));
}

Test(replay_layout, overlap__is_found_behind_a_shorter_neighbour)
{
	struct replay_layout layout = {0};
	struct vmmu_slot wide = slot(0, 0, 0x100000, 0x1000);
	struct vmmu_slot narrow = slot(1, 0x200000, 0x1000, 0x2000);

	cr_assert(eq(int, replay_layout_set(&layout, &wide), 0));
	cr_assert(eq(int, replay_layout_set(&layout, &narrow), 0));
	/* Only the wide one reaches here, and the narrow one starts later than it. */
	cr_assert(replay_layout_meets(&layout, 0x50000, 0x51000));
	cr_assert(not(replay_layout_meets(&layout, 0, 0x1000)));
	cr_assert(replay_layout_meets(&layout, 0, 0x1001));
	cr_assert(replay_layout_meets(&layout, 0x100fff, 0x200000));
	cr_assert(not(replay_layout_meets(&layout, 0x101000, 0x200000)));
	cr_assert(not(replay_layout_meets(&layout, 0x50000, 0x50000)));
	wide.bytes = 0;
	cr_assert(eq(int, replay_layout_set(&layout, &wide), 0));
	cr_assert(not(replay_layout_meets(&layout, 0x50000, 0x51000)));
	cr_assert(replay_layout_meets(&layout, 0x2000, 0x2001));
	replay_layout_clear(&layout);
}

Test(replay_layout, same_ids__replace_and_other_address_space__does_not)
{
	struct replay_layout layout = {0};
	struct vmmu_slot a = slot(7, 0, 0x1000, 0x10000), b = slot(7, 0, 0x1000, 0x20000);
	unsigned i;

	for (i = 0; i < 100; i++)
		cr_assert(eq(int, replay_layout_set(&layout, &a), 0));
	b.as_id = 1;
	cr_assert(eq(int, replay_layout_set(&layout, &b), 0));
	cr_assert(eq(sz, layout.count, 2));
	replay_layout_clear(&layout);
}
