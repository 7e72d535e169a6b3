/* SPDX-License-Identifier: MIT */
/*
 * Mapping ahead in tdp roots, table by table: vmmu_prefault(). Template, part of fault_impl.h.
 *
 * It comes to what a fault for each page would, in fault_impl.h's order of steps, but a step is
 * taken once for as much as it decides alike:
 *
 * 	sequence, slot, private or shared     all pages that are asked for together
 * 	the host's pages                      in runs (struct vmmu_page_run)
 * 	lock, staleness, walk, way there      one table, of leaves at the goal level
 * 	goal level                            a run in the table; above level 1 each entry
 * 	compare-exchange                      an entry; or the table, full of leaves, where none is
 *
 * Pages may be mapped under a later hold of the lock than the first: nothing that was found out is
 * used without the checks of fault_is_stale(), under each.
 *
 * What it does not know how to map it leaves to a fault of the page's own (RETRY): whatever stands
 * in the way, an invalidation close by, a dirty ring to be listed in.
 */
#ifndef VMMU_FAULTS_AHEAD_IMPL_H
#define VMMU_FAULTS_AHEAD_IMPL_H

#include "faults/tdp_map_impl.h"

/* Runs that are asked for at once. */
#define AHEAD_RUNS 64u
/* Calls for single pages before what they gave is mapped. */
#define AHEAD_ASKS 512u
/* Entries that are made at once. */
#define AHEAD_LEAVES 64u

/* A run and the gfn that its first page is behind. */
struct ahead_at {
	uint64_t gfn;
	unsigned run;
};

/* Pages [s.gfn, end) were found, and are to be mapped. */
struct ahead {
	struct fault_state s; /* s.gfn: the next one, as s.fault->gfn */
	uint64_t end;
	uint64_t flush_start; /* up to s.gfn: the vCPU's TLB may have kept that there was nothing */
	struct ahead_at at;   /* the run that s.gfn is in */
	unsigned goal_run; /* all of whose pages that lie in this table have the same goal level */
	int stopped;       /* FAULT_GO_ON, or the outcome for the page at end */
	unsigned run_count;
	struct vmmu_page_run runs[AHEAD_RUNS];
};

/* COUNT entries at LEVEL, from the next gfn's on, are done with. */
static inline void ahead_go_on(struct ahead *a, unsigned level, uint64_t count)
{
	uint64_t start = align_down(a->s.gfn, level_gfns(level));
	uint64_t gfn = start + count * level_gfns(level);

	a->flush_start = min_u64(a->flush_start, start);
	while (a->at.run < a->run_count && gfn - a->at.gfn >= a->runs[a->at.run].pages)
		a->at.gfn += a->runs[a->at.run++].pages;
	a->s.gfn = gfn;
	a->s.fault->gfn = gfn;
}

/* The page behind the next gfn, which is below a->end. */
static inline struct vmmu_page ahead_page(const struct ahead *a)
{
	struct vmmu_page page = a->runs[a->at.run].page;

	page.pfn += a->s.gfn - a->at.gfn;
	return page;
}

/* No lock: the level at which the host alone would have gfn mapped to PAGE. */
static unsigned ahead_host_level(const struct ahead *a, uint64_t gfn, const struct vmmu_page *page)
{
	unsigned level = page->level < a->s.vm->max_level ? page->level : a->s.vm->max_level;

	if (a->s.vcpu->slot_cache.copy.flags & VMMU_SLOT_LOG_DIRTY)
		return 1;
	while (level > 1 &&
	       (!level_is_leaf(level) || !is_aligned(gfn ^ page->pfn, level_gfns(level))))
		level--;
	return level ? level : 1;
}

/* PAGE and those that follow are behind a->end and the next gfns, PAGES in all. */
static void ahead_append(struct ahead *a, const struct vmmu_page *page, uint64_t pages)
{
	struct vmmu_page_run *last = a->run_count ? &a->runs[a->run_count - 1] : NULL;

	a->end += pages;
	if (last && last->page.pfn + last->pages == page->pfn && last->page.level == page->level &&
	    last->page.memtype == page->memtype && last->page.writable == page->writable)
		last->pages += pages;
	else
		a->runs[a->run_count++] = (struct vmmu_page_run){.page = *page, .pages = pages};
}

/*
 * Ask for the pages of gfns [s.gfn, END) one by one. A large page speaks for all that a leaf of its
 * size would map.
 */
