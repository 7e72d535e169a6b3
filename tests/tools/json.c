/* SPDX-License-Identifier: MIT */
/* The JSON that scripts rely on: docs/json.md. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "tools/run.h"

#define TRACES VMMU_TEST_DATA "/traces/"
#define MMIO   TRACES "kvm-live/x86-6.1/direct/mmio"

static struct run run;

static struct json_object *replay(const char *arguments)
{
	struct json_object *root;

	run_vmmu(&run, NULL, arguments);
	cr_assert(eq(int, run.code, 0), "%s", run.err);
	root = json_tokener_parse(run.out);
	cr_assert(root != NULL, "no JSON: %s", run.out);
	return root;
}

/* The value at "a.b.c". */
static struct json_object *at(struct json_object *root, const char *path)
{
	char copy[128], *rest = copy, *key;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((key = strsep(&rest, ".")))
		cr_assert(json_object_object_get_ex(root, key, &root), "no %s", path);
	return root;
}

static uint64_t number(struct json_object *root, const char *path)
{
	struct json_object *value = at(root, path);

	cr_assert(json_object_is_type(value, json_type_int), "%s is no integer", path);
	return json_object_get_uint64(value);
}

static const char *text(struct json_object *root, const char *path)
{
	struct json_object *value = at(root, path);

	cr_assert(json_object_is_type(value, json_type_string), "%s is no string", path);
	return json_object_get_string(value);
}

/* Keys that docs/json.md promises to be numbers. */
static const char *const numbers[] = {
	"trace.lines",
	"trace.events",
	"trace.faults",
	"trace.faults_gva",
	"trace.kinds.fault",
	"replay.threads",
	"replay.parallel_faults",
	"replay.retried",
	"layout.ram_pages",
	"layout.mmio_pages",
	"layout.lost_faults",
	"layout.slot_calls",
	"layout.slot_errors",
	"layout.slots_trimmed",
	"outcomes.fixed",
	"outcomes.spurious",
	"outcomes.emulate",
	"outcomes.retry",
	"outcomes.error",
	"outcomes.write_tracked",
	"outcomes.exit_to_host",
	"outcomes.guest_fault",
	"mapped.1",
	"mapped.2",
	"mapped.3",
	"tables",
	"table_bytes",
	"tables_allocated",
	"tables_freed",
	"flushes",
	"local_flushes",
	"fast_fixes",
	"zap_all",
	"mmio.installed",
	"mmio.hits",
	"mmio.stale",
	"mmio.entries",
	"rmap_lengths.1",
	"rmap_lengths.128+",
	"invalidations.in_slots",
	"invalidations.outside",
	"aging.in_slots",
	"aging.outside",
	"aging.young",
	"dirty_log.reads",
	"dirty_log.pages",
	"dirty_log.errors",
	"ns_per_fault.p50",
	"ns_per_fault.p99",
	"audit.checked",
	"audit.violations",
};

Test(json, replay_report__has_every_documented_key)
{
	struct json_object *root = replay("replay --json --layout " MMIO ".slots.txt " MMIO
					  ".tracefs.txt.gz");
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		number(root, numbers[i]);
	cr_expect(eq(str, (char *)text(root, "schema"), "vmmu-replay/1"));
	cr_expect(eq(str, (char *)text(root, "trace.path"), MMIO ".tracefs.txt.gz"));
	cr_expect(eq(str, (char *)text(root, "trace.syntax"), "tracefs"));
	cr_expect(eq(str, (char *)text(root, "trace.architecture"), "x86-npt"));
	cr_expect(eq(str, (char *)text(root, "engine.format"), "npt4"));
	cr_expect(eq(str, (char *)text(root, "engine.mode"), "direct"));
	cr_expect(eq(sz, strspn(text(root, "digest"), "0123456789abcdef"), 32));
	cr_expect(json_object_is_type(at(root, "trace.skipped"), json_type_object));
	cr_expect(json_object_is_type(at(root, "faults_per_second"), json_type_double));
	cr_expect(eq(int, json_object_get_boolean(at(root, "layout.inferred")), 0));
	cr_expect(eq(int, json_object_get_boolean(at(root, "digest_repeatable")), 1));
	json_object_put(root);
}

/*
 * By hand from the script and what KVM did: 16 faults (grep -c kvm_page_fault), of which 7 wrote an
 * entry (grep -c kvm_mmu_set_spte), 5 installed MMIO entries (grep -c mark_mmio_spte), 2 met a
 * current one (a fault with RSVD and no check_mmio_spte) , 1 wrote to a read-only slot, and 1 was
 * the write that broke the zero page: its invalidation made it retry.
 */
