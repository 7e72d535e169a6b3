/* SPDX-License-Identifier: MIT */
/* Tables that only the NX rule for large pages keeps, and how they go. */
#include <errno.h>

#include "faults/harness.h"

/* Slot 0: BLOCKS level-2 pages of gfns from one on; code was fetched from the first FETCHED. */
static struct machine *machine_with_code(unsigned format_index, unsigned blocks, unsigned fetched,
					 unsigned flags)
{
	struct machine_options options = {.vcpus = 2, .rest_level = 2, .nx_huge = true};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, blocks * block, block, flags);
	for (unsigned i = 1; i <= fetched; i++)
		machine_touch(machine, i * block + i, VMMU_EXEC);
	return machine;
}

static uint64_t recover(struct machine *machine, unsigned ratio)
{
	uint64_t recovered = UINT64_MAX;

	machine_flushes_forget(machine);
	cr_assert_eq(vmmu_nx_recover(machine->vm, ratio, &recovered), 0);
	machine_check_tlb(machine);
	machine_audit(machine);
	return recovered;
}

static bool is_mapped(struct machine *machine, unsigned block)
{
	return machine_kind(machine, 0, block * machine_pages(machine, 2) + block) ==
	       VMMU_ENTRY_LEAF;
}

FORMAT_TEST(nx, fetches_from_large_pages__are_counted_once_each)
{
	struct machine *machine = machine_with_code(*index, 5, 3, 0);
	uint64_t block = machine_pages(machine, 2);

	cr_assert_eq(machine_stats(machine).nx_tables, 3);
	machine_touch(machine, block + 2, VMMU_EXEC);
	machine_touch(machine, 2 * block + 5, VMMU_WRITE);
	machine_touch(machine, 4 * block, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).nx_tables, 3);
	machine_touch(machine, 4 * block, VMMU_EXEC);
	cr_assert_eq(machine_stats(machine).nx_tables, 4);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	machine_destroy(machine);
}

FORMAT_TEST(nx, all_recovered__large_pages_come_back_by_faults)
{
	struct machine *machine = machine_with_code(*index, 3, 3, 0);
	uint64_t block = machine_pages(machine, 2), tables = machine_stats(machine).tables;

	cr_assert_eq(recover(machine, 1), 3);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	cr_assert(machine_was_flushed(machine, 0, 3 * block, 4 * block));
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	cr_assert_eq(machine_stats(machine).nx_recovered, 3);
	cr_assert_eq(machine_stats(machine).tables, tables - 3);
	machine_touch(machine, block + 1, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, block + 1).level, 2);
	machine_touch(machine, block + 1, VMMU_EXEC);
	cr_assert_eq(machine_walk(machine, 0, block + 1).level, 1);
	cr_assert_eq(machine_stats(machine).nx_tables, 1);
	machine_destroy(machine);
}

FORMAT_TEST(nx, some_recovered__are_the_oldest_rounded_up)
{
	struct machine *machine = machine_with_code(*index, 5, 5, 0);

	cr_assert_eq(recover(machine, 4), 2);
	for (unsigned i = 1; i <= 5; i++)
		cr_assert_eq(is_mapped(machine, i), i > 2, "block %u", i);
	cr_assert_eq(recover(machine, UINT32_MAX), 1);
	cr_assert(!is_mapped(machine, 3) && is_mapped(machine, 4));
	cr_assert_eq(machine_stats(machine).nx_tables, 2);
	machine_destroy(machine);
}

FORMAT_TEST(nx, more_than_one_hold_of_the_lock__all_recovered)
{
	struct machine *machine = machine_with_code(*index, 70, 70, 0);

	cr_assert_eq(recover(machine, 1), 70);
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	machine_destroy(machine);
}

/* Nothing large would take their place as long as writes are logged. */
FORMAT_TEST(nx, tables_under_logging__stay_and_are_counted_no_longer)
{
	struct machine *machine = machine_with_code(*index, 3, 3, 0);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 3 * block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_stats(machine).nx_tables, 3);
	cr_assert_eq(recover(machine, 1), 0);
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	for (unsigned i = 1; i <= 3; i++)
		cr_assert(is_mapped(machine, i));
	machine_touch(machine, 2 * block + 9, VMMU_EXEC);
	cr_assert_eq(machine_stats(machine).nx_tables, 0, "the table was there");
	machine_destroy(machine);
}

/* Small anyway: no large page is lost by the rule. Should there be one later, code stays small. */
FORMAT_TEST(nx, fetch_from_a_small_page__is_not_counted)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	uint64_t block = UINT64_C(1) << (geometry->shift[2] - geometry->page_shift);
	struct machine_options options = {.host_pages = block, .nx_huge = true};
	struct machine *machine = machine_create(*index, &options);
	struct host_page page = {.pfn = 8 * block, .level = 2, .writable = true};

	machine_slot(machine, 0, block, block, 0, 0);
	machine_touch(machine, block + 1, VMMU_EXEC);
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	machine_host_set(machine, 0, block, page);
	machine_touch(machine, block + 2, VMMU_READ);
	cr_assert_eq(machine_walk(machine, 0, block + 2).level, 1);
	cr_assert_eq(recover(machine, 1), 0);
	machine_destroy(machine);
}

/* Data that was mapped stays so in tdp roots, unless asked for otherwise. */
static void check_neighbours(unsigned format_index, enum vmmu_resize resize, bool is_kept)
{
	struct machine_options options = {.rest_level = 2, .nx_huge = true, .resize = resize};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2), faults;

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 1).level, 2);
	machine_flushes_forget(machine);
	machine_touch(machine, block + 5, VMMU_EXEC);
	cr_assert(machine_was_flushed(machine, 0, block, 2 * block));
	machine_check_tlb(machine);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_stats(machine).mapped[1], is_kept ? block : 1);
	cr_assert_eq(machine_stats(machine).nx_tables, 1);
	faults = machine->fault_calls;
	machine_touch(machine, 2 * block - 1, VMMU_WRITE);
	machine_touch(machine, 2 * block - 2, VMMU_EXEC);
	cr_assert_eq(machine->fault_calls == faults, is_kept);
	machine_check_range(machine, 0, block, 2 * block);
	machine_destroy(machine);
}

FORMAT_TEST(nx, fetch_from_a_large_page__splits_it)
{
	check_neighbours(*index, VMMU_RESIZE_IN_PLACE, is_tdp());
	check_neighbours(*index, VMMU_RESIZE_ZAP, false);
}

FORMAT_TEST(nx, recovery__refuses_what_makes_no_sense)
{
	struct machine *machine = machine_with_code(*index, 1, 1, 0);
	struct vmmu_env env = {.size = sizeof(env), .resolve = machine_env.resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_vm *ranges;

	cr_assert_eq(vmmu_nx_recover(NULL, 1, NULL), -EINVAL);
	cr_assert_eq(vmmu_nx_recover(machine->vm, 0, NULL), -EINVAL);
	cr_assert_eq(vmmu_vm_create(&options, &ranges), 0);
	cr_assert_eq(vmmu_nx_recover(ranges, 1, NULL), -ENOTSUP);
	vmmu_vm_destroy(ranges);
	cr_assert_eq(vmmu_nx_recover(machine->vm, 1, NULL), 0);
	cr_assert_eq(machine_stats(machine).nx_tables, 0);
	machine_destroy(machine);
}
