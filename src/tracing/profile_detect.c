/* SPDX-License-Identifier: MIT */
/*
 * Which kernel wrote a trace. Each sign leaves some versions; what all signs that were seen leave
 * is the answer. No sign is taken from a judged level or right: only from what no version shares
 * with all others.
 */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "tracing/profile.h"
#include "tracing/scan.h"

enum detect_version {
	DETECT_6_1 = 1 << 0,
	DETECT_6_12 = 1 << 1,
	DETECT_7_2 = 1 << 2,
	DETECT_ALL = DETECT_6_1 | DETECT_6_12 | DETECT_7_2,
};

static const struct {
	unsigned version; /* enum detect_version */
	const char *name;
} detect_versions[] = {{DETECT_6_1, "6.1"}, {DETECT_6_12, "6.12"}, {DETECT_7_2, "7.2"}};

enum detect_sign {
	SIGN_FROZEN_LOW,
	SIGN_FROZEN_HIGH,
	SIGN_FROZEN_7,
	SIGN_ABSENT_0,
	SIGN_ABSENT_HIGH,
	SIGN_EPT_BITS_6,
	SIGN_EPT_BITS_7,
	SIGN_SET_HVA,
	SIGN_CODE_NARROW,
	SIGN_CODE_WIDE,
	SIGN_REQUEST_PLAIN,
	SIGN_REQUEST_ACCESS,
	SIGN_ENTRY_PLAIN,
	SIGN_ENTRY_INTERRUPT,
	SIGNS,
};

static const struct {
	unsigned versions; /* enum detect_version, or-ed: those that give this sign */
	const char *what;
} detect_signs[SIGNS] = {
	[SIGN_FROZEN_LOW] = {DETECT_6_1, "frozen value 0x5a0"},
	[SIGN_FROZEN_HIGH] = {DETECT_6_12, "frozen value 0x80000000000005a0"},
	[SIGN_FROZEN_7] = {DETECT_7_2, "frozen value 0x80000000000001a0"},
	[SIGN_ABSENT_0] = {DETECT_6_1, "absent value 0"},
	[SIGN_ABSENT_HIGH] = {DETECT_6_12 | DETECT_7_2, "absent value 0x8000000000000000"},
	[SIGN_EPT_BITS_6] = {DETECT_6_1 | DETECT_6_12, "software bits 57 and 58"},
	[SIGN_EPT_BITS_7] = {DETECT_7_2, "software bits 53 and 55"},
	[SIGN_SET_HVA] = {DETECT_6_1, "kvm_set_spte_hva"},
	[SIGN_CODE_NARROW] = {DETECT_6_1, "fast_page_fault with 32 bits of error code"},
	[SIGN_CODE_WIDE] = {DETECT_6_12 | DETECT_7_2, "fast_page_fault with 64 bits of error code"},
	[SIGN_REQUEST_PLAIN] = {DETECT_6_1 | DETECT_6_12, "kvm_mmu_spte_requested without access"},
	[SIGN_REQUEST_ACCESS] = {DETECT_7_2, "kvm_mmu_spte_requested with access"},
	[SIGN_ENTRY_PLAIN] = {DETECT_6_1 | DETECT_6_12, "kvm_entry without intr_info"},
	[SIGN_ENTRY_INTERRUPT] = {DETECT_7_2, "kvm_entry with intr_info"},
};

/* The values that only not-present entries have, exactly. */
static uint32_t detect_value(uint64_t pte)
{
	switch (pte) {
	case 0:
		return BIT64(SIGN_ABSENT_0);
	case UINT64_C(1) << 63:
		return BIT64(SIGN_ABSENT_HIGH);
	case 0x5a0:
		return BIT64(SIGN_FROZEN_LOW);
	case UINT64_C(1) << 63 | 0x5a0:
		return BIT64(SIGN_FROZEN_HIGH);
	case UINT64_C(1) << 63 | 0x1a0:
		return BIT64(SIGN_FROZEN_7);
	default:
		return 0;
	}
}

/* A writable leaf under EPT has both bits of its version; the other version's are then clear. */
static uint32_t detect_ept_leaf(uint64_t pte)
{
	const uint64_t old_bits = BIT64(57) | BIT64(58), new_bits = BIT64(53) | BIT64(55);

	if ((pte & 3) != 3)
		return 0;
	if ((pte & (old_bits | new_bits)) == old_bits)
		return BIT64(SIGN_EPT_BITS_6);
	return (pte & (old_bits | new_bits)) == new_bits ? BIT64(SIGN_EPT_BITS_7) : 0;
}

