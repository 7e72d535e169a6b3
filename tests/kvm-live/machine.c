/* SPDX-License-Identifier: MIT */
#include "kvm-live/machine.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/vmmu.h>

#include "kvm-live/guest.h"
#include "kvm-live/host.h"

/* Faults that one instruction may take before something is wrong. */
#define INSTRUCTION_FAULTS 32
/* Where the guest's code lies in slot 0. */
#define CODE_GPA UINT64_C(0x1000)
/* Each access is made by two bytes of code, with hlt behind. */
#define HLT_OFFSET 2
#define SLOT_FLAGS (VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY)
/* Bits that hardware sets in entries of MACHINE_FORMAT. */
#define NPT_ACCESSED (UINT64_C(1) << 5)
#define NPT_DIRTY    (UINT64_C(1) << 6)
/* Room for the largest slot's pages. */
#define DIRTY_BITS (UINT64_C(1) << 16)

struct machine {
	const struct script *script;
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	const struct vmmu_format *format;
	struct host host;
	struct guest guest;
	struct facts *facts;
	unsigned line;
	/* The access under way; NULL: none. */
	const struct script_access *access;
	bool has_invalidated; /* its invalidations are done */
	enum fact_why why;    /* hardware refused it */
	bool is_broken;
};

/* How far hardware came with one step of an instruction. */
enum step {
	STEP_DONE,
	STEP_AGAIN, /* a fault was taken: the instruction starts again */
	STEP_EMULATED,
	STEP_FAILED, /* the VMM cannot run the guest any further */
};

static void machine_add(struct machine *machine, struct fact fact)
{
	fact.line = machine->line;
	facts_add(machine->facts, fact);
}

static bool machine_break(struct machine *machine, const char *what)
{
	fprintf(stderr, "line %u, '%s': %s\n", machine->line,
		machine->script->lines[machine->line].text, what);
	machine->is_broken = true;
	return false;
}

/* The host takes back [START, END) of the script's invalidations, one after the other. */
static void machine_invalidate(struct machine *machine, size_t start, size_t end)
{
	for (size_t i = start; i < end; i++)
		if (vmmu_invalidate_begin(machine->vm, &machine->script->invalidations[i]) ||
		    vmmu_invalidate_end(machine->vm, &machine->script->invalidations[i]))
			machine_break(machine, "an invalidation failed");
}

/* The host changes what is behind the access's page because of this very lookup, and says so. */
static void machine_invalidate_for(struct machine *machine, uint64_t hva)
{
	const struct script_access *access = machine->access;

	if (!access || machine->has_invalidated || !access->has_page || access->page.hva != hva)
		return;
	machine->has_invalidated = true;
	machine_invalidate(machine, access->invalidations_start, access->invalidations_end);
}

static enum vmmu_resolve_status on_resolve(void *ctx, const struct vmmu_page_request *request,
					   struct vmmu_page *page)
{
	struct machine *machine = ctx;
	const struct script_access *access = machine->access;
	bool is_known = access && access->has_page && access->page.hva == request->hva;

	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return host_peek(&machine->host, request->hva, page);
	machine_invalidate_for(machine, request->hva);
	return host_touch(&machine->host, request->hva, request->access,
			  is_known ? &access->page : NULL, page);
}

static unsigned on_host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct machine *machine = ctx;

	(void)gfn;
	return host_level(&machine->host, hva);
}

static void on_bug(void *ctx, const char *what)
{
	machine_break(ctx, what);
}

static void machine_add_leaf(struct machine *machine, const struct vmmu_event *event)
{
	struct vmmu_entry entry;

	if (vmmu_entry_read(machine->format, event->new_pte, event->level, &entry))
		machine_break(machine, "a leaf at no level");
	else
		machine_add(machine, (struct fact){.kind = FACT_SET,
						   .address = event->gfn,
						   .level = event->level,
						   .access = entry.access,
						   .pfn = entry.pfn,
						   .pte = event->new_pte});
}

static enum fact_end machine_end_of(int outcome, bool is_fast)
{
	switch (outcome) {
	case VMMU_FIXED:
		return is_fast ? END_FAST : END_FIXED;
	case VMMU_SPURIOUS:
		return END_SPURIOUS;
	case VMMU_EMULATE:
		return END_EMULATED;
	case VMMU_RETRY:
		return END_RETRY;
	default:
		return END_ERROR;
	}
}

static void machine_add_fast_fix(struct machine *machine, const struct vmmu_event *event)
{
	bool is_end = event->value == VMMU_FIXED || event->value == VMMU_SPURIOUS;

	machine_add(machine, (struct fact){.kind = FACT_FAST_FIX,
					   .address = event->gpa,
					   .old_pte = event->old_pte,
					   .pte = event->new_pte,
					   .value = is_end ? machine_end_of((int)event->value, true)
							   : END_SLOW});
}

