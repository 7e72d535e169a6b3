/* SPDX-License-Identifier: MIT */
/* A replay whose tables are broken behind its back (saboteur.c): what is said, and exit code 1. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/run.h"

#define SCRIPT VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/mmio"
#define REPLAY "replay --layout " SCRIPT ".slots.txt " SCRIPT ".tracefs.txt.gz"

/* A trace of one vCPU, without host lines: by threads its faults go one after the other. */
#define THREADS                                                  \
	"replay --threads 4 --layout " VMMU_TEST_DATA            \
	"/traces/riscv64-linux6.12.memslots.txt " VMMU_TEST_DATA \
	"/traces/riscv64-linux6.12.tracefs.txt.gz"

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

/* What the last run said on its line NAME. */
static void said(const char *name, char *line, size_t bytes)
{
	const char *at = strstr(run.out, name);

	cr_assert(at != NULL, "%s", run.out);
	snprintf(line, bytes, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
}

Test(sabotage, faults_told_to_try_again__are_and_give_the_same_tables)
{
	char expected[128], digest[128], threads[128];

	replay("nothing", THREADS);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	said("\ndigest", expected, sizeof(expected));
	said("\nthreads", threads, sizeof(threads));
	cr_expect(strstr(threads, " 0 tried again") != NULL, "%s", threads);
	replay("retry", THREADS);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	said("\ndigest", digest, sizeof(digest));
	said("\nthreads", threads, sizeof(threads));
	cr_expect(eq(str, digest, expected));
	cr_expect(eq(sz, strlen(digest), 15 + 32), "%s", digest);
	cr_expect(strstr(threads, " 0 tried again") == NULL, "%s", threads);
}

Test(sabotage, faults_that_never_get_on__end_as_retry)
{
	replay("stuck", THREADS);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(strstr(run.out, "retry 1207") != NULL, "%s", run.out);
}

Test(sabotage, thread_that_cannot_be_had__exits_70)
{
	replay("thread", THREADS);
	cr_expect(eq(int, run.code, 70), "%s", run.out);
	cr_expect(strstr(run.err, "emporarily unavailable") != NULL, "%s", run.err);
}
