// SPDX-License-Identifier: MIT
/* What a changed entry asks for: the sheets' tables on TLB maintenance, row by row. */
#include <vmmu/tlb.h>

#include <criterion/criterion.h>

#define NONE   VMMU_TLB_NEED_NONE
#define LOCAL  VMMU_TLB_NEED_LOCAL
#define REMOTE VMMU_TLB_NEED_REMOTE
#define BREAK  VMMU_TLB_NEED_BREAK

struct row {
	enum vmmu_hw_arch arch;
	unsigned level;
	uint64_t from, to;
	enum vmmu_tlb_need need;
	const char *why;
};

static const struct row rows[] = {
	{VMMU_HW_EPT, 1, 0x0, 0x40080037, NONE, "not present to present"},
	{VMMU_HW_EPT, 1, 0x6, 0x40080037, NONE, "misconfigured to present"},
	{VMMU_HW_EPT, 2, 0x0, 0x40080007, NONE, "a table appears"},
	{VMMU_HW_EPT, 1, 0x40080031, 0x40080033, NONE, "write added"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x40080837, NONE, "software bit"},
	{VMMU_HW_EPT, 1, 0x40080337, 0x40080037, NONE, "accessed and dirty are left aside"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x40080031, REMOTE, "write removed"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x0, REMOTE, "gone"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x6, REMOTE, "an MMIO marker instead"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x40081037, REMOTE, "another page"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x40080007, REMOTE, "another memory type"},
	{VMMU_HW_EPT, 1, 0x40080037, 0x40080077, REMOTE, "IPAT"},
	{VMMU_HW_EPT, 2, 0x40080007, 0x400000b7, REMOTE, "a table becomes a page"},
	{VMMU_HW_EPT, 2, 0x400000b7, 0x40080007, REMOTE, "a page becomes a table"},
	{VMMU_HW_EPT, 2, 0x40080007, 0x0, REMOTE, "a table goes"},
	{VMMU_HW_EPT, 4, 0x40080007, 0x40090007, REMOTE, "another table"},
	{VMMU_HW_EPT, 1, 0x0, 0x6, NONE, "an MMIO marker"},
	{VMMU_HW_NPT, 1, 0x0, 0x40080067, NONE, "not present to present"},
	{VMMU_HW_NPT, 1, 0x40080065, 0x40080067, NONE, "write added"},
	{VMMU_HW_NPT, 1, 0x40080067, 0x40080065, REMOTE, "write removed"},
	{VMMU_HW_NPT, 1, 0x40080067, UINT64_C(0x8000000040080067), REMOTE, "NX"},
	{VMMU_HW_NPT, 1, UINT64_C(0x8000000040080067), 0x40080067, NONE, "NX lifted"},
	{VMMU_HW_NPT, 1, 0x40080067, 0x40081067, REMOTE, "another page"},
	{VMMU_HW_NPT, 1, 0x40080067, UINT64_C(0x8000000000001), REMOTE, "an MMIO marker instead"},
	{VMMU_HW_NPT, 1, UINT64_C(0x8000000000001), 0x40080067, NONE, "reserved to present"},
	{VMMU_HW_NPT, 2, 0x40080027, 0x0, REMOTE, "a table goes"},
	{VMMU_HW_NPT, 1, 0x40080067, 0x40080007, NONE, "accessed and dirty are left aside"},
	{VMMU_HW_RISCV, 1, 0x0, 0x100200df, LOCAL, "V 0 to 1"},
	{VMMU_HW_RISCV, 2, 0x0, 0x10020001, LOCAL, "a table appears"},
	{VMMU_HW_RISCV, 1, 0x100200db, 0x100200df, LOCAL, "write added"},
	{VMMU_HW_RISCV, 1, 0x100200df, 0x100200db, REMOTE, "write removed"},
	{VMMU_HW_RISCV, 1, 0x100200df, 0x0, REMOTE, "V 1 to 0"},
	{VMMU_HW_RISCV, 1, 0x100200df, 0x100204df, REMOTE, "another page"},
	{VMMU_HW_RISCV, 1, 0x100200df, UINT64_C(0x20000000100200df), REMOTE, "PBMT"},
	{VMMU_HW_RISCV, 2, 0x10020001, 0x10080001, REMOTE, "another table"},
	{VMMU_HW_RISCV, 2, 0x100000df, 0x10020001, REMOTE, "a page becomes a table"},
	{VMMU_HW_RISCV, 1, 0x100200df, 0x1002009f, NONE, "accessed is left aside"},
	{VMMU_HW_RISCV, 1, 0x0, 0xfe, NONE, "all of V=0 is one"},
	{VMMU_HW_ARM64, 1, 0x0, 0x400807ff, NONE, "invalid to valid"},
	{VMMU_HW_ARM64, 1, 0x4008077f, 0x400807ff, REMOTE, "write added"},
	{VMMU_HW_ARM64, 1, 0x400807ff, 0x4008077f, REMOTE, "write removed"},
	{VMMU_HW_ARM64, 1, UINT64_C(0x400000400807ff), 0x400807ff, REMOTE, "execute added"},
	{VMMU_HW_ARM64, 1, 0x400807ff, 0x0, REMOTE, "valid to invalid"},
	{VMMU_HW_ARM64, 1, 0x400807ff, 0x400807fd, REMOTE, "type 01 at the last level is invalid"},
	{VMMU_HW_ARM64, 1, 0x400807ff, 0x400817ff, BREAK, "another page"},
	{VMMU_HW_ARM64, 1, 0x400807ff, 0x400807c7, BREAK, "another memory type"},
	{VMMU_HW_ARM64, 1, 0x400807ff, UINT64_C(0x100000400807ff), BREAK, "contiguous"},
	{VMMU_HW_ARM64, 2, 0x400007fd, 0x40080003, BREAK, "a block becomes a table"},
	{VMMU_HW_ARM64, 2, 0x400004c1, 0x40000003, BREAK, "with no bit of attributes"},
	{VMMU_HW_ARM64, 2, 0x40080003, 0x400007fd, BREAK, "a table becomes a block"},
	{VMMU_HW_ARM64, 2, 0x40080003, 0x40090003, BREAK, "another table"},
	{VMMU_HW_ARM64, 2, 0x40080003, 0x0, REMOTE, "a table goes"},
	{VMMU_HW_ARM64, 1, 0x400803ff, 0x400807ff, NONE, "AF 0 to 1"},
	{VMMU_HW_ARM64, 1, 0x400807ff, UINT64_C(0x80000000400807ff), NONE, "software bit"},
	{VMMU_HW_X86, 1, 0x67, 0x0, NONE, "no second stage"},
};

