// SPDX-License-Identifier: MIT
#include "oracle/compare.h"

#include <stdio.h>

#define COMPARE_PRINTED_MAX 12

static bool compare_word(uint64_t got, uint64_t want, uint64_t mask)
{
	return !((got ^ want) & mask);
}

static bool compare_agrees(const struct oracle_wanted *wanted, const struct job_result *got)
{
	const struct job_result *want = &wanted->want, *mask = &wanted->mask;
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (!compare_word(got->reg[i], want->reg[i], mask->reg[i]))
			return false;
	}
	return compare_word(got->what, want->what, mask->what) &&
	       compare_word(got->value, want->value, mask->value) &&
	       compare_word(got->after, want->after, mask->after);
}

static void compare_print_result(const char *who, const struct job_result *result)
{
	fprintf(stderr, "  %-8s what %llx regs %llx %llx %llx value %llx after %llx\n", who,
		(unsigned long long)result->what, (unsigned long long)result->reg[0],
		(unsigned long long)result->reg[1], (unsigned long long)result->reg[2],
		(unsigned long long)result->value, (unsigned long long)result->after);
}

static void compare_print(const struct oracle_expectation *expectation,
			  const struct job_result *got)
{
	const struct oracle_probe *probe = &expectation->probe;

	fprintf(stderr,
		"oracle: %s phase %d kind %#x gpa %llx gva %llx roots %llx %llx %llx\n"
		"  model: status %d cause %d purpose %d level %u entry %llx at %llx; leaf %llx, "
		"output %llx\n",
		expectation->is_read ? "entry read back" : "probe", probe->phase, probe->kind,
		(unsigned long long)probe->gpa, (unsigned long long)probe->gva,
		(unsigned long long)expectation->root_arg[0],
		(unsigned long long)expectation->root_arg[1],
		(unsigned long long)expectation->root_arg[2], expectation->status,
		expectation->fault.cause, expectation->fault.purpose, expectation->fault.level,
		(unsigned long long)expectation->fault.entry,
		(unsigned long long)expectation->fault.entry_hpa,
		(unsigned long long)expectation->leaf, (unsigned long long)expectation->hpa);
	compare_print_result("model", &expectation->wanted.want);
	compare_print_result("compared", &expectation->wanted.mask);
	compare_print_result("emulator", got);
}

/* By which known defect, or -1. */
static int compare_defect(const struct oracle_emulator *emulator,
			  const struct oracle_expectation *expectation,
			  const struct job_result *got)
{
	int i;

	for (i = 0; i < COMPARE_DEFECTS_MAX && emulator->defects[i].name; i++) {
		if (emulator->defects[i].matches(expectation, got))
			return i;
	}
	return -1;
}

static void compare_one(struct compare *compare, const struct oracle_emulator *emulator,
			const struct oracle_expectation *expectation, const struct job_result *got)
{
	int defect;

	compare->results++;
	if (compare_agrees(&expectation->wanted, got)) {
		compare->agreed++;
		return;
	}
	if (expectation->has_other && compare_agrees(&expectation->other, got)) {
		compare->agreed++;
		compare->stale_shown++;
		return;
	}
	defect = compare_defect(emulator, expectation, got);
	if (defect >= 0) {
		compare->explained[defect]++;
		return;
	}
	compare->unexplained++;
	if (compare->printed++ < COMPARE_PRINTED_MAX)
		compare_print(expectation, got);
}

void compare_results(struct compare *compare, const struct jobs *jobs,
		     const struct run_results *results)
{
	size_t i;

	for (i = 0; i < results->count && i < jobs->expectation_count; i++)
		compare_one(compare, jobs->emulator, &jobs->expectation[i], &results->result[i]);
}

const char *compare_excess(const struct compare *compare, const struct oracle_emulator *emulator,
			   uint64_t probes)
{
	unsigned i;

	for (i = 0; i < COMPARE_DEFECTS_MAX && emulator->defects[i].name; i++) {
		if (compare->explained[i] * ORACLE_DEFECT_SHARE > probes)
			return emulator->defects[i].name;
	}
	return NULL;
}
