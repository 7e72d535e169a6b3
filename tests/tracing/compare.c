/* SPDX-License-Identifier: MIT */
/*
 * Recordings of real kernels held against the engine: nothing may differ, and whatever one changes
 * in a recording must be noticed.
 */
#include "tracing/compare_help.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracing/compare.h"
#include "tracing/compare_text.h"

/* Every recording of the kit's x86 configurations. */
static const char *const names[] = {"slots-and-dirty", "huge-pages", "hugetlb",  "mmio",
				    "guest-32",        "guest-pae",  "guest-64", "over-tables"};
#define NAMES (sizeof(names) / sizeof(*names))

/* Returns how many facts there were to compare; all are to agree. */
static uint64_t expect_one(const char *config, const char *name, const char *version,
			   enum vmmu_root_mode root)
{
	struct recorded recorded = {.config = config,
				    .name = name,
				    .version = version,
				    .root = root,
				    .nx_huge = strstr(config, "-nx") != NULL};
	char *text = compare_text_of(&recorded);
	struct compared compared = compare_run(&recorded, text, true);

	printf("%s/%s: %llu of %llu\n", config, name, (unsigned long long)compared.all.agree,
	       (unsigned long long)compared.all.total);
	fflush(stdout);
	cr_expect(compare_agrees(&compared));
	cr_expect_eq(compared.all.agree, compared.all.total);
	cr_expect_eq(compared.classes_agreeing, compared.classes);
	cr_expect_eq(compared.violations, 0);
	free(text);
	return compared.all.total;
}

/* LEAST: so many facts there are to compare in all. */
static void expect_agreement(const char *config, const char *version, enum vmmu_root_mode root,
			     uint64_t least)
{
	uint64_t total = 0;

	for (size_t i = 0; i < NAMES; i++)
		total += expect_one(config, names[i], version, root);
	cr_expect_geq(total, least);
}

/*
 * Random scripts that found something: a frame used again, tables without pages in the way, a page
 * that moved before the host line told of it, pages that the host put together, an invalidation
 * that lasted while a fault waited for it, another huge page in the place of one.
 */
Test(compare, random_scripts__agree)
{
	cr_expect_geq(expect_one("x86-6.1/direct", "random-1", "6.1", VMMU_ROOT_DIRECT), 600);
	cr_expect_geq(expect_one("x86-6.1/tdp-nx", "random-37", "6.1", VMMU_ROOT_TDP), 13000);
	cr_expect_geq(expect_one("x86-6.1/tdp-nx", "random-33", "6.1", VMMU_ROOT_TDP), 22000);
	cr_expect_geq(expect_one("x86-6.1/tdp", "random-16", "6.1", VMMU_ROOT_TDP), 17000);
	cr_expect_geq(expect_one("x86-6.1/direct", "random-44", "6.1", VMMU_ROOT_DIRECT), 1300);
	cr_expect_geq(expect_one("x86-7.2/direct", "random-15", "7.2", VMMU_ROOT_DIRECT), 1600);
}

/* What the host forbids and allows again, and slots that come back. */
Test(compare, rights_of_the_host__agree)
{
	cr_expect_geq(expect_one("x86-6.1/direct", "host-rights", "6.1", VMMU_ROOT_DIRECT), 170);
	cr_expect_geq(expect_one("x86-6.12/direct", "host-rights", "6.12", VMMU_ROOT_DIRECT), 170);
	cr_expect_geq(expect_one("x86-7.2/direct", "host-rights", "7.2", VMMU_ROOT_DIRECT), 170);
}

/* Fetches from large pages: zapped on 6.1, split in place since. */
Test(compare, fetches_from_large_pages__agree)
{
	cr_expect_geq(expect_one("x86-6.1/tdp-nx", "nx-split", "6.1", VMMU_ROOT_TDP), 2000);
	cr_expect_geq(expect_one("x86-6.12/tdp-nx", "nx-split", "6.12", VMMU_ROOT_TDP), 2000);
	cr_expect_geq(expect_one("x86-7.2/tdp-nx", "nx-split", "7.2", VMMU_ROOT_TDP), 2000);
}

/* Without word of pages put together, or of an invalidation's end, KVM did something else. */
Test(compare, what_the_host_did_missing__noticed)
{
	static const struct {
		struct recorded recorded;
		const char *word;
	} missing[] = {
		{{.config = "x86-6.1/tdp", .name = "random-16", .root = VMMU_ROOT_TDP},
		 "mm_collapse_huge_page: "},
		{{.config = "x86-6.1/direct",
		  .name = "random-44",
		  .version = "6.1",
		  .root = VMMU_ROOT_DIRECT},
		 "invalidate_end: "},
	};

	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
		char *text = compare_text_of(&missing[i].recorded), *word;
		struct compared compared;

		while ((word = strstr(text, missing[i].word)))
			*word = '#';
		compared = compare_run(&missing[i].recorded, text, false);
		cr_expect_not(compare_agrees(&compared), "%s", missing[i].word);
		free(text);
	}
}

