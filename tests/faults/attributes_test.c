/* SPDX-License-Identifier: MIT */
/* Private and shared memory. */
#include <errno.h>

#include "faults/harness.h"

/* Slot 0: BLOCKS level-2 pages of gfns from one on, that the host maps at LEVEL. */
static struct machine *machine_of_blocks(unsigned format_index, unsigned blocks, unsigned level)
{
	struct machine_options options = {.vcpus = 2, .rest_level = level};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_attributes_init(machine, 0, (blocks + 2) * block);
	machine_slot(machine, 0, block, blocks * block, block, 0);
	return machine;
}

static unsigned level_of(struct machine *machine, uint64_t gfn)
{
	machine_touch(machine, gfn, VMMU_WRITE);
	return machine_walk(machine, 0, gfn).level;
}

/* The model says of both kinds of access what they come to, with every output. */
FORMAT_TEST(attributes, access_of_the_other_kind__exits_to_the_host)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t gfn = machine_pages(machine, 2) + 5, gpa = machine_gpa(machine, gfn) + 24;
	struct access_result result;

	result = machine_access_with(machine, 0, gpa, VMMU_WRITE, VMMU_FAULT_PRIVATE, 0);
	cr_assert_eq(result.end, ACCESS_EXITED);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_MEMORY_FAULT);
	cr_assert(result.fault.memory.is_private);
	machine_attributes_set(machine, gfn, 1, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(vmmu_attributes_get(machine->vm, gpa), VMMU_ATTRIBUTE_PRIVATE);
	result = machine_access_with(machine, 0, gpa, VMMU_EXEC, VMMU_FAULT_PRIVATE, 0);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_MEMORY_FAULT);
	cr_assert_not(result.fault.memory.is_private);
	cr_assert_eq(result.fault.memory.access, VMMU_EXEC);
	cr_assert_eq(result.fault.memory.gpa, machine_gpa(machine, gfn));
	cr_assert_eq(machine->resolves, 0);
	cr_assert_eq(machine_access(machine, 0, gpa, VMMU_WRITE).end, ACCESS_GRANTED);
	cr_assert_eq(machine->request.flags & VMMU_RESOLVE_PRIVATE, VMMU_RESOLVE_PRIVATE);
	machine_destroy(machine);
}

FORMAT_TEST(attributes, converted_memory__is_unmapped_and_flushed)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t gfn = machine_pages(machine, 2) + 5;

	for (uint64_t i = 0; i < 8; i++)
		machine_touch(machine, gfn + i, VMMU_WRITE);
	machine_flushes_forget(machine);
	machine_attributes_set(machine, gfn + 2, 3, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert(machine_was_flushed(machine, 0, gfn + 2, gfn + 5));
	machine_check_tlb(machine);
	for (uint64_t i = 0; i < 8; i++)
		cr_assert_eq(machine_kind(machine, 0, gfn + i),
			     i < 2 || i > 4 ? VMMU_ENTRY_LEAF : VMMU_ENTRY_ABSENT);
	machine_touch(machine, gfn + 3, VMMU_WRITE);
	machine_flushes_forget(machine);
	machine_attributes_set(machine, gfn + 3, 2, VMMU_ATTRIBUTE_PRIVATE);
	machine_attributes_set(machine, gfn + 9, 2, 0);
	cr_assert_eq(machine_kind(machine, 0, gfn + 3), VMMU_ENTRY_LEAF, "as it was before");
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_attributes_set(machine, gfn, 8, 0);
	cr_assert_eq(machine_kind(machine, 0, gfn + 3), VMMU_ENTRY_ABSENT);
	machine_check_tlb(machine);
	machine_destroy(machine);
}

