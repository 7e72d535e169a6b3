// SPDX-License-Identifier: MIT
/*
 * A guest that changes its own tables: what it had goes on until it flushes, by just the
 * operations and tags that its architecture has for that.
 */
#include "machine/stand.h"

#define NUMBER     5
#define GVA(stand) guest_gva(stand, NUMBER)

struct guest_op {
	enum vmmu_hw_arch arch;
	enum vmmu_tlb_op op;
	uint64_t context, vpid, asid;
	bool is_other_page, must_forget;
	const char *why;
};

/* CPU 0: VPID 1; guests' ASID 5, contexts 1 but for EPT's, which is its root. */
static const struct guest_op guest_ops[] = {
	{VMMU_HW_EPT, VMMU_TLB_INVLPG, VMMU_TLB_ANY, 1, 0, false, true, "the page"},
	{VMMU_HW_EPT, VMMU_TLB_INVLPG, VMMU_TLB_ANY, 2, 0, false, false, "another VPID"},
	{VMMU_HW_EPT, VMMU_TLB_INVLPG, VMMU_TLB_ANY, 1, 3, false, false, "another PCID"},
	{VMMU_HW_EPT, VMMU_TLB_INVVPID_ADDRESS, 0, 1, 0, false, true, "its own VPID"},
	{VMMU_HW_EPT, VMMU_TLB_INVVPID_ADDRESS, 0, 2, 0, false, false, "another VPID"},
	{VMMU_HW_EPT, VMMU_TLB_INVVPID_SINGLE, 0, 1, 0, false, true, "all of it"},
	{VMMU_HW_EPT, VMMU_TLB_INVVPID_RETAIN, 0, 1, 0, false, true, "none is global"},
	{VMMU_HW_EPT, VMMU_TLB_MOV_CR3, VMMU_TLB_ANY, 1, 0, false, true, "its own PCID"},
	{VMMU_HW_EPT, VMMU_TLB_MOV_CR3, VMMU_TLB_ANY, 1, 4, false, false, "another PCID"},
	{VMMU_HW_NPT, VMMU_TLB_INVLPGA, 1, 0, 0, false, true, "the page"},
	{VMMU_HW_NPT, VMMU_TLB_INVLPGA, 2, 0, 0, false, false, "another ASID"},
	{VMMU_HW_NPT, VMMU_TLB_SVM_FLUSH_LOCAL, 1, 0, 0, false, true, "none is global"},
	{VMMU_HW_RISCV, VMMU_TLB_HFENCE_VVMA, 1, 0, 5, false, true, "page and ASID"},
	{VMMU_HW_RISCV, VMMU_TLB_HFENCE_VVMA, 1, 0, VMMU_TLB_ANY, false, true, "the page"},
	{VMMU_HW_RISCV, VMMU_TLB_HFENCE_VVMA, 1, 0, 6, false, false, "another ASID"},
	{VMMU_HW_RISCV, VMMU_TLB_HFENCE_VVMA, 2, 0, VMMU_TLB_ANY, false, false, "another VMID"},
	{VMMU_HW_RISCV, VMMU_TLB_HFENCE_VVMA, 1, 0, 5, true, false, "another page"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_VAE1, 1, 0, 5, false, true, "page and ASID"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_VAE1, 1, 0, 6, false, false, "another ASID"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_VAE1, 1, 0, 5, true, false, "another page"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_ASIDE1, 1, 0, 5, false, true, "the ASID"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_ASIDE1, 1, 0, 6, false, false, "another ASID"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_VMALLE1, 1, 0, 0, false, true, "the VMID"},
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_VMALLE1, 2, 0, 0, false, false, "another VMID"},
	/* it leaves what both stages made together: hence the VMALLE1 that follows it */
	{VMMU_HW_ARM64, VMMU_TLB_TLBI_IPAS2E1, 1, 0, 0, false, false, "second stage alone"},
};

static bool takes_no_range(enum vmmu_tlb_op op)
{
	return op == VMMU_TLB_INVVPID_SINGLE || op == VMMU_TLB_INVVPID_RETAIN ||
	       op == VMMU_TLB_MOV_CR3 || op == VMMU_TLB_SVM_FLUSH_LOCAL ||
	       op == VMMU_TLB_TLBI_ASIDE1 || op == VMMU_TLB_TLBI_VMALLE1 ||
	       op == VMMU_TLB_TLBI_IPAS2E1;
}

/* A page of the guest at the second page of slot 1, or at the third. */
static struct guest_page page_at(const struct stand *stand, unsigned number)
{
	return (struct guest_page){.gpa = stand_gpa(stand, stand->large + number),
				   .is_mapped = true,
				   .is_writable = true,
				   .is_user = true};
}