Test(compare, direct__as_kvm_6_1)
{
	expect_agreement("x86-6.1/direct", "6.1", VMMU_ROOT_DIRECT, 1700);
}

Test(compare, direct__as_kvm_6_12)
{
	expect_agreement("x86-6.12/direct", "6.12", VMMU_ROOT_DIRECT, 1700);
}

Test(compare, direct__as_kvm_7_2)
{
	expect_agreement("x86-7.2/direct", "7.2", VMMU_ROOT_DIRECT, 1700);
}

Test(compare, tdp__as_kvm_6_1)
{
	expect_agreement("x86-6.1/tdp", "6.1", VMMU_ROOT_TDP, 65000);
}

Test(compare, tdp__as_kvm_6_12)
{
	expect_agreement("x86-6.12/tdp", "6.12", VMMU_ROOT_TDP, 65000);
}

Test(compare, tdp__as_kvm_7_2)
{
	expect_agreement("x86-7.2/tdp", "7.2", VMMU_ROOT_TDP, 65000);
}

Test(compare, tdp_with_the_rule_for_huge_pages__as_kvm_6_1)
{
	expect_agreement("x86-6.1/tdp-nx", "6.1", VMMU_ROOT_TDP, 65000);
}

/* Scripts about one thing each, some of which not all kernels can do. */
static const char *const calls[] = {"manual-log", "manual-all-set", "alias", "vcpus", "rings",
				    "smm",        "reclaim",        NULL};
static const char *const newer_calls[] = {"manual-log", "manual-all-set", "alias",
					  "vcpus",      "rings",          "smm",
					  "reclaim",    "prefault",       NULL};
static const char *const newer_tdp_calls[] = {"reclaim", "prefault", NULL};

static void expect_calls(const char *config, const char *version, const char *const *scripts)
{
	enum vmmu_root_mode root = strstr(config, "/tdp") ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT;

	for (; *scripts; scripts++)
		cr_expect_geq(expect_one(config, *scripts, version, root), 100);
}

Test(compare, calls__as_kvm_6_1)
{
	expect_calls("x86-6.1/tdp", "6.1", calls);
	expect_calls("x86-6.1/direct", "6.1", calls);
}

Test(compare, calls__as_kvm_6_12)
{
	expect_one("x86-6.12/tdp", "vcpus", "6.12", VMMU_ROOT_TDP);
	expect_calls("x86-6.12/tdp", "6.12", newer_tdp_calls);
	expect_calls("x86-6.12/direct", "6.12", newer_calls);
}

Test(compare, calls__as_kvm_7_2)
{
	expect_calls("x86-7.2/tdp", "7.2", newer_tdp_calls);
	expect_calls("x86-7.2/direct", "7.2", newer_calls);
}

/* What is altered: all but one kind of judged event is in it. */
static const struct recorded subject = {
	.config = "x86-6.1/tdp", .name = "slots-and-dirty", .root = VMMU_ROOT_TDP};

static const struct alteration alterations[] = {
	{"kvm_tdp_mmu_spte_changed", "as id "},
	{"kvm_tdp_mmu_spte_changed", " gfn "},
	{"kvm_tdp_mmu_spte_changed", " level "},
	{"kvm_tdp_mmu_spte_changed", " old_spte "},
	{"kvm_tdp_mmu_spte_changed", " new_spte "},
	{"kvm_mmu_set_spte", ": gfn "},
	{"kvm_mmu_set_spte", " spte "},
	{"kvm_mmu_set_spte", " level "},
	{"kvm_mmu_spte_requested", ": gfn "},
	{"kvm_mmu_spte_requested", " pfn "},
	{"kvm_mmu_spte_requested", " level "},
	{"kvm_mmu_get_page", " gfn "},
	{"kvm_mmu_get_page", " l"},
	{"kvm_mmu_prepare_zap_page", " gfn "},
	{"kvm_mmu_prepare_zap_page", " l"},
	{"kvm_mmu_split_huge_page", ": gfn "},
	{"kvm_mmu_split_huge_page", " spte "},
	{"kvm_mmu_split_huge_page", " level "},
	{"kvm_mmu_split_huge_page", " errno "},
	{"fast_page_fault", " gva "},
	{"fast_page_fault", " old 0x"},
	{"fast_page_fault", " new "},
	{"fast_page_fault", " spurious "},
	{"fast_page_fault", " fixed "},
	{"mark_mmio_spte", " gfn "},
	{"mark_mmio_spte", " access "},
	{"mark_mmio_spte", " gen "},
	{"check_mmio_spte", ": spte "},
	{"check_mmio_spte", " kvm_gen "},
	{"check_mmio_spte", " valid "},
};
#define ALTERATIONS (sizeof(alterations) / sizeof(*alterations))

