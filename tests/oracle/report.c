// SPDX-License-Identifier: MIT
#include "oracle/report.h"

#include <stdio.h>

int report_verdict(const struct report *report)
{
	if (report->compare.unexplained || report->tally.engine_differs || !report->tally.probes)
		return ORACLE_DIFFERS;
	return compare_excess(&report->compare, report->emulator, report->tally.probes)
		       ? ORACLE_DIFFERS
		       : ORACLE_OK;
}

/* A number of the report, and what it is called. */
struct number {
	const char *key, *text;
	uint64_t value;
};

#define NUMBERS 13

static void report_numbers(const struct report *report, struct number numbers[NUMBERS])
{
	const struct scene_tally *tally = &report->tally;
	const struct compare *compare = &report->compare;
	uint64_t explained = 0;
	unsigned i;

	for (i = 0; i < COMPARE_DEFECTS_MAX; i++)
		explained += compare->explained[i];
	numbers[0] = (struct number){"probes", "probes", tally->probes};
	numbers[1] = (struct number){"meant", "of the engine's tables", tally->meant};
	numbers[2] = (struct number){"corrupt", "of corrupted tables", tally->corrupt};
	numbers[3] = (struct number){"stale", "between a change and its flush", tally->stale};
	numbers[4] = (struct number){"stale_shown", "of these saw the old entry",
				     compare->stale_shown};
	numbers[5] = (struct number){"passed", "went through", tally->passed};
	numbers[6] = (struct number){"refused", "faulted", tally->refused};
	numbers[7] = (struct number){"entries_read", "entries read back", tally->reads};
	numbers[8] = (struct number){"compared", "compared with what was asked of the engine",
				     tally->compared};
	numbers[9] = (struct number){"engine_differs", "engine and model differ",
				     tally->engine_differs};
	numbers[10] = (struct number){"agreed", "results of the emulator that agree with the model",
				      compare->agreed};
	numbers[11] = (struct number){"explained", "differ by a known defect", explained};
	numbers[12] = (struct number){"unexplained", "differ, unexplained", compare->unexplained};
}

static void report_text(const struct report *report, int verdict)
{
	struct number numbers[NUMBERS];
	const struct oracle_emulator *emulator = report->emulator;
	unsigned i;

	report_numbers(report, numbers);
	printf("%s, judged by %s, seed %llu: %s\n", vmmu_format_info(report->asked.format)->name,
	       emulator->name, (unsigned long long)report->asked.seed,
	       verdict == ORACLE_OK ? "agree" : "DISAGREE");
	for (i = 0; i < NUMBERS; i++)
		printf("%9llu %s\n", (unsigned long long)numbers[i].value, numbers[i].text);
	for (i = 0; emulator->defects[i].name; i++)
		printf("%9llu known defect: %s\n", (unsigned long long)report->compare.explained[i],
		       emulator->defects[i].name);
	for (i = 0; i < REASONS_MAX && report->tally.left_out[i].why; i++)
		printf("%9llu probes not made: %s\n",
		       (unsigned long long)report->tally.left_out[i].count,
		       report->tally.left_out[i].why);
	for (i = 0; emulator->gaps[i]; i++)
		printf("      gap %s\n", emulator->gaps[i]);
	printf("%9.1f s in %u runs of the emulator\n", report->seconds, report->runs);
}

/* The texts are our own: nothing in them needs escaping. */
static void report_json(const struct report *report, int verdict)
{
	struct number numbers[NUMBERS];
	const struct oracle_emulator *emulator = report->emulator;
	unsigned i;

	report_numbers(report, numbers);
	printf("{\"format\":\"%s\",\"emulator\":\"%s\",\"seed\":%llu,\"agree\":%s",
	       vmmu_format_info(report->asked.format)->name, emulator->name,
	       (unsigned long long)report->asked.seed, verdict == ORACLE_OK ? "true" : "false");
	for (i = 0; i < NUMBERS; i++)
		printf(",\"%s\":%llu", numbers[i].key, (unsigned long long)numbers[i].value);
	printf(",\"defects\":[");
	for (i = 0; emulator->defects[i].name; i++)
		printf("%s{\"what\":\"%s\",\"hits\":%llu}", i ? "," : "", emulator->defects[i].name,
		       (unsigned long long)report->compare.explained[i]);
	printf("],\"left_out\":[");
	for (i = 0; i < REASONS_MAX && report->tally.left_out[i].why; i++)
		printf("%s{\"why\":\"%s\",\"count\":%llu}", i ? "," : "",
		       report->tally.left_out[i].why,
		       (unsigned long long)report->tally.left_out[i].count);
	printf("],\"gaps\":[");
	for (i = 0; emulator->gaps[i]; i++)
		printf("%s\"%s\"", i ? "," : "", emulator->gaps[i]);
	printf("],\"seconds\":%.1f,\"runs\":%u}\n", report->seconds, report->runs);
}

static void report_markdown(const struct report *report, int verdict)
{
	struct number numbers[NUMBERS];
	const struct oracle_emulator *emulator = report->emulator;
	unsigned i;

	report_numbers(report, numbers);
	printf("## %s: %s\n\nSeed %llu: **%s**.\n\n| count | what |\n|---:|---|\n",
	       vmmu_format_info(report->asked.format)->name, emulator->name,
	       (unsigned long long)report->asked.seed,
	       verdict == ORACLE_OK ? "all explained" : "NOT EXPLAINED");
	for (i = 0; i < NUMBERS; i++)
		printf("| %llu | %s |\n", (unsigned long long)numbers[i].value, numbers[i].text);
	for (i = 0; emulator->defects[i].name; i++)
		printf("| %llu | known defect: %s |\n",
		       (unsigned long long)report->compare.explained[i], emulator->defects[i].name);
	for (i = 0; i < REASONS_MAX && report->tally.left_out[i].why; i++)
		printf("| %llu | drawn and not made: %s |\n",
		       (unsigned long long)report->tally.left_out[i].count,
		       report->tally.left_out[i].why);
	printf("\nNot judged:\n\n");
	for (i = 0; emulator->gaps[i]; i++)
		printf("* %s\n", emulator->gaps[i]);
	printf("\n");
}

static void report_line(const struct report *report, int verdict)
{
	printf("Recordings: %llu accesses, %llu probes, %llu differ from what their slots mean, "
	       "%llu "
	       "differ from the model: **%s**.\n\n",
	       (unsigned long long)report->tally.compared, (unsigned long long)report->tally.probes,
	       (unsigned long long)report->tally.engine_differs,
	       (unsigned long long)report->compare.unexplained,
	       verdict == ORACLE_OK ? "all explained" : "NOT EXPLAINED");
}

void report_print(const struct report *report, int verdict)
{
	const char *excess = compare_excess(&report->compare, report->emulator,
					    report->tally.probes);

	switch (report->asked.form) {
	case REPORT_JSON:
		report_json(report, verdict);
		break;
	case REPORT_MARKDOWN:
		report_markdown(report, verdict);
		break;
	case REPORT_LINE:
		report_line(report, verdict);
		break;
	default:
		report_text(report, verdict);
	}
	if (excess)
		fprintf(stderr, "oracle: a known defect matches over 1 probe in %d: %s\n",
			ORACLE_DEFECT_SHARE, excess);
}
