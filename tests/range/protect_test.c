/* SPDX-License-Identifier: MIT */
/* Rights taken and given back. */
#include <string.h>

#include "range/stand.h"

#define PFN (UINT64_C(1) << 24)

static void map(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	stand_begin(stand);
	cr_assert_eq(stand_map(stand, gfn, pages, PFN + gfn, access, VMMU_MEM_WRITEBACK), 0);
	stand_end(stand);
}

static void protect(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	stand_begin(stand);
	cr_assert_eq(stand_protect(stand, gfn, pages, access), 0);
	stand_end(stand);
}

static void write_protect(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	stand_begin(stand);
	cr_assert_eq(stand_write_protect(stand, gfn, pages), 0);
	stand_end(stand);
}

static unsigned access_of(struct stand *stand, uint64_t gfn)
{
	struct vmmu_walk walk;

	cr_assert_eq(vmmu_walk(stand->vm, 0, gfn << stand->page_shift, &walk), 0);
	return walk.access;
}

RANGE_TEST(range_protect, write_is_given__only_where_it_was_mapped_with)
{
	struct stand *stand = stand_create(*index, NULL);

	map(stand, 0, 1, VMMU_RWX);
	map(stand, 1, 1, VMMU_READ | VMMU_EXEC);
	protect(stand, 0, 4, VMMU_READ);
	cr_assert_eq(access_of(stand, 0), VMMU_READ);
	cr_assert_eq(access_of(stand, 1), VMMU_READ);
	protect(stand, 0, 4, VMMU_RWX);
	cr_assert_eq(access_of(stand, 0), VMMU_RWX);
	cr_assert_eq(access_of(stand, 1), VMMU_READ | VMMU_EXEC);
	protect(stand, 0, 1, VMMU_READ | VMMU_WRITE);
	cr_assert_eq(access_of(stand, 0), VMMU_READ | VMMU_WRITE);
	stand_destroy(stand);
}

/* One page, and a range: the way there differs. */
RANGE_TEST(range_protect, write_given_back__the_entry_is_as_it_was)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_digest before, after;

	stand_begin(stand);
	stand_map(stand, 0, 600, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	cr_assert_eq(vmmu_digest(stand->vm, &before), 0);
	write_protect(stand, 0, 600);
	cr_assert_eq(access_of(stand, 0), VMMU_READ | VMMU_EXEC);
	for (uint64_t gfn = 0; gfn < 50; gfn++)
		protect(stand, gfn, 1, VMMU_RWX);
	protect(stand, 50, 550, VMMU_RWX);
	cr_assert_eq(vmmu_digest(stand->vm, &after), 0);
	cr_assert_eq(before.high, after.high);
	cr_assert_eq(before.low, after.low);
	stand_destroy(stand);
}

RANGE_TEST(range_protect, a_part_of_a_large_page__splits_it)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map(stand, 0, 2 * large, VMMU_RWX);
	protect(stand, large - 2, 4, VMMU_READ);
	cr_assert_eq(stand_stats(stand).mapped[1], 2 * large);
	cr_assert_eq(access_of(stand, large - 3), VMMU_RWX);
	cr_assert_eq(access_of(stand, large - 2), VMMU_READ);
	cr_assert_eq(access_of(stand, large + 1), VMMU_READ);
	cr_assert_eq(access_of(stand, large + 2), VMMU_RWX);
	stand_destroy(stand);
}

RANGE_TEST(range_protect, a_whole_large_page__stays_one)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map(stand, 0, 2 * large, VMMU_RWX);
	write_protect(stand, large, large);
	cr_assert_eq(stand_stats(stand).mapped[2], 2);
	cr_assert_eq(access_of(stand, large), VMMU_READ | VMMU_EXEC);
	cr_assert_eq(access_of(stand, large - 1), VMMU_RWX);
	cr_assert_eq(stand->last.gfn_start, large);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	stand_destroy(stand);
}

RANGE_TEST(range_write_protect, a_page__flushes_just_it)
{
	struct stand *stand = stand_create(*index, NULL);
	unsigned group = stand->geometry->group_lg2[1];
	uint64_t flushes;

	map(stand, 0, 64, VMMU_RWX);
	write_protect(stand, 9, 1);
	/* a group is flushed as a whole before it is taken apart */
	cr_assert_eq(stand->flushes, group && group <= 6 ? 2 : 1);
	cr_assert_eq(stand->last.gfn_start, 9);
	cr_assert_eq(stand->last.gfn_end, 10);
	cr_assert(!stand->last.local);
	flushes = stand->flushes;
	write_protect(stand, 9, 1);
	cr_assert_eq(stand->flushes, flushes, "nothing changed");
	stand_destroy(stand);
}

/*
 * Whole tables: once without atomics, then with entries that are volatile, then with none to
 * change.
 */
