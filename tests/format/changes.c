/* SPDX-License-Identifier: MIT */
/*
 * What is due when an entry changes: row by row from the manuals' TLB sections, and for
 * mmu_writable from KVM's rule (whoever takes it away flushes, even when WRITE is gone already).
 */
#include <criterion/criterion.h>

#include "base/bits.h"
#include "format/registry.h"

struct change_row {
	const char *format;
	unsigned level;
	const char *what;
	uint64_t old_pte, new_pte;
	enum vmmu_flush_due flush;
	bool needs_break;
};

#define NONE   VMMU_FLUSH_NONE, false
#define LOCAL  VMMU_FLUSH_LOCAL, false
#define REMOTE VMMU_FLUSH_REMOTE, false
#define BREAK  VMMU_FLUSH_REMOTE, true

/* Intel SDM volume 3, "Invalidating Cached Information Derived from EPT". */
static const struct change_row ept_rows[] = {
	{"ept4", 1, "absent to leaf", 0, 0x0600000012345b77, NONE},
	{"ept4", 1, "MMIO (misconfigured) to leaf", 0x6, 0x0600000012345b77, NONE},
	{"ept4", 1, "frozen to leaf", 0x5a0, 0x0600000012345b77, NONE},
	{"ept4", 1, "absent to MMIO", 0, 0x6, NONE},
	{"ept4", 1, "MMIO to absent", 0x6, 0, NONE},
	{"ept4", 1, "absent to frozen", 0, 0x5a0, NONE},
	{"ept4", 1, "leaf to absent", 0x0600000012345b77, 0, REMOTE},
	{"ept4", 1, "leaf to frozen", 0x0600000012345b77, 0x5a0, REMOTE},
	{"ept4", 1, "leaf to MMIO", 0x0600000012345b77, 0x6, REMOTE},
	{"ept4", 1, "W removed", 0x0600000012345b77, 0x0600000012345b75, REMOTE},
	{"ept4", 1, "W added", 0x0600000012345b75, 0x0600000012345b77, NONE},
	{"ept4", 1, "X removed", 0x0600000012345b77, 0x0600000012345b73, REMOTE},
	{"ept4", 1, "X added", 0x0600000012345b73, 0x0600000012345b77, NONE},
	{"ept4", 1, "W added, X removed", 0x0600000012345b75, 0x0600000012345b73, REMOTE},
	{"ept4", 1, "address", 0x0600000012345b77, 0x0600000012346b77, REMOTE},
	{"ept4", 1, "memory type", 0x0600000012345b77, 0x0600000012345b47, REMOTE},
	{"ept4", 1, "IPAT", 0x0600000012345b77, 0x0600000012345b37, REMOTE},
	{"ept4", 1, "A cleared", 0x0600000012345b77, 0x0600000012345a77, REMOTE},
	{"ept4", 1, "D cleared", 0x0600000012345b77, 0x0600000012345977, REMOTE},
	{"ept4", 1, "A and D set", 0x0600000012345877, 0x0600000012345b77, NONE},
	{"ept4", 1, "MMU-writable lost", 0x0600000012345b75, 0x0200000012345b75, REMOTE},
	{"ept4", 1, "MMU-writable gained", 0x0200000012345b75, 0x0600000012345b75, NONE},
	{"ept4", 1, "host-writable lost", 0x0200000012345b75, 0x12345b75, NONE},
	{"ept4", 1, "ignored bit 62", 0x12345b75, 0x4000000012345b75, NONE},
	{"ept4", 1, "nothing", 0x12345b75, 0x12345b75, NONE},
	{"ept4", 1, "turned malformed", 0x12345b75, 0x12345b4d, REMOTE},
	{"ept4", 2, "absent to table", 0, 0x12345907, NONE},
	{"ept4", 2, "table to absent", 0x12345907, 0, REMOTE},
	{"ept4", 2, "table to table", 0x12345907, 0x12346907, REMOTE},
	{"ept4", 2, "2M page to table", 0x0600000012200bf7, 0x12345907, REMOTE},
	{"ept4", 2, "table to 2M page", 0x12345907, 0x0600000012200bf7, REMOTE},
	{"ept4-noad", 1, "aged", 0x0610000012345877, 0x07d0000012345870, REMOTE},
	{"ept4-noad", 1, "aged, used again", 0x07d0000012345870, 0x0610000012345877, NONE},
	{"ept4-noad", 1, "aged to absent", 0x07d0000012345870, 0, REMOTE},
	{"ept4-noad", 1, "aged, protected", 0x07d0000012345870, 0x0750000012345870, REMOTE},
	{"ept4-noad", 1, "aged, forbidden", 0x0750000012345870, 0x0350000012345870, REMOTE},
	{"ept4-noad", 1, "W removed", 0x0610000012345877, 0x0610000012345875, REMOTE},
	{"ept4-mbe", 1, "user execute removed", 0x0600000012345f77, 0x0600000012345b77, REMOTE},
	{"ept4-mbe", 1, "execute added", 0x0600000012345b73, 0x0600000012345f77, NONE},
	{"ept4-ve", 1, "absent to leaf", 0x8000000000000000, 0x8600000012345b77, NONE},
	{"ept4-ve", 1, "leaf to absent", 0x8600000012345b77, 0x8000000000000000, REMOTE},
	{"ept4-ve", 1, "absent to frozen", 0x8000000000000000, 0x80000000000005a0, NONE},
};

