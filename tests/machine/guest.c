// SPDX-License-Identifier: MIT
/*
 * The stand's guest: tables of its own in guest memory, written by the manuals' bits, and accesses
 * held against the flat model.
 *
 * Three tables (x86: four, the upper two with one entry each) of 512 entries for 4 KiB pages; the
 * guest's pages lie behind entry 1 of each upper table, so that no gva is small.
 */
#include <stdlib.h>
#include <string.h>

#include "machine/stand.h"

#define GUEST_PAGE  UINT64_C(4096)
#define GUEST_INDEX 1

static enum vmmu_hw_arch guest_arch(struct stand *stand)
{
	return vmmu_cpu_registers(stand->cpu[0])->arch;
}

static unsigned guest_levels(struct stand *stand)
{
	return guest_arch(stand) <= VMMU_HW_NPT ? 4 : 3;
}

/* Guest-physical address of the table at LEVEL, 1 the last. */
static uint64_t guest_table(struct stand *stand, unsigned level)
{
	return (guest_levels(stand) - level) * GUEST_PAGE;
}

uint64_t guest_gva(const struct stand *stand, unsigned number)
{
	unsigned levels = guest_levels((struct stand *)stand);
	uint64_t gva = number * GUEST_PAGE;

	for (unsigned level = 2; level <= levels; level++)
		gva |= (uint64_t)GUEST_INDEX << (12 + 9 * (level - 1));
	return gva;
}

/* Write guest memory, as the guest's own stores would: by what the host has there now. */
static void guest_write(struct stand *stand, uint64_t gpa, uint64_t value)
{
	struct host_page *host = stand_host_of(stand, 0, gpa >> stand->shift);
	struct vmmu_hw_bus bus = stand_bus(stand);
	uint64_t hpa = (host->pfn << stand->shift) | (gpa & ((UINT64_C(1) << stand->shift) - 1));
	uint64_t old_value;

	cr_assert_eq(bus.load(stand, hpa, 8, &old_value), 0);
	cr_assert_eq(bus.swap(stand, hpa, 8, old_value, value), 0);
}

static uint64_t guest_pointer(struct stand *stand, uint64_t table)
{
	switch (guest_arch(stand)) {
	case VMMU_HW_RISCV:
		return table >> 2 | 1;
	case VMMU_HW_ARM64:
		return table | 3;
	default:
		return table | 7;
	}
}

/* Accessed and dirty are left to hardware where the guest has hardware for it. */
static uint64_t guest_leaf(struct stand *stand, const struct guest_page *page)
{
	if (!page->is_mapped)
		return 0;
	switch (guest_arch(stand)) {
	case VMMU_HW_RISCV:
		return page->gpa >> 2 | 0xc0 | 1 | 2 | 8 | (page->is_writable ? 4 : 0) |
		       (page->is_user ? 16 : 0);
	case VMMU_HW_ARM64:
		return page->gpa | 3 | 3 << 8 | (page->is_user ? 1 << 6 : 0) |
		       (page->is_writable ? 0 : 1 << 7) | 1 << 11;
	default:
		return page->gpa | 1 | (page->is_writable ? 2 : 0) | (page->is_user ? 4 : 0);
	}
}

static void guest_registers(struct stand *stand, struct vmmu_hw_cpu *cpu)
{
	uint64_t root = guest_table(stand, guest_levels(stand));

	switch (cpu->arch) {
	case VMMU_HW_RISCV:
		cpu->u.riscv.vsatp = UINT64_C(8) << 60 | UINT64_C(5) << 44 | root >> 12;
		cpu->u.riscv.vsstatus = 1 << 18; /* SUM */
		break;
	case VMMU_HW_ARM64:
		cpu->u.arm64.features |= VMMU_HW_ARM64_HAFDBS;
		cpu->u.arm64.sctlr_el1 = 1;
		/* 39 bits, 4K, 48-bit output, hardware access flag */
		cpu->u.arm64.tcr_el1 = 25 | UINT64_C(5) << 32 | UINT64_C(1) << 39;
		cpu->u.arm64.ttbr0_el1 = UINT64_C(5) << 48 | root;
		cpu->u.arm64.mair_el1 = 0xff;
		break;
	default:
		cpu->u.x86.cr0 = UINT64_C(1) << 31 | 1 << 16;
		cpu->u.x86.cr3 = root;
		cpu->u.x86.cr4 = 1 << 5;
		cpu->u.x86.efer = 1 << 10 | 1 << 11;
		break;
	}
}

