/* SPDX-License-Identifier: MIT */
/*
 * strace's output as a layout. The lines were printed by strace 6.1, of a program that made the
 * calls on a file that is no VM; results were then changed by hand where a success is needed.
 */
#include "tracing/strace.h"

#include <errno.h>

#include "tracing/help.h"

#define REGION "KVM_SET_USER_MEMORY_REGION"
#define NOTTY  " = -1 ENOTTY (Inappropriate ioctl for device)"
#define SLOT_0 \
	"{slot=0, flags=0, guest_phys_addr=0, memory_size=655360, userspace_addr=0x7f1234500000}"
#define ROM                                                                 \
	"{slot=65538, flags=KVM_MEM_READONLY, guest_phys_addr=0xfffc0000, " \
	"memory_size=262144, userspace_addr=0x7f0000000000}"

static const struct {
	const char *text;
	enum strace_kind kind;
	struct strace_line line;
} lines[] = {
	{"ioctl(3, " REGION ", " SLOT_0 ")" NOTTY,
	 STRACE_CALL,
	 {.file = 3, .slot = {0, 0, 0, 0, 0xa0000, 0x7f1234500000}, .is_refused = true}},
	{"[pid  3523] 1795167914.634560 ioctl(3, " REGION ", " ROM ") = 0",
	 STRACE_CALL,
	 {.pid = 3523,
	  .time_ns = UINT64_C(1795167914634560000),
	  .file = 3,
	  .slot = {1, 2, 2, 0xfffc0000, 0x40000, 0x7f0000000000}}},
	{"3544  1795167914.669494 ioctl(12, " REGION ", " ROM " <unfinished ...>",
	 STRACE_CALL,
	 {.pid = 3544,
	  .time_ns = UINT64_C(1795167914669494000),
	  .file = 12,
	  .slot = {1, 2, 2, 0xfffc0000, 0x40000, 0x7f0000000000},
	  .is_unfinished = true}},
	{"09:45:14.641860 ioctl(3</dev/null>, " REGION
	 ", {slot=1, flags=KVM_MEM_LOG_DIRTY_PAGES|KVM_MEM_READONLY, guest_phys_addr=0, "
	 "memory_size=4096, userspace_addr=0x7000}) = 0",
	 STRACE_CALL,
	 {.file = 3, .slot = {0, 1, 3, 0, 0x1000, 0x7000}}},
	{"3 09:45:14 ioctl(9, " REGION ", " SLOT_0 ") = 0",
	 STRACE_CALL,
	 {.pid = 3, .file = 9, .slot = {0, 0, 0, 0, 0xa0000, 0x7f1234500000}}},
	{"     0.000148 ioctl(3, 0x4020ae46 /* " REGION " */, {slot=1, flags=0x3 "
	 "/* KVM_MEM_LOG_DIRTY_PAGES|KVM_MEM_READONLY */, guest_phys_addr=0x1000, "
	 "memory_size=4096, userspace_addr=0x7000}) = 0 <0.000063>",
	 STRACE_CALL,
	 {.file = 3, .slot = {0, 1, 3, 0x1000, 0x1000, 0x7000}}},
	{"ioctl(3, " REGION ", {slot=1, flags=0xc /* KVM_MEM_??? */, guest_phys_addr=0, "
	 "memory_size=0, userspace_addr=0x7000}) = 0",
	 STRACE_CALL,
	 {.file = 3, .slot = {0, 1, 0, 0, 0, 0x7000}}},
	{"ioctl(3, " REGION "2, {slot=1, flags=KVM_MEM_GUEST_MEMFD|KVM_MEM_LOG_DIRTY_PAGES, "
	 "guest_phys_addr=0x1000, memory_size=4096, userspace_addr=0x7000, "
	 "guest_memfd_offset=0, guest_memfd=5}) = 0",
	 STRACE_CALL,
	 {.file = 3, .slot = {0, 1, 1, 0x1000, 0x1000, 0x7000}}},
	{"ioctl(3, _IOC(_IOC_WRITE, 0xae, 0x49, 0xa0), 0x7ffe507998e0) = 0",
	 STRACE_BLIND,
	 {.file = 3}},
	{"ioctl(3, " REGION ", 0x1) = -1 EFAULT (Bad address)",
	 STRACE_BLIND,
	 {.file = 3, .is_refused = true}},
	{"[pid 7] <... ioctl resumed>) = -1 EEXIST (File exists)",
	 STRACE_RESUMED,
	 {.pid = 7, .is_refused = true}},
	{"7 1795167914.634709 <... ioctl resumed>) = 0 <0.000131>",
	 STRACE_RESUMED,
	 {.pid = 7, .time_ns = UINT64_C(1795167914634709000)}},
	{"write(4, \"slot 1 40000000 200000 0 and muc\"..., 44) = 44",
	 STRACE_MARK,
	 {.mark = "slot 1 40000000 200000 0 and muc"}},
	{"write(4</sys/kernel/tracing/trace_marker>, \"say \\\"x\\\" \\\\ y\\nmore\", 12) = 12",
	 STRACE_MARK,
	 {.mark = "say \"x\" \\ y"}},
	{"write(4</tmp/log>, \"slot 1\", 6) = 6", STRACE_OTHER, {0}},
	{"write(4, \"\\1\\0\", 2) = 2", STRACE_OTHER, {0}},
	{"strace: Process 3524 attached", STRACE_OTHER, {0}},
	{"[pid 12", STRACE_OTHER, {.pid = 12}},
	{"ioctl(", STRACE_OTHER, {0}},
	{"", STRACE_OTHER, {0}},
	{"ioctl(3, " REGION ", {slot=99999999999, flags=0, guest_phys_addr=0, memory_size=1, "
	 "userspace_addr=0x7000}) = 0",
	 STRACE_BLIND,
	 {.file = 3}},
};

