// SPDX-License-Identifier: MIT
/* A 64-bit guest under VMX with EPT (SDM volume 3, "Virtual-machine control structures"). */
#include "x86.h"

#define MSR_FEATURE_CONTROL  0x3a
#define MSR_VMX_BASIC        0x480
#define MSR_VMX_PIN          0x481
#define MSR_VMX_PROCESSOR    0x482
#define MSR_VMX_EXIT         0x483
#define MSR_VMX_ENTRY        0x484
#define MSR_VMX_SECONDARY    0x48b
#define CR4_VMXE             (UINT64_C(1) << 13)
#define FEATURE_LOCK_OUTSIDE UINT64_C(5)

enum vmcs_field {
	VMCS_GUEST_ES_SELECTOR = 0x800, /* CS SS DS FS GS follow, two apart */
	VMCS_GUEST_LDTR_SELECTOR = 0x80c,
	VMCS_GUEST_TR_SELECTOR = 0x80e,
	VMCS_HOST_ES_SELECTOR = 0xc00, /* CS SS DS FS GS TR */
	VMCS_EPTP = 0x201a,
	VMCS_EXIT_GPA = 0x2400,
	VMCS_LINK = 0x2800,
	VMCS_GUEST_EFER = 0x2806,
	VMCS_HOST_EFER = 0x2c02,
	VMCS_PIN = 0x4000,
	VMCS_PROCESSOR = 0x4002,
	VMCS_EXCEPTIONS = 0x4004,
	VMCS_EXIT = 0x400c,
	VMCS_ENTRY = 0x4012,
	VMCS_SECONDARY = 0x401e,
	VMCS_ERROR = 0x4400,
	VMCS_EXIT_REASON = 0x4402,
	VMCS_GUEST_ES_LIMIT = 0x4800,
	VMCS_GUEST_LDTR_LIMIT = 0x480c,
	VMCS_GUEST_TR_LIMIT = 0x480e,
	VMCS_GUEST_ES_RIGHTS = 0x4814,
	VMCS_GUEST_LDTR_RIGHTS = 0x4820,
	VMCS_GUEST_TR_RIGHTS = 0x4822,
	VMCS_QUALIFICATION = 0x6400,
	VMCS_EXIT_GLA = 0x640a,
	VMCS_GUEST_CR0 = 0x6800,
	VMCS_GUEST_CR3 = 0x6802,
	VMCS_GUEST_CR4 = 0x6804,
	VMCS_GUEST_ES_BASE = 0x6806,
	VMCS_GUEST_TR_BASE = 0x6814,
	VMCS_GUEST_DR7 = 0x681a,
	VMCS_GUEST_RSP = 0x681c,
	VMCS_GUEST_RIP = 0x681e,
	VMCS_GUEST_RFLAGS = 0x6820,
	VMCS_HOST_CR0 = 0x6c00,
	VMCS_HOST_CR3 = 0x6c02,
	VMCS_HOST_CR4 = 0x6c04,
	VMCS_HOST_TR_BASE = 0x6c0a,
	VMCS_HOST_GDTR_BASE = 0x6c0c,
};

/* Controls asked for; the CPU's must-be-ones come on top. */
#define PROCESSOR_WANTED (UINT64_C(1) << 7 | UINT64_C(1) << 31) /* HLT exits, secondary */
#define SECONDARY_WANTED (UINT64_C(1) << 1)                     /* EPT */
#define EXIT_WANTED      (UINT64_C(1) << 9 | UINT64_C(1) << 21) /* 64-bit host, load EFER */
#define ENTRY_WANTED     (UINT64_C(1) << 9 | UINT64_C(1) << 15) /* 64-bit guest, load EFER */

#define REASON_NOT_ENTERED UINT64_C(0xfa11)

int vmx_enter(uint64_t registers[2], int is_launched);

static uint64_t vmxon_region[512] __attribute__((aligned(4096)));
static uint64_t vmcs_region[512] __attribute__((aligned(4096)));
static uint64_t tss[16];
static int is_launched;

static void vmcs_write(enum vmcs_field field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" ::"r"((uint64_t)field), "r"(value) : "cc");
}

