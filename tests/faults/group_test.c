/* SPDX-License-Identifier: MIT */
/*
 * Faults that map a whole group (Arm's contiguous bit, Svnapot), and what takes it apart. The
 * hardware model, written from the manuals, says what a TLB may hold as one.
 */
#include "faults/group_stand.h"
#include "faults/vm.h"

#define GROUP_TEST(name) GROUP_NAMED(faults_group, name)

GROUP_TEST(first_touch__maps_all_of_the_group)
{
	struct stand stand = stand_of(*index);
	struct access_result result;

	result = machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	cr_assert_eq(result.fault.level, 1);
	cr_assert_eq(result.fault.pfn, HOST_PFN + page(stand, 5));
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	cr_assert_eq(range_of(stand, page(stand, 0) - 1), -1);
	cr_assert_eq(range_of(stand, page(stand, stand.group)), -1);
	cr_assert_eq(stats(stand).mapped[1], stand.group);
	cr_assert_eq(stats(stand).grouped, 1);
	/* the others need no fault, but where a hart remembers that nothing was there */
	machine_touch(stand.machine, page(stand, 0), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, stand.group - 1), VMMU_EXEC);
	cr_assert_eq(stats(stand).faults[VMMU_FIXED], 1);
	cr_assert_eq(stats(stand).ungrouped, 0);
	stand_end(stand);
}

GROUP_TEST(host_with_less_in_one_piece__maps_the_page_alone)
{
	struct stand stand = stand_with(*index,
					(struct machine_options){.span_lg2_max = 3 /* pages: 8 */});

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	cr_assert_eq(stand.machine->spans_asked, 1);
	expect_ranges(stand, 5, 1, 0);
	cr_assert_eq(stats(stand).mapped[1], 1);
	cr_assert_eq(stats(stand).grouped, 0);
	stand_end(stand);
}

/* One page that differs in frame, rights or type is enough: the host's answer says so. */
GROUP_TEST(one_other_page_behind_it__maps_the_page_alone)
{
	struct stand stand = stand_of(*index);
	struct host_page *host = stand.machine->host.pages;

	host[page(stand, 9)].pfn += 4096;
	host[page(stand, 9) + stand.group].writable = false;
	host[page(stand, 9) + 2 * stand.group].memtype = VMMU_MEM_DEVICE;
	for (uint64_t i = 0; i < 3; i++)
		machine_touch(stand.machine, page(stand, 5) + i * stand.group, VMMU_READ);
	cr_assert_eq(stats(stand).mapped[1], 3);
	cr_assert_eq(stats(stand).grouped, 0);
	stand_end(stand);
}

GROUP_TEST(slot_with_a_part_of_it__maps_the_page_alone)
{
	struct stand stand = stand_of(*index);

	machine_slot_delete(stand.machine, 0, 0);
	machine_slot(stand.machine, 1, page(stand, 1), 2 * stand.group - 2, page(stand, 1), 0);
	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 5) + stand.group, VMMU_WRITE);
	cr_assert_eq(stats(stand).mapped[1], 2);
	cr_assert_eq(stand.machine->spans_asked, 0);
	stand_end(stand);
}

GROUP_TEST(frames_not_aligned_alike__maps_the_page_alone)
{
	struct stand stand = stand_of(*index);

	machine_slot_delete(stand.machine, 0, 0);
	machine_slot(stand.machine, 1, stand.group, 2 * stand.group, stand.group + 1, 0);
	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	cr_assert_eq(stats(stand).mapped[1], 1);
	cr_assert_eq(stand.machine->spans_asked, 0);
	machine_destroy(stand.machine);
}

GROUP_TEST(page_mapped_before__others_follow_alone)
{
	struct stand stand = stand_of(*index);

	stand.machine->span_lg2_max = 0;
	machine_touch(stand.machine, page(stand, stand.group - 1), VMMU_WRITE);
	stand.machine->span_lg2_max = 20;
	machine_touch(stand.machine, page(stand, 2), VMMU_WRITE);
	expect_ranges(stand, 2, 1, 0);
	cr_assert_eq(stats(stand).mapped[1], 2);
	stand_end(stand);
}

