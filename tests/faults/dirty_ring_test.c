/* SPDX-License-Identifier: MIT */
/* Dirty rings: what vCPUs list, how they are stopped, what a reset takes from the mappings. */
#include <errno.h>

#include "faults/harness.h"

#define PAGES   300
#define ENTRIES VMMU_DIRTY_RING_MIN
/* A vCPU may list so many pages before it has to wait. */
#define LIMIT (ENTRIES - VMMU_DIRTY_RING_RESERVED)

/* Slot 5: gfns 10 to 309, logging; two vCPUs. */
static struct machine *machine_with_rings(unsigned format_index, unsigned dirty_flags)
{
	struct machine_options options = {.vcpus = 2,
					  .host_pages = PAGES,
					  .ring_entries = ENTRIES,
					  .dirty_flags = dirty_flags};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 5, 10, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	return machine;
}

static bool can_write(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	return walk.entry.kind == VMMU_ENTRY_LEAF && (walk.access & VMMU_WRITE);
}

/* Harvest up to MAX pages; how many. */
static uint64_t harvest(struct machine *machine, struct vmmu_dirty_page *pages, uint64_t max)
{
	uint64_t count = ~UINT64_C(0);

	cr_assert_eq(vmmu_dirty_ring_harvest(machine->vm, pages, max, &count), 0);
	return count;
}

static uint64_t reset(struct machine *machine)
{
	uint64_t count = ~UINT64_C(0);

	cr_assert_eq(vmmu_dirty_ring_reset(machine->vm, &count), 0);
	return count;
}

FORMAT_TEST(dirty_ring, written_pages__are_listed_by_slot_and_page)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct vmmu_dirty_page pages[8];

	machine_touch(machine, 10, VMMU_WRITE);
	machine_touch(machine, 309, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 12), VMMU_WRITE);
	machine_touch(machine, 10, VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 8), 3);
	cr_assert_eq(pages[0].slot, 5);
	cr_assert_eq(pages[0].page, 0);
	cr_assert_eq(pages[1].page, 299);
	cr_assert_eq(pages[2].page, 2);
	cr_assert_eq(harvest(machine, pages, 8), 0);
	machine_discard(machine);
}

FORMAT_TEST(dirty_ring, reset__protects_what_was_harvested_and_no_more)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct vmmu_dirty_page pages[2];

	machine_touch(machine, 20, VMMU_WRITE);
	machine_touch(machine, 21, VMMU_WRITE);
	machine_touch(machine, 22, VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 2), 2);
	cr_assert(can_write(machine, 20), "not before the reset");
	machine_flushes_forget(machine);
	cr_assert_eq(reset(machine), 2);
	cr_assert(machine_was_flushed(machine, 0, 20, 22));
	cr_assert(!can_write(machine, 20));
	cr_assert(!can_write(machine, 21));
	cr_assert(can_write(machine, 22));
	machine_flushes_forget(machine);
	cr_assert_eq(reset(machine), 0);
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_discard(machine);
}

