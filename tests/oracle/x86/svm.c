// SPDX-License-Identifier: MIT
/* A 64-bit guest under SVM with nested paging (APM volume 2, appendix B). */
#include "x86.h"

#define MSR_HSAVE UINT32_C(0xc0010117)
#define EFER_SVME (UINT64_C(1) << 12)
#define CR4_LA57  (UINT64_C(1) << 12)
#define PAT_RESET UINT64_C(0x0007040600070406)

/* Offsets in the VMCB. */
enum vmcb_field {
	VMCB_EXCEPTIONS = 0x8,
	VMCB_INTERCEPTS = 0xc,
	VMCB_INTERCEPTS2 = 0x10,
	VMCB_ASID = 0x58,
	VMCB_TLB_CONTROL = 0x5c,
	VMCB_EXIT_CODE = 0x70,
	VMCB_INFO1 = 0x78,
	VMCB_INFO2 = 0x80,
	VMCB_NESTED = 0x90,
	VMCB_NCR3 = 0xb0,
	VMCB_ES = 0x400, /* CS SS DS FS GS GDTR LDTR IDTR TR, 16 bytes each */
	VMCB_TR = 0x490,
	VMCB_EFER = 0x4d0,
	VMCB_CR4 = 0x548,
	VMCB_CR3 = 0x550,
	VMCB_CR0 = 0x558,
	VMCB_DR7 = 0x560,
	VMCB_RFLAGS = 0x568,
	VMCB_RIP = 0x578,
	VMCB_RSP = 0x5d8,
	VMCB_RAX = 0x5f8,
	VMCB_PAT = 0x668,
};

#define INTERCEPT_HLT      (UINT32_C(1) << 24)
#define INTERCEPT_SHUTDOWN (UINT32_C(1) << 31)
#define INTERCEPT2_VMRUN   UINT32_C(3) /* and VMMCALL */

void svm_enter(uint64_t registers[2], uint64_t vmcb_hpa);

static uint64_t host_save[512] __attribute__((aligned(4096)));
static uint64_t vmcb[512] __attribute__((aligned(4096)));
static uint64_t root;

static uint64_t *vmcb_at(enum vmcb_field field)
{
	return &vmcb[field / 8];
}

static void vmcb_half(enum vmcb_field field, uint32_t value)
{
	((volatile uint32_t *)vmcb)[field / 4] = value;
}

static void vmcb_segment(unsigned number, uint64_t selector, uint64_t rights, uint64_t limit)
{
	vmcb_at(VMCB_ES + 16 * number)[0] = selector | rights << 16 | limit << 32;
	vmcb_at(VMCB_ES + 16 * number)[1] = 0;
}

void svm_start(void)
{
	unsigned i;

	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
	msr_write(MSR_HSAVE, (uint64_t)host_save);
	vmcb_half(VMCB_EXCEPTIONS, UINT32_MAX); /* the guest has no handlers */
	vmcb_half(VMCB_INTERCEPTS, INTERCEPT_HLT | INTERCEPT_SHUTDOWN);
	vmcb_half(VMCB_INTERCEPTS2, INTERCEPT2_VMRUN);
	vmcb_half(VMCB_ASID, 1);
	*vmcb_at(VMCB_NESTED) = 1;
	for (i = 0; i < 6; i++)
		vmcb_segment(i, i == 1 ? SELECTOR_CODE : SELECTOR_DATA, i == 1 ? 0xa9b : 0xc93,
			     UINT32_MAX);
	vmcb_segment(9, SELECTOR_TSS, 0x8b, 0x67);
	*vmcb_at(VMCB_PAT) = PAT_RESET;
}

void svm_root(uint64_t ncr3)
{
	root = ncr3;
}

void svm_run(const struct guest_run *run, struct job_result *result)
{
	uint64_t registers[2] = {run->value, run->address};

	vmcb_half(VMCB_TLB_CONTROL, 1); /* flush everything */
	*vmcb_at(VMCB_NCR3) = root;
	*vmcb_at(VMCB_EFER) = msr_read(MSR_EFER);
	*vmcb_at(VMCB_CR4) = CR_READ(4) & ~CR4_LA57;
	*vmcb_at(VMCB_CR3) = run->window_gpa + 0x1000;
	*vmcb_at(VMCB_CR0) = CR_READ(0);
	*vmcb_at(VMCB_DR7) = 0x400;
	*vmcb_at(VMCB_RFLAGS) = 2;
	*vmcb_at(VMCB_RIP) = run->pc;
	*vmcb_at(VMCB_RSP) = run->window_gpa + 0xff8;
	*vmcb_at(VMCB_RAX) = run->value;
	svm_enter(registers, (uint64_t)vmcb);
	*result = (struct job_result){
		.what = *vmcb_at(VMCB_EXIT_CODE),
		.reg = {*vmcb_at(VMCB_INFO1), *vmcb_at(VMCB_INFO2)},
		.value = *vmcb_at(VMCB_RAX),
	};
}
