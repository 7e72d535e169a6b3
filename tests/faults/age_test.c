/* SPDX-License-Identifier: MIT */
/* Aging: who was used, who was not, what the next use does. */
#include <errno.h>
#include <string.h>

#include "faults/harness.h"
#include "format/contract.h"

/* Slot 0: gfns 32..63 behind host pages 0..31. */
static struct machine *machine_of_32_pages(unsigned format_index)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 32, 32, 0, 0);
	return machine;
}

static struct vmmu_hva_range pages(const struct machine *machine, uint64_t first, uint64_t count)
{
	return (struct vmmu_hva_range){machine_hva(machine, first),
				       machine_hva(machine, first + count)};
}

static int age(struct machine *machine, uint64_t first, uint64_t count)
{
	struct vmmu_hva_range range = pages(machine, first, count);

	machine_op(machine, "age host %llu+%llu", (unsigned long long)first,
		   (unsigned long long)count);
	return vmmu_age(machine->vm, &range);
}

static int test_age(struct machine *machine, uint64_t first, uint64_t count)
{
	struct vmmu_hva_range range = pages(machine, first, count);

	return vmmu_test_age(machine->vm, &range);
}

static bool hardware_marks(const struct machine *machine)
{
	return machine->info->caps & VMMU_CAP_HW_DIRTY;
}

/* TLBs forget by themselves, any time. */
static void evict_tlb(struct machine *machine)
{
	for (unsigned as = 0; as < machine->as_count; as++)
		tlb_flush_range(machine, 0, as, 0, UINT64_MAX);
}

/*
 * Where hardware sets the accessed bit of a level-1 leaf. Only the tests' own format knows its own.
 */
static uint64_t accessed_bit(const struct machine *machine)
{
	const struct vmmu_format_ops *ops = machine->format->ops;
	struct vmmu_leaf leaf = {.access = VMMU_READ};
	uint64_t old = ops->make_leaf(leaf, 1);

	if (!strcmp(machine->info->architecture, "x86-npt"))
		return UINT64_C(1) << 5;
	if (!strcmp(machine->info->architecture, "x86-ept"))
		return UINT64_C(1) << 8;
	leaf.accessed = true;
	return old ^ ops->make_leaf(leaf, 1);
}

struct poke {
	uint64_t pte_hpa, bits;
	bool is_done;
};

static int poke_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	struct poke *poke = ctx;

	if (poke->pte_hpa - frame->hpa >= frame->bytes)
		return 0;
	__atomic_fetch_or((uint64_t *)((uintptr_t)frame->data + (poke->pte_hpa - frame->hpa)),
			  poke->bits, __ATOMIC_SEQ_CST);
	poke->is_done = true;
	return 1;
}

/* The guest reads gfn of address space 0 and hardware walks for it. */
static void hardware_reads(struct machine *machine, uint64_t gfn)
{
	struct poke poke = {.bits = accessed_bit(machine)};

	poke.pte_hpa = machine_walk(machine, 0, gfn).pte_hpa;
	vmmu_tables(machine->vm, poke_frame, &poke);
	cr_assert(poke.is_done);
}

