/* SPDX-License-Identifier: MIT */
/* What a replay does with each kind of event, on traces of a few lines. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <vmmu/replay.h>

#include "tools/run.h"

/* A line of thread 100, 200 ... at a time of its own. */
#define LINE(pid, time, text) " vmm-" #pid " [000] ..... " time ": " text "\n"
#define FAULT(pid, time, gpa, code) \
	LINE(pid, time, "kvm_page_fault: vcpu 0 rip 0x1000 address 0x" gpa " error_code " code)
#define NPF_EXIT(pid, time)                                                              \
	LINE(pid, time,                                                                  \
	     "kvm_exit: vcpu 0 reason npf rip 0x1000 info1 0x0 info2 0x0 intr_info 0x0 " \
	     "error_code "                                                               \
	     "0x0")
#define READ  "0x100000004"
#define WRITE "0x100000006"

static struct vmmu_replay_report report;

/* Replay TRACE under LAYOUT (NULL: none) as FORMAT. */
static void replay_as(const char *format, const char *trace_text, const char *layout_text)
{
	struct vmmu_trace_options trace_options = {.size = sizeof(trace_options)};
	struct vmmu_replay_options options = {.size = sizeof(options),
					      .format = vmmu_format_find(format)};
	struct vmmu_trace *trace;
	char error[256] = "";
	int ret;

	if (layout_text)
		trace_options.layout = run_file(layout_text, strlen(layout_text));
	ret = vmmu_trace_open(run_file(trace_text, strlen(trace_text)), &trace_options, &trace,
			      error, sizeof(error));
	cr_assert(eq(int, ret, 0), "%s", error);
	ret = vmmu_replay(trace, &options, &report);
	cr_assert(eq(int, ret, 0), "%s", vmmu_trace_error(trace));
	cr_assert(eq(u64, report.audit.violations, 0));
	vmmu_trace_close(trace);
}

static void replay(const char *trace_text, const char *layout_text)
{
	replay_as("npt4", trace_text, layout_text);
}

static void expect_outcomes(uint64_t fixed, uint64_t spurious, uint64_t emulate, uint64_t retry)
{
	cr_expect(eq(u64, report.outcomes[VMMU_FIXED], fixed));
	cr_expect(eq(u64, report.outcomes[VMMU_SPURIOUS], spurious));
	cr_expect(eq(u64, report.outcomes[VMMU_EMULATE], emulate));
	cr_expect(eq(u64, report.outcomes[VMMU_RETRY], retry));
	cr_expect(eq(u64, report.faults, fixed + spurious + emulate + retry));
}

#define RAM "kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x200000 ua=0x7f0000000000 ret=0\n"

Test(events, invalidation_after_the_guest_ran_on__takes_the_page_away)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ)
		       LINE(100, "1.000003", "kvm_entry: vcpu 0, rip 0x1000") LINE(
			       100, "1.000004",
			       "kvm_unmap_hva_range: mmu notifier unmap range: 0x7f0000005000 -- "
			       "0x7f0000006000") NPF_EXIT(100, "1.000005")
			       FAULT(100, "1.000006", "5000", READ),
	       RAM);
	expect_outcomes(2, 0, 0, 0);
	cr_expect(eq(u64, report.invalidations, 1));
	cr_expect(eq(u64, report.stats.mapped[1], 1));
}

Test(events, invalidation_by_the_faulting_thread_itself__makes_the_fault_retry)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", WRITE)
		       LINE(100, "1.000003",
			    "kvm_unmap_hva_range: mmu notifier unmap range: 0x7f0000005000 -- "
			    "0x7f0000006000") LINE(100, "1.000004", "kvm_entry: vcpu 0, rip 0x1000")
			       NPF_EXIT(100, "1.000005") FAULT(100, "1.000006", "5000", WRITE),
	       RAM);
	expect_outcomes(1, 0, 0, 1);
	cr_expect(eq(u64, report.invalidations, 1));
}

Test(events, invalidation_by_another_thread__happens_where_it_stands)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", WRITE)
		       LINE(200, "1.000003",
			    "kvm_unmap_hva_range: mmu notifier unmap range: 0x7f0000005000 -- "
			    "0x7f0000006000"),
	       RAM);
	expect_outcomes(1, 0, 0, 0);
	cr_expect(eq(u64, report.invalidations, 1));
	cr_expect(eq(u64, report.stats.mapped[1], 0));
}

#define AGE(time, name, from, to) LINE(200, time, name from " -- " to)
#define AGED(time) \
	AGE(time, "kvm_age_hva: mmu notifier age hva: ", "0x7f0000005000", "0x7f0000006000")
