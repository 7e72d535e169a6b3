/* SPDX-License-Identifier: MIT */
/* Explore scenarios: see usage(). Exit 0: all is well; 1: a schedule is bad; 2: misuse. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/sanitize.h"
#include "interleave/memory.h"
#include "interleave/print.h"
#include "interleave/scenario.h"

struct settings {
	const char *scenario, *format, *root, *replay;
	struct search_limits limits;
	bool is_short, is_planted;
	bool has_preemptions;
};

/* Steps of all runs of a task in the short form: of the first format, and of the others. */
#define SHORT_STEPS_FIRST (BASE_HAS_ASAN ? UINT64_C(200000) : UINT64_C(1500000))
#define SHORT_STEPS_OTHER (BASE_HAS_ASAN ? UINT64_C(50000) : UINT64_C(300000))

/* Preemptions in schedules of three threads. */
#define TRIPLE_PREEMPTIONS(settings) ((settings)->is_short ? 1 : 3)

/* Of a task that looks for a planted bug. */
#define PLANTED_STEPS UINT64_C(1000000)

/* What goes by one line of results. */
struct task {
	const struct scenario *scenario;
	struct stage_kind kind;
	struct search_limits limits;
};

/* The sum of all tasks. */
struct total {
	uint64_t runs, pruned, left, steps;
	unsigned bad;
};

static const char *const format_names[] = {"ept4", "arm-s2-4k", "sv48x4", "npt4", "arm-s2-4k-cont"};

static void usage(FILE *file)
{
	fputs("usage: interleave [OPTION...]\n"
	      "  --scenario NAME    only this one (--list: which there are)\n"
	      "  --format NAME      only ept4, arm-s2-4k, sv48x4, npt4 or, for groups, "
	      "arm-s2-4k-cont\n"
	      "  --root NAME        only direct or tdp\n"
	      "  --preemptions N    schedules with at most N preemptions; -1: all orders\n"
	      "  --runs N           at most N schedules each\n"
	      "  --short            what fits a test run\n"
	      "  --planted          plant each bug, and find it\n"
	      "  --plant NAME       with --replay or --scenario: this bug is planted\n"
	      "  --replay SCHEDULE  run this one, and print it step by step\n",
	      file);
}

static const char *root_name(const struct stage_kind *kind)
{
	return kind->root == VMMU_ROOT_TDP ? "tdp" : "direct";
}

static const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_FINE] = "fine",         [VERDICT_DEADLOCK] = "deadlock",
		[VERDICT_LIVELOCK] = "livelock", [VERDICT_FREED] = "use after free",
		[VERDICT_CHECK] = "wrong",
	};

	return names[verdict];
}

/* Run RESULT's schedule again and print it. */
static void print_schedule(const struct task *task, const struct search_result *result)
{
	struct program program = scenario_program(task->scenario, &task->kind);
	struct search_result again;

	printf("%s: %s\n", verdict_name(result->verdict), result->blamed);
	schedule_trace_to(print_event);
	search_replay(&program, result->schedule, &again);
	schedule_trace_to(NULL);
	printf("again by: --scenario %s --format %s --root %s --replay '%s'\n",
	       task->scenario->name, vmmu_format_info(task->kind.format)->name,
	       root_name(&task->kind), result->schedule);
}

static void task_run(const struct task *task, struct total *total)
{
	struct program program = scenario_program(task->scenario, &task->kind);
	static struct search_result result;

	search_run(&program, &task->limits, &result);
	printf("%-18s %-10s %-7s %-11s %8llu run, %8llu pruned, %6llu left, %3llu steps each\n",
	       task->scenario->name, vmmu_format_info(task->kind.format)->name,
	       root_name(&task->kind), task->limits.preemptions < 0 ? "all orders" : "bounded",
	       (unsigned long long)result.runs, (unsigned long long)result.pruned,
	       (unsigned long long)result.left,
	       (unsigned long long)(result.steps / (result.runs + result.pruned + 1)));
	fflush(stdout);
	total->runs += result.runs;
	total->pruned += result.pruned;
	total->left += result.left;
	total->steps += result.steps;
	if (result.verdict == VERDICT_FINE)
		return;
	total->bad++;
	print_schedule(task, &result);
}