static void expect_noticed(const char *text, const char *what)
{
	struct compared compared = compare_run(&subject, text, false);

	cr_expect_not(compare_agrees(&compared), "%s was not noticed", what);
}

Test(compare, value_altered__noticed)
{
	char *text = compare_text_of(&subject);

	for (size_t i = 0; i < ALTERATIONS; i++) {
		const struct alteration *alteration = &alterations[i];
		char *digit = text_digit(text_middle(text, alteration->event), alteration->key);
		char what[80], was = *digit;

		snprintf(what, sizeof(what), "%s '%s'", alteration->event, alteration->key);
		text_alter(digit);
		expect_noticed(text, what);
		*digit = was;
	}
	free(text);
}

/* The line that says WORD, altered at a digit behind KEY, or made a comment where KEY is NULL. */
static void expect_change_noticed(const struct recorded *changed, const char *word, const char *key)
{
	char *text = compare_text_of(changed), *line = text_word(text, word);
	struct compared compared;

	cr_assert(line, "%s", word);
	if (key)
		text_alter(text_digit(line, key));
	else
		*line = '#';
	compared = compare_run(changed, text, false);
	cr_expect_not(compare_agrees(&compared), "%s was not noticed", word);
	free(text);
}

Test(compare, calls_altered__noticed)
{
	static const struct recorded rings = {
		.config = "x86-6.1/direct", .name = "rings", .root = VMMU_ROOT_DIRECT};
	static const struct recorded cleared = {
		.config = "x86-6.1/direct", .name = "manual-log", .root = VMMU_ROOT_DIRECT};
	static const struct recorded prefault = {
		.config = "x86-7.2/direct", .name = "prefault", .root = VMMU_ROOT_DIRECT};

	/* pages of rings: another page, another slot, one less */
	expect_change_noticed(&rings, ": page slot ", " offset ");
	expect_change_noticed(&rings, ": page slot ", " slot ");
	expect_change_noticed(&rings, ": page slot ", NULL);
	/* calls that were made differently */
	expect_change_noticed(&rings, ": harvest", NULL);
	expect_change_noticed(&cleared, ": clear 1 400 40 5555555555555555", " 40 ");
	expect_change_noticed(&cleared, ": clear 1 400 40 5555555555555555", " 400");
	expect_change_noticed(&cleared, ": manual 1", NULL);
	expect_change_noticed(&prefault, ": prefault 50000000 4000", NULL);
	expect_change_noticed(&prefault, ": prefault 50000000 4000", " 5000000");
}

static const char *const judged[] = {
	"kvm_tdp_mmu_spte_changed", "kvm_mmu_set_spte",         "kvm_mmu_spte_requested",
	"kvm_mmu_get_page",         "kvm_mmu_prepare_zap_page", "kvm_mmu_split_huge_page",
	"fast_page_fault",          "mark_mmio_spte",           "check_mmio_spte",
	"kvm_mmu_zap_all_fast",
};
#define JUDGED (sizeof(judged) / sizeof(*judged))

Test(compare, line_dropped__noticed)
{
	char *text = compare_text_of(&subject);

	for (size_t i = 0; i < JUDGED; i++) {
		char *line = text_middle(text, judged[i]), was = *line;

		/* A comment is no event. */
		*line = '#';
		expect_noticed(text, judged[i]);
		*line = was;
	}
	free(text);
}

Test(compare, lines_swapped__noticed)
{
	static const char *const first[] = {
		"kvm_mmu_spte_requested",   "kvm_mmu_get_page", "kvm_tdp_mmu_spte_changed",
		"kvm_mmu_prepare_zap_page", "mark_mmio_spte",
	};
	char *text = compare_text_of(&subject);

	for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
		char *line = text_middle(text, first[i]), *copy;

		/* Not with an input: the order among what is judged counts. */
		if (!strcmp(first[i], "mark_mmio_spte"))
			line = text_line(text, "kvm_mmu_zap_all_fast", 0);
		copy = strdup(text);
		text_swap(copy + (line - text));
		expect_noticed(copy, first[i]);
		free(copy);
	}
	free(text);
}

/* The line before the one that says MARK. */
static char *find_line_before(char *text, const char *mark)
{
	char *at = text_word(text, mark);

	cr_assert(at, "%s", mark);
	for (at--; at[-1] != '\n'; at--)
		;
	return at;
}

