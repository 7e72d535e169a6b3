/* SPDX-License-Identifier: MIT */
/* A replay whose tables are broken behind its back (saboteur.c): what is said, and exit code 1. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "tools/run.h"

#define SCRIPT VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/mmio"
#define REPLAY "replay --layout " SCRIPT ".slots.txt " SCRIPT ".tracefs.txt.gz"

static struct run run;

static void replay(const char *sabotage, const char *arguments)
{
	setenv("SABOTAGE", sabotage, 1);
	run_vmmu(&run, NULL, arguments);
}

Test(sabotage, tables_left_alone__exit_0)
{
	replay("nothing", REPLAY);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(strstr(run.out, "0 violations") != NULL, "%s", run.out);
	replay("nothing", REPLAY " --repeat 2");
	cr_expect(eq(int, run.code, 0), "%s", run.err);
}

Test(sabotage, entry_lost_before_the_audit__exits_1_with_what_was_found)
{
	replay("audit", REPLAY);
	cr_expect(eq(int, run.code, 1), "%s", run.err);
	cr_expect(strstr(run.err, "audit: ") != NULL, "%s", run.err);
	cr_expect(strstr(run.out, "0 violations") == NULL, "%s", run.out);
	cr_expect(strstr(run.out, " violation") != NULL, "%s", run.out);
	/* Not even --quiet keeps it quiet. */
	replay("audit", REPLAY " --quiet");
	cr_expect(eq(int, run.code, 1), "%s", run.err);
	cr_expect(eq(str, run.out, ""));
	cr_expect(strstr(run.err, "audit: ") != NULL, "%s", run.err);
	replay("audit", REPLAY " --json");
	cr_expect(eq(int, run.code, 1), "%s", run.err);
	cr_expect(strstr(run.out, "\"violations\"") != NULL, "%s", run.out);
}

Test(sabotage, entry_lost_in_the_second_run__exits_1_as_not_repeatable)
{
	replay("digest", REPLAY " --repeat 2");
	cr_expect(eq(int, run.code, 1), "%s", run.err);
	cr_expect(strstr(run.err, "two runs gave different tables") != NULL, "%s", run.err);
	/* Nobody was to compare anything. */
	replay("digest", REPLAY);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
}