void guest_start(struct stand *stand, unsigned cpu)
{
	unsigned levels = guest_levels(stand);

	for (unsigned level = levels; level > 1; level--)
		guest_write(stand, guest_table(stand, level) + 8 * GUEST_INDEX,
			    guest_pointer(stand, guest_table(stand, level - 1)));
	guest_registers(stand, vmmu_cpu_registers(stand->cpu[cpu]));
	stand->has_guest[cpu] = true;
}

static void guest_flush(struct stand *stand, uint64_t gva)
{
	static const enum vmmu_tlb_op ops[VMMU_HW_ARCHES] = {
		[VMMU_HW_EPT] = VMMU_TLB_INVLPG,
		[VMMU_HW_NPT] = VMMU_TLB_INVLPG,
		[VMMU_HW_RISCV] = VMMU_TLB_HFENCE_VVMA,
		[VMMU_HW_ARM64] = VMMU_TLB_TLBI_VAE1,
	};
	struct vmmu_tlb_flush flush = {.op = ops[guest_arch(stand)],
				       .context = VMMU_TLB_ANY,
				       .vpid = VMMU_TLB_ANY,
				       .asid = VMMU_TLB_ANY,
				       .start = gva,
				       .end = gva + GUEST_PAGE};

	for (unsigned i = 0; i < stand->cpu_count; i++)
		cr_assert_eq(vmmu_tlb_flush(vmmu_cpu_tlb(stand->cpu[i]), &flush), 0);
}

void guest_map_quietly(struct stand *stand, unsigned number, struct guest_page page)
{
	guest_write(stand, guest_table(stand, 1) + 8 * number, guest_leaf(stand, &page));
	stand->guest[number] = page;
}

void guest_map(struct stand *stand, unsigned number, struct guest_page page)
{
	guest_map_quietly(stand, number, page);
	guest_flush(stand, guest_gva(stand, number));
}

/* The flat model: how must an access of gpa end? *HPA: where it arrives. */
static enum vmmu_access_end model_gpa(struct stand *stand, unsigned as_id, uint64_t gpa,
				      unsigned access, uint64_t *hpa)
{
	const struct vmmu_slot *slot = stand_slot_at(stand, as_id, gpa >> stand->shift);
	const struct host_page *host;

	*hpa = 0;
	if (!slot)
		return VMMU_ACCESS_EMULATE;
	host = stand_host_of(stand, as_id, gpa >> stand->shift);
	if ((access & VMMU_WRITE) && (slot->flags & VMMU_SLOT_READ_ONLY))
		return VMMU_ACCESS_EMULATE;
	if (host->is_absent)
		return VMMU_ACCESS_EXIT;
	if ((access & VMMU_WRITE) && host->is_read_only)
		return VMMU_ACCESS_EMULATE;
	*hpa = (host->pfn << stand->shift) | (gpa & ((UINT64_C(1) << stand->shift) - 1));
	return VMMU_ACCESS_DONE;
}

/* What the guest's own mapping says: may the access go on? */
static bool model_guest(struct stand *stand, const struct guest_page *page, unsigned access,
			unsigned flags)
{
	bool is_arm = guest_arch(stand) == VMMU_HW_ARM64;

	if (!page->is_mapped || ((access & VMMU_WRITE) && !page->is_writable))
		return false;
	if ((flags & VMMU_HW_USER) && !page->is_user)
		return is_arm && access == VMMU_EXEC; /* EL0 may execute what it cannot read */
	if (flags & VMMU_HW_USER || access != VMMU_EXEC)
		return true;
	if (is_arm) /* EL1 never executes what EL0 may write */
		return !(page->is_user && page->is_writable);
	return guest_arch(stand) != VMMU_HW_RISCV || !page->is_user;
}

