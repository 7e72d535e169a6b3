/* SPDX-License-Identifier: MIT */
/* vmmu_protect(), vmmu_write_protect(), vmmu_write_allow(). Template, part of range_impl.h. */
#ifndef VMMU_RANGE_PROTECT_IMPL_H
#define VMMU_RANGE_PROTECT_IMPL_H

/* PTE with the rights ACCESS; WRITE only where it may be had. */
static inline uint64_t range_with_access(uint64_t pte, unsigned level, unsigned access)
{
	struct vmmu_leaf parts;

	if (!fmt_mmu_writable(pte, level))
		access &= ~(unsigned)VMMU_WRITE;
	if (access == fmt_access(pte, level))
		return pte;
	if ((access ^ fmt_access(pte, level)) == VMMU_WRITE)
		return access & VMMU_WRITE ? fmt_write_allow(pte, level)
					   : fmt_write_protect(pte, level);
	parts = (struct vmmu_leaf){
		.pfn = fmt_leaf_pfn(pte, level),
		.access = access,
		.memtype = fmt_memtype(pte, level),
		.host_writable = fmt_host_writable(pte, level),
		.mmu_writable = fmt_mmu_writable(pte, level),
		.accessed = fmt_is_accessed(pte, level),
		.dirty = fmt_is_dirty(pte, level),
	};
	return fmt_make_leaf(parts, level);
}

/* One function for each set of rights: funnel_update() takes pure functions of the entry. */
#define RANGE_ACCESS(name, access)                                        \
	static uint64_t range_access_##name(uint64_t pte, unsigned level) \
	{                                                                 \
		return range_with_access(pte, level, access);             \
	}
RANGE_ACCESS(r, VMMU_READ)
RANGE_ACCESS(rw, VMMU_READ | VMMU_WRITE)
RANGE_ACCESS(rx, VMMU_READ | VMMU_EXEC)
RANGE_ACCESS(rwx, VMMU_RWX)
#undef RANGE_ACCESS

static inline uint64_t (*range_access_change(unsigned access))(uint64_t pte, unsigned level)
{
	if (access & VMMU_WRITE)
		return access & VMMU_EXEC ? range_access_rwx : range_access_rw;
	return access & VMMU_EXEC ? range_access_rx : range_access_r;
}

/* The leaf PTE at REF gets ACCESS. */
static inline void range_protect_leaf(struct tree *tree, const struct entry_ref *ref,
				      unsigned access)
{
	funnel_update(tree, ref, range_access_change(access));
}

/* Take WRITE from the leaf at REF. */
static inline void range_write_protect_leaf(struct tree *tree, const struct entry_ref *ref)
{
	uint64_t pte = pte_load(ref->ptep);

	if (fmt_classify(pte, ref->level) == VMMU_ENTRY_LEAF &&
	    (fmt_access(pte, ref->level) & VMMU_WRITE))
		funnel_update(tree, ref, fmt_write_protect);
}

#ifdef FMT_WRITE_BITS
/*
 * Take WRITE from COUNT entries of the level-1 table of REF, from REF on: without an atomic where
 * none is volatile, else with one for each entry that has WRITE.
 */
static void range_write_protect_run(struct vmmu_vm *vm, const struct entry_ref *ref, uint64_t count)
{
	_Atomic uint64_t *entries = tree_entries(&vm->tree, ref->table);
	uint64_t first = ref->gfn - ref->table->gfn;
	struct protect_changed changed = PROTECT_NONE;

	table_recount(&vm->tree, ref->table);
	if (count == table_entry_count(1) && !ref->table->has_volatile) {
		protect_many(entries, count);
		protect_changed_add(&changed, 0, count);
	} else {
		protect_run(entries, first, first + count, &changed);
	}
	if (changed.first >= changed.end)
		return;
	/* WRITE can be given back by the lockless fix from now on. */
	ref->table->has_volatile = true;
	tree_owe_flush(&vm->tree, ref->table->as_id, ref->table->gfn + changed.first,
		       ref->table->gfn + changed.end);
}
#endif

/*
 * Not rights but what to do with WRITE alone; no rights that a caller may ask for look like these.
 */
#define RANGE_TAKE_WRITE 0u
#define RANGE_GIVE_WRITE 8u

/* What is done to leaves on the way. */
struct range_protect_state {
	struct vmmu_update *update;
	uint64_t gpa, end; /* what is left, bytes */
	unsigned access;   /* rights, or one of the two above */
};

static inline void range_protect_one(const struct range_protect_state *s,
				     const struct entry_ref *ref, uint64_t pte)
{
	struct tree *tree = &s->update->vm->tree;

	if (s->access == RANGE_TAKE_WRITE)
		range_write_protect_leaf(tree, ref);
	else if (s->access != RANGE_GIVE_WRITE)
		range_protect_leaf(tree, ref, s->access);
	else if (fmt_mmu_writable(pte, ref->level) && !(fmt_access(pte, ref->level) & VMMU_WRITE))
		funnel_update(tree, ref, fmt_write_allow);
}