static void machine_add_table(struct machine *machine, enum fact_kind kind,
			      const struct vmmu_event *event)
{
	machine_add(machine, (struct fact){.kind = kind,
					   .address = event->gfn,
					   .level = event->level,
					   .value = event->value});
}

static void on_event(void *ctx, const struct vmmu_event *event)
{
	struct machine *machine = ctx;

	switch (event->kind) {
	case VMMU_EVENT_FAULT:
		machine_add(machine, (struct fact){.kind = FACT_FAULT,
						   .address = event->gpa,
						   .access = event->access,
						   .value = machine->why});
		break;
	case VMMU_EVENT_MAP_REQUESTED:
		machine_add(machine, (struct fact){.kind = FACT_REQUESTED,
						   .address = event->gfn,
						   .level = event->level,
						   .pfn = event->pfn});
		break;
	case VMMU_EVENT_MAP_SET:
		machine_add_leaf(machine, event);
		break;
	case VMMU_EVENT_MMIO_SET:
		machine_add(machine, (struct fact){.kind = FACT_MMIO_SET,
						   .address = event->gfn,
						   .access = event->access,
						   .generation = event->generation});
		break;
	case VMMU_EVENT_MMIO_CHECK:
		machine_add(machine, (struct fact){.kind = FACT_MMIO_CHECK,
						   .pte = event->new_pte,
						   .generation = event->generation,
						   .value = event->value});
		break;
	case VMMU_EVENT_FAST_FIX:
		machine_add_fast_fix(machine, event);
		break;
	case VMMU_EVENT_TABLE_GET:
		machine_add_table(machine, FACT_TABLE_GET, event);
		break;
	case VMMU_EVENT_TABLE_ZAP:
		machine_add_table(machine, FACT_TABLE_ZAP, event);
		break;
	case VMMU_EVENT_ZAP_ALL:
		machine_add(machine, (struct fact){.kind = FACT_ZAP_ALL});
		break;
	default:
		break;
	}
}

/* Hand a refused access to the engine. WALK: where the walk ended; NULL: nowhere. */
static enum step machine_fault(struct machine *machine, uint64_t gpa, unsigned access,
			       unsigned flags, const struct vmmu_walk *walk)
{
	struct vmmu_fault fault = {.gpa = gpa, .access = access, .flags = flags | VMMU_FAULT_USER};
	int outcome;

	machine->why = WHY_ABSENT;
	if (walk && walk->entry.kind == VMMU_ENTRY_LEAF) {
		machine->why = WHY_REFUSED;
		fault.flags |= VMMU_FAULT_PRESENT;
	} else if (walk && walk->entry.kind == VMMU_ENTRY_MMIO) {
		machine->why = WHY_MMIO;
		fault.flags |= VMMU_FAULT_RSVD;
	}
	outcome = vmmu_fault(machine->vcpu, &fault);
	machine_add(machine, (struct fact){.kind = FACT_ENDED,
					   .value = machine_end_of(outcome, fault.fast)});
	if (outcome == VMMU_EMULATE)
		return STEP_EMULATED;
	return outcome == VMMU_RETRY || outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS
		       ? STEP_AGAIN
		       : STEP_FAILED;
}

/* An entry that hardware marks, and with what. */
struct mark {
	uint64_t hpa, bits;
};

static int machine_mark_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	const struct mark *mark = ctx;
	uint64_t offset = mark->hpa - frame->hpa;

	if (offset >= frame->bytes)
		return 0;
	/* Tables are memory that hardware writes, whoever else may only read them. */
	atomic_fetch_or((_Atomic uint64_t *)((uintptr_t)frame->data + offset), mark->bits);
	return 1;
}

/* Set accessed and dirty as hardware does when it uses the leaf at WALK's end. */
static void machine_mark(struct machine *machine, const struct vmmu_walk *walk, unsigned access)
{
	bool is_dirtied = access == VMMU_WRITE && !walk->entry.dirty;
	struct mark mark = {walk->pte_hpa, NPT_ACCESSED | (is_dirtied ? NPT_DIRTY : 0)};

	if (walk->entry.accessed && !is_dirtied)
		return;
	if (vmmu_tables(machine->vm, machine_mark_frame, &mark) != 1)
		machine_break(machine, "a walk ended in no table");
}

/* Use GPA as hardware would, by the engine's tables. FLAGS: of a fault, if it comes to one. */
static enum step machine_use(struct machine *machine, uint64_t gpa, unsigned access, unsigned flags)
{
	struct vmmu_walk walk;
	int err = vmmu_walk(machine->vm, 0, gpa, &walk);

