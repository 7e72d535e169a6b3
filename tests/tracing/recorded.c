/* SPDX-License-Identifier: MIT */
/*
 * Whole recordings against a table of counts that other tools made: for each column grep counted
 * the lines, as in
 *
 *   events          zcat -f FILE | grep -v '^#\|^cpus=\|^....$\|^ => \|<stack trace>' | wc -l
 *   faults or gva   zgrep -cE '[ :]kvm_page_fault:| kvm_guest_fault:|SCAUSE:0x1[457],' FILE
 *   invalidations   zgrep -cE '[ :]kvm_(unmap_hva_range|set_spte_hva):' FILE
 *   age             zgrep -cE ' kvm_(test_)?age_hva:' FILE
 *   mmio            zgrep -cE '[
 *   :](kvm_mmio|vcpu_match_mmio|kvm_fast_mmio|handle_mmio_page_fault):' FILE set             zgrep
 *   -cE '[ :]kvm_mmu_set_spte:' FILE changed         zgrep -cE '[
 *   :]kvm_tdp_mmu_spte_changed:|tracing_mark_write: entry level' FILE fast            zgrep -cE '
 *   fast_page_fault:' FILE host            zgrep -cE 'write: host gpa' FILE
 *   accesses        zgrep -cE 'write: (r|w|x|range) ' FILE
 *   slots           zgrep -cE 'write: (slot|del) ' FILE
 *
 * Faults are in the gva column where the exits before them say shadow paging ("PF excp",
 * EXCEPTION_NMI) or a nested guest (kvm_nested_vmexit before kvm_page_fault).
 */
#include "tracing/help.h"

struct recording {
	const char *path;
	uint64_t events, faults, gva, invalidations, age, mmio, set, changed, fast, host, accesses,
		slots;
};

static const struct recording bundled[] = {
	{"kvm-live/x86-6.1/direct/guest-32.tracefs.txt.gz", 171, 6, 0, 0, 0, 0, 20, 0, 0, 0, 6, 1},
	{"kvm-live/x86-6.1/direct/guest-64.tracefs.txt.gz", 672, 37, 0, 0, 0, 0, 69, 0, 17, 0, 24,
	 5},
	{"kvm-live/x86-6.1/direct/guest-pae.tracefs.txt.gz", 176, 7, 0, 0, 0, 0, 21, 0, 0, 0, 8, 1},
	{"kvm-live/x86-6.1/direct/huge-pages.tracefs.txt.gz", 629, 54, 0, 6, 0, 0, 277, 0, 3, 59,
	 19, 5},
	{"kvm-live/x86-6.1/direct/hugetlb.tracefs.txt.gz", 173, 18, 0, 4, 0, 0, 17, 0, 5, 24, 17,
	 4},
	{"kvm-live/x86-6.1/direct/mmio.tracefs.txt.gz", 169, 16, 0, 2, 0, 20, 7, 0, 1, 6, 13, 5},
	{"kvm-live/x86-6.1/direct/slots-and-dirty.tracefs.txt.gz", 1357, 210, 0, 7, 0, 24, 135, 0,
	 82, 210, 24, 7},
	{"arm64-linux6.1.tracefs.txt.gz", 2463, 285, 0, 68, 0, 5, 0, 0, 0, 0, 0, 0},
	{"riscv64-linux6.12.tracefs.txt.gz", 2485, 1207, 0, 37, 0, 0, 0, 0, 0, 0, 0, 0},
	{"x86-linux6.1.perf-script-excerpt.txt.gz", 2495, 30, 0, 56, 0, 703, 25, 400, 0, 0, 0, 0},
	{"x86-linux6.1.trace-cmd-excerpt.txt.gz", 1715, 59, 0, 69, 0, 169, 27, 274, 0, 0, 0, 0},
};

