/* SPDX-License-Identifier: MIT */
/* What the x86 program's two halves, VMX and SVM, share. */
#ifndef TESTS_ORACLE_X86_H
#define TESTS_ORACLE_X86_H

#include "bare.h"

#define MSR_EFER UINT32_C(0xc0000080)

#define SELECTOR_CODE 8
#define SELECTOR_DATA 16
#define SELECTOR_TSS  24

#define CR_READ(n)                                                     \
	({                                                             \
		uint64_t value_;                                       \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value_)); \
		value_;                                                \
	})
#define CR_WRITE(n, x) __asm__ volatile("mov %0, %%cr" #n ::"r"((uint64_t)(x)) : "memory")

extern uint64_t gdt[];

static inline uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* A guest that runs the window's code with the window's tables. */
struct guest_run {
	uint64_t window_gpa;
	uint64_t pc;
	uint64_t address, value;
};

void vmx_start(void);
void vmx_root(uint64_t eptp);
void vmx_flush(void);
void vmx_run(const struct guest_run *run, struct job_result *result);

void svm_start(void);
void svm_root(uint64_t ncr3);
void svm_run(const struct guest_run *run, struct job_result *result);

#endif