	if (err || walk.entry.kind != VMMU_ENTRY_LEAF || walk.entry.malformed ||
	    !(walk.access & access))
		return machine_fault(machine, gpa, access, flags, err ? NULL : &walk);
	machine_mark(machine, &walk, access);
	return STEP_DONE;
}

/*
 * Use ADDRESS as the guest does: its own tables first, which hardware reads as if to write them.
 * *GPA: where it is.
 */
static enum step machine_use_address(struct machine *machine, uint64_t address, unsigned access,
				     uint64_t *gpa)
{
	enum step step = STEP_DONE;
	struct guest_walk walk;

	if (!guest_translate(&machine->guest, address, &walk)) {
		machine_break(machine, "the guest's own tables refuse");
		return STEP_FAILED;
	}
	for (unsigned i = 0; i < walk.entry_count && step == STEP_DONE; i++)
		step = machine_use(machine, walk.entries[i], VMMU_WRITE, VMMU_FAULT_GUEST_WALK);
	*gpa = walk.gpa;
	return step == STEP_DONE ? machine_use(machine, walk.gpa, access, 0) : step;
}

/* One instruction at PC: fetched, then its data, if it has any. */
static enum step machine_instruction(struct machine *machine, uint64_t pc,
				     const struct script_access *data)
{
	for (unsigned i = 0; i < INSTRUCTION_FAULTS && !machine->is_broken; i++) {
		struct vmmu_root root;
		enum step step;
		uint64_t gpa;

		if (vmmu_vcpu_root(machine->vcpu, &root, NULL))
			break;
		step = machine_use_address(machine, pc, VMMU_EXEC, &gpa);
		if (step == STEP_DONE && data)
			step = machine_use_address(machine, data->address, data->access, &gpa);
		if (step == STEP_DONE && data && data->bytes)
			guest_store(&machine->guest, gpa, data->value, data->bytes);
		if (step != STEP_AGAIN)
			return step;
	}
	machine_break(machine, "the guest makes no progress");
	return STEP_FAILED;
}

/* Returns 0, or -1 where running the guest failed. */
static int machine_access(struct machine *machine, const struct script_access *access)
{
	bool has_data = access->access != VMMU_EXEC;
	enum step step;

	machine->access = access;
	machine->has_invalidated = false;
	step = machine_instruction(machine, access->pc, has_data ? access : NULL);
	if (step != STEP_FAILED && has_data)
		step = machine_instruction(machine, access->pc + HLT_OFFSET, NULL);
	if (step != STEP_FAILED)
		machine_add(machine, (struct fact){.kind = FACT_DONE});
	machine->access = NULL;
	if (!machine->has_invalidated)
		machine_invalidate(machine, access->invalidations_start, access->invalidations_end);
	if (access->has_page)
		host_learn(&machine->host, &access->page);
	return step == STEP_FAILED ? -1 : 0;
}

static void machine_accesses(struct machine *machine, const struct script_line *line)
{
	int result = 0;

	for (size_t i = line->accesses_start; i < line->accesses_end; i++)
		result = machine_access(machine, &machine->script->accesses[i]);
	if (!strcmp(line->word, "cr3"))
		machine->guest.root = line->args[0];
	if (strcmp(line->word, "range"))
		machine_add(machine, (struct fact){.kind = FACT_RESULT, .value = result});
}

static void machine_slot(struct machine *machine, const struct script_line *line)
{
	struct vmmu_slot slot = {.id = (unsigned)line->args[0],
				 .gpa = line->args[1],
				 .bytes = line->args[2],
				 .flags = (unsigned)line->args[3] & SLOT_FLAGS,
				 .hva = line->hva};
	unsigned backing = (unsigned)line->args[3] & ~(unsigned)SLOT_FLAGS;

	if (slot.bytes && !host_add(&machine->host, slot.hva, slot.bytes, backing))
		machine_break(machine, "memory that this host cannot have");
	machine_add(machine, (struct fact){.kind = FACT_SLOT,
					   .address = slot.id,
					   .value = vmmu_slot_set(machine->vm, &slot)});
}

static void machine_dirty(struct machine *machine, const struct script_line *line)
{
	uint64_t *bitmap = calloc(DIRTY_BITS / 64, sizeof(*bitmap));
	uint64_t count = 0;
	int err;

	if (!bitmap)
		abort();
	err = vmmu_dirty_get(machine->vm, 0, (unsigned)line->args[0], bitmap, DIRTY_BITS, &count);
	machine_add(machine, (struct fact){.kind = FACT_DIRTY,
					   .address = line->args[0],
					   .value = err ? -1 : (int64_t)count});
	free(bitmap);
}

