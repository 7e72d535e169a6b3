/* SPDX-License-Identifier: MIT */
/*
 * Groups of entries that a TLB may hold as one: Arm's contiguous bit, Svnapot. The hardware model,
 * written from the manuals alone, says what is one.
 */
#include <errno.h>
#include <string.h>
#include <vmmu/hw.h>

#include "base/bits.h"
#include "faults/bus.h"
#include "range/stand.h"

#define PFN UINT64_C(0x100000)

static const struct {
	const char *format;
	unsigned group_lg2; /* entries, level 1 */
} formats[] = {
	{"arm-s2-4k-cont", 4}, {"arm-s2-16k-cont", 7}, {"arm-s2-64k-cont", 5},
	{"sv39x4-napot", 4},   {"sv48x4-napot", 4},    {"sv57x4-napot", 4},
};

#define GROUP_TEST(name)                                                             \
	ParameterizedTestParameters(range_group, name)                               \
	{                                                                            \
		static unsigned indexes[] = {0, 1, 2, 3, 4, 5};                      \
		return cr_make_param_array(unsigned, indexes, ARRAY_COUNT(indexes)); \
	}                                                                            \
	ParameterizedTest(unsigned *index, range_group, name)

static struct stand *group_stand(unsigned index)
{
	return stand_create(outside_index(formats[index].format), NULL);
}

/* A CPU on the tables of STAND. Arm: 48 bits, TG0 by granule, SL0 for the start level. */
static struct vmmu_hw_cpu cpu_of(const struct stand *stand)
{
	static const uint64_t tg0[] = {[12] = 0, [14] = 2, [16] = 1};
	uint64_t root = bus_root(stand->vm), sl0 = 2;

	if (stand->geometry->gpa_bits != 48)
		return (struct vmmu_hw_cpu){
			.arch = VMMU_HW_RISCV,
			.u.riscv = {.features = VMMU_HW_RISCV_SVNAPOT | VMMU_HW_RISCV_SVPBMT,
				    .xlen = 64,
				    .vsxlen = 64,
				    .pa_bits = 56,
				    .hgatp = (uint64_t)(stand->geometry->levels + 5u) << 60 |
					     root >> 12,
				    .menvcfg = BIT64(62)},
		};
	return (struct vmmu_hw_cpu){
		.arch = VMMU_HW_ARM64,
		.u.arm64 = {.features = VMMU_HW_ARM64_XNX,
			    .pamax = 48,
			    .hcr_el2 = 1,
			    .vtcr_el2 = UINT64_C(5) << 16 | tg0[stand->page_shift] << 14 |
					sl0 << 6 | 16,
			    .vttbr_el2 = root},
	};
}

static struct vmmu_hw_walk look(struct stand *stand, uint64_t gfn, unsigned access)
{
	struct vmmu_hw_bus bus = bus_of(stand->vm);
	struct vmmu_hw_cpu cpu = cpu_of(stand);

	return bus_walk(&cpu, &bus, gfn << stand->page_shift, access, 0);
}

/* Hardware finds gfn's page at PFN + gfn in a range of 2^LG2 entries, and so do we. */
static void expect_in(struct stand *stand, uint64_t gfn, unsigned lg2)
{
	struct vmmu_hw_walk walk = look(stand, gfn, VMMU_READ);
	struct vmmu_walk ours;

	cr_expect_eq(walk.status, VMMU_HW_OK, "gfn %llu", (unsigned long long)gfn);
	cr_expect_eq(walk.stage2.output, (PFN + gfn) << stand->page_shift, "gfn %llu",
		     (unsigned long long)gfn);
	cr_expect_eq(walk.stage2.range_lg2, stand->page_shift + lg2, "gfn %llu: 2^%u",
		     (unsigned long long)gfn, walk.stage2.range_lg2);
	cr_assert_eq(vmmu_walk(stand->vm, 0, gfn << stand->page_shift, &ours), 0);
	cr_expect_eq(ours.entry.group_lg2, lg2);
	cr_expect_eq(ours.pfn, PFN + gfn);
	cr_expect_eq(ours.entry.pfn, PFN + gfn);
}

static void map(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	stand_begin(stand);
	cr_assert_eq(stand_map(stand, gfn, pages, PFN + gfn, VMMU_RWX, VMMU_MEM_WRITEBACK), 0);
	stand_end(stand);
}

