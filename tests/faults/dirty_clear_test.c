/* SPDX-License-Identifier: MIT */
/*
 * Dirty logs in two steps: reading changes nothing, clearing protects what was asked for and no
 * more.
 */
#include <errno.h>

#include "faults/harness.h"

#define PAGES 130 /* two words and two bits */

/* Slot 0: gfns 0 to 129 behind host pages 0 to 129. */
static struct machine *machine_with_flags(unsigned format_index, unsigned dirty_flags,
					  unsigned slot_flags)
{
	struct machine_options options = {
		.vcpus = 2, .host_pages = PAGES, .dirty_flags = dirty_flags};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 0, PAGES, 0, slot_flags);
	return machine;
}

static struct machine *machine_manual(unsigned format_index)
{
	return machine_with_flags(format_index, VMMU_DIRTY_MANUAL, VMMU_SLOT_LOG_DIRTY);
}

static bool can_write(struct machine *machine, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(machine, 0, gfn);

	return walk.entry.kind == VMMU_ENTRY_LEAF && (walk.access & VMMU_WRITE);
}

/* Clear, of the slot's first PAGES pages, those in BITMAP. */
static uint64_t clear(struct machine *machine, uint64_t first, uint64_t pages,
		      const uint64_t *bitmap)
{
	return machine_dirty_clear(
		machine,
		&(struct vmmu_dirty_range){.first = first, .pages = pages, .bitmap = bitmap});
}

