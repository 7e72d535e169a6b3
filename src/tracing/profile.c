/* SPDX-License-Identifier: MIT */
/*
 * The table of profiles. Facts on x86: arch/x86/kvm/mmu/spte.h and kvm_host.h of each kernel;
 * arm64: arch/arm64/kvm/hyp/pgtable.c; riscv64: arch/riscv/kvm/mmu.c.
 */
#include "tracing/profile.h"

#include <string.h>

#include "base/bits.h"
#include "format/contract.h"

#define ROLE(array) .role = (array), .role_count = ARRAY_COUNT(array)

/* Both are of hardware, and so the same in every version. */
#define EPT_MMIO_MASK UINT64_C(7)
#define EPT_MMIO      UINT64_C(6)
#define NPT_MMIO      (BIT64(51) | BIT64(0))

#define X86_MARK BIT64(11)

static const struct vmmu_bit_field role_6[] = {
	{"level", 0, 4},        {"4-byte", 4, 1},       {"quadrant", 5, 2},
	{"direct", 7, 1},       {"access", 8, 3},       {"invalid", 11, 1},
	{"nx", 12, 1},          {"wp", 13, 1},          {"smep-not-wp", 14, 1},
	{"smap-not-wp", 15, 1}, {"ad-disabled", 16, 1}, {"guest-mode", 17, 1},
	{"passthrough", 18, 1}, {"smm", 24, 8},
};

static const struct vmmu_bit_field role_7[] = {
	{"level", 0, 4},        {"4-byte", 4, 1},      {"quadrant", 5, 2},
	{"direct", 7, 1},       {"access", 8, 4},      {"invalid", 12, 1},
	{"nx", 13, 1},          {"wp", 14, 1},         {"smap-not-wp", 15, 1},
	{"ad-disabled", 16, 1}, {"guest-mode", 17, 1}, {"passthrough", 18, 1},
	{"mirror", 19, 1},      {"smep", 20, 1},       {"smm", 24, 8},
};

#define RULES_6                                                                          \
	(VMMU_RULE_FLUSH_ACCESSED | VMMU_RULE_FLUSH_DIRTY | VMMU_RULE_FLUSH_WRITE |      \
	 VMMU_RULE_FLUSH_FORBID | VMMU_RULE_ACCESSED_ATOMIC | VMMU_RULE_ZAP_TO_RECOVER | \
	 VMMU_RULE_FREEZE_ABSENT | VMMU_RULE_CLEAN_OVER_OTHERS | VMMU_RULE_EAGER_SPLIT)
#define RULES_6_1                                                                                 \
	(RULES_6 | VMMU_RULE_FREEZE_COLLAPSED | VMMU_RULE_ALLOWED_LATE | VMMU_RULE_NX_ANY_TABLE | \
	 VMMU_RULE_SPLIT_BUT_LAST)
#define RULES_6_12 (RULES_6 | VMMU_RULE_ZAP_BY_LEVEL | VMMU_RULE_SPLIT_AT_FAULTS)
#define RULES_7                                                                          \
	(VMMU_RULE_FLUSH_FORBID | VMMU_RULE_RECOVER_IN_PLACE | VMMU_RULE_LEAF_STAYS |    \
	 VMMU_RULE_FREEZE_ABSENT | VMMU_RULE_ZAP_BY_LEVEL | VMMU_RULE_TELL_BELOW_FIRST | \
	 VMMU_RULE_EAGER_SPLIT)

/* What KVM does where it has no reverse maps. */
#define RULES_WALKED                                                                     \
	(VMMU_RULE_LOGGED_READ_ONLY | VMMU_RULE_NO_MMIO_ENTRIES | VMMU_RULE_LOCKED_FIX | \
	 VMMU_RULE_PROTECT_NEW | VMMU_RULE_RESIZE_BY_FAULTS | VMMU_RULE_ZAP_SLOT_RANGE | \
	 VMMU_RULE_NO_RMAPS)

#define GENERATION_6 .generation_low = {NULL, 3, 8}, .generation_high = {NULL, 52, 11}
#define GENERATION_7 .generation_low = {NULL, 3, 7}, .generation_high = {NULL, 52, 11}

