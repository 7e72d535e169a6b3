// SPDX-License-Identifier: MIT
/*
 * x86 guest paging: which tables, who may do what, #PF and #GP (SDM volume 3 chapter 4).
 */
#include "hw/x86.h"

#include <errno.h>
#include <string.h>

#define X86_VECTOR_GP 13
#define X86_VECTOR_PF 14
#define X86_VECTOR_MC 18

static void x86_guest_tables(const struct hw_run *run, struct x86_tables *tables)
{
	const struct vmmu_hw_x86 *x86 = &run->cpu->u.x86;

	x86_tables_init(tables, x86, x86->cr4, x86->efer);
	tables->stage = 1;
	switch (tables->levels) {
	case 2:
		tables->root = x86->cr3 & BITS64(31, 12);
		break;
	case 3:
		/*
		 * AMD's nested paging reads the four entries in every walk; otherwise they were
		 * loaded with CR3.
		 */
		tables->root = x86->cr3 & BITS64(31, 5);
		tables->pdpte = run->cpu->arch == VMMU_HW_NPT ? NULL : x86->pdpte;
		break;
	default:
		tables->root = x86->cr3 & BITS64(x86->maxphyaddr - 1, 12);
	}
}

/* Is this access made with user rights? Implicit supervisor accesses never are. */
static bool x86_is_user(unsigned flags)
{
	return (flags & VMMU_HW_USER) && !(flags & VMMU_HW_IMPLICIT);
}

static struct walk_failure x86_failure(const struct x86_path *path, enum vmmu_hw_cause cause)
{
	return (struct walk_failure){
		.cause = cause,
		.stage = 1,
		.gpa = path->last->address,
		.slot = path->last,
	};
}

static enum hw_result x86_exception(struct hw_run *run, const struct walk_failure *failure,
				    unsigned vector, uint32_t error_code)
{
	walk_fail(run, failure);
	run->walk->report.exception.vector = (uint8_t)vector;
	run->walk->report.exception.error_code = error_code;
	if (vector == X86_VECTOR_PF)
		run->walk->report.exception.cr2 = run->walk->stage1.input;
	return HW_FAULT;
}

/* #PF: CODE gives P, RSVD, PK; the access gives the rest. */
static enum hw_result x86_page_fault(struct hw_run *run, const struct x86_path *path,
				     enum vmmu_hw_cause cause, uint32_t code)
{
	const struct vmmu_hw_x86 *x86 = &run->cpu->u.x86;
	const struct vmmu_hw_access *access = run->access;
	struct walk_failure failure;
	bool has_nx = (x86->efer & X86_EFER_NXE) && (x86->cr4 & X86_CR4_PAE);

	if (access->access & VMMU_WRITE)
		code |= X86_ERR_W;
	if (x86_is_user(access->flags))
		code |= X86_ERR_U;
	if (access->access == VMMU_EXEC && (has_nx || (x86->cr4 & X86_CR4_SMEP)))
		code |= X86_ERR_ID;
	if (access->flags & VMMU_HW_SHADOW_STACK)
		code |= X86_ERR_SS;
	failure = x86_failure(path, cause);
	return x86_exception(run, &failure, X86_VECTOR_PF, code);
}

/*
 * An entry's address answers nothing. No page fault says so: alone the CPU takes a machine check;
 * under a second stage that is the hypervisor's, with no register of the MMU's telling.
 */
static enum hw_result x86_bus(struct hw_run *run, const struct x86_path *path)
{
	struct walk_failure failure = x86_failure(path, VMMU_HW_BUS);

	if (run->cpu->arch == VMMU_HW_X86)
		return x86_exception(run, &failure, X86_VECTOR_MC, 0);
	walk_fail(run, &failure);
	run->walk->status = VMMU_HW_FAULT_HOST;
	return HW_FAULT;
}

/* Linear-address masking: bits that software keeps in data pointers take the sign bit's value. */
static uint64_t x86_untag(const struct vmmu_hw_x86 *x86, const struct vmmu_hw_access *access)
{
	uint64_t la = access->gva;
	bool is_upper = la >> 63, is_57;

	if (access->access == VMMU_EXEC)
		return la;
	if (is_upper) {
		if (!(x86->cr4 & X86_CR4_LAM))
			return la;
		is_57 = x86->cr4 & X86_CR4_LA57;
		return la | (is_57 ? BITS64(62, 57) : BITS64(62, 48));
	}
	if (x86->cr3 & X86_CR3_LAM57)
		return la & ~BITS64(62, 57);
	return x86->cr3 & X86_CR3_LAM48 ? la & ~BITS64(62, 48) : la;
}