/* The text's flag names end in a number when the kernel kept bits that have none. */
static uint32_t detect_fast_fault(const char *text, const char *architecture)
{
	const char *code = strstr(text, " error_code ");
	const char *end;

	/* Nested paging alone always has such bits; fields print the whole code on any kernel. */
	if (!code || !architecture || strcmp(architecture, "x86-npt"))
		return 0;
	code += strlen(" error_code ");
	end = strchr(code, ' ');
	code = strstr(code, "0x");
	return BIT64(code && code < end ? SIGN_CODE_WIDE : SIGN_CODE_NARROW);
}

/* trace-cmd's plugin writes "vcpu 0 rip", without the comma, and drops what follows. */
static uint32_t detect_entry(const char *text)
{
	if (strstr(text, "intr_info"))
		return BIT64(SIGN_ENTRY_INTERRUPT);
	if (strstr(text, ", rip 0x") || strstr(text, "immediate_exit="))
		return BIT64(SIGN_ENTRY_PLAIN);
	return 0;
}

static uint32_t detect_request(const char *text)
{
	return BIT64(strstr(text, " access") ? SIGN_REQUEST_ACCESS : SIGN_REQUEST_PLAIN);
}

void profile_observe(struct profile_evidence *evidence, const struct vmmu_trace_event *event,
		     const char *architecture)
{
	bool is_ept = architecture && !strcmp(architecture, "x86-ept");

	switch (event->kind) {
	case VMMU_TRACE_ENTRY_CHANGED:
		/* Kit "entry" lines are of other architectures. */
		if (event->pte_hpa)
			return;
		evidence->signs |= detect_value(event->old_pte) | detect_value(event->new_pte);
		if (is_ept)
			evidence->signs |= detect_ept_leaf(event->new_pte);
		return;
	case VMMU_TRACE_MAP_SET:
		if (is_ept)
			evidence->signs |= detect_ept_leaf(event->new_pte);
		return;
	case VMMU_TRACE_FAST_FIX:
		evidence->signs |= detect_fast_fault(event->text, architecture);
		return;
	case VMMU_TRACE_MAP_REQUESTED:
		evidence->signs |= detect_request(event->text);
		return;
	case VMMU_TRACE_ENTRY:
		if (!(evidence->signs & (BIT64(SIGN_ENTRY_PLAIN) | BIT64(SIGN_ENTRY_INTERRUPT))))
			evidence->signs |= detect_entry(event->text);
		return;
	case VMMU_TRACE_INVALIDATE:
		if (!strcmp(event->name, "kvm_set_spte_hva"))
			evidence->signs |= BIT64(SIGN_SET_HVA);
		return;
	default:
		return;
	}
}

static unsigned detect_left(uint32_t signs)
{
	unsigned left = DETECT_ALL;

	for (unsigned i = 0; i < SIGNS; i++)
		if (signs >> i & 1)
			left &= detect_signs[i].versions;
	return left;
}

/* The signs that none of the others makes superfluous: the shortest is told. */
static const char *detect_reason(uint32_t signs)
{
	for (unsigned i = 0; i < SIGNS; i++)
		if ((signs >> i & 1) && detect_left(1u << i) == detect_left(signs))
			return detect_signs[i].what;
	return "several signs together";
}

/* The only profile of ARCHITECTURE but the engine's own, or NULL. */
static const struct vmmu_profile *detect_only(const char *architecture)
{
	const struct vmmu_profile *profile, *only = NULL;

	for (unsigned i = 0; (profile = vmmu_profile_at(i)); i++) {
		if (profile->is_own || strcmp(profile->info.architecture, architecture))
			continue;
		if (only)
			return NULL;
		only = profile;
	}
	return only;
}

static void detect_tell_left(unsigned left, char *why, size_t why_bytes)
{
	int length = snprintf(why, why_bytes, "it fits");

	for (unsigned i = 0; i < ARRAY_COUNT(detect_versions); i++)
		if (left & detect_versions[i].version && length < (int)why_bytes)
			length += snprintf(why + length, why_bytes - (size_t)length, " %s",
					   detect_versions[i].name);
}

const struct vmmu_profile *profile_detect(const struct profile_evidence *evidence,
					  const char *architecture, char *why, size_t why_bytes)
{
	unsigned left = detect_left(evidence->signs);
	const struct vmmu_profile *only;

	snprintf(why, why_bytes, "no second-stage fault");
	if (!architecture)
		return NULL;
	only = detect_only(architecture);
	if (only || strncmp(architecture, "x86", 3)) {
		snprintf(why, why_bytes, "%s known for %s", only ? "the only one" : "none",
			 architecture);
		return only;
	}
	for (unsigned i = 0; i < ARRAY_COUNT(detect_versions); i++) {
		if (left != detect_versions[i].version)
			continue;
		snprintf(why, why_bytes, "%s", detect_reason(evidence->signs));
		return vmmu_profile_find(detect_versions[i].name, architecture);
	}
	if (left)
		detect_tell_left(left, why, why_bytes);
	else
		snprintf(why, why_bytes, "its values are of several versions");
	return NULL;
}
