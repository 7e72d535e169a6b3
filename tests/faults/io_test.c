/* SPDX-License-Identifier: MIT */
/* I/O memory, and RAM that is not to be cached: how the host wants it is how the entry says it. */
#include <string.h>

#include "faults/harness.h"

/*
 * The bits of a leaf that choose the memory type, by the manuals: EPT 5:3 type and 6 ignore PAT
 * (SDM, format of an EPT PTE); NPT 4 PCD and 3 PWT (APM, with the PAT of reset: 0 WB, 2 UC-, 3 UC);
 * RISC-V 62:61 PBMT (Svpbmt: 0 PMA, 1 NC, 2 IO); Arm 5:2 MemAttr (VMSAv8-64 stage 2: 1111 WB, 0101
 * NC, 0001 Device-nGnRE).
 */
static const struct {
	const char *architecture;
	uint64_t mask, bits[3]; /* by enum vmmu_memtype */
} encodings[] = {
	{"x86-ept", 0x78, {0x70, 0x08, 0x00}},
	{"x86-npt", 0x18, {0x00, 0x10, 0x18}},
	{"riscv64", UINT64_C(3) << 61, {UINT64_C(0) << 61, UINT64_C(1) << 61, UINT64_C(2) << 61}},
	{"arm64", 0x3c, {0x3c, 0x14, 0x04}},
};

static void check_memtype(struct machine *machine, uint64_t gfn, enum vmmu_memtype memtype)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
	cr_assert_eq(walk.entry.memtype, memtype, "gfn %#llx", (unsigned long long)gfn);
	/* Formats made up for tests have bits of their own. */
	if (!vmmu_format_find(machine->info->name))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(encodings[i].architecture, machine->info->architecture))
			cr_assert_eq(walk.pte & encodings[i].mask, encodings[i].bits[memtype],
				     "pte %#llx", (unsigned long long)walk.pte);
}

/* Slot 0: gfns 0..31; what stands behind each page is set as the test goes. */
static struct machine *machine_of_kinds(unsigned format_index)
{
	struct machine_options options = {.host_pages = 32, .prefetch = true};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, 32, 0, 0);
	return machine;
}

FORMAT_TEST(io, memory_type__is_the_hosts)
{
	struct machine *machine = machine_of_kinds(*index);

	machine->host.pages[1].memtype = VMMU_MEM_NONCACHEABLE;
	machine->host.pages[2].memtype = VMMU_MEM_DEVICE;
	machine->host.pages[10].status = HOST_IO;
	machine->host.pages[10].memtype = VMMU_MEM_NONCACHEABLE;
	machine->host.pages[18].status = HOST_IO;
	machine->host.pages[18].memtype = VMMU_MEM_DEVICE;
	for (uint64_t gfn = 0; gfn < 3; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	machine_touch(machine, 10, VMMU_WRITE);
	machine_touch(machine, 18, VMMU_READ);
	check_memtype(machine, 0, VMMU_MEM_WRITEBACK);
	check_memtype(machine, 1, VMMU_MEM_NONCACHEABLE);
	check_memtype(machine, 2, VMMU_MEM_DEVICE);
	check_memtype(machine, 10, VMMU_MEM_NONCACHEABLE);
	check_memtype(machine, 18, VMMU_MEM_DEVICE);
	machine_destroy(machine);
}

/* I/O memory is not cached whatever the host forgot to say. */
FORMAT_TEST(io, io_said_to_be_write_back__is_device_memory)
{
	struct machine *machine = machine_of_kinds(*index);

	machine->host.pages[5].status = HOST_IO;
	machine_touch(machine, 5, VMMU_WRITE);
	check_memtype(machine, 5, VMMU_MEM_DEVICE);
	machine_destroy(machine);
}

FORMAT_TEST(io, neighbours__are_not_prefetched)
{
	struct machine *machine = machine_of_kinds(*index);

	for (unsigned page = 8; page < 16; page++)
		machine->host.pages[page].status = HOST_IO;
	machine_touch(machine, 11, VMMU_WRITE);
	cr_assert_eq(machine_stats(machine).mapped[1], 1);
	cr_assert_eq(machine_stats(machine).prefetched, 0);
	machine_touch(machine, 16, VMMU_WRITE);
	cr_assert_eq(machine_kind(machine, 0, 12), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* Pages 0.. are I/O and say nothing of their size; those of the next block are large. */
FORMAT_TEST(io, large_page__only_where_the_host_says_so)
{
	struct machine_options options = {.rest_level = 1};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, block, 2 * block, block, 0);
	machine->host.rest.status = HOST_IO;
	machine->host.rest.level = 0;
	machine_touch(machine, block + 3, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 3).level, 1);
	machine->host.rest.level = 2;
	machine_touch(machine, 2 * block + 3, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, 2 * block + 3).level, 2);
	check_memtype(machine, 2 * block + 3, VMMU_MEM_DEVICE);
	machine_destroy(machine);
}

FORMAT_TEST(io, memory_type_changed_by_the_host__is_followed)
{
	struct machine *machine = machine_of_kinds(*index);
	struct host_page page = {.pfn = HOST_PFN + 4,
				 .status = HOST_IO,
				 .level = 1,
				 .memtype = VMMU_MEM_DEVICE,
				 .writable = true};

	machine_touch(machine, 4, VMMU_WRITE);
	check_memtype(machine, 4, VMMU_MEM_WRITEBACK);
	machine_host_set(machine, 4, 1, page);
	machine_touch(machine, 4, VMMU_WRITE);
	check_memtype(machine, 4, VMMU_MEM_DEVICE);
	machine_destroy(machine);
}

/* A memory type that is none would be mapped as who knows what. */
FORMAT_TEST(io, unknown_memory_type__is_no_page)
{
	struct machine *machine = machine_of_kinds(*index);
	struct vmmu_fault fault = {.gpa = 0, .access = VMMU_READ};

	machine_enter(machine, 0);
	machine->is_forced = true;
	machine->forced_status = VMMU_RESOLVE_IO;
	machine->forced_page =
		(struct vmmu_page){.pfn = 7, .level = 1, .memtype = (enum vmmu_memtype)3};
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_EXIT_TO_HOST);
	cr_assert_eq(fault.exit, VMMU_EXIT_NO_PAGE);
	cr_assert_eq(machine_kind(machine, 0, 0), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}

/* vmmu_prefault() maps it as a fault would. */
FORMAT_TEST(io, prefaulted__keeps_its_type)
{
	struct machine *machine = machine_of_kinds(*index);

	machine->host.pages[5].status = HOST_IO;
	cr_assert_eq(vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, 4),
				   machine_gpa(machine, 3), NULL),
		     0);
	check_memtype(machine, 4, VMMU_MEM_WRITEBACK);
	check_memtype(machine, 5, VMMU_MEM_DEVICE);
	check_memtype(machine, 6, VMMU_MEM_WRITEBACK);
	machine_destroy(machine);
}