#define EPT_6                                                                             \
	.architecture = "x86-ept", .host_writable = BIT64(57), .mmu_writable = BIT64(58), \
	.present_mark = X86_MARK, .saved_read = BIT64(54), .saved_exec = BIT64(56),       \
	.ad_type = {NULL, 52, 2}, .mmio_value = EPT_MMIO, GENERATION_6, ROLE(role_6)

#define NPT_6                                                                            \
	.architecture = "x86-npt", .host_writable = BIT64(9), .mmu_writable = BIT64(10), \
	.present_mark = X86_MARK, .ad_type = {NULL, 52, 2}, .mmio_mask = NPT_MMIO,       \
	.mmio_value = NPT_MMIO, GENERATION_6, ROLE(role_6)

static const struct vmmu_profile profiles[] = {
	{.info = {.name = "kvm-6.1",
		  .version = "6.1",
		  .rules = RULES_6_1,
		  .source = "Linux 6.1.192",
		  EPT_6,
		  .mmio_mask = EPT_MMIO_MASK,
		  .absent = 0,
		  .frozen = 0x5a0}},
	{.info = {.name = "kvm-6.12",
		  .version = "6.12",
		  .rules = RULES_6_12,
		  .source = "Linux 6.12.117",
		  EPT_6,
		  .mmio_mask = EPT_MMIO_MASK | BIT64(63),
		  .absent = BIT64(63),
		  .frozen = BIT64(63) | 0x5a0}},
	{.info = {.name = "kvm-7.2",
		  .version = "7.2",
		  .architecture = "x86-ept",
		  .source = "Linux 7.2.13",
		  .host_writable = BIT64(53),
		  .mmu_writable = BIT64(55),
		  .present_mark = X86_MARK,
		  .saved_read = BIT64(52),
		  .saved_exec = BIT64(54),
		  .ad_type = {NULL, 60, 2},
		  .mmio_mask = EPT_MMIO_MASK | BIT64(63),
		  .mmio_value = EPT_MMIO,
		  GENERATION_7,
		  ROLE(role_7),
		  .rules = RULES_7,
		  .absent = BIT64(63),
		  .frozen = BIT64(63) | 0x1a0}},
	{.info = {.name = "kvm-6.1",
		  .version = "6.1",
		  .rules = RULES_6_1,
		  .source = "Linux 6.1.192",
		  .verified = "kvm-live x86-6.1; SeaBIOS traces",
		  NPT_6,
		  .absent = 0,
		  .frozen = 0x5a0}},
	{.info = {.name = "kvm-6.12",
		  .version = "6.12",
		  .rules = RULES_6_12,
		  .source = "Linux 6.12.117",
		  .verified = "kvm-live x86-6.12",
		  NPT_6,
		  .absent = BIT64(63),
		  .frozen = BIT64(63) | 0x5a0}},
	{.info = {.name = "kvm-7.2",
		  .version = "7.2",
		  .architecture = "x86-npt",
		  .source = "Linux 7.2.13",
		  .verified = "kvm-live x86-7.2",
		  .host_writable = BIT64(9),
		  .mmu_writable = BIT64(10),
		  .present_mark = X86_MARK,
		  .ad_type = {NULL, 60, 2},
		  .mmio_mask = NPT_MMIO,
		  .mmio_value = NPT_MMIO,
		  GENERATION_7,
		  ROLE(role_7),
		  .rules = RULES_7,
		  .absent = BIT64(63),
		  .frozen = BIT64(63) | 0x1a0}},
	{.info = {.name = "kvm-6.1",
		  .version = "6.1",
		  .architecture = "arm64",
		  .source = "Linux 6.1.192",
		  .verified = "kvm-live arm64-6.1",
		  .rules = RULES_WALKED | VMMU_RULE_BREAK_FIRST | VMMU_RULE_EXEC_BY_FETCH |
			   VMMU_RULE_FREE_EMPTY | VMMU_RULE_ALLOWED_LATE}},
	{.info = {.name = "kvm-6.12",
		  .version = "6.12",
		  .architecture = "riscv64",
		  .source = "kvm-live recordings of Linux 6.12.107",
		  .verified = "kvm-live riscv64-6.12",
		  .leaf_set = BIT64(7) | BIT64(6),
		  .rules = RULES_WALKED | VMMU_RULE_HUGE_FROM_POOL_ONLY |
			   VMMU_RULE_UNMAP_KEEPS_TABLES | VMMU_RULE_LOGGED_HUGE_EXISTS |
			   VMMU_RULE_STEP_WHOLE}},
	/* the engine's own, whose entries the formats read; here as data, held to them by a test */
	{.is_own = true,
	 .info = {.name = "vmmu",
		  .version = "vmmu",
		  .source = "src/format/ept.h",
		  .verified = "tests of this library",
		  EPT_6,
		  .mmio_mask = EPT_MMIO_MASK,
		  .frozen = 0x5a0}},
	{.is_own = true,
	 .info = {.name = "vmmu",
		  .version = "vmmu",
		  .source = "src/format/npt.h",
		  .verified = "tests of this library",
		  NPT_6,
		  .frozen = 0x5a0}},
	{.is_own = true,
	 .info = {.name = "vmmu",
		  .version = "vmmu",
		  .architecture = "arm64",
		  .source = "src/format/arm_s2.h",
		  .verified = "tests of this library",
		  .host_writable = BIT64(55),
		  .mmu_writable = BIT64(56),
		  .mmio_mask = 3,
		  .mmio_value = 2,
		  .generation_low = {NULL, 4, 19},
		  .frozen = BIT64(10),
		  .rules = VMMU_RULE_BREAK_FIRST}},
	{.is_own = true,
	 .info = {.name = "vmmu",
		  .version = "vmmu",
		  .architecture = "riscv64",
		  .source = "src/format/riscv.h",
		  .verified = "tests of this library",
		  .host_writable = BIT64(8),
		  .mmu_writable = BIT64(9),
		  .mmio_mask = 3,
		  .mmio_value = 2,
		  .generation_low = {NULL, 4, 19},
		  .frozen = 0x5a0}},
};

