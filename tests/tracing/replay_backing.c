/* SPDX-License-Identifier: MIT */
#include "tracing/replay_backing.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* A place in the host, aligned to 1 GiB, and frames as host lines would show them. */
#define HVA UINT64_C(0x7f40c0000000)
#define MIB UINT64_C(0x100000)

/* Levels of 4 KiB, 2 MiB, 1 GiB; and of 64 KiB, 512 MiB. */
static const struct vmmu_geometry small_pages = {
	.page_shift = 12,
	.levels = 4,
	.leaf_levels = 0xe,
	.gpa_bits = 48,
	.pa_bits = 52,
	.shift = {0, 12, 21, 30, 39},
};
static const struct vmmu_geometry large_pages = {
	.page_shift = 16,
	.levels = 3,
	.leaf_levels = 0x6,
	.gpa_bits = 48,
	.pa_bits = 48,
	.shift = {0, 16, 29, 42},
};

static struct replay_backing backing;

static void begin(const struct vmmu_geometry *geometry, enum vmmu_backing policy)
{
	cr_assert(eq(int, replay_backing_init(&backing, geometry, policy), 0));
}

static void learn(uint64_t hva, uint64_t pfn, const char *what)
{
	struct vmmu_trace_host host = {.hva = hva, .pfn = pfn, .present = true};

	for (; *what; what++) {
		host.huge |= *what == 'h';
		host.zero |= *what == 'z';
	}
	replay_backing_learn(&backing, &host);
}

static struct vmmu_page page_at(uint64_t hva, unsigned access)
{
	struct vmmu_page_request request = {.hva = hva, .access = access};
	struct vmmu_page page = {0};

	cr_assert(eq(int, replay_backing_page(&backing, &request, &page), VMMU_RESOLVE_OK));
	return page;
}

static void expect_page(struct vmmu_page page, uint64_t pfn, unsigned level, bool writable)
{
	cr_expect(eq(u64, page.pfn, pfn));
	cr_expect(eq(u32, page.level, level));
	cr_expect(eq(int, page.writable, writable));
}

static void end(void)
{
	replay_backing_destroy(&backing);
}

Test(replay_backing, nothing_known__frame_is_the_address_and_the_page_small, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	expect_page(page_at(HVA + 0x5000, VMMU_READ), (HVA + 0x5000) >> 12, 1, true);
}

Test(replay_backing, policy__overrules_what_is_known, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_4K);
	learn(HVA, 0x10400, "h");
	expect_page(page_at(HVA, VMMU_READ), 0x10400, 1, true);
	end();
	begin(&small_pages, VMMU_BACKING_2M);
	expect_page(page_at(HVA, VMMU_READ), HVA >> 12, 2, true);
	end();
	begin(&large_pages, VMMU_BACKING_2M);
	cr_expect(eq(u32, page_at(HVA, VMMU_READ).level, 1));
	end();
	begin(&large_pages, VMMU_BACKING_1G);
	expect_page(page_at(HVA + 0x10000, VMMU_READ), (HVA + 0x10000) >> 16, 2, true);
}

Test(replay_backing, host_line_of_a_small_page__gives_its_frame, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA + 0x1000, 0x2a5e, "");
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x2a5e, 1, true);
	/*
	 * Its neighbour is not known, and so not taken for huge.
	 */
	expect_page(page_at(HVA + 0x2000, VMMU_READ), (HVA + 0x2000) >> 12, 1, true);
}

Test(replay_backing, host_line_of_a_huge_page__holds_for_all_of_it, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA + 0x1000, 0x10401, "h");
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10401, 2, true);
	expect_page(page_at(HVA + 0x1ff000, VMMU_READ), 0x105ff, 2, true);
	cr_expect(eq(u32, replay_backing_level(&backing, HVA), 2));
	cr_expect(eq(u32, replay_backing_level(&backing, HVA + 2 * MIB), 1));
}

Test(replay_backing, huge_frame_that_is_not_congruent__is_small, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA + 0x1000, 0x10402, "h");
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10402, 1, true);
}

