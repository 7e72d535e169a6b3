/* SPDX-License-Identifier: MIT */
/*
 * Profiles: entries as each kernel wrote them, worked out by hand from the layouts; the engine's
 * own profile against its formats; recordings of real kernels, which verify what they can.
 */
#include <vmmu/profile.h>

#include <errno.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "format/registry.h"
#include "tracing/help.h"

static const struct {
	const char *version, *format, *text;
	uint64_t pte;
	unsigned level;
} entries[] = {
	/* recorded: kvm-live x86-6.1, x86-6.12, x86-7.2 */
	{"6.1", "npt4", "leaf pfn 0xb1de rwx accessed dirty host-writable mmu-writable", 0xb1dee67,
	 1},
	{"6.1", "npt4", "leaf pfn 0xb1de r-x accessed dirty host-writable mmu-writable", 0xb1dee65,
	 1},
	{"6.1", "npt4", "leaf pfn 0x9d825 r-x accessed", 0x9d825825, 1},
	{"6.1", "npt4", "absent", 0, 1},
	{"6.1", "npt4", "frozen", 0x5a0, 1},
	{"6.1", "npt4", "mmio gfn 0x70000 rwx generation 2", 0x8000070000017, 1},
	{"6.12", "npt4", "absent", BIT64(63), 2},
	{"6.12", "npt4", "frozen", BIT64(63) | 0x5a0, 3},
	{"6.12", "npt4", "mmio gfn 0x70000 rwx generation 2", 0x8000070000017, 1},
	{"6.12", "npt4", "table 0xa1db000", 0xa1db827, 2},
	{"7.2", "npt5", "absent", BIT64(63), 1},
	{"7.2", "npt5", "frozen", BIT64(63) | 0x1a0, 1},
	{"7.2", "npt4", "mmio gfn 0x70000 rwx generation 2", 0x8000070000017, 1},
	{"6.1", "arm-s2-4k-40", "leaf pfn 0x41e87 rw- accessed dirty", 0x40000041e877ff, 1},
	{"6.12", "sv57x4", "leaf pfn 0x101ce7 rwx accessed dirty", 0x40739cdf, 1},
	/* values of other versions */
	{"6.1", "npt4", "absent, unexpected value", BIT64(63), 1},
	{"6.1", "npt4", "absent, unexpected value", BIT64(63) | 0x5a0, 1},
	{"6.12", "npt4", "absent, unexpected value", 0, 1},
	{"6.12", "npt4", "absent, unexpected value", 0x5a0, 1},
	{"7.2", "npt4", "absent, unexpected value", BIT64(63) | 0x5a0, 1},
	{"vmmu", "npt4", "absent, unexpected value", BIT64(63), 1},
	/* generation 0x12345: up to 6.12 0x45 << 3 and 0x123 << 52; then 0x45 << 3, 0x246 << 52 */
	{"6.12", "npt4", "mmio gfn 0x70000 r-x generation 74565", 0x123800007000022d, 1},
	{"7.2", "npt4", "mmio gfn 0x70000 r-x generation 74565", 0x246800007000022d, 1},
	{"6.1", "ept4", "mmio gfn 0xfee00 rwx generation 74565", 0x12300000fee0022e, 1},
	{"7.2", "ept4", "mmio gfn 0xfee00 rwx generation 74565", 0x24600000fee0022e, 1},
	/* with bit 63 the mask of 6.10 and later does not match: a misconfiguration */
	{"6.12", "ept4", "leaf pfn 0xfee00 --- malformed", 0x80000000fee00006, 1},
	/* software bits: 57 and 58, then 53 and 55; 52 is the A/D type, then saved READ */
	{"6.1", "ept4", "leaf pfn 0x12345 rwx accessed dirty host-writable mmu-writable",
	 0x0600000012345b77, 1},
	{"6.12", "ept4", "leaf pfn 0x12345 rwx accessed dirty host-writable", 0x0200000012345b77,
	 1},
	{"7.2", "ept4", "leaf pfn 0x12345 rwx accessed dirty host-writable mmu-writable",
	 0x00a0000012345b77, 1},
	{"7.2", "ept4", "leaf pfn 0x12345 rwx accessed dirty", 0x0600000012345b77, 1},
	{"6.1", "ept4", "leaf pfn 0x12345 rwx no-ad", 0x0010000012345877, 1},
	{"6.1", "ept4", "leaf pfn 0x12345 rwx ad-write-protect", 0x0020000012345877, 1},
	{"7.2", "ept4", "leaf pfn 0x12345 rwx no-ad", 0x1000000012345877, 1},
	/* tracked: no rights, A/D type 1, READ and EXEC put aside, host- and MMU-writable */
	{"6.1", "ept4", "leaf pfn 0x12345 --- host-writable mmu-writable no-ad tracked, saved rwx",
	 0x0750000012345870, 1},
	{"7.2", "ept4", "leaf pfn 0x12345 --- host-writable mmu-writable no-ad tracked, saved rwx",
	 0x10f0000012345870, 1},
	{"7.2", "ept4", "absent, unexpected value", 0x0750000012345870, 1},
};

