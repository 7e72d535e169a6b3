/* SPDX-License-Identifier: MIT */
/*
 * Every text trace at hand, replayed under every format: no error, a clean audit, and exactly the
 * faults that the trace holds. The counts were made by hand, with grep -c over the (unzipped) text:
 * 	x86     'kvm_page_fault:'
 * 	arm64   'kvm_guest_fault:'
 * 	riscv64 -E 'SCAUSE:0x(14|15|17),'
 * and where guests ran without second-stage paging, or nested, by reading the exit before each
 * fault.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <vmmu/replay.h>

struct sample {
	const char *trace, *layout;
	unsigned faults, gva;
};

/* In the project. */
static const struct sample bundled[] = {
	{"x86-npf-linux6.1-seabios-32k.tracefs.txt.gz",
	 "x86-qemu7.2-i440fx-vga-kvm_set_user_memory.txt", 1263, 0},
	{"x86-npf-linux6.1-seabios-32k.tracefs.txt.gz", NULL, 1263, 0},
	{"x86-linux6.1.perf-script-excerpt.txt.gz", NULL, 30, 0},
	{"x86-linux6.1.trace-cmd-excerpt.txt.gz", NULL, 59, 0},
	{"arm64-linux6.1.tracefs.txt.gz", "arm64-linux6.1.memslots.txt", 285, 0},
	{"riscv64-linux6.12.tracefs.txt.gz", "riscv64-linux6.12.memslots.txt", 1207, 0},
	{"riscv64-linux6.12.tracefs.txt.gz", NULL, 1207, 0},
};

static const struct sample scripts[] = {
	{"kvm-live/x86-6.1/direct/guest-32.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/guest-32.slots.txt", 6, 0},
	{"kvm-live/x86-6.1/direct/guest-64.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/guest-64.slots.txt", 37, 0},
	{"kvm-live/x86-6.1/direct/guest-pae.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/guest-pae.slots.txt", 7, 0},
	{"kvm-live/x86-6.1/direct/huge-pages.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/huge-pages.slots.txt", 54, 0},
	{"kvm-live/x86-6.1/direct/hugetlb.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/hugetlb.slots.txt", 18, 0},
	{"kvm-live/x86-6.1/direct/mmio.tracefs.txt.gz", "kvm-live/x86-6.1/direct/mmio.slots.txt",
	 16, 0},
	{"kvm-live/x86-6.1/direct/slots-and-dirty.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/slots-and-dirty.slots.txt", 210, 0},
	{"kvm-live/x86-6.1/direct/slots-and-dirty.tracefs.txt.gz", NULL, 210, 0},
};

/* Other people's, in the shared folder beside the project: small ones and recorded ones. */
static const struct sample shared_text[] = {
	{"traces/text/01-raw-tracefs-shadow-paging-EXCEPTION_NMI-k4.x.txt", NULL, 0, 4},
	{"traces/text/02-tracecmd-EPT_VIOLATION-dirty-ring-k5.4rc.txt", NULL, 7, 0},
	{"traces/text/03-raw-tracefs-nested-EPT_VIOLATION-vectoring-k6.12rc.txt", NULL, 0, 2},
	{"traces/text/05-raw-tracefs-tdp_mmu-zap-and-guest-walk-k6.3rc.txt", NULL, 0, 0},
	{"traces/text/06-tracecmd-kvmmmu-set_spte-get_page-NPT-la57-k5.x.txt", NULL, 0, 0},
	{"traces/text/07-raw-tracefs-tdp_mmu-teardown-stacktrace-k6.1.txt", NULL, 0, 0},
	{"traces/text/09-raw-tracefs-page_fault-vcpu-rip-k6.0rc.txt", NULL, 7, 0},
	{"traces/text/11-raw-tracefs-SNP-error_code-64bit-k6.5snp.txt", NULL, 4, 0},
	{"traces/text/13-headless-nested-NPF-SMM-k5.13.txt", NULL, 0, 1},
	{"traces/text/14-tracecmd-EPT-stuck-gpt-write-k6.1.txt", NULL, 8, 0},
	{"traces/text/17-tracecmd-EPT_MISCONFIG-guest-1G-walk-k4.8.txt", NULL, 0, 0},
	{"traces/text/18-tracecmd-report-header-page_fault-k6.7.5.txt", NULL, 3, 0},
	{"traces/text/20-tracecmd-firecracker-EXIT_CR0_SEL_WRITE-k.txt", NULL, 0, 0},
	{"traces/text/21-arm32-kvm_guest_fault-hsr-old-k3.x-modified.txt", NULL, 2, 0},
	{"traces/text/23-raw-tracefs-tdp-2M-collapse-k5.19upm.txt", NULL, 1, 0},
};

