/* SPDX-License-Identifier: MIT */
#include "interleave/print.h"

#include <stdio.h>

#include "faults/vm.h"
#include "interleave/memory.h"
#include "interleave/scenario.h"

static const char *print_kind(enum point_kind kind)
{
	static const char *const names[POINT_KINDS] = {
		[POINT_LOAD] = "load",
		[POINT_STORE] = "store",
		[POINT_EXCHANGE] = "exchange",
		[POINT_COMPARE] = "compare-exchange",
		[POINT_ADD] = "add",
		[POINT_OR] = "or",
		[POINT_AND] = "and",
		[POINT_LOCK] = "lock",
		[POINT_UNLOCK] = "unlock",
		[POINT_WAITER] = "wait for",
		[POINT_SIGNAL] = "signal",
		[POINT_WAKE] = "wake with",
		[POINT_ENTER] = "reader in",
		[POINT_LEAVE] = "reader out",
		[POINT_GRACE] = "wait for readers",
		[POINT_GRACE_END] = "readers are gone",
		[POINT_YIELD] = "wait for change",
		[POINT_GUEST] = "hardware walk",
		[POINT_HOST] = "host",
		[POINT_FREE] = "free",
		[POINT_START] = "start",
	};

	return names[kind];
}

/* Fields of struct vmmu_vm and their likes, by offset. */
struct print_field {
	const char *name;
	size_t offset, bytes;
};

#define FIELD(type, field)                                                              \
	{                                                                               \
#field, offsetof(struct type, field), sizeof(((struct type *)0)->field) \
	}

static const struct print_field vm_fields[] = {
	FIELD(vmmu_vm, slots.sets),
	FIELD(vmmu_vm, slots.active),
	FIELD(vmmu_vm, slots.has_rmaps),
	FIELD(vmmu_vm, slots.lock),
	FIELD(vmmu_vm, invalidate.lock),
	FIELD(vmmu_vm, invalidate.idle),
	FIELD(vmmu_vm, invalidate.seq),
	FIELD(vmmu_vm, invalidate.in_progress),
	FIELD(vmmu_vm, invalidate.gfn_start),
	FIELD(vmmu_vm, invalidate.gfn_end),
	FIELD(vmmu_vm, is_poisoned),
	FIELD(vmmu_vm, flushes),
	FIELD(vmmu_vm, roots),
	FIELD(vmmu_vm, other_roots),
	FIELD(vmmu_vm, shared.is_claimed),
	FIELD(vmmu_vm, mmu_lock),
	FIELD(vmmu_vm, tree.generation),
};

static const struct print_field vcpu_fields[] = {
	FIELD(vmmu_vcpu, must_reload),
	FIELD(vmmu_vcpu, is_busy),
	FIELD(vmmu_vcpu, tdp.shared.is_inside),
};

static const char *print_field(const struct print_field *fields, size_t count, const void *of,
			       const volatile void *address)
{
	size_t offset = (size_t)((const volatile char *)address - (const volatile char *)of);

	for (size_t i = 0; i < count; i++)
		if (offset - fields[i].offset < fields[i].bytes)
			return fields[i].name;
	return NULL;
}

/* A table entry: which, of which table. */
static void print_entry(const struct stage *stage, const volatile void *address, char *text,
			size_t room)
{
	const struct tree *tree = &stage->vm->tree;
	const struct table *table = frame_meta(&tree->frames, (const void *)address);
	uint64_t offset;
	unsigned long long gfn;

	while (!table->level)
		table = (const struct table *)((const unsigned char *)table - FRAME_META_BYTES);
	offset = (uint64_t)((const volatile unsigned char *)address -
			    (unsigned char *)tree_entries(tree, table)) /
		 8;
	gfn = table->gfn +
	      (offset << (tree->geometry->shift[table->level] - tree->geometry->page_shift));
	snprintf(text, room, "level %u gfn %#llx", table->level, gfn);
}

static bool print_dirty(const struct stage *stage, const volatile void *address, char *text,
			size_t room)
{
	const struct memslot *slot = slots_by_id(&stage->vm->slots, 0, 0);
	unsigned long long gfn;
	uint64_t offset;

	if (!slot || !slot->dirty)
		return false;
	offset = (uint64_t)((const volatile char *)address - (char *)slot->dirty);
	if (offset >= (slot->gfns + 63) / 64 * 64)
		return false;
	gfn = slot->base_gfn + offset;
	snprintf(text, room, "dirty marks from gfn %#llx on", gfn);
	return true;
}

static void print_place(const volatile void *address, char *text, size_t room)
{
	const struct stage *stage = scenario_stage();
	const char *name = NULL;

	text[0] = '\0';
	if (!address || !stage->vm)
		return;
	if (memory_is_free(address)) {
		snprintf(text, room, "what went back: memory %#llx",
			 (unsigned long long)memory_key(address));
		return;
	}
	if (memory_is_frame(address)) {
		print_entry(stage, address, text, room);
		return;
	}
	if (print_dirty(stage, address, text, room))
		return;
	name = print_field(vm_fields, ARRAY_COUNT(vm_fields), stage->vm, address);
	for (unsigned i = 0; !name && i < STAGE_CPUS; i++) {
		name = print_field(vcpu_fields, ARRAY_COUNT(vcpu_fields), stage->vcpu[i], address);
		if (name) {
			snprintf(text, room, "vCPU %u: %s", i, name);
			return;
		}
	}
	if (!name && address == (const volatile void *)&stage->moves)
		name = "the host's pages";
	if (name)
		snprintf(text, room, "%s", name);
	else
		snprintf(text, room, "memory %#llx", (unsigned long long)memory_key(address));
}

void print_event(const struct event *event)
{
	const struct op *op = &event->op;
	char place[96];

	print_place(op->address, place, sizeof(place));
	printf("  thread %u  %-16s %-26s %s", event->thread, print_kind(op->kind), op->function,
	       place);
	if (op->kind == POINT_LOAD)
		printf(": %#llx", (unsigned long long)event->old_value);
	else if (op->kind == POINT_COMPARE && !event->is_write)
		printf(": %#llx stays", (unsigned long long)event->old_value);
	else if (op->kind < POINT_LOCK)
		printf(": %#llx -> %#llx", (unsigned long long)event->old_value,
		       (unsigned long long)event->new_value);
	printf("\n");
}
