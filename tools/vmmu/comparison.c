/* SPDX-License-Identifier: MIT */
#include "comparison.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

/* Lines of the trace shown before a difference. */
#define LINES_BEFORE 4u
#define LINE_TEXT    160

static void on_difference(void *ctx, const struct vmmu_compare_difference *difference)
{
	struct comparison *comparison = ctx;
	struct comparison_difference *shown;

	if (difference->reason || comparison->unexplained++ >= COMPARISON_SHOWN)
		return;
	shown = &comparison->shown[comparison->unexplained - 1];
	shown->line = difference->line;
	shown->step_line = difference->step_line;
	snprintf(shown->kernel, COMPARISON_TEXT, "%s",
		 difference->kernel ? difference->kernel : "");
	snprintf(shown->engine, COMPARISON_TEXT, "%s",
		 difference->engine ? difference->engine : "");
}

static void on_step(void *ctx, const struct vmmu_compare_step *step)
{
	struct comparison *comparison = ctx;

	comparison->steps.total++;
	if (step->tally.total == step->tally.agree)
		comparison->steps.agree++;
	else if (step->tally.total == step->tally.agree + step->tally.explained)
		comparison->steps.explained++;
}

int comparison_begin(struct comparison *comparison, const struct kernel *kernel)
{
	struct vmmu_compare_options options = {.size = sizeof(options),
					       .difference = on_difference,
					       .step = on_step,
					       .ctx = comparison};

	*comparison = (struct comparison){0};
	/* The trace says its architecture when it is read; a version is told for it by name. */
	options.version = kernel->version;
	if (vmmu_compare_create(&options, &comparison->compare))
		return tool_fail(TOOL_INTERNAL, "out of memory");
	return TOOL_OK;
}

void comparison_end(struct comparison *comparison)
{
	vmmu_compare_destroy(comparison->compare);
	comparison->compare = NULL;
}

int comparison_verdict(const struct comparison *comparison)
{
	struct vmmu_compare_tally all;

	vmmu_compare_tally(comparison->compare, VMMU_COMPARE_EVENTS, &all);
	if (!all.total)
		return tool_fail(TOOL_VIOLATION, "the trace has nothing to compare with");
	if (all.total == all.agree + all.explained)
		return TOOL_OK;
	return tool_fail(TOOL_VIOLATION, "%" PRIu64 " of %" PRIu64 " events differ",
			 all.total - all.agree - all.explained, all.total);
}

static void print_tally(const struct vmmu_compare_tally *tally)
{
	printf(" %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n", tally->total, tally->agree,
	       tally->explained, tally->total - tally->agree - tally->explained);
}

static void print_classes(const struct vmmu_compare *compare)
{
	struct vmmu_compare_class class;
	char name[80];

	for (unsigned i = 0; vmmu_compare_class_at(compare, i, &class); i++) {
		snprintf(name, sizeof(name), "%s level %u, %s -> %s",
			 vmmu_compare_event_name(class.event), class.level,
			 vmmu_compare_entry_name(class.old_entry),
			 vmmu_compare_entry_name(class.new_entry));
		printf("  %-58s", name);
		print_tally(&class.tally);
	}
}

static void print_events(const struct vmmu_compare *compare)
{
	struct vmmu_compare_tally tally;
	const char *name;

	for (unsigned i = 0; i <= VMMU_COMPARE_EVENTS; i++) {
		name = vmmu_compare_event_name(i);
		vmmu_compare_tally(compare, i, &tally);
		if (!tally.total)
			continue;
		printf("  %-58s", name ? name : "all");
		print_tally(&tally);
	}
}

/* The last lines of the trace that were read. */
struct lines {
	uint64_t number[LINES_BEFORE];
	char text[LINES_BEFORE][LINE_TEXT];
	unsigned count;
};

static void print_lines(const struct lines *lines, uint64_t last)
{
	for (unsigned i = lines->count > LINES_BEFORE ? lines->count - LINES_BEFORE : 0;
	     i < lines->count; i++)
		if (lines->number[i % LINES_BEFORE] <= last)
			printf("    %8" PRIu64 "  %s\n", lines->number[i % LINES_BEFORE],
			       lines->text[i % LINES_BEFORE]);
}

static void print_difference(const struct comparison_difference *difference,
			     const struct lines *lines)
{
	printf("  line %" PRIu64 ", in the step of line %" PRIu64 ":\n", difference->line,
	       difference->step_line);
	print_lines(lines, difference->line);
	printf("    kernel    %s\n    engine    %s\n",
	       *difference->kernel ? difference->kernel : "nothing",
	       *difference->engine ? difference->engine : "nothing");
}

static void print_differences(const struct comparison *comparison, struct vmmu_trace *trace)
{
	uint64_t left = comparison->unexplained < COMPARISON_SHOWN ? comparison->unexplained
								   : COMPARISON_SHOWN;
	const struct comparison_difference *next = comparison->shown;
	struct lines lines = {.count = 0};
	struct vmmu_trace_event event;

	if (vmmu_trace_rewind(trace))
		return;
	while (left && vmmu_trace_next(trace, &event) == 1) {
		unsigned index;

		/* Lines of calls that a layout file tells are not the trace's. */
		if (event.kind == VMMU_TRACE_SLOT && !event.pid)
			continue;
		index = lines.count++ % LINES_BEFORE;
		lines.number[index] = event.line;
		snprintf(lines.text[index], LINE_TEXT, "%s: %s", event.name, event.text);
		for (; left && next->line <= event.line; left--)
			print_difference(next++, &lines);
	}
}

void comparison_print(const struct comparison *comparison, struct vmmu_trace *trace)
{
	const struct vmmu_compare *compare = comparison->compare;
	const struct vmmu_profile *profile = vmmu_compare_profile(compare);
	const char *name;
	uint64_t count;

	printf("\ncompared with %-47s %9s %9s %9s %9s\n", kernel_name(profile), "total", "agree",
	       "explained", "differ");
	print_events(compare);
	printf("by class\n");
	print_classes(compare);
	printf("%-60s", "steps");
	print_tally(&comparison->steps);
	for (unsigned i = 0; (name = vmmu_compare_reason_at(compare, i, &count)); i++)
		if (count)
			printf("explained: %s %" PRIu64 "\n", name, count);
	if (vmmu_compare_teardown(compare))
		printf("of the VM's end, not compared: %" PRIu64 "\n",
		       vmmu_compare_teardown(compare));
	if (comparison->unexplained)
		printf("differences, the first of %" PRIu64 "\n", comparison->unexplained);
	print_differences(comparison, trace);
}
