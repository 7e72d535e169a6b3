// SPDX-License-Identifier: MIT
/* Accesses from end to end: how they end, how often they fault, what hardware leaves behind. */
#include <errno.h>

#include "base/failing_mem.h"
#include "machine/scenarios.h"

static struct vmmu_access_result go(struct stand *stand, unsigned cpu, struct vmmu_hw_access access)
{
	struct vmmu_access_result result;

	cr_assert_eq(vmmu_cpu_access(stand->cpu[cpu], &access, &result), 0);
	return result;
}

/* Faults for COUNT pages side by side: neighbours come along where use of them shows later. */
static unsigned faults_of(const struct stand *stand, unsigned count)
{
	return stand->info->caps & VMMU_CAP_HW_DIRTY ? 1 : count;
}

static struct vmmu_access_result go_gpa(struct stand *stand, uint64_t gpa, unsigned access)
{
	return go(stand, 0, (struct vmmu_hw_access){.gva = gpa, .access = access});
}

STAND_TEST(access, a_page_not_mapped_yet__one_fault_and_then_none)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	struct vmmu_access_result result;

	stand_slot(stand, 0, 0);
	result = go_gpa(stand, 0x123, VMMU_WRITE);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	cr_assert_eq(result.fault_count, 1);
	cr_assert_eq(result.outcome_count[VMMU_FIXED], 1);
	cr_assert_eq(result.fault.access, VMMU_WRITE);
	cr_assert_eq(result.fault.gpa, 0x123);
	cr_assert_eq(result.part_count, 1);
	cr_assert_eq(result.part[0].hpa, (stand->host[0].pfn << stand->shift) | 0x123);
	result = go_gpa(stand, 0x456, VMMU_EXEC);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	cr_assert_eq(result.fault_count, 0);
	cr_assert_eq(result.walk->load_count, 0, "the TLB serves it");
	stand_expect_clean(stand);
	stand_end(stand);
}

STAND_TEST(access, where_nothing_is__each_end_by_its_name)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	uint64_t page = UINT64_C(1) << stand->shift;
	struct vmmu_access_result result;

	stand_slot(stand, 2, VMMU_SLOT_READ_ONLY);
	stand->host[2 * stand->large + 8].is_absent = true;
	result = go_gpa(stand, 0x1000, VMMU_READ);
	cr_assert_eq(result.end, VMMU_ACCESS_EMULATE);
	cr_assert_eq(result.fault.gpa, 0x1000);
	result = go_gpa(stand, stand_gpa(stand, 2 * stand->large), VMMU_WRITE);
	cr_assert_eq(result.end, VMMU_ACCESS_EMULATE);
	result = go_gpa(stand, stand_gpa(stand, 2 * stand->large) + page, VMMU_READ);
	cr_assert_eq(result.end, VMMU_ACCESS_EXIT);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_NO_PAGE);
	stand_expect_clean(stand);
	stand_end(stand);
}

STAND_TEST(access, across_a_page__two_parts_or_none)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	uint64_t page = UINT64_C(1) << stand->shift, last = stand_gpa(stand, 2 * stand->large);
	struct vmmu_hw_access access = {.access = VMMU_READ, .bytes = 8};
	struct vmmu_access_result result;

	stand_slot(stand, 2, 0);
	stand_host_move(stand, 2 * stand->large + 8, 1, 1);
	access.gva = last + page - 3;
	result = go(stand, 0, access);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	cr_assert_eq(result.part_count, 2);
	cr_assert_eq(result.part[0].bytes, 3);
	cr_assert_eq(result.part[1].bytes, 5);
	cr_assert_eq(result.part[0].hpa,
		     (stand->host[2 * stand->large + 7].pfn << stand->shift) + page - 3);
	cr_assert_eq(result.part[1].hpa, stand->host[2 * stand->large + 8].pfn << stand->shift);
	cr_assert_eq(result.part[1].gpa, last + page);
	cr_assert_eq(result.fault_count, faults_of(stand, 2));
	/* the second part is no memory: the whole access has not happened */
	access.gva = last + 40 * page - 4;
	result = go(stand, 0, access);
	cr_assert_eq(result.end, VMMU_ACCESS_EMULATE);
	cr_assert_eq(result.fault.gpa, last + 40 * page);
	stand_end(stand);
}

