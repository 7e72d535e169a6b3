/* SPDX-License-Identifier: MIT */
/* Reading the tables for others: one walk, or every entry. Template. */
#ifndef VMMU_FAULTS_VISIT_IMPL_H
#define VMMU_FAULTS_VISIT_IMPL_H

#include "faults/vm.h"
#include "format/registry.h"
#include "walker/walk_impl.h"

/* PTE, which stands at REF, in the public struct. */
static inline void visit_decode(uint64_t pte, const struct entry_ref *ref, struct vmmu_entry *entry)
{
	vmmu_entry_read(&FMT_OBJECT, pte, ref->level, entry);
	if (entry->kind == VMMU_ENTRY_LEAF)
		entry->pfn = leaf_frame(pte, ref->gfn, ref->level);
}

/* PTE, which stood at REF, as the public struct has it. */
static inline void visit_fill(const struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t gfn,
			      uint64_t pte, struct vmmu_walk *walk)
{
	walk->pte = pte;
	walk->pte_hpa = frame_hpa(&vm->tree.frames, (const void *)ref->ptep);
	walk->gfn = ref->gfn;
	walk->level = ref->level;
	visit_decode(pte, ref, &walk->entry);
	walk->access = walk->entry.access;
	walk->pfn = walk->entry.pfn + (gfn - ref->gfn);
}

static void engine_walk(struct vmmu_vm *vm, struct table *root, uint64_t gpa,
			struct vmmu_walk *walk)
{
	uint64_t gfn = gpa >> fmt_geometry.page_shift, pte;
	struct entry_ref ref = walk_to(&vm->tree, root, gfn, 1, &pte);

	visit_fill(vm, &ref, gfn, pte, walk);
}

static unsigned engine_walk_path(struct vmmu_vm *vm, struct table *root, uint64_t gpa,
				 struct vmmu_walk *path)
{
	uint64_t gfn = gpa >> fmt_geometry.page_shift, pte;
	struct entry_ref ref = table_ref(&vm->tree, root, gfn);
	unsigned count = 0;

	for (;;) {
		pte = pte_load(ref.ptep);
		visit_fill(vm, &ref, gfn, pte, &path[count++]);
		if (fmt_classify(pte, ref.level) != VMMU_ENTRY_TABLE)
			return count;
		ref = table_ref(&vm->tree, entry_child(&vm->tree, pte, ref.level), gfn);
	}
}

/* Where a depth-first visit stands. */
struct visit_run {
	struct vmmu_vm *vm;
	int (*fn)(void *ctx, const struct vmmu_visit *visit);
	void *ctx;
};

static int visit_entry(const struct visit_run *run, const struct entry_ref *ref, uint64_t pte)
{
	struct vmmu_visit visit = {
		.pte = pte,
		.pte_hpa = frame_hpa(&run->vm->tree.frames, (const void *)ref->ptep),
		.gfn = ref->gfn,
		.level = ref->level,
		.as_id = ref->table->as_id,
		.obsolete = tree_is_obsolete(&run->vm->tree, ref->table),
		.mode = table_mode(ref->table),
	};

	visit_decode(pte, ref, &visit.entry);
	return run->fn(run->ctx, &visit);
}

/* Depth is bounded by the levels of the format. */
static int visit_table(const struct visit_run *run, struct table *table)
{
	int stop = 0;

	table_for_each(&run->vm->tree, table, ref)
	{
		uint64_t pte = pte_load(ref.ptep);
		enum vmmu_entry_kind kind = fmt_classify(pte, ref.level);

		if (kind == VMMU_ENTRY_ABSENT)
			continue;
		stop = visit_entry(run, &ref, pte);
		if (!stop && kind == VMMU_ENTRY_TABLE)
			stop = visit_table(run, entry_child(&run->vm->tree, pte, ref.level));
		if (stop)
			break;
	}
	return stop;
}

static int engine_visit(struct vmmu_vm *vm, struct table *root,
			int (*fn)(void *ctx, const struct vmmu_visit *visit), void *ctx)
{
	struct visit_run run = {vm, fn, ctx};

	return visit_table(&run, root);
}

#endif
