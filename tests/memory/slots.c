/* SPDX-License-Identifier: MIT */
/* Slot updates: errors and their order, kinds of change, generations, hooks. */
#include "memory/slots.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/failing_mem.h"
#include "memory/geometries.h"

static struct slots slots;
static size_t live_before;

/* What the hooks saw, in order, as text. */
static char journal[4096];
static size_t journal_bytes;

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	journal_bytes += (size_t)vsnprintf(journal + journal_bytes, sizeof(journal) - journal_bytes,
					   format, args);
	va_end(args);
	cr_assert_lt(journal_bytes, sizeof(journal));
}

/* " GENERATION" of address space 0's active set, with a + while an update is under way. */
static void note_generation(const char *what)
{
	uint64_t generation = slot_set_generation(slots_active(&slots, 0));

	note("%s %llu%s; ", what, (unsigned long long)(generation & ~SLOTS_GEN_UPDATING),
	     generation >> 63 ? "+" : "");
}

static void on_begin(void *ctx)
{
	(void)ctx;
	note_generation("begin");
}

static void on_end(void *ctx)
{
	(void)ctx;
	note_generation("end");
}

static void on_drop(void *ctx, const struct memslot *old)
{
	const struct slot_set *set = slots_active(&slots, old->as_id);
	const struct memslot *found = slot_set_find(set, old->base_gfn, NULL);

	(void)ctx;
	note("drop %u at %llx %s; ", old->id, (unsigned long long)old->base_gfn,
	     found && found->invalid ? "invalid" : "VALID");
}

static void on_updated(void *ctx, unsigned as_id, uint64_t generation)
{
	(void)ctx;
	cr_assert_eq(slot_set_generation(slots_active(&slots, as_id)), generation);
	note("updated %u: %llu; ", as_id, (unsigned long long)generation);
}

static void note_slot(const struct memslot *slot)
{
	if (slot)
		note(" %llx+%llx/%x", (unsigned long long)slot->base_gfn,
		     (unsigned long long)slot->gfns, slot->flags);
	else
		note(" -");
}

static void on_commit(void *ctx, enum slot_change change, const struct memslot *old,
		      const struct memslot *new_slot)
{
	static const char *const names[] = {"create", "delete", "move", "flags"};

	cr_assert_eq(ctx, &slots);
	note("%s", names[change]);
	note_slot(old);
	note_slot(new_slot);
	note(".");
	if (new_slot)
		cr_assert_eq(slots_by_id(&slots, new_slot->as_id, new_slot->id), new_slot);
	else
		cr_assert_null(slots_by_id(&slots, old->as_id, old->id));
}

static void check_journal(const char *expected)
{
	cr_assert_str_eq(journal, expected);
	journal_bytes = 0;
	journal[0] = 0;
}

static void start(const struct vmmu_geometry *geometry, unsigned as_count)
{
	static const struct slots_hooks hooks = {
		.ctx = &slots,
		.publish_begin = on_begin,
		.publish_end = on_end,
		.drop = on_drop,
		.updated = on_updated,
		.commit = on_commit,
	};

	live_before = mem_live();
	cr_assert_eq(slots_init(&slots, geometry, 2, as_count, &hooks), 0);
}

static void setup(void)
{
	start(&geometry_4k, 2);
}

static void teardown(void)
{
	failing_mem_stop();
	slots_destroy(&slots);
	cr_assert_eq(mem_live(), live_before, "slots leaked");
}

TestSuite(slots, .init = setup, .fini = teardown);

/* Slot ID of address space 0. */
static int set(unsigned id, uint64_t gpa, uint64_t bytes, uint64_t hva, unsigned flags)
{
	struct vmmu_slot slot = {.id = id, .gpa = gpa, .bytes = bytes, .hva = hva, .flags = flags};

	return slots_set(&slots, &slot);
}

static uint64_t generation(unsigned as_id)
{
	return slot_set_generation(slots_active(&slots, as_id));
}

static const struct memslot *find(uint64_t gfn)
{
	return slot_set_find(slots_active(&slots, 0), gfn, NULL);
}

