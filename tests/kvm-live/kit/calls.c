/* SPDX-License-Identifier: MIT */
/* Lines of a script that are calls to KVM about dirty pages, or ahead of faults, or the host's. */
#include "vmm.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	BITMAP_BYTES = 1 << 16
};

/* Younger than the headers may be. */
struct pre_fault {
	__u64 gpa, bytes, flags, padding[5];
};
#define PRE_FAULT _IOWR(KVMIO, 0xd5, struct pre_fault)

static unsigned long ring_bytes;

static int enable(unsigned int capability, unsigned long argument)
{
	struct kvm_enable_cap cap = {.cap = capability, .args = {argument}};

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static void get_log(unsigned long slot)
{
	static unsigned char bitmap[BITMAP_BYTES];
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};
	int count = 0, ret;

	memset(bitmap, 0, sizeof(bitmap));
	ret = ioctl(vm, KVM_GET_DIRTY_LOG, &log);
	for (unsigned int i = 0; i < sizeof(bitmap); i++)
		count += __builtin_popcount(bitmap[i]);
	printf("dirty slot %lu count %d ret %d\n", slot, count, ret);
}

/* clear SLOT FIRST PAGES WORD: of these pages those that WORD has, for each 64 of them. */
static void clear_log(unsigned long slot, unsigned long first, unsigned long pages,
		      unsigned long word)
{
	static unsigned long bitmap[BITMAP_BYTES / 8];
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first, .num_pages = pages, .dirty_bitmap = bitmap};

	for (unsigned int i = 0; i < BITMAP_BYTES / 8; i++)
		bitmap[i] = word;
	printf("clear 0x%lx -> %d\n", slot, ioctl(vm, KVM_CLEAR_DIRTY_LOG, &log));
}

/* Take what is in a vCPU's ring; each entry goes into the trace. Returns how many. */
static int harvest(unsigned long number)
{
	static struct {
		struct kvm_dirty_gfn *entries;
		unsigned long next;
	} rings[16];
	unsigned long count = ring_bytes / sizeof(struct kvm_dirty_gfn), taken = 0;
	struct kvm_dirty_gfn *entry;
	char line[80];

	if (!rings[number].entries)
		rings[number].entries = mmap(0, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
					     vcpus_file(number), KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
	if (rings[number].entries == MAP_FAILED)
		die("ring");
	for (;; taken++) {
		entry = &rings[number].entries[rings[number].next % count];
		if (!(entry->flags & KVM_DIRTY_GFN_F_DIRTY))
			return taken;
		snprintf(line, sizeof(line), "page slot %x offset %llx\n", entry->slot,
			 entry->offset);
		mark(line);
		entry->flags |= KVM_DIRTY_GFN_F_RESET;
		rings[number].next++;
	}
}

/* All rings, one vCPU after the other, then the pages are protected again. */
static void harvest_all(void)
{
	int taken = 0, reset;

	for (unsigned long i = 0; vcpus_file(i) >= 0; i++)
		taken += harvest(i);
	reset = ioctl(vm, KVM_RESET_DIRTY_RINGS, 0);
	printf("harvest 0x%x -> %d\n", taken, reset);
}

/* What is mapped ahead of the guest's accesses, all or up to the first that fails. */
static int pre_fault(unsigned long gpa, unsigned long bytes)
{
	struct pre_fault range = {.gpa = gpa, .bytes = bytes};

	while (range.bytes)
		if (ioctl(vcpu, PRE_FAULT, &range))
			return -1;
	return 0;
}

/* The host looks for memory to reclaim, which is when it asks KVM what was used. */
static void reclaim(unsigned long bytes)
{
	char text[32];
	int fd = open("/sys/fs/cgroup/vmm/memory.reclaim", O_WRONLY);

	snprintf(text, sizeof(text), "%lu", bytes);
	if (fd < 0)
		die("memory.reclaim");
	printf("reclaim 0x%lx -> %d\n", bytes, (int)write(fd, text, strlen(text)));
	close(fd);
}

int calls_is_first(const char *op)
{
	return !strcmp(op, "ring") || !strcmp(op, "manual");
}

int calls_line(const char *op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	if (!strcmp(op, "dirty"))
		get_log(a);
	else if (!strcmp(op, "clear"))
		clear_log(a, b, c, d);
	else if (!strcmp(op, "manual")) /* manual FLAGS: 1, or 3: all is dirty at first */
		printf("manual 0x%lx -> %d\n", a, enable(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, a));
	else if (!strcmp(op, "ring")) /* ring BYTES: of each vCPU */
		printf("ring 0x%lx -> %d\n", ring_bytes = a, enable(KVM_CAP_DIRTY_LOG_RING, a));
	else if (!strcmp(op, "harvest"))
		harvest_all();
	else if (!strcmp(op, "prefault")) { /* prefault GPA BYTES */
		printf("prefault 0x%lx -> %d\n", a, pre_fault(a, b));
		for (unsigned long i = 0; i < b; i += PAGE)
			report_host_page(a + i);
	} else if (!strcmp(op, "reclaim"))
		reclaim(a);
	else
		return 0;
	return 1;
}
