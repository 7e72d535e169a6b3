/* SPDX-License-Identifier: MIT */
/*
 * Updates of memslots.
 *
 * An update allocates all that it needs, and from then on cannot fail. Each step of it changes the
 * idle set, publishes it, waits until no reader is left in the other, which thereby becomes the
 * idle one, and stamps the new generation:
 *
 * 	CREATE, FLAGS   idle: old -> new, publish;  idle: old -> new
 * 	DELETE, MOVE    idle: old -> invalid, publish, drop;  idle: old -> new, publish;  idle:
 * invalid -> new
 *
 * Between updates both sets hold the same slots. Only after the last step is the old slot freed:
 * readers of the set that still held it are gone since the publication before.
 */
#include "memory/slots.h"

#include <errno.h>

#include "base/bits.h"
#include "base/mem.h"
#include "base/sync.h"
#include "memory/dirty_log.h"
#include "memory/metadata.h"

#define SLOT_FLAGS_KNOWN ((unsigned)VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY)
#define ID_CAPACITY_MIN  16

/* All that one update needs. What is in here is owned by the update until it is applied. */
struct slot_update {
	enum slot_change change;
	unsigned as_id, id;
	struct memslot *old;      /* in both sets; NULL: CREATE */
	struct memslot *new_slot; /* NULL: DELETE */
	struct memslot *invalid;  /* DELETE, MOVE: old's copy, marked; all metadata in common */
	struct slot_arrays arrays[2];
	struct memslot **ids; /* by_id, grown; NULL: it is large enough */
	size_t id_capacity;
};

int slots_init(struct slots *slots, const struct vmmu_geometry *geometry, unsigned max_level,
	       unsigned as_count, const struct slots_hooks *hooks)
{
	if (!max_level || max_level > geometry->levels || !as_count ||
	    as_count > VMMU_ADDRESS_SPACES_MAX)
		return -EINVAL;
	*slots = (struct slots){
		.geometry = geometry,
		.max_level = max_level,
		.as_count = as_count,
	};
	if (hooks)
		slots->hooks = *hooks;
	atomic_init(&slots->has_rmaps, true);
	if (pthread_mutex_init(&slots->lock, NULL))
		return -ENOMEM;
	/* Address space i counts i, i + as_count, ...: no two ever have a generation in common. */
	for (unsigned as_id = 0; as_id < as_count; as_id++) {
		atomic_init(&slots->sets[as_id][0].generation, as_id);
		atomic_init(&slots->active[as_id], &slots->sets[as_id][0]);
	}
	return 0;
}

void slots_destroy(struct slots *slots)
{
	for (unsigned as_id = 0; as_id < slots->as_count; as_id++) {
		const struct slot_set *set = slots_active(slots, as_id);

		for (size_t i = 0; i < set->count; i++) {
			struct memslot *slot = set->by_gfn[i];

			memslot_metadata_free(slot);
			mem_free(slot->dirty);
			mem_free(slot);
		}
		slot_set_destroy(&slots->sets[as_id][0]);
		slot_set_destroy(&slots->sets[as_id][1]);
		mem_free(slots->by_id[as_id]);
	}
	mem_free(atomic_load_explicit(&slots->attributes, memory_order_relaxed));
	pthread_mutex_destroy(&slots->lock);
}

struct memslot *slots_by_id(struct slots *slots, unsigned as_id, unsigned id)
{
	if (as_id >= slots->as_count || id >= slots->id_capacity[as_id])
		return NULL;
	return slots->by_id[as_id][id];
}

/* The checks that need no look at what there is, in the order that vmmu_slot_set() documents. */
static int slot_check(const struct slots *slots, const struct vmmu_slot *slot)
{
	uint64_t page = BIT64(slots->geometry->page_shift);

	if (slot->flags & ~SLOT_FLAGS_KNOWN)
		return -EINVAL;
	if (!is_aligned(slot->bytes, page) || !is_aligned(slot->gpa, page) ||
	    !is_aligned(slot->hva, page))
		return -EINVAL;
	/* An end of 2^64 is a wrap too: ends are 64-bit numbers everywhere. */
	if (slot->hva + slot->bytes < slot->hva)
		return -EINVAL;
	if (slot->as_id >= slots->as_count || slot->id >= VMMU_SLOT_IDS)
		return -EINVAL;
	if (slot->gpa + slot->bytes < slot->gpa)
		return -EINVAL;
	if (slot->bytes >> slots->geometry->page_shift > VMMU_SLOT_GFNS_MAX)
		return -EINVAL;
	return 0;
}

