/* SPDX-License-Identifier: MIT */
/*
 * Recordings of a real KVM (Linux 6.1, AMD, the MMU with rmaps) replayed by their scripts: the
 * engine must fault where KVM faulted, end faults as KVM ended them, and write the entries that KVM
 * wrote.
 */
#include <criterion/criterion.h>

#include "kvm-live/trial.h"

static void agreement_check(const char *name)
{
	struct judgement judgement;
	struct trial trial;

	trial_open(&trial, name);
	printf("\n%s\n", name);
	judge_report(&trial.script, &trial.kvm, &trial.run.facts, stdout, &judgement);
	fflush(stdout);
	cr_expect_eq(judgement.differences, 0);
	cr_expect_eq(judgement.order.agree, judgement.order.total);
	cr_expect_eq(judgement.bits.agree, judgement.bits.total);
	cr_expect(judge_agrees(&trial.kvm, &trial.run.facts));
	cr_expect_gt(trial.run.audit.checked, 0);
	cr_expect_eq(trial.run.audit.violations, 0);
	trial_close(&trial);
}

Test(agreement, slots_and_dirty__as_kvm)
{
	agreement_check("slots-and-dirty");
}

Test(agreement, huge_pages__as_kvm)
{
	agreement_check("huge-pages");
}

Test(agreement, mmio__as_kvm)
{
	agreement_check("mmio");
}

Test(agreement, pool_pages__as_kvm)
{
	agreement_check("hugetlb");
}

/* Guests with paging of their own: hardware walks their tables through the second stage. */

Test(agreement, guest_with_64_bit_tables__as_kvm)
{
	agreement_check("guest-64");
}

Test(agreement, guest_with_pae_tables__as_kvm)
{
	agreement_check("guest-pae");
}

Test(agreement, guest_with_32_bit_tables__as_kvm)
{
	agreement_check("guest-32");
}
