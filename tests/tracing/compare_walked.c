/* SPDX-License-Identifier: MIT */
/*
 * Recordings of kernels without tracepoints for entries (arm64, riscv64): what the kit read from
 * their tables, and probes on the functions that change them, against the engine. Nothing may
 * differ, and whatever one changes in a recording must be noticed.
 */
#include "tracing/compare_help.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracing/compare_text.h"

static const char *const names[] = {"slots-and-dirty", "huge-pages", "hugetlb", "mmio",
				    "guest-64",        "host-rights"};
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* What the probes call them. */
#define ENTRY_LINE "tracing_mark_write: entry level "

/* LEAST: so many facts there are to compare. Returns how many. */
static uint64_t expect_one(const char *config, const char *name, const char *version,
			   uint64_t least)
{
	struct recorded recorded = {.config = config, .name = name, .version = version};
	char *text = compare_text_of(&recorded);
	struct compared compared = compare_run(&recorded, text, true);
	uint64_t entries = compared.events[VMMU_COMPARE_ENTRY].total;

	printf("%s/%s: %llu of %llu, %llu entries\n", config, name,
	       (unsigned long long)compared.all.agree, (unsigned long long)compared.all.total,
	       (unsigned long long)entries);
	fflush(stdout);
	cr_expect(compare_agrees(&compared));
	cr_expect_eq(entries, compared.events[VMMU_COMPARE_ENTRY].agree);
	cr_expect_eq(compared.all.agree, compared.all.total);
	cr_expect_geq(compared.all.total, least);
	cr_expect_eq(entries, text_count_words(text, ENTRY_LINE));
	cr_expect_eq(compared.violations, 0);
	free(text);
	return compared.all.total;
}

/* The same of every script that all architectures have. */
static void expect_agreement(const char *config, const char *version, uint64_t least)
{
	uint64_t total = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		total += expect_one(config, names[i], version, 1);
	cr_expect_geq(total, least);
}

Test(compare_walked, stage_2__as_kvm_6_1)
{
	expect_agreement("arm64-6.1/stage2", "6.1", 2100);
}

Test(compare_walked, g_stage__as_kvm_6_12)
{
	expect_agreement("riscv64-6.12/gstage", "6.12", 1800);
}

/* Pages that get another frame, which KVM maps by itself. */
Test(compare_walked, moved_pages__as_kvm_6_1)
{
	expect_one("arm64-6.1/stage2", "moved", "6.1", 300);
}

/*
 * Ranges that begin behind an absent table; what the host put together between two looks; writes
 * that got nowhere.
 */
Test(compare_walked, steps_and_random_scripts__as_kvm_6_12)
{
	expect_one("riscv64-6.12/gstage", "steps", "6.12", 50);
	expect_one("riscv64-6.12/gstage", "random-31", "6.12", 1000);
	expect_one("riscv64-6.12/gstage", "random-50", "6.12", 300);
}

static const struct recorded arm = {.config = "arm64-6.1/stage2", .name = "slots-and-dirty"};
static const struct recorded riscv = {.config = "riscv64-6.12/gstage", .name = "slots-and-dirty"};

static void expect_noticed(const struct recorded *subject, const char *text, const char *what)
{
	struct compared compared = compare_run(subject, text, false);

	cr_expect_not(compare_agrees(&compared), "%s: %s was not noticed", subject->config, what);
}

/* Each value of one line in the middle of all that say ALTERATION's event. */
static void expect_values_noticed(const struct recorded *subject,
				  const struct alteration *alterations, size_t count)
{
	char *text = compare_text_of(subject);

	for (size_t i = 0; i < count; i++) {
		const struct alteration *alteration = &alterations[i];
		char *digit = text_digit(text_middle_word(text, alteration->event),
					 alteration->key);
		char what[80], was = *digit;

		snprintf(what, sizeof(what), "%s '%s'", alteration->event, alteration->key);
		text_alter(digit);
		expect_noticed(subject, text, what);
		*digit = was;
	}
	free(text);
}

Test(compare_walked, value_altered__noticed)
{
	static const struct alteration of_entries[] = {
		{ENTRY_LINE, "entry level "}, {ENTRY_LINE, " gpa "}, {ENTRY_LINE, " at "},
		{ENTRY_LINE, " old "},        {ENTRY_LINE, " new "},
	};
	static const struct alteration of_probes[] = {
		{": map: ", " addr=0x"},   {": map: ", " size=0x"},   {": map: ", " phys=0x"},
		{": map: ", " prot=0x"},   {": unmap: ", " size=0x"}, {": wrprotect: ", " size=0x"},
		{": relax: ", " prot=0x"},
	};

	expect_values_noticed(&arm, of_entries, COUNT_OF(of_entries));
	expect_values_noticed(&arm, of_probes, COUNT_OF(of_probes));
	expect_values_noticed(&riscv, of_entries, COUNT_OF(of_entries));
}