Test(profile, entries__read_as_their_kernel_meant_them)
{
	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		const struct vmmu_format *format = vmmu_format_find(entries[i].format);
		const struct vmmu_profile *profile = vmmu_profile_find(
			entries[i].version, vmmu_format_info(format)->architecture);
		char text[128];
		int length;

		cr_assert_not_null(profile, "%zu", i);
		length = vmmu_profile_entry_text(profile, format, entries[i].pte, entries[i].level,
						 text, sizeof(text));
		cr_expect_str_eq(text, entries[i].text, "%s %s 0x%llx: %s", entries[i].version,
				 entries[i].format, (unsigned long long)entries[i].pte, text);
		cr_expect_eq(length, (int)strlen(entries[i].text));
	}
}

Test(profile, versions__are_found_with_point_releases)
{
	const struct vmmu_profile *profile = vmmu_profile_find("6.1", "x86-ept");

	cr_assert_not_null(profile);
	cr_expect_str_eq(vmmu_profile_info(profile)->name, "kvm-6.1");
	cr_expect_eq(vmmu_profile_find("6.1.192", "x86-ept"), profile);
	cr_expect_eq(vmmu_profile_find("6.1-rc3", "x86-ept"), profile);
	cr_expect_neq(vmmu_profile_find("6.12", "x86-ept"), profile);
	cr_expect_null(vmmu_profile_find("6.10", "x86-ept"));
	cr_expect_null(vmmu_profile_find("6", "x86-ept"));
	cr_expect_null(vmmu_profile_find("", "x86-ept"));
	cr_expect_null(vmmu_profile_find("6.12", "arm64"));
	cr_expect_null(vmmu_profile_find("6.1", "vax"));
	cr_expect_null(vmmu_profile_find(NULL, "x86-ept"));
	cr_expect_null(vmmu_profile_find("6.1", NULL));
	cr_expect_null(vmmu_profile_at(1000));
}

Test(profile, wrong_arguments__are_refused)
{
	const struct vmmu_profile *profile = vmmu_profile_find("6.1", "x86-ept");
	const struct vmmu_format *ept = vmmu_format_find("ept4"), *npt = vmmu_format_find("npt4");
	struct vmmu_profile_entry entry;

	cr_expect_eq(vmmu_profile_read(profile, npt, 0, 1, &entry), -EINVAL);
	cr_expect_eq(vmmu_profile_read(profile, ept, 0, 5, &entry), -EINVAL);
	cr_expect_eq(vmmu_profile_read(profile, ept, 0, 0, &entry), -EINVAL);
	cr_expect_eq(vmmu_profile_read(NULL, ept, 0, 1, &entry), -EINVAL);
	cr_expect_eq(vmmu_profile_read(profile, NULL, 0, 1, &entry), -EINVAL);
	cr_expect_eq(vmmu_profile_read(profile, ept, 0, 1, NULL), -EINVAL);
	cr_expect_eq(vmmu_profile_role_text(NULL, 0, NULL, 0), -EINVAL);
	cr_expect_eq(vmmu_profile_role_text(vmmu_profile_find("6.1", "arm64"), 0, NULL, 0),
		     -ENOTSUP);
	cr_expect_null(vmmu_profile_rule_name((enum vmmu_profile_rule)3));
	cr_expect_str_eq(vmmu_profile_rule_name(VMMU_RULE_BREAK_FIRST), "break-first");
	cr_expect_str_eq(vmmu_profile_rule_name(VMMU_RULE_LOGGED_HUGE_EXISTS),
			 "logged-huge-exists");
}