Test(strace, every_kind_of_line__is_read)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const struct strace_line *want = &lines[i].line;
		struct strace_line line;

		cr_expect_eq(strace_split(lines[i].text, &line), lines[i].kind, "%s",
			     lines[i].text);
		cr_expect_eq(line.pid, want->pid, "%s", lines[i].text);
		cr_expect_eq(line.time_ns, want->time_ns, "%s", lines[i].text);
		cr_expect_eq(line.file, want->file, "%s", lines[i].text);
		cr_expect_eq(line.is_unfinished, want->is_unfinished, "%s", lines[i].text);
		cr_expect_str_eq(line.mark, want->mark);
		if (lines[i].kind == STRACE_BLIND)
			continue;
		cr_expect(help_is_same_slot(&line.slot, &want->slot), "%s", lines[i].text);
		cr_expect_eq(line.is_refused, want->is_refused, "%s", lines[i].text);
	}
}

#define CALL(file, id, bytes, end)                                                               \
	"ioctl(" file ", " REGION ", {slot=" id                                                  \
	", flags=0, guest_phys_addr=0x200000, memory_size=" bytes ", userspace_addr=0x7000}" end \
	"\n"
#define EVENT(time)      "q-1 [000] ..... " time ": kvm_fpu: load\n"
#define MARK(time, text) "q-1 [000] ..... " time ": tracing_mark_write: " text "\n"

static void expect_slot(struct vmmu_trace *trace, unsigned id, uint64_t bytes)
{
	struct vmmu_trace_event event = help_next(trace);

	cr_expect_eq(event.kind, VMMU_TRACE_SLOT, "%s %s", event.name, event.text);
	cr_expect_eq(event.slot.id, id);
	cr_expect_eq(event.slot.bytes, bytes);
	cr_expect_eq(event.slot.hva, 0x7000);
}

static void expect_other(struct vmmu_trace *trace)
{
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_OTHER);
}

static void expect_end(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event;

	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
}

Test(strace, without_times_or_marks__calls_come_first)
{
	struct vmmu_trace *trace =
		help_open_all(EVENT("1.0") EVENT("2.0"),
			      "open(\"/dev/kvm\") = 3\n" CALL("9", "0", "4096", ") = 0")
				      CALL("9", "1", "8192", ") = -1 EEXIST (File exists)")
					      CALL("9", "0", "0", ") = 0"),
			      VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 4096);
	expect_slot(trace, 0, 0);
	expect_other(trace);
	expect_other(trace);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(refused slot call)", NULL), 1);
	cr_expect_eq(help_count(trace, "(other layout line)", NULL), 1);
	vmmu_trace_close(trace);
}

