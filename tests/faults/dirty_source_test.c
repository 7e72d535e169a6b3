/* SPDX-License-Identifier: MIT */
/*
 * Dirty logs by the bits that hardware sets in entries: nothing is write-protected, and whatever
 * happens to an entry, what its bit said is in the log.
 */
#include <errno.h>

#include "faults/harness.h"

#define PAGES 100

static bool is_possible(unsigned format_index)
{
	return vmmu_format_info(outside_at(format_index))->caps & VMMU_CAP_HW_DIRTY;
}

/* Slot 0: gfns 0 to 99 behind host pages 0 to 99. Skips formats without dirty bits. */
static struct machine *machine_with(unsigned format_index, unsigned dirty_flags,
				    unsigned slot_flags)
{
	struct machine_options options = {.vcpus = 2,
					  .host_pages = PAGES,
					  .dirty_flags = dirty_flags,
					  .dirty_source = VMMU_DIRTY_BY_BITS};
	struct machine *machine;

	if (!is_possible(format_index))
		cr_skip_test("no dirty bits");
	machine = machine_create(format_index, &options);
	if (!machine->hardware) {
		machine_destroy(machine);
		cr_skip_test("no model of this hardware");
	}
	machine_slot(machine, 0, 0, PAGES, 0, slot_flags);
	return machine;
}

static struct machine *machine_logging(unsigned format_index)
{
	return machine_with(format_index, 0, VMMU_SLOT_LOG_DIRTY);
}

