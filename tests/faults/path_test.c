/* SPDX-License-Identifier: MIT */
/* vmmu_walk_path(): every entry that hardware would meet. */
#include <errno.h>

#include "faults/harness.h"

FORMAT_TEST(path, mapped_page__path_goes_level_by_level_to_its_leaf)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_walk path[VMMU_LEVELS_MAX];
	unsigned count = 0, levels = machine->geometry->levels;

	machine_slot(machine, 0, 0, 16, 0, 0);
	machine_touch(machine, 5, VMMU_WRITE);
	cr_assert_eq(vmmu_walk_path(machine->vm, 0, machine_gpa(machine, 5), path, &count), 0);
	cr_assert_eq(count, levels);
	for (unsigned i = 0; i < levels; i++) {
		cr_expect_eq(path[i].level, levels - i);
		cr_expect_eq(path[i].gfn, i == levels - 1 ? 5 : 0);
	}
	for (unsigned i = 0; i + 1 < levels; i++) {
		uint64_t bytes = UINT64_C(1) << machine->geometry->table_lg2[levels - i - 1];

		cr_expect_eq(path[i].entry.kind, VMMU_ENTRY_TABLE);
		cr_expect_eq(path[i + 1].pte_hpa & ~(bytes - 1), path[i].entry.table_hpa);
	}
	cr_expect_eq(path[levels - 1].entry.kind, VMMU_ENTRY_LEAF);
	cr_expect_eq(path[levels - 1].pfn, HOST_PFN + 5);
	cr_expect_eq(path[levels - 1].access & (VMMU_READ | VMMU_WRITE), VMMU_READ | VMMU_WRITE);
	machine_destroy(machine);
}

FORMAT_TEST(path, untouched_gpa__path_ends_at_the_absent_entry_of_the_root)
{
	struct machine *machine = machine_create(*index, NULL);
	struct vmmu_walk path[VMMU_LEVELS_MAX];
	uint64_t half = UINT64_C(1) << (machine->geometry->gpa_bits - 1);
	unsigned count = 0;

	machine_slot(machine, 0, 0, 16, 0, 0);
	cr_assert_eq(vmmu_walk_path(machine->vm, 0, 0, path, &count), -ENOENT, "no root yet");
	machine_touch(machine, 0, VMMU_READ);
	cr_assert_eq(vmmu_walk_path(machine->vm, 0, half, path, &count), 0);
	cr_expect_eq(count, 1);
	cr_expect_eq(path[0].entry.kind, VMMU_ENTRY_ABSENT);
	cr_expect_eq(path[0].level, machine->geometry->levels);
	cr_expect_eq(vmmu_walk_path(machine->vm, 0, half * 2, path, &count), -ENOENT);
	cr_expect_eq(vmmu_walk_path(machine->vm, 2, 0, path, &count), -EINVAL);
	cr_expect_eq(vmmu_walk_path(NULL, 0, 0, path, &count), -EINVAL);
	machine_destroy(machine);
}
