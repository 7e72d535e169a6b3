// SPDX-License-Identifier: MIT
/*
 * vmmu-oracle: tables of the library, walked by emulators. See --help, docs/fidelity.md and
 * tests/oracle/oracle.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/report.h"
#include "oracle/traces.h"

#define SCENE_PROBES 600 /* that a scene makes at most, about */

static const char usage[] =
	"Usage: vmmu-oracle --format NAME [OPTION...]\n"
	"Put tables that the library built, and corrupted ones, before an emulator's MMU.\n\n"
	"  --random N       N random probes (default 2000)\n"
	"  --seed S         the same probes for the same S (default 1)\n"
	"  --traces DIR     in place of random probes: every access of the recordings there\n"
	"  --programs DIR   where the bare-metal programs are (default: beside this program)\n"
	"  --json           the result as JSON\n"
	"  --markdown       the result as a section of docs/fidelity.md\n"
	"  --recordings     the result of --traces as one line of that section\n"
	"  --plant MISTAKE  flush: the emulator is told of no flush; entry: one word in 200 that "
	"it\n"
	"                   gets is another\n"
	"  --keep           keep the directory of the run\n\n"
	"Exit status: 0 all agree, or a known defect explains it; 1 not; 2 usage; 3 the emulator\n"
	"did not do its job; 77 no emulator, or none for the format.\n";

static const struct option options[] = {
	{"random", required_argument, NULL, 'r'},   {"seed", required_argument, NULL, 's'},
	{"format", required_argument, NULL, 'f'},   {"traces", required_argument, NULL, 't'},
	{"programs", required_argument, NULL, 'p'}, {"json", no_argument, NULL, 'j'},
	{"markdown", no_argument, NULL, 'm'},       {"plant", required_argument, NULL, 'P'},
	{"keep", no_argument, NULL, 'k'},           {"recordings", no_argument, NULL, 'R'},
	{"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

struct asked {
	struct report_asked report;
	const char *traces, *programs;
	bool keep, drops_flushes;
	unsigned skews;
};

static bool number_of(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool plant_of(const char *text, struct asked *asked)
{
	asked->drops_flushes = !strcmp(text, "flush");
	asked->skews = strcmp(text, "entry") ? 0 : 200;
	return asked->drops_flushes || asked->skews;
}

/* False: not understood. */
static bool option_set(int option, const char *text, struct asked *asked)
{
	switch (option) {
	case 'r':
		return number_of(text, &asked->report.probes) && asked->report.probes;
	case 's':
		return number_of(text, &asked->report.seed);
	case 'f':
		asked->report.format = vmmu_format_find(text);
		return asked->report.format;
	case 't':
		asked->traces = text;
		return true;
	case 'p':
		asked->programs = text;
		return true;
	case 'j':
		asked->report.form = REPORT_JSON;
		return true;
	case 'm':
		asked->report.form = REPORT_MARKDOWN;
		return true;
	case 'R':
		asked->report.form = REPORT_LINE;
		return true;
	case 'P':
		return plant_of(text, asked);
	case 'k':
		asked->keep = true;
		return true;
	default:
		return false;
	}
}

static bool asked_parse(int argc, char **argv, struct asked *asked)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			exit(ORACLE_OK);
		}
		if (!option_set(option, optarg, asked)) {
			if (option != '?')
				fprintf(stderr, "oracle: what is %s?\n", optarg);
			return false;
		}
	}
	return optind == argc && asked->report.format;
}

const struct oracle_emulator *oracle_emulator_for(const struct vmmu_format_info *info)
{
	static const struct {
		const char *architecture;
		const struct oracle_emulator *emulator;
	} table[] = {
		{"riscv64", &oracle_qemu_riscv},
		{"arm64", &oracle_qemu_arm64},
		{"x86-npt", &oracle_qemu_npt},
		{"x86-ept", &oracle_bochs_ept},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(table[i].architecture, info->architecture))
			return table[i].emulator;
	}
	return NULL;
}