static bool task_is_wanted(const struct settings *settings, const struct task *task)
{
	const char *format = vmmu_format_info(task->kind.format)->name;
	bool has_groups = vmmu_format_info(task->kind.format)->geometry->group_lg2[1];

	if (has_groups != task->scenario->has_groups ||
	    (task->scenario->is_tdp && task->kind.root != VMMU_ROOT_TDP))
		return false;
	if (task->scenario->dirty_source == VMMU_DIRTY_BY_BITS &&
	    !(vmmu_format_info(task->kind.format)->caps & VMMU_CAP_HW_DIRTY))
		return false;
	return (!settings->scenario || !strcmp(settings->scenario, task->scenario->name)) &&
	       (!settings->format || !strcmp(settings->format, format)) &&
	       (!settings->root || !strcmp(settings->root, root_name(&task->kind)));
}

/* Of three threads all schedules with few preemptions, of two all orders. */
static void task_limit(const struct settings *settings, struct task *task)
{
	task->limits = settings->limits;
	if (!settings->has_preemptions)
		task->limits.preemptions = task->scenario->threads > 2
						   ? TRIPLE_PREEMPTIONS(settings)
						   : -1;
	if (settings->is_short)
		task->limits.steps = task->kind.format == vmmu_format_find(format_names[0])
					     ? SHORT_STEPS_FIRST
					     : SHORT_STEPS_OTHER;
}

static void explore(const struct settings *settings, struct total *total)
{
	for (unsigned f = 0; f < ARRAY_COUNT(format_names); f++) {
		const struct scenario *scenario;

		for (unsigned s = 0; (scenario = scenario_at(s)) != NULL; s++) {
			for (unsigned root = 0; root < 2; root++) {
				struct task task = {.scenario = scenario};

				task.kind.format = vmmu_format_find(format_names[f]);
				task.kind.root = root ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT;
				task_limit(settings, &task);
				if (task_is_wanted(settings, &task))
					task_run(&task, total);
			}
		}
	}
}

static int replay(const struct settings *settings)
{
	struct search_result result;
	struct program program;
	struct task task = {
		.scenario = scenario_find(settings->scenario ? settings->scenario : ""),
		.kind = {.format = vmmu_format_find(settings->format ? settings->format : "ept4"),
			 .root = settings->root && !strcmp(settings->root, "tdp")
					 ? VMMU_ROOT_TDP
					 : VMMU_ROOT_DIRECT}};

	if (!task.scenario || !task.kind.format) {
		usage(stderr);
		return 2;
	}
	program = scenario_program(task.scenario, &task.kind);
	schedule_trace_to(print_event);
	if (!search_replay(&program, settings->replay, &result)) {
		fprintf(stderr, "interleave: no schedule: %s\n", settings->replay);
		return 2;
	}
	printf("%s%s%s\n", verdict_name(result.verdict), result.blamed[0] ? ": " : "",
	       result.blamed);
	return result.verdict != VERDICT_FINE;
}

/* Where each planted bug shows. */
static const struct {
	const char *scenario;
	enum plant plant;
	enum vmmu_root_mode root;
} planted_bugs[] = {
	{"fault-move", PLANT_NO_RECHECK, VMMU_ROOT_DIRECT},
	{"fault-move", PLANT_NO_RECHECK, VMMU_ROOT_TDP},
	{"fault-fault", PLANT_STORE, VMMU_ROOT_TDP},
	{"fix-move", PLANT_STORE, VMMU_ROOT_DIRECT},
	{"grow-fault", PLANT_NO_FREEZE, VMMU_ROOT_TDP},
	{"walk-zap", PLANT_NO_GRACE, VMMU_ROOT_DIRECT},
	{"walk-zap", PLANT_NO_GRACE, VMMU_ROOT_TDP},
	{"fault-zap", PLANT_NO_CLAIM, VMMU_ROOT_TDP},
};