static void ahead_ask_each(struct ahead *a, uint64_t end)
{
	uint64_t first = a->s.gfn;
	struct vmmu_page page;

	for (unsigned i = 0; i < AHEAD_ASKS && a->run_count < AHEAD_RUNS && a->end < end; i++) {
		uint64_t gfns;

		a->s.gfn = a->s.fault->gfn = a->end;
		a->s.fault->gpa = a->end << fmt_geometry.page_shift;
		a->stopped = fault_find_page(&a->s, &page);
		if (a->stopped != FAULT_GO_ON)
			break;
		gfns = level_gfns(ahead_host_level(a, a->end, &page));
		gfns -= a->end & (gfns - 1);
		ahead_append(a, &page, min_u64(gfns, end - a->end));
	}
	a->s.gfn = a->s.fault->gfn = first;
}

/* Can entries say what the host said of RUN? */
static bool ahead_has_sane_run(const struct vmmu_page_run *run)
{
	struct vmmu_page last = run->page;

	last.pfn += run->pages - 1;
	return map_has_sane_page(&run->page) && map_has_sane_page(&last);
}

/* Ask for the pages of gfns [s.gfn, END) at once. What is not told is left to resolve(). */
static void ahead_ask(struct ahead *a, uint64_t end)
{
	const struct memslot *slot = &a->s.vcpu->slot_cache.copy;
	const struct vmmu_env *env = &a->s.vm->env;
	struct vmmu_page_request request = {
		.gfn = a->s.gfn,
		.hva = memslot_hva(slot, a->s.gfn, fmt_geometry.page_shift),
		.access = a->s.fault->access,
		.flags = fault_resolve_flags(a->s.fault),
		.slot_id = slot->id,
		.as_id = a->s.vcpu->as_id,
	};
	unsigned count = env->resolve_ahead(a->s.vm->env_ctx, &request, end - a->s.gfn, a->runs,
					    AHEAD_RUNS);

	for (unsigned i = 0; i < count && i < AHEAD_RUNS; i++) {
		a->runs[i].pages = min_u64(a->runs[i].pages, end - a->end);
		if (!a->runs[i].pages || !ahead_has_sane_run(&a->runs[i]))
			break;
		a->end += a->runs[i].pages;
		a->run_count++;
	}
	if (!a->run_count)
		a->stopped = VMMU_RETRY;
}

/* The end of those of gfns [s.gfn, END) that are all private, or all shared, as the first. */
static uint64_t ahead_same_kind(const struct ahead *a, uint64_t end)
{
	enum attributes_extent extent = fault_has(a->s.fault, VMMU_FAULT_PRIVATE) ? ATTRIBUTES_ALL
										  : ATTRIBUTES_NONE;
	enum sync_section section = sync_reader_enter();

	end = attributes_reach(slots_attributes(&a->s.vm->slots), a->s.gfn, end, extent);
	sync_reader_leave(section);
	return end;
}

/*
 * No lock: find slot and pages for gfns [s.gfn, s.gfn + GFNS), or for the first of them. Go on, or
 * what a->stopped says.
 */
static int ahead_find(struct ahead *a, uint64_t gfns)
{
	const struct memslot *slot = &a->s.vcpu->slot_cache.copy;
	uint64_t end;

	a->stopped = fault_find_slot(&a->s);
	if (a->stopped != FAULT_GO_ON)
		return a->stopped;
	if (!a->s.slot)
		return VMMU_RETRY;
	/* Each page in a ring needs room of its own. */
	if (((slot->flags & VMMU_SLOT_LOG_DIRTY) && a->s.vcpu->ring) ||
	    vm_is_being_invalidated(a->s.vm, a->s.gfn))
		return VMMU_RETRY;
	end = ahead_same_kind(a, min_u64(a->s.gfn + gfns, slot->base_gfn + slot->gfns));
	if (end == a->s.gfn)
		return VMMU_RETRY;
	if (a->s.vm->env.resolve_ahead)
		ahead_ask(a, end);
	else
		ahead_ask_each(a, end);
	return a->run_count ? FAULT_GO_ON : a->stopped;
}

/* Shared: the level to map the next gfn at, unless some of it is being invalidated. */
static unsigned ahead_goal(const struct ahead *a)
{
	struct vmmu_page page = ahead_page(a);

	return adjust_level(a->s.slot, &fmt_geometry, a->s.gfn, &page, a->s.vm->max_level);
}

/* Where the table that maps the next gfn by leaves at LEVEL ends, or what was found does. */
static uint64_t ahead_table_end(const struct ahead *a, unsigned level)
{
	uint64_t gfns = level < fmt_geometry.levels ? level_gfns(level + 1) : gfn_limit();

	return min_u64(a->end, align_down(a->s.gfn, gfns) + gfns);
}

