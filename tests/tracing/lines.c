/* SPDX-License-Identifier: MIT */
/* Columns of the three tools, and lines that are no event. */
#include "tracing/line.h"

#include "tracing/help.h"

/* One row per way to write a line; lines are from recordings, comm and flags changed by hand. */
static const struct {
	const char *text;
	const char *name, *rest;
	uint64_t pid, time_ns;
	unsigned marks;
} columns[] = {
	{" qemu-system-x86-188     [000] .....    51.893963: kvm_exit: vcpu 0", "kvm_exit",
	 "vcpu 0", 188, 51893963000, LINE_HAS_DASH | LINE_HAS_FLAGS},
	{" qemu-system-x86-188 [000] ...1 51.893963: kvm_exit: vcpu 0", "kvm_exit", "vcpu 0", 188,
	 51893963000, LINE_HAS_DASH | LINE_HAS_FLAGS},
	{"  qemu-188 [000] 51.893963: kvm_exit: vcpu 0", "kvm_exit", "vcpu 0", 188, 51893963000,
	 LINE_HAS_DASH},
	{"       CPU 0/KVM-995362 [016] 55709.716253: kvm_fpu: load", "kvm_fpu", "load", 995362,
	 UINT64_C(55709716253000), LINE_HAS_DASH},
	{"  <...>-1946910 [226] ...1. 324797.313982: kvm_fpu: load", "kvm_fpu", "load", 1946910,
	 UINT64_C(324797313982000), LINE_HAS_DASH | LINE_HAS_FLAGS},
	{" a [9] b-c-77 [001] d..21 1.5: kvm_fpu: load", "kvm_fpu", "load", 77, 1500000000,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
	{" a: b-77 (   70) [001] ..... 1.5: kvm_fpu: load", "kvm_fpu", "load", 77, 1500000000,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
	{" qemu-system-x86-290   [000]    70.985912: kvm_fpu:              unload", "kvm_fpu",
	 "unload", 290, 70985912000, LINE_HAS_DASH | LINE_HAS_COLUMN},
	{" qemu-290   [000] d..1. 70.985912345: kvm_fpu:              unload", "kvm_fpu", "unload",
	 290, 70985912345, LINE_HAS_DASH | LINE_HAS_COLUMN | LINE_HAS_FLAGS},
	{" qemu-system-x86   176 [000]    24.149233:        kvm:kvm_fpu: load", "kvm_fpu", "load",
	 176, 24149233000, LINE_HAS_SYSTEM},
	{" CPU 0/KVM   176/179 [000]    24.149233:  kvmmmu:kvm_mmu_zap_all_fast: x",
	 "kvm_mmu_zap_all_fast", "x", 179, 24149233000, LINE_HAS_SYSTEM},
	{" qemu 176    24.149233:  kvm:kvm_fpu: load", "kvm_fpu", "load", 176, 24149233000,
	 LINE_HAS_SYSTEM},
	{"179.182896: kvm_entry:  PC: 0x802c1f24", "kvm_entry", "PC: 0x802c1f24", 0,
	 UINT64_C(179182896000), LINE_HAS_COLUMN},
	{"> >  qemu-188 [000] ..... 51.893963: kvm_fpu: load", "kvm_fpu", "load", 188, 51893963000,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
	{"qemu-188 [000] ..... 123456789: kvm_fpu: load", "kvm_fpu", "load", 188, 123456789,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
	{"qemu-188 [000] ..... 1.0: kvm_pml_full:", "kvm_pml_full", "", 188, 1000000000,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
	{"\xef\xbb\xbfqemu-188 [000] ..... 1.0: kvm_fpu: load", "kvm_fpu", "load", 188, 1000000000,
	 LINE_HAS_DASH | LINE_HAS_FLAGS},
};

Test(lines, columns_of_every_tool__are_told_apart)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		struct line line;

		cr_assert_eq(line_split(columns[i].text, &line), LINE_EVENT, "%s", columns[i].text);
		cr_expect_eq(line.name_bytes, strlen(columns[i].name), "%s", columns[i].text);
		cr_expect(!strncmp(line.name, columns[i].name, line.name_bytes), "%s",
			  columns[i].text);
		cr_expect_str_eq(line.text, columns[i].rest, "%s", columns[i].text);
		cr_expect_eq(line.pid, columns[i].pid, "%s: %u", columns[i].text, line.pid);
		cr_expect_eq(line.time_ns, columns[i].time_ns, "%s: %lu", columns[i].text,
			     line.time_ns);
		cr_expect_eq(line.marks, columns[i].marks, "%s: %x", columns[i].text, line.marks);
	}
}

static const struct {
	const char *text;
	enum line_kind kind;
} others[] = {
	{"", LINE_EMPTY},
	{"   \t", LINE_EMPTY},
	{"> ", LINE_EMPTY},
	{"# tracer: nop", LINE_TRACER},
	{"#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION", LINE_COMMENT},
	{"##### CPU 1 buffer started ####", LINE_COMMENT},
	{"cpus=48", LINE_HEADER},
	{"version = 6", LINE_HEADER},
	{"CPU 3 is empty", LINE_HEADER},
	{"   vm-6434    [059] ....   234.587044: <stack trace>", LINE_STACK},
	{" => __handle_changed_spte", LINE_STACK},
	{"=> kvm_mmu_zap_all (ffffffffc0a1)", LINE_STACK},
	{"\tffffffffc0a12345 kvm_mmu_zap_all+0x12 ([kvm])", LINE_STACK},
	{"CPU:1 [LOST 1234 EVENTS]", LINE_LOST},
	{"CPU:0 [3 EVENTS DROPPED]", LINE_LOST},
	{"....", LINE_UNKNOWN},
	{"and here it hangs", LINE_UNKNOWN},
	{"qemu-188 [000] ..... nonsense: kvm_fpu: load", LINE_UNKNOWN},
	{"qemu-188 [000] ..... 1.0: text without a name", LINE_UNKNOWN},
	{"qemu-188 [000] ..... 99999999999999999999.0: kvm_fpu: load", LINE_UNKNOWN},
	{"[", LINE_UNKNOWN},
	{"[1]", LINE_UNKNOWN},
	{"[1] 1.0:", LINE_UNKNOWN},
	{"kvm_exit:             reason EXIT_RSM rip 0x7ffbb280 info 0 0", LINE_NAME},
	{"  kvm_smm_transition:   vcpu 0: leaving SMM, smbase 0x7ffb3000", LINE_NAME},
	{"  kvm_emulate_insn:     0:7ffbb280: 0f aa", LINE_NAME},
};

Test(lines, lines_that_are_no_event__are_known_by_kind)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct line line;

		cr_expect_eq(line_split(others[i].text, &line), others[i].kind, "%s: %d",
			     others[i].text, line_split(others[i].text, &line));
	}
}

static const struct {
	const char *text;
	enum vmmu_trace_syntax syntax;
} syntaxes[] = {
	{"# tracer: nop\n#\n", VMMU_SYNTAX_TRACEFS},
	{"q-1 [000] ..... 1.0: kvm_fpu: load\n", VMMU_SYNTAX_TRACEFS},
	{"# tracer: nop\nq-1 [000] 1.0: kvm_fpu: load\n", VMMU_SYNTAX_TRACEFS},
	{"cpus=2\nq-1 [000] 1.0: kvm_mmu_spte_requested: gfn 1\n", VMMU_SYNTAX_TRACE_CMD},
	{"q-1 [000] 1.0: kvm_fpu:              load\n", VMMU_SYNTAX_TRACE_CMD},
	{"q-1 [000] d..1. 1.0: kvm_fpu:              load\n", VMMU_SYNTAX_TRACE_CMD},
	{"q 1 [000] 1.0: kvm:kvm_fpu: load\n", VMMU_SYNTAX_PERF},
};

Test(lines, content__tells_the_tool)
{
	for (size_t i = 0; i < sizeof(syntaxes) / sizeof(*syntaxes); i++) {
		struct vmmu_trace *trace = help_open(syntaxes[i].text);

		cr_expect_eq(vmmu_trace_syntax(trace), syntaxes[i].syntax, "%s: %s",
			     syntaxes[i].text, vmmu_syntax_name(vmmu_trace_syntax(trace)));
		vmmu_trace_close(trace);
	}
}

Test(lines, every_line__is_counted_by_kind)
{
	struct vmmu_trace *trace = help_open(
		"# tracer: nop\n#\n\nq-1 [000] ..... 1.0: kvm_fpu: load\n"
		"q-1 [000] ..... 1.1: kvm_fpu: unload\nwrapped half of a line\n"
		"q-1 [000] ..... 1.1: one:two:kvm_fpu: unload\n"
		"CPU:1 [LOST 9 EVENTS]\n"
		"q-1 [000] ..... 1.2: kvm_page_fault: vcpu 0 rip 0x1 address 0x\n"
		"q-1 [000] ..... 1.3: kvm_page_fault: vcpu 0 rip 0x1 addr\n");
	uint64_t kinds[VMMU_TRACE_KINDS];
	struct vmmu_trace_count first;
	bool understood = true;

	help_kinds(trace, kinds);
	cr_expect_eq(kinds[VMMU_TRACE_OTHER], 2);
	cr_expect_eq(help_count(trace, "(comment)", &understood), 2);
	cr_expect(understood);
	cr_expect_eq(help_count(trace, "(empty line)", NULL), 1);
	cr_expect_eq(help_count(trace, "kvm_fpu", NULL), 2);
	cr_expect_eq(help_count(trace, "(unparsed line)", &understood), 2);
	cr_expect_not(understood);
	cr_expect_eq(help_count(trace, "(lost events)", &understood), 1);
	cr_expect_not(understood);
	cr_expect_eq(help_count(trace, "kvm_page_fault (not understood)", &understood), 2);
	cr_expect_not(understood);
	cr_expect_eq(help_count(trace, "kvm_page_fault", NULL), 0);
	cr_assert(vmmu_trace_count_at(trace, 0, &first));
	cr_expect_str_eq(first.name, "(comment)");
	cr_expect_not(vmmu_trace_count_at(trace, 6, &first));
	vmmu_trace_close(trace);
}

/* 10,000 names: all are counted, in a bounded table. */
Test(lines, endless_new_names__share_one_count)
{
	char *text = malloc(10000 * 64), *at = text;
	struct vmmu_trace *trace;
	struct vmmu_trace_count count;
	uint64_t kinds[VMMU_TRACE_KINDS], sum = 0;
	unsigned entries = 0;

	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "q-1 [000] ..... 1.0: name_%d: x\n", i);
	trace = help_open(text);
	help_kinds(trace, kinds);
	cr_expect_eq(kinds[VMMU_TRACE_OTHER], 10000);
	for (; vmmu_trace_count_at(trace, entries, &count); entries++)
		sum += count.count;
	cr_expect_eq(sum, 10000);
	cr_expect_leq(entries, 4096);
	cr_expect_eq(help_count(trace, "(other names)", NULL), 10000 - 4095);
	vmmu_trace_close(trace);
	free(text);
}