/* The level-1 table of REF: its entries from s->gpa on, as far as the range goes. */
static void range_protect_pages(struct range_protect_state *s, struct entry_ref ref)
{
	uint64_t count = min_u64((s->end - s->gpa) >> fmt_geometry.page_shift,
				 table_entry_count(1) - range_index(s->gpa, 1));

	group_break(&s->update->vm->tree, &ref, count);
	s->gpa += count << fmt_geometry.page_shift;
#ifdef FMT_WRITE_BITS
	if (s->access == RANGE_TAKE_WRITE && !s->update->vm->tree.hooks.event) {
		range_write_protect_run(s->update->vm, &ref, count);
		return;
	}
#endif
	for (; count; count--, ref.ptep++, ref.gfn++) {
		uint64_t pte = pte_load(ref.ptep);

		if (fmt_classify(pte, 1) == VMMU_ENTRY_LEAF)
			range_protect_one(s, &ref, pte);
	}
}

/* Deal with what is at s->gpa. 0, -ENOMEM. */
static int range_protect_step(struct range_protect_state *s)
{
	struct entry_ref ref;
	uint64_t pte, last;

	for (;;) {
		ref = range_walk(s->update, s->gpa, 1, &pte);
		if (ref.level == 1) {
			range_protect_pages(s, ref);
			return 0;
		}
		last = (ref.gfn << fmt_geometry.page_shift) + range_bytes(ref.level) - 1;
		if (fmt_classify(pte, ref.level) != VMMU_ENTRY_LEAF)
			break;
		group_break(&s->update->vm->tree, &ref, 1);
		pte = pte_load(ref.ptep);
		if (ref.gfn << fmt_geometry.page_shift == s->gpa && last < s->end) {
			range_protect_one(s, &ref, pte);
			break;
		}
		if (!range_split(s->update->vm, &ref, pte, UINT64_MAX))
			return -ENOMEM;
	}
	s->gpa = min_u64(last, s->end - 1) + 1;
	return 0;
}

static __attribute__((noinline)) int range_protect_slow(struct vmmu_update *update, uint64_t gpa,
							uint64_t bytes, unsigned access,
							uint64_t *done)
{
	struct range_protect_state s = {update, gpa, gpa + bytes, access};
	int err = 0;

	if (done)
		*done = 0;
	if (!range_is_valid(gpa, bytes))
		return -EINVAL;
	while (!err && s.gpa < s.end)
		err = range_protect_step(&s);
	if (done)
		*done = s.gpa - gpa;
	return err;
}

/*
 * The permission fix: WRITE given back to the page at gpa, which tables lead to and which has just
 * the rights BASE now (0: whatever they are). False: not that simple.
 */
static inline __attribute__((always_inline)) bool range_grant_page(struct vmmu_update *update,
								   uint64_t gpa, unsigned base)
{
	struct tree *tree = &update->vm->tree;
	struct entry_ref ref;
	uint64_t pte;

	if (unlikely((gpa & (RANGE_PAGE - 1)) || tree->hooks.event))
		return false;
	if (unlikely(!range_find(update, gpa, 1, memory_order_relaxed, &ref)))
		return false;
	pte = atomic_load_explicit(ref.ptep, memory_order_relaxed);
	if (unlikely(!funnel_can_grant(pte) || (base && fmt_access(pte, 1) != base)))
		return false;
	if (funnel_grant(ref.ptep, pte))
		tree_owe_flush(tree, update->as_id, ref.gfn, entry_end(&ref));
	return true;
}

static int range_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, unsigned access,
			 uint64_t *done)
{
	bool is_write = (access & ~(unsigned)VMMU_EXEC) == (VMMU_READ | VMMU_WRITE);

	if (unlikely(!(access & VMMU_READ) || (access & ~(unsigned)VMMU_RWX))) {
		if (done)
			*done = 0;
		return -EINVAL;
	}
	if (bytes != RANGE_PAGE || !is_write ||
	    !range_grant_page(update, gpa, access & ~(unsigned)VMMU_WRITE))
		return range_protect_slow(update, gpa, bytes, access, done);
	if (done)
		*done = bytes;
	return 0;
}

/* WRITE taken from the page at gpa, which tables lead to. False: not that simple. */
static inline bool range_take_page(struct vmmu_update *update, uint64_t gpa)
{
#ifdef FMT_WRITE_BITS
	struct tree *tree = &update->vm->tree;
	struct entry_ref ref;
	uint64_t pte;

	if (unlikely((gpa & (RANGE_PAGE - 1)) || tree->hooks.event))
		return false;
	if (unlikely(!range_find(update, gpa, 1, memory_order_relaxed, &ref)))
		return false;
	pte = pte_load(ref.ptep);
	if (unlikely(!spte_is_surely_leaf(pte)))
		return false;
	if (!(pte & FMT_WRITE_BITS))
		return true;
	protect_one(ref.ptep, pte);
	ref.table->has_volatile = true;
	tree_owe_flush(tree, update->as_id, ref.gfn, ref.gfn + 1);
	return true;
#else
	(void)update, (void)gpa;
	return false;
#endif
}

static int range_write_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			       uint64_t *done)
{
	if (bytes == RANGE_PAGE && range_take_page(update, gpa)) {
		if (done)
			*done = bytes;
		return 0;
	}
	return range_protect_slow(update, gpa, bytes, RANGE_TAKE_WRITE, done);
}

static int range_write_allow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			     uint64_t *done)
{
	if (unlikely(bytes != RANGE_PAGE || !range_grant_page(update, gpa, 0)))
		return range_protect_slow(update, gpa, bytes, RANGE_GIVE_WRITE, done);
	if (done)
		*done = bytes;
	return 0;
}

#endif