/* A write while it is being taken away, beside a page that nobody takes. */
GROUP_TEST(host_taking_one_page_away__maps_another_alone)
{
	struct stand stand = stand_of(*index);

	cr_assert_eq(machine_invalidate_begin(stand.machine, page(stand, 7), 1), 0);
	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	cr_assert_eq(stats(stand).mapped[1], 1);
	cr_assert_eq(machine_invalidate_end(stand.machine, page(stand, 7), 1), 0);
	stand_end(stand);
}

GROUP_TEST(one_page_taken_away__others_stand_alone)
{
	struct stand stand = stand_of(*index);

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 5) + stand.group, VMMU_WRITE);
	machine_flushes_forget(stand.machine);
	cr_assert_eq(machine_invalidate_begin(stand.machine, page(stand, 7), 1), 0);
	machine_check_tlb(stand.machine);
	cr_assert_eq(range_of(stand, page(stand, 7)), -1);
	expect_ranges(stand, 0, 7, 0);
	expect_ranges(stand, 8, stand.group - 8, 0);
	expect_ranges(stand, stand.group, stand.group, (int)stand.lg2);
	cr_assert_eq(machine_global_flushes(stand.machine), 2, "the break, and the page");
	cr_assert(machine_was_flushed(stand.machine, 0, page(stand, 0), page(stand, stand.group)));
	cr_assert_eq(machine_invalidate_end(stand.machine, page(stand, 7), 1), 0);
	cr_assert_eq(stats(stand).mapped[1], 2 * stand.group - 1);
	cr_assert_eq(stats(stand).ungrouped, 1);
	/* it comes back alone */
	machine_touch(stand.machine, page(stand, 7), VMMU_WRITE);
	expect_ranges(stand, 0, stand.group, 0);
	stand_end(stand);
}

GROUP_TEST(part_of_one_and_all_of_the_next_taken_away__what_is_left_stands_alone)
{
	struct stand stand = stand_of(*index);

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, stand.group + 5), VMMU_WRITE);
	cr_assert_eq(stats(stand).grouped, 2);
	cr_assert_eq(machine_invalidate_begin(stand.machine, page(stand, 3), 2 * stand.group - 3),
		     0);
	cr_assert_eq(machine_invalidate_end(stand.machine, page(stand, 3), 2 * stand.group - 3), 0);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, 3, 0);
	for (uint64_t i = 3; i < 2 * stand.group; i++)
		cr_assert_eq(range_of(stand, page(stand, i)), -1);
	cr_assert_eq(stats(stand).ungrouped, 1);
	stand_end(stand);
}

static void count_strangers(void *ctx, const struct vmmu_finding *finding)
{
	unsigned *count = ctx;

	*count += !strcmp(finding->invariant, "leaf-group");
}

/* All are members, and the frame of one is not the one that its place asks for. */
GROUP_TEST(member_with_another_frame__is_found)
{
	struct stand stand = stand_of(*index);
	struct vmmu_audit audit;
	struct vmmu_walk walk;
	_Atomic uint64_t *ptep;
	unsigned count = 0;
	uint64_t pte;

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	walk = machine_walk(stand.machine, 0, page(stand, 7));
	ptep = frame_ptr(&stand.machine->vm->tree.frames, walk.pte_hpa);
	pte = atomic_load(ptep);
	/* bit 30: of Arm's output address, of RISC-V's PPN */
	atomic_store(ptep, pte ^ UINT64_C(1) << 30);
	cr_assert_eq(vmmu_audit(stand.machine->vm, &audit, count_strangers, &count), 0);
	cr_assert_geq(count, 1);
	atomic_store(ptep, pte);
	stand_end(stand);
}

GROUP_TEST(all_of_it_taken_away__no_break_and_a_group_again)
{
	struct stand stand = stand_of(*index);

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_touch(stand.machine, page(stand, 5) + stand.group, VMMU_WRITE);
	machine_flushes_forget(stand.machine);
	/* and the first page of the next one */
	cr_assert_eq(machine_invalidate_begin(stand.machine, page(stand, 0), stand.group + 1), 0);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, stand.group + 1, -1);
	expect_ranges(stand, stand.group + 1, stand.group - 1, 0);
	cr_assert_eq(stats(stand).ungrouped, 1, "the next one alone");
	cr_assert_eq(machine_global_flushes(stand.machine), 2);
	cr_assert_eq(machine_invalidate_end(stand.machine, page(stand, 0), stand.group + 1), 0);
	machine_touch(stand.machine, page(stand, 3), VMMU_READ);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	stand_end(stand);
}

