/* SPDX-License-Identifier: MIT */
/*
 * Runs the workloads on each subject in turn, as often as asked, and prints one line for each
 * subject and workload: names, median, smallest, largest nanoseconds of an operation, repetitions,
 * levels of its tables; of threads and memory also names, which figure, and the figure.
 * bench/run.sh makes tables of it.
 */
#include <argp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/vm.h>

#include "arena.h"
#include "bench.h"
#include "threads.h"

#define SUBJECTS_MAX 16

static const struct bench_sizes sizes_timed = {.pages = 262144,
					       .blocks = 32768,
					       .splits = 8192,
					       .walks = 4000000,
					       .hot_pages = 16384,
					       .cold_pages = 16777216,
					       .thread_pages = 1048576,
					       .memory_pages = 33554432,
					       .reps = 9};
static const struct bench_sizes sizes_counted = {.pages = 32768,
						 .blocks = 2048,
						 .splits = 256,
						 .walks = 20000,
						 .hot_pages = 4096,
						 .cold_pages = 65536,
						 .reps = 1};

/* Of both floors together. */
#define ARENA_TIMED   ((size_t)512 << 20)
#define ARENA_COUNTED ((size_t)48 << 20)

struct bench {
	struct bench_sizes sizes;
	const struct bench_subject *subjects[SUBJECTS_MAX];
	struct bench_run runs[SUBJECTS_MAX];
	unsigned count;
	const char *group;            /* NULL: all */
	uint32_t *order, *hot, *cold; /* see struct bench_run */
	const char *trace, *layout;
	bool is_counted, has_floors;
};

enum {
	KEY_REPS = 0x100,
	KEY_COUNTED,
	KEY_FORMAT,
	KEY_GROUP,
	KEY_TRACE,
	KEY_LAYOUT,
	KEY_ALONE
};

static const struct argp_option options[] = {
	{"reps", KEY_REPS, "N", 0, "Repetitions, 1 to 63; default 9", 0},
	{"format", KEY_FORMAT, "NAME", 0, "Format of the library's tables; may be given again", 0},
	{"group", KEY_GROUP, "NAME", 0,
	 "Only pages, random, ranges, detach, blocks, hot, cold, faults, tdp, share, threads or "
	 "memory",
	 0},
	{"no-floors", KEY_ALONE, NULL, 0, "The library alone", 0},
	{"trace", KEY_TRACE, "FILE", 0, "What to replay", 0},
	{"layout", KEY_LAYOUT, "FILE", 0, "Its memory slots", 0},
	{"counted", KEY_COUNTED, NULL, 0, "Small sizes, once, each dumped by callgrind", 0},
	{0}};

static void add_subject(struct bench *bench, const struct bench_subject *subject,
			const struct vmmu_format *format, struct argp_state *state)
{
	if (bench->count == SUBJECTS_MAX)
		argp_error(state, "too many subjects");
	bench->subjects[bench->count] = subject;
	bench->runs[bench->count++] = (struct bench_run){
		.subject = format ? vmmu_format_info(format)->name : subject->name,
		.format = format};
}

/* Workloads speak of pages of 4K. */
static const struct vmmu_format *find_format(const char *name, struct argp_state *state)
{
	const struct vmmu_format *format = vmmu_format_find(name);

	if (!format || vmmu_format_info(format)->geometry->page_shift != 12)
		argp_error(state, "no format '%s' with pages of 4K", name);
	return format;
}

