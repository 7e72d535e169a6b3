/* SPDX-License-Identifier: MIT */
/*
 * Memslots: the gfn side of a VM (catalogue of semantics: KVM's virt/kvm memslots).
 *
 * Two sets per address space, one active. An update changes the inactive set, publishes it (RCU),
 * waits for readers, and repeats the change in the other. A struct memslot is immutable for readers
 * but for its metadata's contents, and is freed only when it is in neither set and readers are
 * gone.
 */
#ifndef VMMU_MEMORY_SLOTS_H
#define VMMU_MEMORY_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <vmmu/format.h>
#include <vmmu/slot.h>

#include "base/bits.h"
#include "memory/attributes.h"

/* Bit 63 of a generation: an update is under way, nothing may be cached. */
#define SLOTS_GEN_UPDATING (UINT64_C(1) << 63)

/* With a why-not count: part of the page's gfns are private. */
#define LPAGE_MIXED (UINT32_C(1) << 31)

struct memslot {
	uint64_t base_gfn, gfns;
	uint64_t hva;   /* bytes */
	uint32_t flags; /* enum vmmu_slot_flag */
	uint16_t id;
	uint8_t as_id;
	bool invalid; /* being deleted or moved: faults on it retry */
	/* with LOG_DIRTY and slots.has_no_bitmaps false: memory/dirty_log.h; else NULL */
	_Atomic uint8_t *dirty;
	/* [2..]: why-not counts of a page at that level, and LPAGE_MIXED; 0: allowed */
	uint32_t *lpage[VMMU_LEVELS_MAX + 1];
	/*
	 * [1..]: rmap heads, see rmap/rmap.h. Not to be read before slots.has_rmaps is seen set.
	 * Last, so that a copy of what is before it needs no such care
	 */
	_Atomic uint64_t *rmap[VMMU_LEVELS_MAX + 1];
};

struct slot_set {
	/* See slot_set_generation(); stamped while readers are in the set. */
	_Atomic uint64_t generation;
	size_t count;
	struct memslot **by_gfn; /* sorted by base_gfn */
	struct memslot **by_hva; /* by hva, then by when they were set; ranges may overlap */
	/* Private to slot_set.c. */
	uint64_t *hva_reach; /* [i]: largest end (bytes) among by_hva[0..i]; never falls along i */
	size_t capacity;     /* slots that the three arrays have room for */
};

enum slot_change {
	SLOT_CREATE,
	SLOT_DELETE,
	SLOT_MOVE,
	SLOT_FLAGS,
};

/* What the owner of the tables does during an update; all are called with the slots lock held. */
struct slots_hooks {
	void *ctx;
	/* Bracket the publishing of a set: no host invalidation may be under way in between. */
	void (*publish_begin)(void *ctx);
	void (*publish_end)(void *ctx);
	/*
	 * DELETE and MOVE: OLD is marked invalid for all readers; drop everything mapped through
	 * it. OLD is a marked copy: another address than earlier lookups gave, with all metadata in
	 * common. Its generation is stamped already.
	 */
	void (*drop)(void *ctx, const struct memslot *old);
	/* The set with this generation is active and stamped (MMIO wrap check). */
	void (*updated)(void *ctx, unsigned as_id, uint64_t generation);
	/*
	 * The change is done, readers of the old state are gone. FLAGS: adjust mappings. One of
	 * old, new may be NULL. OLD, as it was before the change, is freed on return; after FLAGS
	 * both have counts and reverse maps in common, and after whatever leaves logging on, the
	 * dirty bitmap.
	 */
	void (*commit)(void *ctx, enum slot_change change, const struct memslot *old,
		       const struct memslot *new_slot);
};