#define ASKED(time) LINE(200, time, "kvm_test_age_hva: mmu notifier test age hva: 0x7f0000005000")

/* Used; asked only: still used; aged: it was used, and is no more; asked and aged: not used. */
Test(events, aging__asks_and_clears_through_the_slots)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ) ASKED("1.000003")
		       AGED("1.000004") ASKED("1.000005") AGED("1.000006"),
	       RAM);
	cr_expect(eq(u64, report.ages, 4));
	cr_expect(eq(u64, report.ages_young, 2));
	cr_expect(eq(u64, report.ages_outside, 0));
	cr_expect(eq(u64, report.stats.mapped[1], 1));
}

Test(events, aging_outside_all_slots__is_only_counted)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ)
		       AGE("1.000003", "kvm_age_hva: mmu notifier age hva: ", "0x7f0000200000",
			   "0x7f0000300000"),
	       RAM);
	cr_expect(eq(u64, report.ages, 0));
	cr_expect(eq(u64, report.ages_young, 0));
	cr_expect(eq(u64, report.ages_outside, 1));
}

Test(events, invalidation_outside_all_slots__is_only_counted)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ)
		       LINE(200, "1.000003",
			    "kvm_unmap_hva_range: mmu notifier unmap range: 0x7f0000200000 -- "
			    "0x7f0000300000"),
	       RAM);
	cr_expect(eq(u64, report.invalidations, 0));
	cr_expect(eq(u64, report.invalidations_outside, 1));
	cr_expect(eq(u64, report.stats.mapped[1], 1));
}

Test(events, zap_of_everything__drops_the_pages)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ) LINE(
		       200, "1.000003", "kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 0 used_pages 7")
		       NPF_EXIT(100, "1.000005") FAULT(100, "1.000006", "5000", READ),
	       RAM);
	expect_outcomes(2, 0, 0, 0);
	cr_expect(eq(u64, report.stats.zap_all, 1));
}

Test(events, zap_that_a_slot_delete_caused__is_not_done_twice)
{
	replay(LINE(100, "1.000001", "tracing_mark_write: slot 1 10000000 200000 0")
		       NPF_EXIT(100, "1.000002") FAULT(100, "1.000003", "10000000", READ)
			       LINE(100, "1.000004", "tracing_mark_write: del 1") LINE(
				       100, "1.000005",
				       "kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 0 used_pages 7")
				       NPF_EXIT(100, "1.000006")
					       FAULT(100, "1.000007", "10000000", READ),
	       NULL);
	expect_outcomes(1, 0, 1, 0);
	cr_expect(eq(u64, report.stats.zap_all, 1));
	cr_expect(eq(u64, report.slot_calls, 2));
	cr_expect(eq(u64, report.slot_errors, 0));
	cr_expect(not(report.layout_inferred));
}

Test(events, system_management_mode__faults_in_its_own_address_space)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "a8000", READ) LINE(
		       100, "1.000003", "kvm_smm_transition: vcpu 0: entering SMM, smbase 0xa0000")
		       NPF_EXIT(100, "1.000004") FAULT(100, "1.000005", "a8000", READ)
			       LINE(100, "1.000006",
				    "kvm_smm_transition: vcpu 0: leaving SMM, smbase 0xa0000")
				       NPF_EXIT(100, "1.000007")
					       FAULT(100, "1.000008", "a8000", READ),
	       "kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0xa0000 ua=0x7f0000000000 ret=0\n"
	       "kvm_set_user_memory Slot#65536 flags=0x0 gpa=0x0 size=0x200000 ua=0x7f0000000000 "
	       "ret=0\n");
	/* MMIO outside of SMM, memory inside. */
	expect_outcomes(1, 0, 2, 0);
	cr_expect(eq(u64, report.kinds[VMMU_TRACE_SMM], 2));
}

Test(events, dirty_log_read__counts_pages_and_protects_them_again)
{
	replay(LINE(100, "1.000001", "tracing_mark_write: slot 1 10000000 200000 1") NPF_EXIT(
		       100, "1.000002") FAULT(100, "1.000003", "10000000",
					      WRITE) FAULT(100, "1.000004", "10001000", WRITE)
		       LINE(100, "1.000005", "tracing_mark_write: dirty 1") NPF_EXIT(
			       100, "1.000006") FAULT(100, "1.000007", "10000000", "0x100000007")
			       LINE(100, "1.000008", "tracing_mark_write: dirty 1")
				       LINE(100, "1.000009", "tracing_mark_write: dirty 2"),
	       NULL);
	expect_outcomes(3, 0, 0, 0);
	cr_expect(eq(u64, report.stats.fast_fixes, 1));
	cr_expect(eq(u64, report.dirty_reads, 3));
	cr_expect(eq(u64, report.dirty_pages, 2 + 1));
	cr_expect(eq(u64, report.dirty_errors, 1));
}

