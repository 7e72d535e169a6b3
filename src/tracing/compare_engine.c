/* SPDX-License-Identifier: MIT */
/* What the engine says in a comparison: its events as facts, in the layout of the profile. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <vmmu/fault.h>
#include <vmmu/walk.h>

#include "base/bits.h"
#include "tracing/compare.h"
#include "tracing/profile.h"

/* Where the kit's guest has the code that makes a script's accesses. */
#define COMPARE_CODE_GPA UINT64_C(0x1000)

static uint64_t engine_mask(const struct vmmu_bit_field *field)
{
	return field->count ? (BIT64(field->count) - 1) << field->first : 0;
}

/* The lowest bits of GENERATION that FIELD holds, in their place; *generation loses them. */
static uint64_t engine_put(const struct vmmu_bit_field *field, uint64_t *generation)
{
	uint64_t bits = *generation << field->first & engine_mask(field);

	*generation >>= field->count;
	return bits;
}

/* An MMIO entry of the engine's: its generation moves to where the kernel has it. */
static uint64_t engine_mmio(const struct vmmu_compare *compare, uint64_t pte, uint64_t generation)
{
	const struct vmmu_profile_info *own = &compare->own->info, *info = &compare->profile->info;

	pte &= ~(engine_mask(&own->generation_low) | engine_mask(&own->generation_high));
	pte |= engine_put(&info->generation_low, &generation);
	return pte | engine_put(&info->generation_high, &generation);
}

/* A leaf: the bits that are software's move. */
static uint64_t engine_leaf(const struct vmmu_compare *compare, uint64_t pte,
			    const struct vmmu_entry *entry)
{
	const struct vmmu_profile_info *own = &compare->own->info, *info = &compare->profile->info;

	pte &= ~(own->host_writable | own->mmu_writable);
	pte |= info->leaf_set | (entry->host_writable ? info->host_writable : 0);
	return pte | (entry->mmu_writable ? info->mmu_writable : 0);
}

uint64_t compare_engine_pte(const struct vmmu_compare *compare, uint64_t pte, unsigned level)
{
	struct vmmu_entry entry;

	if (vmmu_entry_read(compare->format, pte, level, &entry))
		return pte;
	switch (entry.kind) {
	case VMMU_ENTRY_ABSENT:
		return pte == compare->own->info.absent ? compare->profile->info.absent : pte;
	case VMMU_ENTRY_FROZEN:
		return compare->profile->info.frozen;
	case VMMU_ENTRY_MMIO:
		return engine_mmio(compare, pte, entry.generation);
	case VMMU_ENTRY_LEAF:
		return engine_leaf(compare, pte, &entry);
	default:
		return pte;
	}
}

uint64_t compare_table_pte(const struct vmmu_compare *compare, uint64_t pte, uint64_t hpa)
{
	bool is_riscv = vmmu_format_info(compare->format)->architecture[0] == 'r';
	uint64_t bits = is_riscv ? BITS64(53, 10) : BITS64(51, 12);

	return (pte & ~bits) | ((is_riscv ? hpa >> 2 : hpa) & bits);
}

static enum compare_outcome engine_outcome(int64_t value)
{
	switch (value) {
	case VMMU_FIXED:
		return COMPARE_FIXED;
	case VMMU_SPURIOUS:
	case VMMU_RETRY:
		return COMPARE_AGAIN;
	case VMMU_EMULATE:
	case VMMU_WRITE_TRACKED:
		return COMPARE_EMULATED;
	default:
		return COMPARE_ERROR;
	}
}

/* Where the entry for gfn at LEVEL stands; 0: not found. */
static uint64_t engine_pte_hpa(const struct vmmu_compare *compare, const struct vmmu_event *event)
{
	unsigned shift = vmmu_format_info(compare->format)->geometry->page_shift;
	struct vmmu_walk walk;

	if (vmmu_walk(compare->vm, event->as_id, event->gfn << shift, &walk) ||
	    walk.level != event->level)
		return 0;
	return walk.pte_hpa;
}

static uint64_t engine_generation(const struct vmmu_compare *compare, uint64_t generation)
{
	const struct vmmu_profile_info *info = &compare->profile->info;
	unsigned bits = info->generation_low.count + info->generation_high.count;

	return bits ? generation & (BIT64(bits) - 1) : generation;
}

