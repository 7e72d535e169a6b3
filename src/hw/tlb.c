// SPDX-License-Identifier: MIT
/* The TLB's store, and what a flush makes it forget. */
#include "hw/tlb.h"

#include <errno.h>

#include "base/mem.h"

#define TLB_ENTRIES_DEFAULT 64
#define TLB_WAYS_DEFAULT    4

/* log2 of COUNT, rounded up. */
static unsigned tlb_lg2(unsigned count)
{
	unsigned lg2 = 0;

	while (1u << lg2 < count && 1u << lg2 < VMMU_TLB_ENTRIES_MAX)
		lg2++;
	return lg2;
}

static int tlb_store_init(struct tlb_store *store, unsigned entries, unsigned ways)
{
	unsigned entries_lg2 = tlb_lg2(entries ? entries : TLB_ENTRIES_DEFAULT);
	unsigned ways_lg2 = tlb_lg2(ways ? ways : TLB_WAYS_DEFAULT);

	if (ways_lg2 > entries_lg2)
		ways_lg2 = entries_lg2;
	store->ways = 1u << ways_lg2;
	store->sets = 1u << (entries_lg2 - ways_lg2);
	store->entry = mem_alloc_array(UINT64_C(1) << entries_lg2, sizeof(*store->entry));
	store->next = mem_alloc_array(store->sets, sizeof(*store->next));
	return store->entry && store->next ? 0 : -ENOMEM;
}

static void tlb_store_destroy(struct tlb_store *store)
{
	mem_free(store->entry);
	mem_free(store->next);
}

static bool tlb_options_are_valid(const struct vmmu_tlb_options *options)
{
	return options && options->size == sizeof(*options) &&
	       (unsigned)options->arch < VMMU_HW_ARCHES &&
	       options->combined <= VMMU_TLB_ENTRIES_MAX &&
	       options->leaves <= VMMU_TLB_ENTRIES_MAX && options->tables <= VMMU_TLB_ENTRIES_MAX &&
	       options->ways <= VMMU_TLB_ENTRIES_MAX;
}

int vmmu_tlb_create(const struct vmmu_tlb_options *options, struct vmmu_tlb **out)
{
	struct vmmu_tlb *tlb;

	if (!out || !tlb_options_are_valid(options))
		return -EINVAL;
	tlb = mem_alloc(sizeof(*tlb));
	if (!tlb)
		return -ENOMEM;
	tlb->arch = options->arch;
	if (tlb_store_init(&tlb->combined, options->combined, options->ways) ||
	    tlb_store_init(&tlb->leaves, options->leaves, options->ways) ||
	    tlb_store_init(&tlb->tables, options->tables, options->ways)) {
		vmmu_tlb_destroy(tlb);
		return -ENOMEM;
	}
	*out = tlb;
	return 0;
}

void vmmu_tlb_destroy(struct vmmu_tlb *tlb)
{
	if (!tlb)
		return;
	tlb_store_destroy(&tlb->combined);
	tlb_store_destroy(&tlb->leaves);
	tlb_store_destroy(&tlb->tables);
	mem_free(tlb);
}

/* Entries that serve the same address share a set, whatever their tags. */
static unsigned tlb_set(const struct tlb_store *store, unsigned stage, unsigned cover_lg2,
			uint64_t input)
{
	uint64_t key = (input >> cover_lg2) * 2 + stage + ((uint64_t)cover_lg2 << 57);

	return (unsigned)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (store->sets - 1);
}

static bool tlb_serves(const struct vmmu_tlb_entry *entry, const struct tlb_tag *tag,
		       unsigned stage, unsigned cover_lg2, uint64_t input)
{
	if (entry->cover_lg2 != cover_lg2 || entry->stage != stage ||
	    (entry->input ^ input) >> cover_lg2 || entry->context != tag->context)
		return false;
	if (stage == 2)
		return true;
	return entry->vpid == tag->vpid && (entry->is_global || entry->asid == tag->asid);
}