static bool x86_is_canonical(uint64_t la, unsigned bits)
{
	uint64_t upper = la >> (bits - 1);

	return upper == 0 || upper == BIT64(65 - bits) - 1;
}

/* The linear address that is translated; false: not canonical, #GP. */
static bool x86_linear(const struct hw_run *run, const struct x86_tables *tables, uint64_t *la)
{
	if (tables->levels < 4) {
		*la = (uint32_t)run->access->gva;
		return true;
	}
	*la = x86_untag(&run->cpu->u.x86, run->access);
	return x86_is_canonical(*la, x86_shift(tables, tables->levels + 1u));
}

/* Does the page's protection key forbid this data access? */
static bool x86_is_key_denied(const struct vmmu_hw_x86 *x86, const struct x86_path *path,
			      unsigned access, unsigned flags)
{
	bool is_user_page = path->rights & X86_U;
	uint64_t enable = is_user_page ? X86_CR4_PKE : X86_CR4_PKS;
	unsigned key = (path->slot[path->count - 1].value >> 59) & 0xf;
	unsigned bits = ((is_user_page ? x86->pkru : x86->pkrs) >> (2 * key)) & 3;

	if (!(x86->efer & X86_EFER_LMA) || !(x86->cr4 & enable) || access == VMMU_EXEC)
		return false;
	if (bits & 1)
		return true;
	return (bits & 2) && (access & VMMU_WRITE) &&
	       (x86_is_user(flags) || (x86->cr0 & X86_CR0_WP));
}

/*
 * A shadow-stack page is dirty and not writable below writable tables, and of the access's own
 * privilege.
 */
static bool x86_is_shadow_stack(const struct x86_path *path, unsigned flags)
{
	uint64_t leaf = path->slot[path->count - 1].value;

	return !(leaf & X86_W) && (leaf & X86_D) && (path->upper_rights & X86_W) &&
	       x86_is_user(flags) == !!(path->rights & X86_U);
}

static bool x86_is_fetch_granted(const struct vmmu_hw_x86 *x86, uint64_t rights, unsigned flags)
{
	if (rights & X86_NX)
		return false;
	return x86_is_user(flags) || !((rights & X86_U) && (x86->cr4 & X86_CR4_SMEP));
}

static bool x86_is_data_granted(const struct vmmu_hw_x86 *x86, uint64_t rights, unsigned access,
				unsigned flags)
{
	bool has_ac = (x86->rflags & X86_FLAGS_AC) && !(flags & VMMU_HW_IMPLICIT);

	if (!x86_is_user(flags) && (rights & X86_U) && (x86->cr4 & X86_CR4_SMAP) && !has_ac)
		return false;
	if (!(access & VMMU_WRITE) || (rights & X86_W))
		return true;
	return !x86_is_user(flags) && !(x86->cr0 & X86_CR0_WP);
}

/* Error code bits (P, PK) of a refusal by the leaf's rights, or 0: granted. */
static uint32_t x86_refusal(const struct vmmu_hw_x86 *x86, const struct x86_path *path,
			    unsigned access, unsigned flags)
{
	uint32_t code = 0;
	bool granted;

	if (x86_is_key_denied(x86, path, access, flags))
		code = X86_ERR_P | X86_ERR_PK;
	if (x86_is_user(flags) && !(path->rights & X86_U))
		granted = false;
	else if (access == VMMU_EXEC)
		granted = x86_is_fetch_granted(x86, path->rights, flags);
	else if (flags & VMMU_HW_SHADOW_STACK)
		granted = x86_is_shadow_stack(path, flags);
	else
		granted = x86_is_data_granted(x86, path->rights, access, flags);
	return granted ? code : code | X86_ERR_P;
}

/* What a TLB may keep: rights of either privilege for ordinary accesses. */
static void x86_guest_mapping(const struct vmmu_hw_x86 *x86, const struct x86_path *path,
			      struct vmmu_hw_mapping *mapping)
{
	unsigned i;

	x86_mapping(path, mapping);
	for (i = 0; i < ARRAY_COUNT(walk_rights); i++) {
		if (!x86_refusal(x86, path, walk_rights[i], 0))
			mapping->kernel_access |= walk_rights[i];
		if (!x86_refusal(x86, path, walk_rights[i], VMMU_HW_USER))
			mapping->user_access |= walk_rights[i];
	}
	mapping->guest_page = (path->rights & X86_U ? VMMU_HW_PAGE_USER : 0) |
			      (path->rights & X86_W ? VMMU_HW_PAGE_WRITABLE : 0) |
			      (path->rights & X86_NX ? VMMU_HW_PAGE_NX : 0);
}

