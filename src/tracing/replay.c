/* SPDX-License-Identifier: MIT */
/* vmmu_replay(): a first pass to know the trace, then each run into a fresh VM. */
#include <vmmu/replay.h>

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "base/sync.h"
#include "tracing/compare.h"
#include "tracing/profile.h"
#include "tracing/replay_parallel.h"
#include "tracing/replay_run.h"

/* Events between two calls of options.progress. */
#define PROGRESS_EVENTS 4096u

/* Everything that outlives one run. */
struct replay {
	struct vmmu_trace *trace;
	const struct vmmu_replay_options *options;
	struct vmmu_replay_report *report;
	struct replay_scan scan;
	unsigned pass, passes; /* over the trace, the first one included */
	uint64_t events;       /* of all passes */
	struct replay_run *run;
};

static int check_options(const struct vmmu_replay_options *options)
{
	if (options->size != sizeof(*options))
		return -EINVAL;
	if ((unsigned)options->backing > VMMU_BACKING_1G)
		return -EINVAL;
	if (options->root != VMMU_ROOT_DIRECT && options->root != VMMU_ROOT_TDP)
		return -EINVAL;
	if (options->max_level > VMMU_LEVELS_MAX || options->threads > VMMU_REPLAY_THREADS_MAX)
		return -EINVAL;
	/* With threads vCPUs meet in another order each time: there is nothing to compare with. */
	if (options->threads && (options->compare || options->repeat > 1))
		return -EINVAL;
	/* A comparison is of one run, and can be used once. */
	if (options->compare && (options->repeat > 1 || options->compare->profile))
		return -EINVAL;
	/* One pass more than runs: the counter must hold it. */
	return options->repeat < UINT32_MAX ? 0 : -EINVAL;
}

/* Tell how far we are over all passes. */
static int tell_progress(struct replay *replay)
{
	uint64_t done = 0, total = 0;

	if (++replay->events % PROGRESS_EVENTS || !replay->options->progress)
		return 0;
	vmmu_trace_progress(replay->trace, &done, &total);
	if (total)
		done = min_u64(done, total) + replay->pass * total;
	if (replay->options->progress(replay->options->progress_ctx, done, total * replay->passes,
				      replay->events))
		return -EINTR;
	return 0;
}

static int scan_trace(struct replay *replay)
{
	struct vmmu_trace_event event;
	int ret = vmmu_trace_rewind(replay->trace);

	while (!ret) {
		ret = vmmu_trace_next(replay->trace, &event);
		if (ret <= 0)
			break;
		ret = replay_scan_event(&replay->scan, &event);
		if (!ret)
			ret = tell_progress(replay);
	}
	replay_scan_end(&replay->scan);
	return ret;
}

/*
 * The trace's own architecture, with tables large enough for what faulted, and of LEVELS and
 * INPUT_BITS unless these are 0: the first such format in listing order, else the one with the
 * largest input. NULL: the architecture has no format, or the trace none.
 */
static const struct vmmu_format *choose_format(const char *architecture, uint64_t last_gpa,
					       unsigned levels, uint64_t input_bits)
{
	const struct vmmu_format *format, *widest = NULL;
	unsigned index, widest_bits = 0;

	for (index = 0; architecture && (format = vmmu_format_at(index)); index++) {
		const struct vmmu_format_info *info = vmmu_format_info(format);
		unsigned bits = info->geometry->gpa_bits;

		if (strcmp(info->architecture, architecture) || info->geometry->page_shift != 12 ||
		    (levels && info->geometry->levels != levels) ||
		    (input_bits && bits != input_bits))
			continue;
		if (bits >= 64 || !(last_gpa >> bits))
			return format;
		if (bits > widest_bits) {
			widest = format;
			widest_bits = bits;
		}
	}
	return widest;
}

/* How deep the recording's tables are; 0: not told. */
static unsigned recorded_levels(const struct replay_scan *scan, const char *architecture)
{
	if (scan->input_bits)
		return profile_level("arm64", scan->root_level);
	/* RISC-V has pages at 0. */
	if (scan->has_entries && architecture && !strcmp(architecture, "riscv64"))
		return profile_level(architecture, scan->entry_level);
	return scan->table_level;
}

static int settle_format(struct replay *replay)
{
	const struct replay_scan *scan = &replay->scan;
	const struct vmmu_format *format = replay->options->format;

	replay->report->architecture = vmmu_trace_architecture(replay->trace);
	replay->report->syntax = vmmu_trace_syntax(replay->trace);
	/* To be compared, tables must be as deep as the recording's. */
	if (!format && replay->options->compare)
		format = choose_format(replay->report->architecture, scan->last_gpa,
				       recorded_levels(scan, replay->report->architecture),
				       scan->input_bits);
	if (!format)
		format = choose_format(replay->report->architecture, scan->last_gpa, 0, 0);
	/*
	 * A trace of shadow paging alone is reported, with nothing to replay: any format will do.
	 */
	if (!format && scan->refused_gva && !scan->faults)
		format = vmmu_format_at(0);
	if (!format || (!replay->options->format && !scan->faults && !scan->refused_gva))
		return -ENODATA;
	replay->report->format = format;
	return 0;
}