Test(replay_backing, zero_page__is_writable_only_for_a_write, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA, 0x97910, "z");
	expect_page(page_at(HVA, VMMU_READ), 0x97910, 1, false);
	expect_page(page_at(HVA, VMMU_WRITE), 0x97910, 1, true);
}

Test(replay_backing, forbidden_range__reads_read_only_and_has_no_page_for_a_write, .fini = end)
{
	struct vmmu_page_request request = {.hva = HVA + 0x1000, .access = VMMU_WRITE};
	struct vmmu_page page;

	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA + 0x1000, 0x10401, "h");
	replay_backing_forbid(&backing, HVA + 0x1000, HVA + 0x2000);
	cr_expect(eq(int, replay_backing_page(&backing, &request, &page), VMMU_RESOLVE_UNMAPPED));
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10401, 1, false);
	/* The rest of the huge page is still writable, and mapped small now. */
	expect_page(page_at(HVA + 0x2000, VMMU_WRITE), 0x10402, 1, true);
	replay_backing_allow(&backing, HVA + 0x1000, HVA + 0x2000);
	expect_page(page_at(HVA + 0x1000, VMMU_WRITE), 0x10401, 1, true);
}

Test(replay_backing, dropping_part_of_a_huge_page__splits_it_until_all_is_dropped, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA, 0x10400, "h");
	learn(HVA + 2 * MIB, 0x10600, "h");
	replay_backing_drop(&backing, HVA + 0x8000, HVA + 0x9000);
	cr_expect(eq(u32, replay_backing_level(&backing, HVA), 1));
	cr_expect(eq(u32, replay_backing_level(&backing, HVA + 2 * MIB), 2));
	/* A frame of a huge page is not yet a huge mapping. */
	learn(HVA, 0x10400, "h");
	cr_expect(eq(u32, replay_backing_level(&backing, HVA), 1));
	replay_backing_drop(&backing, HVA, HVA + 2 * MIB);
	cr_expect(eq(u32, replay_backing_level(&backing, HVA), 2));
}

/* Asked ahead of any access: is there a page? */
static bool is_ready(uint64_t hva)
{
	struct vmmu_page_request request = {
		.hva = hva, .access = VMMU_READ, .flags = VMMU_RESOLVE_NO_FAULT};
	struct vmmu_page page;

	return replay_backing_page(&backing, &request, &page) == VMMU_RESOLVE_OK;
}

Test(replay_backing, page_ahead_of_access__is_given_only_when_known_to_be_there, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	cr_expect(not(is_ready(HVA)));
	learn(HVA, 0x2a5e, "");
	cr_expect(is_ready(HVA));
	cr_expect(not(is_ready(HVA + 0x1000)));
	learn(HVA, 0x97910, "z");
	cr_expect(not(is_ready(HVA)));
	learn(HVA + 2 * MIB, 0x10600, "h");
	cr_expect(is_ready(HVA + 4 * MIB - 1));
	replay_backing_forbid(&backing, HVA + 2 * MIB, HVA + 2 * MIB + 0x1000);
	cr_expect(not(is_ready(HVA + 2 * MIB)));
	cr_expect(is_ready(HVA + 2 * MIB + 0x1000));
}

Test(replay_backing, page_of_a_touched_slot__is_there_until_dropped, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_prefault(&backing, HVA, HVA + 0x10000);
	cr_expect(is_ready(HVA + 0xf000));
	cr_expect(not(is_ready(HVA + 0x10000)));
	replay_backing_drop(&backing, HVA + 0x2000, HVA + 0x3000);
	cr_expect(not(is_ready(HVA + 0x2000)));
	cr_expect(is_ready(HVA + 0x3000));
}

Test(replay_backing, frame_of_a_split_huge_page__is_no_word_for_its_neighbours, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA, 0x10400, "h");
	replay_backing_drop(&backing, HVA + 0x1000, HVA + 0x2000);
	learn(HVA, 0x10400, "h");
	cr_expect(is_ready(HVA));
	cr_expect(not(is_ready(HVA + 0x1000)));
}