GROUP_TEST(page_replaced__alone_among_pages_that_stand_alone)
{
	struct stand stand = stand_of(*index);
	struct vmmu_page other = {.pfn = HOST_PFN + 9000, .level = 1};
	struct host_page *host = &stand.machine->host.pages[page(stand, 7)];

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	host->pfn = other.pfn;
	host->writable = false;
	cr_assert_eq(
		vmmu_remap(stand.machine->vm, machine_hva(stand.machine, page(stand, 7)), &other),
		0);
	machine_check_tlb(stand.machine);
	cr_assert_eq(machine_walk(stand.machine, 0, page(stand, 7)).pfn, other.pfn);
	expect_ranges(stand, 0, 7, 0);
	expect_ranges(stand, 8, stand.group - 8, 0);
	cr_assert_eq(stats(stand).remapped, 1);
	stand_end(stand);
}

/* Many groups, one flush for all of a table, and one for WRITE. */
GROUP_TEST(logging__takes_groups_apart_and_makes_none)
{
	struct stand stand = stand_of(*index);

	for (uint64_t i = 0; i < 3; i++)
		machine_touch(stand.machine, page(stand, 5) + i * stand.group, VMMU_WRITE);
	machine_flushes_forget(stand.machine);
	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	machine_check_tlb(stand.machine);
	cr_assert_eq(machine_global_flushes(stand.machine), 2);
	cr_assert_eq(stats(stand).ungrouped, 3);
	expect_ranges(stand, 0, 3 * stand.group, 0);
	machine_touch(stand.machine, page(stand, 6), VMMU_WRITE);
	cr_assert_eq(stats(stand).fast_fixes, 1, "without the lock, as any page");
	cr_assert_eq(machine_dirty_get(stand.machine, 0, 0), 1);
	machine_touch(stand.machine, stand.group + 3, VMMU_READ);
	cr_assert_eq(range_of(stand, stand.group + 3), 0);
	cr_assert_eq(stats(stand).grouped, 3);
	stand_end(stand);
}

GROUP_TEST(logging_with_all_set__a_group_lasts_until_one_of_its_pages_is_cleared)
{
	struct stand stand = stand_with(
		*index, (struct machine_options){.dirty_flags = VMMU_DIRTY_MANUAL |
								VMMU_DIRTY_INITIALLY_SET});
	uint64_t bit = page(stand, 7) - stand.group, bitmap = BIT64(bit & 63);
	struct vmmu_dirty_range range = {
		.first = bit & ~UINT64_C(63), .pages = 64, .bitmap = &bitmap};

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	set_slot(stand, VMMU_SLOT_LOG_DIRTY);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	machine_audit(stand.machine);
	if (range.pages > GROUPS * stand.group - range.first)
		range.pages = GROUPS * stand.group - range.first;
	cr_assert_eq(machine_dirty_clear(stand.machine, &range), 1);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, stand.group, 0);
	for (uint64_t i = 0; i < stand.group; i++)
		cr_assert_eq(machine_walk(stand.machine, 0, page(stand, i)).access,
			     i == 7 ? VMMU_READ | VMMU_EXEC : VMMU_RWX);
	stand_end(stand);
}

