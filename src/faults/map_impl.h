/* SPDX-License-Identifier: MIT */
/*
 * Mapping in direct roots: leaves with their rmaps, tables with their parents. Template. Locked
 * throughout.
 */
#ifndef VMMU_FAULTS_MAP_IMPL_H
#define VMMU_FAULTS_MAP_IMPL_H

#include <string.h>

#include "faults/vm.h"
#include "rmap/rmap.h"
#include "walker/walk_impl.h"

/* Does hardware set accessed and dirty bits of this format? */
static inline bool hardware_marks(void)
{
	return FMT_CAPS & VMMU_CAP_HW_DIRTY;
}

/* The slot that gfn of an address space belongs to now; NULL: none. */
static inline struct memslot *map_slot(struct vmmu_vm *vm, unsigned as_id, uint64_t gfn,
				       struct slot_cache *cache)
{
	return slot_set_find(slots_active(&vm->slots, as_id), gfn, cache);
}

/* The rmap head of the leaf at REF, which lies in SLOT. */
static inline rmap_head *map_rmap(struct memslot *slot, const struct entry_ref *ref)
{
	return &slot->rmap[ref->level][memslot_index(slot, &fmt_geometry, ref->gfn, ref->level)];
}

/* Unmap the leaf at REF: entry and rmap. */
static inline void map_drop_leaf(struct vmmu_vm *vm, const struct entry_ref *ref,
				 struct slot_cache *cache)
{
	struct memslot *slot;

	if (vm->mode == VMMU_MODE_RANGES) {
		funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
		return;
	}
	slot = map_slot(vm, ref->table->as_id, ref->gfn, cache);
	funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	if (unlikely(!slot || !rmap_remove(map_rmap(slot, ref), ref->ptep)))
		vm_bug(vm, "a leaf was in no rmap");
}

/* Cut the table below REF off. It stays findable, and what it maps stays in the rmaps. */
static inline void map_unlink(struct vmmu_vm *vm, const struct entry_ref *ref)
{
	uint64_t old_pte = funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
	struct table *child = entry_child(&vm->tree, old_pte, ref->level);

	if (unlikely(!rmap_remove(&child->parents, ref->ptep)))
		vm_bug(vm, "a table did not know its parent");
}

/* Make REF absent, whatever it holds. */
static inline void map_clear(struct vmmu_vm *vm, const struct entry_ref *ref,
			     struct slot_cache *cache)
{
	switch (fmt_classify(pte_load(ref->ptep), ref->level)) {
	case VMMU_ENTRY_ABSENT:
		break;
	case VMMU_ENTRY_LEAF:
		map_drop_leaf(vm, ref, cache);
		break;
	case VMMU_ENTRY_TABLE:
		map_unlink(vm, ref);
		break;
	case VMMU_ENTRY_MMIO:
	case VMMU_ENTRY_FROZEN:
		funnel_set(&vm->tree, ref, fmt_make_absent(ref->level));
		break;
	}
}

/* Fill a fresh table, which nobody has seen, with absent entries. */
static inline void map_fill_absent(const struct tree *tree, const struct table *table)
{
	uint64_t absent = fmt_make_absent(table->level);
	_Atomic uint64_t *entries = tree_entries(tree, table);

	if (!absent) {
		memset((void *)entries, 0, table_entry_count(table->level) * sizeof(*entries));
		return;
	}
	for (uint64_t i = 0; i < table_entry_count(table->level); i++)
		atomic_store_explicit(&entries[i], absent, memory_order_relaxed);
}

/*
 * The table that maps gfn at LEVEL: one that is there (linked or not), or a new one. NULL: no
 * frame.
 */
static inline struct table *map_get_table(struct vmmu_vm *vm, unsigned as_id, uint64_t gfn,
					  unsigned level)
{
	struct table *table = tree_find(&vm->tree, as_id, gfn, level);
	bool is_new = !table, is_zeroed;

	if (is_new) {
		table = tree_alloc(&vm->tree, as_id, gfn, level, &is_zeroed);
		if (!table)
			return NULL;
		if (!is_zeroed || fmt_make_absent(level))
			map_fill_absent(&vm->tree, table);
	}
	vm_event(vm, .kind = VMMU_EVENT_TABLE_GET, .vcpu_id = ~0u, .as_id = as_id, .level = level,
		 .gfn = gfn, .value = is_new, .hpa = tree_table_hpa(&vm->tree, table));
	return table;
}