/* The kernel that the trace is to be compared with. */
static int settle_kernel(struct replay *replay)
{
	struct vmmu_compare *compare = replay->options->compare;

	if (!compare)
		return 0;
	if (compare->options.version)
		compare->profile = vmmu_profile_find(compare->options.version,
						     replay->report->architecture);
	else
		compare->profile = vmmu_trace_profile(replay->trace, NULL, 0);
	compare->has_script = replay->scan.has_script;
	compare->has_probes = replay->scan.input_bits;
	return compare->profile ? 0 : -ENODATA;
}

static int run_events(struct replay *replay)
{
	struct replay_run *run = replay->run;
	struct vmmu_trace_event event;
	int ret = 0;

	if (!replay->scan.has_slots)
		ret = replay_pages_slots(&replay->scan.pages, replay_run_infer, run);
	while (!ret) {
		ret = replay_queue_next(&run->queue, &event);
		if (ret < 0)
			return ret;
		if (!ret && run->parallel)
			replay_parallel_finish(run);
		if (!ret)
			replay_host_settle(run);
		if (!ret)
			return replay->options->compare ? compare_end(replay->options->compare) : 0;
		ret = replay_run_event(run, &event);
		if (!ret)
			ret = tell_progress(replay);
	}
	return ret;
}

/* What the VM looks like at the end of a run. */
static int conclude(struct replay *replay)
{
	const struct vmmu_replay_options *options = replay->options;
	struct vmmu_replay_report *report = replay->report;
	struct replay_run *run = replay->run;
	struct vmmu_digest digest;
	int ret = vmmu_digest(run->vm, &digest);

	if (ret)
		return ret;
	if (replay->pass > 1 &&
	    (digest.high != report->digest.high || digest.low != report->digest.low))
		report->digest_repeatable = false;
	report->digest = digest;
	vmmu_vm_stats(run->vm, &report->stats);
	report->fault_ns_p50 = histogram_quantile(&run->histogram, 500);
	report->fault_ns_p99 = histogram_quantile(&run->histogram, 990);
	report->fault_ns_total = run->histogram.total;
	if (!run->parallel)
		report->fault_ns_wall = report->fault_ns_total;
	/* Only the last run is audited and shown: the others were to agree with it. */
	if (replay->pass + 1 < replay->passes)
		return 0;
	ret = vmmu_audit(run->vm, &report->audit, options->finding, options->finding_ctx);
	if (!ret && options->finish)
		ret = options->finish(options->finish_ctx, run->vm);
	return ret;
}

/*
 * The counts of one run replace those of the run before; what was found out about the trace stays.
 */
static void clear_counts(struct vmmu_replay_report *report)
{
	struct vmmu_replay_report kept = *report;

	memset(report, 0, sizeof(*report));
	report->syntax = kept.syntax;
	report->architecture = kept.architecture;
	report->format = kept.format;
	report->inferred_ram_gfns = kept.inferred_ram_gfns;
	report->inferred_mmio_gfns = kept.inferred_mmio_gfns;
	report->inferred_lost = kept.inferred_lost;
	report->layout_inferred = kept.layout_inferred;
	report->digest = kept.digest;
	report->digest_repeatable = kept.digest_repeatable;
}

static int run_once(struct replay *replay)
{
	struct replay_run *run = replay->run;
	int ret = vmmu_trace_rewind(replay->trace);

	if (ret)
		return ret;
	clear_counts(replay->report);
	memset(run, 0, sizeof(*run));
	run->options = replay->options;
	run->format = replay->report->format;
	run->scan = &replay->scan;
	run->report = replay->report;
	ret = replay_run_begin(run, replay->trace);
	if (!ret)
		ret = run_events(replay);
	if (!ret)
		ret = conclude(replay);
	replay_run_end(run);
	return ret;
}

static int replay_all(struct replay *replay)
{
	struct vmmu_replay_report *report = replay->report;
	int ret = replay_scan_init(&replay->scan);

	if (!ret)
		ret = scan_trace(replay);
	if (!ret)
		ret = settle_format(replay);
	if (!ret)
		ret = settle_kernel(replay);
	if (ret)
		return ret;
	report->layout_inferred = !replay->scan.has_slots;
	replay_pages_settle(&replay->scan.pages, &report->inferred_ram_gfns,
			    &report->inferred_mmio_gfns);
	report->inferred_lost = replay->scan.pages.lost;
	if (!report->layout_inferred) {
		report->inferred_lost = 0;
		report->inferred_ram_gfns = 0;
		report->inferred_mmio_gfns = 0;
	}
	for (replay->pass = 1; replay->pass < replay->passes && !ret; replay->pass++)
		ret = run_once(replay);
	return ret;
}

int vmmu_replay(struct vmmu_trace *trace, const struct vmmu_replay_options *options,
		struct vmmu_replay_report *report)
{
	struct vmmu_replay_report scratch = {.digest_repeatable = true};
	struct replay replay = {.trace = trace, .options = options, .report = &scratch};
	bool was_registered;
	int ret;

	if (!trace || !options || !report || check_options(options))
		return -EINVAL;
	replay.passes = 1 + (options->repeat ? options->repeat : 1);
	replay.run = mem_alloc(sizeof(*replay.run));
	if (!replay.run)
		return -ENOMEM;
	was_registered = sync_thread_is_registered();
	vmmu_thread_register();
	ret = replay_all(&replay);
	if (!was_registered)
		vmmu_thread_unregister();
	replay_scan_destroy(&replay.scan);
	mem_free(replay.run);
	if (!ret)
		*report = scratch;
	return ret;
}