Test(replay_backing, pool_page_only_read__is_not_writable_and_never_split, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_pool(&backing, HVA, HVA + 8 * MIB);
	learn(HVA + 0x1000, 0x10401, "h");
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10401, 2, false);
	expect_page(page_at(HVA + 0x2000, VMMU_WRITE), 0x10402, 2, true);
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10401, 2, true);
	replay_backing_forbid(&backing, HVA + 0x1000, HVA + 0x2000);
	cr_expect(eq(u32, replay_backing_level(&backing, HVA), 2));
	replay_backing_drop(&backing, HVA, HVA + 2 * MIB);
	cr_expect(not(page_at(HVA, VMMU_READ).writable));
}

Test(replay_backing, pool_and_pages_allowed_late__make_answers_depend_on_the_order, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_forbid(&backing, HVA, HVA + MIB);
	cr_expect(not(replay_backing_is_ordered(&backing)));
	replay_backing_pool(&backing, HVA + 2 * MIB, HVA + 4 * MIB);
	cr_expect(replay_backing_is_ordered(&backing));
	end();
	begin(&small_pages, VMMU_BACKING_AUTO);
	backing.is_allowed_late = true;
	cr_expect(not(replay_backing_is_ordered(&backing)));
	replay_backing_forbid(&backing, HVA, HVA + MIB);
	cr_expect(replay_backing_is_ordered(&backing));
	end();
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_prefault(&backing, HVA, HVA + MIB);
	cr_expect(replay_backing_is_ordered(&backing));
}

Test(replay_backing, absent_page_or_empty_range__changes_nothing, .fini = end)
{
	struct vmmu_trace_host host = {.hva = HVA, .pfn = 5};

	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_learn(&backing, &host);
	replay_backing_drop(&backing, HVA + 5, HVA + 5);
	replay_backing_forbid(&backing, HVA + 5, HVA + 4);
	replay_backing_allow(&backing, HVA + 5, HVA + 5);
	replay_backing_drop(&backing, UINT64_MAX - 4, UINT64_MAX);
	expect_page(page_at(HVA, VMMU_WRITE), HVA >> 12, 1, true);
}

Test(replay_backing, address_wider_than_the_output__folds, .fini = end)
{
	static const struct vmmu_geometry narrow = {
		.page_shift = 12,
		.levels = 3,
		.leaf_levels = 2,
		.pa_bits = 40,
		.shift = {0, 12, 21, 30},
	};

	begin(&narrow, VMMU_BACKING_AUTO);
	/* 0x7f40c0005000 without what is above bit 39. */
	expect_page(page_at(HVA + 0x5000, VMMU_READ), UINT64_C(0x40c0005000) >> 12, 1, true);
}

/* Is the page behind HVA one that can be mapped ahead of any access? */
static bool is_there_ahead(uint64_t hva)
{
	struct vmmu_page_request request = {
		.hva = hva, .access = VMMU_READ, .flags = VMMU_RESOLVE_NO_FAULT};
	struct vmmu_page page = {0};

	return replay_backing_page(&backing, &request, &page) == VMMU_RESOLVE_OK;
}

Test(replay_backing, dropping_part_of_what_was_never_used__leaves_it_huge_at_first_use, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_drop(&backing, HVA + 0x5000, HVA + 0x6000);
	learn(HVA + 0x1000, 0x10401, "h");
	cr_expect(eq(u32, page_at(HVA + 0x3000, VMMU_READ).level, 2));
	/* Now it is in use. */
	replay_backing_drop(&backing, HVA + 0x5000, HVA + 0x6000);
	cr_expect(eq(u32, page_at(HVA + 0x3000, VMMU_READ).level, 1));
}