/* 14213 is what perf printed raw for "l5 8-byte q0 direct wux nxe ad" of Linux 6.1. */
Test(profile, roles__are_of_their_version)
{
	static const struct {
		const char *version, *text;
		uint32_t role;
	} roles[] = {
		{"6.1", "level 5 direct access 7 nx wp", 14213},
		{"6.12", "level 5 direct access 7 nx wp", 14213},
		{"7.2", "level 5 direct access 7 invalid nx", 14213},
		{"7.2", "level 1 quadrant 3 access 15 smm 1", 0x1000f61},
		{"6.1", "", 0},
	};

	for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
		const struct vmmu_profile *profile = vmmu_profile_find(roles[i].version, "x86-npt");
		char text[128], small[8];
		int length = vmmu_profile_role_text(profile, roles[i].role, text, sizeof(text));

		cr_expect_str_eq(text, roles[i].text);
		cr_expect_eq(length, (int)strlen(roles[i].text));
		cr_expect_eq(vmmu_profile_role_text(profile, roles[i].role, small, 8), length);
		cr_expect(!strncmp(small, roles[i].text, 7), "%s", small);
		cr_expect_eq(vmmu_profile_role_text(profile, roles[i].role, NULL, 0), length);
	}
}

static uint64_t own_leaf(const struct vmmu_format *format, bool host_writable, bool mmu_writable)
{
	return format->ops->make_leaf((struct vmmu_leaf){.pfn = 0x10,
							 .access = VMMU_READ,
							 .host_writable = host_writable,
							 .mmu_writable = mmu_writable},
				      1);
}

static void check_own_mmio(const struct vmmu_format *format, const struct vmmu_profile_info *info)
{
	struct vmmu_mmio mmio = {.gfn = 1, .access = VMMU_RWX};
	uint64_t none = format->ops->make_mmio(mmio, 1), all;

	mmio.generation = BIT64(format->info.mmio_gen_bits) - 1;
	all = format->ops->make_mmio(mmio, 1);
	cr_expect_eq(none & info->mmio_mask, info->mmio_value, "%s", format->info.name);
	cr_expect_eq(all ^ none,
		     (BIT64(info->generation_low.count) - 1) << info->generation_low.first |
			     (BIT64(info->generation_high.count) - 1)
				     << info->generation_high.first,
		     "%s", format->info.name);
}

/* EPT with another feature of the CPU has not-present values of its own: docs/formats.md. */
static bool is_variant(const struct vmmu_format *format)
{
	return !strncmp(format->info.name, "ept4-", strlen("ept4-"));
}

static void check_own_absent(const struct vmmu_profile *profile, const struct vmmu_format *format)
{
	const struct vmmu_profile_info *info = vmmu_profile_info(profile);
	uint64_t absent = format->ops->make_absent(1), frozen = format->ops->make_frozen(1);
	struct vmmu_profile_entry read;

	if (!is_variant(format)) {
		cr_expect_eq(absent, info->absent, "%s", format->info.name);
		cr_expect_eq(frozen, info->frozen, "%s", format->info.name);
	}
	cr_expect_eq(vmmu_profile_read(profile, format, absent, 1, &read), 0);
	cr_expect_eq(read.entry.kind, VMMU_ENTRY_ABSENT, "%s", format->info.name);
	cr_expect_not(read.is_unexpected, "%s", format->info.name);
	cr_expect_eq(vmmu_profile_read(profile, format, frozen, 1, &read), 0);
	cr_expect_eq(read.entry.kind, VMMU_ENTRY_FROZEN, "%s", format->info.name);
	cr_expect_not(read.is_unexpected, "%s", format->info.name);
	/* neither of them; bit 60 means nothing to hardware in an entry that is not present */
	cr_expect_eq(vmmu_profile_read(profile, format, absent | BIT64(60), 1, &read), 0);
	cr_expect(read.is_unexpected, "%s", format->info.name);
}