static enum vmmu_access_end model_access(struct stand *stand, unsigned cpu, uint64_t address,
					 unsigned access, unsigned flags, uint64_t *gpa,
					 uint64_t *hpa)
{
	const struct guest_page *page = NULL;

	*gpa = address;
	*hpa = 0;
	if (stand->has_guest[cpu]) {
		page = &stand->guest[(address - guest_gva(stand, 0)) / GUEST_PAGE];
		*gpa = page->gpa | (address & (GUEST_PAGE - 1));
		if (!model_guest(stand, page, access, flags))
			return VMMU_ACCESS_GUEST_FAULT;
	}
	return model_gpa(stand, stand->as_id[cpu], *gpa, access, hpa);
}

/* The software walk, and the hardware's with an empty TLB, of an access that went through. */
static void check_walks(struct stand *stand, unsigned cpu, const struct vmmu_hw_access *access,
			uint64_t gpa, uint64_t hpa)
{
	static struct vmmu_hw_walk fresh;
	const struct vmmu_hw_cpu *cpu_now = vmmu_cpu_registers(stand->cpu[cpu]);
	struct vmmu_hw_gpa final = {
		.gpa = gpa, .purpose = VMMU_HW_FINAL, .guest_page = VMMU_HW_PAGE_USER};
	struct vmmu_hw_bus bus = stand_bus(stand);
	struct vmmu_walk walk;

	bus.swap = NULL;
	cr_assert_eq(vmmu_walk(stand->vm, stand->as_id[cpu], gpa, &walk), 0);
	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
	cr_assert_eq(walk.access & access->access, access->access);
	cr_assert_eq(walk.pfn, hpa >> stand->shift);
	cr_assert_eq(vmmu_hw_translate_gpa(cpu_now, &bus, access, &final, &fresh), 0);
	/* Without hardware to set it, an aged page is refused once: the TLB need not know. */
	if (fresh.status == VMMU_HW_FAULT_HOST && !walk.entry.accessed)
		return;
	cr_assert_eq(fresh.status, VMMU_HW_OK, "cause %d level %u", fresh.fault.cause,
		     fresh.fault.level);
	cr_assert_eq(fresh.combined.output, hpa);
	cr_assert_eq(vmmu_hw_translate(cpu_now, &bus, access, &fresh), 0);
	/* The guest's tables need not be mapped while a TLB serves the access. */
	if (fresh.status == VMMU_HW_FAULT_HOST && fresh.fault.purpose != VMMU_HW_FINAL)
		return;
	cr_assert_eq(fresh.status, VMMU_HW_OK, "cause %d level %u", fresh.fault.cause,
		     fresh.fault.level);
	cr_assert_eq(fresh.combined.output, hpa);
}

struct vmmu_access_result stand_access(struct stand *stand, unsigned cpu, uint64_t address,
				       unsigned access, unsigned flags)
{
	struct vmmu_hw_access asked = {.gva = address, .access = access, .flags = flags};
	struct vmmu_access_result result;
	uint64_t gpa, hpa;
	enum vmmu_access_end end = model_access(stand, cpu, address, access, flags, &gpa, &hpa);

	cr_assert_eq(vmmu_cpu_access(stand->cpu[cpu], &asked, &result), 0);
	/* Some report a write as a read first: then the page that is not there comes first. */
	if (end == VMMU_ACCESS_EMULATE && result.end == VMMU_ACCESS_EXIT &&
	    stand_host_of(stand, stand->as_id[cpu], gpa >> stand->shift)->is_absent)
		return result;
	cr_assert_eq(result.end, end,
		     "%s: cpu %u address %#llx access %u flags %u: end %d (livelock %d, error %d, "
		     "cause %d), expected %d",
		     stand->info->name, cpu, (unsigned long long)address, access, flags, result.end,
		     result.livelock, result.error, result.walk->fault.cause, end);
	if (end != VMMU_ACCESS_DONE)
		return result;
	cr_assert_eq(result.part[0].gpa, gpa);
	cr_assert_eq(result.part[0].hpa, hpa, "%s: gpa %#llx: %#llx, not %#llx", stand->info->name,
		     (unsigned long long)gpa, (unsigned long long)result.part[0].hpa,
		     (unsigned long long)hpa);
	check_walks(stand, cpu, &asked, gpa, hpa);
	return result;
}

void stand_touch(struct stand *stand, uint64_t gfn, unsigned access)
{
	struct vmmu_access_result result = stand_access(stand, 0, stand_gpa(stand, gfn), access, 0);

	cr_assert_eq(result.end, VMMU_ACCESS_DONE);
}
