/* SPDX-License-Identifier: MIT */
#include "tracing/compare_help.h"

#include <inttypes.h>
#include <zlib.h>

#include "tracing/help.h"

#define KVM_LIVE VMMU_TEST_DATA "/traces/kvm-live/"

/* Differences printed. */
#define SHOWN 6u

char *compare_text_of(const struct recorded *recorded)
{
	size_t bytes = 0, room = 1 << 16;
	char path[512], *text;
	gzFile file;
	int got;

	snprintf(path, sizeof(path), KVM_LIVE "%s/%s.tracefs.txt.gz", recorded->config,
		 recorded->name);
	file = gzopen(path, "rb");
	cr_assert(file, "%s", path);
	text = malloc(room);
	cr_assert(text);
	while ((got = gzread(file, text + bytes, (unsigned)(room - bytes - 1))) > 0) {
		bytes += (size_t)got;
		if (room - bytes > 1)
			continue;
		room *= 2;
		text = realloc(text, room);
		cr_assert(text);
	}
	gzclose(file);
	text[bytes] = '\0';
	return text;
}

struct shown {
	bool is_shown;
	unsigned count;
	uint64_t steps;
};

static void on_difference(void *ctx, const struct vmmu_compare_difference *difference)
{
	struct shown *shown = ctx;

	if (!shown->is_shown || difference->reason || shown->count++ >= SHOWN)
		return;
	printf("line %" PRIu64 ", step %" PRIu64 "\n  kernel %s\n  engine %s\n", difference->line,
	       difference->step_line, difference->kernel ? difference->kernel : "nothing",
	       difference->engine ? difference->engine : "nothing");
	fflush(stdout);
}

static void on_step(void *ctx, const struct vmmu_compare_step *step)
{
	struct shown *shown = ctx;

	shown->steps += step->tally.total > 0;
}

static struct vmmu_trace *compare_open(const struct recorded *recorded, const char *text)
{
	struct vmmu_trace_options options = {.size = sizeof(options)};
	char path[HELP_PATH_BYTES], layout[512], error[256];
	struct vmmu_trace *trace;

	snprintf(layout, sizeof(layout), KVM_LIVE "%s/%s.slots.txt", recorded->config,
		 recorded->name);
	options.layout = layout;
	help_file(path, text, strlen(text));
	cr_assert_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), 0, "%s", error);
	unlink(path);
	return trace;
}

static void compare_count(const struct vmmu_compare *compare, struct compared *compared)
{
	struct vmmu_compare_class class;
	uint64_t count;

	vmmu_compare_tally(compare, VMMU_COMPARE_EVENTS, &compared->all);
	for (unsigned i = 0; i < VMMU_COMPARE_EVENTS; i++)
		vmmu_compare_tally(compare, i, &compared->events[i]);
	for (unsigned i = 0; vmmu_compare_class_at(compare, i, &class); i++) {
		compared->classes++;
		compared->classes_agreeing += class.tally.agree == class.tally.total;
	}
	for (unsigned i = 0; vmmu_compare_reason_at(compare, i, &count); i++)
		compared->reasons += count;
}

struct compared compare_run(const struct recorded *recorded, const char *text, bool is_shown)
{
	struct shown shown = {.is_shown = is_shown};
	struct vmmu_compare_options how = {.size = sizeof(how),
					   .difference = on_difference,
					   .step = on_step,
					   .version = recorded->version,
					   .ctx = &shown};
	struct vmmu_replay_options options = {
		.size = sizeof(options), .root = recorded->root, .nx_huge = recorded->nx_huge};
	struct vmmu_trace *trace = compare_open(recorded, text);
	struct vmmu_replay_report report = {0};
	struct compared compared = {0};

	if (recorded->format)
		options.format = vmmu_format_find(recorded->format);
	cr_assert_eq(vmmu_compare_create(&how, &options.compare), 0);
	compared.result = vmmu_replay(trace, &options, &report);
	compare_count(options.compare, &compared);
	compared.digest = report.digest;
	compared.violations = report.audit.violations;
	compared.steps = shown.steps;
	vmmu_compare_destroy(options.compare);
	vmmu_trace_close(trace);
	return compared;
}

bool compare_agrees(const struct compared *compared)
{
	return !compared->result && compared->all.total &&
	       compared->all.total == compared->all.agree + compared->all.explained;
}
