// SPDX-License-Identifier: MIT
/*
 * The order of writes and flushes, by what the engine tells of each: a TLB that keeps everything.
 *
 * A change that the manual wants flushed is an item until a flush has covered it. While it is one,
 * no entry may come to stand there that must not meet the old one in a TLB, and a table that it
 * cut off may not be used for something else.
 */
#include <vmmu/format_ops.h>

#include "machine/machine.h"

static void ledger_report(struct vmmu_machine *machine, enum vmmu_stale_kind kind,
			  const struct ledger_item *item, uint64_t new_pte)
{
	struct vmmu_stale stale = {
		.kind = kind,
		.vcpu_id = ~0u,
		.as_id = item->as_id,
		.level = item->level,
		.gpa = item->start << machine->geometry->page_shift,
		.old_pte = item->old_pte,
		.new_pte = new_pte,
	};

	machine_report(machine, &stale);
}

static enum vmmu_entry_kind ledger_read(const struct vmmu_machine *machine, uint64_t pte,
					unsigned level, uint64_t *table_hpa)
{
	struct vmmu_entry entry = {0};

	if (vmmu_entry_read(machine->format, pte, level, &entry))
		return VMMU_ENTRY_ABSENT;
	*table_hpa = entry.table_hpa;
	return entry.kind;
}

/*
 * PTE as a TLB may have it: a leaf that was aged by taking it out of hardware's sight, with no
 * flush, as it was before. Formats with groups have a bit for it, which hides nothing.
 */
static uint64_t ledger_unaged(const struct vmmu_machine *machine, uint64_t pte, unsigned level)
{
	struct vmmu_entry entry = {0};
	struct vmmu_leaf leaf;

	if (vmmu_entry_read(machine->format, pte, level, &entry) || entry.kind != VMMU_ENTRY_LEAF ||
	    entry.accessed || entry.group_lg2 || !(machine->geometry->leaf_levels & (1u << level)))
		return pte;
	leaf = (struct vmmu_leaf){.pfn = entry.pfn,
				  .access = entry.access,
				  .memtype = entry.memtype,
				  .host_writable = entry.host_writable,
				  .mmu_writable = entry.mmu_writable,
				  .accessed = true,
				  .dirty = entry.access & VMMU_WRITE};
	return vmmu_format_ops(machine->format)->make_leaf(leaf, level);
}

/* Must TLBs have forgotten ITEM's old entry before the event's new one stands there? */
static bool ledger_must_wait(const struct vmmu_machine *machine, const struct ledger_item *item,
			     const struct vmmu_event *event, enum vmmu_entry_kind kind)
{
	if (item->level == event->level)
		return vmmu_tlb_need(&machine->registers, event->level, item->old_pte,
				     event->new_pte) == VMMU_TLB_NEED_BREAK;
	return kind == VMMU_ENTRY_LEAF && machine->registers.arch == VMMU_HW_ARM64;
}

/*
 * The event put a present entry where there was none of its kind: nothing unflushed may be in its
 * way. (What only changes its rights has been there all along, and so has what is in its way: below
 * a table that nothing points to any more.)
 */
static void ledger_check_new(struct vmmu_machine *machine, const struct vmmu_event *event,
			     uint64_t end)
{
	uint64_t table = 0, old_table = 0;
	enum vmmu_entry_kind kind = ledger_read(machine, event->new_pte, event->level, &table);

	if (kind != VMMU_ENTRY_LEAF && kind != VMMU_ENTRY_TABLE)
		return;
	if (ledger_read(machine, event->old_pte, event->level, &old_table) == kind)
		return;
	for (unsigned i = 0; i < machine->ledger.count; i++) {
		const struct ledger_item *item = &machine->ledger.item[i];

		if (item->as_id == event->as_id && item->start < end && event->gfn < item->end &&
		    ledger_must_wait(machine, item, event, kind))
			ledger_report(machine, VMMU_STALE_BREAK, item, event->new_pte);
		if (kind != VMMU_ENTRY_TABLE ||
		    ledger_read(machine, item->old_pte, item->level, &old_table) !=
			    VMMU_ENTRY_TABLE ||
		    old_table != table)
			continue;
		if (item->level != event->level || item->start != event->gfn ||
		    item->as_id != event->as_id)
			ledger_report(machine, VMMU_STALE_REUSE, item, event->new_pte);
	}
}