FORMAT_TEST(attributes, page_of_both_kinds__is_mapped_small)
{
	struct machine *machine = machine_of_blocks(*index, 3, 2);
	uint64_t block = machine_pages(machine, 2);

	cr_assert_eq(level_of(machine, 2 * block), 2);
	/* the end of block 1 and the beginning of block 2 */
	machine_attributes_set(machine, 2 * block - 1, 2, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(machine_kind(machine, 0, 3 * block - 1), VMMU_ENTRY_ABSENT, "it was large");
	cr_assert_eq(level_of(machine, block), 1);
	cr_assert_eq(level_of(machine, 2 * block - 1), 1);
	cr_assert_eq(level_of(machine, 2 * block + 7), 1);
	cr_assert_eq(level_of(machine, 3 * block + 7), 2);
	machine_attributes_set(machine, 2 * block, block, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(level_of(machine, 2 * block + 7), 2, "all of it is private");
	cr_assert_eq(level_of(machine, block), 1);
	machine_attributes_set(machine, block, 3 * block, 0);
	cr_assert_eq(level_of(machine, block), 2);
	machine_check_range(machine, 0, block, 4 * block);
	machine_destroy(machine);
}

/* One private page in a level-3 page: large ones of level 2 beside it. */
FORMAT_TEST(attributes, mixed_page_of_level_3__is_mapped_at_level_2_where_it_can)
{
	struct machine_options options = {.rest_level = 3};
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	struct machine *machine;
	uint64_t block, giant;

	if (!(geometry->leaf_levels & (1u << 3)) || geometry->page_shift != 12)
		cr_skip_test("no such leaf");
	machine = machine_create(*index, &options);
	block = machine_pages(machine, 2);
	giant = machine_pages(machine, 3);
	machine_attributes_init(machine, giant, 2 * giant);
	machine_slot(machine, 0, giant, 2 * giant, giant, 0);
	machine_attributes_set(machine, giant + 3 * block + 9, 1, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(level_of(machine, giant + 3 * block + 9), 1);
	cr_assert_eq(level_of(machine, giant + 3 * block + 10), 1);
	cr_assert_eq(level_of(machine, giant + 2 * block), 2);
	cr_assert_eq(level_of(machine, 2 * giant + 5), 3);
	machine_attributes_set(machine, giant + 3 * block + 9, 1, 0);
	cr_assert_eq(level_of(machine, giant + 3 * block + 9), 3);
	machine_destroy(machine);
}

/* Attributes come first, slots later, and they move. */
FORMAT_TEST(attributes, slot_over_memory_with_attributes__knows_them)
{
	struct machine *machine = machine_of_blocks(*index, 3, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot_delete(machine, 0, 0);
	machine_attributes_set(machine, block + 3, 1, VMMU_ATTRIBUTE_PRIVATE);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(level_of(machine, block + 3), 1);
	machine_slot(machine, 0, 2 * block, block, block, 0);
	cr_assert_eq(level_of(machine, 2 * block + 3), 2);
	machine_slot(machine, 0, block, block, block, 0);
	cr_assert_eq(level_of(machine, block + 4), 1);
	machine_audit(machine);
	machine_destroy(machine);
}

/* Head and tail of what is converted lie outside of the slot, or of every slot. */
FORMAT_TEST(attributes, change_across_the_ends_of_slots__stays_inside_them)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_attributes_init(machine, 0, 8 * block);
	machine_slot(machine, 0, block + 3, 5, block + 3, 0);
	machine_slot(machine, 1, 2 * block + 5, 2 * block, 2 * block + 5, 0);
	machine_slot(machine, 2, 5 * block, block, 5 * block, 0);
	machine_attributes_set(machine, block + 5, block, VMMU_ATTRIBUTE_PRIVATE);
	machine_audit(machine);
	machine_attributes_set(machine, 3, 5 * block, VMMU_ATTRIBUTE_PRIVATE);
	machine_audit(machine);
	cr_assert_eq(level_of(machine, 3 * block + 5), 2);
	cr_assert_eq(level_of(machine, 5 * block + 1), 1);
	machine_attributes_set(machine, 0, 8 * block, 0);
	machine_audit(machine);
	cr_assert_eq(level_of(machine, 5 * block + 1), 2);
	machine_destroy(machine);
}

FORMAT_TEST(attributes, private_access_without_a_slot__is_no_mmio)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t gpa = machine_gpa(machine, 5);
	struct access_result result;

	cr_assert_eq(machine_access(machine, 0, gpa, VMMU_READ).end, ACCESS_EMULATED);
	machine_attributes_set(machine, 5, 1, VMMU_ATTRIBUTE_PRIVATE);
	result = machine_access(machine, 0, gpa, VMMU_READ);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_MEMORY_FAULT);
	result = machine_access_with(machine, 0, gpa, VMMU_READ, VMMU_FAULT_PRIVATE, 0);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_MEMORY_FAULT);
	machine_destroy(machine);
}

static void convert_meanwhile(struct machine *machine, const struct vmmu_page_request *request)
{
	machine_attributes_set(machine, request->gfn, 1, VMMU_ATTRIBUTE_PRIVATE);
}