/* The hva of slot ID, which the kit keeps when the slot is deleted. */
static uint64_t machine_hva(const struct machine *machine, uint64_t id)
{
	uint64_t hva = 0;

	for (size_t i = 0; i <= machine->line; i++) {
		const struct script_line *line = &machine->script->lines[i];

		if (line->hva && line->args[0] == id)
			hva = line->hva;
	}
	return hva;
}

/* "dontneed SLOT OFFSET BYTES", "protect SLOT OFFSET BYTES WRITABLE" */
static void machine_host_call(struct machine *machine, const struct script_line *line)
{
	uint64_t start = machine_hva(machine, line->args[0]) + line->args[1];
	struct vmmu_hva_range range = {start, start + line->args[2]};

	if (*line->word == 'd')
		host_drop(&machine->host, &range);
	else
		host_protect(&machine->host, &range, line->args[3]);
}

/* The VMM writes guest memory, which brings it in. */
static bool machine_poke(struct machine *machine, uint64_t gpa, uint64_t value)
{
	const struct script_line *slot0 = machine->script->lines;

	if (gpa - slot0->args[1] >= slot0->args[2])
		return false;
	host_write(&machine->host, slot0->hva + gpa - slot0->args[1]);
	return guest_poke(&machine->guest, gpa, value);
}

/* "mode NAME ROOT", "poke GPA VALUE", "fill GPA COUNT FIRST STEP" */
static bool machine_guest_call(struct machine *machine, const struct script_line *line)
{
	const uint64_t *args = line->args;
	bool is_good = true;
	char mode[16];
	uint64_t root = 0;

	if (!strcmp(line->word, "poke"))
		return machine_poke(machine, args[0], args[1]);
	for (uint64_t i = 0; !strcmp(line->word, "fill") && is_good && i < args[1]; i++)
		is_good = machine_poke(machine, args[0] + 8 * i, args[2] + i * args[3]);
	if (!strcmp(line->word, "mode"))
		is_good = sscanf(line->text, "mode %15s %" SCNx64, mode, &root) >= 1 &&
			  guest_set_mode(&machine->guest, mode, root);
	return is_good;
}

static bool machine_is_guest_call(const struct script_line *line)
{
	return !strcmp(line->word, "poke") || !strcmp(line->word, "fill") ||
	       !strcmp(line->word, "mode");
}

static bool machine_line(struct machine *machine, const struct script_line *line)
{
	if (!strcmp(line->word, "slot") || !strcmp(line->word, "del"))
		machine_slot(machine, line);
	else if (!strcmp(line->word, "dirty"))
		machine_dirty(machine, line);
	else if (!strcmp(line->word, "dontneed") || !strcmp(line->word, "protect"))
		machine_host_call(machine, line);
	else if (line->accesses_start < line->accesses_end)
		machine_accesses(machine, line);
	else if (!machine_is_guest_call(line) || !machine_guest_call(machine, line))
		return machine_break(machine, "no such line in a script, or too much for it");
	machine_invalidate(machine, line->invalidations_start, line->invalidations_end);
	return !machine->is_broken;
}

static bool machine_create(struct machine *machine)
{
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = on_resolve,
			       .host_level = on_host_level,
			       .on_bug = on_bug,
			       .event = on_event};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = machine->format,
					  .env = &env,
					  .env_ctx = machine,
					  .resize = VMMU_RESIZE_ZAP,
					  /* A second one for SMM, as KVM on x86 has it. */
					  .address_spaces = 2,
					  .policies = VMMU_POLICY_CLEAN_OVER_OTHERS};

	return !vmmu_vm_create(&options, &machine->vm) &&
	       !vmmu_vcpu_create(machine->vm, 0, &machine->vcpu);
}

bool machine_run(const struct script *script, struct machine_run *run)
{
	struct machine machine = {
		.script = script, .facts = &run->facts, .format = vmmu_format_find(MACHINE_FORMAT)};
	bool is_good;

	*run = (struct machine_run){0};
	vmmu_thread_register();
	is_good = machine_create(&machine);
	for (size_t i = 0; is_good && i < script->line_count; i++) {
		machine.line = (unsigned)i;
		is_good = machine_line(&machine, &script->lines[i]);
		if (!i)
			host_write(&machine.host, script->lines[0].hva + CODE_GPA);
	}
	if (is_good)
		is_good = !vmmu_digest(machine.vm, &run->digest) &&
			  !vmmu_audit(machine.vm, &run->audit, NULL, NULL);
	vmmu_vm_destroy(machine.vm);
	host_free(&machine.host);
	vmmu_thread_unregister();
	return is_good;
}

void machine_run_free(struct machine_run *run)
{
	facts_free(&run->facts);
}