static enum vmmu_compare_event engine_event_of(const struct vmmu_event *event)
{
	switch (event->kind) {
	case VMMU_EVENT_MAP_REQUESTED:
		return VMMU_COMPARE_MAP_REQUESTED;
	case VMMU_EVENT_MAP_SET:
		return VMMU_COMPARE_MAP_SET;
	case VMMU_EVENT_MMIO_SET:
		return VMMU_COMPARE_MMIO_SET;
	case VMMU_EVENT_MMIO_CHECK:
		return VMMU_COMPARE_MMIO_CHECK;
	case VMMU_EVENT_FAST_FIX:
		return VMMU_COMPARE_FAST_FIX;
	case VMMU_EVENT_TABLE_GET:
		return VMMU_COMPARE_TABLE_GET;
	case VMMU_EVENT_TABLE_ZAP:
		return VMMU_COMPARE_TABLE_ZAP;
	case VMMU_EVENT_ZAP_ALL:
		return VMMU_COMPARE_ZAP_ALL;
	case VMMU_EVENT_ENTRY_CHANGED:
		return VMMU_COMPARE_ENTRY_CHANGED;
	case VMMU_EVENT_SPLIT:
		return VMMU_COMPARE_SPLIT;
	case VMMU_EVENT_OUTCOME:
		return VMMU_COMPARE_OUTCOME;
	case VMMU_EVENT_RANGE_UNMAP:
		return VMMU_COMPARE_STAGE2_UNMAP;
	case VMMU_EVENT_RANGE_PROTECT:
		return VMMU_COMPARE_STAGE2_PROTECT;
	case VMMU_EVENT_RANGE_REMAP:
		return VMMU_COMPARE_STAGE2_MAP;
	default:
		return VMMU_COMPARE_EVENTS;
	}
}

/* The same where there is nothing but the kit's probes, if it could set any. */
static bool engine_is_unprobed(const struct vmmu_compare *compare, const struct vmmu_event *event)
{
	/* What the VMM's memory goes through before it becomes a slot. The first has no line. */
	bool is_before_slot = compare_is_main(compare, compare->window) &&
			      (compare->accesses.is_slot || !compare->window->step_line);

	switch (event->kind) {
	case VMMU_EVENT_OUTCOME:
		return false;
	case VMMU_EVENT_RANGE_UNMAP:
		return !compare->has_probes || is_before_slot;
	case VMMU_EVENT_MAP_SET:
	case VMMU_EVENT_RANGE_PROTECT:
	case VMMU_EVENT_RANGE_REMAP:
		return !compare->has_probes;
	default:
		return true;
	}
}

/* What is told of an event by no tracepoint of the kernel. */
static bool engine_is_untraced(const struct vmmu_compare *compare, const struct vmmu_event *event)
{
	unsigned levels = vmmu_format_info(compare->format)->geometry->levels;

	if (compare->has_looks)
		return engine_is_unprobed(compare, event);
	switch (event->kind) {
	case VMMU_EVENT_RANGE_UNMAP:
	case VMMU_EVENT_RANGE_PROTECT:
	case VMMU_EVENT_RANGE_REMAP:
		return true;
	case VMMU_EVENT_ENTRY_CHANGED:
		return compare->root == VMMU_ROOT_DIRECT;
	case VMMU_EVENT_TABLE_ZAP: /* a tdp root */
		return compare->root == VMMU_ROOT_TDP && event->level == levels;
	default:
		return engine_event_of(event) == VMMU_COMPARE_EVENTS;
	}
}

/* A leaf that a fault wrote: a probe tells of rights that one gets, or of one that comes. */
static void engine_fill_probed(const struct vmmu_compare *compare, const struct vmmu_event *event,
			       struct compare_fact *fact)
{
	struct vmmu_entry old_entry = {0}, entry = {0};

	vmmu_entry_read(compare->format, event->old_pte, event->level, &old_entry);
	vmmu_entry_read(compare->format, event->new_pte, event->level, &entry);
	fact->event = old_entry.kind == VMMU_ENTRY_LEAF && old_entry.pfn == entry.pfn
			      ? VMMU_COMPARE_STAGE2_RELAX
			      : VMMU_COMPARE_STAGE2_MAP;
	fact->access = event->access ? event->access : entry.access;
	fact->pfn = entry.pfn;
}

static void engine_fill_special(const struct vmmu_compare *compare, const struct vmmu_event *event,
				struct compare_fact *fact)
{
	struct vmmu_entry entry = {0};

