/* SPDX-License-Identifier: MIT */
/* Layout files: the forms of a slot call, and where among the events the calls go. */
#include "tracing/layout.h"

#include <errno.h>

#include "tracing/help.h"

static const struct {
	const char *text;
	struct vmmu_slot slot;
	bool is_refused;
} forms[] = {
	{"kvm_set_user_memory Slot#1 flags=0x2 gpa=0xfffc0000 size=0x40000 ua=0x7fe8ef200000 ret=0",
	 {0, 1, 2, 0xfffc0000, 0x40000, 0x7fe8ef200000},
	 false},
	{"kvm_set_user_memory Slot#65538 flags=0x2 gpa=0xfffc0000 size=0x40000 ua=0x7f91a7000000 "
	 "ret=0",
	 {1, 2, 2, 0xfffc0000, 0x40000, 0x7f91a7000000},
	 false},
	{("kvm_set_user_memory AddrSpace#1 Slot#2 flags=0x4 gpa=0x0 size=0x1000 ua=0x7f00 "
	  "guest_memfd=12 guest_memfd_offset=0x0 ret=0"),
	 {1, 2, 4, 0, 0x1000, 0x7f00},
	 false},
	{"176@51.616160:kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x0 ua=0x7fe8e1e00000 "
	 "ret=0",
	 {0, 0, 0, 0, 0, 0x7fe8e1e00000},
	 false},
	{"kvm_set_user_memory Slot#1 flags=0x0 gpa=0x1000 size=0x1000 ua=0x7f00 ret=-22",
	 {0, 1, 0, 0x1000, 0x1000, 0x7f00},
	 true},
	{"MEMSLOT slot=2 flags=2 gpa=0xa0000000 size=0x400000 hva=0xffff84a00000",
	 {0, 2, 2, 0xa0000000, 0x400000, 0xffff84a00000},
	 false},
};

Test(layouts, every_form_of_a_call__is_read)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct layout_call call;

		cr_assert(layout_parse(forms[i].text, &call), "%s", forms[i].text);
		cr_expect(help_is_same_slot(&call.slot, &forms[i].slot), "%s", forms[i].text);
		cr_expect_eq(call.is_refused, forms[i].is_refused, "%s", forms[i].text);
	}
}

Test(layouts, other_lines__are_no_call)
{
	static const char *const texts[] = {
		"",
		"r 0x10000000 -> 0",
		"dirty slot 2 count 66 ret 0",
		"kvm_set_user_memory",
		"kvm_set_user_memory Slot#1 flags=0x0 gpa=0x1000 size=0x1000",
		"kvm_set_user_memory Slot#x flags=0x0 gpa=0x1000 size=0x1000 ua=0x0 ret=0",
		"kvm_set_user_memory Slot#99999999999 flags=0x0 gpa=0x1000 size=0x0 ua=0x0",
		"#1  kvm_set_user_memory_region (slot=0x7fffe31b4178, new=new@entry=true)",
		"MEMSLOT slot=2",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct layout_call call;

		cr_expect_not(layout_parse(texts[i], &call), "%s", texts[i]);
	}
}

#define CALL_0 "kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x100000 ua=0x7000 ret=0\n"
#define CALL_1 "kvm_set_user_memory Slot#1 flags=0x1 gpa=0x200000 size=0x1000 ua=0x8000 ret=0\n"
#define CALL_1_NO \
	"kvm_set_user_memory Slot#1 flags=0x1 gpa=0x200000 size=0x1000 ua=0x8000 ret=-22\n"
#define CALL_DEL "kvm_set_user_memory Slot#1 flags=0x0 gpa=0x0 size=0x0 ua=0x8000 ret=0\n"
#define MARK_1   "vmm-1 [000] ..... 1.0: tracing_mark_write: slot 1 200000 1000 301\n"
#define MARK_R   "vmm-1 [000] ..... 1.1: tracing_mark_write: r 200000\n"
#define MARK_DEL "vmm-1 [000] ..... 1.2: tracing_mark_write: del 1\n"

