/* SPDX-License-Identifier: MIT */
/*
 * Scripted memory accesses on a real KVM, one guest instruction each, so that the cause of every
 * fault is known. Runs inside an emulated machine (see README.md); x86-64, arm64 and riscv64.
 * Usage: vmm SCRIPT
 */
#include "vmm.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	MAX_IDS = 64,
	MAX_SLOTS = 2 * MAX_IDS, /* of both address spaces */
	CODE_SIZE = 1 << 20
};

int kvm, vm, vcpu;
struct kvm_run *run;
static FILE *script;
/* By slot number. */
static char *slot_hva[MAX_SLOTS];
static unsigned long slot_gpa[MAX_SLOTS], slot_bytes[MAX_SLOTS];

void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Whole 2 MiB pages from the kernel's pool, which grows by what they need. */
static char *alloc_hugetlb(unsigned long bytes)
{
	static unsigned long pages;
	FILE *pool = fopen("/proc/sys/vm/nr_hugepages", "w");
	char *p;

	pages += (bytes + (2UL << 20) - 1) >> 21;
	if (pool) {
		fprintf(pool, "%lu\n", pages);
		fclose(pool);
	}
	p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
		 0);
	if (p == MAP_FAILED)
		die("MAP_HUGETLB");
	return p;
}

/* A 2 MiB aligned anonymous range; transparent huge pages allowed or not. */
static char *alloc(unsigned long bytes, int huge)
{
	const unsigned long two_mb = 2UL << 20;
	char *p = mmap(0, bytes + two_mb, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	p = (char *)(((unsigned long)p + two_mb - 1) & ~(two_mb - 1));
	madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return p;
}

/* Each script line goes into the trace before it runs. */
void mark(const char *line)
{
	int fd = open("/sys/kernel/tracing/trace_marker", O_WRONLY);

	if (fd >= 0) {
		(void)!write(fd, line, strlen(line));
		close(fd);
	}
}

/* A slot's number, from its id with the address space in the upper 16 bits, as KVM takes it. */
static unsigned long slot_number(unsigned long id)
{
	unsigned long number = (id >> 16) * MAX_IDS + (id & 0xffff);

	if (id >> 17 || (id & 0xffff) >= MAX_IDS) {
		fprintf(stderr, "no slot can be 0x%lx\n", id);
		exit(1);
	}
	return number;
}

static void set_slot(unsigned long id, unsigned long gpa, unsigned long bytes, int flags)
{
	unsigned long number = slot_number(id);
	struct kvm_userspace_memory_region r = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (unsigned long)slot_hva[number],
	};
	int ret = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);

	slot_gpa[number] = gpa;
	slot_bytes[number] = bytes;
	printf("kvm_set_user_memory Slot#%lu flags=0x%x gpa=0x%lx size=0x%lx ua=0x%lx ret=%d\n", id,
	       flags, gpa, bytes, (unsigned long)slot_hva[number], ret);
}

/* The host's address of what the vCPU sees at a guest-physical one, or NULL where no slot is. */
static char *hva_of(unsigned long gpa)
{
	int first = vcpus_space() * MAX_IDS;

	for (int i = first + MAX_IDS - 1; i >= first; i--)
		if (slot_bytes[i] && gpa - slot_gpa[i] < slot_bytes[i])
			return slot_hva[i] + (gpa - slot_gpa[i]);
	return NULL;
}

static char *need_hva(unsigned long gpa)
{
	char *hva = hva_of(gpa);

	if (!hva) {
		fprintf(stderr, "no slot at gpa 0x%lx\n", gpa);
		exit(1);
	}
	return hva;
}

static unsigned long long read_u64(const char *file, unsigned long index)
{
	unsigned long long value = 0;
	int fd = open(file, O_RDONLY);

	if (fd >= 0) {
		(void)!pread(fd, &value, 8, index * 8);
		close(fd);
	}
	return value;
}

/*
 * What the host has behind a page that was touched: its frame, whether the frame is part of a
 * huge page, the zero page.
 */
void report_host_page(unsigned long gpa)
{
	enum {
		KPF_HUGE = 17,
		KPF_THP = 22,
		KPF_ZERO_PAGE = 24
	};
	char line[160], *hva = hva_of(gpa);
	unsigned long long page, flags;

	if (vcpus_paging() || !hva)
		return;
	page = read_u64("/proc/self/pagemap", (unsigned long)hva / 4096);
	flags = read_u64("/proc/kpageflags", page & ((1ULL << 55) - 1));
	snprintf(line, sizeof(line), "host gpa %lx hva %lx present %d pfn %llx huge %d zero %d\n",
		 gpa & ~0xfffUL, (unsigned long)hva & ~0xfffUL, (int)(page >> 63),
		 page & ((1ULL << 55) - 1), (int)((flags >> KPF_THP | flags >> KPF_HUGE) & 1),
		 (int)(flags >> KPF_ZERO_PAGE & 1));
	mark(line);
}

/*
 * Run guest code at pc until it stops. 0, an exit reason, -1 (KVM_RUN failed) or -2 (exception
 * in the guest).
 */
static int step(unsigned long pc, unsigned long address, unsigned long value)
{
	int result = 0;

	arch_start(pc, address, value);
	do {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			result = -1;
			break;
		}
	} while (arch_exit(&result) == RUN_ON);
	arch_report_entries();
	return result;
}

static int run_piece(enum piece piece, unsigned long address, unsigned long value)
{
	int result = step(CODE_GPA + piece * PIECE_BYTES, address, value);

	report_host_page(address);
	return result;
}

static int execute(unsigned long address)
{
	int result = step(address, 0, 0);

	report_host_page(address);
	return result;
}