static struct vmmu_hw_cpu cpu_of(enum vmmu_hw_arch arch)
{
	struct vmmu_hw_cpu cpu = {.arch = arch};

	if (arch == VMMU_HW_ARM64)
		cpu.u.arm64 = (struct vmmu_hw_arm64){.pamax = 48, .vtcr_el2 = 25 | 1 << 6};
	else if (arch != VMMU_HW_RISCV)
		cpu.u.x86 = (struct vmmu_hw_x86){.maxphyaddr = 46, .eptp = 6 | 3 << 3 | 1 << 6};
	return cpu;
}

Test(need, each_change__as_its_sheet_says)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vmmu_hw_cpu cpu = cpu_of(rows[i].arch);

		cr_assert_eq(vmmu_tlb_need(&cpu, rows[i].level, rows[i].from, rows[i].to),
			     rows[i].need, "architecture %d: %s", rows[i].arch, rows[i].why);
	}
}

Test(need, what_is_no_level__nothing)
{
	struct vmmu_hw_cpu cpu = cpu_of(VMMU_HW_EPT);

	cr_assert_eq(vmmu_tlb_need(&cpu, 0, 7, 0), NONE);
	cr_assert_eq(vmmu_tlb_need(&cpu, VMMU_LEVELS_MAX + 1, 7, 0), NONE);
	cr_assert_eq(vmmu_tlb_need(NULL, 1, 7, 0), NONE);
	cpu.arch = VMMU_HW_ARCHES;
	cr_assert_eq(vmmu_tlb_need(&cpu, 1, 7, 0), NONE);
}
