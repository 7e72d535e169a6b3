/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "format/registry.h"

/*
 * By hand from the manuals: levels, page shift, input bits, output bits, leaf levels as a mask,
 * root table bytes.
 */
struct expected_format {
	const char *name, *architecture;
	unsigned levels, page_shift, gpa_bits, pa_bits, leaf_levels, root_frame_lg2, caps;
};

#define X86_CAPS   (VMMU_CAP_HW_DIRTY | VMMU_CAP_MMIO_TRAP)
#define RISCV_CAPS (VMMU_CAP_CACHES_ABSENT | VMMU_CAP_EXEC_ONLY)
#define ARM_CAPS   (VMMU_CAP_BREAK_FIRST | VMMU_CAP_WRITE_ONLY | VMMU_CAP_EXEC_ONLY)

static const struct expected_format expected_formats[] = {
	{"ept4", "x86-ept", 4, 12, 48, 52, 0x0e, 12, X86_CAPS},
	{"ept5", "x86-ept", 5, 12, 57, 52, 0x0e, 12, X86_CAPS},
	{"npt4", "x86-npt", 4, 12, 48, 51, 0x0e, 12, X86_CAPS},
	{"npt5", "x86-npt", 5, 12, 57, 51, 0x0e, 12, X86_CAPS},
	{"sv39x4", "riscv64", 3, 12, 41, 56, 0x0e, 14, RISCV_CAPS},
	{"sv48x4", "riscv64", 4, 12, 50, 56, 0x1e, 14, RISCV_CAPS},
	{"sv57x4", "riscv64", 5, 12, 59, 56, 0x3e, 14, RISCV_CAPS},
	{"arm-s2-4k", "arm64", 4, 12, 48, 48, 0x0e, 12, ARM_CAPS},
	{"arm-s2-4k-40", "arm64", 3, 12, 40, 48, 0x0e, 13, ARM_CAPS},
	{"arm-s2-4k-43", "arm64", 3, 12, 43, 48, 0x0e, 16, ARM_CAPS},
	{"arm-s2-64k", "arm64", 3, 16, 48, 48, 0x06, 16, ARM_CAPS},
	{"arm-s2-16k", "arm64", 3, 14, 48, 48, 0x06, 15, ARM_CAPS},
	{"arm-s2-4k-lpa2", "arm64", 5, 12, 52, 52, 0x1e, 12, ARM_CAPS},
	{"arm-s2-16k-lpa2", "arm64", 4, 14, 52, 52, 0x0e, 14, ARM_CAPS},
	{"arm-s2-64k-lpa", "arm64", 3, 16, 52, 52, 0x0e, 16, ARM_CAPS},
	{"ept4-noad", "x86-ept", 4, 12, 48, 52, 0x0e, 12, VMMU_CAP_MMIO_TRAP},
	{"ept4-mbe", "x86-ept", 4, 12, 48, 52, 0x0e, 12, X86_CAPS},
	{"ept4-ve", "x86-ept", 4, 12, 48, 52, 0x0e, 12, X86_CAPS},
	{"arm-s2-4k-cont", "arm64", 4, 12, 48, 48, 0x0e, 12, ARM_CAPS},
	{"arm-s2-16k-cont", "arm64", 3, 14, 48, 48, 0x06, 15, ARM_CAPS},
	{"arm-s2-64k-cont", "arm64", 3, 16, 48, 48, 0x06, 16, ARM_CAPS},
	{"sv39x4-napot", "riscv64", 3, 12, 41, 56, 0x0e, 14, RISCV_CAPS},
	{"sv48x4-napot", "riscv64", 4, 12, 50, 56, 0x1e, 14, RISCV_CAPS},
	{"sv57x4-napot", "riscv64", 5, 12, 59, 56, 0x3e, 14, RISCV_CAPS},
	{"sv48x4-adu", "riscv64", 4, 12, 50, 56, 0x1e, 14, RISCV_CAPS | VMMU_CAP_HW_DIRTY},
};

