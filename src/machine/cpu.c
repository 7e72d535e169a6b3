// SPDX-License-Identifier: MIT
/* A CPU's life, and its way into the guest. */
#include <errno.h>

#include "base/mem.h"
#include "machine/machine.h"

static bool cpu_is_known(const struct vmmu_machine *machine, unsigned id)
{
	list_for_each(node, &machine->cpus) if (container_of(node, struct vmmu_cpu, link)->id ==
						id) return true;
	return false;
}

int vmmu_cpu_create(struct vmmu_machine *machine, const struct vmmu_cpu_options *options,
		    struct vmmu_cpu **out)
{
	struct vmmu_tlb_options tlb;
	struct vmmu_cpu *cpu;
	int err;

	if (!machine || !machine->vm || !out || !options || options->size != sizeof(*options) ||
	    !options->vcpu)
		return -EINVAL;
	if (cpu_is_known(machine, options->id))
		return -EEXIST;
	cpu = mem_alloc(sizeof(*cpu));
	if (!cpu)
		return -ENOMEM;
	tlb = options->tlb;
	tlb.size = sizeof(tlb);
	tlb.arch = machine->registers.arch;
	err = vmmu_tlb_create(&tlb, &cpu->tlb);
	if (err) {
		mem_free(cpu);
		return err;
	}
	cpu->machine = machine;
	cpu->vcpu = options->vcpu;
	cpu->id = options->id;
	cpu->registers = machine->registers;
	if (cpu->registers.arch == VMMU_HW_EPT)
		cpu->registers.u.x86.vpid = options->id + 1;
	list_insert(&machine->cpus, &cpu->link);
	*out = cpu;
	return 0;
}

void vmmu_cpu_destroy(struct vmmu_cpu *cpu)
{
	if (!cpu)
		return;
	list_remove(&cpu->link);
	vmmu_tlb_destroy(cpu->tlb);
	mem_free(cpu);
}

struct vmmu_hw_cpu *vmmu_cpu_registers(struct vmmu_cpu *cpu)
{
	return cpu ? &cpu->registers : NULL;
}

struct vmmu_tlb *vmmu_cpu_tlb(struct vmmu_cpu *cpu)
{
	return cpu ? cpu->tlb : NULL;
}

int vmmu_cpu_enter(struct vmmu_cpu *cpu)
{
	struct vmmu_root root;
	bool flush_local = false;
	int err;

	if (!cpu)
		return -EINVAL;
	err = vmmu_vcpu_root(cpu->vcpu, &root, &flush_local);
	if (err)
		return err;
	/* The host's flush of its own TLB is not bound to a context. */
	if (flush_local)
		vmmu_tlb_clear(cpu->tlb);
	cpu->is_kicked = false;
	cpu->as_id = root.as_id;
	cpu->root[root.as_id] = (struct machine_root){root.hpa, true};
	registers_set_root(&cpu->registers, root.hpa, root.as_id);
	return 0;
}