STAND_TEST(access, tables_of_the_guest_not_mapped__a_fault_for_each)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	unsigned levels = vmmu_cpu_registers(stand->cpu[0])->arch <= VMMU_HW_NPT ? 4 : 3;
	struct guest_page page = {.gpa = stand_gpa(stand, stand->large + 3),
				  .is_mapped = true,
				  .is_writable = true,
				  .is_user = true};
	struct vmmu_access_result result;

	stand_slot(stand, 0, 0);
	stand_slot(stand, 1, 0);
	/* the host has the tables' pages one by one */
	for (uint64_t i = 0; i < levels; i++)
		stand_host_move(stand, i, 1, 1);
	for (uint64_t i = 0; i < stand->large; i++)
		stand->host[i].level = 1;
	guest_start(stand, 0);
	guest_map(stand, 5, page);
	result = stand_access(stand, 0, guest_gva(stand, 5) | 8, VMMU_WRITE, VMMU_HW_USER);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	cr_assert_eq(result.fault.gpa, page.gpa | 8);
	/* the smallest pages that the guest's tables fill, and the page */
	cr_assert_eq(result.fault_count,
		     faults_of(stand, (levels * 4096 + (1u << stand->shift) - 1) >> stand->shift) +
			     1);
	stand_access(stand, 1, 0x5000, VMMU_READ, 0);
	result = stand_access(stand, 0, guest_gva(stand, 6), VMMU_READ, 0);
	cr_assert_eq(result.end, VMMU_ACCESS_GUEST_FAULT);
	stand_expect_clean(stand);
	stand_end(stand);
}

STAND_TEST(access, a_page_that_the_host_takes_back_forever__retry_and_not_a_livelock)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	struct vmmu_hva_range range = {0, UINT64_MAX};
	struct vmmu_access_result result;

	stand_slot(stand, 0, 0);
	cr_assert_eq(vmmu_invalidate_begin(stand->vm, &range), 0);
	result = go_gpa(stand, 0, VMMU_READ);
	cr_assert_eq(result.end, VMMU_ACCESS_RETRY);
	cr_assert_eq(result.fault_count, VMMU_ACCESS_FAULTS_MAX);
	cr_assert_eq(vmmu_invalidate_end(stand->vm, &range), 0);
	cr_assert_eq(go_gpa(stand, 0, VMMU_READ).end, VMMU_ACCESS_DONE);
	stand_end(stand);
}

/* Tables that are not the ones the engine fills: its answers help nobody. */
STAND_TEST(access, tables_that_nobody_fills__a_livelock_that_names_them)
{
	struct stand *stand = stand_make(vmmu_format_at(*index), NULL);
	struct vmmu_hw_cpu *registers = vmmu_cpu_registers(stand->cpu[0]);
	struct vmmu_access_result result;

	if (registers->arch != VMMU_HW_EPT) {
		stand_end(stand);
		return;
	}
	stand_slot(stand, 0, 0);
	/* without execute-only pages nothing is wrong; with a page wider than the CPU's there is */
	registers->u.x86.maxphyaddr = 36;
	result = go_gpa(stand, 0, VMMU_READ);
	cr_assert_eq(result.end, VMMU_ACCESS_LIVELOCK);
	cr_assert_eq(result.livelock, VMMU_LIVELOCK_TABLES);
	cr_assert_eq(result.fault_count, VMMU_ACCESS_REPEATS_MAX + 1);
	stand_end(stand);
}

/* A bus on which every compare-exchange loses. */
static int never_swaps(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value,
		       uint64_t new_value)
{
	(void)ctx, (void)hpa, (void)bytes, (void)old_value, (void)new_value;
	return 1;
}

Test(access, entries_that_change_under_every_walk__a_livelock_by_races)
{
	struct stand *stand = stand_make(vmmu_format_find("ept4"), NULL);
	struct vmmu_machine_options options = {.size = sizeof(options), .bus = stand_bus(stand)};
	struct vmmu_hva_range range = {stand_host_va(0), stand_host_va(0) + 4096};
	struct vmmu_hw_access access = {.access = VMMU_READ};
	struct vmmu_cpu_options cpu_options = {.size = sizeof(cpu_options)};
	struct vmmu_access_result result;
	struct vmmu_machine *machine;
	struct vmmu_cpu *cpu;

	options.bus.swap = never_swaps;
	stand_slot(stand, 0, 0);
	stand_touch(stand, 0, VMMU_READ);
	cr_assert_eq(vmmu_age(stand->vm, &range), 1);
	cr_assert_eq(vmmu_machine_create(&options, &machine), 0);
	cr_assert_eq(vmmu_machine_attach(machine, stand->vm), 0);
	cpu_options.vcpu = stand->vcpu[0];
	cr_assert_eq(vmmu_cpu_create(machine, &cpu_options, &cpu), 0);
	cr_assert_eq(vmmu_cpu_access(cpu, &access, &result), 0);
	cr_assert_eq(result.end, VMMU_ACCESS_LIVELOCK);
	cr_assert_eq(result.livelock, VMMU_LIVELOCK_RACES);
	vmmu_machine_destroy(machine);
	stand_end(stand);
}

