// SPDX-License-Identifier: MIT
/*
 * What each flush operation removes (SDM volume 3 "Invalidating cached translation information",
 * APM volume 2 "TLB control", RISC-V "Hypervisor memory-management fence", Arm ARM "TLB
 * maintenance").
 */
#include <errno.h>

#include "hw/tlb.h"

/* Which entries an operation is about, and by what it picks them. */
enum flush_about {
	FLUSH_SECOND = 1 << 0,   /* second-stage leaves and tables */
	FLUSH_FIRST = 1 << 1,    /* first-stage and combined ones */
	FLUSH_CONTEXT = 1 << 2,  /* of a context */
	FLUSH_VPID = 1 << 3,     /* of a VPID */
	FLUSH_ASID = 1 << 4,     /* of an address space, or global */
	FLUSH_GVA = 1 << 5,      /* that serve guest-virtual addresses */
	FLUSH_GPA = 1 << 6,      /* that come from guest-physical addresses */
	FLUSH_LEAVES = 1 << 7,   /* one address given: no ways to tables */
	FLUSH_RETAIN = 1 << 8,   /* not global */
	FLUSH_NO_TABLE = 1 << 9, /* no ways to tables */
};

#define FLUSH_BOTH (FLUSH_SECOND | FLUSH_FIRST)

static const struct {
	enum vmmu_hw_arch arch;
	unsigned about;
} flush_rules[VMMU_TLB_OPS] = {
	[VMMU_TLB_INVEPT_SINGLE] = {VMMU_HW_EPT, FLUSH_BOTH | FLUSH_CONTEXT},
	[VMMU_TLB_INVEPT_ALL] = {VMMU_HW_EPT, FLUSH_BOTH},
	[VMMU_TLB_INVVPID_ADDRESS] = {VMMU_HW_EPT, FLUSH_FIRST | FLUSH_VPID | FLUSH_GVA},
	[VMMU_TLB_INVVPID_SINGLE] = {VMMU_HW_EPT, FLUSH_FIRST | FLUSH_VPID},
	[VMMU_TLB_INVVPID_ALL] = {VMMU_HW_EPT, FLUSH_FIRST},
	[VMMU_TLB_INVVPID_RETAIN] = {VMMU_HW_EPT, FLUSH_FIRST | FLUSH_VPID | FLUSH_RETAIN},
	[VMMU_TLB_SVM_FLUSH_ALL] = {VMMU_HW_NPT, FLUSH_BOTH},
	[VMMU_TLB_SVM_FLUSH_ASID] = {VMMU_HW_NPT, FLUSH_BOTH | FLUSH_CONTEXT},
	[VMMU_TLB_SVM_FLUSH_LOCAL] = {VMMU_HW_NPT, FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_RETAIN},
	[VMMU_TLB_INVLPGA] = {VMMU_HW_NPT, FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_GVA},
	[VMMU_TLB_INVLPG] = {VMMU_HW_X86,
			     FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_VPID | FLUSH_ASID | FLUSH_GVA},
	[VMMU_TLB_MOV_CR3] = {VMMU_HW_X86,
			      FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_VPID | FLUSH_ASID | FLUSH_RETAIN},
	[VMMU_TLB_HFENCE_GVMA] = {VMMU_HW_RISCV,
				  FLUSH_BOTH | FLUSH_CONTEXT | FLUSH_GPA | FLUSH_LEAVES},
	[VMMU_TLB_HFENCE_VVMA] = {VMMU_HW_RISCV, FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_ASID |
							 FLUSH_GVA | FLUSH_LEAVES},
	[VMMU_TLB_TLBI_IPAS2E1] = {VMMU_HW_ARM64, FLUSH_SECOND | FLUSH_CONTEXT | FLUSH_GPA},
	[VMMU_TLB_TLBI_IPAS2LE1] = {VMMU_HW_ARM64,
				    FLUSH_SECOND | FLUSH_CONTEXT | FLUSH_GPA | FLUSH_NO_TABLE},
	[VMMU_TLB_TLBI_VMALLE1] = {VMMU_HW_ARM64, FLUSH_FIRST | FLUSH_CONTEXT},
	[VMMU_TLB_TLBI_VMALLS12E1] = {VMMU_HW_ARM64, FLUSH_BOTH | FLUSH_CONTEXT},
	[VMMU_TLB_TLBI_ALLE1] = {VMMU_HW_ARM64, FLUSH_BOTH},
	[VMMU_TLB_TLBI_VAE1] = {VMMU_HW_ARM64,
				FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_ASID | FLUSH_GVA},
	[VMMU_TLB_TLBI_ASIDE1] = {VMMU_HW_ARM64,
				  FLUSH_FIRST | FLUSH_CONTEXT | FLUSH_ASID | FLUSH_RETAIN},
};