static const struct sample shared_recorded[] = {
	{"traces/recorded/x86-npf-linux6.1-seabios-118k.perf-script.txt.gz", NULL, 1263, 0},
	{"traces/recorded/x86-npf-linux6.1-tracecmd-report-first60k.txt.gz", NULL, 2981, 0},
	{"kvm-live/recorded/x86-7.2/tdp/huge-pages.tracefs.txt.gz",
	 "kvm-live/recorded/x86-7.2/tdp/huge-pages.slots.txt", 55, 0},
	{"kvm-live/recorded/arm64-6.1/stage2/slots-and-dirty.tracefs.txt.gz",
	 "kvm-live/recorded/arm64-6.1/stage2/slots-and-dirty.slots.txt", 210, 0},
	{"kvm-live/recorded/riscv64-6.12/gstage/slots-and-dirty.tracefs.txt.gz",
	 "kvm-live/recorded/riscv64-6.12/gstage/slots-and-dirty.slots.txt", 211, 0},
};

static void replay(const char *folder, const struct sample *sample,
		   const struct vmmu_replay_options *options, struct vmmu_replay_report *report)
{
	char trace_path[512], layout_path[512], error[512] = "";
	struct vmmu_trace_options trace_options = {.size = sizeof(trace_options)};
	struct vmmu_trace *trace;
	int ret;

	snprintf(trace_path, sizeof(trace_path), "%s/%s", folder, sample->trace);
	snprintf(layout_path, sizeof(layout_path), "%s/%s", folder,
		 sample->layout ? sample->layout : "");
	if (sample->layout)
		trace_options.layout = layout_path;
	ret = vmmu_trace_open(trace_path, &trace_options, &trace, error, sizeof(error));
	cr_assert(eq(int, ret, 0), "%s", error);
	ret = vmmu_replay(trace, options, report);
	cr_assert(eq(int, ret, 0), "%s: %s", sample->trace, vmmu_trace_error(trace));
	vmmu_trace_close(trace);
}

static void check(const struct sample *sample, const char *format,
		  const struct vmmu_replay_report *report)
{
	uint64_t sum = report->errors;
	unsigned i;

	for (i = 0; i < VMMU_OUTCOMES; i++)
		sum += report->outcomes[i];
	cr_expect(eq(u64, report->faults, sample->faults), "%s as %s", sample->trace, format);
	cr_expect(eq(u64, report->refused_gva, sample->gva), "%s as %s", sample->trace, format);
	cr_expect(eq(u64, sum, report->faults), "%s as %s", sample->trace, format);
	cr_expect(eq(u64, report->errors, 0), "%s as %s", sample->trace, format);
	cr_expect(eq(u64, report->outcomes[VMMU_GUEST_FAULT], 0));
	cr_expect(gt(u64, report->audit.checked, 0));
	cr_expect(eq(u64, report->audit.violations, 0), "%s as %s", sample->trace, format);
	cr_expect(eq(u64, report->slot_errors, 0), "%s as %s", sample->trace, format);
}

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	fprintf(stderr, "%s: %s: %s\n", (const char *)ctx, finding->invariant, finding->text);
}

