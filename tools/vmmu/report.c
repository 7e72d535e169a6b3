/* SPDX-License-Identifier: MIT */
/* The report for people, and the words that both forms share. */
#include "report.h"

#include <inttypes.h>

#include "tool.h"

/* Width of the column of titles, and where a line is broken. */
#define TITLE_WIDTH 15
#define LINE_WIDTH  100

const char *report_kind_name(unsigned kind)
{
	static const char *const names[VMMU_TRACE_KINDS] = {
		[VMMU_TRACE_FAULT] = "fault",
		[VMMU_TRACE_FAULT_GVA] = "fault_gva",
		[VMMU_TRACE_INVALIDATE] = "invalidate",
		[VMMU_TRACE_INVALIDATE_END] = "invalidate_end",
		[VMMU_TRACE_COLLAPSE] = "collapse",
		[VMMU_TRACE_AGE] = "age",
		[VMMU_TRACE_SLOT] = "slot",
		[VMMU_TRACE_DIRTY_GET] = "dirty_get",
		[VMMU_TRACE_DIRTY_CLEAR] = "dirty_clear",
		[VMMU_TRACE_DIRTY_MANUAL] = "dirty_manual",
		[VMMU_TRACE_DIRTY_RING] = "dirty_ring",
		[VMMU_TRACE_DIRTY_HARVEST] = "dirty_harvest",
		[VMMU_TRACE_PREFAULT] = "prefault",
		[VMMU_TRACE_RECLAIM] = "reclaim",
		[VMMU_TRACE_DIRTY_PAGE] = "dirty_page",
		[VMMU_TRACE_HOST_PAGE] = "host_page",
		[VMMU_TRACE_DROP] = "drop",
		[VMMU_TRACE_PROTECT] = "protect",
		[VMMU_TRACE_ACCESS] = "access",
		[VMMU_TRACE_SCRIPT] = "script",
		[VMMU_TRACE_SMM] = "smm",
		[VMMU_TRACE_ENTRY] = "entry",
		[VMMU_TRACE_EXIT] = "exit",
		[VMMU_TRACE_MMIO] = "mmio",
		[VMMU_TRACE_MAP_REQUESTED] = "map_requested",
		[VMMU_TRACE_MAP_SET] = "map_set",
		[VMMU_TRACE_MMIO_SET] = "mmio_set",
		[VMMU_TRACE_MMIO_CHECK] = "mmio_check",
		[VMMU_TRACE_FAST_FIX] = "fast_fix",
		[VMMU_TRACE_TABLE_GET] = "table_get",
		[VMMU_TRACE_TABLE_ZAP] = "table_zap",
		[VMMU_TRACE_SPLIT] = "split",
		[VMMU_TRACE_ZAP_ALL] = "zap_all",
		[VMMU_TRACE_ENTRY_CHANGED] = "entry_changed",
		[VMMU_TRACE_STAGE2] = "stage2",
		[VMMU_TRACE_OTHER] = "other",
	};

	return kind < VMMU_TRACE_KINDS && names[kind] ? names[kind] : "?";
}

const char *report_rmap_name(unsigned index)
{
	static const char *const names[REPORT_RMAP_LENGTHS] = {
		"1", "2-3", "4-7", "8-15", "16-31", "32-63", "64-127", "128+",
	};

	return index < REPORT_RMAP_LENGTHS ? names[index] : "?";
}

const char *report_outcome_name(unsigned outcome)
{
	static const char *const names[VMMU_OUTCOMES] = {
		[VMMU_RETRY] = "retry",
		[VMMU_FIXED] = "fixed",
		[VMMU_SPURIOUS] = "spurious",
		[VMMU_EMULATE] = "emulate",
		[VMMU_WRITE_TRACKED] = "write_tracked",
		[VMMU_EXIT_TO_HOST] = "exit_to_host",
		[VMMU_GUEST_FAULT] = "guest_fault",
	};

	return outcome < VMMU_OUTCOMES ? names[outcome] : "?";
}

