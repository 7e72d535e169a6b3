/* SPDX-License-Identifier: MIT */
/*
 * The scripted VMM on arm64: brk stops the guest (KVM_EXIT_DEBUG, so no interrupt controller and
 * no MMIO), x1 holds the address, x0 the value. The guest runs at EL1; its exception vectors, at
 * gpa 0, are stops too.
 */
#include "vmm.h"
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	STOP = 0xd4200000U,
	VECTORS_GPA = 0,
	VECTORS_BYTES = 0x800
};

/* One piece every PIECE_BYTES, in the order of enum piece. */
extern const char guest_code[], guest_code_end[];
asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".globl guest_code, guest_code_end\n"
    "guest_code:\n"
    "	ldrb w0, [x1]\n"
    "	brk #0\n"
    ".balign 16\n"
    "	strb w0, [x1]\n"
    "	brk #0\n"
    ".balign 16\n"
    "	str x0, [x1]\n"
    "	brk #0\n"
    ".balign 16\n"
    "	lsr x1, x1, #12\n"
    "	tlbi vaae1is, x1\n"
    "	dsb ish\n"
    "	brk #0\n"
    ".balign 16\n"
    "	msr ttbr0_el1, x0\n"
    "	isb\n"
    "	tlbi vmalle1\n"
    "	brk #0\n"
    ".balign 16\n"
    "	str w0, [x1]\n"
    "	brk #0\n"
    "guest_code_end:\n"
    ".popsection\n");

#define CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.field))
#define SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define TTBR0_EL1 ARM64_SYS_REG(3, 0, 2, 0, 0)
#define TCR_EL1   ARM64_SYS_REG(3, 0, 2, 0, 2)
#define MAIR_EL1  ARM64_SYS_REG(3, 0, 10, 2, 0)
#define VBAR_EL1  ARM64_SYS_REG(3, 0, 12, 0, 0)

static void set_reg(unsigned long id, unsigned long value)
{
	struct kvm_one_reg r = {.id = id, .addr = (unsigned long)&value};

	if (ioctl(vcpu, KVM_SET_ONE_REG, &r))
		die("KVM_SET_ONE_REG");
}

static unsigned long get_reg(unsigned long id)
{
	unsigned long value = 0;
	struct kvm_one_reg r = {.id = id, .addr = (unsigned long)&value};

	if (ioctl(vcpu, KVM_GET_ONE_REG, &r))
		die("KVM_GET_ONE_REG");
	return value;
}

void arch_init_vm(void)
{
}

void arch_init_vcpu(void)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP};
	struct kvm_vcpu_init init;

	memset(&init, 0, sizeof(init));
	if (ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init) || ioctl(vcpu, KVM_ARM_VCPU_INIT, &init))
		die("KVM_ARM_VCPU_INIT");
	if (ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug))
		die("KVM_SET_GUEST_DEBUG");
	set_reg(VBAR_EL1, VECTORS_GPA);
}

void arch_init_code(char *slot0)
{
	arch_fill_stops(slot0 + VECTORS_GPA, VECTORS_BYTES);
	memcpy(slot0 + CODE_GPA, guest_code, guest_code_end - guest_code);
}

void arch_fill_stops(char *at, unsigned long bytes)
{
	for (unsigned long i = 0; i < bytes; i += 4)
		*(unsigned int *)(at + i) = STOP;
}

/* The bytes of the stop instruction from this address on. */
unsigned long arch_stop_value(unsigned long address)
{
	unsigned int shift = 8 * (address & 3);
	unsigned long both = STOP | (unsigned long)STOP << 32;

	return shift ? both >> shift | both << (64 - shift) : both;
}

void arch_start(unsigned long pc, unsigned long address, unsigned long value)
{
	set_reg(CORE_REG(regs[1]), address);
	set_reg(CORE_REG(regs[0]), value);
	set_reg(CORE_REG(pc), pc);
	set_reg(CORE_REG(pstate), 0x3c5); /* EL1, own stack pointer, everything masked */
}

int arch_exit(int *result)
{
	unsigned long pc;

	if (run->exit_reason == KVM_EXIT_MMIO)
		return RUN_ON;
	*result = run->exit_reason;
	if (run->exit_reason == KVM_EXIT_DEBUG) {
		pc = get_reg(CORE_REG(pc));
		*result = pc - VECTORS_GPA < VECTORS_BYTES ? GUEST_EXCEPTION : 0;
	}
	return STOPPED;
}

/*
 * flat: stage 1 off. 64: four levels of 4 KiB tables for 48-bit addresses, write-back memory
 * at attribute index 0.
 */
int arch_set_mode(const char *mode, unsigned long root)
{
	const unsigned long sctlr_off = 0x30d00800; /* the bits that must be one */
	int on = !strcmp(mode, "64");

	if (!on && strcmp(mode, "flat"))
		return -1;
	set_reg(MAIR_EL1, 0xff);
	set_reg(TCR_EL1, 16 | 1UL << 8 | 1UL << 10 | 3UL << 12 | 1UL << 23 | 2UL << 32);
	set_reg(TTBR0_EL1, root);
	set_reg(SCTLR_EL1, sctlr_off | (on ? 0x1005 : 0)); /* M, C, I */
	return 0;
}

static unsigned long next_table(unsigned long entry, int shift)
{
	return shift > 12 && (entry & 3) == 3 ? entry & 0xfffffffff000UL : 0;
}

static int level_of(int shift)
{
	return 3 - (shift - 12) / 9;
}

/*
 * The probe on kvm_pgtable_stage2_map says where the tables are and how many address bits they
 * take.
 */
void arch_report_entries(void)
{
	static struct table_format format = {.next = next_table, .level = level_of};
	static unsigned long root;

	if (!root) {
		unsigned long pgd = tables_trace_value("pgd");

		if (!pgd)
			return;
		root = tables_physical(pgd);
		format.root_shift = 12 + 9 * (3 - (int)tables_trace_value("start_level"));
		format.root_bits = tables_trace_value("ia_bits") - format.root_shift;
	}
	tables_report(root, &format);
}

void arch_set_smm(int is_in)
{
	(void)is_in;
	die("no SMM here");
}
