/* SPDX-License-Identifier: MIT */
/*
 * Reading what hardware reports of a second-stage fault: registers in, a neutral fault out.
 *
 * A guest-table access of the walker asks for what the walker needs of the page (to read the entry,
 * or to write it), whatever the guest instruction was about to do. Flags say only what the
 * registers say: where hardware is silent, none is guessed.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "format/contract.h"

/* VM-exit reasons; bits above 15 of the exit-reason field say other things. */
enum {
	EPT_EXIT_VIOLATION = 48,
	EPT_EXIT_MISCONFIG = 49,
};

/* Exit qualification of an EPT violation. */
#define EPT_QUAL_WRITE     BIT64(1)
#define EPT_QUAL_FETCH     BIT64(2)
#define EPT_QUAL_GRANTED   BITS64(5, 3)
#define EPT_QUAL_GLA       BIT64(7)
#define EPT_QUAL_FINAL     BIT64(8)
#define EPT_QUAL_USER_PAGE BIT64(9)

/*
 * Bits 0 and 1 together are a read-modify-write, or a guest-table access with EPT accessed and
 * dirty bits on: both need WRITE. Without a guest-linear address (a PDPTE load) it is a guest-table
 * access too. Bit 9 is undefined without advanced VM-exit information; processors write 0.
 */
static void decode_ept_violation(uint64_t qual, struct vmmu_fault *fault)
{
	bool is_final = (qual & EPT_QUAL_GLA) && (qual & EPT_QUAL_FINAL);

	if (qual & EPT_QUAL_WRITE)
		fault->access = VMMU_WRITE;
	else
		fault->access = qual & EPT_QUAL_FETCH ? VMMU_EXEC : VMMU_READ;
	if (qual & EPT_QUAL_GRANTED)
		fault->flags |= VMMU_FAULT_PRESENT;
	if (!is_final)
		fault->flags |= VMMU_FAULT_GUEST_WALK;
	else if (qual & EPT_QUAL_USER_PAGE)
		fault->flags |= VMMU_FAULT_USER;
}

/* A misconfiguration has no qualification: the access stays the least one, READ. */
static int decode_ept(const struct vmmu_syndrome *syndrome, struct vmmu_fault *fault)
{
	fault->gpa = syndrome->gpa;
	switch (syndrome->reg[0] & 0xffff) {
	case EPT_EXIT_VIOLATION:
		decode_ept_violation(syndrome->reg[1], fault);
		return 0;
	case EPT_EXIT_MISCONFIG:
		fault->access = VMMU_READ;
		fault->flags = VMMU_FAULT_RSVD;
		return 0;
	default:
		return -ENOMSG;
	}
}

/*
 * EXITINFO1 of a nested page fault. Bit 2 (user) is set for every nested access and says nothing.
 */
#define NPF_PRESENT BIT64(0)
#define NPF_WRITE   BIT64(1)
#define NPF_RSVD    BIT64(3)
#define NPF_FETCH   BIT64(4)
#define NPF_RMP     BIT64(31)
#define NPF_FINAL   BIT64(32)
#define NPF_TABLE   BIT64(33)

/*
 * An RMP violation is about page ownership (SNP), not about tables. Bits 32 and 33 exclude each
 * other; neither is accepted as a final access, since traces cut error codes to 32 bits.
 */
static int decode_npt(const struct vmmu_syndrome *syndrome, struct vmmu_fault *fault)
{
	uint64_t info = syndrome->reg[0];

	if ((info & NPF_RMP) || (info & (NPF_FINAL | NPF_TABLE)) == (NPF_FINAL | NPF_TABLE))
		return -ENOMSG;
	fault->gpa = syndrome->gpa;
	if (info & NPF_WRITE)
		fault->access = VMMU_WRITE;
	else
		fault->access = info & NPF_FETCH ? VMMU_EXEC : VMMU_READ;
	if (info & NPF_PRESENT)
		fault->flags |= VMMU_FAULT_PRESENT;
	if (info & NPF_RSVD)
		fault->flags |= VMMU_FAULT_RSVD;
	if (info & NPF_TABLE)
		fault->flags |= VMMU_FAULT_GUEST_WALK;
	return 0;
}

/* scause of the guest-page faults. */
enum {
	SV_CAUSE_FETCH = 20,
	SV_CAUSE_LOAD = 21,
	SV_CAUSE_STORE = 23,
};

/* htinst pseudo-instructions: the walker's access to a 32- or 64-bit guest page-table entry. */
enum {
	SV_HTINST_READ_32 = 0x2000,
	SV_HTINST_WRITE_32 = 0x2020,
	SV_HTINST_READ_64 = 0x3000,
	SV_HTINST_WRITE_64 = 0x3020,
};

/* VMMU_READ or VMMU_WRITE when the walker accessed a guest page table, 0 for an explicit access. */
static unsigned riscv_implicit_access(uint64_t htinst)
{
	switch (htinst) {
	case SV_HTINST_READ_32:
	case SV_HTINST_READ_64:
		return VMMU_READ;
	case SV_HTINST_WRITE_32:
	case SV_HTINST_WRITE_64:
		return VMMU_WRITE;
	default:
		return 0;
	}
}

/*
 * htval is the address without its low 2 bits: stval has them, but for implicit accesses, where
 * they are 0.
 */