/* The fast fix lists the page, for every vCPU in turn, and TLBs have been told. */
FORMAT_TEST(dirty_ring, page_written_again__is_listed_again)
{
	struct machine *machine = machine_with_rings(*index, 0);

	for (unsigned round = 0; round < 6; round++) {
		machine_access(machine, round % 2, machine_gpa(machine, 30), VMMU_WRITE);
		machine_access(machine, 0, machine_gpa(machine, 40 + round), VMMU_WRITE);
		cr_assert_eq(machine_ring_round(machine), 2, "round %u", round);
		machine_check_tlb(machine);
		machine_check_range(machine, 0, 10, 60);
	}
	cr_assert_eq(machine_stats(machine).fast_fixes, 5);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, nearly_full_ring__stops_its_vcpu_alone)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct access_result result;

	for (unsigned i = 0; i < LIMIT; i++)
		machine_touch(machine, 10 + i, VMMU_WRITE);
	result = machine_access(machine, 0, machine_gpa(machine, 200), VMMU_WRITE);
	cr_assert_eq(result.end, ACCESS_EXITED);
	cr_assert_eq(result.fault.exit, VMMU_EXIT_RING_FULL);
	cr_assert_eq(machine_kind(machine, 0, 200), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_access(machine, 0, machine_gpa(machine, 200), VMMU_READ).end,
		     ACCESS_EXITED);
	/* What is mapped needs no fault, and the other vCPU has a ring of its own. */
	cr_assert_eq(machine_touch(machine, 10, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 200), VMMU_WRITE).end,
		     ACCESS_GRANTED);
	cr_assert_eq(machine_ring_round(machine), LIMIT + 1);
	cr_assert_eq(machine_touch(machine, 201, VMMU_WRITE).end, ACCESS_GRANTED);
	cr_assert(machine_touch(machine, 10, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_ring_round(machine), 2);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, prefault_with_a_full_ring__stops)
{
	struct machine *machine = machine_with_rings(*index, 0);
	uint64_t bytes = machine_gpa(machine, 200), done = 0;

	machine_enter(machine, 0);
	for (uint64_t gfn = 10; gfn < 210; gfn++)
		model_note_access(machine, 0, gfn, VMMU_READ);
	cr_assert_eq(vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, 10), bytes, &done),
		     0);
	cr_assert_eq(done, machine_gpa(machine, LIMIT));
	cr_assert_eq(vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, 10 + LIMIT),
				   bytes - done, &done),
		     -ENOBUFS);
	cr_assert_eq(done, 0);
	cr_assert_eq(machine_ring_round(machine), LIMIT);
	machine_destroy(machine);
}

/* A vCPU that goes leaves its list behind. */
FORMAT_TEST(dirty_ring, vcpu_that_goes__loses_nothing)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct vmmu_dirty_page pages[1];

	machine_access(machine, 1, machine_gpa(machine, 30), VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 31), VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 1), 1);
	cr_assert_eq(pages[0].page, 20);
	machine_vcpu_remove(machine, 1);
	machine->vcpu_count = 1;
	cr_assert_eq(harvest(machine, pages, 1), 1);
	cr_assert_eq(pages[0].page, 21);
	cr_assert_eq(reset(machine), 2);
	cr_assert(!can_write(machine, 30));
	cr_assert(!can_write(machine, 31));
	cr_assert_eq(reset(machine), 0);
	machine_discard(machine);
}

/* Slot 5 came back smaller, somewhere else, or not at all: what is left of the list is harmless. */
FORMAT_TEST(dirty_ring, slot_that_changed__is_reset_as_far_as_it_is_there)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct vmmu_dirty_page pages[8];

	machine_touch(machine, 10, VMMU_WRITE);
	machine_touch(machine, 40, VMMU_WRITE);
	machine_touch(machine, 309, VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 8), 3);
	machine_slot_delete(machine, 0, 5);
	machine_slot(machine, 5, 70, 30, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 6, 100, 300, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 70, VMMU_WRITE);
	machine_touch(machine, 100, VMMU_WRITE);
	machine_touch(machine, 369, VMMU_WRITE);
	machine_check_range(machine, 0, 0, 110);
	cr_assert_eq(reset(machine), 3);
	cr_assert(!can_write(machine, 70), "page 0 of the slot of that id");
	cr_assert(can_write(machine, 100), "where its page 30 would be");
	cr_assert(can_write(machine, 369), "where its page 299 would be");
	cr_assert_eq(harvest(machine, pages, 8), 3);
	machine_slot_delete(machine, 0, 5);
	cr_assert_eq(reset(machine), 3);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, slot_that_stopped_logging__is_left_alone)
{
	struct machine *machine = machine_with_rings(*index, 0);
	struct vmmu_dirty_page pages[8];

	machine_touch(machine, 10, VMMU_WRITE);
	machine_slot(machine, 5, 10, PAGES, 0, 0);
	cr_assert_eq(harvest(machine, pages, 8), 1);
	machine_flushes_forget(machine);
	cr_assert_eq(reset(machine), 1);
	cr_assert(can_write(machine, 10));
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_touch(machine, 11, VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 8), 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, address_space__is_in_the_slot_word)
{
	struct machine_options options = {
		.address_spaces = 2, .vcpus = 2, .host_pages = 16, .ring_entries = ENTRIES};
	struct machine *machine = machine_create(*index, &options);
	struct vmmu_dirty_page pages[4];

	machine_slot_in(machine, 0, 3, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot_in(machine, 1, 7, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_vcpu_as(machine, 1, 1);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 4), VMMU_WRITE);
	cr_assert_eq(harvest(machine, pages, 4), 2);
	cr_assert_eq(pages[0].slot, 3);
	cr_assert_eq(pages[1].slot, 0x10007);
	cr_assert_eq(pages[1].page, 4);
	cr_assert_eq(reset(machine), 2);
	cr_assert(!(machine_walk(machine, 1, 4).access & VMMU_WRITE));
	machine_discard(machine);
}