static uint64_t vmcs_read(enum vmcs_field field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

static void vmcs_control(enum vmcs_field field, uint32_t msr, uint64_t wanted)
{
	uint64_t allowed = msr_read(msr);

	vmcs_write(field, (wanted | (uint32_t)allowed) & allowed >> 32);
}

static void vmx_controls(void)
{
	vmcs_control(VMCS_PIN, MSR_VMX_PIN, 0);
	vmcs_control(VMCS_PROCESSOR, MSR_VMX_PROCESSOR, PROCESSOR_WANTED);
	vmcs_control(VMCS_SECONDARY, MSR_VMX_SECONDARY, SECONDARY_WANTED);
	vmcs_control(VMCS_EXIT, MSR_VMX_EXIT, EXIT_WANTED);
	vmcs_control(VMCS_ENTRY, MSR_VMX_ENTRY, ENTRY_WANTED);
	vmcs_write(VMCS_EXCEPTIONS, UINT32_MAX); /* the guest has no handlers */
	vmcs_write(VMCS_LINK, UINT64_MAX);
}

static void vmx_host_state(void)
{
	unsigned i;

	vmcs_write(VMCS_HOST_CR0, CR_READ(0));
	vmcs_write(VMCS_HOST_CR3, CR_READ(3));
	vmcs_write(VMCS_HOST_CR4, CR_READ(4));
	vmcs_write(VMCS_HOST_EFER, msr_read(MSR_EFER));
	for (i = 0; i < 6; i++)
		vmcs_write(VMCS_HOST_ES_SELECTOR + 2 * i, i == 1 ? SELECTOR_CODE : SELECTOR_DATA);
	vmcs_write(VMCS_HOST_ES_SELECTOR + 2 * 6, SELECTOR_TSS);
	vmcs_write(VMCS_HOST_TR_BASE, (uint64_t)tss);
	vmcs_write(VMCS_HOST_GDTR_BASE, (uint64_t)gdt);
}

static void vmx_guest_state(void)
{
	unsigned i;

	vmcs_write(VMCS_GUEST_CR0, CR_READ(0));
	vmcs_write(VMCS_GUEST_CR4, CR_READ(4));
	vmcs_write(VMCS_GUEST_EFER, msr_read(MSR_EFER));
	for (i = 0; i < 6; i++) {
		vmcs_write(VMCS_GUEST_ES_SELECTOR + 2 * i, i == 1 ? SELECTOR_CODE : SELECTOR_DATA);
		vmcs_write(VMCS_GUEST_ES_BASE + 2 * i, 0);
		vmcs_write(VMCS_GUEST_ES_LIMIT + 2 * i, UINT32_MAX);
		vmcs_write(VMCS_GUEST_ES_RIGHTS + 2 * i, i == 1 ? 0xa09b : 0xc093);
	}
	vmcs_write(VMCS_GUEST_LDTR_RIGHTS, 0x10000); /* unusable */
	vmcs_write(VMCS_GUEST_TR_SELECTOR, SELECTOR_TSS);
	vmcs_write(VMCS_GUEST_TR_BASE, (uint64_t)tss);
	vmcs_write(VMCS_GUEST_TR_LIMIT, 0x67);
	vmcs_write(VMCS_GUEST_TR_RIGHTS, 0x8b);
	vmcs_write(VMCS_GUEST_DR7, 0x400);
}

void vmx_start(void)
{
	uint64_t region = (uint64_t)vmxon_region;

	if (!(msr_read(MSR_FEATURE_CONTROL) & 1))
		msr_write(MSR_FEATURE_CONTROL, FEATURE_LOCK_OUTSIDE);
	CR_WRITE(4, CR_READ(4) | CR4_VMXE);
	vmxon_region[0] = (uint32_t)msr_read(MSR_VMX_BASIC);
	vmcs_region[0] = (uint32_t)msr_read(MSR_VMX_BASIC);
	__asm__ volatile("vmxon %0" ::"m"(region) : "cc", "memory");
	region = (uint64_t)vmcs_region;
	__asm__ volatile("vmclear %0" ::"m"(region) : "cc", "memory");
	__asm__ volatile("vmptrld %0" ::"m"(region) : "cc", "memory");
	vmx_controls();
	vmx_host_state();
	vmx_guest_state();
}

void vmx_root(uint64_t eptp)
{
	vmcs_write(VMCS_EPTP, eptp);
}

void vmx_flush(void)
{
	uint64_t descriptor[2] = {0, 0}, all = 2;

	__asm__ volatile("invept %0, %1" ::"m"(descriptor), "r"(all) : "cc", "memory");
}

void vmx_run(const struct guest_run *run, struct job_result *result)
{
	uint64_t registers[2] = {run->value, run->address};

	vmcs_write(VMCS_GUEST_RIP, run->pc);
	vmcs_write(VMCS_GUEST_RSP, run->window_gpa + 0xff8);
	vmcs_write(VMCS_GUEST_CR3, run->window_gpa + 0x1000);
	vmcs_write(VMCS_GUEST_RFLAGS, 2);
	*result = (struct job_result){.what = REASON_NOT_ENTERED};
	if (vmx_enter(registers, is_launched)) {
		result->reg[0] = vmcs_read(VMCS_ERROR);
		return;
	}
	is_launched = 1;
	result->what = vmcs_read(VMCS_EXIT_REASON);
	result->reg[0] = vmcs_read(VMCS_QUALIFICATION);
	result->reg[1] = vmcs_read(VMCS_EXIT_GPA);
	result->reg[2] = vmcs_read(VMCS_EXIT_GLA);
	result->value = registers[0];
}