static void expect_slot(struct vmmu_trace *trace, unsigned id, uint64_t bytes, uint64_t hva)
{
	struct vmmu_trace_event event = help_next(trace);

	cr_expect_eq(event.kind, VMMU_TRACE_SLOT, "%d", event.kind);
	cr_expect_eq(event.slot.id, id);
	cr_expect_eq(event.slot.bytes, bytes);
	cr_expect_eq(event.slot.hva, hva, "%lx", event.slot.hva);
}

static void expect_end(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event;

	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
}

Test(layouts, marks__say_when_and_the_file_says_what)
{
	struct vmmu_trace *trace = help_open_all(
		MARK_1 MARK_R MARK_DEL, CALL_0 CALL_1 "r 0x200000 -> 0\n" CALL_DEL "done\n",
		VMMU_SEMANTICS_AUTO);

	for (int round = 0; round < 2; round++) {
		expect_slot(trace, 0, 0x100000, 0x7000);
		expect_slot(trace, 1, 0x1000, 0x8000);
		cr_expect_eq(help_next(trace).kind, VMMU_TRACE_ACCESS);
		expect_slot(trace, 1, 0, 0x8000);
		expect_end(trace);
		cr_expect_eq(help_not_understood(trace), 0);
		cr_expect_eq(help_count(trace, "(other layout line)", NULL), 2);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

Test(layouts, refused_call__is_no_slot_change)
{
	struct vmmu_trace *trace = help_open_all(MARK_1 MARK_R, CALL_0 CALL_1_NO,
						 VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 0x100000, 0x7000);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_SCRIPT);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_ACCESS);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(refused slot call)", NULL), 1);
	vmmu_trace_close(trace);
}

Test(layouts, calls_and_marks_that_do_not_meet__are_counted)
{
	struct vmmu_trace *trace = help_open_all(
		MARK_1 MARK_1 MARK_DEL, CALL_1 CALL_0 CALL_DEL CALL_0, VMMU_SEMANTICS_AUTO);
	bool understood = true;

	expect_slot(trace, 1, 0x1000, 0x8000);
	expect_slot(trace, 1, 0x1000, 0); /* no second call of this kind: the mark stands alone */
	expect_slot(trace, 1, 0, 0x8000);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(slot line without a layout call)", &understood), 1);
	cr_expect_not(understood);
	cr_expect_eq(help_count(trace, "(layout call without a slot line)", &understood), 2);
	cr_expect_not(understood);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(layout call without a slot line)", NULL), 2);
	vmmu_trace_close(trace);
}

Test(layouts, no_layout__leaves_marks_without_an_address)
{
	struct vmmu_trace *trace = help_open(MARK_1 MARK_R);

	expect_slot(trace, 1, 0x1000, 0);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_ACCESS);
	vmmu_trace_close(trace);
}

#define FPU(time) "q-1 [000] ..... " time ": kvm_fpu: load\n"

Test(layouts, times_on_the_same_clock__merge_by_time)
{
	struct vmmu_trace *trace = help_open_all(FPU("51.5") FPU("51.7"),
						 "9@51.400000:" CALL_0 "9@51.600000:" CALL_1
						 "9@51.800000:" CALL_DEL,
						 VMMU_SEMANTICS_AUTO);

	for (int round = 0; round < 2; round++) {
		expect_slot(trace, 0, 0x100000, 0x7000);
		cr_expect_eq(help_next(trace).time_ns, UINT64_C(51500000000));
		expect_slot(trace, 1, 0x1000, 0x8000);
		cr_expect_eq(help_next(trace).time_ns, UINT64_C(51700000000));
		expect_slot(trace, 1, 0, 0x8000);
		expect_end(trace);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

Test(layouts, times_on_another_clock__come_before_the_first_event)
{
	struct vmmu_trace *trace = help_open_all(FPU("51.5") FPU("51.7"),
						 "9@1700000000.4:" CALL_0 "9@1700000000.6:" CALL_1,
						 VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 0x100000, 0x7000);
	expect_slot(trace, 1, 0x1000, 0x8000);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_OTHER);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_OTHER);
	expect_end(trace);
	vmmu_trace_close(trace);
}

Test(layouts, refused_call_without_a_mark__is_left_out)
{
	struct vmmu_trace *trace = help_open_all(FPU("51.5"), CALL_1_NO CALL_0 CALL_1_NO,
						 VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 0x100000, 0x7000);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_OTHER);
	expect_end(trace);
	cr_expect_eq(help_count(trace, "(refused slot call)", NULL), 2);
	vmmu_trace_close(trace);
}