/* Is TASK fine as it is, and bad with the bug, by a schedule that shows it again? */
static bool planted_is_found(struct task *task, enum plant bug)
{
	static struct search_result fine, bad, again;
	struct program program = scenario_program(task->scenario, &task->kind);
	unsigned long long tried;

	search_run(&program, &task->limits, &fine);
	plant_now = bug;
	search_run(&program, &task->limits, &bad);
	tried = bad.runs + bad.pruned;
	printf("planted: %s: %s %s: found after %llu schedules\n", plant_name(bug),
	       task->scenario->name, root_name(&task->kind), tried);
	if (bad.verdict != VERDICT_FINE) {
		print_schedule(task, &bad);
		search_replay(&program, bad.schedule, &again);
	}
	plant_now = PLANT_NOTHING;
	return fine.verdict == VERDICT_FINE && bad.verdict != VERDICT_FINE &&
	       again.verdict == bad.verdict && !strcmp(again.blamed, bad.blamed);
}

static int planted(void)
{
	unsigned missed = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(planted_bugs); i++) {
		struct task task = {.scenario = scenario_find(planted_bugs[i].scenario),
				    .kind = {.format = vmmu_format_find(format_names[0]),
					     .root = planted_bugs[i].root},
				    .limits = {.steps = PLANTED_STEPS, .preemptions = -1}};

		if (planted_is_found(&task, planted_bugs[i].plant))
			continue;
		missed++;
		printf("planted: %s: NOT FOUND\n", plant_name(planted_bugs[i].plant));
	}
	printf("%zu bugs planted, %u missed\n", ARRAY_COUNT(planted_bugs), missed);
	return missed != 0;
}

static bool plant(const char *name)
{
	for (int i = 0; i < PLANTS; i++) {
		if (strcmp(name, plant_name((enum plant)i)))
			continue;
		plant_now = (enum plant)i;
		return true;
	}
	return false;
}

static const struct option options[] = {
	{"scenario", required_argument, NULL, 's'}, {"format", required_argument, NULL, 'f'},
	{"root", required_argument, NULL, 'r'},     {"preemptions", required_argument, NULL, 'p'},
	{"runs", required_argument, NULL, 'n'},     {"short", no_argument, NULL, 'q'},
	{"planted", no_argument, NULL, 'P'},        {"plant", required_argument, NULL, 'b'},
	{"replay", required_argument, NULL, 'R'},   {"list", no_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

static void list(void)
{
	const struct scenario *scenario;

	for (unsigned i = 0; (scenario = scenario_at(i)) != NULL; i++)
		printf("%-18s %s\n", scenario->name, scenario->what);
}

/* -1: go on; else the program's exit. */
static int take_option(int option, struct settings *settings)
{
	switch (option) {
	case 's':
		settings->scenario = optarg;
		return scenario_find(optarg) ? -1 : 2;
	case 'f':
		settings->format = optarg;
		return vmmu_format_find(optarg) ? -1 : 2;
	case 'r':
		settings->root = optarg;
		return !strcmp(optarg, "tdp") || !strcmp(optarg, "direct") ? -1 : 2;
	case 'p':
		settings->has_preemptions = true;
		settings->limits.preemptions = (int)strtol(optarg, NULL, 10);
		return -1;
	case 'n':
		settings->limits.runs = strtoull(optarg, NULL, 10);
		return -1;
	case 'q':
		settings->is_short = true;
		return -1;
	case 'P':
		settings->is_planted = true;
		return -1;
	case 'b':
		return plant(optarg) ? -1 : 2;
	case 'R':
		settings->replay = optarg;
		return -1;
	case 'l':
		list();
		return 0;
	case 'h':
		usage(stdout);
		return 0;
	default:
		return 2;
	}
}

int main(int argc, char **argv)
{
	struct settings settings = {.limits = {.preemptions = -1}};
	struct total total = {0};
	int option, end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		end = take_option(option, &settings);
		if (end == 2)
			usage(stderr);
		if (end >= 0)
			return end;
	}
	memory_start();
	if (settings.replay)
		return replay(&settings);
	if (settings.is_planted)
		return planted();
	explore(&settings, &total);
	printf("%llu schedules run, %llu pruned, %llu left; %llu steps; %u bad\n",
	       (unsigned long long)total.runs, (unsigned long long)total.pruned,
	       (unsigned long long)total.left, (unsigned long long)total.steps, total.bad);
	return total.bad != 0;
}
