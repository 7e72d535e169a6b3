/* SPDX-License-Identifier: MIT */
/*
 * Recordings of a real KVM (Linux 6.1, AMD, the MMU with rmaps) replayed by their scripts: the engine
 * must fault where KVM faulted, end faults as KVM ended them, and write the entries that KVM wrote.
 */
#include <criterion/criterion.h>

#include "kvm-live/expected.h"
#include "kvm-live/judge.h"
#include "kvm-live/machine.h"

/* Judge recording NAME. BITS_APART: leaves that are known to differ in bits that do not count. */
static void agreement_check(const char *name, size_t bits_apart)
{
	struct judgement judgement;
	struct recording recording;
	struct facts kvm = {0};
	struct machine_run run;
	struct script script;

	cr_assert(recording_load(&recording, name));
	cr_assert(script_build(&script, &recording));
	expected_build(&kvm, &recording);
	cr_assert(machine_run(&script, &run));
	printf("\n%s\n", name);
	judge_report(&script, &kvm, &run.facts, stdout, &judgement);
	fflush(stdout);
	cr_expect_eq(judgement.differences, 0);
	cr_expect_eq(judgement.order.agree, judgement.order.total);
	cr_expect_eq(judgement.bits.total - judgement.bits.agree, bits_apart);
	cr_expect(judge_agrees(&kvm, &run.facts));
	cr_expect_gt(run.audit.checked, 0);
	cr_expect_eq(run.audit.violations, 0);
	machine_run_free(&run);
	facts_free(&kvm);
	script_free(&script);
	recording_free(&recording);
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
 * One leaf apart: KVM takes a stale MMIO entry's write bit for that of a writable leaf and leaves the
 * dirty bit to hardware, an optimisation for leaves that were writable before.
 */
Test(agreement, mmio__as_kvm)
{
	agreement_check("mmio", 1);
}

Test(agreement, pool_pages__as_kvm)
{
	agreement_check("hugetlb", 0);
}