/* What SLOT asks for, given OLD (or NULL). 1 and *change; 0: nothing to do; -EINVAL. */
static int slot_classify(const struct slots *slots, const struct vmmu_slot *slot,
			 const struct memslot *old, enum slot_change *change)
{
	unsigned shift = slots->geometry->page_shift;

	if (!slot->bytes) {
		*change = SLOT_DELETE;
		return old ? 1 : -EINVAL;
	}
	if (!old) {
		*change = SLOT_CREATE;
		return 1;
	}
	if (old->hva != slot->hva || old->gfns != slot->bytes >> shift ||
	    (old->flags ^ slot->flags) & VMMU_SLOT_READ_ONLY)
		return -EINVAL;
	if (old->base_gfn != slot->gpa >> shift) {
		*change = SLOT_MOVE;
		return 1;
	}
	*change = SLOT_FLAGS;
	return old->flags != slot->flags;
}

/* Does SLOT's range meet that of a slot with another id? */
static bool slot_overlaps(const struct slots *slots, const struct vmmu_slot *slot)
{
	const struct slot_set *set = slots_active(slots, slot->as_id);
	unsigned shift = slots->geometry->page_shift;
	uint64_t end = (slot->gpa + slot->bytes) >> shift;

	for (size_t i = slot_set_first(set, slot->gpa >> shift);
	     i < set->count && set->by_gfn[i]->base_gfn < end; i++) {
		if (set->by_gfn[i]->id != slot->id)
			return true;
	}
	return false;
}

/* A memslot as SLOT describes it, without metadata; NULL when there is no memory. */
static struct memslot *memslot_make(const struct slots *slots, const struct vmmu_slot *slot)
{
	struct memslot *new_slot = mem_alloc(sizeof(*new_slot));

	if (!new_slot)
		return NULL;
	new_slot->base_gfn = slot->gpa >> slots->geometry->page_shift;
	new_slot->gfns = slot->bytes >> slots->geometry->page_shift;
	new_slot->hva = slot->hva;
	new_slot->flags = slot->flags;
	new_slot->id = (uint16_t)slot->id;
	new_slot->as_id = (uint8_t)slot->as_id;
	return new_slot;
}

/*
 * Free what hangs on SLOT alone, and SLOT. KEPT, the other side of the update, lives on:
 * re-flagging has the counts and reverse maps in common, and a dirty log outlives whatever
 * change leaves logging on, or pages written before a move would be lost to whoever copies the
 * guest.
 */
static void memslot_discard(struct memslot *slot, const struct memslot *kept,
			    enum slot_change change)
{
	if (!slot)
		return;
	if (change != SLOT_FLAGS)
		memslot_metadata_free(slot);
	if (!kept || kept->dirty != slot->dirty)
		mem_free(slot->dirty);
	mem_free(slot);
}

/* Give back what update_prepare() made; nothing of it is in use. */
static void update_cancel(struct slot_update *update)
{
	memslot_discard(update->new_slot, update->old, update->change);
	mem_free(update->invalid);
	slot_arrays_free(&update->arrays[0]);
	slot_arrays_free(&update->arrays[1]);
	mem_free(update->ids);
}

/* The dirty log of NEW_SLOT, which logs: the one that is there, or a new one. */
static int prepare_dirty(const struct slots *slots, const struct memslot *old,
			 struct memslot *new_slot)
{
	if (old && old->dirty) {
		new_slot->dirty = old->dirty;
		return 0;
	}
	if (slots->has_no_bitmaps)
		return 0;
	if (memslot_dirty_make(new_slot))
		return -ENOMEM;
	if (slots->is_initially_dirty)
		memslot_dirty_fill(new_slot);
	return 0;
}