/* Was the last thing before the event a flush of just its range? */
static bool ledger_was_flushed(const struct ledger *ledger, const struct vmmu_event *event,
			       uint64_t end)
{
	return ledger->has_flush && ledger->flush.as_id == event->as_id &&
	       ledger->flush.gfn_start == event->gfn && ledger->flush.gfn_end >= end;
}

static void ledger_add(struct ledger *ledger, const struct ledger_item *item)
{
	if (ledger->count == LEDGER_MAX)
		ledger->is_lost = true;
	else
		ledger->item[ledger->count++] = *item;
}

void ledger_event(struct vmmu_machine *machine, const struct vmmu_event *event)
{
	struct ledger *ledger = &machine->ledger;
	unsigned shift = machine->geometry->shift[event->level] - machine->geometry->page_shift;
	struct ledger_item item = {.start = event->gfn,
				   .end = event->gfn + BIT64(shift),
				   .old_pte = ledger_unaged(machine, event->old_pte, event->level),
				   .new_pte = event->new_pte,
				   .as_id = event->as_id,
				   .level = event->level};
	enum vmmu_tlb_need need =
		vmmu_tlb_need(&machine->registers, event->level, item.old_pte,
			      ledger_unaged(machine, event->new_pte, event->level));
	bool was_flushed = ledger_was_flushed(ledger, event, item.end);

	ledger_check_new(machine, event, item.end);
	/* A change that is broken first, and a lockless one, are told once they are flushed. */
	if (need == VMMU_TLB_NEED_BREAK && machine_cpu_in(machine, event->as_id) &&
	    !(was_flushed && ledger->absent_level == event->level))
		ledger_report(machine, VMMU_STALE_BREAK, &item, event->new_pte);
	else if (need == VMMU_TLB_NEED_REMOTE &&
		 !(was_flushed && ledger->flush_pte == event->new_pte))
		ledger_add(ledger, &item);
	ledger->has_flush = false;
}

/* What stands at the flush's first gfn while it is made: for changes that are broken first. */
static void ledger_look(struct vmmu_machine *machine, const struct vmmu_flush *flush)
{
	const struct vmmu_cpu *cpu = machine_cpu_in(machine, flush->as_id);
	struct vmmu_hw_bus bus = machine_read_bus(machine);
	struct machine_probe probe;
	struct vmmu_hw_cpu registers;

	machine->ledger.flush = *flush;
	machine->ledger.has_flush = true;
	machine->ledger.absent_level = 0;
	machine->ledger.flush_pte = 0;
	if (!cpu || machine->registers.arch != VMMU_HW_ARM64)
		return;
	registers = cpu->registers;
	registers_set_root(&registers, cpu->root[flush->as_id].hpa, flush->as_id);
	machine_probe(&registers, &bus, flush->gfn_start << machine->geometry->page_shift,
		      &machine->walk, &probe);
	machine->ledger.flush_pte = probe.pte;
	if (machine->walk.status == VMMU_HW_FAULT_HOST &&
	    machine->walk.fault.cause == VMMU_HW_ABSENT)
		machine->ledger.absent_level = machine->walk.fault.level;
}

bool ledger_flush(struct vmmu_machine *machine, const struct vmmu_flush *flush)
{
	struct ledger *ledger = &machine->ledger;
	bool is_needed = ledger->is_lost;
	unsigned kept = 0;

	ledger_look(machine, flush);
	for (unsigned i = 0; i < ledger->count; i++) {
		struct ledger_item item = ledger->item[i];
		bool is_met = item.as_id == flush->as_id && item.start < flush->gfn_end &&
			      flush->gfn_start < item.end;

		is_needed |= is_met;
		if (is_met && flush->gfn_start <= item.start)
			item.start = min_u64(flush->gfn_end, item.end);
		else if (is_met && flush->gfn_end >= item.end)
			item.end = flush->gfn_start;
		if (item.start < item.end)
			ledger->item[kept++] = item;
	}
	ledger->count = kept;
	return is_needed;
}

void ledger_settle(struct vmmu_machine *machine)
{
	struct ledger *ledger = &machine->ledger;

	for (unsigned i = 0; i < ledger->count; i++)
		ledger_report(machine, VMMU_STALE_OWED, &ledger->item[i], ledger->item[i].new_pte);
	ledger->count = 0;
	ledger->is_lost = false;
	ledger->has_flush = false;
}