/* AMD64 manual volume 2, "TLB Management", "Nested Paging". */
static const struct change_row npt_rows[] = {
	{"npt4", 1, "absent to leaf", 0, 0x2a4ae67, NONE},
	{"npt4", 1, "MMIO to leaf", 0x8000070000017, 0x2a4ae67, NONE},
	{"npt4", 1, "leaf to absent", 0x2a4ae67, 0, REMOTE},
	{"npt4", 1, "leaf to MMIO", 0x2a4ae67, 0x8000070000017, REMOTE},
	{"npt4", 1, "W removed", 0x2a4ae67, 0x2a4ae65, REMOTE},
	{"npt4", 1, "W added", 0x2a4ae65, 0x2a4ae67, NONE},
	{"npt4", 1, "NX set", 0x2a4ae67, 0x8000000002a4ae67, REMOTE},
	{"npt4", 1, "NX cleared", 0x8000000002a4ae67, 0x2a4ae67, NONE},
	{"npt4", 1, "user cleared", 0x2a4ae67, 0x2a4ae63, REMOTE},
	{"npt4", 1, "A cleared", 0x2a4ae67, 0x2a4ae47, REMOTE},
	{"npt4", 1, "D cleared", 0x2a4ae67, 0x2a4ae27, REMOTE},
	{"npt4", 1, "D set", 0x2a4ae27, 0x2a4ae67, NONE},
	{"npt4", 1, "PAT", 0x2a4ae67, 0x2a4aee7, REMOTE},
	{"npt4", 1, "PCD", 0x2a4ae67, 0x2a4ae77, REMOTE},
	{"npt4", 1, "MMU-writable lost", 0x2a4ae65, 0x2a4aa65, REMOTE},
	{"npt4", 1, "host-writable lost", 0x2a4aa65, 0x2a4a865, NONE},
	{"npt4", 2, "PAT of a 2M page", 0x10400ee7, 0x10401ee7, REMOTE},
	{"npt4", 2, "2M page to table", 0x10400ee7, 0x12345827, REMOTE},
	{"npt4", 2, "table to absent", 0x12345827, 0, REMOTE},
};

/* RISC-V privileged architecture, HFENCE.GVMA. */
static const struct change_row riscv_rows[] = {
	{"sv39x4", 1, "absent to leaf", 0, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "MMIO to leaf", 0x3800000002e, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "frozen to leaf", 0x5a0, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "absent to MMIO", 0, 0x3800000002e, NONE},
	{"sv39x4", 1, "MMIO to absent", 0x3800000002e, 0, NONE},
	{"sv39x4", 1, "leaf to absent", 0x40739fdf, 0, REMOTE},
	{"sv39x4", 1, "W removed", 0x40739fdf, 0x40739fdb, REMOTE},
	{"sv39x4", 1, "W added", 0x40739fdb, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "D set", 0x40739f5f, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "A cleared", 0x40739fdf, 0x40739f9f, REMOTE},
	{"sv39x4", 1, "D cleared", 0x40739fdf, 0x40739f5f, REMOTE},
	{"sv48x4-adu", 1, "D cleared, W kept", 0x40739fdf, 0x40739f5f, REMOTE},
	{"sv48x4-adu", 1, "A and D set by hardware", 0x40739f1f, 0x40739fdf, LOCAL},
	{"sv39x4", 1, "PBMT", 0x40739fdf, 0x2000000040739fdf, REMOTE},
	{"sv39x4", 1, "address", 0x40739fdf, 0x40739bdf, REMOTE},
	{"sv39x4", 1, "MMU-writable lost", 0x40739fdb, 0x40739ddb, REMOTE},
	{"sv39x4", 1, "host-writable lost", 0x40739ddb, 0x40739cdb, NONE},
	{"sv39x4", 2, "absent to table", 0, 0x20080001, LOCAL},
	{"sv39x4-napot", 1, "into a group", 0x200803df, 0x80000000200823df, REMOTE},
	{"sv39x4-napot", 1, "out of a group", 0x80000000200823df, 0x200803df, REMOTE},
	{"sv39x4", 2, "table to absent", 0x20080001, 0, REMOTE},
	{"sv39x4", 2, "2M page to table", 0x200803df, 0x20080001, REMOTE},
	{"sv39x4", 2, "table to 2M page", 0x20080001, 0x200803df, REMOTE},
};