Test(events, slots_smaller_than_a_page_of_the_format__do_not_exist)
{
	replay_as("arm-s2-64k",
		  LINE(100, "1.000001", "tracing_mark_write: slot 1 1000 4000 0")
			  LINE(100, "1.000002", "tracing_mark_write: slot 2 29000 28000 0")
				  NPF_EXIT(100, "1.000003") FAULT(100, "1.000004", "2000", READ)
					  FAULT(100, "1.000005", "35000", READ)
						  FAULT(100, "1.000006", "29000", READ)
							  LINE(100, "1.000007",
							       "tracing_mark_write: del 1"),
		  NULL);
	/* Of 0x29000..0x51000 the whole pages are 0x30000..0x50000. */
	expect_outcomes(1, 0, 2, 0);
	cr_expect(eq(u64, report.slots_trimmed, 2));
	cr_expect(eq(u64, report.slot_calls, 3));
	cr_expect(eq(u64, report.slot_errors, 0));
}

/* The slot's address is learned from the host line, or the invalidation would meet nothing. */
Test(events, slot_without_an_address__gets_it_from_a_host_line)
{
	replay(LINE(100, "1.000001", "tracing_mark_write: slot 1 10000000 200000 0")
		       NPF_EXIT(100, "1.000002") FAULT(100, "1.000003", "10001000", READ) LINE(
			       100, "1.000004",
			       "tracing_mark_write: host gpa 10001000 hva 7f5500001000 present 1 "
			       "pfn 1234 huge 0 zero 0")
			       LINE(200, "1.000005",
				    "kvm_unmap_hva_range: mmu notifier unmap range: "
				    "0x7f5500001000 -- 0x7f5500002000"),
	       NULL);
	cr_expect(eq(u64, report.invalidations, 1));
	cr_expect(eq(u64, report.stats.mapped[1], 0));
}

Test(events, mmio_event_after_a_fault__makes_its_page_mmio_and_the_others_memory)
{
	replay(NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "fee000b0", READ)
		       LINE(100, "1.000003", "kvm_mmio: mmio read len 4 gpa 0xfee000b0 val 0x0")
			       LINE(100, "1.000004", "kvm_entry: vcpu 0, rip 0x1000") NPF_EXIT(
				       100, "1.000005") FAULT(100, "1.000006", "5000", READ)
				       LINE(100, "1.000007", "kvm_entry: vcpu 0, rip 0x1000")
					       LINE(100, "1.000008",
						    "kvm_mmio: mmio read len 4 gpa 0x5000 val "
						    "0x0"),
	       NULL);
	expect_outcomes(1, 0, 1, 0);
	cr_expect(report.layout_inferred);
	cr_expect(eq(u64, report.inferred_ram_gfns, 1));
	cr_expect(eq(u64, report.inferred_mmio_gfns, 1));
}

Test(events, gpa_beyond_the_input_size__is_emulated)
{
	replay_as("sv39x4",
		  NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "20000000000", READ)
			  FAULT(100, "1.000003", "5000", READ),
		  RAM);
	expect_outcomes(1, 0, 1, 0);
}

Test(events, default_format__is_the_first_whose_input_holds_every_gpa)
{
	struct vmmu_replay_options options = {.size = sizeof(options)};
	static const char low[] = NPF_EXIT(100, "1.000001") FAULT(100, "1.000002", "5000", READ);
	static const char high[] = NPF_EXIT(100, "1.000001")
		FAULT(100, "1.000002", "1000000000000", READ);
	struct vmmu_trace *trace;

	cr_assert(eq(int, vmmu_trace_open(run_file(low, strlen(low)), NULL, &trace, NULL, 0), 0));
	cr_assert(eq(int, vmmu_replay(trace, &options, &report), 0));
	cr_expect(eq(str, (char *)vmmu_format_info(report.format)->name, "npt4"));
	vmmu_trace_close(trace);
	cr_assert(eq(int, vmmu_trace_open(run_file(high, strlen(high)), NULL, &trace, NULL, 0), 0));
	cr_assert(eq(int, vmmu_replay(trace, &options, &report), 0));
	cr_expect(eq(str, (char *)vmmu_format_info(report.format)->name, "npt5"));
	vmmu_trace_close(trace);
}
