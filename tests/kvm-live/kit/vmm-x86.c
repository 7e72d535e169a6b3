/* SPDX-License-Identifier: MIT */
/* The scripted VMM on x86-64: hlt stops the guest, rbx holds the address, rax the value. */
#include "vmm.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static const unsigned char code[PIECES][PIECE_BYTES] = {
	[PIECE_READ] = {0x8a, 0x03, 0xf4},           /* mov (rbx),al */
	[PIECE_WRITE] = {0x88, 0x03, 0xf4},          /* mov al,(rbx) */
	[PIECE_WRITE_64] = {0x48, 0x89, 0x03, 0xf4}, /* mov rax,(rbx)   64-bit mode only */
	[PIECE_FLUSH] = {0x0f, 0x01, 0x3b, 0xf4},    /* invlpg (rbx) */
	[PIECE_ROOT] = {0x0f, 0x22, 0xd8, 0xf4},     /* mov rax,cr3 */
	[PIECE_WRITE_32] = {0x89, 0x03, 0xf4},       /* mov eax,(rbx) */
};

void arch_init_vm(void)
{
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
}

/*
 * The guest may use all that KVM offers: newer kernels refuse control bits that the guest's
 * CPUID does not have.
 */
static void set_cpuid(void)
{
	enum {
		MAX_ENTRIES = 256
	};
	struct kvm_cpuid2 *cpuid = calloc(1,
					  sizeof(*cpuid) + MAX_ENTRIES * sizeof(cpuid->entries[0]));

	cpuid->nent = MAX_ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) || ioctl(vcpu, KVM_SET_CPUID2, cpuid))
		die("CPUID");
	free(cpuid);
}

void arch_init_vcpu(void)
{
	set_cpuid();
	arch_set_mode("flat", 0);
}

void arch_init_code(char *slot0)
{
	memcpy(slot0 + CODE_GPA, code, sizeof(code));
}

void arch_fill_stops(char *at, unsigned long bytes)
{
	memset(at, 0xf4, bytes);
}

unsigned long arch_stop_value(unsigned long address)
{
	(void)address;
	return 0xf4;
}

void arch_start(unsigned long pc, unsigned long address, unsigned long value)
{
	struct kvm_regs g;

	ioctl(vcpu, KVM_GET_REGS, &g);
	g.rbx = address;
	g.rax = value;
	g.rip = pc;
	g.rflags = 2;
	ioctl(vcpu, KVM_SET_REGS, &g);
}

int arch_exit(int *result)
{
	if (run->exit_reason == KVM_EXIT_MMIO)
		return RUN_ON;
	*result = run->exit_reason == KVM_EXIT_HLT ? 0 : run->exit_reason;
	return STOPPED;
}

int arch_set_mode(const char *mode, unsigned long root)
{
	struct kvm_sregs s;
	struct kvm_segment d = {.limit = 0xffffffff,
				.selector = 16,
				.present = 1,
				.type = 3,
				.db = 1,
				.s = 1,
				.g = 1};

	ioctl(vcpu, KVM_GET_SREGS, &s);
	s.cr0 = 0x10031; /* PE, ET, NE, WP */
	s.cr3 = root;
	s.cr4 = 0;
	s.efer = 0;
	s.ds = s.es = s.ss = s.fs = s.gs = d;
	d.type = 11;
	d.selector = 8;
	if (!strcmp(mode, "32"))
		s.cr0 |= 1UL << 31, s.cr4 = 0x10;
	if (!strcmp(mode, "pae"))
		s.cr0 |= 1UL << 31, s.cr4 = 0x20, s.efer = 0x800;
	if (!strcmp(mode, "64")) {
		s.cr0 |= 1UL << 31;
		s.cr4 = 0x20;
		s.efer = 0xd00; /* LME, LMA, NXE */
		d.l = 1;
		d.db = 0;
	}
	s.cs = d;
	if (ioctl(vcpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS");
	return 0;
}

void arch_set_smm(int is_in)
{
	struct kvm_vcpu_events events;

	ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = is_in;
	if (ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events))
		die("SMM");
}

/* KVM's own tracepoints say every entry. */
void arch_report_entries(void)
{
}
