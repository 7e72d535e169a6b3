/* SPDX-License-Identifier: MIT */
/*
 * The guest: hardware's part of an access (TLB, walk, fault report) and a VMM's loop around
 * vmmu_fault().
 *
 * The TLB remembers what it may for as long as it may: only flushes, a new root and, on x86, a
 * fault make it forget. Formats whose "not mapped" may be cached get that remembered too. So a
 * flush that the engine owes and does not ask for shows: as a write that no log reports, an old
 * frame, or a livelock.
 */
#include <errno.h>
#include <string.h>

#include "faults/harness.h"

static struct tlb_entry *tlb_slot(struct machine_vcpu *vcpu, unsigned as_id, uint64_t gfn)
{
	return &vcpu->tlb[(gfn + as_id * 97) % MACHINE_TLB];
}

static struct tlb_entry *tlb_find(struct machine_vcpu *vcpu, unsigned as_id, uint64_t gfn)
{
	struct tlb_entry *entry = tlb_slot(vcpu, as_id, gfn);

	return entry->valid && entry->as_id == as_id && entry->gfn == gfn ? entry : NULL;
}

static void tlb_fill(struct machine_vcpu *vcpu, uint64_t gfn, uint64_t pfn, unsigned access)
{
	*tlb_slot(vcpu, vcpu->as_id, gfn) = (struct tlb_entry){
		.valid = true,
		.as_id = vcpu->as_id,
		.access = access,
		.gfn = gfn,
		.pfn = pfn,
	};
}

void tlb_flush_range(struct machine *machine, unsigned vcpu, unsigned as_id, uint64_t start,
		     uint64_t end)
{
	uint64_t gfns = UINT64_C(1) << (64 - machine->page_shift);

	if (machine->hardware) {
		vmmu_tlb_forget(vmmu_cpu_tlb(machine->vcpu[vcpu].cpu), as_id,
				start << machine->page_shift,
				end < gfns ? end << machine->page_shift : VMMU_TLB_ANY);
		return;
	}
	for (unsigned i = 0; i < MACHINE_TLB; i++) {
		struct tlb_entry *entry = &machine->vcpu[vcpu].tlb[i];

		if (entry->as_id == as_id && start <= entry->gfn && entry->gfn < end)
			entry->valid = false;
	}
}

void machine_enter(struct machine *machine, unsigned index)
{
	struct machine_vcpu *vcpu = &machine->vcpu[index];
	bool flush_local = false;
	int result = vmmu_vcpu_root(vcpu->vcpu, &vcpu->root, &flush_local);

	if (result)
		machine_fail(machine, "vmmu_vcpu_root() returned %d", result);
	if (vcpu->root.as_id != vcpu->as_id || !vcpu->root.hpa ||
	    vcpu->root.level != machine->geometry->levels)
		machine_fail(machine, "root %#llx level %u of address space %u",
			     (unsigned long long)vcpu->root.hpa, vcpu->root.level,
			     vcpu->root.as_id);
	vcpu->kicked = false;
	if (flush_local && !machine->hardware)
		memset(vcpu->tlb, 0, sizeof(vcpu->tlb));
	if (!machine->hardware)
		return;
	if (flush_local)
		vmmu_tlb_clear(vmmu_cpu_tlb(vcpu->cpu));
	if (vmmu_cpu_enter(vcpu->cpu))
		machine_fail(machine, "vmmu_cpu_enter() failed");
}

void machine_vcpu_as(struct machine *machine, unsigned vcpu, unsigned as_id)
{
	machine_op(machine, "vcpu %u to as %u", vcpu, as_id);
	cr_assert_eq(vmmu_vcpu_set_as(machine->vcpu[vcpu].vcpu, as_id), 0);
	machine->vcpu[vcpu].as_id = as_id;
}

void machine_check_tlb(struct machine *machine)
{
	if (machine->hardware) {
		vmmu_machine_check(machine->hardware);
		if (vmmu_machine_findings(machine->hardware))
			machine_fail(machine, "a TLB is stale");
		return;
	}
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct machine_vcpu *vcpu = &machine->vcpu[i];

		/* a kicked vCPU is out of the guest, and forgets before it enters again */
		for (unsigned t = 0; t < MACHINE_TLB && !vcpu->kicked; t++) {
			struct tlb_entry *entry = &vcpu->tlb[t];
			struct grant grant;
			unsigned access;

			if (!entry->valid || !entry->access)
				continue;
			grant = machine_grant(machine, entry->as_id, entry->gfn);
			access = grant.access;
			if (grant.slot && grant.slot->touched &&
			    !grant.slot->touched[entry->gfn - grant.slot->base_gfn])
				access &= ~(unsigned)VMMU_WRITE;
			if (!access || grant.page.pfn != entry->pfn || (entry->access & ~access))
				machine_fail(machine,
					     "flush missing: vCPU %u still has as %u gfn %#llx "
					     "pfn %#llx access %u, allowed %u",
					     i, entry->as_id, (unsigned long long)entry->gfn,
					     (unsigned long long)entry->pfn, entry->access, access);
		}
	}
}

