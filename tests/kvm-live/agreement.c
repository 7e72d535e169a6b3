/* SPDX-License-Identifier: MIT */
/*
 * Recordings of a real KVM (Linux 6.1, AMD, the MMU with rmaps) replayed by their scripts: the
 * engine must fault where KVM faulted, end faults as KVM ended them, and write the entries that KVM
 * wrote.
 */
#include <criterion/criterion.h>

#include "kvm-live/trial.h"

/* Judge recording NAME. BITS_APART: leaves that are known to differ in bits that do not count. */
static void agreement_check(const char *name, size_t bits_apart)
{
	struct judgement judgement;
	struct trial trial;

	trial_open(&trial, name);
	printf("\n%s\n", name);
	judge_report(&trial.script, &trial.kvm, &trial.run.facts, stdout, &judgement);
	fflush(stdout);
	cr_expect_eq(judgement.differences, 0);
	cr_expect_eq(judgement.order.agree, judgement.order.total);
	cr_expect_eq(judgement.bits.total - judgement.bits.agree, bits_apart);
	cr_expect(judge_agrees(&trial.kvm, &trial.run.facts));
	cr_expect_gt(trial.run.audit.checked, 0);
	cr_expect_eq(trial.run.audit.violations, 0);
	trial_close(&trial);
}

Test(agreement, slots_and_dirty__as_kvm)
{
	agreement_check("slots-and-dirty", 0);
}

Test(agreement, huge_pages__as_kvm)
{
	agreement_check("huge-pages", 0);
}

/*
 * One leaf apart: KVM takes a stale MMIO entry's write bit for that of a writable leaf and leaves
 * the dirty bit to hardware, an optimisation for leaves that were writable before.
 */
Test(agreement, mmio__as_kvm)
{
	agreement_check("mmio", 1);
}

Test(agreement, pool_pages__as_kvm)
{
	agreement_check("hugetlb", 0);
}

/* Guests with paging of their own: hardware walks their tables through the second stage. */

Test(agreement, guest_with_64_bit_tables__as_kvm)
{
	agreement_check("guest-64", 0);
}

Test(agreement, guest_with_pae_tables__as_kvm)
{
	agreement_check("guest-pae", 0);
}

Test(agreement, guest_with_32_bit_tables__as_kvm)
{
	agreement_check("guest-32", 0);
}
