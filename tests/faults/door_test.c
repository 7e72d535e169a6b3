/* SPDX-License-Identifier: MIT */
/*
 * A format is the same whichever engine serves it: EPT through the door of vmmu_format_register(),
 * and Arm geometries read at run time, do what the built-in engines do, entry by entry.
 *
 * VMMU_SEED=n makes a run again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/replay.h>

#include "base/bits.h"
#include "faults/world.h"

#define OPS           10000
#define GEOMETRY_OPS  1500
#define COMPARE_EVERY 50

struct pair {
	const char *built_in, *outside;
};

static const struct pair pairs[] = {
	{"ept4", OUTSIDE_EPT},
	{"arm-s2-4k", "arm-s2-4k-48-l0"},
	{"arm-s2-4k-40", "arm-s2-4k-40-l1"},
	{"arm-s2-4k-43", "arm-s2-4k-43-l1"},
	{"arm-s2-64k", "arm-s2-64k-48-l1"},
};

static uint64_t seed_of_run(void)
{
	const char *text = getenv("VMMU_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

static struct vmmu_digest digest_of(struct machine *machine)
{
	struct vmmu_digest digest;

	cr_assert_eq(vmmu_digest(machine->vm, &digest), 0);
	return digest;
}

/* The same tables, and the same noise on the way to them. */
static void expect_same(struct machine *a, struct machine *b)
{
	struct vmmu_digest digest_a = digest_of(a), digest_b = digest_of(b);
	struct vmmu_stats stats_a = machine_stats(a), stats_b = machine_stats(b);

	if (digest_a.high != digest_b.high || digest_a.low != digest_b.low)
		machine_fail(b, "the tables are not those of %s", a->info->name);
	if (memcmp(a->events, b->events, sizeof(a->events)) ||
	    memcmp(&stats_a, &stats_b, sizeof(stats_a)))
		machine_fail(b, "events or counters are not those of %s", a->info->name);
}

ParameterizedTestParameters(door, random_operations__same_tables)
{
	static unsigned indexes[] = {0, 1, 2, 3, 4};

	return cr_make_param_array(unsigned, indexes, ARRAY_COUNT(indexes));
}

ParameterizedTest(unsigned *index, door, random_operations__same_tables)
{
	const struct pair *pair = &pairs[*index];
	uint64_t seed = seed_of_run(), mapped = 0;
	struct world worlds[2] = {
		world_create(outside_index(pair->built_in), draw_from_seed(seed), 3),
		world_create(outside_index(pair->outside), draw_from_seed(seed), 3)};

	for (unsigned op = 1; op <= OPS; op++) {
		world_op(&worlds[0]);
		world_op(&worlds[1]);
		if (op % COMPARE_EVERY)
			continue;
		expect_same(worlds[0].machine, worlds[1].machine);
		mapped += machine_stats(worlds[0].machine).mapped[1];
	}
	cr_expect(mapped > OPS / COMPARE_EVERY, "%s: too little happened with VMMU_SEED=%llu",
		  pair->outside, (unsigned long long)seed);
	machine_destroy(worlds[0].machine);
	machine_destroy(worlds[1].machine);
}

static struct vmmu_replay_report replay(const char *name, const char *trace_name,
					const char *layout)
{
	struct vmmu_trace_options trace_options = {.size = sizeof(trace_options)};
	struct vmmu_replay_options options = {.size = sizeof(options),
					      .format = outside_find(name)};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char path[512], layout_path[512], error[256];

	snprintf(path, sizeof(path), VMMU_TEST_DATA "/traces/%s", trace_name);
	snprintf(layout_path, sizeof(layout_path), VMMU_TEST_DATA "/traces/%s",
		 layout ? layout : "");
	trace_options.layout = layout ? layout_path : NULL;
	cr_assert_not_null(options.format, "%s", name);
	cr_assert_eq(vmmu_trace_open(path, &trace_options, &trace, error, sizeof(error)), 0, "%s",
		     error);
	cr_assert_eq(vmmu_replay(trace, &options, &report), 0, "%s", vmmu_trace_error(trace));
	vmmu_trace_close(trace);
	return report;
}

