/* SPDX-License-Identifier: MIT */
/*
 * Files of every textual format with each byte changed in turn, cut off after each byte, and, large
 * ones, with bytes changed at random: an error that has words, or legal events and counts that add
 * up to the lines. (dat.c does the same to trace.dat files.)
 */
#include <errno.h>
#include <sys/mman.h>
#include <zlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "tracing/help.h"

#define FILE_BYTES (4u << 20)

static const char tracefs[] =
	"# tracer: nop\n#\n"
	"  q<x>-7     [001] d.h1.   51.893824: kvm_exit: vcpu 0 reason npf rip 0xfff0 info1 "
	"0x0000000100000014 info2 0x00000000fffffff0 intr_info 0x00000000 error_code 0x00000000\n"
	"  q-7     [001] d.h1.   51.893825: kvm_page_fault: vcpu 0 rip 0xfff0 address "
	"0x00000000fffffff0 error_code 0x100000014\n"
	"  q-7     [001] d.h1.   51.893826: kvm_tdp_mmu_spte_changed: as id 0 gfn fffff level 1 "
	"old_spte 0 new_spte 5a0\n"
	"  q-9     [001] .....   51.893827: kvm_unmap_hva_range: mmu notifier unmap range: "
	"0x007fe8e1e00000 -- 0x007fe8e7e00000\n"
	"CPU:1 [LOST 5 EVENTS]\n"
	"  q-7     [001] .....   51.893829: tracing_mark_write: slot 1 40000000 200000 301\n"
	"  q-7     [001] .....   51.893830: tracing_mark_write: host gpa 0 hva 7f00 present 1 pfn "
	"5 "
	"huge 0 zero 0\n";

static const char trace_cmd[] =
	"cpus=2\n"
	" qemu-290   [000]    70.985912: kvm_exit:             reason EXIT_NPF rip 0x1 info 4 5\n"
	" qemu-290   [000]    70.985913: kvm_page_fault:       address 1000 error_code 6\n"
	" qemu-290   [000]    70.985914: kvm_mmu_get_page:     new sp gfn 0 5 q0 direct wux !pae "
	"nxe\n"
	" qemu-290   [000]    70.985915: kvm_entry:             vcpu 0 rip 0x1\n";

static const char perf[] = " qemu   176 [000]    24.149233:  kvmmmu:kvm_mmu_get_page: [FAILED TO "
			   "PARSE] mmu_valid_gen=0 "
			   "gfn=0 role=14213 root_count=0 unsync=0 created=1\n"
			   " qemu   176 [000]    24.149234:  kvm:kvm_guest_fault: ipa 0x40001000, "
			   "hsr 0x92000047, hxfar "
			   "0x1008, pc 0x1000\n"
			   " qemu   176 [000]    24.149235:  kvm:kvm_exit: SEPC:0x1, SCAUSE:0x15, "
			   "STVAL:0x2, HTVAL:0x3, "
			   "HTINST:0x0\n";

static const char qemu[] =
	"176@51.616160:kvm_set_user_memory AddrSpace#1 Slot#2 flags=0x2 gpa=0xfffc0000 "
	"size=0x40000 "
	"ua=0x7fe8ef200000 ret=0\n"
	"MEMSLOT slot=2 flags=2 gpa=0xa0000000 size=0x400000 hva=0xffff84a00000\n";

static const char strace[] =
	"[pid  3523] 1795167914.634560 ioctl(3</dev/kvm>, KVM_SET_USER_MEMORY_REGION, {slot=65538, "
	"flags=KVM_MEM_READONLY|0x1, guest_phys_addr=0xfffc0000, memory_size=262144, "
	"userspace_addr=0x7f0000000000} <unfinished ...>\n"
	"[pid  3523] 1795167914.634561 <... ioctl resumed>) = 0 <0.000131>\n"
	"write(4, \"slot 1 4\\\"00\"..., 44) = 44\n"
	"ioctl(3, KVM_SET_USER_MEMORY_REGION, {slot=1, flags=0, guest_phys_addr=0x200000, "
	"memory_size=0, userspace_addr=0x7000}) = -1 EINVAL (Invalid argument)\n";

static void check_event(const struct vmmu_trace_event *event)
{
	cr_assert_lt((int)event->kind, VMMU_TRACE_KINDS);
	cr_assert(event->name && *event->name && event->text);
	cr_assert_leq(event->level, VMMU_LEVELS_MAX);
	if (event->kind == VMMU_TRACE_FAULT)
		cr_assert(event->fault.access == VMMU_READ || event->fault.access == VMMU_WRITE ||
			  event->fault.access == VMMU_EXEC);
	if (event->kind == VMMU_TRACE_INVALIDATE || event->kind == VMMU_TRACE_AGE)
		cr_assert_lt(event->hva.start, event->hva.end);
}

/* What TRACE holds: legal events, and a count for each line. */
static void check_read(struct vmmu_trace *trace)
{
	struct vmmu_trace_event event;
	struct vmmu_trace_count count;
	uint64_t counted = 0, last = 0, slots = 0;
	int result;

	while ((result = vmmu_trace_next(trace, &event)) > 0) {
		check_event(&event);
		if (event.kind == VMMU_TRACE_SLOT && !strcmp(event.name, "kvm_set_user_memory"))
			slots++;
		else
			last = event.line;
	}
	cr_assert(!result || result == -EBADMSG, "%d %s", result, vmmu_trace_error(trace));
	cr_assert_eq(!result, !*vmmu_trace_error(trace));
	for (unsigned i = 0; vmmu_trace_count_at(trace, i, &count); i++)
		counted += count.count;
	cr_assert_geq(counted, last + slots);
}

