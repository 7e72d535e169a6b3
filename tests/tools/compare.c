/* SPDX-License-Identifier: MIT */
/* `vmmu replay --compare`: what it says of a recording that agrees, and of one that does not. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "tools/run.h"

#define RECORDED VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/"
#define OF(what) RECORDED what ".tracefs.txt.gz --layout " RECORDED what ".slots.txt"

static struct run run;

static void expect_said(const char *where, const char *said)
{
	cr_expect(strstr(where, said) != NULL, "'%s' is not in: %s", said, where);
}

/* OBJECT.key as a number. */
static uint64_t number(struct json_object *object, const char *key)
{
	struct json_object *value;

	cr_assert(json_object_object_get_ex(object, key, &value), "no %s", key);
	return json_object_get_uint64(value);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	cr_assert(json_object_object_get_ex(object, key, &value), "no %s", key);
	return value;
}

Test(compare_command, recording_that_agrees__exits_0_and_shows_each_event)
{
	run_vmmu(&run, NULL, "replay --compare " OF("direct/mmio"));
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	expect_said(run.out, "compared with kvm-6.1");
	expect_said(run.out, "check_mmio_spte level 0, - -> mmio");
	expect_said(run.out, "by class");
	cr_expect(strstr(run.out, "    kernel    ") == NULL, "no difference is shown");
}

/* The recording of the other MMU: what it tells first is a kvm_tdp_mmu_spte_changed. */
Test(compare_command, recording_of_another_mmu__exits_1_with_both_sides_of_the_first_differences)
{
	run_vmmu(&run, NULL, "replay --compare " OF("tdp/mmio"));
	cr_expect(eq(int, run.code, 1));
	expect_said(run.err, "events differ");
	expect_said(run.out, "kernel    kvm_tdp_mmu_spte_changed");
	expect_said(run.out, "engine    nothing");
	expect_said(run.out, "in the step of line");
}

Test(compare_command, recording_of_a_tdp_mmu__agrees_with_tdp_roots)
{
	run_vmmu(&run, NULL, "replay --compare --mode tdp " OF("tdp/mmio"));
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	run_vmmu(&run, NULL, "replay --compare --quiet --mode tdp " OF("tdp/mmio"));
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(eq(str, run.out, ""));
}

/* 7 leaves were set in that run and 5 MMIO entries: grep -c of the recording. */
Test(compare_command, json__counts_by_event_and_by_class)
{
	struct json_object *root, *compare, *classes, *all;
	uint64_t set = 0;

	run_vmmu(&run, NULL, "replay --compare --json " OF("direct/mmio"));
	cr_assert(eq(int, run.code, 0), "%s", run.err);
	root = json_tokener_parse(run.out);
	cr_assert(root != NULL);
	compare = member(root, "compare");
	cr_expect(eq(u64, number(member(compare, "kvm_mmu_set_spte"), "total"), 7));
	cr_expect(eq(u64, number(member(compare, "kvm_mmu_set_spte"), "agree"), 7));
	cr_expect(eq(u64, number(member(compare, "mark_mmio_spte"), "total"), 5));
	cr_expect(eq(u64, number(member(compare, "kvm_tdp_mmu_spte_changed"), "total"), 0));
	all = member(compare, "all");
	cr_expect(eq(u64, number(all, "explained"), 0));
	cr_expect(eq(u64, number(all, "agree"), number(all, "total")));
	classes = member(compare, "classes");
	for (size_t i = 0; i < json_object_array_length(classes); i++) {
		struct json_object *class = json_object_array_get_idx(classes, i);

		if (!strcmp(json_object_get_string(member(class, "event")), "kvm_mmu_set_spte"))
			set += number(member(class, "tally"), "total");
	}
	cr_expect(eq(u64, set, 7), "the classes of an event add up to it");
	json_object_put(root);
}

Test(compare_command, json_of_differences__has_the_mode_and_exit_1)
{
	struct json_object *root, *all;

	run_vmmu(&run, NULL, "replay --compare --json " OF("tdp/mmio"));
	cr_expect(eq(int, run.code, 1));
	root = json_tokener_parse(run.out);
	cr_assert(root != NULL);
	cr_expect(eq(str, (char *)json_object_get_string(member(member(root, "engine"), "mode")),
		     "direct"));
	all = member(member(root, "compare"), "all");
	cr_expect(lt(u64, number(all, "agree"), number(all, "total")));
	json_object_put(root);
}

Test(compare_command, version_that_there_is_not__exits_2_and_names_those_there_are)
{
	run_vmmu(&run, NULL, "replay --compare --kvm 9.9 " OF("direct/mmio"));
	cr_expect(eq(int, run.code, 2));
	expect_said(run.err, "'9.9'");
	expect_said(run.err, "6.1, 6.12, 7.2");
}

Test(compare_command, more_runs_than_one__exits_2)
{
	run_vmmu(&run, NULL, "replay --compare --repeat 2 " OF("direct/mmio"));
	cr_expect(eq(int, run.code, 2));
	expect_said(run.err, "--repeat");
}

Test(compare_command, trace_without_a_fault__has_no_kernel_to_compare_with)
{
	static const char trace[] = "             vmm-71      [000] ..... 10.000001: "
				    "kvm_unmap_hva_range: mmu notifier unmap range: 0x1000 -- "
				    "0x2000\n";
	char arguments[256];

	snprintf(arguments, sizeof(arguments), "replay --compare --format npt4 %s",
		 run_file(trace, sizeof(trace) - 1));
	run_vmmu(&run, NULL, arguments);
	cr_expect(eq(int, run.code, 65));
	expect_said(run.err, "no kernel to compare with");
}