static void set_reps(struct bench *bench, const char *text, struct argp_state *state)
{
	char *end;
	unsigned long reps = strtoul(text, &end, 10);

	if (*end || reps < 1 || reps > BENCH_REPS_MAX)
		argp_error(state, "repetitions: %s", text);
	bench->sizes.reps = (unsigned)reps;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bench *bench = state->input;

	switch (key) {
	case KEY_REPS:
		set_reps(bench, arg, state);
		return 0;
	case KEY_FORMAT:
		add_subject(bench, &bench_vmmu, find_format(arg, state), state);
		return 0;
	case KEY_GROUP:
		bench->group = arg;
		return 0;
	case KEY_ALONE:
		bench->has_floors = false;
		return 0;
	case KEY_TRACE:
		bench->trace = arg;
		return 0;
	case KEY_LAYOUT:
		bench->layout = arg;
		return 0;
	case KEY_COUNTED:
		bench->is_counted = true;
		bench->sizes = sizes_counted;
		return 0;
	case ARGP_KEY_END:
		if (!bench->count)
			add_subject(bench, &bench_vmmu, find_format("ept4", state), state);
		if (bench->has_floors) {
			add_subject(bench, &bench_floor, NULL, state);
			add_subject(bench, &bench_floor_cas, NULL, state);
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The same numbers on every machine. */
static uint64_t next_random(void)
{
	static uint64_t state = UINT64_C(88172645463325252);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t *new_numbers(uint64_t count)
{
	uint32_t *numbers = malloc(count * sizeof(*numbers));

	if (!numbers)
		exit(1);
	return numbers;
}

static uint32_t *random_order(uint64_t count)
{
	uint32_t *order = new_numbers(count);

	for (uint64_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (uint64_t i = count - 1; i; i--) {
		uint64_t j = next_random() % (i + 1);
		uint32_t other = order[i];

		order[i] = order[j];
		order[j] = other;
	}
	return order;
}

static uint32_t *random_pages(uint64_t count, uint64_t limit)
{
	uint32_t *pages = new_numbers(count);

	for (uint64_t i = 0; i < count; i++)
		pages[i] = (uint32_t)(next_random() % limit);
	return pages;
}

static void prepare(struct bench *bench)
{
	const struct bench_sizes *sizes = &bench->sizes;

	bench->order = random_order(sizes->pages);
	bench->hot = random_pages(sizes->walks, sizes->hot_pages);
	bench->cold = random_pages(sizes->walks, sizes->cold_pages);
	if (bench->has_floors)
		arena_init(bench->is_counted ? ARENA_COUNTED : ARENA_TIMED);
	for (unsigned i = 0; i < bench->count; i++) {
		struct bench_run *run = &bench->runs[i];

		run->sizes = sizes;
		run->order = bench->order;
		run->hot = bench->hot;
		run->cold = bench->cold;
		run->trace = bench->trace;
		run->layout = bench->layout;
		run->is_counted = bench->is_counted;
	}
}

/* One group on every subject, one right after the other: what disturbs one disturbs all. */
#define run_group(bench, wanted, member, ...)                                             \
	do {                                                                              \
		if ((bench)->group && strcmp((bench)->group, wanted))                     \
			break;                                                            \
		for (unsigned run_ = 0; run_ < (bench)->count; run_++)                    \
			if ((bench)->subjects[run_]->member)                              \
				(bench)->subjects[run_]->member(                          \
					&(bench)->runs[run_] __VA_OPT__(, ) __VA_ARGS__); \
	} while (0)

/* What several threads do, and what memory it takes, cannot be counted in instructions. */
static void run_timed(struct bench *bench, unsigned rep)
{
	for (unsigned lg2 = 0; lg2 < BENCH_THREADS_LG2; lg2++)
		run_group(bench, "threads", threads, lg2);
	/* The same each time. */
	if (!rep)
		run_group(bench, "memory", memory);
}

static void run_all(struct bench *bench)
{
	for (unsigned rep = 0; rep < bench->sizes.reps; rep++) {
		run_group(bench, "pages", map_pages);
		run_group(bench, "random", map_random);
		run_group(bench, "ranges", ranges);
		run_group(bench, "detach", detach);
		run_group(bench, "blocks", blocks);
		run_group(bench, "hot", hot);
		run_group(bench, "cold", cold);
		run_group(bench, "faults", faults);
		run_group(bench, "tdp", tdp);
		run_group(bench, "share", share);
		if (!bench->is_counted)
			run_timed(bench, rep);
	}
	run_group(bench, "cold", cold_end);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

/*
 * How many times as fast 2, 4, 8 threads are as one: medians of the repetitions' gains. And the
 * same relative to the gain of FLOOR, which ran in between.
 */
static void report_gains(const struct bench_run *run, const struct bench_run *floor,
			 enum workload one)
{
	for (unsigned w = one + 1; w < one + BENCH_THREADS_LG2; w++) {
		double gain[BENCH_REPS_MAX], relative[BENCH_REPS_MAX];
		unsigned count = run->count[w];

		for (unsigned i = 0; i < count; i++) {
			gain[i] = run->ns[one][i] / run->ns[w][i];
			if (floor)
				relative[i] = gain[i] / (floor->ns[one][i] / floor->ns[w][i]);
		}
		if (!count)
			continue;
		printf("%s\t%s\tgain\t%.4f\n", run->subject, bench_name(w), median(gain, count));
		if (floor)
			printf("%s\t%s\tgain_c\t%.4f\n", run->subject, bench_name(w),
			       median(relative, count));
	}
}

static void report_threads(const struct bench *bench)
{
	const struct bench_run *floor = NULL;

	for (unsigned i = 0; i < bench->count; i++)
		if (bench->subjects[i] == &bench_floor_cas)
			floor = &bench->runs[i];
	for (unsigned i = 0; i < bench->count; i++) {
		report_gains(&bench->runs[i], floor, DISJOINT_1);
		report_gains(&bench->runs[i], floor, SHARED_1);
	}
}

/* Sorts what it reports. */
static void report(struct bench_run *run)
{
	/* A floor has four. */
	unsigned levels = run->format ? vmmu_format_info(run->format)->geometry->levels : 4;

	for (unsigned w = 0; w < WORKLOADS; w++) {
		double *ns = run->ns[w];
		unsigned count = run->count[w];

		if (!count)
			continue;
		printf("%s\t%s\t%.4f", run->subject, bench_name(w), median(ns, count));
		printf("\t%.4f\t%.4f\t%u\t%u\n", ns[0], ns[count - 1], count, levels);
	}
}

int main(int argc, char **argv)
{
	static struct bench bench = {.has_floors = true};
	struct argp argp = {.options = options, .parser = parse};
	cpu_set_t first;

	bench.sizes = sizes_timed;
	argp_parse(&argp, argc, argv, 0, NULL, &bench);
	threads_init();
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	/* Not moving about is better, and no more than that. */
	(void)sched_setaffinity(0, sizeof(first), &first);
	vmmu_thread_register();
	prepare(&bench);
	run_all(&bench);
	report_threads(&bench);
	for (unsigned i = 0; i < bench.count; i++)
		report(&bench.runs[i]);
	vmmu_thread_unregister();
}