static int prepare_new_slot(const struct slots *slots, const struct vmmu_slot *slot,
			    struct slot_update *update)
{
	const struct memslot *old = update->old;
	struct memslot *new_slot = memslot_make(slots, slot);

	update->new_slot = new_slot;
	if (!new_slot)
		return -ENOMEM;
	for (unsigned level = 0; update->change == SLOT_FLAGS && level <= VMMU_LEVELS_MAX;
	     level++) {
		new_slot->lpage[level] = old->lpage[level];
		new_slot->rmap[level] = old->rmap[level];
	}
	if (update->change != SLOT_FLAGS &&
	    memslot_metadata_make(new_slot, slots->geometry, slots->max_level))
		return -ENOMEM;
	if (update->change != SLOT_FLAGS && slots_attributes(slots))
		memslot_mix(new_slot, slots->geometry, slots_attributes(slots), 0, UINT64_MAX);
	if (update->change != SLOT_FLAGS && slots_have_rmaps(slots) &&
	    memslot_rmaps_make(new_slot, slots->geometry, slots->max_level))
		return -ENOMEM;
	return slot->flags & VMMU_SLOT_LOG_DIRTY ? prepare_dirty(slots, old, new_slot) : 0;
}

/* Room for ID in by_id: what there is, doubled until it suffices. */
static int prepare_ids(const struct slots *slots, struct slot_update *update)
{
	size_t have = slots->id_capacity[update->as_id];
	size_t capacity = have ? have : ID_CAPACITY_MIN;

	if (update->id < have)
		return 0;
	while (capacity <= update->id)
		capacity *= 2;
	update->ids = mem_alloc_array(capacity, sizeof(*update->ids));
	if (!update->ids)
		return -ENOMEM;
	for (size_t id = 0; id < have; id++)
		update->ids[id] = slots->by_id[update->as_id][id];
	update->id_capacity = capacity;
	return 0;
}

static int prepare_room(const struct slots *slots, struct slot_update *update)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct slot_set *set = &slots->sets[update->as_id][i];

		if (slot_set_reserve(set, set->count + 1, &update->arrays[i]))
			return -ENOMEM;
	}
	return prepare_ids(slots, update);
}

static int prepare_invalid(struct slot_update *update)
{
	update->invalid = mem_alloc(sizeof(*update->invalid));
	if (!update->invalid)
		return -ENOMEM;
	*update->invalid = *update->old;
	update->invalid->invalid = true;
	return 0;
}

/* Allocate everything. -ENOMEM: nothing is left allocated. */
static int update_prepare(const struct slots *slots, const struct vmmu_slot *slot,
			  struct slot_update *update)
{
	int ret = 0;

	if (update->change != SLOT_DELETE)
		ret = prepare_new_slot(slots, slot, update);
	if (!ret && update->change == SLOT_CREATE)
		ret = prepare_room(slots, update);
	if (!ret && (update->change == SLOT_DELETE || update->change == SLOT_MOVE))
		ret = prepare_invalid(update);
	if (ret)
		update_cancel(update);
	return ret;
}

/* In the set that no reader is in: OLD goes, NEW_SLOT comes; either may be NULL. */
static struct slot_set *update_idle(struct slots *slots, struct slot_update *update,
				    const struct memslot *old, struct memslot *new_slot)
{
	struct slot_set *sets = slots->sets[update->as_id];
	unsigned idle = slots_active(slots, update->as_id) == &sets[0];

	slot_set_adopt(&sets[idle], &update->arrays[idle]);
	slot_set_change(&sets[idle], slots, old, new_slot);
	return &sets[idle];
}

/*
 * Make NEXT the active set. From the moment a reader can see it until all readers of the other set
 * are gone, its generation has the UPDATING bit: who looked up a slot in the old set and reads the
 * generation of the new one must not cache what it found.
 */
