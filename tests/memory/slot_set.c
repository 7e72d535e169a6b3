/* SPDX-License-Identifier: MIT */
/*
 * Looking slots up: by gfn, by hva, through a vCPU's cache; and all of it at random against a
 * flat model.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/sanitize.h"
#include "memory/geometries.h"
#include "memory/slots.h"

static struct slots slots;
static size_t live_before;

static void setup(void)
{
	live_before = mem_live();
	cr_assert_eq(slots_init(&slots, &geometry_4k, 3, 2, NULL), 0);
}

static void teardown(void)
{
	slots_destroy(&slots);
	cr_assert_eq(mem_live(), live_before, "slots leaked");
}

TestSuite(slot_set, .init = setup, .fini = teardown);

/* Slot ID of address space 0; all in pages. */
static void set(unsigned id, uint64_t gfn, uint64_t gfns, uint64_t hva_gfn)
{
	struct vmmu_slot slot = {
		.id = id, .gpa = gfn << 12, .bytes = gfns << 12, .hva = hva_gfn << 12};

	cr_assert_eq(slots_set(&slots, &slot), 0);
}

static const struct slot_set *active(void)
{
	return slots_active(&slots, 0);
}

Test(slot_set, find__meets_first_and_last_page_only)
{
	set(1, 100, 10, 0);
	set(2, 110, 1, 0);
	set(3, 200, 10, 0);
	cr_assert_null(slot_set_find(active(), 99, NULL));
	cr_assert_eq(slot_set_find(active(), 100, NULL)->id, 1);
	cr_assert_eq(slot_set_find(active(), 109, NULL)->id, 1);
	cr_assert_eq(slot_set_find(active(), 110, NULL)->id, 2);
	cr_assert_null(slot_set_find(active(), 111, NULL));
	cr_assert_null(slot_set_find(active(), 199, NULL));
	cr_assert_eq(slot_set_find(active(), 209, NULL)->id, 3);
	cr_assert_null(slot_set_find(active(), 210, NULL));
	cr_assert_null(slot_set_find(active(), 0, NULL));
	cr_assert_null(slot_set_find(active(), UINT64_MAX, NULL));
}

Test(slot_set, first__is_the_slot_that_ends_after)
{
	cr_assert_eq(slot_set_first(active(), 0), 0);
	set(1, 100, 10, 0);
	set(3, 200, 10, 0);
	set(2, 110, 1, 0);
	cr_assert_eq(slot_set_first(active(), 0), 0);
	cr_assert_eq(slot_set_first(active(), 109), 0);
	cr_assert_eq(slot_set_first(active(), 110), 1);
	cr_assert_eq(slot_set_first(active(), 111), 2);
	cr_assert_eq(slot_set_first(active(), 209), 2);
	cr_assert_eq(slot_set_first(active(), 210), 3);
	cr_assert_eq(slot_set_first(active(), UINT64_MAX), 3);
}

Test(slot_set, cache__remembers_the_last_slot_found)
{
	struct slot_cache cache = {0};
	struct memslot *first;

	set(1, 100, 10, 0);
	set(2, 200, 10, 0);
	first = slot_set_find(active(), 105, &cache);
	cr_assert_eq(cache.slot, first);
	cr_assert_eq(cache.set, active());
	cr_assert_eq(cache.generation, 4);
	/* A miss leaves it. */
	cr_assert_null(slot_set_find(active(), 150, &cache));
	cr_assert_eq(cache.slot, first);
	cr_assert_eq(slot_set_find(active(), 109, &cache), first);
	cr_assert_eq(slot_set_find(active(), 200, &cache)->id, 2);
	cr_assert_eq(cache.slot->id, 2);
}

Test(slot_set, cached_slot__is_asked_before_the_set)
{
	struct memslot *first, *second;
	struct slot_cache cache;

	set(1, 100, 10, 0);
	set(2, 200, 10, 0);
	first = slot_set_find(active(), 100, NULL);
	second = slot_set_find(active(), 200, NULL);
	/* Only a search could find the second; a hit is believed, which shows that it was one. */
	cache = (struct slot_cache){.set = active(), .generation = 4, .slot = first};
	cr_assert_eq(slot_set_find(active(), 205, &cache), second);
	active()->by_gfn[0] = NULL;
	cache = (struct slot_cache){.set = active(), .generation = 4, .slot = first};
	cr_assert_eq(slot_set_find(active(), 105, &cache), first);
	active()->by_gfn[0] = first;
}

