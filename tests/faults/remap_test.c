/* SPDX-License-Identifier: MIT */
/* The host puts another page behind an address: in place where that is safe. */
#include <errno.h>

#include "faults/harness.h"

/* Slot 0: gfns 32..63 behind host pages 0..31; slots over parts of the same pages elsewhere. */
static struct machine *machine_with_aliases(unsigned format_index)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot_in(machine, 0, 0, 32, 32, 0, 0);
	machine_slot_in(machine, 0, 1, 100, 8, 2, 0);
	machine_slot_in(machine, 1, 7, 300, 4, 3, 0);
	machine_vcpu_as(machine, 1, 1);
	return machine;
}

/* The host's own tables first, then the call, as the header has it. */
static int remap(struct machine *machine, uint64_t page, uint64_t pfn, bool writable)
{
	struct vmmu_page new_page = {.pfn = pfn, .level = 1, .writable = writable};

	machine_op(machine, "remap host %llu", (unsigned long long)page);
	machine->host.pages[page] =
		(struct host_page){.pfn = pfn, .level = 1, .writable = writable};
	return vmmu_remap(machine->vm, machine_hva(machine, page), &new_page);
}

FORMAT_TEST(remap, read_only_page__takes_the_place_in_all_aliases)
{
	struct machine *machine = machine_with_aliases(*index);
	static const struct {
		unsigned as_id;
		uint64_t gfn;
	} places[] = {{0, 36}, {0, 102}, {1, 301}};

	machine_touch(machine, 36, VMMU_WRITE);
	machine_touch(machine, 37, VMMU_WRITE);
	machine_touch(machine, 102, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 301), VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(remap(machine, 4, 4242, false), 0);
	machine_check_tlb(machine);
	cr_assert_eq(machine_stats(machine).remapped, 3);
	for (unsigned i = 0; i < 3; i++) {
		struct vmmu_walk walk = machine_walk(machine, places[i].as_id, places[i].gfn);

		cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
		cr_assert_eq(walk.pfn, 4242);
		cr_assert_eq(walk.access, VMMU_READ | VMMU_EXEC);
		cr_assert_not(walk.entry.host_writable);
		cr_assert(machine_was_flushed(machine, places[i].as_id, places[i].gfn,
					      places[i].gfn + 1));
	}
	cr_assert_eq(machine_touch(machine, 36, VMMU_READ).faults, 0);
	cr_assert_eq(machine_touch(machine, 37, VMMU_WRITE).faults, 0, "the neighbour stays");
	cr_assert_eq(machine_access(machine, 0, machine_gpa(machine, 36), VMMU_WRITE).end,
		     ACCESS_EMULATED);
	machine_destroy(machine);
}

FORMAT_TEST(remap, writable_page__is_mapped_by_the_next_fault)
{
	struct machine *machine = machine_with_aliases(*index);

	machine_touch(machine, 36, VMMU_WRITE);
	machine_touch(machine, 102, VMMU_WRITE);
	cr_assert_eq(remap(machine, 4, 4242, true), 0);
	machine_check_tlb(machine);
	cr_assert_eq(machine_kind(machine, 0, 36), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_kind(machine, 0, 102), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 36, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 36).pfn, 4242);
	cr_assert_eq(machine_stats(machine).remapped, 0);
	machine_destroy(machine);
}

FORMAT_TEST(remap, part_of_a_huge_page__drops_it)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);
	struct vmmu_page page = {.pfn = 5};

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_touch(machine, block + 1, VMMU_READ);
	machine_touch(machine, 2 * block + 1, VMMU_READ);
	machine_flushes_forget(machine);
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, block + 9), &page), 0);
	cr_assert_eq(machine_kind(machine, 0, block + 1), VMMU_ENTRY_ABSENT);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	cr_assert_eq(machine_kind(machine, 0, 2 * block + 1), VMMU_ENTRY_LEAF);
	machine_audit(machine);
	machine_destroy(machine);
}

FORMAT_TEST(remap, what_is_not_mapped__stays_so)
{
	struct machine *machine = machine_with_aliases(*index);

	machine_enter(machine, 0);
	cr_assert_eq(remap(machine, 4, 4242, false), 0);
	cr_assert_eq(machine_kind(machine, 0, 36), VMMU_ENTRY_ABSENT);
	cr_assert_eq(remap(machine, 40, 4243, false), 0, "no slot there");
	machine_touch(machine, 36, VMMU_READ);
	machine_destroy(machine);
}

FORMAT_TEST(remap, use__is_remembered)
{
	struct machine *machine = machine_with_aliases(*index);
	struct vmmu_hva_range range = {machine_hva(machine, 4), machine_hva(machine, 5)};

	machine_touch(machine, 36, VMMU_WRITE);
	cr_assert_eq(remap(machine, 4, 4242, false), 0);
	cr_assert_eq(vmmu_age(machine->vm, &range), 1);
	cr_assert_eq(remap(machine, 4, 4243, false), 0);
	/* A format whose hardware does not mark has no unused leaf but one that faults. */
	cr_assert_eq(vmmu_test_age(machine->vm, &range),
		     !(machine->info->caps & VMMU_CAP_HW_DIRTY));
	machine_destroy(machine);
}

static void remap_page_4(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	cr_assert_eq(remap(machine, 4, 4242, false), 0);
}

/* The lookup gave the old page. */
FORMAT_TEST(remap, during_a_lookup__retries_the_fault)
{
	struct machine *machine = machine_with_aliases(*index);
	struct vmmu_fault fault;

	machine->on_resolve = remap_page_4;
	cr_assert_eq(machine_fault(machine, 36, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_kind(machine, 0, 36), VMMU_ENTRY_ABSENT);
	machine_touch(machine, 36, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, 36).pfn, 4242);
	machine_destroy(machine);
}

FORMAT_TEST(remap, bad_arguments__are_refused)
{
	struct machine *machine = machine_with_aliases(*index);
	struct vmmu_page page = {.pfn = 9}, wide = {.pfn = UINT64_MAX}, odd = {.pfn = 9};
	uint64_t hva = machine_hva(machine, 4);

	odd.memtype = (enum vmmu_memtype)7;
	cr_assert_eq(vmmu_remap(NULL, hva, &page), -EINVAL);
	cr_assert_eq(vmmu_remap(machine->vm, hva, NULL), -EINVAL);
	cr_assert_eq(vmmu_remap(machine->vm, hva + 1, &page), -EINVAL);
	cr_assert_eq(vmmu_remap(machine->vm, -machine_gpa(machine, 1), &page), -EINVAL);
	cr_assert_eq(vmmu_remap(machine->vm, hva, &wide), -EINVAL);
	cr_assert_eq(vmmu_remap(machine->vm, hva, &odd), -EINVAL);
	machine_touch(machine, 36, VMMU_WRITE);
	machine_destroy(machine);
}