Test(slots_init, bad_arguments__are_refused)
{
	cr_assert_eq(slots_init(&slots, &geometry_4k, 0, 1, NULL), -EINVAL);
	cr_assert_eq(slots_init(&slots, &geometry_4k, 5, 1, NULL), -EINVAL);
	cr_assert_eq(slots_init(&slots, &geometry_4k, 3, 0, NULL), -EINVAL);
	cr_assert_eq(slots_init(&slots, &geometry_4k, 3, 3, NULL), -EINVAL);
}

Test(slots_init, address_space_i__starts_at_generation_i)
{
	start(&geometry_4k, 2);
	cr_assert_eq(generation(0), 0);
	cr_assert_eq(generation(1), 1);
	cr_assert_eq(slots_active(&slots, 0)->count, 0);
	cr_assert_null(find(0));
	cr_assert_null(slots_by_id(&slots, 0, 0));
	teardown();
}

Test(slots_init, no_hooks__is_fine)
{
	live_before = mem_live();
	cr_assert_eq(slots_init(&slots, &geometry_4k, 2, 1, NULL), 0);
	cr_assert_eq(set(0, 0, 0x2000, 0, 0), 0);
	cr_assert_eq(set(0, 0x1000, 0x2000, 0, 0), 0);
	cr_assert_eq(set(0, 0, 0, 0, 0), 0);
	cr_assert_eq(generation(0), 5, "one address space: steps of 1");
	teardown();
}

Test(slots, each_bad_argument__is_refused_and_changes_nothing)
{
	static const struct vmmu_slot bad[] = {
		{.id = 1, .flags = 4, .bytes = 0x1000},
		{.id = 1, .flags = 0x80000000, .bytes = 0x1000},
		{.id = 1, .bytes = 0x1800},
		{.id = 1, .bytes = 0x1000, .gpa = 0x800},
		{.id = 1, .bytes = 0x1000, .hva = 1},
		{.id = 1, .bytes = 0x2000, .hva = 0xfffffffffffff000},
		{.id = 1, .bytes = 0x1000, .hva = 0xfffffffffffff000},
		{.id = 1, .as_id = 2, .bytes = 0x1000},
		{.id = 1, .as_id = ~0u, .bytes = 0x1000},
		{.id = 32764, .bytes = 0x1000},
		{.id = ~0u, .bytes = 0x1000},
		{.id = 1, .bytes = 0x2000, .gpa = 0xfffffffffffff000},
		{.id = 1, .bytes = 0x1000, .gpa = 0xfffffffffffff000},
		{.id = 1, .bytes = UINT64_C(0x80000000) << 12},
		{.id = 1, .bytes = 0},
		{.id = 32763, .bytes = 0},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		cr_assert_eq(slots_set(&slots, &bad[i]), -EINVAL, "case %u", i);
	check_journal("");
	cr_assert_eq(generation(0), 0);
	cr_assert_eq(mem_live(), live_before);
}

Test(slots, limits_themselves__are_allowed)
{
	/* The last id, the last page below the end of both address ranges. */
	cr_assert_eq(set(32763, 0xffffffffffffe000, 0x1000, 0xffffffffffffe000, 3), 0);
	cr_assert_eq(find(0xffffffffffffe)->id, 32763);
	cr_assert_null(find(0xfffffffffffff));
	/* The largest slot passes the checks; its metadata is too much to ask of a test. */
	failing_mem_after(0);
	cr_assert_eq(set(0, 0, UINT64_C(0x7fffffff) << 12, 0, 0), -ENOMEM);
}

Test(slots_init, alignment__is_to_the_formats_page)
{
	start(&geometry_64k, 1);
	cr_assert_eq(set(0, 0x1000, 0x10000, 0, 0), -EINVAL);
	cr_assert_eq(set(0, 0, 0x1000, 0, 0), -EINVAL);
	cr_assert_eq(set(0, 0, 0x10000, 0x1000, 0), -EINVAL);
	cr_assert_eq(set(0, 0x30000, 0x20000, 0x50000, 0), 0);
	cr_assert_eq(find(3)->gfns, 2);
	teardown();
}

Test(slots, existing_slot__cannot_change_size_hva_or_read_only)
{
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 0), 0);
	journal_bytes = 0;
	journal[0] = 0;
	cr_assert_eq(set(1, 0x10000, 0x5000, 0x50000, 0), -EINVAL);
	cr_assert_eq(set(1, 0x10000, 0x3000, 0x50000, 0), -EINVAL);
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x51000, 0), -EINVAL);
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 2), -EINVAL);
	cr_assert_eq(set(1, 0x20000, 0x4000, 0x50000, 2), -EINVAL, "nor while moving");
	cr_assert_eq(generation(0), 2);
	check_journal("");
}

