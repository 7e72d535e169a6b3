// SPDX-License-Identifier: MIT
/*
 * Intel extended page tables (SDM volume 3, "VMX support for address translation" and "basic
 * VM-exit information").
 */
#include "hw/x86.h"

#define EPT_R        BIT64(0)
#define EPT_W        BIT64(1)
#define EPT_X        BIT64(2) /* with mode-based execute: supervisor fetches */
#define EPT_TYPE     BITS64(5, 3)
#define EPT_LARGE    BIT64(7)
#define EPT_ACCESSED BIT64(8)
#define EPT_DIRTY    BIT64(9)
#define EPT_XU       BIT64(10)

#define EPTP_AD BIT64(6)

#define EPT_EXIT_VIOLATION 48
#define EPT_EXIT_MISCONFIG 49
#define EPT_EXIT_LOG_FULL  62
#define EPT_LOG_ENTRIES    512

#define EPT_QUAL_READ     BIT64(0)
#define EPT_QUAL_WRITE    BIT64(1)
#define EPT_QUAL_FETCH    BIT64(2)
#define EPT_QUAL_XU       BIT64(6)
#define EPT_QUAL_GLA      BIT64(7)
#define EPT_QUAL_FINAL    BIT64(8)
#define EPT_QUAL_USER     BIT64(9)
#define EPT_QUAL_WRITABLE BIT64(10)
#define EPT_QUAL_NX       BIT64(11)
#define EPT_QUAL_SS       BIT64(13)

/* A walk under way. */
struct ept_walk {
	const struct vmmu_hw_x86 *x86;
	const struct vmmu_hw_gpa *gpa;
	struct hw_slot slot[VMMU_LEVELS_MAX];
	unsigned count;
	uint64_t rights; /* EPT_R, W, X, XU: and-ed over the entries */
};

static bool ept_has(const struct vmmu_hw_x86 *x86, unsigned feature)
{
	return x86->features & feature;
}

static unsigned ept_levels(const struct vmmu_hw_x86 *x86)
{
	return ((x86->eptp >> 3) & 7) + 1;
}

/* The bits that make an entry present. */
static uint64_t ept_rights_mask(const struct vmmu_hw_x86 *x86)
{
	return EPT_R | EPT_W | EPT_X | (ept_has(x86, VMMU_HW_EPT_MBE) ? EPT_XU : 0);
}

/*
 * VM entry refuses other EPTPs. Bit 7 (supervisor shadow stacks) is a feature that this model
 * lacks.
 */
static bool ept_is_valid(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_x86 *x86 = &cpu->u.x86;
	unsigned type = x86->eptp & 7;

	if (!x86_is_valid(cpu) || (type != 0 && type != 6))
		return false;
	if (ept_levels(x86) != 4 && ept_levels(x86) != 5)
		return false;
	return !(x86->eptp & (BITS64(11, 7) | BITS64(63, x86->maxphyaddr)));
}

static bool ept_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level <= 3 && (entry & EPT_LARGE));
}

/* Bits that must be clear in a present entry. */
static uint64_t ept_reserved(const struct vmmu_hw_x86 *x86, uint64_t entry, unsigned level)
{
	uint64_t mask = BITS64(51, x86->maxphyaddr);

	if (level >= 4)
		return mask | BITS64(7, 3);
	if (level == 1)
		return mask;
	if (!(entry & EPT_LARGE))
		return mask | BITS64(6, 3);
	if (!ept_has(x86, level == 2 ? VMMU_HW_EPT_2M : VMMU_HW_EPT_1G))
		return mask | EPT_LARGE;
	return mask | BITS64(12 + 9 * (level - 1) - 1, 12);
}

/* Of a present entry. */
static bool ept_is_misconfigured(const struct vmmu_hw_x86 *x86, uint64_t entry, unsigned level)
{
	unsigned type = (entry & EPT_TYPE) >> 3;

	if (!(entry & EPT_R)) {
		if ((entry & EPT_W) || !ept_has(x86, VMMU_HW_EPT_EXEC_ONLY))
			return true;
	}
	if (entry & ept_reserved(x86, entry, level))
		return true;
	return ept_is_leaf(entry, level) && (type == 2 || type == 3 || type == 7);
}

static bool ept_has_ad(const struct vmmu_hw_x86 *x86)
{
	return x86->eptp & EPTP_AD;
}

/*
 * What an access asks of the entries; a guest-table read with accessed and dirty bits on is a
 * write.
 */