Test(access, arguments_that_are_none__refused)
{
	struct stand *stand = stand_make(vmmu_format_find("ept4"), NULL);
	struct vmmu_machine_options options = {.size = sizeof(options)};
	struct vmmu_cpu_options cpu_options = {.size = sizeof(cpu_options), .id = 0};
	struct vmmu_hw_access access = {.access = 0};
	struct vmmu_access_result result;
	struct vmmu_machine *machine;
	struct vmmu_hw_cpu registers;
	struct vmmu_cpu *cpu;

	cr_assert_eq(vmmu_machine_create(&options, &machine), -EINVAL);
	cr_assert_eq(vmmu_machine_create(NULL, &machine), -EINVAL);
	cr_assert_eq(vmmu_machine_attach(NULL, stand->vm), -EINVAL);
	cr_assert_eq(vmmu_machine_attach(stand->machine, stand->vm), -EBUSY);
	cr_assert_eq(vmmu_machine_registers(NULL, &registers), -EINVAL);
	cr_assert_eq(vmmu_machine_check(NULL), -EINVAL);
	cr_assert_eq(vmmu_cpu_create(stand->machine, &cpu_options, &cpu), -EINVAL);
	cpu_options.vcpu = stand->vcpu[0];
	cr_assert_eq(vmmu_cpu_create(stand->machine, &cpu_options, &cpu), -EEXIST);
	cr_assert_eq(vmmu_cpu_access(stand->cpu[0], &access, &result), -EINVAL);
	cr_assert_eq(vmmu_cpu_access(NULL, &access, &result), -EINVAL);
	cr_assert_eq(vmmu_cpu_enter(NULL), -EINVAL);
	cr_assert_null(vmmu_cpu_registers(NULL));
	cr_assert_null(vmmu_cpu_tlb(NULL));
	cr_assert_str_eq(vmmu_stale_name(VMMU_STALE_REUSE), "reuse");
	cr_assert_str_eq(vmmu_stale_name(-1), "?");
	vmmu_machine_flush(NULL, NULL);
	vmmu_machine_kick(NULL, 0);
	vmmu_machine_event(NULL, NULL);
	vmmu_machine_operation(NULL, "");
	vmmu_machine_destroy(NULL);
	vmmu_cpu_destroy(NULL);
	stand_end(stand);
}

/* Make a machine and a CPU on STAND's VM; 0 or the first error. */
static int try_machine(struct stand *stand)
{
	struct vmmu_machine_options options = {.size = sizeof(options), .bus = stand_bus(stand)};
	struct vmmu_cpu_options cpu_options = {.size = sizeof(cpu_options), .vcpu = stand->vcpu[0]};
	struct vmmu_machine *machine = NULL;
	struct vmmu_cpu *cpu;
	int err = vmmu_machine_create(&options, &machine);

	if (!err)
		err = vmmu_machine_attach(machine, stand->vm);
	if (!err)
		err = vmmu_cpu_create(machine, &cpu_options, &cpu);
	vmmu_machine_destroy(machine);
	return err;
}

Test(access, any_allocation_missing__no_memory_and_nothing_leaked)
{
	struct stand *stand = stand_make(vmmu_format_find("arm-s2-4k"), NULL);
	size_t live = mem_live();
	uint64_t left = 0;

	do {
		failing_mem_after(left);
		cr_assert_eq(try_machine(stand), -ENOMEM);
		failing_mem_stop();
		cr_assert_eq(mem_live(), live);
		failing_mem_after(++left);
	} while (try_machine(stand));
	failing_mem_stop();
	cr_assert_eq(left, 10);
	cr_assert_eq(mem_live(), live);
	stand_end(stand);
}