static const char *const rule_names[] = {
	"flush-accessed",   "flush-dirty",         "flush-write",        "flush-forbid",
	"accessed-atomic",  "break-first",         "zap-to-recover",     "recover-in-place",
	"leaf-stays",       "huge-from-pool-only", "unmap-keeps-tables", "logged-huge-exists",
	"freeze-absent",    "freeze-collapsed",    "clean-over-others",  "zap-by-level",
	"tell-below-first", "allowed-late",        "eager-split",        "nx-any-table",
	"exec-by-fetch",    "logged-read-only",    "no-mmio-entries",    "locked-fix",
	"free-empty",       "protect-new",         "resize-by-faults",   "zap-slot-range",
	"no-rmaps",         "step-whole",          "split-at-faults",    [31] = "split-but-last",
};

const struct vmmu_profile *vmmu_profile_at(unsigned index)
{
	return index < ARRAY_COUNT(profiles) ? &profiles[index] : NULL;
}

/* VERSION is NAME, or NAME with a point release or a suffix behind it. */
static bool profile_is_version(const char *version, const char *name)
{
	size_t bytes = strlen(name);

	return !strncmp(version, name, bytes) &&
	       (!version[bytes] || version[bytes] == '.' || version[bytes] == '-');
}

const struct vmmu_profile *vmmu_profile_find(const char *version, const char *architecture)
{
	for (unsigned i = 0; version && architecture && i < ARRAY_COUNT(profiles); i++)
		if (profile_is_version(version, profiles[i].info.version) &&
		    !strcmp(architecture, profiles[i].info.architecture))
			return &profiles[i];
	return NULL;
}

const struct vmmu_profile_info *vmmu_profile_info(const struct vmmu_profile *profile)
{
	return &profile->info;
}

const char *vmmu_profile_rule_name(enum vmmu_profile_rule rule)
{
	for (unsigned i = 0; i < ARRAY_COUNT(rule_names); i++)
		if ((unsigned)rule == 1u << i)
			return rule_names[i];
	return NULL;
}