/*
 * A large page that resolve() gave speaks for what a leaf of its size maps. Where that is not to
 * be, as LEVEL is the goal, it speaks for one smaller leaf, and what follows is not known.
 */
static void ahead_forget(struct ahead *a, unsigned level)
{
	struct vmmu_page page = ahead_page(a);

	if (a->s.vm->env.resolve_ahead || level >= ahead_host_level(a, a->s.gfn, &page))
		return;
	a->end = min_u64(a->end, align_down(a->s.gfn, level_gfns(level)) + level_gfns(level));
	a->stopped = FAULT_GO_ON;
}

/* Where the run of the next gfn ends, or END. */
static inline uint64_t ahead_run_end(const struct ahead *a, uint64_t end)
{
	return min_u64(a->at.gfn + a->runs[a->at.run].pages, end);
}

/* Shared: step over the leaves from AT, where the next gfn is mapped, on. */
static int ahead_pass(struct ahead *a, const struct walk_stop *at)
{
	uint64_t end = ahead_table_end(a, at->level);
	const _Atomic uint64_t *ptep = at->ptep;

	do {
		ahead_go_on(a, at->level, 1);
		ptep++;
	} while (at->level == 1 && a->s.gfn < end &&
		 fmt_classify(pte_load(ptep), 1) == VMMU_ENTRY_LEAF);
	return VMMU_FIXED;
}

/* COUNT leaves at LEVEL for the next gfn and those behind it, which are in one run. */
static inline void ahead_make_leaves(const struct ahead *a, uint64_t *leaves, uint64_t count,
				     unsigned level)
{
	struct vmmu_page page = ahead_page(a);
	uint64_t leaf = map_make_leaf(a->s.vm, a->s.slot, a->s.gfn, &page, level,
				      VMMU_RESOLVE_NO_FAULT);

	leaf_fill(leaves, count, leaf, level);
}

/* Shared: will faults make groups of leaves at LEVEL, if the host has them? */
static inline bool ahead_may_group(const struct ahead *a, unsigned level)
{
	return group_is_made(level) && a->s.vm->env.host_span &&
	       !(a->s.slot->flags & VMMU_SLOT_LOG_DIRTY);
}

/*
 * Shared: do the pages from the next gfn to END make a whole table, all of leaves that stand alone
 * and are noted nowhere?
 */
static bool ahead_is_whole(const struct ahead *a, uint64_t end)
{
	struct ahead_at at = a->at;

	if (fmt_geometry.levels < 2 || !is_aligned(a->s.gfn, level_gfns(2)) ||
	    end - a->s.gfn != level_gfns(2) || ahead_may_group(a, 1) ||
	    (a->s.slot->flags & VMMU_SLOT_LOG_DIRTY))
		return false;
	/* The first run's goal is known. */
	while ((at.gfn += a->runs[at.run++].pages) < end)
		if (adjust_level(a->s.slot, &fmt_geometry, at.gfn, &a->runs[at.run].page,
				 a->s.vm->max_level) != 1)
			return false;
	return true;
}

/*
 * Shared: link a new table, full of leaves for the gfns from the next one on, at REF, which is
 * absent. RETRY: it is not any more.
 */
static int ahead_link_full(struct ahead *a, const struct entry_ref *ref)
{
	struct vmmu_vcpu *vcpu = a->s.vcpu;
	const struct ahead_at at = a->at;
	uint64_t first = a->s.gfn, end = entry_end(ref);
	bool is_zeroed;
	struct table *table = tdp_table_take(vcpu, ref, 0, &is_zeroed);
	uint64_t *entries = (uint64_t *)tree_entries(&a->s.vm->tree, table);

	while (a->s.gfn < end) {
		uint64_t count = ahead_run_end(a, end) - a->s.gfn;

		ahead_make_leaves(a, entries + (a->s.gfn - first), count, 1);
		ahead_go_on(a, 1, count);
	}
	if (!tdp_link_table(vcpu, ref, fmt_make_absent(ref->level), table)) {
		a->at = at;
		a->s.gfn = a->s.fault->gfn = first;
		return VMMU_RETRY;
	}
	vcpu->tdp.books.leaves[1] += end - first;
	vcpu->stats.prefaulted += end - first;
	return VMMU_FIXED;
}

/*
 * Shared: tables down to the place AT for the next gfn at level GOAL. Go on there; FIXED: a table
 * stands there that maps all up to END; RETRY; -EAGAIN: not enough frames in stock.
 */
