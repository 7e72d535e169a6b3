/* SPDX-License-Identifier: MIT */
/*
 * The scripted VMM on riscv64: ebreak stops the guest (KVM_EXIT_DEBUG, so no interrupt
 * controller and no MMIO), a1 holds the address, a0 the value. The guest runs in VS mode; its
 * trap vector, at gpa 0, is a stop too.
 */
#include "vmm.h"
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	STOP = 0x9002,
	VECTOR_GPA = 0,
	VECTOR_BYTES = 0x800
}; /* c.ebreak */

/* One piece every PIECE_BYTES, in the order of enum piece. */
extern const char guest_code[], guest_code_end[];
asm(".pushsection .rodata\n"
    ".option push\n"
    ".option norvc\n"
    ".balign 16\n"
    ".globl guest_code, guest_code_end\n"
    "guest_code:\n"
    "	lbu a0, 0(a1)\n"
    "	ebreak\n"
    ".balign 16\n"
    "	sb a0, 0(a1)\n"
    "	ebreak\n"
    ".balign 16\n"
    "	sd a0, 0(a1)\n"
    "	ebreak\n"
    ".balign 16\n"
    "	sfence.vma a1, zero\n"
    "	ebreak\n"
    ".balign 16\n"
    "	csrw satp, a0\n"
    "	sfence.vma\n"
    "	ebreak\n"
    ".balign 16\n"
    "	sw a0, 0(a1)\n"
    "	ebreak\n"
    "guest_code_end:\n"
    ".option pop\n"
    ".popsection\n");

#define SATP_SV48 (9UL << 60)
#define CORE_REG(field) \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(field))
#define CSR_REG(field) \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CSR | KVM_REG_RISCV_CSR_REG(field))

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
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE};

	if (ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug))
		die("KVM_SET_GUEST_DEBUG");
	set_reg(CSR_REG(stvec), VECTOR_GPA);
}

void arch_init_code(char *slot0)
{
	arch_fill_stops(slot0 + VECTOR_GPA, VECTOR_BYTES);
	memcpy(slot0 + CODE_GPA, guest_code, guest_code_end - guest_code);
}

void arch_fill_stops(char *at, unsigned long bytes)
{
	for (unsigned long i = 0; i < bytes; i += 2)
		*(unsigned short *)(at + i) = STOP;
}

/* The bytes of the stop instruction from this address on. */
unsigned long arch_stop_value(unsigned long address)
{
	return address & 1 ? 0x0290029002900290UL : 0x9002900290029002UL;
}

void arch_start(unsigned long pc, unsigned long address, unsigned long value)
{
	set_reg(CORE_REG(regs.a1), address);
	set_reg(CORE_REG(regs.a0), value);
	set_reg(CORE_REG(regs.pc), pc);
	set_reg(CORE_REG(mode), KVM_RISCV_MODE_S);
}

int arch_exit(int *result)
{
	unsigned long pc;

	if (run->exit_reason == KVM_EXIT_MMIO)
		return RUN_ON;
	*result = run->exit_reason;
	if (run->exit_reason == KVM_EXIT_DEBUG) {
		pc = get_reg(CORE_REG(regs.pc));
		*result = pc - VECTOR_GPA < VECTOR_BYTES ? GUEST_EXCEPTION : 0;
	}
	return STOPPED;
}

/* flat: no paging. 64: Sv48. The script's `root` values are whole satp values. */
int arch_set_mode(const char *mode, unsigned long root)
{
	int on = !strcmp(mode, "64");

	if (!on && strcmp(mode, "flat"))
		return -1;
	set_reg(CSR_REG(satp), on ? SATP_SV48 | root >> 12 : 0);
	return 0;
}

static unsigned long next_table(unsigned long entry, int shift)
{
	return shift > 12 && (entry & 0xf) == 1 ? (entry >> 10 & 0xfffffffffffUL) << 12 : 0;
}

static int level_of(int shift)
{
	return (shift - 12) / 9;
}

/*
 * The kernel's list of VMs leads into this VM's struct kvm, at a field before the
 * architecture's. Its pgd and pgd_phys stand side by side: the only kernel address followed by
 * its own physical address, aligned as a root must be.
 */
static unsigned long find_root(void)
{
	static unsigned long words[4096];
	unsigned long at = tables_symbol("vm_list");

	if (!at || tables_read_virtual(at, &at, sizeof(at)) ||
	    tables_read_virtual(at, words, sizeof(words)))
		return 0;
	for (unsigned int i = 0; i + 1 < sizeof(words) / sizeof(*words); i++)
		if (words[i + 1] && !(words[i + 1] & 0x3fff) &&
		    tables_physical(words[i]) == words[i + 1])
			return words[i + 1];
	return 0;
}

void arch_report_entries(void)
{
	static struct table_format format = {
		.root_bits = 11, .next = next_table, .level = level_of};
	static unsigned long root;

	if (!root) {
		root = find_root();
		format.root_shift = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_VM_GPA_BITS) -
				    format.root_bits;
		if (!root)
			return;
	}
	tables_report(root, &format);
}

void arch_set_smm(int is_in)
{
	(void)is_in;
	die("no SMM here");
}
