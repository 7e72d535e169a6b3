/* SPDX-License-Identifier: MIT */
/*
 * trace.dat files: one run's binary and text tell the same; a file put together by hand, event by
 * event; files cut short, flipped and scrambled, of which nothing but an error or fewer events may
 * come.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/random.h"
#include "tracing/dat_file.h"
#include "tracing/help.h"

#define FLIPS_DEFAULT 60

/* The program is built where libtracecmd is; CMake says where. */
static void need_reader(void)
{
	if (!getenv("VMMU_TRACE_DAT"))
		cr_skip_test("built without libtracecmd (libtracecmd-dev, libtracefs-dev)");
}

static const char *shared_folder(void)
{
	const char *folder = getenv("VMMU_SHARED");
	struct stat status;

	folder = folder ? folder : VMMU_SHARED;
	if (stat(folder, &status))
		cr_skip_test("no folder %s: set VMMU_SHARED to the traces that are not bundled",
			     folder);
	return folder;
}

static struct vmmu_trace *open_path(const char *folder, const char *name)
{
	char path[512], error[256];
	struct vmmu_trace *trace;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	cr_assert_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), 0, "%s", error);
	return trace;
}

static struct vmmu_trace *open_bytes(const void *bytes, size_t count)
{
	char path[HELP_PATH_BYTES], error[256];
	struct vmmu_trace *trace;
	int result;

	help_file(path, bytes, count);
	result = vmmu_trace_open(path, NULL, &trace, error, sizeof(error));
	unlink(path);
	cr_assert_eq(result, 0, "%s", error);
	return trace;
}

static bool is_same_union(const struct vmmu_trace_event *a, const struct vmmu_trace_event *b)
{
	switch (a->kind) {
	case VMMU_TRACE_FAULT:
		return a->fault.gpa == b->fault.gpa && a->fault.access == b->fault.access &&
		       a->fault.flags == b->fault.flags;
	case VMMU_TRACE_INVALIDATE:
	case VMMU_TRACE_AGE:
		return a->hva.start == b->hva.start && a->hva.end == b->hva.end;
	case VMMU_TRACE_ENTRY_CHANGED:
		return a->slot.as_id == b->slot.as_id;
	default:
		return true;
	}
}

/* All but line and text, and the fraction of the time that a text cuts off. */
static bool is_same_event(const struct vmmu_trace_event *a, const struct vmmu_trace_event *b)
{
	return a->kind == b->kind && a->pid == b->pid && a->vcpu == b->vcpu &&
	       is_same_union(a, b) && a->gpa == b->gpa && a->bytes == b->bytes &&
	       a->gfn == b->gfn && a->pfn == b->pfn && a->old_pte == b->old_pte &&
	       a->new_pte == b->new_pte && a->pte_hpa == b->pte_hpa &&
	       a->generation == b->generation && a->count == b->count && a->stride == b->stride &&
	       a->level == b->level && a->access == b->access && a->writable == b->writable;
}

/* The plugin that wrote the text leaves out the vCPU of exits and the gfn of zapped tables. */
static bool is_rewritten(const struct vmmu_trace_event *event)
{
	return event->kind == VMMU_TRACE_TABLE_ZAP;
}