/* Rings alone: there is no bitmap to be read, cleared or marked. */
FORMAT_TEST(dirty_ring, without_bitmaps__their_calls_are_refused)
{
	struct machine *machine = machine_with_rings(*index, 0);
	uint64_t bits[8], count;
	struct vmmu_dirty_range range = {.id = 5, .pages = 64, .bitmap = bits};

	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 5, bits, 512, &count), -ENXIO);
	cr_assert_eq(vmmu_dirty_clear(machine->vm, &range, &count), -ENXIO);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, 0, 1), -ENXIO);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, beside_bitmaps__each_write_is_in_one_of_them)
{
	struct machine *machine = machine_with_rings(*index, VMMU_DIRTY_RING_BITMAP);
	struct vmmu_dirty_page pages[8];
	uint64_t bits[5], count;

	machine_touch(machine, 10, VMMU_WRITE);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, machine_gpa(machine, 75), 1), 0);
	cr_assert_eq(harvest(machine, pages, 8), 1);
	cr_assert_eq(pages[0].page, 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 5, bits, 320, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(bits[0], 0);
	cr_assert_eq(bits[1], 2);
	machine_destroy(machine);
}

/* Writes that no table saw */

FORMAT_TEST(dirty_log, pages_that_a_vcpu_wrote_otherwise__are_in_its_ring)
{
	struct machine *machine = machine_with_rings(*index, 0);
	uint64_t gpas[ENTRIES + 2], done = 0;
	struct vmmu_dirty_page pages[4];

	for (unsigned i = 0; i < ENTRIES + 2; i++)
		gpas[i] = machine_gpa(machine, 10 + i) + 5;
	gpas[1] = machine_gpa(machine, 9); /* no slot */
	gpas[3] = ~UINT64_C(0);            /* nowhere */
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[1].vcpu, gpas, 5, &done), 0);
	cr_assert_eq(done, 5);
	cr_assert_eq(harvest(machine, pages, 4), 3);
	cr_assert_eq(pages[0].page, 0);
	cr_assert_eq(pages[1].page, 2);
	cr_assert_eq(pages[2].page, 4);
	cr_assert_eq(reset(machine), 3);
	/* The reserve is for this; what does not fit is the caller's again. */
	gpas[1] = gpas[3] = gpas[0];
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[1].vcpu, gpas, ENTRIES + 2, &done), -ENOSPC);
	cr_assert_eq(done, ENTRIES);
	machine_discard(machine);
}