/* CR0.PG off: the address is 32 bits wide and counts as a writable, executable user page. */
static enum hw_result x86_unpaged(struct hw_run *run)
{
	walk_identity(&run->walk->stage1, (uint32_t)run->access->gva);
	run->walk->stage1.guest_page = VMMU_HW_PAGE_USER | VMMU_HW_PAGE_WRITABLE;
	return HW_OK;
}

/* #GP(0); #SS(0) for the stack segment, which is the caller's to know. */
static enum hw_result x86_not_canonical(struct hw_run *run)
{
	struct walk_failure failure = {.cause = VMMU_HW_INPUT_SIZE, .stage = 1};

	return x86_exception(run, &failure, X86_VECTOR_GP, 0);
}

enum hw_result x86_stage1(struct hw_run *run)
{
	const struct vmmu_hw_x86 *x86 = &run->cpu->u.x86;
	struct x86_tables tables;
	struct x86_path path;
	enum hw_result result;
	uint32_t code;
	uint64_t la;

	if (!(x86->cr0 & X86_CR0_PG))
		return x86_unpaged(run);
	x86_guest_tables(run, &tables);
	if (!x86_linear(run, &tables, &la))
		return x86_not_canonical(run);
	run->walk->stage1.input = la;
	result = x86_walk(run, &tables, la, &path);
	if (result)
		return result == HW_BUS ? x86_bus(run, &path) : result;
	if (path.end == X86_ABSENT)
		return x86_page_fault(run, &path, VMMU_HW_ABSENT, 0);
	if (path.end == X86_RESERVED)
		return x86_page_fault(run, &path, VMMU_HW_RESERVED, X86_ERR_P | X86_ERR_RSVD);
	code = x86_refusal(x86, &path, run->access->access, run->access->flags);
	if (code)
		return x86_page_fault(run, &path, VMMU_HW_PERMISSION, code);
	result = x86_mark(run, &tables, &path, run->access->access);
	if (result)
		return result == HW_BUS ? x86_bus(run, &path) : result;
	x86_guest_mapping(x86, &path, &run->walk->stage1);
	return HW_OK;
}

/* Reserved bits of a PAE top-level entry, as MOV to CR3 checks them. */
static bool x86_is_pdpte_valid(const struct vmmu_hw_x86 *x86, uint64_t pdpte)
{
	uint64_t reserved = BITS64(2, 1) | BITS64(8, 5) | BITS64(63, x86->maxphyaddr);

	return !(pdpte & X86_P) || !(pdpte & reserved);
}

/* Read the four entries; ARG: uint64_t[4]. */
static enum hw_result x86_pdptes_read(struct hw_run *run, const void *arg)
{
	uint64_t *const *pdpte = arg;
	struct x86_path path = {.last = &path.slot[0]};
	struct walk_failure failure;
	struct x86_tables tables;
	enum hw_result result;
	unsigned i;

	x86_guest_tables(run, &tables);
	for (i = 0; i < 4; i++) {
		path.slot[0] = (struct hw_slot){.address = tables.root + 8 * i,
						.stage = 1,
						.level = 3,
						.bytes = 8,
						.is_pdpte_load = true};
		result = walk_fetch(run, &path.slot[0]);
		if (result)
			return result == HW_BUS ? x86_bus(run, &path) : result;
		(*pdpte)[i] = path.slot[0].value;
		if (x86_is_pdpte_valid(&run->cpu->u.x86, path.slot[0].value))
			continue;
		failure = x86_failure(&path, VMMU_HW_RESERVED);
		return x86_exception(run, &failure, X86_VECTOR_GP, 0);
	}
	return HW_OK;
}

int vmmu_hw_pdptes_load(struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			struct vmmu_hw_walk *walk)
{
	const struct vmmu_hw_access access = {.access = VMMU_READ};
	uint64_t pdpte[4], *place = pdpte;
	struct x86_tables tables;
	struct hw_run run;
	int error;

	if (!cpu || cpu->arch > VMMU_HW_NPT || !walk_start(&run, cpu, bus, &access, walk))
		return -EINVAL;
	x86_guest_tables(&run, &tables);
	if (!(cpu->u.x86.cr0 & X86_CR0_PG) || tables.levels != 3)
		return -EINVAL;
	error = walk_run(&run, x86_pdptes_read, &place);
	if (!error && walk->status == VMMU_HW_OK)
		memcpy(cpu->u.x86.pdpte, pdpte, sizeof(pdpte));
	return error;
}