Test(dat, bundled_file__tells_what_trace_cmd_report_printed_of_it)
{
	struct vmmu_trace *binary, *text;
	uint64_t kinds[VMMU_TRACE_KINDS] = {0};

	need_reader();
	binary = open_path(VMMU_TEST_DATA "/traces", "x86-linux6.1-600.trace.dat");
	text = open_path(VMMU_TEST_DATA "/traces", "x86-linux6.1.trace-cmd-excerpt.txt.gz");
	cr_expect_eq(vmmu_trace_syntax(binary), VMMU_SYNTAX_TRACE_DAT);
	cr_expect_str_eq(vmmu_trace_architecture(binary), "x86-npt");
	for (unsigned i = 0; i < 599; i++) {
		struct vmmu_trace_event a = help_next(binary), b = help_next(text);

		kinds[a.kind]++;
		cr_assert_str_eq(a.name, b.name, "event %u", i);
		cr_expect_eq(a.line, i + 1);
		cr_expect_eq((a.time_ns + 500) / 1000, b.time_ns / 1000, "%s", a.name);
		if (!is_rewritten(&a))
			cr_expect(is_same_event(&a, &b), "event %u: %s %s / %s", i, a.name, a.text,
				  b.text);
	}
	/* as grep counts them in the text */
	cr_expect_eq(kinds[VMMU_TRACE_FAULT], 11);
	cr_expect_eq(kinds[VMMU_TRACE_INVALIDATE], 46);
	cr_expect_eq(kinds[VMMU_TRACE_ENTRY_CHANGED], 17);
	cr_expect_eq(help_not_understood(binary), 0);
	vmmu_trace_close(binary);
	vmmu_trace_close(text);
}

static bool next_fault(struct vmmu_trace *trace, struct vmmu_trace_event *event)
{
	int result;

	do
		result = vmmu_trace_next(trace, event);
	while (result > 0 && event->kind != VMMU_TRACE_FAULT);
	cr_assert_geq(result, 0, "%s", vmmu_trace_error(trace));
	return result;
}

Test(dat, perf_script_and_trace_dat_of_one_run__have_the_same_faults_in_the_same_order)
{
	const char *folder = shared_folder();
	struct vmmu_trace *binary, *text;
	struct vmmu_trace_event a, b;
	unsigned faults = 0;

	need_reader();
	binary = open_path(folder,
			   "traces/recorded/x86-npf-linux6.1-seabios-i440fx-121k-events.trace.dat");
	text = open_path(folder,
			 "traces/recorded/x86-npf-linux6.1-seabios-118k.perf-script.txt.gz");
	while (next_fault(binary, &a)) {
		cr_assert(next_fault(text, &b), "fault %u is missing in the text", faults);
		cr_assert_eq(a.fault.gpa, b.fault.gpa, "fault %u", faults);
		cr_assert_eq(a.fault.access, b.fault.access, "fault %u", faults);
		cr_assert_eq(a.fault.flags, b.fault.flags, "fault %u", faults);
		cr_assert_eq(a.vcpu, b.vcpu, "fault %u", faults);
		faults++;
	}
	cr_expect_not(next_fault(text, &b));
	cr_expect_eq(faults, 1263);
	vmmu_trace_close(binary);
	vmmu_trace_close(text);
}

static void check_example(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event = help_next(trace);

	cr_expect_str_eq(event.name, "tracing_mark_write");
	cr_expect_str_eq(event.text, "slot 1 40000000 200000 0");
	cr_expect_eq(event.kind, VMMU_TRACE_SLOT);
	cr_expect_eq(event.slot.gpa, 0x40000000);
	cr_expect_eq(event.time_ns, 5000000000);
	cr_expect_eq(event.pid, 7);
	event = help_next(trace);
	cr_expect_eq(event.kind, VMMU_TRACE_ENTRY);
	cr_expect_eq(event.time_ns, 5000001000);
	cr_expect_eq(event.vcpu, 0);
	event = help_next(trace);
	cr_expect_eq(event.kind, VMMU_TRACE_FAULT);
	cr_expect_eq(event.fault.gpa, 0x40001008);
	cr_expect_eq(event.fault.access, VMMU_WRITE);
	cr_expect_eq(event.time_ns, 5000001500);
	event = help_next(trace);
	cr_expect_str_eq(event.name, "kvm_userspace_exit");
	cr_expect_str_eq(event.text, "reason=0x6 errno=-4");
	cr_expect_eq(event.line, 4);
	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
}