const struct vmmu_tlb_entry *tlb_find(const struct tlb_store *store, const struct tlb_tag *tag,
				      unsigned stage, uint64_t input)
{
	for (uint64_t covers = store->covers; covers; covers &= covers - 1) {
		unsigned cover_lg2 = (unsigned)__builtin_ctzll(covers);
		const struct vmmu_tlb_entry *entry =
			store->entry + tlb_set(store, stage, cover_lg2, input) * store->ways;

		for (unsigned way = 0; way < store->ways; way++)
			if (tlb_serves(&entry[way], tag, stage, cover_lg2, input))
				return &entry[way];
	}
	return NULL;
}

void tlb_put(struct tlb_store *store, const struct vmmu_tlb_entry *entry)
{
	const struct tlb_tag tag = {entry->context, entry->vpid, entry->asid};
	unsigned set = tlb_set(store, entry->stage, entry->cover_lg2, entry->input);
	struct vmmu_tlb_entry *way = store->entry + set * store->ways, *to = NULL;

	for (unsigned i = 0; i < store->ways; i++) {
		if (tlb_serves(&way[i], &tag, entry->stage, entry->cover_lg2, entry->input)) {
			to = &way[i];
			break;
		}
		if (!way[i].cover_lg2)
			to = &way[i];
	}
	if (!to)
		to = &way[store->next[set]++ & (store->ways - 1)];
	*to = *entry;
	store->covers |= BIT64(entry->cover_lg2);
}

static uint64_t tlb_store_drop(struct tlb_store *store,
			       bool (*match)(const struct vmmu_tlb_entry *entry, const void *arg),
			       const void *arg)
{
	uint64_t dropped = 0;

	store->covers = 0;
	for (unsigned i = 0; i < store->sets * store->ways; i++) {
		struct vmmu_tlb_entry *entry = &store->entry[i];

		if (entry->cover_lg2 && match(entry, arg)) {
			entry->cover_lg2 = 0;
			dropped++;
		}
		if (entry->cover_lg2)
			store->covers |= BIT64(entry->cover_lg2);
	}
	return dropped;
}

void tlb_drop(struct vmmu_tlb *tlb,
	      bool (*match)(const struct vmmu_tlb_entry *entry, const void *arg), const void *arg)
{
	tlb->stats.forgotten += tlb_store_drop(&tlb->combined, match, arg) +
				tlb_store_drop(&tlb->leaves, match, arg) +
				tlb_store_drop(&tlb->tables, match, arg);
}

static bool tlb_match_all(const struct vmmu_tlb_entry *entry, const void *arg)
{
	(void)entry, (void)arg;
	return true;
}

void vmmu_tlb_clear(struct vmmu_tlb *tlb)
{
	if (tlb)
		tlb_drop(tlb, tlb_match_all, NULL);
}

static int tlb_store_visit(const struct tlb_store *store,
			   int (*fn)(void *ctx, const struct vmmu_tlb_entry *entry), void *ctx)
{
	int stop = 0;

	for (unsigned i = 0; i < store->sets * store->ways && !stop; i++)
		if (store->entry[i].cover_lg2)
			stop = fn(ctx, &store->entry[i]);
	return stop;
}

int vmmu_tlb_visit(const struct vmmu_tlb *tlb,
		   int (*fn)(void *ctx, const struct vmmu_tlb_entry *entry), void *ctx)
{
	int stop;

	if (!tlb || !fn)
		return -EINVAL;
	stop = tlb_store_visit(&tlb->combined, fn, ctx);
	if (!stop)
		stop = tlb_store_visit(&tlb->leaves, fn, ctx);
	return stop ? stop : tlb_store_visit(&tlb->tables, fn, ctx);
}

void vmmu_tlb_stats(const struct vmmu_tlb *tlb, struct vmmu_tlb_stats *stats)
{
	if (stats)
		*stats = tlb ? tlb->stats : (struct vmmu_tlb_stats){0};
}