struct slots {
	pthread_mutex_t lock; /* serialises updates and dirty-log reads */
	const struct vmmu_geometry *geometry;
	unsigned max_level; /* largest leaf level in use: counts exist for 2..max_level */
	unsigned as_count;
	/*
	 * Slots have reverse maps; true from slots_init() on. An owner who does without clears it
	 * before there are slots. See slots_make_rmaps()
	 */
	atomic_bool has_rmaps;
	/* Dirty bitmaps begin with all bits set. The owner's to set, before there are slots. */
	bool is_initially_dirty;
	/* Slots that log have no bitmaps: the owner has another place for it. Likewise. */
	bool has_no_bitmaps;
	_Atomic(struct slot_set *) active[VMMU_ADDRESS_SPACES_MAX];
	/* NULL: nothing is private; written under the lock */
	_Atomic(struct attributes *) attributes;
	struct slots_hooks hooks;
	/* Private to slots.c. */
	/* active[] points to one of each two */
	struct slot_set sets[VMMU_ADDRESS_SPACES_MAX][2];
	/* under the lock; NULL where there is no slot */
	struct memslot **by_id[VMMU_ADDRESS_SPACES_MAX];
	/* ids that by_id has room for */
	size_t id_capacity[VMMU_ADDRESS_SPACES_MAX];
};

/* A vCPU's last used slot. Zero-initialised: empty. */
struct slot_cache {
	const struct slot_set *set;
	uint64_t generation;
	struct memslot *slot;
	/* *slot, which never changes but for its metadata's contents; see slot_cache_find() */
	struct memslot copy;
};

/*
 * max_level: largest mapping in use. HOOKS is copied; it and any of its functions may be NULL.
 * -EINVAL: max_level or as_count out of range; -ENOMEM.
 */
int slots_init(struct slots *slots, const struct vmmu_geometry *geometry, unsigned max_level,
	       unsigned as_count, const struct slots_hooks *hooks);
/* No reader may be left. */
void slots_destroy(struct slots *slots);
/* Everything vmmu_slot_set() promises but the poison check. Takes slots->lock. */
int slots_set(struct slots *slots, const struct vmmu_slot *slot);
/*
 * From now on slots have reverse maps, those that are there too. Takes slots->lock. -ENOMEM:
 * nothing changed.
 */
int slots_make_rmaps(struct slots *slots);
/* Do slots have reverse maps? Pairs with the release in slots_make_rmaps(): then they are there. */
static inline bool slots_have_rmaps(const struct slots *slots)
{
	return atomic_load_explicit(&slots->has_rmaps, memory_order_acquire);
}
/* With slots->lock held: the slot, or NULL. */
struct memslot *slots_by_id(struct slots *slots, unsigned as_id, unsigned id);

/* The active set, to be used inside one RCU read section (or with slots->lock held). */
static inline const struct slot_set *slots_active(const struct slots *slots, unsigned as_id)
{
	return atomic_load_explicit(&slots->active[as_id], memory_order_acquire);
}

/* The set's generation, UPDATING bit included. Sets live as long as their VM: no RCU needed. */
static inline uint64_t slot_set_generation(const struct slot_set *set)
{
	return atomic_load_explicit(&set->generation, memory_order_acquire);
}

/* Does gfn lie in SLOT? */
static inline bool memslot_has(const struct memslot *slot, uint64_t gfn)
{
	return gfn - slot->base_gfn < slot->gfns;
}

/* slot_set_find() by search, the cache only refilled. */
struct memslot *slot_set_search(const struct slot_set *set, uint64_t gfn, struct slot_cache *cache);

/*
 * A set never has the same generation again after a change, and a slot lives at least as long as a
 * set that has it: an equal generation of the same set means that the cached slot is still in it.
 * Both must be compared, since two address spaces count on their own.
 */
static inline bool slot_cache_is_of(const struct slot_cache *cache, const struct slot_set *set)
{
	bool is_of = cache->set == set && cache->generation == slot_set_generation(set);

	/* Whoever says which set it is of gives it a slot as well. */
	if (is_of && !cache->slot)
		__builtin_unreachable();
	return is_of;
}