static int ahead_make_way(struct ahead *a, struct walk_stop *at, unsigned goal, uint64_t end)
{
	bool is_whole = goal == 1 && ahead_is_whole(a, end);
	struct tdp_vcpu *tdp = &a->s.vcpu->tdp;
	struct tdp_place place;
	int outcome;

	/* Nothing is changed before there is enough for all of it. */
	if (tdp->stock_count < at->level - goal) {
		tdp->need = at->level - goal;
		return -EAGAIN;
	}
	place = tdp_place_of(a->s.vcpu, *at, a->s.gfn, goal + is_whole, goal);
	outcome = tdp_walk_on(a->s.vcpu, a->s.fault, &place);
	if (outcome != FAULT_GO_ON)
		return outcome;
	if (is_whole && place.ref.level == 2 && place.pte == fmt_make_absent(2))
		return ahead_link_full(a, &place.ref);
	/* Somebody else is making tables here. */
	if (place.ref.level != goal)
		return VMMU_RETRY;
	*at = (struct walk_stop){.ptep = place.ref.ptep, .pte = place.pte, .level = goal};
	return FAULT_GO_ON;
}

/* Shared: COUNT entries at LEVEL, from the next gfn on, are LEAF and its like now. */
static void ahead_note(struct ahead *a, uint64_t leaf, unsigned level, uint64_t count)
{
	uint64_t first = align_down(a->s.gfn, level_gfns(level));

	a->s.vcpu->stats.prefaulted += count;
	if (likely(!(a->s.slot->flags & VMMU_SLOT_LOG_DIRTY)) ||
	    !(fmt_access(leaf, level) & VMMU_WRITE))
		return;
	for (uint64_t i = 0; i < count; i++)
		vcpu_mark_dirty(a->s.vcpu, a->s.slot, first + i * level_gfns(level));
}

/*
 * Shared: is LEVEL, at which others of its run are mapped in this table, the goal level of gfn too?
 * What the slot forbids is all that differs, and for levels above it is the same.
 */
static inline bool ahead_is_allowed(const struct ahead *a, uint64_t gfn, unsigned level)
{
	const struct memslot *slot = a->s.slot;

	return level == 1 || !slot->lpage[level][memslot_index(slot, &fmt_geometry, gfn, level)];
}

/* Shared: map the next gfns, of one run, from PTEP on at LEVEL until END. Returns the entries. */
static uint64_t ahead_put_many(struct ahead *a, _Atomic uint64_t *ptep, unsigned level,
			       uint64_t end)
{
	uint64_t gfns = level_gfns(level), first = align_down(a->s.gfn, gfns), done = 0;
	uint64_t count = (ahead_run_end(a, end) - first + gfns - 1) / gfns;
	uint64_t leaves[AHEAD_LEAVES];

	count = min_u64(count, AHEAD_LEAVES);
	ahead_make_leaves(a, leaves, count, level);
	while (done < count && ahead_is_allowed(a, first + done * gfns, level) &&
	       funnel_put_uncounted(&ptep[done], level, leaves[done]))
		done++;
	a->s.vcpu->tdp.books.leaves[level] += done;
	ahead_note(a, leaves[0], level, done);
	return done;
}

/* Shared: map the group of LEAF at LEVEL around the next gfn, whose place is PTEP. */
static NEVER_INLINE bool ahead_put_group(struct ahead *a, _Atomic uint64_t *ptep, unsigned level,
					 uint64_t leaf)
{
	struct walk_stop at = {.ptep = ptep, .level = level};
	struct entry_ref ref = walk_place(&a->s.vm->tree, &at, a->s.gfn);

	if (!group_try(a->s.vcpu, a->s.slot, &ref, leaf))
		return false;
	a->s.vcpu->stats.prefaulted++;
	return true;
}

/* Shared: has the next gfn the goal LEVEL, as those before it in its table had? */
static bool ahead_has_goal(struct ahead *a, unsigned level)
{
	if (likely(a->goal_run == a->at.run))
		return ahead_is_allowed(a, a->s.gfn, level);
	a->goal_run = a->at.run;
	return ahead_goal(a) == level;
}

/* Shared: map the next gfn, and more, from PTEP on, at LEVEL. Returns the entries done. */
static uint64_t ahead_put(struct ahead *a, _Atomic uint64_t *ptep, unsigned level, uint64_t end)
{
	uint64_t pte = pte_load(ptep);

	if (!ahead_has_goal(a, level))
		return 0;
	if (pte != fmt_make_absent(level))
		return fmt_classify(pte, level) == VMMU_ENTRY_LEAF;
	if (ahead_may_group(a, level)) {
		uint64_t leaf;

		ahead_make_leaves(a, &leaf, 1, level);
		if (ahead_put_group(a, ptep, level, leaf))
			return 1;
		end = min_u64(end, a->s.gfn + 1);
	}
	return ahead_put_many(a, ptep, level, end);
}