Test(slot_set, cache_of_another_generation_or_set__is_not_believed)
{
	struct slot_cache cache = {0};
	struct memslot *old;
	struct vmmu_slot other = {.as_id = 1, .id = 7, .gpa = 100 << 12, .bytes = 10 << 12};

	set(1, 100, 10, 0);
	old = slot_set_find(active(), 105, &cache);
	/* Re-created elsewhere: the cached slot is freed memory by now. */
	set(1, 0, 0, 0);
	set(2, 105, 1, 0);
	cr_assert_null(slot_set_find(active(), 104, &cache));
	cr_assert_eq(slot_set_find(active(), 105, &cache)->id, 2);
	cr_assert_neq(cache.slot, old);
	/* The other address space: same gfns, another slot. */
	cr_assert_eq(slots_set(&slots, &other), 0);
	cr_assert_eq(slot_set_find(slots_active(&slots, 1), 105, &cache)->id, 7);
	cr_assert_eq(slot_set_find(active(), 105, &cache)->id, 2);
	/* Equal numbers are not enough when the set differs. */
	cache = (struct slot_cache){.set = active(),
				    .generation = slot_set_generation(slots_active(&slots, 1)),
				    .slot = slot_set_find(active(), 105, NULL)};
	cr_assert_eq(slot_set_find(slots_active(&slots, 1), 105, &cache)->id, 7);
}

Test(slot_set, copy_in_the_cache__says_what_the_slot_is)
{
	struct vmmu_slot logged = {
		.id = 1, .flags = VMMU_SLOT_LOG_DIRTY, .gpa = 100 << 12, .bytes = 10 << 12};
	struct slot_cache cache = {0};

	set(1, 100, 10, 0);
	cr_assert_not(slot_cache_find(&cache, active(), 105), "an empty cache knows nothing");
	cr_assert_not_null(slot_set_find(active(), 105, &cache));
	cr_assert(slot_cache_find(&cache, active(), 100));
	cr_assert(slot_cache_find(&cache, active(), 109));
	cr_assert_not(slot_cache_find(&cache, active(), 99));
	cr_assert_not(slot_cache_find(&cache, active(), 110));
	cr_assert_eq(cache.copy.id, 1);
	cr_assert_eq(cache.copy.base_gfn, 100);
	cr_assert_eq(cache.copy.flags, 0);
	/* Its flags change: what the copy says is over. */
	cr_assert_eq(slots_set(&slots, &logged), 0);
	cr_assert_not(slot_cache_find(&cache, active(), 105));
	cr_assert_not_null(slot_set_find(active(), 105, &cache));
	cr_assert(slot_cache_find(&cache, active(), 105));
	cr_assert_eq(cache.copy.flags, VMMU_SLOT_LOG_DIRTY);
}

Test(slot_set, cache_over_a_deletion__is_not_believed)
{
	struct slot_cache cache = {0};
	const struct slot_set *before;

	set(1, 100, 10, 0);
	before = active();
	cr_assert(slot_set_find(before, 105, &cache));
	set(1, 0, 0, 0);
	/* Two steps: the same set is active again, without the slot, which is freed. */
	cr_assert_eq(active(), before);
	cr_assert_null(slot_set_find(active(), 105, &cache));
}

/* What slot_set_for_hva() told, as text. */
struct told {
	char text[512];
	size_t bytes;
	unsigned calls, stop_at;
};

static int tell(void *ctx, const struct slot_range *range)
{
	struct told *told = ctx;

	told->bytes += (size_t)snprintf(
		told->text + told->bytes, sizeof(told->text) - told->bytes, "%u:%llu-%llu ",
		range->slot->id, (unsigned long long)range->start, (unsigned long long)range->end);
	return ++told->calls == told->stop_at ? -77 : 0;
}

