// SPDX-License-Identifier: MIT
/*
 * How many flushes each operation asks for, and which of them nothing needed: the sheets' tables of
 * what a change needs, operation by operation.
 *
 * 	not present -> present      x86, Arm: nothing; RISC-V: a fence of the hart that faulted
 * 	permission added            x86: nothing; RISC-V: a fence of that hart; Arm: TLBI
 * 	anything taken away         everywhere, at once
 * 	valid -> other valid        Arm: flushed in between, and once
 * 	accessed cleared            nothing (vmmu/age.h)
 *
 * Two are asked for by rule, whether or not an entry changed (catalogue part 2, rules 12 and 13):
 * logging begins, dirty pages are reported. A hart's own fence after a fault that had to flush
 * everywhere finds nothing left.
 */
#include "machine/scenarios.h"

enum arch {
	X86,
	RISCV,
	ARM,
	ARCHES
};

/* By architecture. */
struct row {
	const char *scenario;
	unsigned remote[ARCHES], needless_remote[ARCHES];
	unsigned local, needless_local; /* RISC-V; the others have none */
};

static const struct row rows[] = {
	{"map", {0, 0, 0}, {0, 0, 0}, 1, 0},
	{"zap", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"zap-three", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"zap-large", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"zap-unmapped", {0, 0, 0}, {0, 0, 0}, 0, 0},
	{"log", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"log-unmapped", {1, 1, 1}, {1, 1, 1}, 0, 0},
	{"dirty", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"dirty-clean", {0, 0, 0}, {0, 0, 0}, 0, 0},
	{"dirty-gone", {1, 1, 1}, {1, 1, 1}, 0, 0},
	{"write", {0, 0, 1}, {0, 0, 0}, 1, 0},
	{"split", {1, 1, 1}, {0, 0, 0}, 1, 1},
	{"log-large", {1, 1, 1}, {0, 0, 0}, 0, 0},
	/* the split breaks; the pages then lose WRITE */
	{"eager-split", {1, 1, 2}, {0, 0, 0}, 0, 0},
	{"collapse", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"merge", {1, 1, 1}, {0, 0, 0}, 1, 1},
	{"quota", {1, 1, 1}, {0, 0, 0}, 1, 1},
	{"remap", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"zap-all", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"delete", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"age", {0, 0, 0}, {0, 0, 0}, 0, 0},
	{"age-and-zap", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"cut", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"unmap-page", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"unmap-three", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"unmap-table", {1, 1, 1}, {0, 0, 0}, 0, 0},
	/* the split breaks; the pages then lose rights */
	{"protect-part", {1, 1, 2}, {0, 0, 0}, 0, 0},
	{"write-protect-table", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"write-protect-three", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"write-protect-page", {1, 1, 1}, {0, 0, 0}, 0, 0},
	{"write-allow", {0, 0, 1}, {0, 0, 0}, 0, 0},
	{"ranges-write", {0, 0, 1}, {0, 0, 0}, 1, 0},
	{"grant-exec", {0, 0, 1}, {0, 0, 0}, 0, 0},
	{"reuse", {1, 1, 1}, {0, 0, 0}, 0, 0},
};

static void add_count(void *ctx, const struct vmmu_flush_count *count)
{
	struct vmmu_flush_count *sum = ctx;

	sum->remote += count->remote;
	sum->local += count->local;
	sum->needless_remote += count->needless_remote;
	sum->needless_local += count->needless_local;
}

static struct vmmu_flush_count counts(const struct stand *stand)
{
	struct vmmu_flush_count sum = {0};

	vmmu_machine_flush_counts(stand->machine, add_count, &sum);
	return sum;
}

static enum arch arch_of(const struct stand *stand)
{
	switch (vmmu_cpu_registers(stand->cpu[0])->arch) {
	case VMMU_HW_RISCV:
		return RISCV;
	case VMMU_HW_ARM64:
		return ARM;
	default:
		return X86;
	}
}

static void check_row(const struct vmmu_format *format, const struct row *row)
{
	struct stand *stand = scenario_make(scenario_find(row->scenario), format,
					    (struct stand_options){.has_events = true});
	struct vmmu_flush_count before = counts(stand), after;
	enum arch arch = arch_of(stand);
	bool is_riscv = arch == RISCV;

	scenario_find(row->scenario)->act(stand);
	after = counts(stand);
	cr_assert_eq(after.remote - before.remote, row->remote[arch], "%s: %s: %d",
		     stand->info->name, row->scenario, (int)(after.remote - before.remote));
	cr_assert_eq(after.needless_remote - before.needless_remote, row->needless_remote[arch],
		     "%s: %s", stand->info->name, row->scenario);
	cr_assert_eq(after.local - before.local, is_riscv ? row->local : 0, "%s: %s",
		     stand->info->name, row->scenario);
	cr_assert_eq(after.needless_local - before.needless_local,
		     is_riscv ? row->needless_local : 0, "%s: %s", stand->info->name,
		     row->scenario);
	stand_end(stand);
}

STAND_TEST(needless, flushes_of_each_operation__as_the_manuals_ask)
{
	unsigned count = 0;

	for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
		count++;
	cr_assert_eq(count, sizeof(rows) / sizeof(rows[0]), "each scenario has its row");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(vmmu_format_at(*index), &rows[i]);
}