static struct table *map_root_get(struct vmmu_vm *vm, unsigned as_id)
{
	return map_get_table(vm, as_id, 0, fmt_geometry.levels);
}

/*
 * The table below REF, which is not a table entry yet: found or made, and linked. NULL: no frame.
 */
static inline struct table *map_link(struct vmmu_vm *vm, const struct entry_ref *ref,
				     struct objcache *chunks)
{
	struct table *child = map_get_table(vm, ref->table->as_id, ref->gfn, ref->level - 1);

	if (unlikely(!child))
		return NULL;
	funnel_set(&vm->tree, ref, fmt_make_table(tree_table_hpa(&vm->tree, child), ref->level));
	rmap_add(&child->parents, ref->ptep, chunks);
	return child;
}

/* Can an entry say what the host said of PAGE? */
static inline bool map_has_sane_page(const struct vmmu_page *page)
{
	return !(page->pfn >> (fmt_geometry.pa_bits - fmt_geometry.page_shift)) &&
	       page->memtype <= VMMU_MEM_DEVICE;
}

/* map_make_leaf() with rights ACCESS. */
static ALWAYS_INLINE uint64_t map_make_leaf_with(const struct vmmu_vm *vm, uint64_t gfn,
						 const struct vmmu_page *page, unsigned level,
						 enum vmmu_resolve_flag why, unsigned access)
{
	bool is_writable = access & VMMU_WRITE;
	struct vmmu_leaf leaf = {
		.pfn = page->pfn - (gfn & (level_gfns(level) - 1)),
		.access = access,
		.memtype = page->memtype,
		.host_writable = is_writable,
		.mmu_writable = is_writable,
		.accessed = why != VMMU_RESOLVE_NO_FAULT,
		.dirty = is_writable,
	};

	if (vm->nx_huge && level > 1)
		leaf.access &= ~(unsigned)VMMU_EXEC;
	return fmt_make_leaf(leaf, level);
}

static NEVER_INLINE uint64_t map_make_leaf_read_only(const struct vmmu_vm *vm, uint64_t gfn,
						     const struct vmmu_page *page, unsigned level,
						     enum vmmu_resolve_flag why)
{
	return map_make_leaf_with(vm, gfn, page, level, why, VMMU_READ | VMMU_EXEC);
}

/* The leaf entry that maps gfn to PAGE for SLOT at LEVEL. */
static ALWAYS_INLINE uint64_t map_make_leaf(const struct vmmu_vm *vm, const struct memslot *slot,
					    uint64_t gfn, const struct vmmu_page *page,
					    unsigned level, enum vmmu_resolve_flag why)
{
	if (unlikely(!page->writable || (slot->flags & VMMU_SLOT_READ_ONLY)))
		return map_make_leaf_read_only(vm, gfn, page, level, why);
	return map_make_leaf_with(vm, gfn, page, level, why, VMMU_RWX);
}

/*
 * LEAF as the VM's policies have it where OLD_PTE, which is not absent, makes way for it. KVM 6.1
 * looks at the old entry's bit for WRITE, and leaves the dirty bit of what was writable before to
 * hardware; what lies over an MMIO entry it takes for that. Of tables it knows better.
 */
static NEVER_INLINE uint64_t map_leaf_over(const struct vmmu_vm *vm, uint64_t old_pte,
					   uint64_t leaf, unsigned level)
{
	enum vmmu_entry_kind kind = fmt_classify(old_pte, level);
	bool was_writable = kind == VMMU_ENTRY_MMIO ||
			    (kind == VMMU_ENTRY_LEAF && fmt_access(old_pte, level) & VMMU_WRITE);

	if (!(vm->policies & VMMU_POLICY_CLEAN_OVER_OTHERS) ||
	    !(fmt_access(leaf, level) & VMMU_WRITE) || !was_writable)
		return leaf;
	return fmt_clear_dirty(leaf, level);
}