static int decode_riscv(const struct vmmu_syndrome *syndrome, struct vmmu_fault *fault)
{
	unsigned implicit = riscv_implicit_access(syndrome->reg[3]);

	switch (syndrome->reg[0]) {
	case SV_CAUSE_FETCH:
		fault->access = VMMU_EXEC;
		break;
	case SV_CAUSE_LOAD:
		fault->access = VMMU_READ;
		break;
	case SV_CAUSE_STORE:
		fault->access = VMMU_WRITE;
		break;
	default:
		return -ENOMSG;
	}
	fault->gpa = syndrome->reg[2] << 2 | (implicit ? 0 : syndrome->reg[1] & 3);
	if (implicit) {
		fault->access = implicit;
		fault->flags |= VMMU_FAULT_GUEST_WALK;
	}
	return 0;
}

/* ESR_EL2: exception class in 31:26, fault status code in 5:0. */
enum {
	ARM_EC_FETCH_LOWER = 0x20,
	ARM_EC_DATA_LOWER = 0x24,
	ARM_FSC_ADDRESS_SIZE_MINUS_1 = 0x29,
	ARM_FSC_TRANSLATION_MINUS_1 = 0x2b,
};
#define ARM_ISS_WNR   BIT64(6)
#define ARM_ISS_S1PTW BIT64(7)
#define ARM_ISS_CM    BIT64(8)

/* What a fault status code is about; bits 5:2 of it, but for level -1. */
enum arm_fault_class {
	ARM_FAULT_ADDRESS_SIZE,
	ARM_FAULT_TRANSLATION,
	ARM_FAULT_ACCESS_FLAG,
	ARM_FAULT_PERMISSION,
	ARM_FAULT_OTHER, /* external aborts, alignment, TLB conflicts: not the tables' doing */
};

static enum arm_fault_class arm_classify_fault(uint64_t esr)
{
	unsigned fsc = esr & 0x3f;

	if (fsc == ARM_FSC_ADDRESS_SIZE_MINUS_1)
		return ARM_FAULT_ADDRESS_SIZE;
	if (fsc == ARM_FSC_TRANSLATION_MINUS_1)
		return ARM_FAULT_TRANSLATION;
	return fsc < 0x10 ? (enum arm_fault_class)(fsc >> 2) : ARM_FAULT_OTHER;
}

/*
 * The walker reads guest tables; only a permission fault can be about its write of an entry (WnR
 * repeats the guest instruction there and is not looked at). Cache maintenance reports WnR without
 * writing.
 */
static unsigned arm_fault_access(uint64_t esr, enum arm_fault_class class)
{
	if (esr & ARM_ISS_S1PTW)
		return class == ARM_FAULT_PERMISSION ? VMMU_WRITE : VMMU_READ;
	if ((esr >> 26 & 0x3f) == ARM_EC_FETCH_LOWER)
		return VMMU_EXEC;
	return (esr & ARM_ISS_WNR) && !(esr & ARM_ISS_CM) ? VMMU_WRITE : VMMU_READ;
}

/*
 * HPFAR_EL2 bits 47:4 are the page, FAR_EL2 has the offset, which a guest-table access does not
 * report. Hardware leaves HPFAR unknown on a plain permission fault: the caller gives there what it
 * translated FAR to.
 */
static uint64_t arm_fault_gpa(const struct vmmu_syndrome *syndrome)
{
	uint64_t page = (syndrome->reg[2] & BITS64(47, 4)) << 8;

	return syndrome->reg[0] & ARM_ISS_S1PTW ? page : page | (syndrome->reg[1] & 0xfff);
}

static int decode_arm(const struct vmmu_syndrome *syndrome, struct vmmu_fault *fault)
{
	uint64_t esr = syndrome->reg[0];
	unsigned exception = esr >> 26 & 0x3f;
	enum arm_fault_class class = arm_classify_fault(esr);

	if ((exception != ARM_EC_FETCH_LOWER && exception != ARM_EC_DATA_LOWER) ||
	    class == ARM_FAULT_OTHER)
		return -ENOMSG;
	fault->gpa = arm_fault_gpa(syndrome);
	fault->access = arm_fault_access(esr, class);
	if (class == ARM_FAULT_ADDRESS_SIZE)
		fault->flags |= VMMU_FAULT_RSVD;
	if (class == ARM_FAULT_ACCESS_FLAG || class == ARM_FAULT_PERMISSION)
		fault->flags |= VMMU_FAULT_PRESENT;
	if (esr & ARM_ISS_S1PTW)
		fault->flags |= VMMU_FAULT_GUEST_WALK;
	return 0;
}

static const struct {
	const char *architecture;
	int (*decode)(const struct vmmu_syndrome *syndrome, struct vmmu_fault *fault);
} syndrome_decoders[] = {
	{"x86-ept", decode_ept},
	{"x86-npt", decode_npt},
	{"riscv64", decode_riscv},
	{"arm64", decode_arm},
};

int vmmu_fault_decode(const char *architecture, const struct vmmu_syndrome *syndrome,
		      struct vmmu_fault *fault)
{
	int ret = -EINVAL;

	if (!architecture || !syndrome || !fault)
		return -EINVAL;
	*fault = (struct vmmu_fault){0};
	for (unsigned i = 0; i < ARRAY_COUNT(syndrome_decoders); i++)
		if (!strcmp(syndrome_decoders[i].architecture, architecture))
			ret = syndrome_decoders[i].decode(syndrome, fault);
	if (ret)
		*fault = (struct vmmu_fault){0};
	return ret;
}