double report_faults_per_second(const struct vmmu_replay_report *report)
{
	if (!report->fault_ns_wall)
		return 0;
	return (double)report->faults * 1e9 / (double)report->fault_ns_wall;
}

/* A line of items under one title, broken before it gets too long. */
struct list {
	const char *title;
	int column; /* 0: nothing printed yet */
};

/* Print "TEXT NUMBER" as the list's next item; zeroes are left out. */
static void item(struct list *list, const char *text, uint64_t number)
{
	char piece[128];
	int length;

	if (!number)
		return;
	length = snprintf(piece, sizeof(piece), "%s %" PRIu64, text, number);
	if (list->column && list->column + 2 + length > LINE_WIDTH) {
		printf(",\n%*s", TITLE_WIDTH, "");
		list->column = TITLE_WIDTH;
	} else if (list->column) {
		list->column += printf(", ");
	} else {
		list->column = printf("%-*s", TITLE_WIDTH, list->title);
	}
	list->column += printf("%s", piece);
}

/* End the list; one without items is left out when EMPTY is NULL. */
static void end_list(struct list *list, const char *empty)
{
	if (list->column)
		putchar('\n');
	else if (empty)
		printf("%-*s%s\n", TITLE_WIDTH, list->title, empty);
}

static void title(const char *text)
{
	printf("%-*s", TITLE_WIDTH, text);
}

static void print_input(const char *path, const struct vmmu_trace *trace,
			const struct vmmu_replay_report *report)
{
	struct list events = {.title = "events"}, skipped = {.title = "skipped"};
	struct vmmu_trace_count count;
	unsigned i;

	title("trace");
	printf("%s: %s, %s, %" PRIu64 " lines, %" PRIu64 " events\n", path,
	       vmmu_syntax_name(report->syntax),
	       report->architecture ? report->architecture : "architecture not known",
	       report->lines, report->events);
	for (i = 0; i < VMMU_TRACE_KINDS; i++)
		item(&events, report_kind_name(i), report->kinds[i]);
	end_list(&events, "none");
	for (i = 0; vmmu_trace_count_at(trace, i, &count); i++)
		if (!count.understood)
			item(&skipped, count.name, count.count);
	end_list(&skipped, "nothing");
}

static void print_layout(const struct vmmu_replay_report *report)
{
	title("layout");
	if (report->layout_inferred) {
		printf("inferred from the faults: %" PRIu64 " pages of memory, %" PRIu64 " of MMIO",
		       report->inferred_ram_gfns, report->inferred_mmio_gfns);
		if (report->inferred_lost)
			printf(", %" PRIu64 " faults beyond what a guess holds",
			       report->inferred_lost);
	} else {
		printf("%" PRIu64 " slot calls, %" PRIu64 " refused", report->slot_calls,
		       report->slot_errors);
	}
	if (report->slots_trimmed)
		printf(", %" PRIu64 " trimmed to whole pages", report->slots_trimmed);
	putchar('\n');
	if (report->dirty_reads) {
		title("dirty log");
		printf("%" PRIu64 " reads, %" PRIu64 " pages", report->dirty_reads,
		       report->dirty_pages);
		if (report->dirty_errors)
			printf(", %" PRIu64 " refused", report->dirty_errors);
		putchar('\n');
	}
}

static void print_faults(const struct vmmu_replay_report *report)
{
	struct list outcomes = {.title = ""};
	unsigned i;

	title("faults");
	printf("%" PRIu64 " replayed\n", report->faults);
	for (i = 0; i < VMMU_OUTCOMES; i++)
		item(&outcomes, report_outcome_name(i), report->outcomes[i]);
	item(&outcomes, "error", report->errors);
	end_list(&outcomes, NULL);
	if (report->refused_gva) {
		title("refused");
		printf("shadow paging not supported yet: %" PRIu64
		       " faults of guest virtual addresses, or of nested guests\n",
		       report->refused_gva);
	}
}