RANGE_TEST(range_write_protect, whole_tables__twice)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2), flushes;

	stand_begin(stand);
	cr_assert_eq(stand_map(stand, 0, 2 * large, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK), 0);
	stand_unmap(stand, 5, 3);
	stand_end(stand);
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->last.gfn_start, 0);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	flushes = stand->flushes;
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->flushes, flushes);
	/* not the first of those that are looked at together */
	protect(stand, large + 41, 3, VMMU_RWX);
	flushes = stand->flushes;
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->flushes, flushes + 1);
	cr_assert_eq(stand->last.gfn_start, large + 41);
	cr_assert_eq(stand->last.gfn_end, large + 44);
	stand_destroy(stand);
}

static int fault(struct stand *stand, struct vmmu_vcpu *vcpu, uint64_t gfn, unsigned access,
		 bool *fast)
{
	struct vmmu_fault fault = {.gpa = gfn << stand->page_shift, .access = access};
	int outcome = vmmu_fault(vcpu, &fault);

	*fast = fault.fast;
	return outcome;
}

/* The VM's own faults give WRITE back, and nothing else. */
RANGE_TEST(range_faults, a_write_to_a_protected_page__is_fixed_without_the_lock)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_vcpu *vcpu;
	bool fast;

	map(stand, 0, 4, VMMU_RWX);
	map(stand, 4, 1, VMMU_READ);
	write_protect(stand, 0, 4);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &vcpu), 0);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_READ, &fast), VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_WRITE, &fast), VMMU_FIXED);
	cr_assert(fast);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_WRITE, &fast), VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, vcpu, 4, VMMU_WRITE, &fast), VMMU_EMULATE);
	cr_assert_eq(fault(stand, vcpu, 5, VMMU_READ, &fast), VMMU_EMULATE);
	cr_assert_eq(access_of(stand, 1), VMMU_READ | VMMU_EXEC);
	cr_assert_eq(access_of(stand, 2), VMMU_RWX);
	/* the model learns what the fault did */
	protect(stand, 2, 1, VMMU_RWX);
	vmmu_vcpu_destroy(vcpu);
	stand_destroy(stand);
}

/* A guest access at the moment of the flush; a fault takes no lock in such a VM. */
static void fault_in_flush(struct stand *stand)
{
	bool fast;

	stand->on_flush = NULL;
	stand->outcome = fault(stand, stand->vcpu, 1, VMMU_READ, &fast);
}

/* Some take the large page out before the table comes: that is not "no memory there". */
RANGE_TEST(range_faults, while_a_large_page_is_split__memory_stays_memory)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	bool breaks = vmmu_format_info(outside_at(*index))->caps & VMMU_CAP_BREAK_FIRST;
	bool fast;

	map(stand, 0, large, VMMU_RWX);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &stand->vcpu), 0);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_READ, &fast), VMMU_SPURIOUS);
	stand->on_flush = fault_in_flush;
	protect(stand, 7, 1, VMMU_READ);
	cr_assert_eq(stand->outcome, breaks ? VMMU_RETRY : VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_WRITE, &fast), VMMU_SPURIOUS);
	vmmu_vcpu_destroy(stand->vcpu);
	stand_destroy(stand);
}

/*
 * The fault comes just before the table that splits the page: no frame is free, so what is owed is
 * flushed first.
 */
static void write_in_flush(struct stand *stand)
{
	bool fast;

	stand->on_flush = NULL;
	stand->outcome = fault(stand, stand->vcpu, 1, VMMU_WRITE, &fast);
}

RANGE_TEST(range_faults, write_given_back_during_a_split__is_not_lost)
{
	struct stand *stand = stand_create_short(*index);
	uint64_t large = stand_pages(stand, 2);
	bool fast;

	map(stand, 0, large, VMMU_RWX);
	write_protect(stand, 0, large);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &stand->vcpu), 0);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_READ, &fast), VMMU_SPURIOUS);
	stand_begin(stand);
	stand_map(stand, large, stand->gfns - large, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	cr_assert_eq(stand->short_count, 1);
	stand_unmap(stand, large, large);
	stand->on_flush = write_in_flush;
	cr_assert_eq(stand_protect(stand, 7, 1, VMMU_READ), 0);
	stand_end(stand);
	cr_assert_eq(stand->outcome, VMMU_FIXED);
	cr_assert_eq(access_of(stand, 0), VMMU_RWX);
	cr_assert_eq(access_of(stand, 1), VMMU_RWX);
	cr_assert_eq(access_of(stand, 7), VMMU_READ);
	cr_assert_eq(access_of(stand, large - 1), VMMU_RWX);
	/* the model learns of it */
	protect(stand, 0, 7, VMMU_RWX);
	protect(stand, 8, large - 8, VMMU_RWX);
	vmmu_vcpu_destroy(stand->vcpu);
	stand_destroy(stand);
}
