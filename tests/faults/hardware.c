/* SPDX-License-Identifier: MIT */
/* The machine's CPUs, as the library models them, on tables in memory of the machine's own. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "faults/harness.h"

#define TABLES_HPA   (UINT64_C(4) << 30)
#define TABLES_BYTES (UINT64_C(64) << 20)
/* The memory is aligned to the largest root. */
#define TABLES_ALIGN (UINT64_C(1) << 20)

/* Where the tables begin in the memory, which is a little larger. */
static void *tables_of(const struct machine *machine)
{
	return (void *)(((uintptr_t)machine->tables + TABLES_ALIGN - 1) & ~(TABLES_ALIGN - 1));
}

static _Atomic uint64_t *word(const struct machine *machine, uint64_t hpa, unsigned bytes)
{
	if (bytes != 8 || hpa - TABLES_HPA >= machine->tables_bytes)
		return NULL;
	return (_Atomic uint64_t *)tables_of(machine) + (hpa - TABLES_HPA) / 8;
}

static int load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	_Atomic uint64_t *at = word(ctx, hpa, bytes);

	if (!at)
		return -1;
	*value = atomic_load(at);
	return 0;
}

static int swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	_Atomic uint64_t *at = word(ctx, hpa, bytes);

	return at ? !atomic_compare_exchange_strong(at, &old_value, new_value) : -1;
}

struct vmmu_hw_bus hardware_bus(struct machine *machine)
{
	return (struct vmmu_hw_bus){machine, load, swap};
}

static void on_finding(void *ctx, const struct vmmu_stale *stale)
{
	machine_op(ctx, "STALE %s: vCPU %d as %u gpa %#llx level %u: %#llx, now %#llx",
		   vmmu_stale_name(stale->kind), (int)stale->vcpu_id, stale->as_id,
		   (unsigned long long)stale->gpa, stale->level, (unsigned long long)stale->old_pte,
		   (unsigned long long)stale->new_pte);
}

void hardware_create(struct machine *machine, const struct machine_options *options,
		     struct vmmu_vm_options *vm_options)
{
	struct vmmu_machine_options hardware = {
		.size = sizeof(hardware),
		.bus = hardware_bus(machine),
		.finding = on_finding,
		.finding_ctx = machine,
	};
	struct vmmu_hw_cpu registers;

	if (vmmu_machine_registers(machine->format, &registers))
		return;
	machine->tables_bytes = options->tables_bytes ? options->tables_bytes : TABLES_BYTES;
	machine->tables = mmap(NULL, machine->tables_bytes + TABLES_ALIGN, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(machine->tables, MAP_FAILED);
	cr_assert_eq(vmmu_machine_create(&hardware, &machine->hardware), 0);
	vm_options->tables = tables_of(machine);
	vm_options->tables_hpa = TABLES_HPA;
	vm_options->tables_bytes = machine->tables_bytes;
}

/* The CPU that runs vCPU INDEX. */
static void attach_cpu(struct machine *machine, unsigned index)
{
	struct machine_vcpu *vcpu = &machine->vcpu[index];
	struct vmmu_cpu_options options = {
		.size = sizeof(options),
		.tlb = {.combined = 1, .leaves = MACHINE_TLB / 8, .tables = 64},
		.vcpu = vcpu->vcpu,
		.id = index,
	};

	cr_assert_eq(vmmu_cpu_create(machine->hardware, &options, &vcpu->cpu), 0);
}

void hardware_attach(struct machine *machine)
{
	if (!machine->hardware)
		return;
	cr_assert_eq(vmmu_machine_attach(machine->hardware, machine->vm), 0);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		attach_cpu(machine, i);
}

void machine_vcpu_remove(struct machine *machine, unsigned index)
{
	struct machine_vcpu *vcpu = &machine->vcpu[index];

	if (vcpu->cpu)
		vmmu_cpu_destroy(vcpu->cpu);
	vmmu_vcpu_destroy(vcpu->vcpu);
	vcpu->cpu = NULL;
	vcpu->vcpu = NULL;
}

void machine_vcpu_renew(struct machine *machine, unsigned index)
{
	machine_vcpu_remove(machine, index);
	cr_assert_eq(vmmu_vcpu_create(machine->vm, index, &machine->vcpu[index].vcpu), 0);
	if (machine->hardware)
		attach_cpu(machine, index);
}

void hardware_destroy(struct machine *machine)
{
	if (!machine->hardware)
		return;
	vmmu_machine_destroy(machine->hardware);
	munmap(machine->tables, machine->tables_bytes + TABLES_ALIGN);
}
