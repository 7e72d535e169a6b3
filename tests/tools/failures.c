/* SPDX-License-Identifier: MIT */
/* vmmu_replay() when memory runs out, when it is told to stop, and when its arguments are wrong. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <vmmu/replay.h>

#include "base/failing_mem.h"
#include "base/mem.h"

#define SCRIPT VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/mmio"

static struct vmmu_trace *open_trace(void)
{
	struct vmmu_trace_options options = {.size = sizeof(options),
					     .layout = SCRIPT ".slots.txt"};
	struct vmmu_trace *trace;

	cr_assert(eq(int, vmmu_trace_open(SCRIPT ".tracefs.txt.gz", &options, &trace, NULL, 0), 0));
	return trace;
}

/*
 * With memory for N allocations, for every N up to what a replay needs: -ENOMEM and the report
 * untouched, or a report whose outcomes and errors add up; nothing is left allocated, and the trace
 * can be replayed again.
 */
static void run_out(unsigned threads)
{
	struct vmmu_replay_options options = {.size = sizeof(options), .threads = threads};
	struct vmmu_trace *trace = open_trace();
	struct vmmu_replay_report report, untouched = {.lines = 4711};
	size_t live;
	uint64_t n = 0, asked, sum;
	unsigned i, failed = 0;
	int ret;

	/* What the reader keeps between replays, it has after the first. */
	cr_assert(eq(int, vmmu_replay(trace, &options, &report), 0));
	live = mem_live();
	do {
		report = untouched;
		failing_mem_after(n);
		ret = vmmu_replay(trace, &options, &report);
		asked = failing_mem_asked;
		failing_mem_stop();
		cr_expect(ret == 0 || ret == -ENOMEM, "%d with %lu", ret, (unsigned long)n);
		cr_assert(le(sz, mem_live(), live), "with %lu", (unsigned long)n);
		failed += ret != 0;
		if (ret) {
			cr_expect(eq(u64, report.lines, 4711));
			continue;
		}
		for (sum = report.errors, i = 0; i < VMMU_OUTCOMES; i++)
			sum += report.outcomes[i];
		cr_expect(eq(u64, sum, 16));
		cr_expect(eq(u64, report.audit.violations, 0), "with %lu", (unsigned long)n);
	} while (asked > n++);
	cr_expect(gt(u32, failed, 5));
	cr_expect(eq(u64, report.errors, 0));
	cr_expect(eq(u64, report.outcomes[VMMU_FIXED], 7));
	vmmu_trace_close(trace);
}

Test(failures, memory_runs_out_anywhere__nothing_leaks_and_counts_add_up)
{
	run_out(0);
}

Test(failures, memory_runs_out_with_threads__nothing_leaks_and_counts_add_up)
{
	run_out(3);
}

Test(failures, wrong_options__einval_and_the_report_untouched)
{
	struct vmmu_replay_options good = {.size = sizeof(good)}, bad;
	struct vmmu_compare_options kernel = {.size = sizeof(kernel)};
	struct vmmu_replay_report report = {.lines = 4711};
	struct vmmu_trace *trace = open_trace();
	struct vmmu_compare *compare;

	cr_assert(eq(int, vmmu_compare_create(&kernel, &compare), 0));
	cr_expect(eq(int, vmmu_replay(NULL, &good, &report), -EINVAL));
	cr_expect(eq(int, vmmu_replay(trace, NULL, &report), -EINVAL));
	cr_expect(eq(int, vmmu_replay(trace, &good, NULL), -EINVAL));
	bad = good;
	bad.size--;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad = good;
	bad.root = VMMU_ROOT_TDP + 1;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad = good;
	bad.backing = VMMU_BACKING_1G + 1;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad = good;
	bad.max_level = VMMU_LEVELS_MAX + 1;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad = good;
	bad.repeat = UINT32_MAX;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad = good;
	bad.threads = VMMU_REPLAY_THREADS_MAX + 1;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad.threads = 1;
	bad.repeat = 2;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	bad.repeat = 1;
	bad.compare = compare;
	cr_expect(eq(int, vmmu_replay(trace, &bad, &report), -EINVAL));
	vmmu_compare_destroy(compare);
	cr_expect(eq(u64, report.lines, 4711));
	vmmu_trace_close(trace);
}

static int stop(void *ctx, uint64_t done, uint64_t total, uint64_t events)
{
	unsigned *calls = ctx;

	cr_expect(le(u64, done, total));
	cr_expect(gt(u64, events, 0));
	return ++*calls == 2;
}

Test(failures, progress_says_stop__eintr)
{
	unsigned calls = 0;
	struct vmmu_replay_options options = {
		.size = sizeof(options), .progress = stop, .progress_ctx = &calls};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;

	cr_assert(eq(int,
		     vmmu_trace_open(VMMU_TEST_DATA
				     "/traces/x86-npf-linux6.1-seabios-32k.tracefs.txt.gz",
				     NULL, &trace, NULL, 0),
		     0));
	cr_expect(eq(int, vmmu_replay(trace, &options, &report), -EINTR));
	cr_expect(eq(u32, calls, 2));
	vmmu_trace_close(trace);
}

static int refuse(void *ctx, struct vmmu_vm *vm)
{
	struct vmmu_stats stats;

	vmmu_vm_stats(vm, &stats);
	*(uint64_t *)ctx = stats.tables;
	return -ENOSPC;
}

Test(failures, finish_fails__its_error_is_returned)
{
	uint64_t tables = 0;
	struct vmmu_replay_options options = {
		.size = sizeof(options), .finish = refuse, .finish_ctx = &tables};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace = open_trace();

	cr_expect(eq(int, vmmu_replay(trace, &options, &report), -ENOSPC));
	cr_expect(gt(u64, tables, 0));
	vmmu_trace_close(trace);
}