/* What the registers say of a fault, where they do. */
static unsigned reported_flags(const struct machine *machine, const struct vmmu_hw_fault *fault)
{
	bool is_x86 = machine->faults_drop_tlb;

	if (fault->cause == VMMU_HW_RESERVED && is_x86)
		return VMMU_FAULT_RSVD;
	if (machine->info->caps & VMMU_CAP_CACHES_ABSENT)
		return 0;
	return fault->cause == VMMU_HW_PERMISSION || fault->cause == VMMU_HW_ACCESSED
		       ? VMMU_FAULT_PRESENT
		       : 0;
}

/* The try of a CPU that the library models; its tables' walk, for those who ask. */
static bool model_try(struct machine *machine, struct machine_vcpu *vcpu, uint64_t gpa,
		      unsigned access, struct vmmu_walk *walk, unsigned *flags)
{
	static struct vmmu_hw_walk served;
	struct vmmu_hw_access asked = {.gva = gpa, .access = access};
	struct vmmu_hw_gpa final = {.gpa = gpa, .purpose = VMMU_HW_FINAL};
	struct vmmu_hw_bus bus = hardware_bus(machine);

	memset(walk, 0, sizeof(*walk));
	if (vmmu_tlb_translate_gpa(vmmu_cpu_tlb(vcpu->cpu), vmmu_cpu_registers(vcpu->cpu), &bus,
				   vcpu->as_id, &asked, &final, &served))
		machine_fail(machine, "vmmu_tlb_translate_gpa() failed");
	if (vmmu_machine_findings(machine->hardware))
		machine_fail(machine, "a TLB is stale");
	*flags = reported_flags(machine, &served.fault);
	if (served.status != VMMU_HW_OK)
		return false;
	vmmu_walk(machine->vm, vcpu->as_id, gpa, walk);
	machine_check_gfn(machine, vcpu->as_id, gpa >> machine->page_shift);
	if (walk->entry.kind != VMMU_ENTRY_LEAF ||
	    walk->pfn != served.combined.output >> machine->page_shift)
		machine_fail(machine, "hardware goes to %#llx, the walk to pfn %#llx",
			     (unsigned long long)served.combined.output,
			     (unsigned long long)walk->pfn);
	if (walk->level > machine->largest_level)
		machine->largest_level = walk->level;
	return true;
}

/* Hardware's try. True: granted. Else *flags is what it reports. */
static bool hardware_try(struct machine *machine, struct machine_vcpu *vcpu, uint64_t gpa,
			 unsigned access, struct vmmu_walk *walk, unsigned *flags)
{
	uint64_t gfn = gpa >> machine->page_shift;
	struct tlb_entry *entry = tlb_find(vcpu, vcpu->as_id, gfn);
	int result;

	if (machine->hardware)
		return model_try(machine, vcpu, gpa, access, walk, flags);
	memset(walk, 0, sizeof(*walk));
	if (entry) {
		*flags = entry->access ? VMMU_FAULT_PRESENT : 0;
		return entry->access & access;
	}
	*flags = 0;
	result = vmmu_walk(machine->vm, vcpu->as_id, gpa, walk);
	if (result == -ENOENT)
		return false; /* beyond the input size: machine_enter() has seen to the root */
	if (result)
		machine_fail(machine, "vmmu_walk() returned %d", result);
	/*
	 * without the bit there is nothing that a TLB may keep, and nobody but the engine sets it
	 */
	if (walk->entry.kind == VMMU_ENTRY_LEAF && !walk->entry.accessed &&
	    !(machine->info->caps & VMMU_CAP_HW_DIRTY)) {
		/* EPT has no fault of its own for it: the leaf has no rights left. */
		*flags = machine->info->caps & VMMU_CAP_MMIO_TRAP ? 0 : VMMU_FAULT_PRESENT;
		return false;
	}
	if (walk->entry.kind == VMMU_ENTRY_LEAF) {
		if (walk->level > machine->largest_level)
			machine->largest_level = walk->level;
		machine_check_gfn(machine, vcpu->as_id, gfn);
		tlb_fill(vcpu, gfn, walk->pfn, walk->access);
		*flags = VMMU_FAULT_PRESENT;
		return walk->access & access;
	}
	if (walk->entry.kind == VMMU_ENTRY_MMIO && (machine->info->caps & VMMU_CAP_MMIO_TRAP))
		*flags = VMMU_FAULT_RSVD;
	else if (machine->info->caps & VMMU_CAP_CACHES_ABSENT)
		tlb_fill(vcpu, gfn, 0, 0);
	return false;
}

