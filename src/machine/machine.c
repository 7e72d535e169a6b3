// SPDX-License-Identifier: MIT
/* A machine's life, its callbacks, and what they count. */
#include "machine/machine.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

const char *vmmu_stale_name(int kind)
{
	static const char *const names[VMMU_STALE_KINDS] = {
		[VMMU_STALE_GRANT] = "grant",   [VMMU_STALE_TABLE] = "table",
		[VMMU_STALE_DENIAL] = "denial", [VMMU_STALE_OWED] = "owed",
		[VMMU_STALE_BREAK] = "break",   [VMMU_STALE_REUSE] = "reuse",
	};

	return kind < 0 || kind >= VMMU_STALE_KINDS ? "?" : names[kind];
}

int vmmu_machine_create(const struct vmmu_machine_options *options, struct vmmu_machine **out)
{
	struct vmmu_machine *machine;

	if (!out || !options || options->size != sizeof(*options) || !options->bus.load ||
	    !options->bus.swap)
		return -EINVAL;
	machine = mem_alloc(sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->options = *options;
	machine->operation = "";
	list_init(&machine->cpus);
	machine->ledger.item = mem_alloc_array(LEDGER_MAX, sizeof(*machine->ledger.item));
	if (!machine->ledger.item) {
		mem_free(machine);
		return -ENOMEM;
	}
	*out = machine;
	return 0;
}

void vmmu_machine_destroy(struct vmmu_machine *machine)
{
	if (!machine)
		return;
	while (!list_is_empty(&machine->cpus))
		vmmu_cpu_destroy(container_of(machine->cpus.next, struct vmmu_cpu, link));
	mem_free(machine->ledger.item);
	mem_free(machine);
}

int vmmu_machine_attach(struct vmmu_machine *machine, struct vmmu_vm *vm)
{
	int err;

	if (!machine)
		return -EINVAL;
	if (!list_is_empty(&machine->cpus))
		return -EBUSY;
	if (vm) {
		err = vmmu_machine_registers(vmmu_vm_format(vm), &machine->registers);
		if (err)
			return err;
		machine->format = vmmu_vm_format(vm);
		machine->geometry = vmmu_format_info(machine->format)->geometry;
	}
	machine->vm = vm;
	machine->ledger.count = 0;
	machine->ledger.has_flush = false;
	return 0;
}

void machine_report(struct vmmu_machine *machine, const struct vmmu_stale *stale)
{
	struct vmmu_stale named = *stale;

	named.operation = machine->operation;
	machine->findings++;
	if (machine->options.finding)
		machine->options.finding(machine->options.finding_ctx, &named);
}

uint64_t vmmu_machine_findings(const struct vmmu_machine *machine)
{
	return machine ? machine->findings : 0;
}

void vmmu_machine_operation(struct vmmu_machine *machine, const char *operation)
{
	if (machine && operation)
		machine->operation = operation;
}

/* The counts of the operation under way. */
static struct vmmu_flush_count *machine_count(struct vmmu_machine *machine)
{
	unsigned i;

	for (i = 0; i < machine->count_used; i++)
		if (!strcmp(machine->count[i].operation, machine->operation))
			return &machine->count[i];
	if (i == VMMU_OPERATIONS_MAX)
		return &machine->count[i - 1];
	machine->count_used++;
	machine->count[i].operation = machine->operation;
	return &machine->count[i];
}

void vmmu_machine_flush_counts(const struct vmmu_machine *machine,
			       void (*fn)(void *ctx, const struct vmmu_flush_count *count),
			       void *ctx)
{
	for (unsigned i = 0; machine && fn && i < machine->count_used; i++)
		fn(ctx, &machine->count[i]);
}

struct vmmu_hw_bus machine_read_bus(const struct vmmu_machine *machine)
{
	return (struct vmmu_hw_bus){.ctx = machine->options.bus.ctx,
				    .load = machine->options.bus.load};
}

/* The last entry that WALK read in the second stage. */
static uint64_t machine_last_pte(const struct vmmu_hw_walk *walk)
{
	for (unsigned i = walk->ref_count; i-- > 0;)
		if (!walk->ref[i].is_update)
			return walk->ref[i].value;
	return 0;
}

void machine_probe(const struct vmmu_hw_cpu *registers, const struct vmmu_hw_bus *bus, uint64_t gpa,
		   struct vmmu_hw_walk *walk, struct machine_probe *probe)
{
	static const unsigned rights[] = {VMMU_READ, VMMU_EXEC, VMMU_WRITE};
	struct vmmu_hw_gpa asked = {.gpa = gpa, .purpose = VMMU_HW_FINAL};
	struct vmmu_hw_cpu cpu = *registers;
	struct vmmu_hw_access access = {0};

	*probe = (struct machine_probe){0};
	registers_allow_marks(&cpu);
	for (unsigned i = 0; i < ARRAY_COUNT(rights) && !probe->access; i++) {
		access.access = rights[i];
		if (vmmu_hw_translate_gpa(&cpu, bus, &access, &asked, walk))
			return;
		probe->pte = machine_last_pte(walk);
		if (walk->status == VMMU_HW_OK) {
			probe->mapping = walk->stage2;
			probe->access = walk->stage2.kernel_access | walk->stage2.user_access;
		} else if (walk->fault.cause != VMMU_HW_PERMISSION) {
			return;
		}
	}
}

const struct vmmu_cpu *machine_cpu_in(const struct vmmu_machine *machine, unsigned as_id)
{
	list_for_each(node, &machine->cpus)
	{
		const struct vmmu_cpu *cpu = container_of(node, struct vmmu_cpu, link);

		if (!cpu->is_kicked && cpu->root[as_id].is_known)
			return cpu;
	}
	return NULL;
}

/* What a whole TLB does about its context's gpas [start, end). */
static void machine_flush_native(struct vmmu_cpu *cpu, unsigned as_id, uint64_t start, uint64_t end)
{
	static const enum vmmu_tlb_op ops[VMMU_HW_ARCHES] = {
		[VMMU_HW_EPT] = VMMU_TLB_INVEPT_SINGLE,
		[VMMU_HW_NPT] = VMMU_TLB_SVM_FLUSH_ASID,
		[VMMU_HW_RISCV] = VMMU_TLB_HFENCE_GVMA,
		[VMMU_HW_ARM64] = VMMU_TLB_TLBI_IPAS2E1,
	};
	struct vmmu_tlb_flush flush = {.op = ops[cpu->registers.arch],
				       .vpid = VMMU_TLB_ANY,
				       .asid = VMMU_TLB_ANY,
				       .start = start,
				       .end = end};
	struct vmmu_hw_cpu registers = cpu->registers;
	uint64_t page = BIT64(cpu->machine->geometry->page_shift);

	registers_set_root(&registers, cpu->root[as_id].hpa, as_id);
	flush.context = registers_context(&registers);
	/* Without a range, and on RISC-V where a table may have gone, everything goes. */
	if (flush.op != VMMU_TLB_TLBI_IPAS2E1 &&
	    (flush.op != VMMU_TLB_HFENCE_GVMA || end - start > page)) {
		flush.start = 0;
		flush.end = VMMU_TLB_ANY;
	}
	vmmu_tlb_flush(cpu->tlb, &flush);
	if (flush.op != VMMU_TLB_TLBI_IPAS2E1)
		return;
	flush = (struct vmmu_tlb_flush){
		.op = VMMU_TLB_TLBI_VMALLE1, .context = flush.context, .end = VMMU_TLB_ANY};
	vmmu_tlb_flush(cpu->tlb, &flush);
}

static void machine_flush_cpu(struct vmmu_cpu *cpu, const struct vmmu_flush *flush)
{
	unsigned shift = cpu->machine->geometry->page_shift;
	uint64_t gfns = BIT64(64 - shift);
	uint64_t start = min_u64(flush->gfn_start, gfns - 1) << shift;
	uint64_t end = flush->gfn_end < gfns ? flush->gfn_end << shift : VMMU_TLB_ANY;

	if (cpu->machine->options.flushing == VMMU_FLUSH_EXACT)
		vmmu_tlb_forget(cpu->tlb, flush->as_id, start, end);
	else
		machine_flush_native(cpu, flush->as_id, start, end);
}

/* A flush, and the memory that its translations come from. */
struct machine_fence {
	const struct vmmu_machine *machine;
	const struct vmmu_flush *flush;
};

/* Does ENTRY say something about the fence's gfns that memory does not say any more? */
static int machine_is_outdated(void *ctx, const struct vmmu_tlb_entry *entry)
{
	const struct machine_fence *fence = ctx;
	const struct vmmu_hw_bus *bus = &fence->machine->options.bus;
	unsigned shift = fence->machine->geometry->page_shift;
	uint64_t last = entry->input + (BIT64(entry->cover_lg2) - 1), value = 0;

	if (entry->stage != 2 || entry->kind == VMMU_TLB_TABLE ||
	    entry->space != fence->flush->as_id || entry->input >> shift >= fence->flush->gfn_end ||
	    last >> shift < fence->flush->gfn_start)
		return 0;
	return bus->load(bus->ctx, entry->pte[entry->count - 1].hpa, 8, &value) ||
	       value != entry->pte[entry->count - 1].value;
}

void vmmu_machine_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct vmmu_machine *machine = ctx;
	struct vmmu_flush_count *count;
	bool is_needed = false;

	if (!machine || !flush || !machine->vm || flush->as_id >= VMMU_ADDRESS_SPACES_MAX)
		return;
	if (!flush->local)
		is_needed = ledger_flush(machine, flush);
	list_for_each(node, &machine->cpus)
	{
		struct vmmu_cpu *cpu = container_of(node, struct vmmu_cpu, link);
		struct machine_fence fence = {machine, flush};

		if (flush->local && cpu->id != flush->vcpu_id)
			continue;
		is_needed |= vmmu_tlb_visit(cpu->tlb, machine_is_outdated, &fence) > 0;
		machine_flush_cpu(cpu, flush);
	}
	count = machine_count(machine);
	*(flush->local ? &count->local : &count->remote) += 1;
	*(flush->local ? &count->needless_local : &count->needless_remote) += !is_needed;
}

void vmmu_machine_kick(void *ctx, unsigned vcpu_id)
{
	struct vmmu_machine *machine = ctx;

	if (!machine)
		return;
	list_for_each(node, &machine->cpus)
	{
		struct vmmu_cpu *cpu = container_of(node, struct vmmu_cpu, link);

		if (cpu->id != vcpu_id)
			continue;
		cpu->is_kicked = true;
		for (unsigned as = 0; as < VMMU_ADDRESS_SPACES_MAX; as++)
			cpu->root[as].is_known = false;
	}
}

void vmmu_machine_event(void *ctx, const struct vmmu_event *event)
{
	struct vmmu_machine *machine = ctx;

	if (machine && event && machine->vm && event->kind == VMMU_EVENT_ENTRY_CHANGED &&
	    event->level && event->level <= machine->geometry->levels &&
	    event->as_id < VMMU_ADDRESS_SPACES_MAX)
		ledger_event(machine, event);
}