/* As many scenes as one run of the emulator has room for. 0 or -errno. */
static int fill(struct jobs *jobs, const struct asked *asked, struct report *report)
{
	uint64_t left, seed;
	int err = 0;

	while (!err && jobs_has_room(jobs) && report->tally.probes < asked->report.probes) {
		left = asked->report.probes - report->tally.probes;
		seed = asked->report.seed * UINT64_C(0x2545f4914f6cdd1d) + report->tally.scenes;
		err = scene_random(jobs, asked->report.format, seed,
				   left < SCENE_PROBES ? left : SCENE_PROBES, &report->tally);
	}
	return err;
}

static int one_run(const struct asked *asked, struct report *report)
{
	const struct vmmu_format_info *info = vmmu_format_info(asked->report.format);
	struct run_results results = {0};
	struct jobs jobs;
	int err = jobs_init(&jobs, report->emulator);

	if (err)
		return err;
	jobs.drops_flushes = asked->drops_flushes;
	jobs.skews = asked->skews;
	if (report->emulator->job_mode)
		jobs.mode = report->emulator->job_mode(info);
	err = asked->traces
		      ? traces_fill(&jobs, asked->report.format, asked->traces, &report->tally)
		      : fill(&jobs, asked, report);
	if (!err && jobs.has_failed)
		err = -ENOMEM;
	if (!err)
		err = run_jobs(&jobs, asked->programs, asked->keep, &results);
	if (!err)
		compare_results(&report->compare, &jobs, &results);
	report->seconds += results.seconds;
	report->runs++;
	free(results.result);
	jobs_clear(&jobs);
	return err;
}

static int judge(const struct asked *asked, struct report *report)
{
	int err;

	do {
		err = one_run(asked, report);
	} while (!err && !asked->traces && report->tally.probes < asked->report.probes);
	if (err) {
		fprintf(stderr, "oracle: %s: %s\n", report->emulator->name, strerror(-err));
		return ORACLE_FAILED;
	}
	return report_verdict(report);
}

static int skip(const struct asked *asked, const char *why)
{
	const char *format = vmmu_format_info(asked->report.format)->name;

	if (asked->report.form == REPORT_JSON)
		printf("{\"format\":\"%s\",\"not_judged\":\"%s\"}\n", format, why);
	else if (asked->report.form == REPORT_MARKDOWN)
		printf("## %s: not judged\n\n%s.\n\n", format, why);
	else if (asked->report.form == REPORT_TEXT)
		printf("oracle: %s is not judged: %s\n", format, why);
	return ORACLE_SKIPPED;
}

/* The directory of the running program. */
static const char *beside(const char *program)
{
	static char directory[4096];
	char *path = realpath("/proc/self/exe", NULL), *slash;

	snprintf(directory, sizeof(directory), "%s", path ? path : program);
	free(path);
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	return directory;
}

int main(int argc, char **argv)
{
	struct asked asked = {.report = {.probes = 2000, .seed = 1}};
	static struct report report;
	const struct vmmu_format_info *info;
	const char *why;
	char lacks[256];
	int verdict;

	asked.programs = beside(argv[0]);
	if (!asked_parse(argc, argv, &asked)) {
		fputs(usage, stderr);
		return ORACLE_USAGE;
	}
	info = vmmu_format_info(asked.report.format);
	report.asked = asked.report;
	report.emulator = oracle_emulator_for(info);
	if (!report.emulator)
		return skip(&asked, "no emulator for its architecture");
	why = report.emulator->refuses ? report.emulator->refuses(info) : NULL;
	if (why)
		return skip(&asked, why);
	why = run_lacks(report.emulator, asked.programs);
	if (why) {
		snprintf(lacks, sizeof(lacks), "there is no %s", why);
		return skip(&asked, lacks);
	}
	verdict = judge(&asked, &report);
	if (verdict != ORACLE_FAILED)
		report_print(&report, verdict);
	return verdict;
}
