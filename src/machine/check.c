// SPDX-License-Identifier: MIT
/*
 * TLBs against tables. What is remembered is judged by the same walker as the tables: once from the
 * entries that were kept, once from those that stand there now.
 */
#include <errno.h>

#include "machine/machine.h"

/* A check of one CPU's TLB. */
struct check {
	struct vmmu_machine *machine;
	struct vmmu_cpu *cpu;
	struct vmmu_hw_bus bus; /* memory, to be read */
	unsigned found;
	uint64_t denied_gpa; /* with is_denial: where a fence was due */
	bool is_denial;
};

/* A bus of kept entries: each load gives the next one, wherever it looks. */
struct check_replay {
	const struct vmmu_tlb_entry *entry;
	unsigned at;
	uint64_t beyond; /* bytes: the first load past them */
};

static int check_replay_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct check_replay *replay = ctx;

	(void)bytes;
	if (replay->at < replay->entry->count) {
		*value = replay->entry->pte[replay->at++].value;
		/* a leaf ends a walk, and the next one begins anew */
		if (replay->at == replay->entry->count && replay->entry->kind != VMMU_TLB_TABLE)
			replay->at = 0;
		return 0;
	}
	replay->beyond = hpa;
	return -1;
}

static void check_report(struct check *check, const struct vmmu_tlb_entry *entry,
			 enum vmmu_stale_kind kind, uint64_t gpa, uint64_t new_pte)
{
	struct vmmu_stale stale = {
		.kind = kind,
		.vcpu_id = check->cpu->id,
		.as_id = entry->space,
		.level = entry->level,
		.gpa = gpa,
		.old_pte = entry->count ? entry->pte[entry->count - 1].value : 0,
		.new_pte = new_pte,
	};

	check->found++;
	machine_report(check->machine, &stale);
}

/* The registers under which ENTRY's address space is translated now. */
static struct vmmu_hw_cpu check_registers(const struct check *check,
					  const struct vmmu_tlb_entry *entry)
{
	struct vmmu_hw_cpu registers = check->cpu->registers;

	registers_set_root(&registers, check->cpu->root[entry->space].hpa, entry->space);
	return registers;
}

/* Does every entry of the path still stand where it stood, below the root of now? */
static bool check_is_unchanged(const struct check *check, const struct vmmu_tlb_entry *entry)
{
	const struct vmmu_geometry *geometry = check->machine->geometry;
	uint64_t root = check->cpu->root[entry->space].hpa, value;

	if (entry->pte[0].hpa - root >= BIT64(geometry->table_lg2[geometry->levels]))
		return false;
	for (unsigned i = 0; i < entry->count; i++)
		if (check->bus.load(check->bus.ctx, entry->pte[i].hpa, 8, &value) ||
		    value != entry->pte[i].value)
			return false;
	return true;
}

/*
 * What the kept entries make of the first address that they serve. Returns where a walk would look
 * next (bytes), if they are a way to a table.
 */
static uint64_t check_replay(struct check *check, const struct vmmu_tlb_entry *entry,
			     struct machine_probe *probe)
{
	struct check_replay replay = {.entry = entry};
	struct vmmu_hw_bus bus = {.ctx = &replay, .load = check_replay_load};
	struct vmmu_hw_cpu registers = check_registers(check, entry);

	machine_probe(&registers, &bus, entry->input, &check->machine->walk, probe);
	return replay.beyond;
}

/* A way to a table: does the walk of now go on in the same one? */
static void check_table(struct check *check, const struct vmmu_tlb_entry *entry)
{
	struct vmmu_hw_cpu registers = check_registers(check, entry);
	struct vmmu_hw_walk *walk = &check->machine->other_walk;
	struct machine_probe now, kept;
	uint64_t beyond = check_replay(check, entry, &kept);

	machine_probe(&registers, &check->bus, entry->input, walk, &now);
	for (unsigned i = 0; i < walk->ref_count; i++)
		if (walk->ref[i].level == entry->level - 1 && !walk->ref[i].is_update &&
		    walk->ref[i].hpa == beyond)
			return;
	check_report(check, entry, VMMU_STALE_TABLE, entry->input, now.pte);
}

/* Is a refusal that the tables do not make any more one that should be gone? */
static bool check_must_not_deny(const struct check *check, const struct vmmu_tlb_entry *entry)
{
	if (entry->kind == VMMU_TLB_COMBINED)
		return false;
	if (check->is_denial)
		return !((entry->input ^ check->denied_gpa) >> entry->cover_lg2);
	return check->machine->registers.arch == VMMU_HW_ARM64;
}

/* What was kept, for the addresses that an entry serves. */
struct check_kept {
	uint64_t gpa, bytes;
	uint64_t output; /* of gpa */
	unsigned access;
	uint8_t memtype;
	bool has_memtype;
};

/* Bytes from gpa on for which PROBE, whose walk is in other_walk, speaks. */
static uint64_t check_step(const struct check *check, const struct machine_probe *probe)
{
	const struct vmmu_geometry *geometry = check->machine->geometry;
	unsigned level = check->machine->other_walk.fault.level;

	if (probe->access)
		return BIT64(probe->mapping.page_lg2);
	return BIT64(level && level <= geometry->levels ? geometry->shift[level]
							: geometry->page_shift);
}

/*
 * Where hardware sees nothing, the format may still know a leaf that was aged by taking it out of
 * hardware's sight: nothing is flushed for that (vmmu/age.h), so a TLB may go on with what the leaf
 * had. Make PROBE say that; MEMTYPE is not asked for then.
 */
