// SPDX-License-Identifier: MIT
/*
 * The driver of the hardware model: both stages of an access in order, memory references, lost
 * update races.
 */
#include "hw/walk.h"

#include <errno.h>

#include "hw/cache.h"

const unsigned walk_rights[3] = {VMMU_READ, VMMU_WRITE, VMMU_EXEC};

static const struct hw_arch *const walk_arches[VMMU_HW_ARCHES] = {
	[VMMU_HW_X86] = &hw_arch_x86,     [VMMU_HW_EPT] = &hw_arch_ept,
	[VMMU_HW_NPT] = &hw_arch_npt,     [VMMU_HW_RISCV] = &hw_arch_riscv,
	[VMMU_HW_ARM64] = &hw_arch_arm64,
};

/*
 * One more reference. The bound holds by construction (see VMMU_HW_REFS_MAX); past it references
 * are not listed.
 */
static struct vmmu_hw_ref *walk_ref(struct hw_run *run, const struct hw_slot *slot)
{
	struct vmmu_hw_walk *walk = run->walk;
	struct vmmu_hw_ref *ref;

	if (walk->ref_count == VMMU_HW_REFS_MAX)
		return NULL;
	ref = &walk->ref[walk->ref_count++];
	*ref = (struct vmmu_hw_ref){
		.hpa = slot->hpa,
		.input = slot->input,
		.gpa = slot->stage == 1 ? slot->address : slot->input,
		.value = slot->value,
		.stage = slot->stage,
		.level = slot->level,
		.bytes = slot->bytes,
	};
	return ref;
}

/* The entry's host-physical address, for a read or a write of it. */
static enum hw_result walk_locate(struct hw_run *run, struct hw_slot *slot,
				  enum vmmu_hw_purpose purpose)
{
	struct vmmu_hw_gpa gpa = {.gpa = slot->address, .purpose = purpose};
	struct vmmu_hw_mapping mapping = {0};
	enum hw_result result;

	slot->hpa = slot->address;
	slot->is_writable = true;
	if (slot->stage == 2)
		return HW_OK;
	result = run->arch->stage2(run, &gpa, &mapping);
	if (result)
		return result;
	slot->hpa = mapping.output;
	slot->is_writable = mapping.dirty && (mapping.kernel_access & VMMU_WRITE);
	if (purpose == VMMU_HW_TABLE_READ && run->walk->table_count < ARRAY_COUNT(run->walk->table))
		run->walk->table[run->walk->table_count++] = mapping;
	return HW_OK;
}

enum hw_result walk_fetch(struct hw_run *run, struct hw_slot *slot)
{
	struct vmmu_hw_ref *ref;
	enum hw_result result;

	if (run->cache && cache_fetch(run->cache, slot))
		return HW_OK;
	result = walk_locate(run, slot,
			     slot->is_pdpte_load ? VMMU_HW_PDPTE_LOAD : VMMU_HW_TABLE_READ);
	if (result)
		return result;
	run->walk->load_count++;
	slot->value = 0;
	ref = walk_ref(run, slot);
	if (run->bus->load(run->bus->ctx, slot->hpa, slot->bytes, &slot->value))
		return HW_BUS;
	if (slot->bytes == 4)
		slot->value = (uint32_t)slot->value;
	if (ref)
		ref->value = slot->value;
	if (run->cache)
		cache_note(run->cache, slot);
	return HW_OK;
}

enum hw_result walk_store(struct hw_run *run, struct hw_slot *slot, uint64_t value)
{
	struct vmmu_hw_ref *ref;
	enum hw_result result;
	int error;

	/* Hardware does not write by what it remembers: it looks again. */
	if (slot->is_served) {
		cache_drop(run->cache, slot);
		return HW_RACE;
	}
	if (!slot->is_writable) {
		result = walk_locate(run, slot, VMMU_HW_TABLE_WRITE);
		if (result)
			return result;
	}
	ref = walk_ref(run, slot);
	if (ref) {
		ref->is_update = true;
		ref->update = value;
	}
	if (run->bus->swap) {
		error = run->bus->swap(run->bus->ctx, slot->hpa, slot->bytes, slot->value, value);
		if (error)
			return error > 0 ? HW_RACE : HW_BUS;
	}
	slot->value = value;
	if (run->cache)
		cache_stored(run->cache, slot);
	return HW_OK;
}

void walk_fail(struct hw_run *run, const struct walk_failure *failure)
{
	struct vmmu_hw_walk *walk = run->walk;
	const struct hw_slot *slot = failure->slot;

	walk->status = failure->stage == 1 ? VMMU_HW_FAULT_GUEST : VMMU_HW_FAULT_HOST;
	walk->fault = (struct vmmu_hw_fault){
		.cause = failure->cause,
		.stage = failure->stage,
		.purpose = failure->purpose,
		.gpa = failure->gpa,
	};
	if (slot) {
		walk->fault.level = slot->level;
		walk->fault.entry = slot->value;
		walk->fault.entry_hpa = slot->hpa;
	}
}

void walk_identity(struct vmmu_hw_mapping *mapping, uint64_t address)
{
	*mapping = (struct vmmu_hw_mapping){
		.input = address,
		.output = address,
		.page_lg2 = 64,
		.range_lg2 = 64,
		.kernel_access = VMMU_RWX,
		.user_access = VMMU_RWX,
		.dirty = true,
	};
}