Test(profile, engines_own__says_what_its_formats_do)
{
	const struct vmmu_format *format;

	for (unsigned i = 0; (format = vmmu_format_at(i)); i++) {
		const struct vmmu_profile *profile = vmmu_profile_find("vmmu",
								       format->info.architecture);
		const struct vmmu_profile_info *info;
		struct vmmu_profile_entry read;

		cr_assert_not_null(profile, "%s", format->info.name);
		info = vmmu_profile_info(profile);
		cr_expect_eq(own_leaf(format, true, false) ^ own_leaf(format, false, false),
			     info->host_writable, "%s", format->info.name);
		cr_expect_eq(own_leaf(format, false, true) ^ own_leaf(format, false, false),
			     info->mmu_writable, "%s", format->info.name);
		cr_expect_eq(own_leaf(format, false, false) & info->present_mark,
			     info->present_mark);
		check_own_absent(profile, format);
		check_own_mmio(format, info);
		cr_expect_eq(
			vmmu_profile_read(profile, format, own_leaf(format, true, true), 1, &read),
			0);
		cr_expect(read.entry.host_writable && read.entry.mmu_writable);
		cr_expect_eq(!!(info->rules & VMMU_RULE_BREAK_FIRST),
			     !!(format->info.caps & VMMU_CAP_BREAK_FIRST));
	}
}

#define NPF(code)                                                                                \
	"q-1 [000] ..... 1.0: kvm_exit: vcpu 0 reason npf rip 0x1 info1 0x100000004 info2 0x0\n" \
	"q-1 [000] ..... 1.0: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code " code "\n"
#define NPT_FAULT NPF("0x100000004")
#define CHANGED(old, new)                                                                    \
	"q-1 [000] ..... 1.1: kvm_tdp_mmu_spte_changed: as id 0 gfn 1 level 1 old_spte " old \
	" new_spte " new "\n"