FORMAT_TEST(dirty_log, without_rings__is_in_the_bitmap)
{
	struct machine *machine = machine_create(*index, NULL);
	uint64_t gpa = machine_gpa(machine, 7), bits;

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 1, 16, 16, 16, 0);
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[0].vcpu, &gpa, 1, NULL), 0);
	gpa = machine_gpa(machine, 17);
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[0].vcpu, &gpa, 1, NULL), 0, "it does not log");
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, &bits, 64, NULL), 0);
	cr_assert_eq(bits, 1 << 7);
	cr_assert_eq(vmmu_dirty_log(NULL, &gpa, 1, NULL), -EINVAL);
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[0].vcpu, NULL, 1, NULL), -EINVAL);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_mark, range__marks_every_page_that_it_touches)
{
	struct machine *machine = machine_create(*index, NULL);
	uint64_t page = machine_gpa(machine, 1), bits;

	machine_slot(machine, 0, 4, 8, 0, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 1, 12, 8, 8, 0);
	machine_slot(machine, 2, 30, 8, 16, VMMU_SLOT_LOG_DIRTY);
	/* From the last byte of gfn 5 to the first of gfn 8. */
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, 6 * page - 1, 2 * page + 2), 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, &bits, 64, NULL), 0);
	cr_assert_eq(bits, 0x1e);
	/* From gfn 11 to 30, over a slot that does not log and over none. */
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, 11 * page, 19 * page + 1), 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, &bits, 64, NULL), 0);
	cr_assert_eq(bits, 0x80);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 2, &bits, 64, NULL), 0);
	cr_assert_eq(bits, 1);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, 4 * page, 0), 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, &bits, 64, NULL), 0);
	cr_assert_eq(bits, 0);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 1, 0, page), -EINVAL);
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, ~UINT64_C(0), 2), -EINVAL);
	cr_assert_eq(vmmu_dirty_mark(NULL, 0, 0, page), -EINVAL);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_ring, bad_arguments__are_refused)
{
	struct machine *machine = machine_with_rings(*index, 0), *other;
	struct vmmu_dirty_page page;
	uint64_t count;

	cr_assert_eq(vmmu_dirty_ring_harvest(NULL, &page, 1, &count), -EINVAL);
	cr_assert_eq(vmmu_dirty_ring_harvest(machine->vm, NULL, 1, &count), -EINVAL);
	cr_assert_eq(vmmu_dirty_ring_harvest(machine->vm, &page, 1, NULL), -EINVAL);
	cr_assert_eq(vmmu_dirty_ring_reset(NULL, &count), -EINVAL);
	cr_assert_eq(vmmu_dirty_ring_reset(machine->vm, NULL), 0);
	machine_destroy(machine);
	other = machine_create(*index, NULL);
	cr_assert_eq(vmmu_dirty_ring_harvest(other->vm, &page, 1, &count), -ENXIO);
	cr_assert_eq(vmmu_dirty_ring_reset(other->vm, &count), -ENXIO);
	machine_destroy(other);
}

FORMAT_TEST(dirty_ring, options_that_do_not_go_together__are_refused)
{
	static const struct {
		uint32_t entries;
		unsigned flags;
		enum vmmu_mode mode;
	} bad[] = {
		{ENTRIES / 2, 0, VMMU_MODE_FAULTS},
		{ENTRIES + 1, 0, VMMU_MODE_FAULTS},
		{2 * VMMU_DIRTY_RING_MAX, 0, VMMU_MODE_FAULTS},
		{ENTRIES, VMMU_DIRTY_MANUAL, VMMU_MODE_FAULTS},
		{0, VMMU_DIRTY_RING_BITMAP, VMMU_MODE_FAULTS},
		{ENTRIES, VMMU_DIRTY_RING_BITMAP | VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET,
		 VMMU_MODE_FAULTS},
		{ENTRIES, 0, VMMU_MODE_RANGES},
	};
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = outside_at(*index), .env = &env};
	struct vmmu_vm *vm = NULL;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.dirty_ring_entries = bad[i].entries;
		options.dirty_flags = bad[i].flags;
		options.mode = bad[i].mode;
		cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "case %u", i);
	}
	cr_assert_null(vm);
	options.mode = VMMU_MODE_FAULTS;
	options.dirty_ring_entries = VMMU_DIRTY_RING_MAX;
	options.dirty_flags = VMMU_DIRTY_RING_BITMAP | VMMU_DIRTY_MANUAL;
	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	vmmu_vm_destroy(vm);
}