static const struct recording shared[] = {
	{"traces/recorded/x86-npf-linux6.1-seabios-32k.tracefs.txt.gz", 31951, 1263, 0, 0, 0, 1,
	 422, 23203, 0, 0, 0, 0},
	{"traces/recorded/x86-npf-linux6.1-seabios-118k.perf-script.txt.gz", 118446, 1263, 0, 697,
	 0, 42112, 422, 23203, 0, 0, 0, 0},
	{"traces/recorded/x86-npf-linux6.1-tracecmd-report-first60k.txt.gz", 59999, 2981, 0, 569, 0,
	 5676, 232, 15652, 0, 0, 0, 0},
	{"kvm-live/recorded/x86-6.1/tdp/slots-and-dirty.tracefs.txt.gz", 35543, 210, 0, 7, 0, 24,
	 119, 34170, 82, 210, 24, 7},
	{"kvm-live/recorded/x86-6.1/tdp-nx/mmio.tracefs.txt.gz", 6866, 16, 0, 2, 0, 20, 7, 6703, 1,
	 6, 13, 5},
	{"kvm-live/recorded/x86-7.2/tdp/slots-and-dirty.tracefs.txt.gz", 35084, 210, 0, 6, 0, 24,
	 103, 33729, 98, 210, 24, 7},
	{"kvm-live/recorded/x86-7.2/direct/slots-and-dirty.tracefs.txt.gz", 1365, 210, 0, 5, 3, 24,
	 142, 0, 82, 210, 24, 7},
	{"kvm-live/recorded/arm64-6.1/stage2/slots-and-dirty.tracefs.txt.gz", 1544, 210, 0, 12, 0,
	 16, 0, 401, 0, 210, 24, 7},
	{"kvm-live/recorded/arm64-6.1/stage2/mmio.tracefs.txt.gz", 107, 14, 0, 4, 0, 13, 0, 15, 0,
	 6, 13, 5},
	{"kvm-live/recorded/arm64-6.1/stage2/guest-64.tracefs.txt.gz", 385, 50, 0, 2, 0, 0, 0, 96,
	 0, 0, 27, 5},
	{"kvm-live/recorded/riscv64-6.12/gstage/slots-and-dirty.tracefs.txt.gz", 1099, 211, 0, 7, 0,
	 0, 0, 417, 0, 210, 24, 7},
	{"kvm-live/recorded/riscv64-6.12/gstage/mmio.tracefs.txt.gz", 70, 14, 0, 4, 0, 0, 0, 15, 0,
	 6, 13, 5},
	{"kvm-live/recorded/riscv64-6.12/gstage/guest-64.tracefs.txt.gz", 303, 50, 0, 2, 0, 0, 0,
	 119, 0, 0, 27, 5},
	{"kvm-live/recorded/x86-6.1/shadow/guest-64.tracefs.txt.gz", 1111, 0, 53, 0, 0, 0, 87, 0, 0,
	 0, 24, 5},
	{"kvm-live/recorded/x86-6.1/shadow/mmio.tracefs.txt.gz", 172, 0, 16, 2, 0, 20, 7, 0, 1, 6,
	 13, 5},
	{"kvm-live/recorded/x86-7.2/shadow/huge-pages.tracefs.txt.gz", 633, 0, 54, 6, 3, 0, 277, 0,
	 3, 59, 19, 5},
	{"kvm-live/recorded/x86-7.2/shadow/hugetlb.tracefs.txt.gz", 173, 0, 18, 3, 0, 0, 17, 0, 5,
	 24, 17, 4},
	{"traces/text/01-raw-tracefs-shadow-paging-EXCEPTION_NMI-k4.x.txt", 29, 0, 4, 0, 0, 0, 0, 0,
	 0, 0, 0, 0},
	{"traces/text/02-tracecmd-EPT_VIOLATION-dirty-ring-k5.4rc.txt", 30, 7, 0, 0, 0, 0, 0, 0, 0,
	 0, 0, 0},
	{"traces/text/03-raw-tracefs-nested-EPT_VIOLATION-vectoring-k6.12rc.txt", 18, 0, 2, 0, 0, 0,
	 0, 0, 0, 0, 0, 0},
	{"traces/text/05-raw-tracefs-tdp_mmu-zap-and-guest-walk-k6.3rc.txt", 34, 0, 0, 0, 0, 0, 0,
	 14, 0, 0, 0, 0},
	{"traces/text/06-tracecmd-kvmmmu-set_spte-get_page-NPT-la57-k5.x.txt", 21, 0, 0, 0, 0, 0, 4,
	 0, 0, 0, 0, 0},
	{"traces/text/07-raw-tracefs-tdp_mmu-teardown-stacktrace-k6.1.txt", 4, 0, 0, 0, 0, 0, 0, 3,
	 0, 0, 0, 0},
	{"traces/text/09-raw-tracefs-page_fault-vcpu-rip-k6.0rc.txt", 7, 7, 0, 0, 0, 0, 0, 0, 0, 0,
	 0, 0},
	{"traces/text/11-raw-tracefs-SNP-error_code-64bit-k6.5snp.txt", 4, 4, 0, 0, 0, 0, 0, 0, 0,
	 0, 0, 0},
	{"traces/text/13-headless-nested-NPF-SMM-k5.13.txt", 14, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	{"traces/text/14-tracecmd-EPT-stuck-gpt-write-k6.1.txt", 24, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	 0},
	{"traces/text/17-tracecmd-EPT_MISCONFIG-guest-1G-walk-k4.8.txt", 8, 0, 0, 0, 0, 0, 0, 0, 0,
	 0, 0, 0},
	{"traces/text/18-tracecmd-report-header-page_fault-k6.7.5.txt", 3, 3, 0, 0, 0, 0, 0, 0, 0,
	 0, 0, 0},
	{"traces/text/20-tracecmd-firecracker-EXIT_CR0_SEL_WRITE-k.txt", 14, 0, 0, 0, 0, 0, 0, 0, 0,
	 0, 0, 0},
	{"traces/text/21-arm32-kvm_guest_fault-hsr-old-k3.x-modified.txt", 10, 2, 0, 0, 0, 0, 0, 0,
	 0, 0, 0, 0},
	{"traces/text/23-raw-tracefs-tdp-2M-collapse-k5.19upm.txt", 11, 1, 0, 0, 0, 0, 1, 6, 0, 0,
	 0, 0},
};

static void check_recording(const char *folder, const struct recording *want)
{
	uint64_t kinds[VMMU_TRACE_KINDS], sum = 0, again[VMMU_TRACE_KINDS];
	char path[512], error[256];
	struct vmmu_trace *trace;

	snprintf(path, sizeof(path), "%s/%s", folder, want->path);
	cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s", error);
	help_kinds(trace, kinds);
	for (unsigned i = 0; i < VMMU_TRACE_KINDS; i++)
		sum += kinds[i];
	cr_expect_eq(sum, want->events, "%s: %lu events", want->path, sum);
	cr_expect_eq(kinds[VMMU_TRACE_FAULT], want->faults, "%s: %lu faults", want->path,
		     kinds[VMMU_TRACE_FAULT]);
	cr_expect_eq(kinds[VMMU_TRACE_FAULT_GVA], want->gva, "%s: %lu gva", want->path,
		     kinds[VMMU_TRACE_FAULT_GVA]);
	cr_expect_eq(kinds[VMMU_TRACE_INVALIDATE], want->invalidations, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_AGE], want->age, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_MMIO], want->mmio, "%s: %lu", want->path,
		     kinds[VMMU_TRACE_MMIO]);
	cr_expect_eq(kinds[VMMU_TRACE_MAP_SET], want->set, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_ENTRY_CHANGED], want->changed, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_FAST_FIX], want->fast, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_HOST_PAGE], want->host, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_ACCESS], want->accesses, "%s", want->path);
	cr_expect_eq(kinds[VMMU_TRACE_SLOT], want->slots, "%s", want->path);
	/* The one line of hand notes in all of them is the row of dots in sample 23. */
	cr_expect_eq(help_not_understood(trace), strstr(want->path, "/23-") ? 1 : 0, "%s",
		     want->path);
	cr_assert_eq(vmmu_trace_rewind(trace), 0);
	help_kinds(trace, again);
	cr_expect(!memcmp(kinds, again, sizeof(kinds)), "%s: another stream after rewind",
		  want->path);
	vmmu_trace_close(trace);
}