Test(replay_backing, what_nobody_used_while_forbidden__is_huge_when_allowed_again, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_forbid(&backing, HVA + 0x1000, HVA + 0x3000);
	replay_backing_allow(&backing, HVA + 0x1000, HVA + 0x3000);
	learn(HVA + 0xef000, 0x104ef, "h");
	cr_expect(eq(u32, page_at(HVA + 0x100000, VMMU_READ).level, 2));
	/* Used before: small, whatever becomes of the rest. */
	replay_backing_forbid(&backing, HVA + 0x1000, HVA + 0x3000);
	replay_backing_allow(&backing, HVA + 0x1000, HVA + 0x3000);
	cr_expect(eq(u32, page_at(HVA + 0x100000, VMMU_READ).level, 1));
}

Test(replay_backing, small_pages_that_were_written__are_writable_when_allowed_again, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	backing.is_allowed_late = true;
	learn(HVA + 0x1000, 0x2a01, "");
	learn(HVA + 2 * MIB, 0x10400, "h");
	replay_backing_prefault_small(&backing, HVA + 4 * MIB, HVA + 5 * MIB);
	for (unsigned i = 0; i < 3; i++) {
		replay_backing_forbid(&backing, HVA + 2 * i * MIB, HVA + 2 * i * MIB + 0x2000);
		replay_backing_allow(&backing, HVA + 2 * i * MIB, HVA + 2 * i * MIB + 0x2000);
	}
	cr_expect(page_at(HVA + 0x1000, VMMU_READ).writable);
	cr_expect(is_there_ahead(HVA + 0x1000));
	cr_expect(page_at(HVA + 4 * MIB, VMMU_READ).writable, "the host wrote it");
	cr_expect_not(page_at(HVA + 2 * MIB, VMMU_READ).writable, "part of a huge page");
	cr_expect_not(is_there_ahead(HVA + 2 * MIB));
	cr_expect(page_at(HVA + 2 * MIB, VMMU_WRITE).writable);
	cr_expect(page_at(HVA + 2 * MIB, VMMU_READ).writable, "it was written since");
}

Test(replay_backing, pool_page_forbidden__waits_for_a_write_when_allowed_again, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	replay_backing_pool(&backing, HVA, HVA + 4 * MIB);
	learn(HVA, 0x10400, "h");
	cr_expect(page_at(HVA, VMMU_WRITE).writable);
	replay_backing_forbid(&backing, HVA, HVA + 2 * MIB);
	replay_backing_allow(&backing, HVA, HVA + 2 * MIB);
	cr_expect_not(page_at(HVA + 0x1000, VMMU_READ).writable);
	cr_expect(page_at(HVA + 0x2000, VMMU_WRITE).writable);
	cr_expect(page_at(HVA + 0x1000, VMMU_READ).writable);
}

Test(replay_backing, pages_put_together__are_one_of_other_frames, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	backing.is_allowed_late = true;
	learn(HVA + 0x1000, 0x2a01, "h");
	replay_backing_forbid(&backing, HVA + 0x1000, HVA + 0x3000);
	replay_backing_allow(&backing, HVA + 0x1000, HVA + 0x3000);
	learn(HVA + 2 * MIB, 0x10600, "");
	replay_backing_join(&backing, HVA);
	/* Nothing tells of it yet. */
	expect_page(page_at(HVA + 0x1000, VMMU_READ), (HVA + 0x1000) >> 12, 1, true);
	expect_page(page_at(HVA + 2 * MIB, VMMU_READ), 0x10600, 1, true);
	learn(HVA + 0x5000, 0x10405, "h");
	expect_page(page_at(HVA + 0x1000, VMMU_READ), 0x10401, 2, true);
	cr_expect(is_there_ahead(HVA + 0x1000));
}

Test(replay_backing, another_huge_page_in_its_place__holds_for_all_of_it, .fini = end)
{
	begin(&small_pages, VMMU_BACKING_AUTO);
	learn(HVA + 0x1000, 0x3601, "hz");
	learn(HVA + 0x2000, 0x3602, "hz");
	cr_expect_not(page_at(HVA + 0x2000, VMMU_READ).writable);
	learn(HVA + 0x1000, 0xf201, "h");
	expect_page(page_at(HVA + 0x2000, VMMU_READ), 0xf202, 2, true);
}