/*
 * Both the trace and the file tell slot calls that do not fit each other: the file has the last
 * word.
 */
Test(layouts, foreign_layout__wins_over_marks)
{
	struct vmmu_trace *trace = help_open_all(MARK_1 MARK_DEL, CALL_0, VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 0x100000, 0x7000);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_SCRIPT);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_SCRIPT);
	expect_end(trace);
	vmmu_trace_close(trace);
}

/*
 * The recorded test programs: 5 calls (grep -c MEMSLOT), of which the last two delete slot 1 and
 * make it again after the fifth "MMIO write" line. The fifth KVM_EXIT_MMIO stands in the line given
 * here (grep -n KVM_EXIT_MMIO; on riscv64 all five are writes, SCAUSE:0x17 before them).
 */
static const struct {
	const char *name;
	uint64_t fifth_exit_line, faults;
} programs[] = {
	{"arm64-linux6.1", 2414, 285},
	{"riscv64-linux6.12", 869, 1207},
};

static void check_program(struct vmmu_trace *trace, uint64_t exit_line, uint64_t faults)
{
	struct vmmu_trace_event event;
	uint64_t line = 0, slots = 0;

	while (vmmu_trace_next(trace, &event) > 0) {
		faults -= event.kind == VMMU_TRACE_FAULT;
		if (event.kind != VMMU_TRACE_SLOT) {
			line = event.line;
			continue;
		}
		slots++;
		cr_expect_eq(line, slots <= 3 ? 0 : exit_line, "call %lu after %lu", slots, line);
		cr_expect_eq(event.slot.bytes == 0, slots == 4);
	}
	cr_expect_eq(slots, 5);
	cr_expect_eq(faults, 0);
}

Test(layouts, calls_between_logged_writes__follow_the_exits_for_them)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		struct vmmu_trace_options options = {.size = sizeof(options)};
		char path[256], layout[256], error[256];
		struct vmmu_trace *trace;

		snprintf(path, sizeof(path), VMMU_TEST_DATA "/traces/%s.tracefs.txt.gz",
			 programs[i].name);
		snprintf(layout, sizeof(layout), VMMU_TEST_DATA "/traces/%s.memslots.txt",
			 programs[i].name);
		options.layout = layout;
		cr_assert_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), 0, "%s",
			     error);
		check_program(trace, programs[i].fifth_exit_line, programs[i].faults);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
		check_program(trace, programs[i].fifth_exit_line, programs[i].faults);
		vmmu_trace_close(trace);
	}
}

/* The trace ends before the program's second write: its last call is not lost. */
Test(layouts, calls_after_the_trace__come_at_its_end)
{
	struct vmmu_trace *trace = help_open_all(
		FPU("1.0"),
		"MEMSLOT slot=0 flags=0 gpa=0x0 size=0x100000 hva=0x7000\nMMIO write 0x1 = 0x1\n"
		"MEMSLOT slot=1 flags=0 gpa=0x200000 size=0x1000 hva=0x8000\n",
		VMMU_SEMANTICS_AUTO);

	expect_slot(trace, 0, 0x100000, 0x7000);
	cr_expect_eq(help_next(trace).kind, VMMU_TRACE_OTHER);
	expect_slot(trace, 1, 0x1000, 0x8000);
	expect_end(trace);
	vmmu_trace_close(trace);
}

/*
 * Every slot line of the kit's recordings finds its call; calls (grep -c kvm_set_user_memory) are
 * one more: slot 0.
 */