Test(strace, marks_in_both__say_where_calls_go)
{
	struct vmmu_trace *trace = help_open_all(
		EVENT("1.0") MARK("1.1", "about to map the second bank of memory") EVENT("1.2")
			MARK("1.3", "not in strace") EVENT("1.4") MARK("1.5", "done") EVENT("1.6"),
		CALL("9", "0", "4096",
		     ") = 0") "write(4, \"about to map the second bank of \"..., "
			      "39) = 39\n" CALL(
				      "9", "1", "8192",
				      ") = 0") "write(4, \"done\\n\", 5) = 5\n" CALL("9", "1", "0",
										     ") = 0"),
		VMMU_SEMANTICS_AUTO);

	for (int round = 0; round < 2; round++) {
		expect_slot(trace, 0, 4096);
		expect_other(trace);
		expect_other(trace);
		expect_slot(trace, 1, 8192);
		expect_other(trace);
		expect_other(trace);
		expect_other(trace);
		expect_other(trace);
		expect_slot(trace, 1, 0);
		expect_other(trace);
		expect_end(trace);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

Test(strace, times_since_1970_in_both__merge_by_time)
{
	struct vmmu_trace *trace = help_open_all(
		EVENT("1700000000.5") EVENT("1700000000.7"),
		"1700000000.400000 " CALL("9", "0", "4096", ") = 0") "1700000000.600000 " CALL(
			"9", "1", "8192", ") = 0"),
		VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 4096);
	expect_other(trace);
	expect_slot(trace, 1, 8192);
	expect_other(trace);
	expect_end(trace);
	vmmu_trace_close(trace);
}

/* Differences (-r) are no times, although they look like a young machine's clock. */
Test(strace, times_since_the_line_before__are_not_used)
{
	struct vmmu_trace *trace = help_open_all(
		EVENT("1.5") EVENT("1.7"),
		"     1.400000 " CALL("9", "0", "4096",
				      ") = 0") "     1.600000 " CALL("9", "1", "8192", ") = 0"),
		VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 4096);
	expect_slot(trace, 1, 8192);
	expect_other(trace);
	vmmu_trace_close(trace);
}

Test(strace, call_cut_in_two__has_the_result_of_its_thread)
{
	struct vmmu_trace *trace = help_open_all(
		EVENT("1.0"),
		"[pid 5] " CALL("9", "0", "4096", " <unfinished ...>") "[pid 6] " CALL(
			"9", "1", "4096", " <unfinished ...>") "[pid 5] <... ioctl resumed>) = -1 "
							       "EINVAL (Invalid argument)\n"
							       "[pid 6] <... ioctl resumed>) = 0\n"
							       "[pid 5] <... ioctl resumed>) = -1 "
							       "EINVAL (Invalid argument)\n",
		VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 1, 4096);
	expect_other(trace);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(refused slot call)", NULL), 1);
	vmmu_trace_close(trace);
}

Test(strace, calls_of_another_vm_and_unreadable_ones__are_counted)
{
	bool is_understood = true;
	struct vmmu_trace *trace = help_open_all(
		EVENT("1.0"),
		CALL("9", "0", "4096", ") = 0") CALL("10", "0", "8192", ") = 0") "ioctl(9, " REGION
										 ", 0x1) = 0\n",
		VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 4096);
	expect_other(trace);
	expect_end(trace);
	cr_expect_eq(
		help_count(trace, "(slot call without arguments or of another VM)", &is_understood),
		2);
	cr_expect_not(is_understood);
	vmmu_trace_close(trace);
}

Test(strace, nothing_but_unreadable_calls__is_refused_and_says_why)
{
	struct vmmu_trace_options options = {.size = sizeof(options)};
	char path[HELP_PATH_BYTES], layout[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;
	static const char text[] = "ioctl(9, " REGION ", 0x1) = 0\n";

	help_file(path, EVENT("1.0"), sizeof(EVENT("1.0")) - 1);
	help_file(layout, text, sizeof(text) - 1);
	options.layout = layout;
	cr_expect_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), -ENOEXEC);
	cr_expect(strstr(error, ":1: strace did not print the arguments of the slot calls"), "%s",
		  error);
	unlink(path);
	unlink(layout);
}