/* Like a large page: who looks at one page looks at all. */
GROUP_TEST(aged_by_one_page__all_of_it_until_the_next_use)
{
	struct stand stand = stand_of(*index);
	uint64_t hva = machine_hva(stand.machine, page(stand, 7));
	struct vmmu_hva_range one = {hva, hva + machine_gpa(stand.machine, 1)};
	uint64_t last = machine_hva(stand.machine, page(stand, stand.group - 1));
	struct vmmu_hva_range other = {last, last + machine_gpa(stand.machine, 1)};

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &one), 1);
	cr_assert_eq(vmmu_age(stand.machine->vm, &one), 1);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &one), 0);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &other), 0);
	cr_assert_eq(stats(stand).aged, 1);
	machine_audit(stand.machine);
	tlb_flush_range(stand.machine, 0, 0, 0, UINT64_MAX);
	machine_touch(stand.machine, page(stand, 2), VMMU_READ);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &one), 1);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &other), 1);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	cr_assert_eq(stats(stand).fast_fixes, 1);
	cr_assert_eq(stats(stand).ungrouped, 0);
	/* aged, and then taken apart: what is left says what it said */
	cr_assert_eq(vmmu_age(stand.machine->vm, &one), 1);
	cr_assert_eq(machine_invalidate_begin(stand.machine, page(stand, 0), 1), 0);
	cr_assert_eq(machine_invalidate_end(stand.machine, page(stand, 0), 1), 0);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &one), 0);
	machine_touch(stand.machine, page(stand, 7), VMMU_WRITE);
	cr_assert_eq(vmmu_test_age(stand.machine->vm, &one), 1);
	stand_end(stand);
}

GROUP_TEST(memory_private_in_part__no_group)
{
	struct stand stand = stand_of(*index);

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_attributes_set(stand.machine, page(stand, 7), 1, VMMU_ATTRIBUTE_PRIVATE);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, 7, 0);
	cr_assert_eq(range_of(stand, page(stand, 7)), -1);
	cr_assert_eq(vmmu_zap_all(stand.machine->vm), 0);
	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	expect_ranges(stand, 5, 1, 0);
	machine_touch(stand.machine, page(stand, 5) + stand.group, VMMU_WRITE);
	expect_ranges(stand, stand.group, stand.group, (int)stand.lg2);
	machine_attributes_set(stand.machine, page(stand, 0), 2 * stand.group,
			       VMMU_ATTRIBUTE_PRIVATE);
	machine_access_with(stand.machine, 0, machine_gpa(stand.machine, page(stand, 5)),
			    VMMU_WRITE, 0, 0);
	cr_assert_neq(range_of(stand, page(stand, 5)), (int)stand.lg2, "told of the shared one");
	stand_end(stand);
}

/* The host lets one page be written without taking it away first. */
GROUP_TEST(page_that_may_be_written_now__written_alone)
{
	struct stand stand = stand_of(*index);
	struct vmmu_fault fault;

	for (uint64_t i = 0; i < stand.group; i++)
		stand.machine->host.pages[page(stand, i)].writable = false;
	machine_touch(stand.machine, page(stand, 5), VMMU_READ);
	expect_ranges(stand, 0, stand.group, (int)stand.lg2);
	cr_assert_eq(machine_fault(stand.machine, page(stand, 6), VMMU_READ, 0, &fault),
		     VMMU_SPURIOUS);
	cr_assert_eq(fault.pfn, HOST_PFN + page(stand, 6));
	stand.machine->host.pages[page(stand, 7)].writable = true;
	machine_touch(stand.machine, page(stand, 7), VMMU_WRITE);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 0, stand.group, 0);
	cr_assert_eq(machine_walk(stand.machine, 0, page(stand, 6)).access, VMMU_READ | VMMU_EXEC);
	cr_assert_eq(stats(stand).ungrouped, 1);
	stand_end(stand);
}

GROUP_TEST(slot_gone__its_groups_too)
{
	struct stand stand = stand_of(*index);

	machine_touch(stand.machine, page(stand, 5), VMMU_WRITE);
	machine_slot_delete(stand.machine, 0, 0);
	machine_check_tlb(stand.machine);
	cr_assert_eq(stats(stand).mapped[1], 0);
	cr_assert_eq(stats(stand).ungrouped, 0);
	machine_access(stand.machine, 0, machine_gpa(stand.machine, page(stand, 5)), VMMU_READ);
	cr_assert_eq(machine_kind(stand.machine, 0, page(stand, 5)), VMMU_ENTRY_MMIO);
	stand_end(stand);
}