Test(slots, unchanged_slot__is_no_update)
{
	const struct memslot *slot;

	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 1), 0);
	slot = find(0x10);
	journal_bytes = 0;
	journal[0] = 0;
	failing_mem_after(0);
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 1), 0);
	cr_assert_eq(failing_mem_asked, 0);
	cr_assert_eq(find(0x10), slot);
	cr_assert_eq(generation(0), 2);
	check_journal("");
}

Test(slots, two_mistakes__give_the_first)
{
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 0), 0);
	cr_assert_eq(set(2, 0x20000, 0x4000, 0x50000, 0), 0);
	/* Other hva, and in slot 2's way. */
	cr_assert_eq(set(1, 0x20000, 0x4000, 0x60000, 0), -EINVAL);
	/* A bad flag, and in slot 2's way. */
	cr_assert_eq(set(3, 0x20000, 0x4000, 0x60000, 8), -EINVAL);
	failing_mem_after(0);
	/* No memory either. */
	cr_assert_eq(set(1, 0x10000, 0x5000, 0x50000, 0), -EINVAL);
	cr_assert_eq(set(4, 0, 0, 0, 0), -EINVAL);
	cr_assert_eq(set(1, 0x20000, 0x4000, 0x50000, 0), -EEXIST);
	cr_assert_eq(set(3, 0x20000, 0x4000, 0x50000, 0), -EEXIST);
	cr_assert_eq(set(3, 0x30000, 0x4000, 0x50000, 0), -ENOMEM);
}

Test(slots, overlap__is_refused_and_adjacency_is_not)
{
	static const uint64_t meets[][2] = {
		{0x10000, 0x4000}, {0xf000, 0x2000},  {0x13000, 0x2000}, {0x11000, 0x1000},
		{0x0000, 0x80000}, {0x10000, 0x1000}, {0x13000, 0x1000},
	};

	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 0), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(meets); i++)
		cr_assert_eq(set(2, meets[i][0], meets[i][1], 0, 0), -EEXIST, "case %u", i);
	cr_assert_eq(set(2, 0xe000, 0x2000, 0, 0), 0);
	cr_assert_eq(set(3, 0x14000, 0x1000, 0, 0), 0);
	cr_assert_eq(find(0xf)->id, 2);
	cr_assert_eq(find(0x10)->id, 1);
	cr_assert_eq(find(0x13)->id, 1);
	cr_assert_eq(find(0x14)->id, 3);
	/* The other address space is free. */
	cr_assert_eq(slots_set(&slots,
			       &(struct vmmu_slot){
				       .as_id = 1, .id = 1, .gpa = 0x10000, .bytes = 0x4000}),
		     0);
}

Test(slots, move_over_own_range__is_allowed)
{
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 0), 0);
	cr_assert_eq(set(2, 0x15000, 0x1000, 0x50000, 0), 0);
	cr_assert_eq(set(1, 0x11000, 0x4000, 0x50000, 0), 0);
	cr_assert_null(find(0x10));
	cr_assert_eq(find(0x14)->id, 1);
	cr_assert_eq(find(0x11)->hva, 0x50000);
	cr_assert_eq(set(1, 0x12000, 0x4000, 0x50000, 0), -EEXIST);
	cr_assert_eq(find(0x11)->id, 1);
}