static bool flush_is_all(const struct vmmu_tlb_flush *flush)
{
	return !flush->start && flush->end == VMMU_TLB_ANY;
}

/* Do [start, end) and the COVER_LG2 bytes around ADDRESS meet? */
static bool flush_touches(const struct vmmu_tlb_flush *flush, uint64_t address, unsigned cover_lg2)
{
	uint64_t first = align_down(address, BIT64(cover_lg2));

	return first < flush->end && first + (BIT64(cover_lg2) - 1) >= flush->start;
}

/* Guest-virtual addresses are what first-stage and combined entries serve. */
static bool flush_meets_gva(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_flush *flush)
{
	return flush_touches(flush, entry->input, entry->cover_lg2);
}

/*
 * Guest-physical addresses: second-stage entries serve them, combined ones lead through one; of
 * first-stage ones nobody knows.
 */
static bool flush_meets_gpa(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_flush *flush)
{
	if (entry->kind == VMMU_TLB_COMBINED)
		return flush_touches(flush, entry->second.input, entry->both.page_lg2);
	return entry->stage == 2 && flush_touches(flush, entry->input, entry->cover_lg2);
}

static bool flush_tags_match(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_flush *flush,
			     unsigned about)
{
	if ((about & FLUSH_CONTEXT) && flush->context != VMMU_TLB_ANY &&
	    entry->context != flush->context)
		return false;
	if ((about & FLUSH_VPID) && flush->vpid != VMMU_TLB_ANY && entry->vpid != flush->vpid)
		return false;
	if ((about & FLUSH_RETAIN) && entry->is_global)
		return false;
	if (!(about & FLUSH_ASID) || flush->asid == VMMU_TLB_ANY)
		return true;
	/* A fence for one address space leaves global translations alone on RISC-V. */
	if (entry->is_global)
		return flush->op != VMMU_TLB_HFENCE_VVMA;
	return entry->asid == flush->asid;
}

static bool flush_match(const struct vmmu_tlb_entry *entry, const void *arg)
{
	const struct vmmu_tlb_flush *flush = arg;
	unsigned about = flush_rules[flush->op].about;
	bool is_table = entry->kind == VMMU_TLB_TABLE;

	if (!(about & (entry->stage == 2 ? FLUSH_SECOND : FLUSH_FIRST)))
		return false;
	if (is_table &&
	    ((about & FLUSH_NO_TABLE) || ((about & FLUSH_LEAVES) && !flush_is_all(flush))))
		return false;
	if (!flush_tags_match(entry, flush, about))
		return false;
	if (flush_is_all(flush))
		return true;
	/* INVLPG and its kin drop the paging-structure caches of the whole space (SDM, APM). */
	if ((about & FLUSH_GVA) && !flush_meets_gva(entry, flush))
		return is_table && flush_rules[flush->op].arch < VMMU_HW_RISCV;
	return !(about & FLUSH_GPA) || flush_meets_gpa(entry, flush);
}

int vmmu_tlb_flush(struct vmmu_tlb *tlb, const struct vmmu_tlb_flush *flush)
{
	enum vmmu_hw_arch arch;

	if (!tlb || !flush || (unsigned)flush->op >= VMMU_TLB_OPS)
		return -EINVAL;
	arch = flush_rules[flush->op].arch;
	/* What the guest itself does is the same on all x86. */
	if (arch != tlb->arch && !(arch == VMMU_HW_X86 && tlb->arch <= VMMU_HW_NPT))
		return -EINVAL;
	tlb_drop(tlb, flush_match, flush);
	return 0;
}

struct forget_range {
	unsigned space;
	struct vmmu_tlb_flush gpas;
};

static bool forget_match(const struct vmmu_tlb_entry *entry, const void *arg)
{
	const struct forget_range *range = arg;
	uint64_t last = entry->input + (BIT64(entry->cover_lg2) - 1);

	if (entry->space != range->space)
		return false;
	if (entry->kind != VMMU_TLB_TABLE)
		return flush_meets_gpa(entry, &range->gpas);
	return entry->stage == 2 && entry->input >= range->gpas.start && last < range->gpas.end;
}

void vmmu_tlb_forget(struct vmmu_tlb *tlb, unsigned space, uint64_t start, uint64_t end)
{
	struct forget_range range = {space, {.start = start, .end = end}};

	if (tlb)
		tlb_drop(tlb, forget_match, &range);
}