/* The page that was looked up is the shared one. */
FORMAT_TEST(attributes, conversion_between_lookup_and_mapping__is_noticed)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t gfn = machine_pages(machine, 2) + 5;
	struct access_result result;

	machine->on_resolve = convert_meanwhile;
	result = machine_touch(machine, gfn, VMMU_READ);
	cr_assert_eq(result.first_outcome, VMMU_RETRY);
	cr_assert_eq(result.fault.flags & VMMU_FAULT_PRIVATE, VMMU_FAULT_PRIVATE);
	cr_assert_eq(machine->resolves, 2);
	machine_destroy(machine);
}

FORMAT_TEST(attributes, prefault__maps_each_page_as_what_it_is)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t gfn = machine_pages(machine, 2), done;

	machine_attributes_set(machine, gfn + 2, 3, VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, gfn),
				   machine_gpa(machine, 8), &done),
		     0);
	cr_assert_eq(done, machine_gpa(machine, 8));
	cr_assert_eq(machine_stats(machine).mapped[1], 8);
	machine_destroy(machine);
}

/* Large pages under logging and after: as large as attributes let them. */
FORMAT_TEST(attributes, logging_turned_off__collapses_nothing_mixed)
{
	struct machine *machine = machine_of_blocks(*index, 2, 2);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 2 * block, block, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_touch(machine, 2 * block + 5, VMMU_WRITE);
	machine_attributes_set(machine, block, 2, VMMU_ATTRIBUTE_PRIVATE);
	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine_check_tlb(machine);
	cr_assert_eq(level_of(machine, block + 5), 1);
	cr_assert_eq(level_of(machine, 2 * block + 5), 2);
	machine_destroy(machine);
}

/* What the host says of the page at the hva, its size or another frame, is of the shared one. */
FORMAT_TEST(attributes, private_page__is_not_what_stands_at_the_hva)
{
	struct machine *machine = machine_of_blocks(*index, 2, 2);
	uint64_t block = machine_pages(machine, 2), gfn = block + 5;
	struct vmmu_page other = {.level = 1};

	machine_slot(machine, 0, block, 2 * block, block, VMMU_SLOT_LOG_DIRTY);
	machine_attributes_set(machine, block, 2 * block, VMMU_ATTRIBUTE_PRIVATE);
	machine_touch(machine, gfn, VMMU_WRITE);
	machine_slot(machine, 0, block, 2 * block, block, 0);
	cr_assert_eq(machine_walk(machine, 0, gfn).level, 1);
	other.pfn = machine_walk(machine, 0, gfn).pfn + 1;
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, gfn), &other), 0);
	cr_assert_eq(machine_walk(machine, 0, gfn).pfn, other.pfn - 1);
	machine_destroy(machine);
}

FORMAT_TEST(attributes, calls_that_make_no_sense__are_refused)
{
	struct machine *machine = machine_of_blocks(*index, 1, 1);
	uint64_t page = machine_gpa(machine, 1), top = 0 - page;
	struct vmmu_env env = {.size = sizeof(env), .resolve = machine_env.resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_vm *ranges, *vm = machine->vm;

	cr_assert_eq(vmmu_attributes_set(NULL, 0, page, 0), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, 0, 0, 0), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, 1, page, 0), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, 0, page + 1, 0), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, page, top, 0), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, 0, page, 1), -EINVAL);
	cr_assert_eq(vmmu_attributes_set(vm, 0, page, VMMU_ATTRIBUTE_PRIVATE | 1), -EINVAL);
	cr_assert_eq(vmmu_attributes_get(NULL, 0), -EINVAL);
	cr_assert_eq(vmmu_vm_create(&options, &ranges), 0);
	cr_assert_eq(vmmu_attributes_set(ranges, 0, page, 0), -ENOTSUP);
	vmmu_vm_destroy(ranges);
	/* where no memory can be, it is no error */
	cr_assert_eq(vmmu_attributes_set(vm, 0 - 2 * page, page, VMMU_ATTRIBUTE_PRIVATE), 0);
	cr_assert_eq(vmmu_attributes_get(vm, 0 - 2 * page), VMMU_ATTRIBUTE_PRIVATE);
	cr_assert_eq(vmmu_attributes_get(vm, 0 - 3 * page), 0);
	machine_destroy(machine);
}
