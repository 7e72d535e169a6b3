// SPDX-License-Identifier: MIT
/* Accesses through a TLB: what serves a walk, and what is learned from one. */
#include "hw/cache.h"

#include <errno.h>
#include <string.h>

#include "hw/tlb.h"

void cache_restart(struct hw_cache *cache)
{
	memset(cache->current, 0, sizeof(cache->current));
	cache->path_count = 0;
}

/* SLOT begins a walk of its stage unless it goes on below the last one. */
static bool cache_begins(const struct hw_cache *cache, const struct hw_slot *slot)
{
	const struct cache_path *path = cache->current[slot->stage];

	return !path || !path->count || slot->level >= path->level || path->input != slot->input;
}

/* What serves SLOT's address best: a whole translation, else the longest way down. */
static const struct vmmu_tlb_entry *cache_find(struct hw_cache *cache, const struct hw_slot *slot)
{
	struct tlb_tag tag = tlb_tag_of(cache->cpu);
	const struct vmmu_tlb_entry *entry = tlb_find(&cache->tlb->leaves, &tag, slot->stage,
						      slot->input);

	if (entry) {
		cache->tlb->stats.leaf_hits++;
		return entry;
	}
	entry = tlb_find(&cache->tlb->tables, &tag, slot->stage, slot->input);
	cache->tlb->stats.table_hits += !!entry;
	return entry;
}

static void cache_begin(struct hw_cache *cache, const struct hw_slot *slot)
{
	struct cache_path *path = NULL;

	cache->served[slot->stage] = NULL;
	if (cache->path_count < CACHE_WALKS_MAX) {
		path = &cache->path[cache->path_count++];
		*path = (struct cache_path){.stage = slot->stage, .input = slot->input};
		cache->served[slot->stage] = cache_find(cache, slot);
	}
	cache->current[slot->stage] = path;
}

static void cache_append(struct cache_path *path, const struct hw_slot *slot)
{
	if (!path || path->count == VMMU_LEVELS_MAX)
		return;
	path->pte[path->count].value = slot->value;
	path->pte[path->count].hpa = slot->hpa;
	path->level = slot->level;
	path->count++;
}

bool cache_fetch(struct hw_cache *cache, struct hw_slot *slot)
{
	const struct vmmu_tlb_entry *served;
	struct cache_path *path;

	/* What MOV to CR3 reads goes to registers, not through a TLB. */
	if (slot->is_pdpte_load)
		return false;
	if (cache_begins(cache, slot))
		cache_begin(cache, slot);
	path = cache->current[slot->stage];
	served = cache->served[slot->stage];
	if (!path || !served || path->count >= served->count)
		return false;
	slot->value = served->pte[path->count].value;
	slot->hpa = served->pte[path->count].hpa;
	slot->is_served = true;
	cache_append(path, slot);
	path->served = path->count;
	return true;
}

void cache_note(struct hw_cache *cache, const struct hw_slot *slot)
{
	if (!slot->is_pdpte_load)
		cache_append(cache->current[slot->stage], slot);
}

void cache_stored(struct hw_cache *cache, const struct hw_slot *slot)
{
	struct cache_path *path = cache->current[slot->stage];

	for (unsigned i = 0; path && i < path->count; i++)
		if (path->pte[i].hpa == slot->hpa)
			path->pte[i].value = slot->value;
}

/* One stage's entries that serve an address. */
struct cache_place {
	struct tlb_tag tag;
	unsigned stage;
	uint64_t input;
};

static bool cache_is_at(const struct vmmu_tlb_entry *entry, const void *arg)
{
	const struct cache_place *place = arg;

	return entry->kind != VMMU_TLB_COMBINED && entry->stage == place->stage &&
	       entry->context == place->tag.context &&
	       !((entry->input ^ place->input) >> entry->cover_lg2);
}

/* As cache_is_at(), and combined entries that lead there. */
static bool cache_leads_to(const struct vmmu_tlb_entry *entry, const void *arg)
{
	const struct cache_place *place = arg;

	if (entry->kind != VMMU_TLB_COMBINED)
		return entry->kind != VMMU_TLB_TABLE && cache_is_at(entry, arg);
	return entry->context == place->tag.context &&
	       !((entry->second.input ^ place->input) >> entry->both.page_lg2);
}

void cache_drop(struct hw_cache *cache, const struct hw_slot *slot)
{
	struct cache_place place = {tlb_tag_of(cache->cpu), slot->stage, slot->input};

	tlb_drop(cache->tlb, cache_is_at, &place);
}