static void print_tables(const struct vmmu_replay_report *report)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(report->format)->geometry;
	const struct vmmu_stats *stats = &report->stats;
	struct list mapped = {.title = "mapped"}, rmaps = {.title = "rmaps"};
	char text[32];
	unsigned i;

	for (i = 1; i <= geometry->levels; i++) {
		snprintf(text, sizeof(text), "level %u (%s)", i, tool_size(geometry->shift[i]));
		item(&mapped, text, stats->mapped[i]);
	}
	end_list(&mapped, "nothing");
	title("tables");
	printf("%" PRIu64 " (%" PRIu64 " bytes), %" PRIu64 " allocated, %" PRIu64 " freed\n",
	       stats->tables, stats->table_bytes, stats->tables_allocated, stats->tables_freed);
	title("mmio");
	printf("%" PRIu64 " entries, %" PRIu64 " installed, %" PRIu64 " cache hits, %" PRIu64
	       " stale\n",
	       stats->mmio_entries, stats->mmio_installed, stats->mmio_hits, stats->mmio_stale);
	title("fast fixes");
	printf("%" PRIu64 "\n", stats->fast_fixes);
	for (i = 0; i < REPORT_RMAP_LENGTHS; i++) {
		snprintf(text, sizeof(text), "of %s:", report_rmap_name(i));
		item(&rmaps, text, stats->rmap_lengths[i]);
	}
	end_list(&rmaps, "none");
	title("flushes");
	printf("%" PRIu64 ", %" PRIu64 " of one vCPU; %" PRIu64 " times everything dropped\n",
	       stats->flushes, stats->local_flushes, stats->zap_all);
	title("invalidations");
	printf("%" PRIu64 ", %" PRIu64 " more outside all slots\n", report->invalidations,
	       report->invalidations_outside);
	if (!report->ages && !report->ages_outside)
		return;
	title("aging");
	printf("%" PRIu64 ", %" PRIu64 " of used pages; %" PRIu64 " more outside all slots\n",
	       report->ages, report->ages_young, report->ages_outside);
}

static void print_kernel(const struct kernel *kernel)
{
	title("kernel");
	if (!kernel->profile)
		printf("not told: %s\n", kernel->why);
	else if (kernel->is_chosen)
		printf("%s, as chosen\n", kernel_name(kernel->profile));
	else
		printf("%s by its %s\n", kernel_name(kernel->profile), kernel->why);
}

void report_print(const char *path, const struct vmmu_trace *trace, const struct kernel *kernel,
		  const struct vmmu_replay_options *options,
		  const struct vmmu_replay_report *report)
{
	const struct vmmu_format_info *info = vmmu_format_info(report->format);

	print_input(path, trace, report);
	print_kernel(kernel);
	title("engine");
	printf("%s (%s), %s mode\n", info->name, info->description,
	       options->root == VMMU_ROOT_TDP ? "tdp" : "direct");
	if (options->threads) {
		title("threads");
		printf("%u: %" PRIu64 " faults beside others, %" PRIu64 " tried again\n",
		       options->threads, report->parallel_faults, report->retried);
	}
	print_layout(report);
	print_faults(report);
	print_tables(report);
	if (report->faults) {
		title("time");
		printf("%" PRIu64 " ns a fault (median), %" PRIu64
		       " ns (99th percentile), %.0f faults/s\n",
		       report->fault_ns_p50, report->fault_ns_p99,
		       report_faults_per_second(report));
	}
	title("digest");
	printf("%016" PRIx64 "%016" PRIx64 "%s\n", report->digest.high, report->digest.low,
	       report->digest_repeatable ? "" : "  RUNS DISAGREE");
	title("audit");
	printf("%" PRIu64 " checked, %" PRIu64 " violations\n", report->audit.checked,
	       report->audit.violations);
}
