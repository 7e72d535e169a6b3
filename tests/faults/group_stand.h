/* SPDX-License-Identifier: MIT */
/* A machine of each format with groups, for tests of them. */
#ifndef TESTS_FAULTS_GROUP_STAND_H
#define TESTS_FAULTS_GROUP_STAND_H

#include <string.h>
#include <vmmu/hw.h>

#include "base/bits.h"
#include "faults/bus.h"
#include "faults/harness.h"

static const char *const group_formats[] = {"arm-s2-4k-cont", "arm-s2-16k-cont", "arm-s2-64k-cont",
					    "sv39x4-napot"};

/* A test for each of them. Each file has a suite of its own. */
#define GROUP_NAMED(suite, name)                                                     \
	ParameterizedTestParameters(suite, name)                                     \
	{                                                                            \
		static unsigned indexes[] = {0, 1, 2, 3};                            \
		return cr_make_param_array(unsigned, indexes, ARRAY_COUNT(indexes)); \
	}                                                                            \
	ParameterizedTest(unsigned *index, suite, name)

/* Groups in slot 0, which begins at gfn GROUP, behind host pages of the same numbers. */
#define GROUPS 4

struct stand {
	struct machine *machine;
	uint64_t group; /* pages */
	unsigned lg2;
};

/* The same slot, with FLAGS. */
static inline void set_slot(struct stand stand, unsigned flags)
{
	machine_slot(stand.machine, 0, stand.group, GROUPS * stand.group, stand.group, flags);
}

static inline struct stand stand_with(unsigned index, struct machine_options options)
{
	struct stand stand = {0};
	unsigned format = outside_index(group_formats[index]);

	options.vcpus = 2;
	options.host_pages = 2048;
	if (!options.span_lg2_max)
		options.span_lg2_max = 20;
	stand.machine = machine_create(format, &options);
	stand.lg2 = stand.machine->geometry->group_lg2[1];
	stand.group = BIT64(stand.lg2);
	machine_attributes_init(stand.machine, 0, 8 * stand.group);
	set_slot(stand, 0);
	return stand;
}

static inline struct stand stand_of(unsigned index)
{
	return stand_with(index, (struct machine_options){0});
}

static inline void stand_end(struct stand stand)
{
	machine_check_tlb(stand.machine);
	machine_check_range(stand.machine, 0, 0, (GROUPS + 2) * stand.group);
	machine_destroy(stand.machine);
}

/* A page of the second group in the slot. */
static inline uint64_t page(struct stand stand, uint64_t number)
{
	return 2 * stand.group + number;
}

/* What hardware makes of gfn: lg2 pages that a TLB may hold as one; -1: nothing is there. */
static inline int range_of(struct stand stand, uint64_t gfn)
{
	struct vmmu_hw_bus bus = hardware_bus(stand.machine);
	struct vmmu_hw_walk walk = bus_walk(vmmu_cpu_registers(stand.machine->vcpu[0].cpu), &bus,
					    machine_gpa(stand.machine, gfn), VMMU_READ, 0);

	if (walk.status != VMMU_HW_OK)
		return -1;
	cr_assert_eq(walk.stage2.output, machine_gpa(stand.machine, HOST_PFN + gfn));
	return (int)(walk.stage2.range_lg2 - stand.machine->page_shift);
}

/* All of COUNT pages from FIRST of the second group on are held as 2^LG2. */
static inline void expect_ranges(struct stand stand, uint64_t first, uint64_t count, int lg2)
{
	for (uint64_t i = first; i < first + count; i++)
		cr_assert_eq(range_of(stand, page(stand, i)), lg2, "%s page %llu: %d",
			     stand.machine->info->name, (unsigned long long)i,
			     range_of(stand, page(stand, i)));
}

static inline struct vmmu_stats stats(struct stand stand)
{
	return machine_stats(stand.machine);
}

/* Blocks: 16 of 2M are 32M. */
static inline struct stand blocks_with(struct machine_options options)
{
	struct stand stand = {.lg2 = 13, .group = BIT64(13)};

	options.vcpus = 2;
	options.rest_level = 2;
	options.span_lg2_max = 13;
	stand.machine = machine_create(outside_index("arm-s2-4k-cont"), &options);
	machine_slot(stand.machine, 0, stand.group, 2 * stand.group, stand.group, 0);
	return stand;
}

#endif