static void replay_everywhere(const char *folder, const struct sample *samples, size_t count)
{
	const struct vmmu_format *format;
	unsigned index;
	size_t i;

	for (i = 0; i < count; i++) {
		for (index = 0; (format = vmmu_format_at(index)); index++) {
			struct vmmu_replay_options options = {
				.size = sizeof(options),
				.format = format,
				.finding = print_finding,
				.finding_ctx = (void *)(uintptr_t)samples[i].trace,
			};
			struct vmmu_replay_report report;

			replay(folder, &samples[i], &options, &report);
			check(&samples[i], vmmu_format_info(format)->name, &report);
		}
		cr_expect(gt(u32, index, 8));
	}
}

#define COUNT(samples) (sizeof(samples) / sizeof(samples[0]))
#define TRACES         VMMU_TEST_DATA "/traces"

/* Is the shared folder there? A test that needs it says so when it is not. */
static bool has_shared(void)
{
	struct stat status;

	if (!stat(VMMU_SHARED "/traces/text", &status))
		return true;
	cr_skip_test("no shared folder at " VMMU_SHARED);
	return false;
}

Test(matrix, bundled_traces__replay_under_every_format)
{
	replay_everywhere(TRACES, bundled, COUNT(bundled));
}

Test(matrix, bundled_scripts__replay_under_every_format)
{
	replay_everywhere(TRACES, scripts, COUNT(scripts));
}

Test(matrix, shared_texts__replay_under_every_format)
{
	if (has_shared())
		replay_everywhere(VMMU_SHARED, shared_text, COUNT(shared_text));
}

Test(matrix, shared_recordings__replay_under_every_format)
{
	if (has_shared())
		replay_everywhere(VMMU_SHARED, shared_recorded, COUNT(shared_recorded));
}

/* Options change what is mapped, never the number of faults nor the audit. */
Test(matrix, every_option__keeps_counts_and_audit)
{
	const struct vmmu_format *format;
	unsigned index, i;

	for (i = 0; i < 32; i++) {
		for (index = 0; (format = vmmu_format_at(index)); index++) {
			struct vmmu_replay_options options = {
				.size = sizeof(options),
				.format = format,
				.backing = i % 4,
				.dirty_log = i & 4,
				.nx_huge = i & 8,
				.max_level = i % 16 == 15 ? 1 : 0,
				.root = i & 16 ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT,
			};
			struct vmmu_replay_report report;

			replay(TRACES, &scripts[6], &options, &report);
			check(&scripts[6], vmmu_format_info(format)->name, &report);
		}
	}
}

static struct vmmu_digest digest_of(const struct sample *sample, enum vmmu_backing backing)
{
	struct vmmu_replay_options options = {
		.size = sizeof(options),
		.format = vmmu_format_find("npt4"),
		.backing = backing,
		.repeat = 3,
	};
	struct vmmu_replay_report report;

	replay(TRACES, sample, &options, &report);
	cr_expect(report.digest_repeatable);
	return report.digest;
}

Test(matrix, same_trace_and_options__same_digest)
{
	struct vmmu_digest a = digest_of(&scripts[6], VMMU_BACKING_AUTO);
	struct vmmu_digest b = digest_of(&scripts[6], VMMU_BACKING_AUTO);
	struct vmmu_digest c = digest_of(&scripts[6], VMMU_BACKING_4K);

	cr_expect(eq(u64, a.high, b.high));
	cr_expect(eq(u64, a.low, b.low));
	cr_expect(ne(u64, a.low, c.low));
}

/* With small pages and nothing mapped ahead, both kinds of tables come to the same. */
Test(matrix, tdp_roots__map_what_direct_ones_do)
{
	for (size_t i = 0; i < COUNT(bundled); i++) {
		struct vmmu_replay_options options = {.size = sizeof(options), .repeat = 2};
		struct vmmu_replay_report direct, tdp;

		replay(TRACES, &bundled[i], &options, &direct);
		options.root = VMMU_ROOT_TDP;
		replay(TRACES, &bundled[i], &options, &tdp);
		cr_expect(tdp.digest_repeatable);
		cr_expect(eq(u64, tdp.digest.high, direct.digest.high), "%s", bundled[i].trace);
		cr_expect(eq(u64, tdp.digest.low, direct.digest.low), "%s", bundled[i].trace);
		for (unsigned outcome = 0; outcome < VMMU_OUTCOMES; outcome++)
			cr_expect(eq(u64, tdp.outcomes[outcome], direct.outcomes[outcome]), "%s",
				  bundled[i].trace);
		cr_expect(eq(u64, tdp.audit.violations, 0));
	}
}