Test(slots, deletion__looks_at_no_other_slot)
{
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 2), 0);
	cr_assert_eq(set(2, 0x20000, 0x4000, 0x50000, 0), 0);
	/* Gpa, hva and flags of a deletion say nothing; this gpa is inside the other slot. */
	cr_assert_eq(set(1, 0x21000, 0, 0x70000, 0), 0);
	cr_assert_null(find(0x10));
	cr_assert_eq(find(0x21)->id, 2);
}

Test(slots, freed_id_and_range__can_be_used_again)
{
	cr_assert_eq(set(1, 0x10000, 0x4000, 0x50000, 2), 0);
	cr_assert_eq(set(1, 0, 0, 0, 0), 0);
	cr_assert_null(find(0x10));
	cr_assert_eq(set(1, 0, 0, 0, 0), -EINVAL);
	cr_assert_eq(set(1, 0x12000, 0x9000, 0x70000, 0), 0);
	cr_assert_eq(find(0x1a)->hva, 0x70000);
}

Test(slots, create__is_one_step)
{
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 0), 0);
	check_journal("begin 0; end 0+; updated 0: 2; create - 10+4/0.");
	cr_assert_eq(generation(0), 2);
	cr_assert_eq(generation(1), 1);
}

Test(slots, delete__is_two_steps_with_the_drop_between)
{
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 2), 0);
	check_journal("begin 0; end 0+; updated 0: 2; create - 10+4/2.");
	cr_assert_eq(set(5, 0, 0, 0, 0), 0);
	check_journal("begin 2; end 2+; updated 0: 4; drop 5 at 10 invalid; "
		      "begin 4; end 4+; updated 0: 6; delete 10+4/2 -.");
}

Test(slots, move__is_two_steps_with_the_drop_between)
{
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 0), 0);
	check_journal("begin 0; end 0+; updated 0: 2; create - 10+4/0.");
	cr_assert_eq(set(5, 0x12000, 0x4000, 0x50000, 1), 0);
	check_journal("begin 2; end 2+; updated 0: 4; drop 5 at 10 invalid; "
		      "begin 4; end 4+; updated 0: 6; move 10+4/0 12+4/1.");
	cr_assert_not(find(0x12)->invalid);
}

Test(slots, flags_change__is_one_step_without_a_drop)
{
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 0), 0);
	check_journal("begin 0; end 0+; updated 0: 2; create - 10+4/0.");
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 1), 0);
	check_journal("begin 2; end 2+; updated 0: 4; flags 10+4/0 10+4/1.");
	cr_assert_eq(find(0x10)->flags, 1);
}

Test(slots, address_spaces__count_apart_and_never_alike)
{
	struct vmmu_slot slot = {.as_id = 1, .id = 5, .gpa = 0x10000, .bytes = 0x1000};

	cr_assert_eq(slots_set(&slots, &slot), 0);
	check_journal("begin 0; end 0; updated 1: 3; create - 10+1/0.");
	cr_assert_eq(generation(0), 0);
	cr_assert_eq(generation(1), 3);
	cr_assert_null(find(0x10));
	cr_assert_null(slots_by_id(&slots, 0, 5));
	cr_assert_eq(slots_by_id(&slots, 1, 5)->as_id, 1);
	slot.bytes = 0;
	cr_assert_eq(slots_set(&slots, &slot), 0);
	cr_assert_eq(generation(1), 7);
}

Test(slots, by_id__bad_ids_are_null)
{
	cr_assert_eq(set(5, 0x10000, 0x4000, 0x50000, 0), 0);
	cr_assert_eq(slots_by_id(&slots, 0, 5), find(0x10));
	cr_assert_null(slots_by_id(&slots, 0, 4));
	cr_assert_null(slots_by_id(&slots, 0, 40000));
	cr_assert_null(slots_by_id(&slots, 2, 5));
	cr_assert_null(slots_by_id(&slots, ~0u, ~0u));
}