/* What each text tells; NULL: nothing, or too little. */
static const struct {
	const char *text, *name, *why;
} told[] = {
	{NPT_FAULT, NULL, "it fits 6.1 6.12 7.2"},
	{NPT_FAULT CHANGED("0", "5a0"), "kvm-6.1", "frozen value 0x5a0"},
	{NPT_FAULT CHANGED("0", "b1dee67"), "kvm-6.1", "absent value 0"},
	{NPT_FAULT CHANGED("8000000000000000", "b1dee67"), NULL, "it fits 6.12 7.2"},
	{NPT_FAULT CHANGED("8000000000000000", "80000000000005a0"), "kvm-6.12",
	 "frozen value 0x80000000000005a0"},
	{NPT_FAULT CHANGED("8000000000000000", "80000000000001a0"), "kvm-7.2",
	 "frozen value 0x80000000000001a0"},
	{NPT_FAULT CHANGED("0", "80000000000001a0"), NULL, "its values are of several versions"},
	{NPT_FAULT CHANGED(
		 "8000000000000000",
		 "b1dee67") "q-1 [0] ..... 1.2: kvm_mmu_spte_requested: gfn 2 pfn b1de level 1\n",
	 "kvm-6.12", "several signs together"},
	{NPT_FAULT "q-1 [0] ..... 1.2: kvm_mmu_spte_requested: gfn 2 pfn b1de level 1 access f\n",
	 "kvm-7.2", "kvm_mmu_spte_requested with access"},
	{NPT_FAULT "q-1 [0] ..... 1.2: kvm_set_spte_hva: mmu notifier set pte hva: 0x1000\n",
	 "kvm-6.1", "kvm_set_spte_hva"},
	{NPT_FAULT "q-1 [0] ..... 1.2: fast_page_fault: vcpu 0 gva 1000 error_code P|W|U sptep "
		   "000000001 old 0xb1dee65 new b1dee67 spurious 0 fixed 1\n",
	 "kvm-6.1", "fast_page_fault with 32 bits of error code"},
	{NPT_FAULT "q-1 [0] ..... 1.2: fast_page_fault: vcpu 0 gva 1000 error_code "
		   "P|W|U|0x100000000 sptep 01 old 0xb1dee65 new b1dee67 spurious 0 fixed 1\n",
	 NULL, "it fits 6.12 7.2"},
	{NPT_FAULT "q-1 [0] ..... 1.2: kvm_entry: vcpu 0, rip 0x1\n", NULL, "it fits 6.1 6.12"},
	{NPT_FAULT "q-1 [0] ..... 1.2: kvm_entry: vcpu 0, rip 0x1 intr_info 0x0 error_code 0x0\n",
	 "kvm-7.2", "kvm_entry with intr_info"},
	/* trace-cmd's plugin: says nothing */
	{NPT_FAULT "q-1 [0] ..... 1.2: kvm_entry:  vcpu 0 rip 0x1\n", NULL, "it fits 6.1 6.12 7.2"},
	{"q-1 [0] ..... 1.0: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code 0x182\n"
	 "q-1 [0] ..... 1.1: kvm_mmu_set_spte: gfn 1 spte 600000012345b77 (rwxu) level 1 at 1\n",
	 NULL, "it fits 6.1 6.12"},
	{"q-1 [0] ..... 1.0: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code 0x182\n"
	 "q-1 [0] ..... 1.1: kvm_mmu_set_spte: gfn 1 spte a0000012345b77 (rwxu) level 1 at 1\n",
	 "kvm-7.2", "software bits 53 and 55"},
	/* without nested paging no kernel has more than 32 bits to print */
	{"q-1 [0] ..... 1.0: kvm_page_fault: vcpu 0 rip 0x1 address 0x1000 error_code 0x182\n"
	 "q-1 [0] ..... 1.2: fast_page_fault: vcpu 0 gva 1000 error_code P|W sptep 01 old 0x65 new "
	 "67 spurious 0 fixed 1\n",
	 NULL, "it fits 6.1 6.12 7.2"},
	{"q-1 [0] ..... 1.0: kvm_fpu: load\n", NULL, "no second-stage fault"},
	{"q-1 [0] ..... 1.0: kvm_guest_fault: ipa 0x40001000, hsr 0x92000047, hxfar 0x1008, pc 0\n",
	 "kvm-6.1", "the only one known for arm64"},
};

Test(profile, trace__is_told_by_its_values_and_texts)
{
	for (size_t i = 0; i < ARRAY_COUNT(told); i++) {
		struct vmmu_trace *trace = help_open(told[i].text);
		uint64_t kinds[VMMU_TRACE_KINDS];
		const struct vmmu_profile *profile;
		char why[128];

		help_kinds(trace, kinds);
		profile = vmmu_trace_profile(trace, why, sizeof(why));
		cr_expect_str_eq(why, told[i].why, "%s: %s", told[i].text, why);
		cr_expect_eq(!profile, !told[i].name, "%s", told[i].text);
		if (profile && told[i].name)
			cr_expect_str_eq(vmmu_profile_info(profile)->name, told[i].name, "%s",
					 told[i].text);
		cr_expect_eq(vmmu_trace_profile(trace, NULL, 0), profile);
		vmmu_trace_close(trace);
	}
	cr_expect_null(vmmu_trace_profile(NULL, NULL, 0));
}

/*
 * Every entry of a recording: its profile knows the value, and no leaf has a software bit that the
 * profile does not know of.
 */
static void check_value(const struct vmmu_profile *profile, const struct vmmu_format *format,
			uint64_t pte, unsigned level, uint64_t no_bits)
{
	struct vmmu_profile_entry read;

	cr_assert_eq(vmmu_profile_read(profile, format, pte, level, &read), 0);
	cr_expect_not(read.is_unexpected, "0x%llx", (unsigned long long)pte);
	cr_expect_not(read.entry.malformed, "0x%llx", (unsigned long long)pte);
	if (read.entry.kind == VMMU_ENTRY_LEAF)
		cr_expect_not(pte & no_bits, "0x%llx", (unsigned long long)pte);
}