/* Arm Architecture Reference Manual, "Translation Lookaside Buffers", "Using break-before-make". */
static const struct change_row arm_rows[] = {
	{"arm-s2-4k", 1, "absent to leaf", 0, 0x018000004bc007ff, NONE},
	{"arm-s2-4k", 1, "frozen to leaf", 0x400, 0x018000004bc007ff, NONE},
	{"arm-s2-4k", 1, "MMIO to leaf", 0x38000000026, 0x018000004bc007ff, NONE},
	{"arm-s2-4k", 1, "leaf to absent", 0x018000004bc007ff, 0, REMOTE},
	{"arm-s2-4k", 1, "leaf to frozen", 0x018000004bc007ff, 0x400, REMOTE},
	{"arm-s2-4k", 1, "leaf to MMIO", 0x018000004bc007ff, 0x38000000026, REMOTE},
	{"arm-s2-4k", 1, "write removed", 0x018000004bc007ff, 0x018000004bc0077f, REMOTE},
	{"arm-s2-4k", 1, "write added", 0x018000004bc0077f, 0x018000004bc007ff, REMOTE},
	{"arm-s2-4k", 1, "XN set", 0x018000004bc007ff, 0x01c000004bc007ff, REMOTE},
	{"arm-s2-4k", 1, "XN cleared", 0x01c000004bc007ff, 0x018000004bc007ff, REMOTE},
	{"arm-s2-4k", 1, "AF set", 0x018000004bc003ff, 0x018000004bc007ff, NONE},
	{"arm-s2-4k", 1, "AF cleared", 0x018000004bc007ff, 0x018000004bc003ff, REMOTE},
	{"arm-s2-4k", 1, "MMU-writable lost", 0x018000004bc0077f, 0x008000004bc0077f, REMOTE},
	{"arm-s2-4k", 1, "host-writable lost", 0x008000004bc0077f, 0x4bc0077f, NONE},
	{"arm-s2-4k", 1, "address", 0x018000004bc007ff, 0x018000004bc017ff, BREAK},
	{"arm-s2-4k", 1, "MemAttr", 0x018000004bc007ff, 0x018000004bc007c7, BREAK},
	{"arm-s2-4k", 1, "shareability", 0x018000004bc007ff, 0x018000004bc006ff, BREAK},
	{"arm-s2-4k", 1, "contiguous", 0x018000004bc007ff, 0x019000004bc007ff, BREAK},
	{"arm-s2-4k", 2, "block to table", 0x018000004bc007fd, 0x43642003, BREAK},
	{"arm-s2-4k-lpa2", 1, "bit 51", 0x01830000400807ff, 0x01830000400805ff, BREAK},
	{"arm-s2-4k-lpa2", 4, "512G block to table", 0x01800080000004fd, 0x43642003, BREAK},
	{"arm-s2-64k-lpa", 2, "bit 48 of a table", 0x4008f003, 0x4008e003, BREAK},
	{"arm-s2-4k-cont", 1, "contiguous", 0x018000004bc007ff, 0x019000004bc007ff, BREAK},
	{"arm-s2-16k", 1, "write removed", 0x01800000000047ff, 0x018000000000477f, REMOTE},
	{"arm-s2-4k", 2, "table to block", 0x43642003, 0x018000004bc007fd, BREAK},
	{"arm-s2-4k", 2, "table to table", 0x43642003, 0x43643003, BREAK},
	{"arm-s2-4k", 2, "table to absent", 0x43642003, 0, REMOTE},
	{"arm-s2-4k", 2, "absent to table", 0, 0x43642003, NONE},
};

static void expect_rows(const struct change_row *rows, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct change_row *row = &rows[i];
		const struct vmmu_format_ops *ops = vmmu_format_find(row->format)->ops;

		cr_expect_eq(ops->flush_needed(row->old_pte, row->new_pte, row->level), row->flush,
			     "%s %s: flush", row->format, row->what);
		cr_expect_eq(ops->needs_break(row->old_pte, row->new_pte, row->level),
			     row->needs_break, "%s %s: break", row->format, row->what);
	}
}

Test(changes, ept__flushed_as_the_manual_says)
{
	expect_rows(ept_rows, ARRAY_COUNT(ept_rows));
}

Test(changes, npt__flushed_as_the_manual_says)
{
	expect_rows(npt_rows, ARRAY_COUNT(npt_rows));
}

Test(changes, riscv__flushed_as_the_manual_says)
{
	expect_rows(riscv_rows, ARRAY_COUNT(riscv_rows));
}

Test(changes, arm__flushed_and_broken_as_the_manual_says)
{
	expect_rows(arm_rows, ARRAY_COUNT(arm_rows));
}
