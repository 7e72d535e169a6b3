/* SPDX-License-Identifier: MIT */
/*
 * Every format keeps the laws of the contract: one body, one suite for each format. VMMU_SEED=N
 * repeats a run.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "format/conformance.h"
#include "variants.h"

static uint64_t seed_of_run(void)
{
	const char *text = getenv("VMMU_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

static void expect_lawful(const char *name, const char *(*part)(struct conformance *check))
{
	uint64_t seed = seed_of_run();
	struct conformance check = {.format = vmmu_format_find(name), .seed = seed};
	const char *broken;

	cr_assert(check.format, "%s", name);
	broken = part(&check);
	cr_expect(!broken, "%s: %s (level %u, 0x%" PRIx64 ", 0x%" PRIx64 ", VMMU_SEED=%" PRIu64 ")",
		  name, broken, check.level, check.pte, check.other, seed);
}

#define CONFORMANCE_SUITE(suite, name)                             \
	Test(suite, shape__adds_up)                                \
	{                                                          \
		expect_lawful(name, conformance_check_shape);      \
	}                                                          \
	Test(suite, any_value__has_one_legal_kind)                 \
	{                                                          \
		expect_lawful(name, conformance_check_values);     \
	}                                                          \
	Test(suite, absent_frozen_table__read_back)                \
	{                                                          \
		expect_lawful(name, conformance_check_states);     \
	}                                                          \
	Test(suite, mmio__gives_back_generation_gfn_access)        \
	{                                                          \
		expect_lawful(name, conformance_check_mmio);       \
	}                                                          \
	Test(suite, leaf__reads_back_and_changes_as_told)          \
	{                                                          \
		expect_lawful(name, conformance_check_leaves);     \
	}                                                          \
	Test(suite, change__flushes_and_breaks_what_tlbs_may_hold) \
	{                                                          \
		expect_lawful(name, conformance_check_changes);    \
	}

CONFORMANCE_SUITE(conformance_ept4, "ept4")
CONFORMANCE_SUITE(conformance_ept5, "ept5")
CONFORMANCE_SUITE(conformance_npt4, "npt4")
CONFORMANCE_SUITE(conformance_npt5, "npt5")
CONFORMANCE_SUITE(conformance_sv39x4, "sv39x4")
CONFORMANCE_SUITE(conformance_sv48x4, "sv48x4")
CONFORMANCE_SUITE(conformance_sv57x4, "sv57x4")
CONFORMANCE_SUITE(conformance_arm_s2_4k, "arm-s2-4k")
CONFORMANCE_SUITE(conformance_arm_s2_4k_40, "arm-s2-4k-40")
CONFORMANCE_SUITE(conformance_arm_s2_4k_43, "arm-s2-4k-43")
CONFORMANCE_SUITE(conformance_arm_s2_64k, "arm-s2-64k")
CONFORMANCE_SUITE(conformance_arm_s2_16k, "arm-s2-16k")
CONFORMANCE_SUITE(conformance_arm_s2_4k_lpa2, "arm-s2-4k-lpa2")
CONFORMANCE_SUITE(conformance_arm_s2_16k_lpa2, "arm-s2-16k-lpa2")
CONFORMANCE_SUITE(conformance_arm_s2_64k_lpa, "arm-s2-64k-lpa")
CONFORMANCE_SUITE(conformance_ept4_noad, "ept4-noad")
CONFORMANCE_SUITE(conformance_ept4_mbe, "ept4-mbe")
CONFORMANCE_SUITE(conformance_ept4_ve, "ept4-ve")
CONFORMANCE_SUITE(conformance_arm_s2_4k_cont, "arm-s2-4k-cont")
CONFORMANCE_SUITE(conformance_arm_s2_16k_cont, "arm-s2-16k-cont")
CONFORMANCE_SUITE(conformance_arm_s2_64k_cont, "arm-s2-64k-cont")
CONFORMANCE_SUITE(conformance_sv39x4_napot, "sv39x4-napot")
CONFORMANCE_SUITE(conformance_sv48x4_napot, "sv48x4-napot")
CONFORMANCE_SUITE(conformance_sv57x4_napot, "sv57x4-napot")
CONFORMANCE_SUITE(conformance_sv48x4_adu, "sv48x4-adu")

/* A format that is registered but has no suite above would go unnoticed. */
Test(conformance, registered_formats__all_have_a_suite)
{
	cr_expect(vmmu_format_at(24));
	cr_expect_null(vmmu_format_at(25));
}

Test(conformance, variants__keep_the_laws)
{
	unsigned i;

	for (i = 0; variant_at(i); i++) {
		const char *broken = conformance_check(variant_at(i), seed_of_run());

		cr_expect(!broken, "%s: %s", variant_at(i)->info.name, broken);
	}
	cr_expect_eq(i, 13);
}