/* The last thing that the kernel did for a line of the script. */
Test(compare, last_of_a_step_missing__noticed)
{
	char *text = compare_text_of(&subject);
	char *line = find_line_before(text, ": range 1 10800000 ");

	cr_assert_not_null(strstr(line, "kvm_tdp_mmu_spte_changed"));
	*line = '#';
	expect_noticed(text, "the last line of a step");
	free(text);
}

Test(compare, last_of_a_step_twice__noticed)
{
	char *text = compare_text_of(&subject), *longer = malloc(strlen(text) + 512);
	char *line = find_line_before(text, ": range 1 10800000 ");
	char *end = strchr(line, '\n') + 1;

	cr_assert(longer);
	sprintf(longer, "%.*s%.*s%s", (int)(end - text), text, (int)(end - line), line, end);
	expect_noticed(longer, "the last line of a step, twice");
	free(longer);
	free(text);
}

/* Where a table was when it went is where it was when it came. */
Test(compare, table_goes_from_elsewhere__noticed)
{
	char *text = compare_text_of(&subject);
	char *line = text_word(text, "827 new_spte 5a0"), *digit;

	/* Entries of tables end in 827. */
	cr_assert(line);
	digit = text_digit(line, " old_spte ");
	text_alter(digit - 3);
	expect_noticed(text, "another frame of a table");
	free(text);
}

/* Levels, rights and results of all that is judged: none may reach the engine. */
Test(compare, verdicts_scrambled__engine_does_the_same)
{
	static const struct alteration scrambled[] = {
		{"kvm_tdp_mmu_spte_changed", " level "},
		{"kvm_tdp_mmu_spte_changed", " old_spte "},
		{"kvm_tdp_mmu_spte_changed", " gfn "},
		{"kvm_mmu_set_spte", " spte "},
		{"kvm_mmu_set_spte", " level "},
		{"kvm_mmu_spte_requested", " level "},
		{"kvm_mmu_get_page", " l"},
		{"kvm_mmu_get_page", " gfn "},
		{"kvm_mmu_prepare_zap_page", " gfn "},
		{"kvm_mmu_split_huge_page", " spte "},
		{"fast_page_fault", " fixed "},
		{"fast_page_fault", " spurious "},
		{"fast_page_fault", " new "},
		{"mark_mmio_spte", " gen "},
		{"mark_mmio_spte", " access "},
		{"check_mmio_spte", " valid "},
		{"check_mmio_spte", " kvm_gen "},
	};
	char *text = compare_text_of(&subject);
	struct compared before = compare_run(&subject, text, false), after;

	for (size_t i = 0; i < sizeof(scrambled) / sizeof(*scrambled); i++) {
		char *line = text;

		while ((line = text_line(line, scrambled[i].event, 0))) {
			text_alter(text_digit(line, scrambled[i].key));
			line = strchr(line, '\n') + 1;
		}
	}
	after = compare_run(&subject, text, false);
	cr_expect_not(compare_agrees(&after));
	cr_expect_eq(after.digest.high, before.digest.high);
	cr_expect_eq(after.digest.low, before.digest.low);
	free(text);
}

/* A table's frame that comes back as another table's is matched anew. */
Test(compare, frame_used_again__matched_anew)
{
	const uint64_t engine = UINT64_C(0x100005000) | 0x827, first = 0x3150827,
		       second = 0x9cb6827;
	struct vmmu_compare_options how = {.size = sizeof(how)};
	struct compare_fact kernel = {
		.event = VMMU_COMPARE_ENTRY_CHANGED, .level = 2, .new_pte = first};
	struct compare_fact ours = kernel;
	struct vmmu_compare *compare;

	cr_assert_eq(vmmu_compare_create(&how, &compare), 0);
	compare->format = vmmu_format_find("npt5");
	compare->profile = compare->own = vmmu_profile_find("vmmu", "x86-npt");
	ours.new_pte = engine;
	compare_bind(compare, &kernel, &ours);
	cr_expect(compare_is_equal(compare, &kernel, &ours));
	kernel.new_pte = second;
	cr_expect_not(compare_is_equal(compare, &kernel, &ours));
	/* It goes. */
	kernel = (struct compare_fact){
		.event = VMMU_COMPARE_ENTRY_CHANGED, .level = 2, .old_pte = first};
	ours = kernel;
	ours.old_pte = engine;
	cr_expect(compare_is_equal(compare, &kernel, &ours));
	compare_bind(compare, &kernel, &ours);
	kernel.old_pte = ours.old_pte = 0;
	kernel.new_pte = second;
	ours.new_pte = engine;
	cr_expect(compare_is_equal(compare, &kernel, &ours));
	vmmu_compare_destroy(compare);
}