	switch (event->kind) {
	case VMMU_EVENT_MAP_SET:
		if (compare->has_looks) {
			engine_fill_probed(compare, event, fact);
			break;
		}
		vmmu_entry_read(compare->format, event->new_pte, event->level, &entry);
		fact->access = entry.access;
		fact->old_pte = 0;
		fact->pte_hpa = engine_pte_hpa(compare, event);
		break;
	case VMMU_EVENT_RANGE_REMAP:
		fact->level = 1;
		fact->access = VMMU_READ;
		fact->value = 0;
		break;
	case VMMU_EVENT_FAST_FIX:
		fact->level = 0;
		fact->address = event->gpa;
		fact->value = event->value == VMMU_FIXED      ? COMPARE_FIXED
			      : event->value == VMMU_SPURIOUS ? COMPARE_AGAIN
							      : COMPARE_ERROR;
		break;
	case VMMU_EVENT_TABLE_GET:
		fact->pte_hpa = event->hpa;
		break;
	case VMMU_EVENT_MMIO_SET:
		fact->level = 0;
		fact->access = event->access;
		fact->generation = engine_generation(compare, event->generation);
		break;
	case VMMU_EVENT_MMIO_CHECK:
		fact->level = 0;
		fact->address = 0;
		fact->current = engine_generation(compare, event->generation);
		break;
	case VMMU_EVENT_SPLIT: /* an errno, of whatever sign */
		fact->value = -event->value;
		break;
	case VMMU_EVENT_OUTCOME:
		fact->level = 0;
		fact->address = event->gpa;
		fact->value = engine_outcome(event->value);
		break;
	default:
		break;
	}
}

/* Is FACT part of the removal of what was below GONE, whose old entry is a table? */
static bool engine_is_below(const struct vmmu_compare *compare, const struct compare_fact *gone,
			    const struct compare_fact *fact)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(compare->format)->geometry;
	uint64_t gfns = BIT64(geometry->shift[gone->level] - geometry->page_shift);
	bool is_frozen = fact->event == VMMU_COMPARE_ENTRY_CHANGED &&
			 compare_entry(compare, fact->new_pte, fact->level) == VMMU_COMPARE_FROZEN;

	return (is_frozen || fact->event == VMMU_COMPARE_TABLE_ZAP) && fact->level < gone->level &&
	       fact->address - gone->address < gfns;
}

static void engine_tell_held(struct vmmu_compare *compare, struct compare_window *window)
{
	compare_add(compare, &window->engine, &window->held[--window->held_count]);
}

/* Kernels that tell of a table's end when all below it is told: the engine tells it before. */
static void engine_tell(struct vmmu_compare *compare, struct compare_window *window,
			const struct compare_fact *fact)
{
	bool is_last = vmmu_profile_info(compare->profile)->rules & VMMU_RULE_TELL_BELOW_FIRST;

	while (window->held_count &&
	       !engine_is_below(compare, &window->held[window->held_count - 1], fact))
		engine_tell_held(compare, window);
	if (is_last && fact->event == VMMU_COMPARE_ENTRY_CHANGED &&
	    window->held_count < VMMU_LEVELS_MAX &&
	    compare_entry(compare, fact->old_pte, fact->level) == VMMU_COMPARE_TABLE)
		window->held[window->held_count++] = *fact;
	else
		compare_add(compare, &window->engine, fact);
}

void compare_release(struct vmmu_compare *compare, struct compare_window *window)
{
	while (window->held_count)
		engine_tell_held(compare, window);
}

/* The lockless fix's write of an entry is told by its own event alone. */
static void engine_drop_write(struct vmmu_compare *compare, const struct vmmu_event *event)
{
	struct compare_list *list = &compare->window->engine;
	const struct compare_fact *last = list->count ? &list->facts[list->count - 1] : NULL;

	if (event->kind == VMMU_EVENT_FAST_FIX && event->value == VMMU_FIXED && last &&
	    last->event == VMMU_COMPARE_ENTRY_CHANGED && last->level == event->level) {
		list->count--;
		compare->fact_count--;
	}
}

/* An entry is not what it was. */
static void engine_changed(struct vmmu_compare *compare)
{
	if (!compare->window || compare_is_main(compare, compare->window))
		compare->has_changed = true;
	else
		compare->has_host_changed = compare->is_host_change_new = true;
}

void compare_engine(struct vmmu_compare *compare, const struct vmmu_event *event)
{
	struct compare_fact fact = {
		.event = engine_event_of(event),
		.as_id = event->as_id,
		.level = event->level,
		.address = event->gfn,
		.pfn = event->pfn,
		.value = event->value,
	};

	if (event->kind == VMMU_EVENT_ENTRY_CHANGED)
		engine_changed(compare);
	compare->accesses.has_engine_emulated |= event->kind == VMMU_EVENT_OUTCOME &&
						 event->value == VMMU_EMULATE;
	if (event->kind == VMMU_EVENT_OUTCOME)
		compare->accesses.has_engine_failed = engine_outcome(event->value) == COMPARE_ERROR;
	if (!compare->window || engine_is_untraced(compare, event))
		return;
	if (event->level) {
		fact.old_pte = compare_engine_pte(compare, event->old_pte, event->level);
		fact.new_pte = compare_engine_pte(compare, event->new_pte, event->level);
	}
	engine_fill_special(compare, event, &fact);
	engine_drop_write(compare, event);
	engine_tell(compare, compare->window, &fact);
}