/* Put what PATH's first COUNT entries say into STORE. */
static void cache_put(const struct hw_cache *cache, const struct cache_path *path, unsigned count,
		      enum vmmu_tlb_kind kind)
{
	struct tlb_tag tag = tlb_tag_of(cache->cpu);
	struct vmmu_tlb_entry entry = {
		.kind = kind,
		.stage = path->stage,
		.level = (uint8_t)(path->level + path->count - count),
		.count = (uint8_t)count,
		.space = cache->space,
		.context = tag.context,
		.vpid = path->stage == 1 ? tag.vpid : 0,
		.asid = path->stage == 1 ? tag.asid : 0,
	};
	uint64_t last = path->pte[count - 1].value;

	entry.cover_lg2 = (uint8_t)tlb_cover(cache->cpu, path, entry.level, last,
					     kind == VMMU_TLB_LEAF);
	entry.input = align_down(path->input, BIT64(entry.cover_lg2));
	entry.is_global = path->stage == 1 && kind == VMMU_TLB_LEAF &&
			  tlb_is_global(cache->cpu, last);
	for (unsigned i = 0; i < count; i++) {
		entry.pte[i].value = path->pte[i].value;
		entry.pte[i].hpa = path->pte[i].hpa;
	}
	tlb_put(kind == VMMU_TLB_TABLE ? &cache->tlb->tables : &cache->tlb->leaves, &entry);
}

/*
 * What the last entry of a path is. Every walk but the last of its stage went on, so it ended at a
 * leaf; what refused the access says what became of the last one.
 */
static enum vmmu_tlb_kind cache_end_of(const struct hw_cache *cache, const struct cache_path *path,
				       const struct vmmu_hw_walk *walk)
{
	const struct vmmu_hw_fault *fault = &walk->fault;

	if (walk->status == VMMU_HW_OK || path != cache->current[path->stage])
		return VMMU_TLB_LEAF;
	if (fault->stage != path->stage) {
		bool is_above = path->stage == 1 && fault->purpose == VMMU_HW_TABLE_READ;

		return is_above ? VMMU_TLB_TABLE : VMMU_TLB_LEAF;
	}
	if (fault->level != path->level)
		return VMMU_TLB_TABLE; /* the entry below it did not answer */
	if (fault->cause == VMMU_HW_PERMISSION)
		return VMMU_TLB_LEAF;
	return fault->cause == VMMU_HW_BUS ? VMMU_TLB_KINDS : VMMU_TLB_ABSENT;
}

static void cache_learn_path(const struct hw_cache *cache, const struct cache_path *path,
			     const struct vmmu_hw_walk *walk)
{
	enum vmmu_tlb_kind end = cache_end_of(cache, path, walk);
	unsigned count;

	for (count = 1; count <= path->count; count++) {
		bool is_last = count == path->count;
		enum vmmu_tlb_kind kind = is_last ? end : VMMU_TLB_TABLE;

		if (kind == VMMU_TLB_KINDS)
			return;
		if (kind == VMMU_TLB_ABSENT && cache->cpu->arch != VMMU_HW_RISCV)
			return;
		if (!tlb_is_cacheable(cache->cpu, path->stage, kind, path->pte[count - 1].value))
			return;
		/* What served the walk is there already. */
		if (count > path->served)
			cache_put(cache, path, count, kind);
	}
}

/* May a combined entry serve, or be made by, an access like this? */
static bool cache_is_plain(const struct vmmu_hw_access *access)
{
	return !(access->flags & ~(unsigned)VMMU_HW_USER) &&
	       !(access->bytes && (access->gva & (access->bytes - 1)));
}

static void cache_learn_combined(const struct hw_cache *cache, const struct vmmu_hw_access *access,
				 const struct vmmu_hw_walk *walk)
{
	struct tlb_tag tag = tlb_tag_of(cache->cpu);
	struct vmmu_tlb_entry entry = {
		.kind = VMMU_TLB_COMBINED,
		.stage = 1,
		.level = walk->combined.level,
		.cover_lg2 = walk->combined.page_lg2,
		.is_global = walk->stage1.global,
		.space = cache->space,
		.context = tag.context,
		.vpid = tag.vpid,
		.asid = tag.asid,
		.regime = tlb_regime_of(cache->cpu),
		.first = walk->stage1,
		.second = walk->stage2,
		.both = walk->combined,
	};
	uint64_t offset;

	/* Without guest paging the second stage's own entry says it all. */
	if (walk->status != VMMU_HW_OK || walk->stage1.page_lg2 == 64 || !cache_is_plain(access))
		return;
	offset = walk->stage1.input & (BIT64(entry.cover_lg2) - 1);
	entry.input = walk->stage1.input - offset;
	entry.first.input -= offset;
	entry.first.output -= offset;
	entry.second.input -= offset;
	entry.second.output -= offset;
	entry.both.input -= offset;
	entry.both.output -= offset;
	tlb_put(&cache->tlb->combined, &entry);
}