FORMAT_TEST(dirty_manual, get__changes_nothing)
{
	struct machine *machine = machine_manual(*index);

	machine_touch(machine, 3, VMMU_WRITE);
	machine_touch(machine, 128, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 2);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 2);
	cr_assert(can_write(machine, 3));
	cr_assert(can_write(machine, 128));
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_manual, clear__protects_just_what_was_asked_for)
{
	struct machine *machine = machine_manual(*index);
	uint64_t asked[3] = {1 << 3 | 1 << 5, 0, 1 << 1}, found[3];

	machine_touch(machine, 3, VMMU_WRITE);
	machine_touch(machine, 4, VMMU_WRITE);
	machine_touch(machine, 70, VMMU_WRITE);
	machine_touch(machine, 129, VMMU_WRITE);
	machine_flushes_forget(machine);
	cr_assert_eq(clear(machine, 0, PAGES, asked), 2, "page 5 was not written");
	cr_assert_eq(machine_global_flushes(machine), 1);
	machine_check_tlb(machine);
	machine_check_range(machine, 0, 0, PAGES);
	cr_assert(!can_write(machine, 3));
	cr_assert(!can_write(machine, 129));
	cr_assert(can_write(machine, 4));
	cr_assert(can_write(machine, 70));
	cr_assert_eq(machine_kind(machine, 0, 3), VMMU_ENTRY_LEAF);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, found, 192, NULL), 0);
	cr_assert_eq(found[0], 1 << 4);
	cr_assert_eq(found[1], 1 << 6);
	cr_assert_eq(found[2], 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_manual, cleared_page__is_seen_when_it_is_written_again)
{
	struct machine *machine = machine_manual(*index);
	uint64_t asked = 1 << 7;

	machine_touch(machine, 7, VMMU_WRITE);
	machine_access(machine, 1, machine_gpa(machine, 7), VMMU_WRITE);
	cr_assert_eq(clear(machine, 0, 64, &asked), 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	/* The other vCPU's TLB has been told. */
	machine_access(machine, 1, machine_gpa(machine, 7), VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(machine_stats(machine).fast_fixes, 1);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_manual, clear_of_what_is_clean__does_nothing)
{
	struct machine *machine = machine_manual(*index);
	uint64_t all[3] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}, none[3] = {0};

	machine_touch(machine, 7, VMMU_WRITE);
	cr_assert_eq(clear(machine, 0, PAGES, none), 0);
	cr_assert(can_write(machine, 7));
	cr_assert_eq(clear(machine, 64, PAGES - 64, all), 0);
	cr_assert(can_write(machine, 7));
	/* Bits beyond the slot's end count for nothing. */
	cr_assert_eq(clear(machine, 0, PAGES, all), 1);
	machine_flushes_forget(machine);
	cr_assert_eq(clear(machine, 0, PAGES, all), 0);
	cr_assert_eq(machine_global_flushes(machine), 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_manual, clear_of_a_part__leaves_the_rest_of_the_log)
{
	struct machine *machine = machine_manual(*index);
	uint64_t all[3] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)};

	machine_touch(machine, 63, VMMU_WRITE);
	machine_touch(machine, 64, VMMU_WRITE);
	machine_touch(machine, 127, VMMU_WRITE);
	machine_touch(machine, 128, VMMU_WRITE);
	cr_assert_eq(clear(machine, 64, 64, all), 2);
	cr_assert(can_write(machine, 63));
	cr_assert(!can_write(machine, 64));
	cr_assert(!can_write(machine, 127));
	cr_assert(can_write(machine, 128));
	cr_assert_eq(clear(machine, 128, 2, all), 1);
	cr_assert(!can_write(machine, 128));
	cr_assert_eq(clear(machine, 0, 0, all), 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* The order of checks is KVM's: no bitmap is told before a range that does not fit. */
FORMAT_TEST(dirty_manual, bad_arguments__are_refused)
{
	static const struct {
		struct vmmu_dirty_range range;
		int error;
	} cases[] = {
		{{.as_id = 1, .pages = 64}, -EINVAL},
		{{.id = VMMU_SLOT_IDS, .pages = 64}, -EINVAL},
		{{.id = 9, .first = 63, .pages = 64}, -EINVAL},
		{{.id = 9, .pages = 64}, -ENOENT},
		{{.id = 1, .first = UINT64_C(1) << 40, .pages = 64}, -ENOENT},
		{{.first = 32, .pages = 64}, -EINVAL},
		{{.first = 192, .pages = 0}, -EINVAL},
		{{.first = 128, .pages = 64}, -EINVAL},
		{{.first = 128, .pages = 1}, -EINVAL},
		{{.first = 0, .pages = 129}, -EINVAL},
		{{.first = 64, .pages = UINT64_MAX - 63}, -EINVAL},
		{{.first = UINT64_MAX - 63, .pages = 128}, -EINVAL},
	};
	struct machine *machine = machine_manual(*index);
	uint64_t bits[4] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}, count = 77;

	machine_slot(machine, 1, 256, 2, 0, 0);
	machine_touch(machine, 7, VMMU_WRITE);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vmmu_dirty_range range = cases[i].range;

		range.bitmap = bits;
		cr_assert_eq(vmmu_dirty_clear(machine->vm, &range, &count), cases[i].error,
			     "case %u", i);
	}
	cr_assert_eq(vmmu_dirty_clear(machine->vm, &(struct vmmu_dirty_range){.pages = 64}, NULL),
		     -EINVAL);
	cr_assert_eq(vmmu_dirty_clear(machine->vm, NULL, NULL), -EINVAL);
	cr_assert_eq(vmmu_dirty_clear(NULL, &(struct vmmu_dirty_range){.bitmap = bits}, NULL),
		     -EINVAL);
	cr_assert_eq(count, 77);
	cr_assert(can_write(machine, 7));
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* Without the option both ways may be mixed. */
FORMAT_TEST(dirty_manual, by_default__works_as_well)
{
	struct machine *machine = machine_with_flags(*index, 0, VMMU_SLOT_LOG_DIRTY);
	uint64_t asked = 1 << 3;

	machine_touch(machine, 3, VMMU_WRITE);
	machine_touch(machine, 4, VMMU_WRITE);
	cr_assert_eq(clear(machine, 0, 64, &asked), 1);
	cr_assert(!can_write(machine, 3));
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert(!can_write(machine, 4));
	machine_destroy(machine);
}

static int count_writable(void *ctx, const struct vmmu_visit *visit)
{
	unsigned *count = ctx;

	*count += visit->entry.kind == VMMU_ENTRY_LEAF && (visit->entry.access & VMMU_WRITE);
	return 0;
}

/* Both kinds of roots map the page: it is protected in both. */
FORMAT_TEST(dirty_manual, page_in_both_kinds_of_roots__is_protected_in_both)
{
	struct machine *machine = machine_manual(*index);
	uint64_t asked = 1 << 3;
	unsigned count = 0;

	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[0].vcpu, VMMU_ROOT_DIRECT), 0);
	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[1].vcpu, VMMU_ROOT_TDP), 0);
	model_note_access(machine, 0, 3, VMMU_WRITE);
	for (unsigned i = 0; i < 2; i++) {
		struct vmmu_fault fault = {.gpa = machine_gpa(machine, 3), .access = VMMU_WRITE};

		cr_assert_eq(vmmu_fault(machine->vcpu[i].vcpu, &fault), VMMU_FIXED);
	}
	cr_assert_eq(vmmu_visit(machine->vm, count_writable, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert_eq(clear(machine, 0, 64, &asked), 1);
	count = 0;
	cr_assert_eq(vmmu_visit(machine->vm, count_writable, &count), 0);
	cr_assert_eq(count, 0);
	machine_destroy(machine);
}

/* Initially set */

#define INITIALLY ((unsigned)VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET)

FORMAT_TEST(dirty_initially_set, logging_turned_on__counts_all_as_written_and_protects_nothing)
{
	struct machine *machine = machine_with_flags(*index, INITIALLY, 0);
	uint64_t found[3];

	machine_touch(machine, 3, VMMU_WRITE);
	machine_flushes_forget(machine);
	machine_slot(machine, 0, 0, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_global_flushes(machine), 0);
	cr_assert(can_write(machine, 3));
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, found, 192, NULL), 0);
	cr_assert_eq(found[0], ~UINT64_C(0));
	cr_assert_eq(found[1], ~UINT64_C(0));
	cr_assert_eq(found[2], 3, "nothing beyond the slot's end");
	cr_assert_eq(clear(machine, 0, PAGES, found), PAGES);
	machine_check_tlb(machine);
	cr_assert(!can_write(machine, 3));
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_touch(machine, 3, VMMU_WRITE);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* A log that was on stays as it is, over a move as well; a new slot begins with all bits set. */
FORMAT_TEST(dirty_initially_set, log_that_goes_on__is_not_set_again)
{
	struct machine *machine = machine_with_flags(*index, INITIALLY, VMMU_SLOT_LOG_DIRTY);
	uint64_t all[3] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)};

	cr_assert_eq(machine_dirty_get(machine, 0, 0), PAGES);
	cr_assert_eq(clear(machine, 0, PAGES, all), PAGES);
	machine_slot(machine, 0, 50, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_slot(machine, 0, 50, PAGES, 0, 0);
	machine_slot(machine, 0, 50, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), PAGES);
	machine_destroy(machine);
}