/* Forget an earlier try; the list of references is overwritten as it grows. */
static void walk_clear(struct vmmu_hw_walk *walk)
{
	const struct vmmu_hw_mapping none = {0};

	walk->status = VMMU_HW_OK;
	walk->stage1 = walk->stage2 = walk->combined = none;
	walk->table_count = walk->load_count = walk->ref_count = 0;
	walk->fault = (struct vmmu_hw_fault){0};
	walk->report = (struct vmmu_hw_report){0};
}

static uint8_t walk_smaller(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/*
 * What both stages grant together. EPT tells user from supervisor fetches by the guest's page, the
 * others by the mode of the access.
 */
static void walk_combine(struct hw_run *run)
{
	struct vmmu_hw_walk *walk = run->walk;
	const struct vmmu_hw_mapping *first = &walk->stage1, *second = &walk->stage2;
	uint8_t kernel = second->kernel_access, user = second->user_access;

	if (run->cpu->arch == VMMU_HW_EPT) {
		if (first->guest_page & VMMU_HW_PAGE_USER)
			kernel = user;
		else
			user = kernel;
	}
	walk->combined = (struct vmmu_hw_mapping){
		.input = first->input,
		.output = second->output,
		.level = first->page_lg2 < second->page_lg2 ? first->level : second->level,
		.page_lg2 = walk_smaller(first->page_lg2, second->page_lg2),
		.range_lg2 = walk_smaller(first->range_lg2, second->range_lg2),
		.kernel_access = first->kernel_access & kernel,
		.user_access = first->user_access & user,
		.guest_page = first->guest_page,
		.dirty = first->dirty && second->dirty,
		.global = first->global,
	};
}

/* Stage 2 of an access whose stage 1 is done, and both together. */
static enum hw_result walk_second(struct hw_run *run, const struct vmmu_hw_gpa *gpa)
{
	enum hw_result result = run->arch->stage2(run, gpa, &run->walk->stage2);

	if (!result)
		walk_combine(run);
	return result;
}

enum hw_result walk_both(struct hw_run *run, const void *arg)
{
	struct vmmu_hw_gpa final = {.purpose = VMMU_HW_FINAL};
	enum hw_result result = run->arch->stage1(run);

	(void)arg;
	if (result)
		return result;
	final.gpa = run->walk->stage1.output;
	final.guest_page = run->walk->stage1.guest_page;
	return walk_second(run, &final);
}

/* The second stage alone: stage 1 passes the reported address on as the given one. */
enum hw_result walk_gpa(struct hw_run *run, const void *arg)
{
	const struct vmmu_hw_gpa *gpa = arg;

	walk_identity(&run->walk->stage1, gpa->gpa);
	run->walk->stage1.input = run->access->gva;
	run->walk->stage1.guest_page = (uint8_t)gpa->guest_page;
	return walk_second(run, gpa);
}

void walk_begin(struct hw_run *run)
{
	walk_clear(run->walk);
	run->walk->log_count = 0;
	run->walk->restart_count = 0;
}

int walk_run(struct hw_run *run, enum hw_result (*attempt)(struct hw_run *run, const void *arg),
	     const void *arg)
{
	unsigned tries;

	/* What an earlier try made dirty is dirty, and stays in the log. */
	walk_begin(run);
	for (tries = 0; tries < VMMU_HW_RESTARTS_MAX; tries++) {
		walk_clear(run->walk);
		if (run->cache)
			cache_restart(run->cache);
		if (attempt(run, arg) == HW_RACE)
			continue;
		run->walk->restart_count = tries;
		return 0;
	}
	return -EAGAIN;
}

/*
 * Is this access one that can be asked? Both WRITE alone and READ|WRITE are; nothing and EXEC with
 * more are not.
 */
static bool walk_is_access(const struct vmmu_hw_access *access)
{
	if (access->flags & ~(unsigned)VMMU_HW_ACCESS_FLAGS)
		return false;
	if (access->bytes & (access->bytes - 1))
		return false;
	if (access->access == VMMU_EXEC)
		return true;
	return access->access && !(access->access & ~(unsigned)(VMMU_READ | VMMU_WRITE));
}

bool walk_start(struct hw_run *run, const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
		const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk)
{
	if (!cpu || !bus || !bus->load || !access || !walk)
		return false;
	if ((unsigned)cpu->arch >= VMMU_HW_ARCHES || !walk_is_access(access))
		return false;
	*run = (struct hw_run){
		.cpu = cpu,
		.bus = bus,
		.access = access,
		.walk = walk,
		.arch = walk_arches[cpu->arch],
	};
	return run->arch->is_valid(cpu);
}

int vmmu_hw_translate(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
		      const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk)
{
	struct hw_run run;

	if (!walk_start(&run, cpu, bus, access, walk))
		return -EINVAL;
	return walk_run(&run, walk_both, NULL);
}

bool walk_is_gpa(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_gpa *gpa)
{
	if (!gpa || cpu->arch == VMMU_HW_X86)
		return false;
	if ((unsigned)gpa->purpose >= VMMU_HW_PURPOSES ||
	    (gpa->guest_page & ~(unsigned)VMMU_HW_PAGE_FLAGS))
		return false;
	return gpa->purpose != VMMU_HW_PDPTE_LOAD || cpu->arch == VMMU_HW_EPT;
}

int vmmu_hw_translate_gpa(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			  const struct vmmu_hw_access *access, const struct vmmu_hw_gpa *gpa,
			  struct vmmu_hw_walk *walk)
{
	struct hw_run run;

	if (!walk_start(&run, cpu, bus, access, walk) || !walk_is_gpa(cpu, gpa))
		return -EINVAL;
	return walk_run(&run, walk_gpa, gpa);
}