struct family {
	const char *folder, *format, *name;
	uint64_t no_bits; /* a leaf of this kernel has none of them */
};

static void check_recording(const char *path, const struct family *family)
{
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;
	const struct vmmu_format *format = vmmu_format_find(family->format);
	const struct vmmu_profile *profile = vmmu_profile_find(
		family->name + strlen("kvm-"), vmmu_format_info(format)->architecture);
	char error[256], why[128];
	int result;

	cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s", error);
	while ((result = vmmu_trace_next(trace, &event)) > 0) {
		unsigned level = event.level;

		if (event.kind != VMMU_TRACE_ENTRY_CHANGED && event.kind != VMMU_TRACE_MAP_SET)
			continue;
		/* arm64 counts down from the root: page 3; riscv64 up from the page: 0 */
		if (!strcmp(family->folder, "arm64-6.1/stage2"))
			level = 4 - level;
		else if (!strcmp(family->folder, "riscv64-6.12/gstage"))
			level++;
		check_value(profile, format, event.new_pte, level, family->no_bits);
		if (event.kind == VMMU_TRACE_ENTRY_CHANGED)
			check_value(profile, format, event.old_pte, level, family->no_bits);
	}
	cr_assert_eq(result, 0, "%s", vmmu_trace_error(trace));
	profile = vmmu_trace_profile(trace, why, sizeof(why));
	cr_assert_not_null(profile, "%s: %s", path, why);
	cr_expect_str_eq(vmmu_profile_info(profile)->name, family->name, "%s: %s", path, why);
	vmmu_trace_close(trace);
}

static const char *const scripts[] = {"slots-and-dirty", "huge-pages", "hugetlb", "mmio"};

Test(profile, bundled_recordings__are_of_their_kernel)
{
	static const struct family direct = {"", "npt5", "kvm-6.1", 0};

	for (size_t i = 0; i < ARRAY_COUNT(scripts); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/traces/kvm-live/x86-6.1/direct/%s.tracefs.txt.gz",
			 VMMU_TEST_DATA, scripts[i]);
		check_recording(path, &direct);
	}
}

#define NPT_NONE   BITS64(62, 52)
#define ARM_NONE   BITS64(58, 55)
#define RISCV_NONE BITS64(9, 8)

/* All kernels that were recorded, in the modes whose entries are a second stage's. */
Test(profile, shared_recordings__are_of_their_kernel)
{
	static const struct family families[] = {
		{"x86-6.1/tdp", "npt5", "kvm-6.1", NPT_NONE},
		{"x86-6.1/direct", "npt5", "kvm-6.1", NPT_NONE},
		{"x86-6.12/tdp", "npt5", "kvm-6.12", NPT_NONE},
		{"x86-6.12/direct", "npt5", "kvm-6.12", NPT_NONE},
		{"x86-7.2/tdp", "npt5", "kvm-7.2", NPT_NONE},
		{"x86-7.2/direct", "npt5", "kvm-7.2", NPT_NONE},
		{"arm64-6.1/stage2", "arm-s2-4k-40", "kvm-6.1", ARM_NONE},
		{"riscv64-6.12/gstage", "sv57x4", "kvm-6.12", RISCV_NONE},
	};
	const char *folder = getenv("VMMU_SHARED");
	struct stat status;

	folder = folder ? folder : VMMU_SHARED;
	if (stat(folder, &status))
		cr_skip_test("no folder %s: set VMMU_SHARED to the traces that are not bundled",
			     folder);
	for (size_t i = 0; i < ARRAY_COUNT(families); i++)
		for (size_t k = 0; k < ARRAY_COUNT(scripts); k++) {
			char path[512];

			snprintf(path, sizeof(path), "%s/kvm-live/recorded/%s/%s.tracefs.txt.gz",
				 folder, families[i].folder, scripts[k]);
			check_recording(path, &families[i]);
		}
}