/* PATH with LAYOUT (NULL: none). */
static void check_files(const char *path, const char *layout)
{
	struct vmmu_trace_options options = {.size = sizeof(options), .layout = layout};
	struct vmmu_trace *trace;
	char error[256] = "";
	int result = vmmu_trace_open(path, &options, &trace, error, sizeof(error));

	if (result) {
		cr_assert(result == -ENOEXEC || result == -EBADMSG, "%d %s", result, error);
		cr_assert(*error);
		return;
	}
	check_read(trace);
	vmmu_trace_close(trace);
}

/* A file in memory, by number. */
static const char *file_path(unsigned number, const void *bytes, size_t count)
{
	static int fds[2] = {-1, -1};
	static char paths[2][32];

	if (fds[number] < 0) {
		fds[number] = memfd_create("corrupt", 0);
		cr_assert_geq(fds[number], 0);
		snprintf(paths[number], sizeof(paths[number]), "/proc/self/fd/%d", fds[number]);
	}
	cr_assert_eq(ftruncate(fds[number], 0), 0);
	cr_assert_eq(pwrite(fds[number], bytes, count, 0), (ssize_t)count);
	return paths[number];
}

/* BYTES is the trace, or with IN_LAYOUT the layout of a sound trace. */
enum where {
	IN_TRACE,
	IN_LAYOUT,
};

static void check_bytes(const void *bytes, size_t count, enum where where)
{
	if (where == IN_TRACE)
		check_files(file_path(0, bytes, count), NULL);
	else
		check_files(file_path(1, tracefs, sizeof(tracefs) - 1), file_path(0, bytes, count));
}

static void flip_all(const void *sound, size_t count, enum where where)
{
	static const unsigned char flips[] = {0xff, 0x01, 0x30};
	unsigned char *bytes = malloc(count);

	memcpy(bytes, sound, count);
	for (size_t at = 0; at < count; at++)
		for (size_t i = 0; i < sizeof(flips); i++) {
			bytes[at] ^= flips[i];
			check_bytes(bytes, count, where);
			bytes[at] ^= flips[i];
		}
	for (size_t cut = 0; cut < count; cut++)
		check_bytes(bytes, cut, where);
	free(bytes);
}

Test(corrupt, every_byte_of_tracefs_text__does_no_harm)
{
	flip_all(tracefs, sizeof(tracefs) - 1, IN_TRACE);
}

Test(corrupt, every_byte_of_trace_cmd_and_perf_text__does_no_harm)
{
	flip_all(trace_cmd, sizeof(trace_cmd) - 1, IN_TRACE);
	flip_all(perf, sizeof(perf) - 1, IN_TRACE);
}

Test(corrupt, every_byte_of_a_layout__does_no_harm)
{
	flip_all(qemu, sizeof(qemu) - 1, IN_LAYOUT);
	flip_all(strace, sizeof(strace) - 1, IN_LAYOUT);
}

Test(corrupt, every_byte_of_gzip__does_no_harm)
{
	unsigned char packed[1024];
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)tracefs,
			   .avail_in = sizeof(tracefs) - 1,
			   .next_out = packed,
			   .avail_out = sizeof(packed)};

	cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	flip_all(packed, stream.total_out, IN_TRACE);
	deflateEnd(&stream);
}

/* The bytes of a bundled recording, unpacked or as they are. */
static size_t read_recording(const char *name, unsigned char *bytes, bool is_unpacked)
{
	char path[512];
	gzFile in;
	FILE *raw;
	size_t count;

	snprintf(path, sizeof(path), "%s/traces/%s", VMMU_TEST_DATA, name);
	if (is_unpacked) {
		in = gzopen(path, "rb");
		cr_assert_not_null(in, "%s", path);
		count = (size_t)gzread(in, bytes, FILE_BYTES);
		gzclose(in);
		return count;
	}
	raw = fopen(path, "rb");
	cr_assert_not_null(raw, "%s", path);
	count = fread(bytes, 1, FILE_BYTES, raw);
	fclose(raw);
	return count;
}

Test(corrupt, random_bytes_of_recordings__do_no_harm)
{
	static const char *const names[] = {
		"x86-linux6.1.perf-script-excerpt.txt.gz",
		"x86-linux6.1.trace-cmd-excerpt.txt.gz",
		"arm64-linux6.1.tracefs.txt.gz",
		"kvm-live/x86-6.1/direct/mmio.tracefs.txt.gz",
	};
	struct random_state random = random_start(77);
	unsigned char *bytes = malloc(FILE_BYTES);

	for (unsigned round = 0; round < 24; round++) {
		size_t count = read_recording(names[round % ARRAY_COUNT(names)], bytes,
					      round / ARRAY_COUNT(names) % 2);

		for (unsigned i = 0; i < 1u << round % 12; i++)
			bytes[random_below(&random, count)] = (unsigned char)random_u64(&random);
		check_bytes(bytes, count, IN_TRACE);
	}
	free(bytes);
}