Test(dat, file_made_by_hand__is_read_event_by_event_and_again)
{
	struct dat_file file;
	struct vmmu_trace *trace;

	need_reader();
	dat_file_example(&file);
	trace = open_bytes(file.bytes, file.size);
	cr_expect_str_eq(vmmu_trace_architecture(trace), "arm64");
	check_example(trace);
	cr_assert_eq(vmmu_trace_rewind(trace), 0);
	check_example(trace);
	cr_expect_eq(help_count(trace, "kvm_guest_fault", NULL), 1);
	vmmu_trace_close(trace);
}

Test(dat, events_without_number_and_lost_ones__are_counted)
{
	struct dat_file file;
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;
	bool is_understood = true;

	need_reader();
	dat_file_example(&file);
	dat_file_add(&file, (enum dat_file_event)999, 8, 1, (uint64_t[]){1}, 1);
	/* a record that is shorter than its format: no ipa, no fault */
	dat_file_add(&file, DAT_FILE_FAULT, 8, 1, (uint64_t[]){1, 0x92000047, 8}, 3);
	dat_file_lose(&file);
	trace = open_bytes(file.bytes, file.size);
	while (vmmu_trace_next(trace, &event) > 0)
		;
	cr_expect_str_eq(vmmu_trace_error(trace), "");
	cr_expect_eq(help_count(trace, "unknown_event", NULL), 1);
	cr_expect_eq(help_count(trace, "kvm_guest_fault", NULL), 1);
	cr_expect_eq(help_count(trace, "kvm_guest_fault (not understood)", &is_understood), 1);
	cr_expect_not(is_understood);
	cr_expect_eq(help_count(trace, "(lost events)", NULL), 1);
	vmmu_trace_close(trace);
}

Test(dat, without_the_program__error_names_the_package)
{
	struct dat_file file;
	struct vmmu_trace *trace;
	char path[HELP_PATH_BYTES], error[256];

	setenv("VMMU_TRACE_DAT", "/nowhere/vmmu-trace-dat", 1);
	dat_file_example(&file);
	help_file(path, file.bytes, file.size);
	cr_expect_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), -ENOPKG);
	unlink(path);
	cr_expect(strstr(error, ":1: a trace.dat file needs the program vmmu-trace-dat, which is "
				"built where libtracecmd-dev"),
		  "%s", error);
}

/* A program that dies at once, and one that says what no such program says. */
Test(dat, program_that_fails__is_a_damaged_file)
{
	static const struct {
		const char *program, *why;
	} rows[] = {
		{"/bin/false", ":1: trace.dat is damaged: libtracecmd gave up"},
		{"/bin/true", ":1: trace.dat is damaged: libtracecmd gave up"},
	};
	struct dat_file file;

	dat_file_example(&file);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char path[HELP_PATH_BYTES], error[256];
		struct vmmu_trace *trace;

		setenv("VMMU_TRACE_DAT", rows[i].program, 1);
		help_file(path, file.bytes, file.size);
		cr_expect_eq(vmmu_trace_open(path, NULL, &trace, error, sizeof(error)), -EBADMSG);
		unlink(path);
		cr_expect_str_eq(error + strlen(path), rows[i].why);
	}
}

Test(dat, closing_early__leaves_no_process_behind)
{
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;

	need_reader();
	trace = open_path(VMMU_TEST_DATA "/traces", "x86-linux6.1-600.trace.dat");
	event = help_next(trace);
	cr_expect_not_null(event.name);
	vmmu_trace_close(trace);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_expect_eq(errno, ECHILD);
}

/* Whatever is in it: an error with words, or a trace of not too many events. */
static void check_damaged(const unsigned char *bytes, size_t count, size_t most)
{
	char path[HELP_PATH_BYTES], error[256] = "";
	struct vmmu_trace *trace;
	struct vmmu_trace_event event;
	size_t events = 0;
	int result;

	help_file(path, bytes, count);
	result = vmmu_trace_open(path, NULL, &trace, error, sizeof(error));
	unlink(path);
	if (result) {
		cr_expect(result == -EBADMSG || result == -ENOEXEC, "%d %s", result, error);
		cr_expect(*error);
		return;
	}
	while ((result = vmmu_trace_next(trace, &event)) > 0)
		events++;
	cr_expect(!result || result == -EBADMSG, "%d %s", result, vmmu_trace_error(trace));
	cr_expect_eq(!result, !*vmmu_trace_error(trace));
	cr_expect_leq(events, most);
	vmmu_trace_close(trace);
}