/* Bits that hardware sets in a leaf when it uses it. */
static const struct {
	const char *architecture;
	uint64_t accessed, dirty;
} engine_marks[] = {
	{"x86-npt", BIT64(5), BIT64(6)},
	{"x86-ept", BIT64(8), BIT64(9)},
};

uint64_t compare_marks(const struct vmmu_compare *compare, unsigned access)
{
	const char *architecture = vmmu_format_info(compare->format)->architecture;

	for (unsigned i = 0; i < ARRAY_COUNT(engine_marks); i++)
		if (!strcmp(engine_marks[i].architecture, architecture))
			return engine_marks[i].accessed |
			       (access == VMMU_WRITE ? engine_marks[i].dirty : 0);
	return 0;
}

struct engine_mark {
	uint64_t hpa, bits;
};

static int engine_mark_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	const struct engine_mark *mark = ctx;
	uint64_t offset = mark->hpa - frame->hpa;

	if (offset >= frame->bytes)
		return 0;
	/* Tables are memory that hardware writes, whoever else may only read them. */
	atomic_fetch_or((_Atomic uint64_t *)((uintptr_t)frame->data + offset), mark->bits);
	return 1;
}

/* Set accessed and dirty in the leaf at WALK's end, as hardware did. */
static void engine_mark(const struct vmmu_compare *compare, const struct vmmu_walk *walk,
			unsigned access)
{
	struct engine_mark mark = {.hpa = walk->pte_hpa, .bits = compare_marks(compare, access)};

	if (mark.bits & ~walk->pte)
		(void)vmmu_tables(compare->vm, engine_mark_frame, &mark);
}

static enum compare_why engine_why(const struct vmmu_compare *compare,
				   const struct vmmu_trace_event *event)
{
	unsigned space = compare_space(compare, event), access = event->fault.access;
	struct vmmu_walk walk;

	if (vmmu_walk(compare->vm, space, event->fault.gpa, &walk))
		return COMPARE_ABSENT;
	if (walk.entry.kind == VMMU_ENTRY_MMIO)
		return COMPARE_MMIO;
	if (walk.entry.kind != VMMU_ENTRY_LEAF)
		return COMPARE_ABSENT;
	return walk.access & access ? COMPARE_GRANTED : COMPARE_NO_RIGHT;
}

void compare_fault(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	unsigned flags = event->fault.flags;
	struct compare_fact fact = {.event = VMMU_COMPARE_FAULT,
				    .address = event->fault.gpa,
				    .access = event->fault.access,
				    .value = flags & VMMU_FAULT_RSVD      ? COMPARE_MMIO
					     : flags & VMMU_FAULT_PRESENT ? COMPARE_NO_RIGHT
									  : COMPARE_ABSENT,
				    .line = event->line};

	if (!compare->has_script || !compare->window)
		return;
	compare_add(compare, &compare->window->kernel, &fact);
	fact.value = engine_why(compare, event);
	/* RISC-V reports all alike. */
	if (compare->has_looks && !compare->has_probes && fact.value != COMPARE_GRANTED)
		fact.value = COMPARE_ABSENT;
	engine_tell(compare, compare->window, &fact);
}

void compare_stop(struct vmmu_compare *compare, const struct vmmu_trace_event *event)
{
	struct compare_accesses *accesses = &compare->accesses;
	struct compare_fact fact = {.event = VMMU_COMPARE_ACCESS,
				    .address = accesses->gpa + accesses->done * accesses->stride,
				    .access = accesses->access,
				    .value = 1,
				    .line = event->line};
	bool is_known = accesses->done < accesses->count && !accesses->is_emulated;
	/* Where no event tells of emulation it is one way to get through. */
	bool is_through = compare->has_looks && !compare->has_probes &&
			  accesses->has_engine_emulated;
	unsigned space = compare_space(compare, event);
	struct vmmu_walk walk;

	compare->is_look_due = true;
	accesses->is_emulated = accesses->has_engine_emulated = false;
	accesses->done++;
	if (!is_known || !compare->window)
		return;
	compare_add(compare, &compare->window->kernel, &fact);
	if (!vmmu_walk(compare->vm, space, COMPARE_CODE_GPA, &walk) &&
	    walk.entry.kind == VMMU_ENTRY_LEAF)
		engine_mark(compare, &walk, VMMU_EXEC);
	fact.value = !vmmu_walk(compare->vm, space, fact.address, &walk) &&
		     walk.entry.kind == VMMU_ENTRY_LEAF && (walk.access & fact.access);
	if (fact.value)
		engine_mark(compare, &walk, fact.access);
	fact.value |= is_through;
	engine_tell(compare, compare->window, &fact);
}