GROUP_TEST(prefault__maps_groups)
{
	struct stand stand = stand_of(*index);
	uint64_t bytes = machine_gpa(stand.machine, 2 * stand.group), done;

	machine_enter(stand.machine, 0);
	cr_assert_eq(vmmu_prefault(stand.machine->vcpu[0].vcpu,
				   machine_gpa(stand.machine, page(stand, 0)), bytes, &done),
		     0);
	cr_assert_eq(done, bytes);
	expect_ranges(stand, 0, 2 * stand.group, (int)stand.lg2);
	cr_assert_eq(stats(stand).grouped, 2);
	cr_assert_eq(stats(stand).prefaulted, 2);
	stand_end(stand);
}

Test(faults_group, blocks__are_a_group)
{
	struct stand stand = blocks_with((struct machine_options){0});

	cr_assert_eq(machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE).fault.level, 2);
	for (uint64_t i = 0; i < stand.group; i += 100)
		expect_ranges(stand, i, 1, 13);
	cr_assert_eq(stats(stand).mapped[2], 16);
	/* logging protects each by itself; a write splits one */
	machine_slot(stand.machine, 0, stand.group, 2 * stand.group, stand.group,
		     VMMU_SLOT_LOG_DIRTY);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 1234, 1, 9);
	machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE);
	expect_ranges(stand, 1234, 1, 0);
	expect_ranges(stand, 5000, 1, 9);
	cr_assert_eq(stats(stand).ungrouped, 1);
	stand_end(stand);
}

/* Something is counted against one block of a group's: whoever will track writes does so. */
Test(faults_group, block_that_may_not_be__others_alone)
{
	struct stand stand = blocks_with((struct machine_options){0});
	struct memslot *slot = slots_by_id(&stand.machine->vm->slots, 0, 0);

	memslot_lpage_add(slot, stand.machine->geometry, page(stand, 5000), 1);
	cr_assert_eq(machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE).fault.level, 2);
	expect_ranges(stand, 1234, 1, 9);
	cr_assert_eq(stats(stand).grouped, 0);
	cr_assert_eq(machine_touch(stand.machine, page(stand, 5000), VMMU_WRITE).fault.level, 1);
	memslot_lpage_add(slot, stand.machine->geometry, page(stand, 5000), -1);
	stand_end(stand);
}

/* A smaller page that an access asks for, where a block of a group is. */
Test(faults_group, smaller_page_wanted__its_block_leaves_the_group)
{
	struct stand stand = blocks_with((struct machine_options){.nx_huge = true});

	machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE);
	expect_ranges(stand, 4000, 1, 13);
	machine_touch(stand.machine, page(stand, 1234), VMMU_EXEC);
	machine_check_tlb(stand.machine);
	expect_ranges(stand, 4000, 1, 9);
	cr_assert_eq(machine_walk(stand.machine, 0, page(stand, 1234)).level, 1);
	cr_assert_eq(stats(stand).ungrouped, 1);
	stand_end(stand);
}

Test(faults_group, split_ahead__takes_groups_apart)
{
	struct stand stand = blocks_with((struct machine_options){.eager_split = true});

	machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE);
	machine_slot(stand.machine, 0, stand.group, 2 * stand.group, stand.group,
		     VMMU_SLOT_LOG_DIRTY);
	machine_check_tlb(stand.machine);
	cr_assert_eq(stats(stand).split, 16);
	cr_assert_eq(stats(stand).ungrouped, 1);
	expect_ranges(stand, 1234, 1, 0);
	stand_end(stand);
}

/* Of the 16 blocks one may not be large. */
Test(faults_group, slot_that_ends_in_a_block__leaves_its_blocks_alone)
{
	struct stand stand = blocks_with((struct machine_options){0});

	machine_slot_delete(stand.machine, 0, 0);
	machine_slot(stand.machine, 1, stand.group, 2 * stand.group - 1, stand.group, 0);
	machine_touch(stand.machine, page(stand, 1234), VMMU_WRITE);
	expect_ranges(stand, 1234, 1, 9);
	machine_touch(stand.machine, 2 * stand.group - 1, VMMU_WRITE);
	cr_assert_eq(range_of(stand, 2 * stand.group - 1), 13);
	stand_end(stand);
}