/* Only what fills a group is one. */
GROUP_TEST(ragged_range__groups_in_its_middle)
{
	struct stand *stand = group_stand(*index);
	unsigned lg2 = formats[*index].group_lg2;
	uint64_t group = BIT64(lg2);

	map(stand, group - 3, 3 + group + 5);
	expect_in(stand, group - 3, 0);
	expect_in(stand, group - 1, 0);
	for (uint64_t gfn = group; gfn < 2 * group; gfn++)
		expect_in(stand, gfn, lg2);
	expect_in(stand, 2 * group, 0);
	expect_in(stand, 2 * group + 4, 0);
	cr_expect_eq(look(stand, 2 * group + 5, VMMU_READ).status, VMMU_HW_FAULT_HOST);
	stand_destroy(stand);
}

/* Pages and frames must be aligned alike. */
GROUP_TEST(frames_not_aligned_alike__stand_alone)
{
	struct stand *stand = group_stand(*index);
	uint64_t group = BIT64(formats[*index].group_lg2);
	struct vmmu_walk walk;

	stand_begin(stand);
	stand_map(stand, 0, 4 * group, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	for (uint64_t gfn = 0; gfn < 4 * group; gfn += group / 2) {
		cr_assert_eq(vmmu_walk(stand->vm, 0, gfn << stand->page_shift, &walk), 0);
		cr_expect_eq(walk.entry.group_lg2, 0);
	}
	stand_destroy(stand);
}

/* A whole table at once. Frames are one group off, or the pages would be a large one. */
GROUP_TEST(whole_table__is_all_groups)
{
	struct stand *stand = group_stand(*index);
	unsigned lg2 = formats[*index].group_lg2;
	uint64_t group = BIT64(lg2), large = stand_pages(stand, 2);
	struct vmmu_hw_walk walk;

	stand_begin(stand);
	stand_map(stand, large, large, PFN + large + group, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	cr_expect_eq(stand_stats(stand).mapped[1], large);
	for (uint64_t gfn = large; gfn < 2 * large; gfn += group / 2 + 1) {
		walk = look(stand, gfn, VMMU_WRITE);
		cr_expect_eq(walk.stage2.output, (PFN + gfn + group) << stand->page_shift);
		cr_expect_eq(walk.stage2.range_lg2, stand->page_shift + lg2);
	}
	stand_destroy(stand);
}

/* What a change of one page looks like from outside while it is made. */
static unsigned seen_groups, seen_pages;

static void look_at_all(struct stand *stand)
{
	seen_groups = seen_pages = 0;
	for (uint64_t gfn = 0; gfn < 1024; gfn++) {
		struct vmmu_walk walk;

		/* without the lock, which is held */
		cr_assert_eq(vmmu_walk(stand->vm, 0, gfn << stand->page_shift, &walk), 0);
		if (walk.entry.kind != VMMU_ENTRY_LEAF)
			continue;
		seen_groups += walk.entry.group_lg2 > 0;
		seen_pages++;
	}
}

/*
 * The manuals' order: all members invalid, flush, all members anew. So at the first flush nothing
 * of the group is there, and its neighbours are.
 */
GROUP_TEST(one_page_protected__its_group_breaks_before_it_stands_alone)
{
	struct stand *stand = group_stand(*index);
	unsigned lg2 = formats[*index].group_lg2;
	uint64_t group = BIT64(lg2);

	map(stand, 0, 3 * group);
	stand_begin(stand);
	stand->on_flush = look_at_all;
	stand_write_protect(stand, group + 1, 1);
	cr_expect_eq(stand->flushes, 1);
	cr_expect_eq(stand->last.gfn_start, group);
	cr_expect_eq(stand->last.gfn_end, 2 * group);
	cr_expect_eq(seen_pages, 2 * group);
	cr_expect_eq(seen_groups, 2 * group);
	stand->on_flush = NULL;
	stand_end(stand);
	expect_in(stand, group - 1, lg2);
	for (uint64_t gfn = group; gfn < 2 * group; gfn++)
		expect_in(stand, gfn, 0);
	expect_in(stand, 2 * group, lg2);
	cr_expect_eq(look(stand, group + 1, VMMU_WRITE).fault.cause, VMMU_HW_PERMISSION);
	cr_expect_eq(look(stand, group + 2, VMMU_WRITE).status, VMMU_HW_OK);
	stand_destroy(stand);
}

/* A group that goes as a whole goes without more ado; one that goes in part leaves single pages. */
GROUP_TEST(unmapped__whole_or_in_part)
{
	struct stand *stand = group_stand(*index);
	unsigned lg2 = formats[*index].group_lg2;
	uint64_t group = BIT64(lg2);

	map(stand, 0, 4 * group);
	stand_begin(stand);
	stand_unmap(stand, group, group);
	cr_expect_eq(stand->flushes, 0, "owed, for all at once");
	stand_unmap(stand, 3 * group - 1, 2);
	cr_expect_eq(stand->flushes, 2, "two groups broken");
	stand_end(stand);
	expect_in(stand, group - 1, lg2);
	cr_expect_eq(look(stand, group, VMMU_READ).fault.cause, VMMU_HW_ABSENT);
	expect_in(stand, 2 * group, 0);
	cr_expect_eq(look(stand, 3 * group - 1, VMMU_READ).fault.cause, VMMU_HW_ABSENT);
	cr_expect_eq(look(stand, 3 * group, VMMU_READ).fault.cause, VMMU_HW_ABSENT);
	expect_in(stand, 3 * group + 1, 0);
	cr_expect_eq(stand_stats(stand).mapped[1], 3 * group - 2);
	stand_destroy(stand);
}

/* Mapped again just so, in one piece or page by page, is mapped; otherwise it is in the way. */
GROUP_TEST(mapped_again__only_if_just_so)
{
	struct stand *stand = group_stand(*index);
	unsigned lg2 = formats[*index].group_lg2;
	uint64_t group = BIT64(lg2);

	map(stand, group, 2 * group);
	map(stand, group, 2 * group);
	map(stand, group + 3, 1);
	expect_in(stand, group + 3, lg2);
	stand_begin(stand);
	cr_expect_eq(stand_map(stand, group + 3, 1, PFN + group + 2, VMMU_RWX, VMMU_MEM_WRITEBACK),
		     -EEXIST);
	cr_expect_eq(stand_map(stand, group, group, PFN + group, VMMU_READ, VMMU_MEM_WRITEBACK),
		     -EEXIST);
	stand_end(stand);
	cr_expect_eq(stand->flushes, 0);
	stand_destroy(stand);
}

/* A page in the way stays what it is; what stands before it is mapped. */
GROUP_TEST(page_in_the_middle__stops_there)
{
	struct stand *stand = group_stand(*index);
	uint64_t group = BIT64(formats[*index].group_lg2);
	struct vmmu_walk walk;

	stand_begin(stand);
	stand_map(stand, group + 3, 1, PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
	cr_expect_eq(stand_map(stand, group, group, PFN + group, VMMU_RWX, VMMU_MEM_WRITEBACK),
		     -EEXIST);
	stand_end(stand);
	expect_in(stand, group + 2, 0);
	cr_assert_eq(vmmu_walk(stand->vm, 0, (group + 3) << stand->page_shift, &walk), 0);
	cr_expect_eq(walk.pfn, PFN);
	cr_expect_eq(stand_stats(stand).mapped[1], 4);
	stand_destroy(stand);
}

/* Blocks: 32M of 2M, 1G of 32M. Too few lie side by side in a window of the other formats. */
Test(range_group, blocks__are_groups_too)
{
	struct stand *stand = stand_create(outside_index("arm-s2-4k-cont"), NULL);
	uint64_t block = stand_pages(stand, 2);
	struct vmmu_hw_walk walk;

	map(stand, 16 * block, 17 * block);
	for (uint64_t gfn = 16 * block; gfn < 32 * block; gfn += block / 2) {
		walk = look(stand, gfn, VMMU_WRITE);
		cr_expect_eq(walk.stage2.output, (PFN + gfn) << 12);
		cr_expect_eq(walk.stage2.page_lg2, 21);
		cr_expect_eq(walk.stage2.range_lg2, 25);
	}
	cr_expect_eq(look(stand, 32 * block, VMMU_READ).stage2.range_lg2, 21);
	/* one page of one block: the group falls apart, and the block */
	stand_begin(stand);
	stand_write_protect(stand, 20 * block + 5, 1);
	stand_end(stand);
	cr_expect_eq(look(stand, 19 * block, VMMU_READ).stage2.range_lg2, 21);
	cr_expect_eq(look(stand, 20 * block + 5, VMMU_WRITE).fault.cause, VMMU_HW_PERMISSION);
	cr_expect_eq(look(stand, 20 * block + 6, VMMU_WRITE).status, VMMU_HW_OK);
	stand_begin(stand);
	stand_unmap(stand, 17 * block, block);
	stand_unmap(stand, 21 * block + 1, 1);
	stand_end(stand);
	stand_destroy(stand);
}