/* Shared: map the next gfns, from PTEP on, at LEVEL until END, or what can be of them. */
static int ahead_fill(struct ahead *a, _Atomic uint64_t *ptep, unsigned level, uint64_t end)
{
	uint64_t first = a->s.gfn, done;

	while (a->s.gfn < end && (done = ahead_put(a, ptep, level, end)) > 0) {
		ptep += done;
		ahead_go_on(a, level, done);
	}
	return a->s.gfn > first ? VMMU_FIXED : VMMU_RETRY;
}

/* Shared: map the next gfn and as many more as one table has. FIXED, RETRY, -EAGAIN. */
static NEVER_INLINE int ahead_map_table(struct ahead *a)
{
	const struct vmmu_vm *vm = a->s.vm;
	struct walk_stop at = walk_entries(&vm->tree, a->s.vcpu->entries, a->s.gfn, 1);
	unsigned goal = ahead_goal(a);
	uint64_t end;
	int outcome;

	a->goal_run = a->at.run;
	ahead_forget(a, goal);
	/* What is mapped stays as it is, if it is not to be smaller. */
	if (fmt_classify(at.pte, at.level) == VMMU_ENTRY_LEAF)
		return at.level > goal ? VMMU_RETRY : ahead_pass(a, &at);
	end = ahead_table_end(a, goal);
	if (at.level < goal || vm_is_invalidating(vm, align_down(a->s.gfn, level_gfns(goal)),
						  align_up(end, level_gfns(goal))))
		return VMMU_RETRY;
	outcome = at.level > goal ? ahead_make_way(a, &at, goal, end) : FAULT_GO_ON;
	return outcome == FAULT_GO_ON ? ahead_fill(a, at.ptep, goal, end) : outcome;
}

/* The same, with the lock taken for it. */
static int ahead_map_some(struct ahead *a)
{
	enum sync_section section = tdp_enter_inline(&a->s);
	int outcome = fault_is_stale(&a->s) ? VMMU_RETRY : ahead_map_table(a);

	tdp_leave_inline(a->s.vcpu, section);
	return outcome;
}

/* Not locked: the same, with frames put in stock where there are too few. */
static int ahead_map_next(struct ahead *a)
{
	for (unsigned tries = 1; tries < TDP_TRIES; tries++) {
		int outcome = ahead_map_some(a), err;

		if (outcome != -EAGAIN)
			return outcome;
		err = tdp_topup(a->s.vcpu);
		if (err)
			return err;
	}
	return VMMU_RETRY;
}

/* Map what was found. FIXED; else why it stops at the next gfn. */
static int ahead_map(struct ahead *a)
{
	int outcome = VMMU_FIXED;

	while (a->s.gfn < a->end && outcome == VMMU_FIXED)
		outcome = ahead_map_next(a);
	return outcome != VMMU_FIXED || a->stopped == FAULT_GO_ON ? outcome : a->stopped;
}

/* As fault_flush_local(), for all that is done. */
static void ahead_flush_local(const struct ahead *a)
{
	struct vmmu_flush flush = {.gfn_start = a->flush_start,
				   .gfn_end = a->s.gfn,
				   .as_id = a->s.vcpu->as_id,
				   .vcpu_id = a->s.vcpu->id,
				   .local = true};
	struct tree *tree = &a->s.vm->tree;

	if (!(FMT_CAPS & VMMU_CAP_CACHES_ABSENT) || a->flush_start >= a->s.gfn)
		return;
	a->s.vcpu->stats.local_flushes++;
	tree->hooks.flush(tree->hooks.ctx, &flush);
}

static int engine_prefault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault, uint64_t gfns,
			   uint64_t *done)
{
	uint64_t first = fault->gfn;
	struct ahead a;
	int outcome;

	*done = 0;
	if (first >= gfn_limit())
		return VMMU_RETRY;
	a.s = (struct fault_state){.vcpu = vcpu, .vm = vcpu->vm, .fault = fault, .gfn = first};
	a.at = (struct ahead_at){.gfn = first};
	a.end = a.flush_start = first;
	a.run_count = 0;
	outcome = ahead_find(&a, min_u64(gfns, gfn_limit() - first));
	if (outcome == FAULT_GO_ON)
		outcome = ahead_map(&a);
	ahead_flush_local(&a);
	*done = a.s.gfn - first;
	return outcome;
}

#endif