/* Everything a reader or the next update can see of an address space. */
struct picture {
	uint64_t generation;
	const struct slot_set *active;
	size_t counts[2];
	struct memslot *by_gfn[2][32], *by_hva[2][32];
	struct memslot contents[32];
	size_t live;
};

static void take_picture(struct picture *picture)
{
	memset(picture, 0, sizeof(*picture));
	picture->generation = generation(0);
	picture->active = slots_active(&slots, 0);
	picture->live = mem_live();
	for (unsigned s = 0; s < 2; s++) {
		const struct slot_set *one = &slots.sets[0][s];

		picture->counts[s] = one->count;
		for (size_t i = 0; i < one->count; i++) {
			picture->by_gfn[s][i] = one->by_gfn[i];
			picture->by_hva[s][i] = one->by_hva[i];
			picture->contents[i] = *one->by_gfn[i];
		}
	}
}

/*
 * Make SLOT's update with 0, 1, 2 ... allocations allowed until it succeeds; each failure must
 * leave everything as it was. Returns how many it needs.
 */
static uint64_t starve(const struct vmmu_slot *slot)
{
	struct picture before, after;
	uint64_t allowed = 0;
	int ret;

	take_picture(&before);
	journal_bytes = 0;
	for (;; allowed++) {
		failing_mem_after(allowed);
		ret = slots_set(&slots, slot);
		failing_mem_stop();
		if (!ret)
			return allowed;
		cr_assert_eq(ret, -ENOMEM);
		cr_assert_eq(failing_mem_asked, allowed + 1, "gives up at the first failure");
		cr_assert_eq(journal_bytes, 0, "no hook is called");
		take_picture(&after);
		cr_assert_arr_eq(&before, &after, sizeof(before), "with %llu allocations",
				 (unsigned long long)allowed);
	}
}

Test(slots, starved_create__changes_nothing)
{
	struct vmmu_slot slot = {.id = 40, .gpa = 0x10000, .bytes = 0x4000, .flags = 1};

	/*
	 * The slot, two rmap arrays, one of counts, the bitmap; two sets' arrays and the id table.
	 */
	cr_assert_eq(starve(&slot), 8);
	cr_assert_eq(find(0x10)->id, 40);
}

Test(slots, starved_create_in_full_arrays__changes_nothing)
{
	struct vmmu_slot slot = {.id = 16, .gpa = 0x100000, .bytes = 0x1000};

	for (unsigned id = 0; id < 16; id++)
		cr_assert_eq(set(id, id * 0x2000, 0x1000, 0, 0), 0);
	/* The 17th: slot and metadata, and all tables grow. */
	cr_assert_eq(starve(&slot), 7);
	for (unsigned id = 0; id < 16; id++) {
		cr_assert_eq(find(id * 2)->id, id);
		cr_assert_eq(slots_by_id(&slots, 0, id)->id, id);
	}
	slot.id = 17;
	slot.gpa = 0x102000;
	cr_assert_eq(starve(&slot), 4, "nothing grows");
}

Test(slots, starved_move_flags_and_delete__change_nothing)
{
	struct vmmu_slot slot = {.id = 3, .gpa = 0x10000, .bytes = 0x4000};

	cr_assert_eq(slots_set(&slots, &slot), 0);
	cr_assert_eq(set(4, 0x40000, 0x1000, 0, 0), 0);
	slot.gpa = 0x20000;
	/* The slot, its metadata, the invalid copy. */
	cr_assert_eq(starve(&slot), 5);
	slot.flags = 1;
	/* The slot and the bitmap; then the slot alone. */
	cr_assert_eq(starve(&slot), 2);
	slot.gpa = 0x30000;
	/* Moved with its bitmap. */
	cr_assert_eq(starve(&slot), 5);
	slot.flags = 0;
	cr_assert_eq(starve(&slot), 1);
	slot.bytes = 0;
	cr_assert_eq(starve(&slot), 1);
	cr_assert_null(find(0x30));
	cr_assert_eq(find(0x40)->id, 4);
}