/* VMMU_DAT_FLIPS=N flips N bytes, evenly spread; more than the file has: each of them. */
static size_t flip_step(size_t bytes)
{
	const char *wanted = getenv("VMMU_DAT_FLIPS");
	size_t flips = wanted ? strtoul(wanted, NULL, 10) : FLIPS_DEFAULT;

	return flips < bytes ? bytes / flips : 1;
}

Test(dat, any_byte_flipped__is_an_error_or_fewer_events)
{
	struct dat_file file;
	size_t end, step;

	need_reader();
	dat_file_example(&file);
	end = file.page + 16 + file.commit; /* behind it nobody looks */
	step = flip_step(end);
	for (size_t at = 0; at < end; at += step) {
		file.bytes[at] ^= 0xff;
		check_damaged(file.bytes, file.size, DAT_FILE_PAGE / 4);
		file.bytes[at] ^= 0xff;
	}
}

Test(dat, file_cut_off_anywhere__is_an_error_or_fewer_events)
{
	struct dat_file file;

	need_reader();
	dat_file_example(&file);
	for (size_t size = 0; size < file.size; size += flip_step(file.size))
		check_damaged(file.bytes, size, 4);
}

static unsigned char *read_whole(const char *path, size_t *size)
{
	FILE *in = fopen(path, "rb");
	unsigned char *bytes;

	cr_assert_not_null(in, "%s", path);
	cr_assert_eq(fseek(in, 0, SEEK_END), 0);
	*size = (size_t)ftell(in);
	rewind(in);
	bytes = malloc(*size);
	cr_assert_eq(fread(bytes, 1, *size, in), *size);
	fclose(in);
	return bytes;
}

/* A file whose events stand far behind its head, on standard input: more than one read takes in. */
static void pipe_far_file(void)
{
	enum {
		FAR = 1 << 20
	};
	unsigned char *bytes = calloc(1, FAR + DAT_FILE_PAGE);
	struct dat_file file;
	FILE *out;
	int ends[2];

	dat_file_example(&file);
	memcpy(bytes, file.bytes, file.page);
	memcpy(bytes + file.table, &(uint64_t){FAR}, 8);
	memcpy(bytes + FAR, file.bytes + file.page, DAT_FILE_PAGE);
	cr_assert_eq(pipe(ends), 0);
	if (!fork()) {
		close(ends[0]);
		out = fdopen(ends[1], "w");
		_exit(fwrite(bytes, 1, FAR + DAT_FILE_PAGE, out) != FAR + DAT_FILE_PAGE ||
		      fclose(out));
	}
	free(bytes);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
}

Test(dat, file_on_a_pipe__is_read_like_one_on_disk)
{
	struct vmmu_trace *trace;
	char error[256];
	int how;

	need_reader();
	pipe_far_file();
	cr_assert_eq(vmmu_trace_open("-", NULL, &trace, error, sizeof(error)), 0, "%s", error);
	check_example(trace);
	cr_assert_eq(vmmu_trace_rewind(trace), 0);
	check_example(trace);
	vmmu_trace_close(trace);
	cr_expect_gt(wait(&how), 0);
	cr_expect_eq(how, 0);
}

Test(dat, random_bytes_in_a_recorded_file__are_an_error_or_other_events)
{
	struct random_state random = random_start(20261);
	size_t size;
	unsigned char *bytes;

	need_reader();
	bytes = read_whole(VMMU_TEST_DATA "/traces/x86-linux6.1-600.trace.dat", &size);
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i <= round; i++)
			bytes[random_below(&random, size)] = (unsigned char)random_u64(&random);
		check_damaged(bytes, size, size / 4);
	}
	free(bytes);
}