/*
 * slot ID GPA SIZE FLAGS: 1 dirty log, 2 read-only, 100 huge backing, 200 backed before use,
 * 400 hugetlb (hex everywhere)
 */
static void do_slot(unsigned long id, unsigned long gpa, unsigned long bytes, unsigned long flags)
{
	char **hva = &slot_hva[slot_number(id)];

	if (!*hva) {
		*hva = flags & 0x400 ? alloc_hugetlb(bytes) : alloc(bytes, !!(flags & 0x100));
		if (flags & 0x200)
			arch_fill_stops(*hva, bytes);
	}
	set_slot(id, gpa, bytes, flags & 3);
}

/* alias ID GPA SIZE FLAGS SLOT OFFSET: a slot with the memory of another one. */
static void do_alias(const char *line)
{
	unsigned long id, gpa, bytes, flags, other, offset;

	if (sscanf(line, "%*s %lx %lx %lx %lx %lx %lx", &id, &gpa, &bytes, &flags, &other,
		   &offset) < 6)
		return;
	slot_hva[slot_number(id)] = slot_hva[slot_number(other)] + offset;
	set_slot(id, gpa, bytes, flags & 3);
}

static void one_line(char *line)
{
	char op[16], mode[16];
	unsigned long a = 0, b = 0, c = 0, d = 0;

	if (sscanf(line, "%15s %lx %lx %lx %lx", op, &a, &b, &c, &d) < 1 || op[0] == '#')
		return;
	if (!strcmp(op, "vcpu")) {
		vcpus_choose(a, line);
		return;
	}
	mark(line);
	if (!strcmp(op, "slot"))
		do_slot(a, b, c, d);
	else if (!strcmp(op, "alias"))
		do_alias(line);
	else if (!strcmp(op, "del"))
		set_slot(a, b, 0, 0);
	else if (!strcmp(op, "r"))
		printf("r 0x%lx -> %d\n", a, run_piece(PIECE_READ, a, 0));
	else if (!strcmp(op, "w"))
		printf("w 0x%lx -> %d\n", a, run_piece(PIECE_WRITE, a, arch_stop_value(a)));
	else if (!strcmp(op, "x"))
		printf("x 0x%lx -> %d\n", a, execute(a));
	else if (!strcmp(op, "wq"))
		printf("wq 0x%lx -> %d\n", a, run_piece(PIECE_WRITE_64, a, b));
	else if (!strcmp(op, "wl"))
		printf("wl 0x%lx -> %d\n", a, run_piece(PIECE_WRITE_32, a, b));
	else if (!strcmp(op, "invlpg") || !strcmp(op, "flush"))
		printf("%s 0x%lx -> %d\n", op, a, run_piece(PIECE_FLUSH, a, 0));
	else if (!strcmp(op, "cr3") || !strcmp(op, "root"))
		printf("%s 0x%lx -> %d\n", op, a, run_piece(PIECE_ROOT, 0, a));
	else if (!strcmp(op, "range")) /* range KIND(0 r, 1 w, 2 wq) ADDRESS COUNT STRIDE */
		for (unsigned long i = 0; i < c; i++)
			run_piece(a, b + i * d, arch_stop_value(b + i * d));
	else if (!strcmp(op, "poke")) /* from the host: poke GPA VALUE */
		memcpy(need_hva(a), &b, 8);
	else if (!strcmp(op, "fill")) /* page-table run: fill GPA COUNT FIRST-VALUE STEP */
		for (unsigned long i = 0; i < b; i++) {
			unsigned long v = c + i * d;
			memcpy(need_hva(a + 8 * i), &v, 8);
		}
	else if (!strcmp(op, "mode") && sscanf(line, "%*s %15s %lx", mode, &a) >= 1 &&
		 !arch_set_mode(mode, a))
		vcpus_set_paging(strcmp(mode, "flat") != 0);
	else if (!strcmp(op, "dontneed")) /* dontneed SLOT OFFSET BYTES */
		madvise(slot_hva[slot_number(a)] + b, c, MADV_DONTNEED);
	else if (!strcmp(op, "protect")) /* protect SLOT OFFSET BYTES WRITABLE */
		mprotect(slot_hva[slot_number(a)] + b, c, d ? PROT_READ | PROT_WRITE : PROT_READ);
	else if (!strcmp(op, "smm")) /* smm ENTER */
		vcpus_set_space(a);
	else if (!calls_line(op, a, b, c, d))
		printf("not understood: %s", line);
	arch_report_entries(); /* what a call from the host changed */
}

/*
 * The script's next line, in the thread of the vCPU that is to make accesses; the end of the script
 * is the end of all threads.
 */
void run_line(void)
{
	char line[256];

	if (!fgets(line, sizeof(line), script)) {
		puts("done");
		exit(0);
	}
	one_line(line);
}

/* Lines at the script's start that must come before the first vCPU. */
static void run_first_lines(void)
{
	char line[256], op[16];
	unsigned long a;
	long at = ftell(script);

	while (fgets(line, sizeof(line), script)) {
		if (sscanf(line, "%15s %lx", op, &a) == 2 && calls_is_first(op)) {
			mark(line);
			calls_line(op, a, 0, 0, 0);
		} else if (*line != '#') {
			fseek(script, at, SEEK_SET);
			return;
		}
		at = ftell(script);
	}
}

int main(int argc, char **argv)
{
	script = argc > 1 ? fopen(argv[1], "r") : NULL;
	setbuf(stdout, 0);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0 || !script)
		die("open");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	arch_init_vm();
	run_first_lines();
	vcpus_begin();
	slot_hva[0] = alloc(CODE_SIZE, 0);
	arch_init_code(slot_hva[0]);
	set_slot(0, 0, CODE_SIZE, 0);
	arch_init_vcpu();
	vcpus_run();
}