/*
 * The slot begins half a word below a large page, so that a word lies in two of them: gfns
 * [B - 32, 3B), of which [B, 2B) and [2B, 3B) are large. The word of page B has gfns 2B - 32 to
 * 2B + 31.
 */
static struct machine *machine_with_large_pages(unsigned format_index)
{
	struct machine_options options = {.vcpus = 2, .rest_level = 2, .dirty_flags = INITIALLY};
	struct machine *machine = machine_create(format_index, &options);
	uint64_t block = machine_pages(machine, 2);

	if (block < 64 || machine_leaf_level(machine, 2) != 2) {
		machine_destroy(machine);
		cr_skip_test("no pages of that size");
	}
	machine_slot(machine, 0, block - 32, 2 * block + 32, block - 32, 0);
	machine_touch(machine, block, VMMU_WRITE);
	machine_touch(machine, 2 * block, VMMU_WRITE);
	machine_slot(machine, 0, block - 32, 2 * block + 32, block - 32, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	cr_assert_eq(machine_walk(machine, 0, 2 * block).level, 2);
	return machine;
}

FORMAT_TEST(dirty_initially_set, large_pages__stay_writable_until_one_of_their_pages_is_cleared)
{
	struct machine *machine = machine_with_large_pages(*index);
	uint64_t block = machine_pages(machine, 2);
	uint64_t last = UINT64_C(1) << 63, first = 1;

	cr_assert(can_write(machine, block));
	cr_assert(can_write(machine, 2 * block));
	/* Word of pages block to block + 63 of the slot. */
	cr_assert_eq(clear(machine, block, 64, &last), 1);
	cr_assert(can_write(machine, block));
	cr_assert(!can_write(machine, 2 * block));
	cr_assert_eq(clear(machine, block, 64, &first), 1);
	cr_assert(!can_write(machine, block));
	cr_assert_eq(machine_walk(machine, 0, 2 * block).level, 2);
	machine_check_tlb(machine);
	machine_audit(machine);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_initially_set, write_to_a_cleared_large_page__splits_it)
{
	struct machine *machine = machine_with_large_pages(*index);
	uint64_t block = machine_pages(machine, 2), pages = 2 * block + 32;
	uint64_t last = UINT64_C(1) << 63;

	cr_assert_eq(clear(machine, block, 64, &last), 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), pages - 1);
	cr_assert(!machine_touch(machine, 2 * block + 31, VMMU_WRITE).fault.fast);
	cr_assert_eq(machine_walk(machine, 0, 2 * block + 31).level, 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), pages);
	machine_check_range(machine, 0, 2 * block, 2 * block + 64);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_options, unknown_or_contradictory__are_refused)
{
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = outside_at(*index), .env = &env};
	struct vmmu_vm *vm = NULL;

	options.dirty_flags = VMMU_DIRTY_INITIALLY_SET;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "without MANUAL");
	options.dirty_flags = 1u << 31;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	options.dirty_flags = VMMU_DIRTY_MANUAL;
	options.mode = VMMU_MODE_RANGES;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "no slots, no logs");
	cr_assert_null(vm);
}

/* A slot may lie beyond what tables reach: what is done to its pages is done to no others. */
FORMAT_TEST(dirty_manual, slot_beyond_the_input_space__leaves_the_low_ones_alone)
{
	struct machine *machine = machine_with_flags(*index, VMMU_DIRTY_MANUAL,
						     VMMU_SLOT_LOG_DIRTY);
	uint64_t limit = UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift);
	struct vmmu_page other = {.pfn = 77, .level = 1};
	uint64_t bitmap = 1, count = 0, pfn;
	struct vmmu_dirty_range range = {.id = 1, .pages = 1, .bitmap = &bitmap};

	machine_slot(machine, 1, limit, 1, 200, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 0, VMMU_WRITE);
	pfn = machine_walk(machine, 0, 0).pfn;
	cr_assert_eq(vmmu_dirty_mark(machine->vm, 0, machine_gpa(machine, limit), 1), 0);
	cr_assert_eq(vmmu_dirty_clear(machine->vm, &range, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert(can_write(machine, 0));
	cr_assert_eq(vmmu_remap(machine->vm, machine_hva(machine, 200), &other), 0);
	cr_assert_eq(machine_walk(machine, 0, 0).pfn, pfn);
	machine_destroy(machine);
}