/* Does the model allow that a fault ends so? */
static bool is_outcome_right(struct machine *machine, const struct machine_vcpu *vcpu,
			     const struct vmmu_fault *fault, int outcome)
{
	uint64_t gfn = fault->gpa >> machine->page_shift;
	struct grant grant = machine_grant(machine, vcpu->as_id, gfn);

	bool is_private = fault->flags & VMMU_FAULT_PRIVATE;

	/* while the host is at it, RETRY may come for neighbours of the range too */
	if (outcome == VMMU_RETRY)
		return true;
	if (fault->exit == VMMU_EXIT_RING_FULL)
		return outcome == VMMU_EXIT_TO_HOST && machine->has_rings;
	if (is_private != machine_is_private(machine, gfn) || (is_private && !grant.slot))
		return outcome == VMMU_EXIT_TO_HOST && fault->exit == VMMU_EXIT_MEMORY_FAULT;
	if (!grant.slot ||
	    (fault->access == VMMU_WRITE && (grant.slot->set.flags & VMMU_SLOT_READ_ONLY)))
		return outcome == VMMU_EMULATE;
	if (grant.page.status == HOST_UNMAPPED)
		return outcome == VMMU_EXIT_TO_HOST && fault->exit == VMMU_EXIT_NO_PAGE;
	if (grant.page.status == HOST_POISONED)
		return outcome == VMMU_EXIT_TO_HOST && fault->exit == VMMU_EXIT_POISONED;
	if (grant.page.status == HOST_SLOW && outcome == VMMU_EXIT_TO_HOST)
		return fault->exit == VMMU_EXIT_WOULD_BLOCK && (fault->flags & VMMU_FAULT_NO_WAIT);
	if (fault->access == VMMU_WRITE && !grant.page.writable)
		return outcome == VMMU_EMULATE;
	return !grant.is_invalidating && (outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS);
}

/* What the exit says of the page. */
static void check_exit(struct machine *machine, const struct grant *grant,
		       const struct vmmu_fault *fault)
{
	if (fault->memory.gpa != fault->gfn << machine->page_shift ||
	    fault->memory.bytes != UINT64_C(1) << machine->page_shift ||
	    fault->memory.access != fault->access ||
	    fault->memory.is_private != !!(fault->flags & VMMU_FAULT_PRIVATE))
		machine_fail(machine, "fault.memory is of %#llx",
			     (unsigned long long)fault->memory.gpa);
	if (fault->exit != VMMU_EXIT_MEMORY_FAULT &&
	    fault->hva != grant->slot->set.hva +
				  ((fault->gfn - grant->slot->base_gfn) << machine->page_shift))
		machine_fail(machine, "fault.hva is %#llx", (unsigned long long)fault->hva);
}

static void check_outputs(struct machine *machine, const struct machine_vcpu *vcpu,
			  const struct vmmu_fault *fault, int outcome)
{
	struct grant grant = machine_grant(machine, vcpu->as_id, fault->gfn);

	if (fault->gfn != fault->gpa >> machine->page_shift)
		machine_fail(machine, "fault.gfn is %#llx", (unsigned long long)fault->gfn);
	if (outcome != VMMU_EXIT_TO_HOST && fault->exit != VMMU_EXIT_NONE)
		machine_fail(machine, "fault.exit is %d", (int)fault->exit);
	if (outcome == VMMU_EXIT_TO_HOST && fault->exit != VMMU_EXIT_RING_FULL)
		check_exit(machine, &grant, fault);
	if (outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS) {
		struct vmmu_walk walk = machine_walk(machine, vcpu->as_id, fault->gfn);

		machine_check_gfn(machine, vcpu->as_id, fault->gfn);
		if (walk.entry.kind != VMMU_ENTRY_LEAF || !(walk.access & fault->access))
			machine_fail(machine, "%s, but the walk does not grant %u",
				     vmmu_outcome_name(outcome), fault->access);
		if (walk.level != fault->level)
			machine_fail(machine, "fault.level %u, mapped at %u", fault->level,
				     walk.level);
		if (!fault->fast && outcome == VMMU_FIXED && fault->pfn != grant.page.pfn)
			machine_fail(machine, "fault.pfn %#llx, not %#llx",
				     (unsigned long long)fault->pfn,
				     (unsigned long long)grant.page.pfn);
	}
}