static void check_hva(uint64_t start, uint64_t end, const char *expected)
{
	struct told told = {0};

	cr_assert_eq(slot_set_for_hva(active(), &slots, start, end, tell, &told), 0);
	cr_assert_str_eq(told.text, expected);
}

Test(slot_set, hva_range__is_cut_to_the_slot_and_widened_to_pages)
{
	set(1, 100, 10, 1000); /* hvas 0x3e8000..0x3f2000 */
	check_hva(0, UINT64_MAX, "1:100-110 ");
	check_hva(0x3e8000, 0x3f2000, "1:100-110 ");
	check_hva(0x3e9000, 0x3eb000, "1:101-103 ");
	check_hva(0x3e9fff, 0x3ea001, "1:101-103 ");
	check_hva(0x3e9001, 0x3e9002, "1:101-102 ");
	check_hva(0x3f1fff, 0x3f2000, "1:109-110 ");
	check_hva(0x3f1fff, 0x400000, "1:109-110 ");
	check_hva(0, 0x3e8001, "1:100-101 ");
	check_hva(0, 0x3e8000, "");
	check_hva(0x3f2000, UINT64_MAX, "");
	check_hva(0x3e9000, 0x3e9000, "");
	check_hva(0x3ea000, 0x3e9000, "");
}

Test(slot_set, aliased_hvas__give_every_slot)
{
	set(1, 100, 10, 1000);
	set(2, 200, 10, 1000);
	set(3, 300, 10, 1005);
	check_hva(1005 << 12, 1006 << 12, "1:105-106 2:205-206 3:300-301 ");
	check_hva(1011 << 12, 1012 << 12, "3:306-307 ");
}

Test(slot_set, aliased_hvas__in_the_order_in_which_they_were_set)
{
	struct vmmu_slot slot = {.id = 1, .gpa = 100 << 12, .bytes = 20 << 12, .hva = 1000 << 12};

	set(3, 300, 10, 1000);
	set(1, 100, 20, 1000);
	set(2, 200, 10, 1000);
	check_hva(1005 << 12, 1006 << 12, "3:305-306 1:105-106 2:205-206 ");
	/* Changed at the same place, it is the last; the others are found as before. */
	slot.flags = VMMU_SLOT_LOG_DIRTY;
	cr_assert_eq(slots_set(&slots, &slot), 0);
	check_hva(1005 << 12, 1006 << 12, "3:305-306 2:205-206 1:105-106 ");
	check_hva(1015 << 12, 1016 << 12, "1:115-116 ");
	set(2, 0, 0, 0);
	check_hva(1005 << 12, 1006 << 12, "3:305-306 1:105-106 ");
}

Test(slot_set, long_slot_before_short_ones__is_not_missed)
{
	/* The long one begins first and ends last: a search by ends alone would start behind it. */
	set(1, 0, 1000, 5000);
	for (unsigned i = 0; i < 20; i++)
		set(2 + i, 2000 + i * 10, 2, 5010 + i * 10);
	check_hva(5900 << 12, 5901 << 12, "1:900-901 ");
	check_hva(5101 << 12, 5102 << 12, "1:101-102 11:2091-2092 ");
	/* And once it is gone. */
	set(1, 0, 0, 0);
	check_hva(5900 << 12, 5901 << 12, "");
	check_hva(5101 << 12, 5102 << 12, "11:2091-2092 ");
}

Test(slot_set, callback_that_stops__is_the_result)
{
	struct told told = {.stop_at = 2};

	set(1, 100, 10, 1000);
	set(2, 200, 10, 1001);
	set(3, 300, 10, 1002);
	cr_assert_eq(slot_set_for_hva(active(), &slots, 0, UINT64_MAX, tell, &told), -77);
	cr_assert_str_eq(told.text, "1:100-110 2:200-210 ");
}

Test(slot_set, last_hvas__do_not_wrap)
{
	struct vmmu_slot slot = {.id = 1, .bytes = 0x2000, .hva = 0xffffffffffffd000};

	cr_assert_eq(slots_set(&slots, &slot), 0);
	check_hva(0xffffffffffffe001, UINT64_MAX, "1:1-2 ");
	check_hva(0xfffffffffffff000, UINT64_MAX, "");
}