/* Pages FIRST to LAST are mapped, writable and not dirty; the log is empty. */
static void make_clean(struct machine *machine, uint64_t first, uint64_t last)
{
	for (uint64_t gfn = first; gfn <= last; gfn++) {
		machine_touch(machine, gfn, VMMU_WRITE);
		machine_access(machine, 1, machine_gpa(machine, gfn), VMMU_WRITE);
	}
	cr_assert_eq(machine_dirty_get(machine, 0, 0), last - first + 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
}

FORMAT_TEST(dirty_bits, reported_page__stays_writable_and_is_reported_again)
{
	struct machine *machine = machine_logging(*index);

	make_clean(machine, 5, 9);
	for (unsigned round = 0; round < 4; round++) {
		/* By turns: each TLB knows the page as dirty from the round before the last. */
		uint64_t gpa = machine_gpa(machine, 7);
		struct access_result result = machine_access(machine, round % 2, gpa, VMMU_WRITE);

		cr_assert_eq(result.faults, 0);
		machine_access(machine, round % 2, machine_gpa(machine, 8), VMMU_READ);
		cr_assert_eq(machine_dirty_get(machine, 0, 0), 1, "round %u", round);
		cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	}
	cr_assert_eq(machine_stats(machine).fast_fixes, 0);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_bits, logging_turned_on__forgets_what_was_written_before)
{
	struct machine *machine = machine_with(*index, 0, 0);

	for (uint64_t gfn = 0; gfn < PAGES; gfn += 9)
		machine_touch(machine, gfn, VMMU_WRITE);
	machine_slot(machine, 0, 0, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_assert_eq(machine_touch(machine, 9, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_bits, both_kinds_of_roots__are_looked_at_and_cleared)
{
	struct machine *machine = machine_logging(*index);
	uint64_t gpa = machine_gpa(machine, 7);
	enum vmmu_root_mode other = is_tdp() ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP;

	cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[1].vcpu, other), 0);
	make_clean(machine, 7, 7);
	for (unsigned round = 0; round < 4; round++) {
		cr_assert_eq(machine_access(machine, round % 2, gpa, VMMU_WRITE).faults, 0);
		cr_assert_eq(machine_dirty_get(machine, 0, 0), 1, "round %u", round);
	}
	machine_destroy(machine);
}

/* Manual */

FORMAT_TEST(dirty_bits, manual_get__finds_bits_and_leaves_them)
{
	struct machine *machine = machine_with(*index, VMMU_DIRTY_MANUAL, VMMU_SLOT_LOG_DIRTY);
	uint64_t bits[2] = {1 << 7 | 1 << 8, 0};
	struct vmmu_dirty_range range = {.pages = PAGES, .bitmap = bits};

	machine_touch(machine, 7, VMMU_WRITE);
	machine_touch(machine, 8, VMMU_WRITE);
	cr_assert_eq(machine_dirty_clear(machine, &range), 2);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_assert_eq(machine_touch(machine, 7, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	/* Written after the last look: not cleared by a request for it, but found by the next. */
	cr_assert_eq(machine_touch(machine, 8, VMMU_WRITE).faults, 0);
	cr_assert_eq(vmmu_dirty_clear(machine->vm, &range, NULL), 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bits, 128, NULL), 0);
	cr_assert_eq(bits[0], 1 << 8);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_bits, initially_set__clears_bits_with_the_first_clear)
{
	const unsigned flags = VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET;
	struct machine *machine = machine_with(*index, flags, 0);
	uint64_t all[2] = {~UINT64_C(0), ~UINT64_C(0)};
	struct vmmu_dirty_range range = {.pages = PAGES, .bitmap = all};

	machine_touch(machine, 7, VMMU_WRITE);
	machine_slot(machine, 0, 0, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), PAGES);
	cr_assert_eq(machine_dirty_clear(machine, &range), PAGES);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_assert_eq(machine_touch(machine, 7, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* An entry that goes, or changes, with a bit that nobody has looked for */

static void zap_everything(struct machine *machine)
{
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
}

static void take_page_away(struct machine *machine)
{
	struct host_page page = {.pfn = 4711, .level = 1, .writable = true};

	machine_host_set(machine, 7, 1, page);
}

static void make_page_read_only(struct machine *machine)
{
	struct host_page page = {.pfn = 4711, .level = 1};

	machine_host_set(machine, 7, 1, page);
}

static void move_slot(struct machine *machine)
{
	machine_slot(machine, 0, 200, PAGES, 0, VMMU_SLOT_LOG_DIRTY);
}

static void delete_other_slot(struct machine *machine)
{
	machine_slot(machine, 1, 400, 10, 0, 0);
	machine_slot_delete(machine, 0, 1);
}

/* Tables go, oldest first; fresh ones need the room. */
static void lower_quota(struct machine *machine)
{
	int err = vmmu_tables_quota_set(machine->vm, VMMU_TABLES_MIN);

	cr_assert_eq(err, 0);
	for (uint64_t block = 1; block < 20; block++) {
		uint64_t gfn = block * machine_pages(machine, 2);

		machine_slot(machine, 2, gfn, 1, 0, 0);
		machine_touch(machine, gfn, VMMU_WRITE);
	}
}

static void age_page(struct machine *machine)
{
	struct vmmu_hva_range range = {machine_hva(machine, 7), machine_hva(machine, 8)};

	cr_assert_eq(vmmu_age(machine->vm, &range), 1);
}

static void change_roots(struct machine *machine)
{
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(vmmu_vcpu_set_root(machine->vcpu[i].vcpu,
						is_tdp() ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP),
			     0);
		machine_enter(machine, i);
	}
	zap_everything(machine);
}

/* Page 7 was clean and is written without a fault; then ACT; then it is reported, and alone. */
static void check_kept(unsigned format_index, void (*act)(struct machine *machine))
{
	struct machine *machine = machine_logging(format_index);

	make_clean(machine, 6, 8);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 7), VMMU_WRITE).faults, 0);
	act(machine);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

#define KEPT_TEST(act)                             \
	FORMAT_TEST(dirty_bits, act##__keeps_dirt) \
	{                                          \
		check_kept(*index, act);           \
	}

KEPT_TEST(zap_everything)
KEPT_TEST(take_page_away)
KEPT_TEST(make_page_read_only)
KEPT_TEST(move_slot)
KEPT_TEST(delete_other_slot)
KEPT_TEST(lower_quota)
KEPT_TEST(age_page)
KEPT_TEST(change_roots)

/* The host moved the page and put the new frame in its place at once. */
FORMAT_TEST(dirty_bits, remapped_page__keeps_dirt)
{
	struct machine *machine = machine_logging(*index);
	uint64_t bits[2], hva = machine_hva(machine, 7);
	struct vmmu_page page = {.pfn = HOST_PFN + 7, .level = 1};

	make_clean(machine, 6, 8);
	cr_assert_eq(machine_touch(machine, 7, VMMU_WRITE).faults, 0);
	cr_assert_geq(vmmu_remap(machine->vm, hva, &page), 0);
	cr_assert_eq(vmmu_dirty_get(machine->vm, 0, 0, bits, 128, NULL), 0);
	cr_assert_eq(bits[0], 1 << 7);
	machine_discard(machine);
}

/* Large pages are protected, and split by a write: the bit would say too little. */
FORMAT_TEST(dirty_bits, large_page__is_protected_and_split)
{
	struct machine_options options = {
		.vcpus = 2, .rest_level = 2, .dirty_source = VMMU_DIRTY_BY_BITS};
	struct machine *machine;
	uint64_t block;

	if (!is_possible(*index))
		cr_skip_test("no dirty bits");
	machine = machine_create(*index, &options);
	if (!machine->hardware) {
		machine_destroy(machine);
		cr_skip_test("no model of this hardware");
	}
	block = machine_pages(machine, 2);
	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert(!(machine_walk(machine, 0, block).access & VMMU_WRITE));
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	cr_assert_eq(machine_touch(machine, block + 5, VMMU_WRITE).faults, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* All its pages are in the log; the first that is taken out of it ends that for all. */
FORMAT_TEST(dirty_bits, large_page_initially_set__is_protected_by_the_first_clear)
{
	struct machine_options options = {.rest_level = 2,
					  .dirty_source = VMMU_DIRTY_BY_BITS,
					  .dirty_flags = VMMU_DIRTY_MANUAL |
							 VMMU_DIRTY_INITIALLY_SET};
	uint64_t asked = 1 << 5, block;
	struct vmmu_dirty_range range = {.pages = 64, .bitmap = &asked};
	struct machine *machine;

	if (!is_possible(*index))
		cr_skip_test("no dirty bits");
	machine = machine_create(*index, &options);
	block = machine_pages(machine, 2);
	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 1, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert(machine_walk(machine, 0, block).access & VMMU_WRITE);
	machine_audit(machine);
	cr_assert_eq(machine_dirty_clear(machine, &range), 1);
	cr_assert_eq(machine_walk(machine, 0, block).level, 2);
	cr_assert(!(machine_walk(machine, 0, block).access & VMMU_WRITE));
	cr_assert(!machine_walk(machine, 0, block).entry.dirty);
	machine_destroy(machine);
}

/* What hardware lists in one go must find room when the ring counts as full. */
FORMAT_TEST(dirty_hardware_log, ring__keeps_room_for_all_of_it)
{
	struct machine_options options = {
		.host_pages = 600, .dirty_source = VMMU_DIRTY_BY_LOG, .ring_entries = 1024};
	static uint64_t log[VMMU_DIRTY_LOG_ENTRIES];
	struct machine *machine;
	uint64_t fits = 1024 - VMMU_DIRTY_LOG_ENTRIES - VMMU_DIRTY_RING_RESERVED;

	if (!is_possible(*index))
		cr_skip_test("no dirty bits");
	machine = machine_create(*index, &options);
	machine_slot(machine, 0, 0, 600, 0, VMMU_SLOT_LOG_DIRTY);
	for (uint64_t gfn = 0; gfn < fits; gfn++)
		machine_touch(machine, gfn, VMMU_WRITE);
	cr_assert_eq(machine_access(machine, 0, machine_gpa(machine, fits), VMMU_WRITE).fault.exit,
		     VMMU_EXIT_RING_FULL);
	for (unsigned i = 0; i < VMMU_DIRTY_LOG_ENTRIES; i++)
		log[i] = machine_gpa(machine, i % 7);
	cr_assert_eq(vmmu_dirty_log(machine->vcpu[0].vcpu, log, VMMU_DIRTY_LOG_ENTRIES, NULL), 0);
	cr_assert_eq(machine_ring_round(machine), fits);
	/* Its entries are clean, not protected. */
	cr_assert(machine_walk(machine, 0, 0).access & VMMU_WRITE);
	cr_assert(!machine_walk(machine, 0, 0).entry.dirty);
	machine_destroy(machine);
}

FORMAT_TEST(dirty_bits, format_without_them__is_refused)
{
	struct vmmu_env env = machine_env;
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = outside_at(*index), .env = &env};
	int expected = is_possible(*index) ? 0 : -EINVAL;
	struct vmmu_vm *vm = NULL;

	options.dirty_source = VMMU_DIRTY_BY_BITS;
	cr_assert_eq(vmmu_vm_create(&options, &vm), expected);
	vmmu_vm_destroy(vm);
	vm = NULL;
	options.dirty_source = VMMU_DIRTY_BY_LOG;
	cr_assert_eq(vmmu_vm_create(&options, &vm), expected);
	vmmu_vm_destroy(vm);
	vm = NULL;
	options.dirty_ring_entries = VMMU_DIRTY_LOG_ENTRIES;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "one log would fill it");
	options.dirty_source = VMMU_DIRTY_BY_BITS;
	options.dirty_ring_entries = 1024;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL, "whose ring?");
	options.dirty_ring_entries = 0;
	options.mode = VMMU_MODE_RANGES;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	options.mode = VMMU_MODE_FAULTS;
	options.dirty_source = (enum vmmu_dirty_source)3;
	cr_assert_eq(vmmu_vm_create(&options, &vm), -EINVAL);
	cr_assert_null(vm);
}
