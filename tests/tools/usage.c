/* SPDX-License-Identifier: MIT */
/* What the command says and returns when it is used wrongly or given what it cannot read. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/run.h"

#define TRACES    VMMU_TEST_DATA "/traces/"
#define ARM_TRACE TRACES "arm64-linux6.1.tracefs.txt.gz"

static struct run run;

static void expect(const char *arguments, int code, const char *said)
{
	run_vmmu(&run, NULL, arguments);
	cr_expect(eq(int, run.code, code), "vmmu %s: %s", arguments, run.err);
	cr_expect(strstr(run.err, said) != NULL, "vmmu %s: '%s' is not in: %s", arguments, said,
		  run.err);
	if (code)
		cr_expect(eq(str, run.out, ""), "vmmu %s", arguments);
}

Test(usage, wrong_command_or_option__exits_2_and_says_which)
{
	expect("", 2, "Usage: vmmu COMMAND");
	expect("bogus", 2, "no command 'bogus'");
	expect("replay", 2, "a TRACE is required");
	expect("replay --bogus x", 2, "--bogus");
	expect("replay a b", 2, "one TRACE only");
	expect("replay --format ept9 x", 2, "no format 'ept9'");
	expect("replay --max-level 0 x", 2, "not '0'");
	expect("replay --max-level 6 x", 2, "not '6'");
	expect("replay --max-level -1 x", 2, "not '-1'");
	expect("replay --repeat 1x x", 2, "not '1x'");
	expect("replay --threads 0 x", 2, "not '0'");
	expect("replay --threads 65 x", 2, "not '65'");
	expect("replay --threads 2 --compare x", 2, "no --threads");
	expect("replay --threads 2 --repeat 2 x", 2, "no --threads");
	expect("replay --backing 3m x", 2, "--backing does not take '3m'");
	expect("replay --mode shadow x", 2, "--mode does not take 'shadow'");
	expect("replay --fault-semantics tdp x", 2, "--fault-semantics does not take 'tdp'");
	expect("formats x", 2, "no format 'x'");
	expect("formats arm-s2-4k-99-l0", 2, "no format 'arm-s2-4k-99-l0'");
	expect("walk 0x1000", 2, "are required");
	expect("walk --tables x 0x1000z", 2, "no guest-physical address");
	expect("walk --tables x 1 2", 2, "no guest-physical address");
	expect("walk --tables x --as 2 0", 2, "--as takes 0 or 1");
	expect("dump", 2, "a FILE is required");
	expect("dump a b", 2, "one FILE only");
}

Test(usage, level_that_the_format_has_no_page_for__exits_2)
{
	expect("replay --format arm-s2-4k --max-level 4 " ARM_TRACE, 2, "--max-level");
}

Test(usage, file_that_cannot_be_opened__exits_66)
{
	expect("replay /nonexistent/trace", 66, "/nonexistent/trace");
	expect("replay /tmp", 66, "irectory");
	expect("replay --layout /nonexistent/layout " ARM_TRACE, 66, "/nonexistent/layout");
	expect("replay --dump-tables /nonexistent/x " ARM_TRACE, 66, "/nonexistent/x");
	expect("dump /nonexistent/tables", 66, "/nonexistent/tables");
	expect("dump /tmp", 66, "not a regular file");
	expect("walk --tables /nonexistent/tables 0", 66, "/nonexistent/tables");
}

Test(usage, input_that_is_no_trace__exits_65_with_file_and_line)
{
	char text[256];
	const char *path;

	expect("replay /dev/null", 65, "/dev/null:1:");
	path = run_file("\x7f"
			"ELF\1\1\1\0\0\0\0",
			11);
	snprintf(text, sizeof(text), "replay %s", path);
	expect(text, 65, path);
	path = run_file("one line of prose\nand another one\n", 34);
	snprintf(text, sizeof(text), "replay %s", path);
	expect(text, 65, path);
	snprintf(text, sizeof(text), "replay --layout %s " ARM_TRACE, path);
	expect(text, 65, path);
}

Test(usage, gzip_cut_short__exits_65)
{
	static char bytes[16384];
	FILE *in = fopen(ARM_TRACE, "rb");
	char text[256];
	size_t size;

	cr_assert(in != NULL);
	size = fread(bytes, 1, 9000, in);
	fclose(in);
	cr_assert(eq(sz, size, 9000));
	snprintf(text, sizeof(text), "replay %s", run_file(bytes, size));
	expect(text, 65, ":");
}

Test(usage, trace_without_faults__exits_65_and_a_format_makes_it_replay)
{
	static const char line[] =
		"  vmm-1  [000] d.... 1.000001: kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 0 "
		"used_pages 7\n";
	const char *path = run_file(line, sizeof(line) - 1);
	char text[256];

	snprintf(text, sizeof(text), "replay %s", path);
	expect(text, 65, "--format");
	snprintf(text, sizeof(text), "replay --format sv48x4 %s", path);
	run_vmmu(&run, NULL, text);
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(strstr(run.out, "0 replayed") != NULL);
}

Test(usage, standard_input__replays_as_a_file_does)
{
	run_vmmu(&run, ARM_TRACE, "replay -");
	cr_expect(eq(int, run.code, 0), "%s", run.err);
	cr_expect(strstr(run.out, "285 replayed") != NULL, "%s", run.out);
}

Test(usage, quiet__prints_nothing)
{
	run_vmmu(&run, NULL, "replay -q " ARM_TRACE);
	cr_expect(eq(int, run.code, 0));
	cr_expect(eq(str, run.out, ""));
	cr_expect(eq(str, run.err, ""));
}

Test(usage, help_and_version__exit_0)
{
	run_vmmu(&run, NULL, "--help");
	cr_expect(eq(int, run.code, 0));
	cr_expect(strstr(run.out, "walk") != NULL);
	run_vmmu(&run, NULL, "--version");
	cr_expect(eq(int, run.code, 0));
	cr_expect(eq(str, run.out, "vmmu " VMMU_VERSION "\n"));
	run_vmmu(&run, NULL, "dump --help");
	cr_expect(eq(int, run.code, 0));
	cr_expect(strstr(run.out, "Usage: vmmu dump") != NULL);
}

Test(usage, output_that_cannot_be_written__exits_70)
{
	cr_expect(eq(int, run_vmmu_into("/dev/full", "formats"), 70));
	cr_expect(eq(int, run_vmmu_into("/dev/full", "replay " ARM_TRACE), 70));
}