static int run_fault(struct machine *machine, struct machine_vcpu *vcpu, struct vmmu_fault *fault)
{
	uint64_t gfn = fault->gpa >> machine->page_shift;
	struct tlb_entry *entry;
	int outcome;

	/* the engine may mark it dirty from here on */
	model_note_access(machine, vcpu->as_id, gfn, VMMU_READ);
	entry = tlb_find(vcpu, vcpu->as_id, gfn);
	if (machine->faults_drop_tlb && entry)
		entry->valid = false;
	machine->fault_calls++;
	outcome = vmmu_fault(vcpu->vcpu, fault);
	if (outcome < 0 || outcome >= VMMU_OUTCOMES)
		machine_fail(machine, "vmmu_fault() returned %d", outcome);
	if (!is_outcome_right(machine, vcpu, fault, outcome))
		machine_fail(machine, "outcome %s (exit %d) is not what the model says",
			     vmmu_outcome_name(outcome), (int)fault->exit);
	check_outputs(machine, vcpu, fault, outcome);
	return outcome;
}

struct access_result machine_access_with(struct machine *machine, unsigned index, uint64_t gpa,
					 unsigned access, unsigned flags, unsigned max_level)
{
	struct machine_vcpu *vcpu = &machine->vcpu[index];
	struct access_result result = {.end = ACCESS_RETRIED};
	unsigned wrong = flags & VMMU_FAULT_PRIVATE;
	int outcome = VMMU_RETRY;

	machine_op(machine, "vcpu %u as %u access %u gfn %#llx flags %#x max %u", index,
		   vcpu->as_id, access, (unsigned long long)gpa >> machine->page_shift, flags,
		   max_level);
	for (unsigned round = 0; round < ACCESS_ROUNDS; round++) {
		unsigned reported;

		machine_enter(machine, index);
		if (hardware_try(machine, vcpu, gpa, access, &result.walk, &reported)) {
			model_note_access(machine, vcpu->as_id, gpa >> machine->page_shift, access);
			result.end = ACCESS_GRANTED;
			return result;
		}
		result.fault = (struct vmmu_fault){
			.gpa = gpa,
			.access = access,
			.flags = round ? reported | (flags & VMMU_FAULT_NO_WAIT) : reported | flags,
			.max_level = max_level,
		};
		result.fault.flags &= ~(unsigned)VMMU_FAULT_PRIVATE;
		if (machine_is_private(machine, gpa >> machine->page_shift) == !wrong)
			result.fault.flags |= VMMU_FAULT_PRIVATE;
		outcome = run_fault(machine, vcpu, &result.fault);
		if (!result.faults++)
			result.first_outcome = (unsigned)outcome;
		if (outcome == VMMU_EMULATE || outcome == VMMU_EXIT_TO_HOST) {
			result.end = outcome == VMMU_EMULATE ? ACCESS_EMULATED : ACCESS_EXITED;
			return result;
		}
	}
	if (outcome != VMMU_RETRY || !machine->invalidating_count)
		machine_fail(machine, "livelock: %u faults, the last %s", ACCESS_ROUNDS,
			     vmmu_outcome_name(outcome));
	return result;
}

struct access_result machine_access(struct machine *machine, unsigned vcpu, uint64_t gpa,
				    unsigned access)
{
	return machine_access_with(machine, vcpu, gpa, access, 0, 0);
}

struct access_result machine_touch(struct machine *machine, uint64_t gfn, unsigned access)
{
	struct access_result result = machine_access(machine, 0, machine_gpa(machine, gfn), access);

	if (result.end != ACCESS_GRANTED)
		machine_fail(machine, "access %u of gfn %#llx: end %d", access,
			     (unsigned long long)gfn, (int)result.end);
	return result;
}

int machine_fault(struct machine *machine, uint64_t gfn, unsigned access, unsigned flags,
		  struct vmmu_fault *fault)
{
	*fault = (struct vmmu_fault){
		.gpa = machine_gpa(machine, gfn),
		.access = access,
		.flags = flags,
	};
	machine_op(machine, "fault %u gfn %#llx flags %#x", access, (unsigned long long)gfn, flags);
	return run_fault(machine, &machine->vcpu[0], fault);
}

struct vmmu_walk machine_walk(struct machine *machine, unsigned as_id, uint64_t gfn)
{
	struct vmmu_walk walk;
	int result = vmmu_walk(machine->vm, as_id, machine_gpa(machine, gfn), &walk);

	if (result)
		machine_fail(machine, "vmmu_walk() returned %d", result);
	return walk;
}

enum vmmu_entry_kind machine_kind(struct machine *machine, unsigned as_id, uint64_t gfn)
{
	struct vmmu_walk walk;
	int result = vmmu_walk(machine->vm, as_id, machine_gpa(machine, gfn), &walk);

	return result ? VMMU_ENTRY_ABSENT : walk.entry.kind;
}