static struct stand *make(const struct vmmu_format *format)
{
	struct stand *stand = stand_make(format, NULL);

	stand_slot(stand, 0, 0);
	stand_slot(stand, 1, 0);
	guest_start(stand, 0);
	guest_map(stand, NUMBER, page_at(stand, 1));
	stand_access(stand, 0, GVA(stand), VMMU_WRITE, VMMU_HW_USER);
	return stand;
}

/* Where the guest's page is by CPU 0. */
static uint64_t reach(struct stand *stand)
{
	struct vmmu_hw_access access = {
		.gva = GVA(stand), .access = VMMU_READ, .flags = VMMU_HW_USER};
	struct vmmu_access_result result;

	cr_assert_eq(vmmu_cpu_access(stand->cpu[0], &access, &result), 0);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	return result.part[0].gpa;
}

static void check_op(const struct vmmu_format *format, const struct guest_op *op)
{
	struct stand *stand = make(format);
	uint64_t gva = GVA(stand) + (op->is_other_page ? 0x3000 : 0);
	struct vmmu_tlb_flush flush = {.op = op->op,
				       .context = op->context,
				       .vpid = op->vpid,
				       .asid = op->asid,
				       .start = gva,
				       .end = gva + 4096};

	if (takes_no_range(op->op)) {
		flush.start = 0;
		flush.end = VMMU_TLB_ANY;
	}
	guest_map_quietly(stand, NUMBER, page_at(stand, 2));
	cr_assert_eq(reach(stand), page_at(stand, 1).gpa);
	cr_assert_eq(vmmu_tlb_flush(vmmu_cpu_tlb(stand->cpu[0]), &flush), 0);
	cr_assert_eq(reach(stand), page_at(stand, op->must_forget ? 2 : 1).gpa, "%s: op %d: %s",
		     stand->info->name, op->op, op->why);
	stand_expect_clean(stand);
	stand_end(stand);
}

STAND_TEST(guest, a_mapping_changed__old_until_the_right_flush)
{
	const struct vmmu_format *format = vmmu_format_at(*index);
	struct vmmu_hw_cpu cpu;

	cr_assert_eq(vmmu_machine_registers(format, &cpu), 0);
	for (unsigned i = 0; i < sizeof(guest_ops) / sizeof(guest_ops[0]); i++)
		if (guest_ops[i].arch == cpu.arch)
			check_op(format, &guest_ops[i]);
}

/* The guest's next address space: the same tables here, other translations there. */
STAND_TEST(guest, another_address_space__is_served_nothing_of_the_first)
{
	struct stand *stand = make(vmmu_format_at(*index));
	struct vmmu_hw_cpu *cpu = vmmu_cpu_registers(stand->cpu[0]);

	guest_map_quietly(stand, NUMBER, page_at(stand, 2));
	if (cpu->arch == VMMU_HW_RISCV) {
		cpu->u.riscv.vsatp += UINT64_C(1) << 44;
	} else if (cpu->arch == VMMU_HW_ARM64) {
		cpu->u.arm64.ttbr0_el1 += UINT64_C(1) << 48;
	} else {
		cpu->u.x86.cr4 |= 1 << 17; /* PCIDE */
		cpu->u.x86.cr3 |= 1;
	}
	cr_assert_eq(reach(stand), page_at(stand, 2).gpa);
	stand_end(stand);
}

/* Rights of a combined entry are those of the control registers of its time. */
STAND_TEST(guest, control_registers_changed__rights_are_judged_anew)
{
	struct stand *stand = make(vmmu_format_at(*index));
	struct vmmu_hw_cpu *cpu = vmmu_cpu_registers(stand->cpu[0]);
	struct vmmu_hw_access access = {.gva = GVA(stand), .access = VMMU_READ};
	struct vmmu_access_result result;

	cr_assert_eq(vmmu_cpu_access(stand->cpu[0], &access, &result), 0);
	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
	cr_assert_eq(result.walk->load_count, 0);
	if (cpu->arch == VMMU_HW_RISCV)
		cpu->u.riscv.vsstatus = 0; /* SUM */
	else if (cpu->arch == VMMU_HW_ARM64)
		cpu->u.arm64.pan = true;
	else
		cpu->u.x86.cr4 |= 1 << 21; /* SMAP */
	cr_assert_eq(vmmu_cpu_access(stand->cpu[0], &access, &result), 0);
	cr_assert_eq(result.end, VMMU_ACCESS_GUEST_FAULT);
	stand_end(stand);
}
