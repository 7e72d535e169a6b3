/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the scripted VMM share: vmm.c reads the script, vcpus.c has the vCPUs, each in
 * a thread, calls.c makes what calls KVM has besides, vmm-ARCH.c knows registers and guest code,
 * tables.c (not on x86) reads the second-stage tables back.
 */
#ifndef VMM_H
#define VMM_H

#include <linux/kvm.h>

/*
 * Guest code lies at CODE_GPA, one piece every PIECE_BYTES; each piece ends in an instruction
 * that stops the guest.
 */
enum {
	CODE_GPA = 0x1000,
	PIECE_BYTES = 0x10
};
enum piece {
	PIECE_READ,
	PIECE_WRITE,
	PIECE_WRITE_64,
	PIECE_FLUSH,
	PIECE_ROOT,
	PIECE_WRITE_32,
	PIECES
};

/* vcpu and its run: of the vCPU that makes the next accesses. */
extern int kvm, vm, vcpu;
extern struct kvm_run *run;

void die(const char *what);
void mark(const char *line);
/* Say what the host has behind a page that the current vCPU sees. */
void report_host_page(unsigned long gpa);
/* Read and run the script's next line, in the thread of the current vCPU. */
void run_line(void);

/* vcpus.c */
/* Make the first vCPU; run the script, which ends the process. */
void vcpus_begin(void);
_Noreturn void vcpus_run(void);
/* LINE says that vCPU NUMBER is current from now on. */
void vcpus_choose(unsigned long number, const char *line);
/* Of the current vCPU: are its addresses virtual, so that their gpa is not known? */
int vcpus_paging(void);
void vcpus_set_paging(int paging);
/* The address space that it sees: 1 in SMM. */
int vcpus_space(void);
void vcpus_set_space(int space);
/* vCPU NUMBER's file, or -1. */
int vcpus_file(unsigned long number);

/* calls.c: a line that is none of vmm.c's, with its numbers; 0: not of here either. */
int calls_line(const char *op, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
/* Is OP for the script's start, before the first vCPU? */
int calls_is_first(const char *op);

/* What the architecture needs: after the VM, after the vCPU, after slot 0 has memory. */
void arch_init_vm(void);
void arch_init_vcpu(void);
void arch_init_code(char *slot0);

/* The stop instruction, over a whole range; the value that keeps it when stored at an address. */
void arch_fill_stops(char *at, unsigned long bytes);
unsigned long arch_stop_value(unsigned long address);

/* Set the registers for one piece. */
void arch_start(unsigned long pc, unsigned long address, unsigned long value);

/* After KVM_RUN: the guest stopped, or runs on after an MMIO access. */
enum {
	STOPPED = 1,
	RUN_ON = 0,
	GUEST_EXCEPTION = -2
};
int arch_exit(int *result);

/* Enter or leave SMM. */
void arch_set_smm(int is_in);

/* The guest's own paging: 0, or -1 where the architecture has no such mode. */
int arch_set_mode(const char *mode, unsigned long root);

/* Say which second-stage entries changed, where KVM has no tracepoint for it. */
void arch_report_entries(void);

/* tables.c: the second-stage tables of this VM, read from /proc/kcore. */
struct table_format {
	int root_shift; /* address bit that the root's entries start at: 39 for 512 GiB each */
	int root_bits;  /* log2 of the root's entries */
	unsigned long (*next)(unsigned long entry, int shift); /* table it points to, or 0 */
	int (*level)(int shift); /* the architecture's number for a level */
};
unsigned long tables_trace_value(const char *name); /* a probe's "name=0x..." in the trace, or 0 */
unsigned long tables_symbol(const char *name);      /* a kernel symbol's address, or 0 */
int tables_read_virtual(unsigned long address, void *to, unsigned long bytes);
unsigned long tables_physical(unsigned long kernel_address);
void tables_report(unsigned long root, const struct table_format *format);

#endif
