// SPDX-License-Identifier: MIT
/* A guest access: what hardware does, what it reports, what the engine makes of that, again. */
#include <errno.h>

#include "machine/machine.h"

/* The least translation unit of all architectures, lg2 bytes. */
#define ACCESS_PAGE_LG2 12

/* One part of an access under way: what has been tried. */
struct access_part {
	struct vmmu_cpu *cpu;
	struct vmmu_hw_access access;
	struct vmmu_access_result *result;
	unsigned faults, repeats;
};

/* Go on; else the end is in the result. */
static bool access_ends(struct access_part *part, enum vmmu_access_end end)
{
	part->result->end = end;
	return false;
}

static bool access_fails(struct access_part *part, int error)
{
	part->result->error = error;
	return access_ends(part, VMMU_ACCESS_ERROR);
}

/*
 * The registers that a handler would read. Arm leaves HPFAR_EL2 alone on a plain permission fault:
 * the handler translates FAR_EL2 by the first stage, which is what the fault's address is here.
 */
static void access_syndrome(const struct vmmu_hw_cpu *registers, const struct vmmu_hw_walk *walk,
			    struct vmmu_syndrome *syndrome)
{
	const struct vmmu_hw_report *report = &walk->report;

	*syndrome = (struct vmmu_syndrome){0};
	switch (registers->arch) {
	case VMMU_HW_EPT:
		syndrome->gpa = report->vmx.gpa;
		syndrome->reg[0] = report->vmx.exit_reason;
		syndrome->reg[1] = report->vmx.qualification;
		break;
	case VMMU_HW_NPT:
		syndrome->gpa = report->svm.info2;
		syndrome->reg[0] = report->svm.info1;
		break;
	case VMMU_HW_RISCV:
		syndrome->reg[0] = report->riscv.cause;
		syndrome->reg[1] = report->riscv.tval;
		syndrome->reg[2] = report->riscv.tval2;
		syndrome->reg[3] = report->riscv.tinst;
		break;
	default:
		syndrome->reg[0] = report->arm64.esr;
		syndrome->reg[1] = report->arm64.far;
		syndrome->reg[2] = report->arm64.hpfar_valid ? report->arm64.hpfar
							     : walk->fault.gpa >> 12 << 4;
		break;
	}
}

/* The processor writes its log, from pml_index down. */
static void access_log(struct vmmu_cpu *cpu)
{
	const struct vmmu_hw_bus *bus = &cpu->machine->options.bus;
	struct vmmu_hw_x86 *x86 = &cpu->registers.u.x86;
	uint64_t place, old_value;

	if (cpu->registers.arch != VMMU_HW_EPT)
		return;
	for (unsigned i = 0; i < cpu->walk.log_count; i++) {
		place = x86->pml_address + x86->pml_index * UINT64_C(8);
		if (!bus->load(bus->ctx, place, 8, &old_value))
			bus->swap(bus->ctx, place, 8, old_value, cpu->walk.log[i]);
		x86->pml_index--;
	}
}

/* Would the access go through if the TLB were empty? */
static bool access_is_granted(struct access_part *part)
{
	struct vmmu_cpu *cpu = part->cpu;
	struct vmmu_hw_bus bus = machine_read_bus(cpu->machine);

	return !vmmu_hw_translate(&cpu->registers, &bus, &part->access, &cpu->machine->walk) &&
	       cpu->machine->walk.status == VMMU_HW_OK;
}

static bool access_livelock(struct access_part *part, enum vmmu_livelock livelock)
{
	part->result->livelock = livelock;
	return access_ends(part, VMMU_ACCESS_LIVELOCK);
}

/* FIXED and SPURIOUS: again, unless it is the same fault over and over. */
static bool access_again(struct access_part *part, const struct vmmu_fault *before)
{
	const struct vmmu_fault *fault = &part->result->fault;

	if (before->gfn == fault->gfn && before->access == fault->access && part->faults > 1)
		part->repeats++;
	else
		part->repeats = 0;
	if (part->repeats < VMMU_ACCESS_REPEATS_MAX && part->faults < VMMU_ACCESS_FAULTS_MAX)
		return true;
	return access_livelock(part,
			       access_is_granted(part) ? VMMU_LIVELOCK_TLB : VMMU_LIVELOCK_TABLES);
}