/* The recorded traces of the project that map something. */
static const struct {
	const char *trace, *layout;
} traces[] = {
	{"x86-npf-linux6.1-seabios-32k.tracefs.txt.gz",
	 "x86-qemu7.2-i440fx-vga-kvm_set_user_memory.txt"},
	{"arm64-linux6.1.tracefs.txt.gz", "arm64-linux6.1.memslots.txt"},
	{"riscv64-linux6.12.tracefs.txt.gz", "riscv64-linux6.12.memslots.txt"},
	{"kvm-live/x86-6.1/direct/slots-and-dirty.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/slots-and-dirty.slots.txt"},
	{"kvm-live/x86-6.1/direct/huge-pages.tracefs.txt.gz",
	 "kvm-live/x86-6.1/direct/huge-pages.slots.txt"},
};

Test(door, recorded_traces__same_digest)
{
	for (unsigned i = 0; i < ARRAY_COUNT(pairs) * ARRAY_COUNT(traces); i++) {
		const struct pair *pair = &pairs[i % ARRAY_COUNT(pairs)];
		unsigned t = i / ARRAY_COUNT(pairs);
		struct vmmu_replay_report a = replay(pair->built_in, traces[t].trace,
						     traces[t].layout);
		struct vmmu_replay_report b = replay(pair->outside, traces[t].trace,
						     traces[t].layout);

		cr_expect_gt(a.outcomes[VMMU_FIXED], 0);
		cr_expect(!memcmp(a.outcomes, b.outcomes, sizeof(a.outcomes)));
		cr_expect(!memcmp(&a.stats, &b.stats, sizeof(a.stats)));
		cr_expect_eq(b.audit.violations, 0);
		cr_expect(a.digest.high == b.digest.high && a.digest.low == b.digest.low,
			  "%s: not the digest of %s", pair->outside, pair->built_in);
	}
}

/* One that is its own: no other engine to compare with, but a replay ends in a clean audit. */
Test(door, hostile_format__replays_with_a_clean_audit)
{
	for (unsigned t = 0; t < ARRAY_COUNT(traces); t++) {
		struct vmmu_replay_report report = replay("hostile", traces[t].trace,
							  traces[t].layout);

		cr_expect_gt(report.outcomes[VMMU_FIXED], 0);
		cr_expect_gt(report.audit.checked, 0);
		cr_expect_eq(report.audit.violations, 0);
	}
}

/* ---- every Arm geometry ---- */

ParameterizedTestParameters(door, arm_geometry__agrees_with_its_model)
{
	static unsigned indexes[64];
	unsigned count = 0;

	while (count < ARRAY_COUNT(indexes) && outside_at(OUTSIDE_GEOMETRIES + count)) {
		indexes[count] = OUTSIDE_GEOMETRIES + count;
		count++;
	}
	return cr_make_param_array(unsigned, indexes, count);
}

ParameterizedTest(unsigned *index, door, arm_geometry__agrees_with_its_model)
{
	unsigned levels = vmmu_format_info(outside_at(*index))->geometry->levels;
	struct world world;

	/* The world of the random test has large pages: one level has its own test below. */
	if (levels == 1)
		return;
	world = world_create(*index, draw_from_seed(seed_of_run() + *index), levels > 2 ? 3 : 2);
	for (unsigned op = 0; op < GEOMETRY_OPS; op++)
		world_op(&world);
	world_check_all(&world);
	cr_expect_gt(machine_stats(world.machine).faults[VMMU_FIXED], 0);
	machine_destroy(world.machine);
}

/* 25 bits from level 3: 16 root tables side by side, and pages in them. */
Test(door, root_that_holds_pages__works_to_both_ends)
{
	struct machine *machine = machine_create(outside_index("arm-s2-4k-25-l3"), NULL);
	uint64_t last = (UINT64_C(1) << 13) - 1;

	machine_slot(machine, 0, 0, 8, 0, 0);
	machine_slot(machine, 1, last - 7, 8, 8, 0);
	for (uint64_t gfn = 0; gfn < 8; gfn++) {
		machine_touch(machine, gfn, VMMU_WRITE);
		machine_touch(machine, last - gfn, VMMU_READ);
	}
	cr_expect_eq(machine_access(machine, 0, machine_gpa(machine, last + 1), VMMU_READ).end,
		     ACCESS_EMULATED);
	cr_expect_eq(machine_access(machine, 0, machine_gpa(machine, 100), VMMU_READ).end,
		     ACCESS_EMULATED);
	cr_expect_eq(machine_stats(machine).tables, 1);
	cr_expect_eq(machine_stats(machine).table_bytes, 1 << 16);
	cr_expect_eq(machine_stats(machine).mapped[1], 16);
	machine_check_leaves(machine);
	machine_slot_delete(machine, 0, 1);
	cr_expect_eq(machine_kind(machine, 0, last), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}