static void expect_drop_noticed(const struct recorded *subject, const char *word)
{
	char *text = compare_text_of(subject);

	/* A comment is no event. */
	*text_middle_word(text, word) = '#';
	expect_noticed(subject, text, word);
	free(text);
}

Test(compare_walked, line_dropped__noticed)
{
	static const char *const dropped[] = {
		ENTRY_LINE, ": map: ", ": unmap: ", ": wrprotect: ", ": relax: ",
	};

	for (size_t i = 0; i < COUNT_OF(dropped); i++)
		expect_drop_noticed(&arm, dropped[i]);
	expect_drop_noticed(&riscv, ENTRY_LINE);
}

/* Two lines of entries behind each other: parents come first, and lower gpas. */
static void expect_swap_noticed(const struct recorded *subject)
{
	char *text = compare_text_of(subject);
	char *line = text_word(text, ENTRY_LINE);

	cr_assert(line);
	cr_assert_eq(text_word(strchr(line, '\n') + 1, ENTRY_LINE), strchr(line, '\n') + 1);
	text_swap(line);
	expect_noticed(subject, text, "two entries in another order");
	free(text);
}

Test(compare_walked, lines_swapped__noticed)
{
	expect_swap_noticed(&arm);
	expect_swap_noticed(&riscv);
}

/* The digit BACK digits before the last one behind KEY, in all lines that say WORD. */
static void scramble(char *text, const char *word, const char *key, unsigned back)
{
	for (char *line = text; (line = text_word(line, word)); line = strchr(line, '\n') + 1) {
		char *digit = text_digit(line, key) - back;

		if (strchr("0123456789abcdef", *digit))
			text_alter(digit);
	}
}

/* Levels and rights of all that is judged: none may reach the engine. */
static void expect_untouched(const struct recorded *subject, const char *format)
{
	struct recorded recorded = *subject;
	char *text = compare_text_of(subject);
	struct compared before, after;

	/* How deep the tables are is hardware's, and told by what is scrambled. */
	recorded.format = format;
	before = compare_run(&recorded, text, false);
	cr_expect(compare_agrees(&before));
	/* One that is no leaf names no frame; frames are inputs where nothing else gives them. */
	scramble(text, "entry level 3 gpa 2", "entry level ", 0);
	scramble(text, "entry level 0 gpa 2", "entry level ", 0);
	scramble(text, ENTRY_LINE, " old ", 0);
	scramble(text, ENTRY_LINE, " new ", 1);
	scramble(text, ": map: ", " prot=0x", 0);
	scramble(text, ": map: ", " size=0x", 3);
	scramble(text, ": map: ", " phys=0x", 3);
	scramble(text, ": relax: ", " prot=0x", 0);
	scramble(text, ": unmap: ", " size=0x", 3);
	scramble(text, ": wrprotect: ", " addr=0x", 3);
	after = compare_run(&recorded, text, false);
	cr_expect_not(compare_agrees(&after));
	cr_expect_eq(after.digest.high, before.digest.high);
	cr_expect_eq(after.digest.low, before.digest.low);
	free(text);
}

Test(compare_walked, verdicts_scrambled__engine_does_the_same)
{
	expect_untouched(&arm, "arm-s2-4k-40");
	expect_untouched(&riscv, "sv57x4");
}

/* Everything that there is to compare is: counts of the recording's own lines. */
Test(compare_walked, faults_results_and_dirty_logs__each_counts)
{
	char *text = compare_text_of(&arm);
	struct compared compared = compare_run(&arm, text, false);

	cr_expect_eq(compared.events[VMMU_COMPARE_FAULT].agree,
		     text_count_words(text, ": kvm_guest_fault: "));
	/* r, w and x; ranges have none */
	cr_expect_eq(compared.events[VMMU_COMPARE_RESULT].agree, 18);
	cr_expect_eq(compared.events[VMMU_COMPARE_DIRTY].agree, 3);
	free(text);
}

/* A permission fault that is told as one for want of a mapping: it goes the same way. */
Test(compare_walked, reason_of_a_fault_altered__noticed)
{
	char *text = compare_text_of(&arm);
	char *line = text_word(text, "hsr 0x9300004f");

	cr_assert(line);
	line = strstr(line, "hsr 0x9300004f");
	line[strlen("hsr 0x9300004")] = '7';
	expect_noticed(&arm, text, "the reason of a fault");
	free(text);
}

Test(compare_walked, read_only_map_twice__noticed)
{
	char *text = compare_text_of(&arm), *longer = malloc(strlen(text) + 512);
	char *line = text_word(text, "addr=0x20001000 size=0x1000 phys=0x4bfc8000 prot=0x4");
	char *end;

	cr_assert(longer && line);
	end = strchr(line, '\n') + 1;
	sprintf(longer, "%.*s%.*s%s", (int)(end - text), text, (int)(end - line), line, end);
	expect_noticed(&arm, longer, "a map that the engine did not do");
	free(longer);
	free(text);
}
