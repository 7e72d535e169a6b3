// SPDX-License-Identifier: MIT
/*
 * AMD nested paging: the host's own table format, walked with user rights (APM volume 2, "Nested
 * Paging").
 */
#include "hw/x86.h"

#define NPT_EXIT_CODE  0x400
#define NPT_INFO_FINAL BIT64(32)
#define NPT_INFO_TABLE BIT64(33)

/* The access as the nested tables see it: the guest's tables are always written. */
static unsigned npt_access(const struct hw_run *run, const struct vmmu_hw_gpa *gpa)
{
	if (gpa->purpose == VMMU_HW_FINAL)
		return run->access->access;
	return VMMU_READ | VMMU_WRITE;
}

/* #VMEXIT(NPF). CODE: P and RSVD; SLOT: NULL if no entry was read. */
static enum hw_result npt_fault(struct hw_run *run, const struct walk_failure *failure,
				uint64_t code)
{
	struct vmmu_hw_gpa gpa = {.gpa = failure->gpa, .purpose = failure->purpose};
	unsigned access = npt_access(run, &gpa);

	walk_fail(run, failure);
	code |= X86_ERR_U;
	if (access & VMMU_WRITE)
		code |= X86_ERR_W;
	if (access == VMMU_EXEC)
		code |= X86_ERR_ID;
	if (failure->purpose == VMMU_HW_FINAL && (run->access->flags & VMMU_HW_SHADOW_STACK))
		code |= X86_ERR_SS;
	code |= failure->purpose == VMMU_HW_FINAL ? NPT_INFO_FINAL : NPT_INFO_TABLE;
	run->walk->report.svm.exit_code = NPT_EXIT_CODE;
	run->walk->report.svm.info1 = code;
	run->walk->report.svm.info2 = failure->gpa;
	return HW_FAULT;
}

/*
 * Every nested access is a user access. With GMET a fetch by the guest's supervisor is not: it must
 * not come from user pages, and may come from the others.
 */
static bool npt_is_granted(const struct vmmu_hw_x86 *x86, uint64_t rights, unsigned access,
			   unsigned flags)
{
	if (access == VMMU_EXEC) {
		if (rights & X86_NX)
			return false;
		if ((x86->features & VMMU_HW_NPT_GMET) && !(flags & VMMU_HW_USER))
			return !(rights & X86_U);
	}
	if (!(rights & X86_U))
		return false;
	return !(access & VMMU_WRITE) || (rights & X86_W);
}

static void npt_mapping(const struct vmmu_hw_x86 *x86, const struct x86_path *path,
			struct vmmu_hw_mapping *mapping)
{
	unsigned i;

	x86_mapping(path, mapping);
	mapping->global = false;
	for (i = 0; i < ARRAY_COUNT(walk_rights); i++) {
		if (npt_is_granted(x86, path->rights, walk_rights[i], 0))
			mapping->kernel_access |= walk_rights[i];
		if (npt_is_granted(x86, path->rights, walk_rights[i], VMMU_HW_USER))
			mapping->user_access |= walk_rights[i];
	}
}

/* Why this walk cannot serve the access; *CODE gets the P and RSVD bits. */
static enum vmmu_hw_cause npt_judge(const struct hw_run *run, const struct x86_path *path,
				    unsigned access, uint64_t *code)
{
	*code = 0;
	if (path->end == X86_ABSENT)
		return VMMU_HW_ABSENT;
	*code = X86_ERR_P | (path->end == X86_RESERVED ? X86_ERR_RSVD : 0);
	if (path->end == X86_RESERVED)
		return VMMU_HW_RESERVED;
	if (npt_is_granted(&run->cpu->u.x86, path->rights, access, run->access->flags))
		return VMMU_HW_NO_CAUSE;
	return VMMU_HW_PERMISSION;
}

static unsigned npt_input_bits(const struct x86_tables *tables)
{
	return tables->levels < 4 ? 32 : x86_shift(tables, tables->levels + 1u);
}

/* A machine check of the host's: no exit of the MMU's. */
static enum hw_result npt_bus(struct hw_run *run, struct walk_failure *failure,
			      const struct x86_path *path)
{
	failure->cause = VMMU_HW_BUS;
	failure->slot = path->last;
	walk_fail(run, failure);
	return HW_FAULT;
}

static enum hw_result npt_stage2(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
				 struct vmmu_hw_mapping *mapping)
{
	const struct vmmu_hw_x86 *x86 = &run->cpu->u.x86;
	struct walk_failure failure = {.stage = 2, .gpa = gpa->gpa, .purpose = gpa->purpose};
	unsigned access = npt_access(run, gpa);
	struct x86_tables tables;
	struct x86_path path;
	enum hw_result result;
	uint64_t code;

	x86_tables_init(&tables, x86, x86->host_cr4, x86->host_efer);
	tables.stage = 2;
	tables.root = x86->ncr3 & BITS64(x86->maxphyaddr - 1, tables.levels == 3 ? 5 : 12);
	if (gpa->gpa >> npt_input_bits(&tables)) {
		failure.cause = VMMU_HW_INPUT_SIZE;
		return npt_fault(run, &failure, 0);
	}
	if (x86_walk(run, &tables, gpa->gpa, &path))
		return npt_bus(run, &failure, &path);
	failure.cause = npt_judge(run, &path, access, &code);
	failure.slot = path.last;
	if (failure.cause)
		return npt_fault(run, &failure, code);
	result = x86_mark(run, &tables, &path, access);
	if (result)
		return result == HW_BUS ? npt_bus(run, &failure, &path) : result;
	npt_mapping(x86, &path, mapping);
	return HW_OK;
}

const struct hw_arch hw_arch_npt = {
	.is_valid = x86_is_valid,
	.stage1 = x86_stage1,
	.stage2 = npt_stage2,
};