static void check_see_aged(const struct check *check, uint64_t gpa, uint8_t memtype,
			   struct machine_probe *probe)
{
	const struct vmmu_geometry *geometry = check->machine->geometry;
	unsigned level = check->machine->other_walk.fault.level;
	struct vmmu_entry entry;

	if (probe->access || vmmu_entry_read(check->machine->format, probe->pte, level, &entry) ||
	    entry.kind != VMMU_ENTRY_LEAF || entry.accessed)
		return;
	probe->access = entry.access;
	probe->mapping.output = (entry.pfn << geometry->page_shift) |
				(gpa & (BIT64(geometry->shift[level] + entry.group_lg2) - 1));
	probe->mapping.page_lg2 = geometry->shift[level];
	probe->mapping.memtype = memtype;
}

/*
 * Hold what was kept against the tables of now, piece by piece: a large page may have become small
 * ones.
 */
static void check_range(struct check *check, const struct vmmu_tlb_entry *entry,
			const struct check_kept *kept)
{
	struct vmmu_hw_cpu registers = check_registers(check, entry);
	struct machine_probe now;
	uint64_t offset, step;

	for (offset = 0; offset < kept->bytes; offset += step) {
		uint64_t gpa = kept->gpa + offset;

		machine_probe(&registers, &check->bus, gpa, &check->machine->other_walk, &now);
		check_see_aged(check, gpa, kept->memtype, &now);
		step = check_step(check, &now);
		step -= gpa & (step - 1);
		if ((kept->access & ~now.access) ||
		    (kept->access &&
		     (kept->output + offset != now.mapping.output ||
		      (kept->has_memtype && kept->memtype != now.mapping.memtype)))) {
			check_report(check, entry, VMMU_STALE_GRANT, gpa, now.pte);
			return;
		}
		if ((now.access & ~kept->access) && check_must_not_deny(check, entry)) {
			check_report(check, entry, VMMU_STALE_DENIAL, gpa, now.pte);
			return;
		}
	}
}

static void check_leaf(struct check *check, const struct vmmu_tlb_entry *entry)
{
	struct machine_probe probe;
	struct check_kept kept = {
		.gpa = entry->input, .bytes = BIT64(entry->cover_lg2), .has_memtype = true};

	check_replay(check, entry, &probe);
	kept.access = probe.access;
	kept.output = probe.mapping.output;
	kept.memtype = probe.mapping.memtype;
	check_range(check, entry, &kept);
}

/*
 * Both stages' work: the guest-physical page that it led through must still lead there. What it
 * denies may be the guest's doing.
 */
static void check_combined(struct check *check, const struct vmmu_tlb_entry *entry)
{
	struct check_kept kept = {.gpa = entry->second.input,
				  .bytes = BIT64(entry->cover_lg2),
				  .output = entry->both.output,
				  .access = entry->both.kernel_access | entry->both.user_access};

	check_range(check, entry, &kept);
}

/* Can CPU use ENTRY at all before it forgets everything? */
static bool check_is_usable(const struct check *check, const struct vmmu_tlb_entry *entry)
{
	struct vmmu_hw_cpu registers;

	if (!check->cpu->root[entry->space].is_known)
		return false;
	registers = check_registers(check, entry);
	return entry->context == registers_context(&registers);
}

static int check_entry(void *ctx, const struct vmmu_tlb_entry *entry)
{
	struct check *check = ctx;

	if (!check_is_usable(check, entry))
		return 0;
	if (entry->kind == VMMU_TLB_COMBINED)
		check_combined(check, entry);
	else if (entry->stage == 1 || check_is_unchanged(check, entry))
		return 0;
	else if (entry->kind == VMMU_TLB_TABLE)
		check_table(check, entry);
	else
		check_leaf(check, entry);
	return 0;
}

static unsigned check_cpu(struct vmmu_cpu *cpu)
{
	struct check check = {
		.machine = cpu->machine, .cpu = cpu, .bus = machine_read_bus(cpu->machine)};

	if (!cpu->is_kicked)
		vmmu_tlb_visit(cpu->tlb, check_entry, &check);
	return check.found;
}

int vmmu_machine_check(struct vmmu_machine *machine)
{
	uint64_t before;

	if (!machine || !machine->vm)
		return -EINVAL;
	before = machine->findings;
	ledger_settle(machine);
	list_for_each(node, &machine->cpus) check_cpu(container_of(node, struct vmmu_cpu, link));
	return (int)(machine->findings - before);
}

static int check_denial_entry(void *ctx, const struct vmmu_tlb_entry *entry)
{
	struct check *check = ctx;

	if (entry->stage == 2 && entry->kind != VMMU_TLB_TABLE &&
	    entry->space == check->cpu->as_id && check_is_usable(check, entry) &&
	    check_must_not_deny(check, entry) && !check_is_unchanged(check, entry))
		check_leaf(check, entry);
	return 0;
}

void check_denial(struct vmmu_cpu *cpu, uint64_t gpa)
{
	struct check check = {.machine = cpu->machine,
			      .cpu = cpu,
			      .bus = machine_read_bus(cpu->machine),
			      .denied_gpa = gpa,
			      .is_denial = true};

	if (cpu->registers.arch == VMMU_HW_RISCV && !cpu->is_kicked)
		vmmu_tlb_visit(cpu->tlb, check_denial_entry, &check);
}