Test(json, mmio_script__counts_are_those_of_the_recording)
{
	struct json_object *root = replay("replay --json --layout " MMIO ".slots.txt " MMIO
					  ".tracefs.txt.gz");

	cr_expect(eq(u64, number(root, "trace.faults"), 16));
	cr_expect(eq(u64, number(root, "outcomes.fixed"), 7));
	cr_expect(eq(u64, number(root, "outcomes.retry"), 1));
	cr_expect(eq(u64, number(root, "outcomes.emulate"), 5 + 2 + 1));
	cr_expect(eq(u64, number(root, "mmio.installed"), 5));
	cr_expect(eq(u64, number(root, "mmio.hits"), 2));
	cr_expect(eq(u64, number(root, "mmio.stale"), 2));
	cr_expect(eq(u64, number(root, "layout.slot_calls"), 6));
	cr_expect(eq(u64, number(root, "audit.violations"), 0));
	json_object_put(root);
}

Test(json, faults_of_shadow_paging__are_counted_and_not_replayed)
{
	static const char trace[] =
		"           a.out-20024 [001] d... 2323301.154934: kvm_entry: vcpu 0\n"
		"           a.out-20024 [001] .... 2323301.154940: kvm_exit: reason EXCEPTION_NMI "
		"rip 0x1000 "
		"info 1000 80000b0e\n"
		"           a.out-20024 [001] .... 2323301.154942: kvm_page_fault: address 1000 "
		"error_code "
		"14\n";
	const char *path = run_file(trace, sizeof(trace) - 1);
	struct json_object *root;
	char arguments[128];

	snprintf(arguments, sizeof(arguments), "replay --json %s", path);
	root = replay(arguments);
	cr_expect(eq(u64, number(root, "trace.faults_gva"), 1));
	cr_expect(eq(u64, number(root, "trace.faults"), 0));
	cr_expect(eq(u64, number(root, "mapped.1"), 0));
	json_object_put(root);
	snprintf(arguments, sizeof(arguments), "replay %s", path);
	run_vmmu(&run, NULL, arguments);
	cr_expect(strstr(run.out,
			 "shadow paging not supported yet: 1 faults of guest virtual addresses") !=
		  NULL);
}

Test(json, formats__are_listed_with_their_geometry)
{
	struct json_object *root = replay("formats --json"), *formats, *format;
	size_t i;
	bool found = false;

	cr_expect(eq(str, (char *)text(root, "schema"), "vmmu-formats/1"));
	formats = at(root, "formats");
	for (i = 0; i < json_object_array_length(formats); i++) {
		format = json_object_array_get_idx(formats, i);
		if (strcmp(text(format, "name"), "sv39x4"))
			continue;
		found = true;
		/* Sv39x4: 41 bits in, 56 out, three levels of 512, the root of 2048 entries. */
		cr_expect(eq(u64, number(format, "gpa_bits"), 41));
		cr_expect(eq(u64, number(format, "pa_bits"), 56));
		cr_expect(eq(u64, number(format, "page_bytes"), 4096));
		cr_expect(eq(sz, json_object_array_length(at(format, "levels")), 3));
		cr_expect(eq(
			u64,
			number(json_object_array_get_idx(at(format, "levels"), 2), "table_bytes"),
			16384));
		cr_expect(
			eq(u64,
			   number(json_object_array_get_idx(at(format, "levels"), 1), "page_bytes"),
			   2097152));
	}
	cr_expect(found);
	json_object_put(root);
}

Test(json, formats_by_name__are_these_in_this_order)
{
	struct json_object *root = replay("formats --json arm-s2-16k-40-l2 ept5 arm-s2-4k-lpa2");
	struct json_object *formats = at(root, "formats"), *format;

	cr_assert(eq(sz, json_object_array_length(formats), 3));
	format = json_object_array_get_idx(formats, 0);
	cr_expect(eq(str, (char *)text(format, "name"), "arm-s2-16k-40-l2"));
	/* 16 concatenated root tables of 16 KiB. */
	cr_expect(eq(u64, number(json_object_array_get_idx(at(format, "levels"), 1), "table_bytes"),
		     16 * 16384));
	format = json_object_array_get_idx(formats, 1);
	cr_expect(eq(str, (char *)text(format, "name"), "ept5"));
	format = json_object_array_get_idx(formats, 2);
	cr_expect(eq(u64, number(format, "gpa_bits"), 52));
	cr_expect(eq(sz, json_object_array_length(at(format, "levels")), 5));
	json_object_put(root);
}