Test(registry, listing__is_these_formats_in_this_order)
{
	for (unsigned i = 0; i < ARRAY_COUNT(expected_formats); i++) {
		const struct expected_format *want = &expected_formats[i];
		const struct vmmu_format *format = vmmu_format_at(i);
		const struct vmmu_format_info *info;
		const struct vmmu_geometry *geometry;

		cr_assert(format, "%s", want->name);
		info = vmmu_format_info(format);
		geometry = info->geometry;
		cr_expect_str_eq(info->name, want->name);
		cr_expect_str_eq(info->architecture, want->architecture);
		cr_expect_eq(geometry->levels, want->levels, "%s", want->name);
		cr_expect_eq(geometry->page_shift, want->page_shift, "%s", want->name);
		cr_expect_eq(geometry->gpa_bits, want->gpa_bits, "%s", want->name);
		cr_expect_eq(geometry->pa_bits, want->pa_bits, "%s", want->name);
		cr_expect_eq(geometry->leaf_levels, want->leaf_levels, "%s", want->name);
		cr_expect_eq(geometry->table_lg2[want->levels], want->root_frame_lg2, "%s",
			     want->name);
		cr_expect_eq(info->caps, want->caps, "%s", want->name);
		cr_expect_eq(info->mmio_gen_bits, 19, "%s", want->name);
		cr_expect_gt(strlen(info->description), 10, "%s", want->name);
	}
	cr_expect_null(vmmu_format_at(ARRAY_COUNT(expected_formats)));
	cr_expect_null(vmmu_format_at(~0u));
}

Test(registry, find__by_exact_name_only)
{
	for (unsigned i = 0; i < ARRAY_COUNT(expected_formats); i++)
		cr_expect_eq(vmmu_format_find(expected_formats[i].name), vmmu_format_at(i));
	cr_expect_null(vmmu_format_find("ept"));
	cr_expect_null(vmmu_format_find("ept44"));
	cr_expect_null(vmmu_format_find("EPT4"));
	cr_expect_null(vmmu_format_find(""));
	cr_expect_null(vmmu_format_find(NULL));
}

Test(registry, level_outside_the_format__invalid_and_entry_untouched)
{
	struct vmmu_entry entry = {.pfn = 0x1234};
	const struct vmmu_format *ept4 = vmmu_format_find("ept4");

	cr_expect_eq(vmmu_entry_read(ept4, 7, 0, &entry), -EINVAL);
	cr_expect_eq(vmmu_entry_read(ept4, 7, 5, &entry), -EINVAL);
	cr_expect_eq(vmmu_entry_read(ept4, 7, ~0u, &entry), -EINVAL);
	cr_expect_eq(vmmu_entry_read(NULL, 7, 1, &entry), -EINVAL);
	cr_expect_eq(vmmu_entry_read(ept4, 7, 1, NULL), -EINVAL);
	cr_expect_eq(entry.pfn, 0x1234);
	cr_expect_eq(vmmu_entry_read(vmmu_format_find("ept5"), 7, 5, &entry), 0);
	cr_expect_eq(entry.kind, VMMU_ENTRY_TABLE);
}

Test(registry, fields_of_another_kind__zero)
{
	const struct vmmu_format *npt4 = vmmu_format_find("npt4");
	struct vmmu_entry entry;

	memset(&entry, 0xff, sizeof(entry));
	cr_assert_eq(vmmu_entry_read(npt4, UINT64_C(0x8000070000017), 1, &entry), 0);
	cr_expect_eq(entry.kind, VMMU_ENTRY_MMIO);
	cr_expect_eq(entry.gfn, 0x70000);
	cr_expect_eq(entry.generation, 2);
	cr_expect_eq(entry.access, VMMU_RWX);
	cr_expect(!entry.pfn && !entry.table_hpa && !entry.host_writable && !entry.mmu_writable &&
		  !entry.accessed && !entry.dirty && !entry.malformed);
	cr_assert_eq(vmmu_entry_read(npt4, 0x2a4ae67, 1, &entry), 0);
	cr_expect_eq(entry.kind, VMMU_ENTRY_LEAF);
	cr_expect_eq(entry.pfn, 0x2a4a);
	cr_expect_eq(entry.access, VMMU_RWX);
	cr_expect(entry.host_writable && entry.mmu_writable && entry.accessed && entry.dirty);
	cr_expect(!entry.gfn && !entry.generation && !entry.table_hpa);
}