static uint64_t ept_need(const struct hw_run *run, const struct ept_walk *ept)
{
	unsigned access = run->access->access;

	switch (ept->gpa->purpose) {
	case VMMU_HW_TABLE_READ:
		return EPT_R | (ept_has_ad(ept->x86) ? EPT_W : 0);
	case VMMU_HW_TABLE_WRITE:
		return EPT_R | EPT_W;
	case VMMU_HW_FINAL:
		break;
	default:
		return EPT_R;
	}
	if (access == VMMU_EXEC)
		return ept_has(ept->x86, VMMU_HW_EPT_MBE) &&
				       (ept->gpa->guest_page & VMMU_HW_PAGE_USER)
			       ? EPT_XU
			       : EPT_X;
	return (access & VMMU_READ ? EPT_R : 0) | (access & VMMU_WRITE ? EPT_W : 0);
}

/* Qualification bits 0-2 and 7-13: what was asked, by whom. */
static uint64_t ept_asked(const struct hw_run *run, const struct ept_walk *ept)
{
	uint64_t need = ept_need(run, ept), qualification = need & (EPT_R | EPT_W);
	unsigned page = ept->gpa->guest_page;

	if (need & (EPT_X | EPT_XU))
		qualification |= EPT_QUAL_FETCH;
	if (ept->gpa->purpose == VMMU_HW_PDPTE_LOAD)
		return qualification;
	qualification |= EPT_QUAL_GLA;
	if (ept->gpa->purpose != VMMU_HW_FINAL)
		return qualification;
	qualification |= EPT_QUAL_FINAL;
	if (run->access->flags & VMMU_HW_SHADOW_STACK)
		qualification |= EPT_QUAL_SS;
	if (!ept_has(ept->x86, VMMU_HW_EPT_ADVANCED))
		return qualification;
	return qualification | (page & VMMU_HW_PAGE_USER ? EPT_QUAL_USER : 0) |
	       (page & VMMU_HW_PAGE_WRITABLE ? EPT_QUAL_WRITABLE : 0) |
	       (page & VMMU_HW_PAGE_NX ? EPT_QUAL_NX : 0);
}

static void ept_note(struct hw_run *run, const struct ept_walk *ept, enum vmmu_hw_cause cause)
{
	walk_fail(run, &(struct walk_failure){
			       .cause = cause,
			       .stage = 2,
			       .purpose = ept->gpa->purpose,
			       .gpa = ept->gpa->gpa,
			       .slot = ept->count ? &ept->slot[ept->count - 1] : NULL,
		       });
}

/* Exit 48. RIGHTS: of the translation, 0 if an entry is not present. */
static enum hw_result ept_violation(struct hw_run *run, const struct ept_walk *ept,
				    enum vmmu_hw_cause cause, uint64_t rights)
{
	struct vmmu_hw_report *report = &run->walk->report;

	ept_note(run, ept, cause);
	report->vmx.exit_reason = EPT_EXIT_VIOLATION;
	report->vmx.gla_valid = ept->gpa->purpose != VMMU_HW_PDPTE_LOAD;
	report->vmx.gpa = ept->gpa->gpa;
	report->vmx.gla = report->vmx.gla_valid ? run->walk->stage1.input : 0;
	report->vmx.qualification = ept_asked(run, ept) | (rights & (EPT_R | EPT_W | EPT_X)) << 3 |
				    (rights & EPT_XU ? EPT_QUAL_XU : 0);
	return HW_FAULT;
}

/* Exit 49: the guest-physical address is all it tells. */
static enum hw_result ept_misconfig(struct hw_run *run, const struct ept_walk *ept)
{
	ept_note(run, ept, VMMU_HW_RESERVED);
	run->walk->report.vmx.exit_reason = EPT_EXIT_MISCONFIG;
	run->walk->report.vmx.gpa = ept->gpa->gpa;
	return HW_FAULT;
}

/* A machine check of the host's: no exit of the MMU's. */
static enum hw_result ept_bus(struct hw_run *run, const struct ept_walk *ept)
{
	ept_note(run, ept, VMMU_HW_BUS);
	return HW_FAULT;
}

/* Down to the leaf; the rights gathered on the way do not stop the walk. */
static enum hw_result ept_descend(struct hw_run *run, struct ept_walk *ept)
{
	const struct vmmu_hw_x86 *x86 = ept->x86;
	uint64_t table = x86->eptp & BITS64(x86->maxphyaddr - 1, 12);
	unsigned level = ept_levels(x86);
	struct hw_slot *slot;
	uint64_t gpa = ept->gpa->gpa;

	if (gpa >> (12 + 9 * level))
		return ept_violation(run, ept, VMMU_HW_INPUT_SIZE, 0);
	for (ept->rights = ept_rights_mask(x86);; level--) {
		slot = &ept->slot[ept->count++];
		*slot = (struct hw_slot){.stage = 2, .level = level, .bytes = 8, .input = gpa};
		slot->address = table + ((gpa >> (12 + 9 * (level - 1))) & 0x1ff) * 8;
		if (walk_fetch(run, slot))
			return ept_bus(run, ept);
		if (!(slot->value & ept_rights_mask(x86)))
			return ept_violation(run, ept, VMMU_HW_ABSENT, 0);
		if (ept_is_misconfigured(x86, slot->value, level))
			return ept_misconfig(run, ept);
		ept->rights &= slot->value;
		if (ept_is_leaf(slot->value, level))
			return HW_OK;
		table = slot->value & BITS64(x86->maxphyaddr - 1, 12);
	}
}