FORMAT_TEST(age, page_used__is_young_once)
{
	struct machine *machine = machine_of_32_pages(*index);

	machine_touch(machine, 35, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(test_age(machine, 3, 1), 1);
	cr_assert_eq(test_age(machine, 3, 1), 1, "asking changes nothing");
	cr_assert_eq(age(machine, 3, 1), 1);
	cr_assert_eq(test_age(machine, 3, 1), 0);
	cr_assert_eq(age(machine, 3, 1), 0);
	cr_assert_eq(machine_stats(machine).aged, 1);
	cr_assert_not(machine_walk(machine, 0, 35).entry.accessed);
	cr_assert_eq(machine->flush_count, 0, "aging flushes nothing");
	machine_destroy(machine);
}

FORMAT_TEST(age, range__is_kept_to)
{
	struct machine *machine = machine_of_32_pages(*index);

	for (uint64_t gfn = 34; gfn < 40; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	cr_assert_eq(age(machine, 3, 2), 1);
	for (uint64_t page = 2; page < 8; page++)
		cr_assert_eq(test_age(machine, page, 1), page < 3 || page > 4, "page %llu",
			     (unsigned long long)page);
	cr_assert_eq(test_age(machine, 0, 2), 0, "never mapped");
	cr_assert_eq(test_age(machine, 32, 8), 0, "no slot");
	cr_assert_eq(age(machine, 0, 64), 1);
	cr_assert_eq(test_age(machine, 0, 64), 0);
	cr_assert_eq(machine_stats(machine).aged, 6);
	machine_destroy(machine);
}

/* Two bytes, one on each side of a page boundary, are of two pages. */
FORMAT_TEST(age, partial_pages__count_whole)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_hva_range range = {machine_hva(machine, 5) - 1, machine_hva(machine, 5) + 1};

	for (uint64_t gfn = 35; gfn < 39; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	cr_assert_eq(vmmu_age(machine->vm, &range), 1);
	for (uint64_t page = 3; page < 7; page++)
		cr_assert_eq(test_age(machine, page, 1), page == 3 || page == 6, "page %llu",
			     (unsigned long long)page);
	machine_destroy(machine);
}

/* Each kind of access after aging is served at once, and the page is young again. */
FORMAT_TEST(age, next_use__is_seen)
{
	static const unsigned kinds[] = {VMMU_READ, VMMU_WRITE, VMMU_EXEC};
	struct machine *machine = machine_of_32_pages(*index);
	struct access_result result;
	uint64_t resolves;

	for (unsigned i = 0; i < 3; i++) {
		machine_touch(machine, 35, VMMU_WRITE);
		cr_assert_eq(age(machine, 3, 1), 1);
		evict_tlb(machine);
		resolves = machine->resolves;
		if (hardware_marks(machine)) {
			cr_assert_eq(machine_touch(machine, 35, kinds[i]).faults, 0);
			hardware_reads(machine, 35);
		} else {
			result = machine_touch(machine, 35, kinds[i]);
			cr_assert_eq(result.faults, 1);
			cr_assert_eq(result.first_outcome, VMMU_FIXED);
			cr_assert(result.fault.fast, "nothing but the mark was missing");
			cr_assert_eq(machine->resolves, resolves);
		}
		cr_assert_eq(test_age(machine, 3, 1), 1);
	}
	machine_destroy(machine);
}

/* A page under logging, reported and thereby write-protected, then aged: both must be mended. */
FORMAT_TEST(age, write_to_a_protected_page__is_served_and_logged)
{
	struct machine *machine = machine_of_32_pages(*index);

	machine_slot(machine, 0, 32, 32, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(age(machine, 3, 1), 1);
	evict_tlb(machine);
	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* The fault of a format whose hardware marks: aged or not, the mapping is made as used. */
FORMAT_TEST(age, fault_on_an_aged_page__makes_it_used)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault;

	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(age(machine, 3, 1), 1);
	cr_assert_eq(machine_fault(machine, 35, VMMU_READ, 0, &fault), VMMU_FIXED);
	cr_assert_eq(test_age(machine, 3, 1), 1);
	machine_destroy(machine);
}

FORMAT_TEST(age, aliases__are_all_asked_and_all_aged)
{
	struct machine *machine = machine_of_32_pages(*index);

	machine_slot_in(machine, 0, 1, 100, 8, 2, 0);
	machine_slot_in(machine, 1, 7, 300, 4, 3, 0);
	machine_vcpu_as(machine, 1, 1);
	machine_touch(machine, 36, VMMU_WRITE);
	machine_touch(machine, 102, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 301), VMMU_WRITE);
	cr_assert_eq(age(machine, 4, 1), 1);
	cr_assert_eq(machine_stats(machine).aged, 3);
	cr_assert_not(machine_walk(machine, 0, 36).entry.accessed);
	cr_assert_not(machine_walk(machine, 0, 102).entry.accessed);
	cr_assert_not(machine_walk(machine, 1, 301).entry.accessed);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 302), VMMU_WRITE).end,
		     ACCESS_GRANTED);
	cr_assert_eq(test_age(machine, 5, 1), 1, "used through one of them");
	machine_destroy(machine);
}

FORMAT_TEST(age, huge_page__is_used_as_a_whole)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 1).level, 2);
	cr_assert_eq(test_age(machine, 2 * block - 1, 1), 1);
	cr_assert_eq(test_age(machine, 2 * block, 1), 0);
	cr_assert_eq(age(machine, block + 7, 1), 1);
	cr_assert_eq(test_age(machine, block, block), 0);
	machine_touch(machine, block + 2, VMMU_WRITE);
	machine_destroy(machine);
}

/* What nobody touched yet, only its neighbour, is old. */
FORMAT_TEST(age, prefetched_neighbours__are_old)
{
	struct machine_options options = {.host_pages = 64, .prefetch = true};
	struct machine *machine = machine_create(*index, &options);

	machine_slot(machine, 0, 32, 32, 0, 0);
	machine_touch(machine, 42, VMMU_WRITE);
	for (uint64_t page = 8; page < 16; page++)
		cr_assert_eq(test_age(machine, page, 1), page == 10, "page %llu",
			     (unsigned long long)page);
	machine_destroy(machine);
}

FORMAT_TEST(age, page_taken_away__is_old)
{
	struct machine *machine = machine_of_32_pages(*index);

	machine_touch(machine, 35, VMMU_WRITE);
	cr_assert_eq(machine_invalidate_begin(machine, 3, 1), 0);
	cr_assert_eq(test_age(machine, 3, 1), 0);
	cr_assert_eq(age(machine, 3, 1), 0);
	cr_assert_eq(machine_invalidate_end(machine, 3, 1), 0);
	machine_destroy(machine);
}

FORMAT_TEST(age, bad_arguments__are_refused)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_hva_range empty = {8, 8}, inverted = {9, 8}, whole = {0, UINT64_MAX};

	cr_assert_eq(vmmu_age(NULL, &whole), -EINVAL);
	cr_assert_eq(vmmu_age(machine->vm, NULL), -EINVAL);
	cr_assert_eq(vmmu_age(machine->vm, &empty), -EINVAL);
	cr_assert_eq(vmmu_age(machine->vm, &inverted), -EINVAL);
	cr_assert_eq(vmmu_test_age(NULL, &whole), -EINVAL);
	cr_assert_eq(vmmu_test_age(machine->vm, &inverted), -EINVAL);
	machine_touch(machine, 63, VMMU_WRITE);
	cr_assert_eq(vmmu_age(machine->vm, &whole), 1);
	machine_destroy(machine);
}