Test(recorded, bundled_traces__have_the_counts_of_the_table)
{
	for (size_t i = 0; i < sizeof(bundled) / sizeof(*bundled); i++)
		check_recording(VMMU_TEST_DATA "/traces", &bundled[i]);
}

Test(recorded, shared_traces__have_the_counts_of_the_table)
{
	const char *folder = getenv("VMMU_SHARED");

	if (!folder)
		folder = VMMU_SHARED;
	if (access(folder, R_OK))
		cr_skip_test("no folder %s: set VMMU_SHARED to the traces that are not bundled",
			     folder);
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		check_recording(folder, &shared[i]);
}

/* What the tools made of them, and whose faults they are. */
static const struct {
	const char *path;
	enum vmmu_trace_syntax syntax;
	const char *architecture;
} kinds_of_trace[] = {
	{"kvm-live/x86-6.1/direct/mmio.tracefs.txt.gz", VMMU_SYNTAX_TRACEFS, "x86-npt"},
	{"arm64-linux6.1.tracefs.txt.gz", VMMU_SYNTAX_TRACEFS, "arm64"},
	{"riscv64-linux6.12.tracefs.txt.gz", VMMU_SYNTAX_TRACEFS, "riscv64"},
	{"x86-linux6.1.perf-script-excerpt.txt.gz", VMMU_SYNTAX_PERF, "x86-npt"},
	{"x86-linux6.1.trace-cmd-excerpt.txt.gz", VMMU_SYNTAX_TRACE_CMD, "x86-npt"},
};

Test(recorded, tool_and_architecture__are_known_at_open)
{
	for (size_t i = 0; i < sizeof(kinds_of_trace) / sizeof(*kinds_of_trace); i++) {
		char path[512], error[256];
		struct vmmu_trace *trace;

		snprintf(path, sizeof(path), "%s/traces/%s", VMMU_TEST_DATA,
			 kinds_of_trace[i].path);
		cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s",
			     error);
		cr_expect_eq(vmmu_trace_syntax(trace), kinds_of_trace[i].syntax, "%s", path);
		cr_assert_not_null(vmmu_trace_architecture(trace), "%s", path);
		cr_expect_str_eq(vmmu_trace_architecture(trace), kinds_of_trace[i].architecture,
				 "%s", path);
		vmmu_trace_close(trace);
	}
}