/* What writing a leaf came to. */
enum map_result {
	MAP_SAME,    /* the entry already said just that */
	MAP_CHANGED, /* a leaf of the same page, with other rights */
	MAP_NEW,
};

/*
 * Books of LEAF, of SLOT, now at REF in the place of OLD_PTE, but for what the funnel keeps.
 */
static ALWAYS_INLINE void map_leaf_is_set(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
					  struct memslot *slot, const struct entry_ref *ref,
					  uint64_t old_pte, uint64_t leaf)
{
	if (fmt_access(leaf, ref->level) & VMMU_WRITE)
		vcpu_mark_dirty(vcpu, slot, ref->gfn);
	vm_event(vm, .kind = VMMU_EVENT_MAP_SET, .vcpu_id = vcpu->id, .as_id = ref->table->as_id,
		 .level = ref->level, .access = vcpu->asked, .gfn = ref->gfn, .old_pte = old_pte,
		 .new_pte = leaf);
}

/* map_set_leaf() where REF holds something, LEAF is volatile or somebody listens. */
static NEVER_INLINE enum map_result map_replace(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
						struct memslot *slot, const struct entry_ref *ref,
						uint64_t leaf)
{
	uint64_t old_pte = pte_load(ref->ptep);
	enum vmmu_entry_kind kind = fmt_classify(old_pte, ref->level);
	enum map_result result = MAP_NEW;

	if (unlikely(entry_group_lg2(old_pte, ref->level))) {
		if (leaf_alone(old_pte, ref->gfn, ref->level) == leaf)
			return MAP_SAME;
		group_break(&vm->tree, ref, 1);
		old_pte = pte_load(ref->ptep);
	}
	/* Tables have made way before KVM's direct MMU looks. */
	if (kind == VMMU_ENTRY_MMIO || kind == VMMU_ENTRY_LEAF)
		leaf = map_leaf_over(vm, old_pte, leaf, ref->level);
	if (kind == VMMU_ENTRY_LEAF &&
	    fmt_leaf_pfn(old_pte, ref->level) == fmt_leaf_pfn(leaf, ref->level)) {
		if (old_pte == leaf)
			return MAP_SAME;
		result = MAP_CHANGED;
	} else if (kind == VMMU_ENTRY_LEAF || kind == VMMU_ENTRY_TABLE) {
		map_clear(vm, ref, &vcpu->slot_cache);
		tree_flush(&vm->tree);
	}
	funnel_set(&vm->tree, ref, leaf);
	if (result == MAP_NEW)
		rmap_add(map_rmap(slot, ref), ref->ptep, &vcpu->chunks);
	map_leaf_is_set(vm, vcpu, slot, ref, old_pte, leaf);
	return result;
}

/* Put LEAF at REF. A different leaf, a table or a stale MMIO entry there makes way first. */
static ALWAYS_INLINE enum map_result map_set_leaf(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu,
						  struct memslot *slot, const struct entry_ref *ref,
						  uint64_t leaf)
{
	bool is_quiet = (ref->level == 1 && spte_is_surely_quiet(leaf)) ||
			!fmt_is_volatile(leaf, ref->level);

	if (unlikely(pte_load(ref->ptep) != fmt_make_absent(ref->level) || !is_quiet ||
		     vm->tree.hooks.event)) {
		/* Of a copy, so that *ref can stay in registers. */
		struct entry_ref at = *ref;

		return map_replace(vm, vcpu, slot, &at, leaf);
	}
	/* By far the most: nothing was there, and nobody else writes what comes. */
	funnel_fill_silent(&vm->tree, ref, leaf);
	rmap_add(map_rmap(slot, ref), ref->ptep, &vcpu->chunks);
	if (fmt_access(leaf, ref->level) & VMMU_WRITE)
		vcpu_mark_dirty(vcpu, slot, ref->gfn);
	return MAP_NEW;
}

#endif