static void cache_learn(struct hw_cache *cache, const struct vmmu_hw_access *access,
			const struct vmmu_hw_walk *walk)
{
	struct cache_place place = {tlb_tag_of(cache->cpu), 2, walk->fault.gpa};

	for (unsigned i = 0; i < cache->path_count; i++)
		cache_learn_path(cache, &cache->path[i], walk);
	cache_learn_combined(cache, access, walk);
	/* SDM: an EPT violation; APM: a nested page fault. What led there is walked again. */
	if (walk->status == VMMU_HW_FAULT_HOST && cache->cpu->arch <= VMMU_HW_NPT)
		tlb_drop(cache->tlb, cache_leads_to, &place);
}

/* MAPPING of an entry's first address, moved by OFFSET. */
static struct vmmu_hw_mapping cache_moved(struct vmmu_hw_mapping mapping, uint64_t offset)
{
	mapping.input += offset;
	mapping.output += offset;
	return mapping;
}

/* Does a combined entry serve ACCESS? Then WALK is what it says. */
static bool cache_serve_combined(struct hw_cache *cache, const struct vmmu_hw_access *access,
				 struct vmmu_hw_walk *walk)
{
	struct tlb_tag tag = tlb_tag_of(cache->cpu);
	const struct vmmu_tlb_entry *entry;
	unsigned granted;
	uint64_t offset;

	if (!cache_is_plain(access))
		return false;
	entry = tlb_find(&cache->tlb->combined, &tag, 1, access->gva);
	if (!entry || entry->regime != tlb_regime_of(cache->cpu))
		return false;
	granted = access->flags & VMMU_HW_USER ? entry->both.user_access
					       : entry->both.kernel_access;
	if ((access->access & ~granted) || ((access->access & VMMU_WRITE) && !entry->both.dirty))
		return false;
	offset = access->gva - entry->input;
	walk->status = VMMU_HW_OK;
	walk->stage1 = cache_moved(entry->first, offset);
	walk->stage2 = cache_moved(entry->second, offset);
	walk->combined = cache_moved(entry->both, offset);
	cache->tlb->stats.combined_hits++;
	return true;
}

/* Ready *RUN for an access through TLB; false: it cannot be asked. */
static bool cache_start(struct hw_run *run, struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
			const struct vmmu_hw_bus *bus, const struct vmmu_hw_access *access,
			struct vmmu_hw_walk *walk)
{
	if (!tlb || !walk_start(run, cpu, bus, access, walk) || cpu->arch != tlb->arch)
		return false;
	tlb->cache.tlb = tlb;
	tlb->cache.cpu = cpu;
	cache_restart(&tlb->cache);
	walk_begin(run);
	run->cache = &tlb->cache;
	return true;
}

/* Walk by ATTEMPT, and learn from it. */
static int cache_walk(struct hw_run *run,
		      enum hw_result (*attempt)(struct hw_run *run, const void *arg),
		      const void *arg)
{
	int err;

	run->cache->tlb->stats.walks++;
	err = walk_run(run, attempt, arg);
	if (!err)
		cache_learn(run->cache, run->access, run->walk);
	return err;
}

int vmmu_tlb_translate(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
		       const struct vmmu_hw_bus *bus, unsigned space,
		       const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk)
{
	struct hw_run run;

	if (!cache_start(&run, tlb, cpu, bus, access, walk))
		return -EINVAL;
	run.cache->space = space;
	if (cache_serve_combined(run.cache, access, walk))
		return 0;
	return cache_walk(&run, walk_both, NULL);
}

int vmmu_tlb_translate_gpa(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
			   const struct vmmu_hw_bus *bus, unsigned space,
			   const struct vmmu_hw_access *access, const struct vmmu_hw_gpa *gpa,
			   struct vmmu_hw_walk *walk)
{
	struct hw_run run;

	if (!cache_start(&run, tlb, cpu, bus, access, walk) || !walk_is_gpa(cpu, gpa))
		return -EINVAL;
	run.cache->space = space;
	return cache_walk(&run, walk_gpa, gpa);
}