/* One vCPU's faults come in their order, whoever runs them; what the host does keeps its place. */
Test(matrix, threads__give_the_same_for_one_vcpu)
{
	const struct sample *samples[] = {&bundled[0], &bundled[4], &bundled[5],
					  &scripts[3], &scripts[5], &scripts[6]};

	for (size_t i = 0; i < 2 * COUNT(samples); i++) {
		struct vmmu_replay_options options = {
			.size = sizeof(options), .root = i % 2 ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT};
		struct vmmu_replay_report serial, parallel;

		replay(TRACES, samples[i / 2], &options, &serial);
		options.threads = 3;
		replay(TRACES, samples[i / 2], &options, &parallel);
		check(samples[i / 2], "its own", &parallel);
		cr_expect(eq(u64, parallel.digest.high, serial.digest.high), "%zu", i);
		cr_expect(eq(u64, parallel.digest.low, serial.digest.low), "%zu", i);
		for (unsigned outcome = 0; outcome < VMMU_OUTCOMES; outcome++)
			cr_expect(eq(u64, parallel.outcomes[outcome], serial.outcomes[outcome]),
				  "%zu", i);
		cr_expect(eq(u64, parallel.dirty_pages, serial.dirty_pages));
		cr_expect(eq(u64, parallel.retried, 0));
	}
}

/*
 * The guest ran on KVM's TDP MMU, and direct roots map alike: it wrote 422 leaves (grep -c
 * kvm_mmu_set_spte) and 13 MMIO entries (grep -c mark_mmio_spte), and dropped everything 30 times
 * (grep -c zap_all_fast), once for each slot that QEMU deleted: that is how the calls of its layout
 * get their times. One leaf is not ours: line 19593 is a fetch in system management mode, whose
 * address space has memory where the normal one has none, and this recording has no
 * kvm_smm_transition to say so.
 */
Test(matrix, seabios__maps_what_kvm_mapped)
{
	struct vmmu_replay_options options = {.size = sizeof(options)};
	struct vmmu_replay_report report;

	for (unsigned i = 0; i < 2; i++) {
		options.root = i ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT;
		replay(TRACES, &bundled[0], &options, &report);
		cr_expect(eq(u64, report.stats.zap_all, 30));
		cr_expect(eq(u64, report.kinds[VMMU_TRACE_ZAP_ALL], 30));
		cr_expect(eq(u64, report.outcomes[VMMU_FIXED], 421));
		cr_expect(eq(u64, report.outcomes[VMMU_EMULATE], 842));
	}
}

/* The same run recorded once more, with the transitions: nothing is left over. */
Test(matrix, seabios_with_smm__maps_exactly_what_kvm_mapped)
{
	static const struct sample sample = {
		"traces/recorded/x86-npf-linux6.1-seabios-118k.perf-script.txt.gz",
		"traces/recorded/x86-qemu7.2-i440fx-vga-kvm_set_user_memory.txt", 1263, 0};
	struct vmmu_replay_options options = {.size = sizeof(options)};
	struct vmmu_replay_report report;

	if (!has_shared())
		return;
	replay(VMMU_SHARED, &sample, &options, &report);
	cr_expect(eq(u64, report.kinds[VMMU_TRACE_SMM], 6));
	cr_expect(eq(u64, report.outcomes[VMMU_FIXED], 422));
	cr_expect(eq(u64, report.stats.mmio_installed, 13));
	cr_expect(eq(u64, report.outcomes[VMMU_EMULATE], 1263 - 422));
}