Test(layouts, kit_recordings__match_line_by_line)
{
	static const struct {
		const char *name;
		uint64_t calls;
	} runs[] = {{"slots-and-dirty", 8}, {"huge-pages", 6}, {"mmio", 6},     {"hugetlb", 5},
		    {"guest-32", 2},        {"guest-64", 6},   {"guest-pae", 2}};

	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		struct vmmu_trace_options options = {.size = sizeof(options)};
		char path[256], layout[256], error[256];
		uint64_t kinds[VMMU_TRACE_KINDS];
		struct vmmu_trace *trace;

		snprintf(path, sizeof(path),
			 VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/%s.tracefs.txt.gz",
			 runs[i].name);
		snprintf(layout, sizeof(layout),
			 VMMU_TEST_DATA "/traces/kvm-live/x86-6.1/direct/%s.slots.txt",
			 runs[i].name);
		options.layout = layout;
		cr_assert_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), 0, "%s",
			     error);
		help_kinds(trace, kinds);
		cr_expect_eq(kinds[VMMU_TRACE_SLOT], runs[i].calls, "%s: %lu", path,
			     kinds[VMMU_TRACE_SLOT]);
		cr_expect_eq(help_not_understood(trace), 0, "%s", path);
		vmmu_trace_close(trace);
	}
}

Test(layouts, file_without_a_call__is_refused_with_its_name)
{
	struct vmmu_trace_options options = {.size = sizeof(options), .layout = __FILE__ ".none"};
	char path[HELP_PATH_BYTES], layout[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;

	help_file(path, FPU("1.0"), strlen(FPU("1.0")));
	help_file(layout, "nothing\nhere\n", 13);
	cr_expect_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), -ENOENT);
	cr_expect_null(trace);
	cr_expect(strstr(error, "layouts.c.none: "), "%s", error);
	options.layout = layout;
	cr_expect_eq(vmmu_trace_open(path, &options, &trace, error, sizeof(error)), -ENOEXEC);
	cr_expect(!strncmp(error, layout, strlen(layout)), "%s", error);
	cr_expect(strstr(error, ":2: not a memslot layout"), "%s", error);
	unlink(path);
	unlink(layout);
}

#define MARK_RANGE "vmm-1 [000] ..... 1.3: tracing_mark_write: range 1 200000 8 1000\n"
#define MARK_DIRTY "vmm-1 [000] ..... 1.4: tracing_mark_write: dirty 1\n"
#define MARK_WQ    "vmm-1 [000] ..... 1.5: tracing_mark_write: wq 6000 703\n"
#define REPLIES    "r 0x200000 -> 0\ndirty slot 1 count 3 ret 0\nwq 0x6000 -> -1\n"

/* The next event is a line of a script: with this reply, or with none. */
static void expect_reply(struct vmmu_trace *trace, bool has_reply, int64_t reply)
{
	struct vmmu_trace_event event = help_next(trace);

	cr_expect_eq(event.has_reply, has_reply, "%s", event.text);
	cr_expect_eq(event.reply, reply, "%s", event.text);
}

Test(layouts, replies__go_to_their_lines)
{
	struct vmmu_trace *trace = help_open_all(MARK_1 MARK_R MARK_RANGE MARK_DIRTY MARK_WQ,
						 CALL_0 CALL_1 REPLIES, VMMU_SEMANTICS_AUTO);

	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(help_next(trace).slot.id, 0);
		expect_reply(trace, false, 0);
		expect_reply(trace, true, 0);
		expect_reply(trace, false, 0);
		expect_reply(trace, true, 3);
		expect_reply(trace, true, -1);
		cr_assert_eq(vmmu_trace_rewind(trace), 0);
	}
	vmmu_trace_close(trace);
}

/* A line that the file has no reply for: those behind it would be guesses. */
Test(layouts, replies_that_do_not_meet_their_lines__are_none)
{
	struct vmmu_trace *trace = help_open_all(MARK_1 MARK_DIRTY MARK_R MARK_WQ,
						 CALL_0 CALL_1 REPLIES, VMMU_SEMANTICS_AUTO);

	help_next(trace);
	help_next(trace);
	expect_reply(trace, false, 0);
	expect_reply(trace, true, 0);
	expect_reply(trace, false, 0);
	vmmu_trace_close(trace);
}

Test(layouts, refused_dirty_log__is_one_reply)
{
	struct vmmu_trace *trace = help_open_all(MARK_1 MARK_DIRTY,
						 CALL_0 CALL_1 "dirty slot 1 count 0 ret -1\n",
						 VMMU_SEMANTICS_AUTO);

	help_next(trace);
	help_next(trace);
	expect_reply(trace, true, -1);
	vmmu_trace_close(trace);
}