/*
 * The flat model: slots as a table, looked through from end to end.
 */
#define MODEL_GFNS  200
#define MODEL_IDS   24
#define MODEL_STEPS 3000

struct model_slot {
	bool live;
	uint64_t gfn, gfns, hva_gfn;
	unsigned flags;
};

static struct model_slot model[2][MODEL_IDS];
static uint64_t model_generation[2];
static struct slot_cache model_cache[2];

static int model_overlap(unsigned as_id, const struct model_slot *slot, unsigned id)
{
	for (unsigned i = 0; i < MODEL_IDS; i++) {
		const struct model_slot *other = &model[as_id][i];

		if (i != id && other->live && other->gfn < slot->gfn + slot->gfns &&
		    slot->gfn < other->gfn + other->gfns)
			return -EEXIST;
	}
	return 0;
}

/* Does to the model what the documentation says, and returns what it says. */
static int model_set(unsigned as_id, unsigned id, const struct model_slot *slot)
{
	struct model_slot *old = &model[as_id][id];
	unsigned steps = 1;
	int ret;

	if (!slot->gfns) {
		if (!old->live)
			return -EINVAL;
		old->live = false;
		model_generation[as_id] += 4;
		return 0;
	}
	if (old->live && (old->gfns != slot->gfns || old->hva_gfn != slot->hva_gfn ||
			  (old->flags & 2) != (slot->flags & 2)))
		return -EINVAL;
	if (old->live && old->gfn == slot->gfn && old->flags == slot->flags)
		return 0;
	ret = model_overlap(as_id, slot, id);
	if (ret)
		return ret;
	if (old->live && old->gfn != slot->gfn)
		steps = 2;
	*old = *slot;
	old->live = true;
	model_generation[as_id] += 2 * steps;
	return 0;
}

static void check_gfns(unsigned as_id)
{
	const struct slot_set *set = slots_active(&slots, as_id);

	for (uint64_t gfn = 0; gfn < MODEL_GFNS + 20; gfn++) {
		const struct memslot *found = slot_set_find(set, gfn, &model_cache[as_id]);
		unsigned id = 0;

		while (id < MODEL_IDS && !(model[as_id][id].live && model[as_id][id].gfn <= gfn &&
					   gfn < model[as_id][id].gfn + model[as_id][id].gfns))
			id++;
		if (id == MODEL_IDS) {
			cr_assert_null(found);
			continue;
		}
		cr_assert(found);
		cr_assert_eq(found->id, id);
		cr_assert_eq(found->as_id, as_id);
		cr_assert_eq(found->flags, model[as_id][id].flags);
		cr_assert_not(found->invalid);
		cr_assert_eq(memslot_hva(found, gfn, 12) >> 12,
			     model[as_id][id].hva_gfn + gfn - model[as_id][id].gfn);
	}
}

/* Order and running maximum, of the set that is not active too. */
static void check_order(unsigned as_id)
{
	for (unsigned s = 0; s < 2; s++) {
		const struct slot_set *set = &slots.sets[as_id][s];
		uint64_t reach = 0;

		for (size_t i = 0; i < set->count; i++) {
			uint64_t end = set->by_hva[i]->hva + (set->by_hva[i]->gfns << 12);

			reach = end > reach ? end : reach;
			cr_assert_eq(set->hva_reach[i], reach);
			cr_assert(!i || set->by_hva[i - 1]->hva <= set->by_hva[i]->hva);
			cr_assert(!i || set->by_gfn[i - 1]->base_gfn < set->by_gfn[i]->base_gfn);
		}
	}
}

static uint64_t hva_hits[MODEL_IDS][2];

static int note_hit(void *ctx, const struct slot_range *range)
{
	unsigned id = range->slot->id;

	(void)ctx;
	cr_assert_eq(hva_hits[id][1], 0, "told twice");
	hva_hits[id][0] = range->start;
	hva_hits[id][1] = range->end;
	return 0;
}

