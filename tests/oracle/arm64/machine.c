// SPDX-License-Identifier: MIT
/* Arm, EL2: stage 2 of EL1 and EL0 by VTTBR_EL2, guest accesses by ERET, the AT instructions. */
#include "bare.h"

#define ARM_JOB UINT64_C(0x48000000)

#define HCR_VM    (UINT64_C(1) << 0)
#define HCR_RW    (UINT64_C(1) << 31)
#define MDCR_TDE  (UINT64_C(1) << 8)
#define SCTLR_OFF UINT64_C(0x30d00800) /* EL1's MMU off, RES1 bits */
#define MAIR_WB   UINT64_C(0xff)
#define SPSR_EL1H UINT64_C(0x3c5)
#define SPSR_EL0  UINT64_C(0x3c0)
#define CPTR_NONE UINT64_C(0x33ff)
#define EXIT_ADP  UINT64_C(0x20026)

#define WRITE(reg, x) __asm__ volatile("msr " #reg ", %0" ::"r"((uint64_t)(x)) : "memory")
#define ISB()         __asm__ volatile("isb" ::: "memory")

extern char guest_code[], guest_code_end[];
uint64_t machine_at(uint64_t kind, uint64_t address);
void machine_enter(uint64_t pc, uint64_t address, uint64_t value, struct job_result *result,
		   uint64_t spsr);
long machine_semihosting(long op, const void *argument);

static uint64_t window_gpa, guest_root;

const struct job_header *machine_job(void)
{
	return (const struct job_header *)ARM_JOB;
}

void machine_start(const struct job_header *job)
{
	volatile char *to = (volatile char *)job->window_hpa;
	char *from;

	for (from = guest_code; from < guest_code_end; from++)
		*to++ = *from;
	guest_root = (job->guest_leaf - job->window_hpa) & ~UINT64_C(0xfff);
	WRITE(sctlr_el1, SCTLR_OFF);
	WRITE(cptr_el2, CPTR_NONE);
	WRITE(mdcr_el2, MDCR_TDE);
	WRITE(mair_el1, MAIR_WB);
	WRITE(hcr_el2, HCR_RW | HCR_VM);
	ISB();
}

/* The guest's root is the window's page that holds the leaf. */
void machine_root(const uint64_t arg[4])
{
	window_gpa = arg[3];
	WRITE(vttbr_el2, arg[0]);
	WRITE(vtcr_el2, arg[1]);
	WRITE(tcr_el1, arg[2]);
	WRITE(ttbr0_el1, window_gpa + guest_root);
	WRITE(sctlr_el1, SCTLR_OFF | !!arg[2]);
	WRITE(vbar_el1, window_gpa);
	ISB();
}

void machine_flush(void)
{
	__asm__ volatile("dsb ish\n\t"
			 "tlbi vmalls12e1\n\t"
			 "dsb ish\n\t"
			 "ic iallu\n\t"
			 "dsb ish\n\t"
			 "isb" ::
				 : "memory");
}

uint64_t machine_tag(uint64_t hpa)
{
	return job_tag_arm64(hpa);
}

void machine_probe(const struct job_record *record, struct job_result *result)
{
	uint64_t kind = record->op >> 8 & 0xf, is_user = record->op >> 8 & JOB_USER;

	if (kind >= JOB_ASIDE_LOAD) {
		kind = (kind - JOB_ASIDE_LOAD) | (is_user ? 2 : 0);
		*result = (struct job_result){.what = machine_at(kind, record->arg[0])};
		return;
	}
	WRITE(far_el2, 0);
	WRITE(hpfar_el2, 0);
	WRITE(esr_el1, 0);
	machine_enter(window_gpa + kind * 16, record->arg[0], record->arg[1], result,
		      is_user ? SPSR_EL0 : SPSR_EL1H);
}

void machine_finish(const void *results, uint64_t bytes)
{
	static const char name[] = "result";
	uint64_t open[3] = {(uint64_t)name, 5 /* "wb" */, sizeof(name) - 1};
	long file = machine_semihosting(1, open);
	uint64_t write[3] = {(uint64_t)file, (uint64_t)results, bytes};
	uint64_t close[1] = {(uint64_t)file}, status[2] = {EXIT_ADP, 0};

	machine_semihosting(5, write);
	machine_semihosting(2, close);
	for (;;)
		machine_semihosting(0x18, status);
}