static bool access_judge(struct access_part *part, int outcome, const struct vmmu_fault *before)
{
	if (outcome < 0 || outcome >= VMMU_OUTCOMES)
		return access_fails(part, outcome);
	part->result->outcome_count[outcome]++;
	switch (outcome) {
	case VMMU_RETRY:
		return part->faults < VMMU_ACCESS_FAULTS_MAX ||
		       access_ends(part, VMMU_ACCESS_RETRY);
	case VMMU_FIXED:
	case VMMU_SPURIOUS:
		return access_again(part, before);
	case VMMU_EXIT_TO_HOST:
		return access_ends(part, VMMU_ACCESS_EXIT);
	default:
		return access_ends(part, VMMU_ACCESS_EMULATE);
	}
}

/* The second stage refused: tell the engine. */
static bool access_fault(struct access_part *part)
{
	struct vmmu_cpu *cpu = part->cpu;
	struct vmmu_machine *machine = cpu->machine;
	struct vmmu_fault *fault = &part->result->fault, before = *fault;
	const char *operation = machine->operation;
	struct vmmu_syndrome syndrome;
	int outcome;

	access_syndrome(&cpu->registers, &cpu->walk, &syndrome);
	if (vmmu_fault_decode(vmmu_format_info(machine->format)->architecture, &syndrome, fault))
		return access_ends(part, VMMU_ACCESS_MACHINE_CHECK);
	part->faults++;
	part->result->fault_count++;
	machine->operation = "fault";
	outcome = vmmu_fault(cpu->vcpu, fault);
	ledger_settle(machine);
	if (outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS)
		check_denial(cpu, fault->gpa);
	machine->operation = operation;
	return access_judge(part, outcome, &before);
}

/* One try. False: the access has ended. */
static bool access_try(struct access_part *part)
{
	struct vmmu_cpu *cpu = part->cpu;
	int err = vmmu_cpu_enter(cpu);

	if (err)
		return access_fails(part, err);
	err = vmmu_tlb_translate(cpu->tlb, &cpu->registers, &cpu->machine->options.bus, cpu->as_id,
				 &part->access, &cpu->walk);
	if (err == -EAGAIN)
		return access_livelock(part, VMMU_LIVELOCK_RACES);
	if (err)
		return access_fails(part, err);
	access_log(cpu);
	if (cpu->walk.status == VMMU_HW_OK)
		return access_ends(part, VMMU_ACCESS_DONE);
	if (cpu->walk.status == VMMU_HW_FAULT_GUEST)
		return access_ends(part, VMMU_ACCESS_GUEST_FAULT);
	if (cpu->walk.fault.cause == VMMU_HW_LOG_FULL)
		return access_ends(part, VMMU_ACCESS_LOG_FULL);
	if (cpu->walk.fault.cause == VMMU_HW_BUS)
		return access_ends(part, VMMU_ACCESS_MACHINE_CHECK);
	return access_fault(part);
}

/* The part of ACCESS on its first page, or what is left of it on the second. */
static bool access_part(struct vmmu_cpu *cpu, const struct vmmu_hw_access *access, unsigned bytes,
			struct vmmu_access_result *result)
{
	struct access_part part = {.cpu = cpu, .access = *access, .result = result};

	while (access_try(&part))
		;
	if (result->end != VMMU_ACCESS_DONE)
		return false;
	result->part[result->part_count].gpa = cpu->walk.stage2.input;
	result->part[result->part_count].hpa = cpu->walk.combined.output;
	result->part[result->part_count].bytes = bytes;
	result->part_count++;
	return true;
}

int vmmu_cpu_access(struct vmmu_cpu *cpu, const struct vmmu_hw_access *access,
		    struct vmmu_access_result *result)
{
	struct vmmu_hw_access rest;
	unsigned bytes, room;

	if (!cpu || !access || !result)
		return -EINVAL;
	*result = (struct vmmu_access_result){.walk = &cpu->walk};
	bytes = access->bytes ? access->bytes : 1;
	room = (unsigned)(BIT64(ACCESS_PAGE_LG2) - (access->gva & (BIT64(ACCESS_PAGE_LG2) - 1)));
	rest = *access;
	rest.gva += room;
	rest.bytes = 0;
	if (access_part(cpu, access, bytes < room ? bytes : room, result) && bytes > room)
		access_part(cpu, &rest, bytes - room, result);
	if (result->end == VMMU_ACCESS_ERROR && result->error == -EINVAL && !result->fault_count)
		return -EINVAL;
	return 0;
}
