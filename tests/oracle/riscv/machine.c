// SPDX-License-Identifier: MIT
/* RISC-V, HS-mode: the second stage by hgatp, guest accesses by sret, HLV and HSV. */
#include "bare.h"

#define RISCV_JOB   UINT64_C(0x88000000)
#define RISCV_POWER UINT64_C(0x100000) /* the virt board's test device */

#define CSR_VSATP   0x280
#define CSR_HSTATUS 0x600
#define CSR_HEDELEG 0x602
#define CSR_HGATP   0x680

#define HSTATUS_SPVP (UINT64_C(1) << 8)
#define SSTATUS_SPP  (UINT64_C(1) << 8)

#define STRING(x)         #x
#define CSR_WRITE(csr, x) __asm__ volatile("csrw " STRING(csr) ", %0" ::"r"(x) : "memory")
#define CSR_SET(csr, x)   __asm__ volatile("csrs " STRING(csr) ", %0" ::"r"(x) : "memory")
#define CSR_CLEAR(csr, x) __asm__ volatile("csrc " STRING(csr) ", %0" ::"r"(x) : "memory")
#define WRITE(csr, x)     CSR_WRITE(csr, (uint64_t)(x))

extern char guest_code[], guest_code_end[];
void machine_aside(uint64_t is_store, uint64_t address, uint64_t value, struct job_result *result);
void machine_enter(uint64_t pc, uint64_t address, uint64_t value, struct job_result *result);
long machine_semihosting(long op, const void *argument);

static uint64_t window_gpa;

const struct job_header *machine_job(void)
{
	return (const struct job_header *)RISCV_JOB;
}

void machine_start(const struct job_header *job)
{
	volatile char *to = (volatile char *)job->window_hpa;
	char *from;

	for (from = guest_code; from < guest_code_end; from++)
		*to++ = *from;
	__asm__ volatile("fence.i" ::: "memory");
	WRITE(CSR_HEDELEG, 0);
}

void machine_root(const uint64_t arg[4])
{
	WRITE(CSR_HGATP, arg[0]);
	WRITE(CSR_VSATP, arg[1]);
	window_gpa = arg[3];
}

void machine_flush(void)
{
	__asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0\n\t" /* hfence.gvma */
			 ".insn r 0x73, 0, 0x11, x0, x0, x0\n\t" /* hfence.vvma */
			 ::
				 : "memory");
}

uint64_t machine_tag(uint64_t hpa)
{
	return job_tag_riscv(hpa);
}

void machine_probe(const struct job_record *record, struct job_result *result)
{
	uint64_t kind = record->op >> 8 & 0xf;

	CSR_CLEAR(CSR_HSTATUS, HSTATUS_SPVP);
	CSR_CLEAR(sstatus, SSTATUS_SPP);
	if (!(record->op >> 8 & JOB_USER)) {
		CSR_SET(CSR_HSTATUS, HSTATUS_SPVP);
		CSR_SET(sstatus, SSTATUS_SPP);
	}
	if (kind >= JOB_ASIDE_LOAD)
		machine_aside(kind - JOB_ASIDE_LOAD, record->arg[0], record->arg[1], result);
	else
		machine_enter(window_gpa + kind * 16, record->arg[0], record->arg[1], result);
}

void machine_finish(const void *results, uint64_t bytes)
{
	static const char name[] = "result";
	uint64_t open[3] = {(uint64_t)name, 5 /* "wb" */, sizeof(name) - 1};
	long file = machine_semihosting(1, open);
	uint64_t write[3] = {(uint64_t)file, (uint64_t)results, bytes};
	uint64_t close[1] = {(uint64_t)file};

	machine_semihosting(5, write);
	machine_semihosting(2, close);
	for (;;)
		*(volatile uint32_t *)RISCV_POWER = 0x5555;
}