/* Exit 62, before the bit is set; the log is filled from its last entry to entry 0. */
static enum hw_result ept_log_full(struct hw_run *run, const struct ept_walk *ept)
{
	ept_note(run, ept, VMMU_HW_LOG_FULL);
	run->walk->report.vmx.exit_reason = EPT_EXIT_LOG_FULL;
	return HW_FAULT;
}

static bool ept_has_room(const struct hw_run *run)
{
	unsigned index = run->cpu->u.x86.pml_index, used = run->walk->log_count;

	return index < EPT_LOG_ENTRIES && used <= index && used < VMMU_HW_LOG_MAX;
}

/* Does the update of SLOT to VALUE go to the log? */
static bool ept_is_logged(const struct hw_run *run, const struct hw_slot *slot, uint64_t value)
{
	return run->cpu->u.x86.has_pml && (value & ~slot->value & EPT_DIRTY);
}

/* Write VALUE over entry INDEX of the walk, and log it if that makes the page dirty. */
static enum hw_result ept_update(struct hw_run *run, struct ept_walk *ept, unsigned index,
				 uint64_t value)
{
	struct hw_slot *slot = &ept->slot[index];
	bool is_logged = ept_is_logged(run, slot, value);
	enum hw_result result;

	ept->count = index + 1; /* whose failure it is */
	if (is_logged && !ept_has_room(run))
		return ept_log_full(run, ept);
	result = walk_store(run, slot, value);
	if (result)
		return result == HW_BUS ? ept_bus(run, ept) : result;
	if (is_logged)
		run->walk->log[run->walk->log_count++] = align_down(ept->gpa->gpa, 4096);
	return HW_OK;
}

/* Accessed in every entry used, dirty in the leaf for a write. */
static enum hw_result ept_mark(struct hw_run *run, struct ept_walk *ept, uint64_t need)
{
	enum hw_result result;
	uint64_t value;
	unsigned i, count = ept->count;

	for (i = 0; i < count; i++) {
		value = ept->slot[i].value | EPT_ACCESSED;
		if (i == count - 1 && (need & EPT_W))
			value |= EPT_DIRTY;
		if (value == ept->slot[i].value)
			continue;
		result = ept_update(run, ept, i, value);
		if (result)
			return result;
	}
	ept->count = count;
	return HW_OK;
}

static void ept_mapping(const struct ept_walk *ept, struct vmmu_hw_mapping *mapping)
{
	const struct hw_slot *leaf = &ept->slot[ept->count - 1];
	unsigned shift = 12 + 9 * (leaf->level - 1u);
	uint64_t page = leaf->value & BITS64(ept->x86->maxphyaddr - 1, shift);
	uint64_t user_x = ept_has(ept->x86, VMMU_HW_EPT_MBE) ? EPT_XU : EPT_X;
	uint8_t data = (ept->rights & EPT_R ? VMMU_READ : 0) |
		       (ept->rights & EPT_W ? VMMU_WRITE : 0);

	*mapping = (struct vmmu_hw_mapping){
		.input = ept->gpa->gpa,
		.output = page | (ept->gpa->gpa & (BIT64(shift) - 1)),
		.level = leaf->level,
		.page_lg2 = (uint8_t)shift,
		.range_lg2 = (uint8_t)shift,
		.kernel_access = data | (ept->rights & EPT_X ? VMMU_EXEC : 0),
		.user_access = data | (ept->rights & user_x ? VMMU_EXEC : 0),
		.memtype = (leaf->value >> 3) & 0xf,
		.dirty = !ept_has_ad(ept->x86) || (leaf->value & EPT_DIRTY),
	};
}

static enum hw_result ept_stage2(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
				 struct vmmu_hw_mapping *mapping)
{
	struct ept_walk ept = {.x86 = &run->cpu->u.x86, .gpa = gpa};
	enum hw_result result = ept_descend(run, &ept);
	uint64_t need;

	if (result)
		return result;
	need = ept_need(run, &ept);
	if ((ept.rights & need) != need)
		return ept_violation(run, &ept, VMMU_HW_PERMISSION, ept.rights);
	if (ept_has_ad(ept.x86)) {
		result = ept_mark(run, &ept, need);
		if (result)
			return result;
	}
	ept_mapping(&ept, mapping);
	return HW_OK;
}

const struct hw_arch hw_arch_ept = {
	.is_valid = ept_is_valid,
	.stage1 = x86_stage1,
	.stage2 = ept_stage2,
};
