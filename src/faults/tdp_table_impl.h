/* SPDX-License-Identifier: MIT */
/*
 * Tables that a vCPU makes while it shares the mmu lock: from its stock, into its own list and
 * books. Template.
 */
#ifndef VMMU_FAULTS_TDP_TABLE_IMPL_H
#define VMMU_FAULTS_TDP_TABLE_IMPL_H

#include "faults/map_impl.h"

/*
 * A table for REF's range from the stock, which is not empty; its entries are not initialised
 * unless *is_zeroed. FLAGS: enum table_flag.
 */
static inline struct table *tdp_table_make(struct vmmu_vcpu *vcpu, const struct entry_ref *ref,
					   unsigned flags, bool *is_zeroed)
{
	struct tdp_vcpu *tdp = &vcpu->tdp;
	unsigned index = --tdp->stock_count;
	struct table *table = tree_table_make(&vcpu->vm->tree, tdp->stock[index], ref->table->as_id,
					      ref->gfn, ref->level - 1);

	atomic_store_explicit(&table->flags, (uint8_t)flags, memory_order_relaxed);
	atomic_store_explicit(&table->parents, (uintptr_t)ref->ptep, memory_order_relaxed);
	table->is_stocked = true;
	*is_zeroed = tdp->stock_zeroed >> index & 1;
	return table;
}

/* TABLE, just made, was not needed: nobody has seen it. */
static inline void tdp_table_give_back(struct vmmu_vcpu *vcpu, struct table *table)
{
	struct tdp_vcpu *tdp = &vcpu->tdp;
	unsigned bit = 1u << tdp->stock_count;
	/* Else it is full: of absent entries of another value, or of leaves. */
	bool is_zeroed = !pte_load(tree_entries(&vcpu->vm->tree, table));

	/* A frame in stock is no table: entry_ref_of() tells by the level. */
	atomic_store_explicit(&table->flags, 0, memory_order_relaxed);
	atomic_store_explicit(&table->parents, 0, memory_order_relaxed);
	table->level = 0;
	table->is_stocked = false;
	table->used = 0;
	table->has_volatile = false;
	tdp->stock_zeroed = is_zeroed ? tdp->stock_zeroed | bit : tdp->stock_zeroed & ~bit;
	tdp->stock[tdp->stock_count++] = tree_entries(&vcpu->vm->tree, table);
}

/* TABLE, just made, is linked: it is the vCPU's until the books are folded. */
static inline void tdp_table_is_linked(struct vmmu_vcpu *vcpu, struct table *table)
{
	struct tdp_vcpu *tdp = &vcpu->tdp;

	list_insert(&tdp->made, &table->link);
	tdp->books.live++;
	tdp->books.live_bytes += BIT64(vcpu->vm->tree.below_lg2);
}

#endif