/*
 * The slot that holds gfn (an invalid one too), or NULL. O(log n); the cache is tried first and
 * refilled. CACHE may be NULL.
 */
static inline struct memslot *slot_set_find(const struct slot_set *set, uint64_t gfn,
					    struct slot_cache *cache)
{
	if (cache && slot_cache_is_of(cache, set) && memslot_has(cache->slot, gfn))
		return cache->slot;
	return slot_set_search(set, gfn, cache);
}

/*
 * For readers outside RCU: does CACHE hold the slot of gfn in SET, which was active a moment ago?
 * Then cache->copy says what the slot is, and cache->slot stays where it is for as long as SET is
 * active with cache->generation: whoever follows it must see to that first, under the mmu lock.
 *
 * 	here                                   slot update
 * 	set = active                       other set: changed; active, with another generation
 * 	generation = set's; equal?         readers waited for; from now on SET may be changed
 *
 * Only what is ours is read of the slot, and a set that is no longer active still tells the
 * generation that it had when it was: the answer is right for some moment between the two loads.
 */
static inline bool slot_cache_find(const struct slot_cache *cache, const struct slot_set *set,
				   uint64_t gfn)
{
	return slot_cache_is_of(cache, set) && memslot_has(&cache->copy, gfn);
}
/* Index in by_gfn of the first slot that ends after gfn. */
size_t slot_set_first(const struct slot_set *set, uint64_t gfn);

/* A part of a slot, in gfns, half-open. */
struct slot_range {
	struct memslot *slot;
	uint64_t start, end;
};

/*
 * Call FN for the part of each slot of SET that hvas [start, end) (bytes) reach; aliased ranges
 * give several. Stops when FN returns non-zero and returns that. O(log n + matches) when slots'
 * hvas do not overlap much.
 */
int slot_set_for_hva(const struct slot_set *set, const struct slots *slots, uint64_t start,
		     uint64_t end, int (*fn)(void *ctx, const struct slot_range *range), void *ctx);

/* The slot's address for gfn (bytes). */
static inline uint64_t memslot_hva(const struct memslot *slot, uint64_t gfn, unsigned page_shift)
{
	return slot->hva + ((gfn - slot->base_gfn) << page_shift);
}

/* How many entries at LEVEL the slot's metadata has, and the index of gfn among them. */
static inline uint64_t memslot_index(const struct memslot *slot,
				     const struct vmmu_geometry *geometry, uint64_t gfn,
				     unsigned level)
{
	unsigned lg2 = geometry->shift[level] - geometry->page_shift;

	return (gfn >> lg2) - (slot->base_gfn >> lg2);
}

/* Which gfns are private now: under RCU, or with slots->lock held. NULL: none. */
static inline const struct attributes *slots_attributes(const struct slots *slots)
{
	return atomic_load_explicit(&slots->attributes, memory_order_acquire);
}

/* Is the page at LEVEL over gfn, as far as SLOT goes, private in part? */
bool memslot_is_mixed(const struct memslot *slot, const struct vmmu_geometry *geometry,
		      const struct attributes *attributes, uint64_t gfn, unsigned level);
/*
 * Say in SLOT's metadata, of each larger page that meets gfns [start, end), whether it is so. Mmu
 * lock held, or SLOT in no set.
 */
void memslot_mix(struct memslot *slot, const struct vmmu_geometry *geometry,
		 const struct attributes *attributes, uint64_t start, uint64_t end);
/* Largest level <= max at which nothing forbids a page over gfn (1 if none larger). */
unsigned memslot_max_level(const struct memslot *slot, const struct vmmu_geometry *geometry,
			   uint64_t gfn, unsigned max);
/* Add DELTA (+1, -1) to the why-not counts of every level >= 2 over gfn. Mmu lock held. */
void memslot_lpage_add(struct memslot *slot, const struct vmmu_geometry *geometry, uint64_t gfn,
		       int delta);

#endif