static void check_hvas(unsigned as_id, struct random_state *random)
{
	uint64_t start = random_below(random, 150), end = start + 1 + random_below(random, 10);

	memset(hva_hits, 0, sizeof(hva_hits));
	cr_assert_eq(slot_set_for_hva(slots_active(&slots, as_id), &slots, start << 12, end << 12,
				      note_hit, NULL),
		     0);
	for (unsigned id = 0; id < MODEL_IDS; id++) {
		const struct model_slot *slot = &model[as_id][id];
		uint64_t first = 0, past = 0;

		/* Page by page. */
		for (uint64_t i = 0; slot->live && i < slot->gfns; i++) {
			if (slot->hva_gfn + i < start || slot->hva_gfn + i >= end)
				continue;
			first = past ? first : slot->gfn + i;
			past = slot->gfn + i + 1;
		}
		cr_assert_eq(hva_hits[id][0], first);
		cr_assert_eq(hva_hits[id][1], past);
	}
}

/* Mostly something that makes sense for the slot as it is. */
static struct model_slot model_pick(const struct model_slot *old, struct random_state *random)
{
	struct model_slot slot = *old;

	if (!old->live || random_below(random, 16) == 0) {
		slot.gfn = random_below(random, MODEL_GFNS);
		slot.gfns = 1 + random_below(random, 20);
		slot.hva_gfn = random_below(random, 120);
		slot.flags = (unsigned)random_below(random, 4);
		return slot;
	}
	switch (random_below(random, 4)) {
	case 0:
		slot.gfns = 0;
		break;
	case 1:
		slot.flags ^= 1;
		break;
	default:
		slot.gfn = random_below(random, MODEL_GFNS);
		slot.flags ^= random_below(random, 8) == 0;
	}
	return slot;
}

Test(slot_set, random_updates__agree_with_a_flat_model)
{
	struct random_state random = random_start(3);

	model_generation[1] = 1;
	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		unsigned as_id = (unsigned)random_below(&random, 2);
		unsigned id = (unsigned)random_below(&random, MODEL_IDS);
		struct model_slot pick = model_pick(&model[as_id][id], &random);
		struct vmmu_slot slot = {.as_id = as_id,
					 .id = id,
					 .flags = pick.flags,
					 .gpa = pick.gfn << 12,
					 .bytes = pick.gfns << 12,
					 .hva = pick.hva_gfn << 12};

		cr_assert_eq(slots_set(&slots, &slot), model_set(as_id, id, &pick));
		cr_assert_eq(slot_set_generation(slots_active(&slots, as_id)),
			     model_generation[as_id]);
		check_gfns(as_id);
		check_hvas(as_id, &random);
		check_order(as_id);
	}
}

/* AddressSanitizer's memmove goes byte by byte: fewer there. */
#define MANY (BASE_HAS_ASAN ? 8191 : VMMU_SLOT_IDS)

/* All ids, in an order that visits them all: 12347 has no divisor in common with either MANY. */
static unsigned shuffled(unsigned i)
{
	return (unsigned)((uint64_t)i * 12347 % MANY);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

Test(slot_set, all_ids__are_created_and_found_quickly, .timeout = 30)
{
	struct random_state random = random_start(4);
	uint64_t start = now_ns(), created, found;

	for (unsigned i = 0; i < MANY; i++)
		set(shuffled(i), 3 * shuffled(i), 2, 5 * shuffled(i));
	created = now_ns();
	cr_assert_eq(active()->count, MANY);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t gfn = random_below(&random, 3 * MANY);
		const struct memslot *slot = slot_set_find(active(), gfn, NULL);

		if (gfn % 3 == 2)
			cr_assert_null(slot);
		else
			cr_assert_eq(slot->id, gfn / 3);
	}
	found = now_ns();
	check_hva(40000 << 12, 40006 << 12, "8000:24000-24002 8001:24003-24004 ");
	fprintf(stderr, "%u slots in %llu ms, a lookup in %llu ns\n", MANY,
		(unsigned long long)((created - start) / 1000000),
		(unsigned long long)((found - created) / 200000));
	/* Far above what it takes, far below what anything quadratic would. */
	cr_assert_lt(created - start, UINT64_C(20000000000));
}