static void update_publish(struct slots *slots, unsigned as_id, struct slot_set *next)
{
	const struct slots_hooks *hooks = &slots->hooks;
	uint64_t generation = slot_set_generation(slots_active(slots, as_id));

	atomic_store_explicit(&next->generation, generation | SLOTS_GEN_UPDATING,
			      memory_order_relaxed);
	if (hooks->publish_begin)
		hooks->publish_begin(hooks->ctx);
	/* Pairs with the acquire in slots_active(): who sees the set sees what is in it. */
	atomic_store_explicit(&slots->active[as_id], next, memory_order_release);
	if (hooks->publish_end)
		hooks->publish_end(hooks->ctx);
	sync_wait_readers();
	generation += slots->as_count;
	atomic_store_explicit(&next->generation, generation, memory_order_release);
	if (hooks->updated)
		hooks->updated(hooks->ctx, as_id, generation);
}

static void update_ids(struct slots *slots, struct slot_update *update)
{
	if (update->ids) {
		mem_free(slots->by_id[update->as_id]);
		slots->by_id[update->as_id] = update->ids;
		slots->id_capacity[update->as_id] = update->id_capacity;
	}
	slots->by_id[update->as_id][update->id] = update->new_slot;
}

/* Cannot fail. */
static void update_apply(struct slots *slots, struct slot_update *update)
{
	const struct slots_hooks *hooks = &slots->hooks;
	struct memslot *old = update->old, *other = old;

	if (update->invalid) {
		update_publish(slots, update->as_id,
			       update_idle(slots, update, old, update->invalid));
		if (hooks->drop)
			hooks->drop(hooks->ctx, update->invalid);
		/* The set published just now is the one to be changed last. */
		other = update->invalid;
	}
	update_publish(slots, update->as_id, update_idle(slots, update, old, update->new_slot));
	update_idle(slots, update, other, update->new_slot);
	update_ids(slots, update);
	if (hooks->commit)
		hooks->commit(hooks->ctx, update->change, old, update->new_slot);
	memslot_discard(old, update->new_slot, update->change);
	mem_free(update->invalid);
}

static int slots_set_locked(struct slots *slots, const struct vmmu_slot *slot)
{
	struct slot_update update = {.as_id = slot->as_id, .id = slot->id};
	int ret;

	update.old = slots_by_id(slots, slot->as_id, slot->id);
	ret = slot_classify(slots, slot, update.old, &update.change);
	if (ret <= 0)
		return ret;
	if (slot->bytes && slot_overlaps(slots, slot))
		return -EEXIST;
	ret = update_prepare(slots, slot, &update);
	if (!ret)
		update_apply(slots, &update);
	return ret;
}

/* With the slots lock held. What a failure leaves behind is freed by the caller. */
static int slots_fill_rmaps(struct slots *slots)
{
	for (unsigned as_id = 0; as_id < slots->as_count; as_id++) {
		const struct slot_set *set = slots_active(slots, as_id);

		for (size_t i = 0; i < set->count; i++)
			if (memslot_rmaps_make(set->by_gfn[i], slots->geometry, slots->max_level))
				return -ENOMEM;
	}
	return 0;
}

static void slots_free_rmaps(struct slots *slots)
{
	for (unsigned as_id = 0; as_id < slots->as_count; as_id++) {
		const struct slot_set *set = slots_active(slots, as_id);

		for (size_t i = 0; i < set->count; i++)
			memslot_rmaps_free(set->by_gfn[i]);
	}
}

int slots_make_rmaps(struct slots *slots)
{
	int ret = 0;

	pthread_mutex_lock(&slots->lock);
	if (!slots_have_rmaps(slots)) {
		ret = slots_fill_rmaps(slots);
		if (ret)
			slots_free_rmaps(slots);
		else
			atomic_store_explicit(&slots->has_rmaps, true, memory_order_release);
	}
	pthread_mutex_unlock(&slots->lock);
	return ret;
}

int slots_set(struct slots *slots, const struct vmmu_slot *slot)
{
	int ret = slot_check(slots, slot);

	if (ret)
		return ret;
	pthread_mutex_lock(&slots->lock);
	ret = slots_set_locked(slots, slot);
	pthread_mutex_unlock(&slots->lock);
	return ret;
}
