/* SPDX-License-Identifier: MIT */
/*
 * Accesses to no memory: the entry that remembers them, the vCPU's cache, the generation that ends
 * both.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/sync.h"
#include "faults/harness.h"
#include "faults/vm.h"

#define UPDATING (UINT64_C(1) << 63)

/* gfn 100 has no memory; slot 0 has gfns 0..15 */
static struct machine *machine_with_mmio(unsigned format_index, unsigned address_spaces)
{
	struct machine_options options = {
		.address_spaces = address_spaces,
		.vcpus = 2,
		.host_pages = 64,
	};
	struct machine *machine = machine_create(format_index, &options);

	for (unsigned as_id = 0; as_id < machine->as_count; as_id++)
		machine_slot_in(machine, as_id, 0, 0, 16, 16 * as_id, 0);
	return machine;
}

static struct access_result mmio_access(struct machine *machine, unsigned vcpu, uint64_t gfn)
{
	struct access_result result = machine_access(machine, vcpu, machine_gpa(machine, gfn),
						     VMMU_READ);

	cr_assert_eq(result.end, ACCESS_EMULATED);
	cr_assert_eq(result.faults, 1);
	return result;
}

static uint64_t stamp(const struct machine *machine, unsigned as_id)
{
	return vmmu_slot_generation(machine->vm, as_id) &
	       ((UINT64_C(1) << machine->info->mmio_gen_bits) - 1);
}

FORMAT_TEST(mmio, first_access__installs_a_stamped_entry)
{
	struct machine *machine = machine_with_mmio(*index, 1);
	struct vmmu_walk walk;

	cr_assert(!mmio_access(machine, 0, 100).fault.mmio_cached);
	walk = machine_walk(machine, 0, 100);
	cr_assert_eq(walk.entry.kind, VMMU_ENTRY_MMIO);
	cr_assert_eq(walk.entry.gfn, 100);
	cr_assert_eq(walk.entry.generation, stamp(machine, 0));
	cr_assert_eq(walk.level, 1);
	cr_assert_eq(machine_stats(machine).mmio_installed, 1);
	cr_assert_eq(machine_stats(machine).mmio_entries, 1);
	cr_assert_eq(machine_stats(machine).faults[VMMU_EMULATE], 1);
	cr_assert_eq(machine->events[VMMU_EVENT_MMIO_SET], 1);
	cr_assert_eq(machine->resolves, 0);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, second_access__is_answered_from_memory)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	mmio_access(machine, 0, 100);
	cr_assert(mmio_access(machine, 0, 100).fault.mmio_cached);
	cr_assert_eq(machine_stats(machine).mmio_hits, 1);
	cr_assert_eq(machine_stats(machine).mmio_installed, 1);
	machine_destroy(machine);
}

/* gfn 0 is a page like any other. */
FORMAT_TEST(mmio, gfn_0__is_remembered_too)
{
	struct machine *machine = machine_create(*index, NULL);

	mmio_access(machine, 0, 0);
	cr_assert_eq(machine_walk(machine, 0, 0).entry.kind, VMMU_ENTRY_MMIO);
	machine_slot(machine, 0, 0, 1, 0, 0);
	machine_touch(machine, 0, VMMU_READ);
	machine_destroy(machine);
}

/* Hardware that traps MMIO entries tells the other vCPU, whose cache is empty. */
FORMAT_TEST(mmio, other_vcpu__is_answered_from_the_entry_where_hardware_traps_it)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	mmio_access(machine, 0, 100);
	if (machine->info->caps & VMMU_CAP_MMIO_TRAP)
		cr_assert(mmio_access(machine, 1, 100).fault.mmio_cached);
	mmio_access(machine, 1, 100);
	cr_assert(mmio_access(machine, 1, 100).fault.mmio_cached);
	cr_assert_eq(machine_stats(machine).mmio_entries, 1);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, slot_created_over_it__is_memory_at_once)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	mmio_access(machine, 0, 100);
	mmio_access(machine, 1, 100);
	machine_slot(machine, 1, 96, 8, 32, 0);
	machine_touch(machine, 100, VMMU_WRITE);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 100), VMMU_READ).end,
		     ACCESS_GRANTED);
	cr_assert_eq(machine_walk(machine, 0, 100).pfn, HOST_PFN + 36);
	cr_assert_eq(machine_stats(machine).mmio_entries, 0);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, slot_deleted__is_mmio_at_once)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	machine_touch(machine, 3, VMMU_WRITE);
	machine_slot_delete(machine, 0, 0);
	cr_assert(!mmio_access(machine, 0, 3).fault.mmio_cached);
	cr_assert(mmio_access(machine, 0, 3).fault.mmio_cached);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, unrelated_slot_update__makes_entry_and_cache_stale)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	mmio_access(machine, 0, 100);
	machine_slot(machine, 1, 200, 8, 32, 0);
	cr_assert_neq(machine_walk(machine, 0, 100).entry.generation, stamp(machine, 0));
	cr_assert(!mmio_access(machine, 0, 100).fault.mmio_cached);
	cr_assert_eq(machine_walk(machine, 0, 100).entry.generation, stamp(machine, 0));
	if (machine->info->caps & VMMU_CAP_MMIO_TRAP)
		cr_assert_eq(machine_stats(machine).mmio_stale, 1);
	cr_assert_eq(machine_stats(machine).mmio_entries, 1);
	cr_assert(mmio_access(machine, 0, 100).fault.mmio_cached);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, read_only_slot_write__is_emulated_and_not_cached)
{
	struct machine *machine = machine_create(*index, NULL);

	machine_slot(machine, 0, 0, 16, 0, VMMU_SLOT_READ_ONLY);
	for (unsigned n = 0; n < 2; n++) {
		struct access_result result = machine_access(machine, 0, machine_gpa(machine, 4),
							     VMMU_WRITE);

		cr_assert_eq(result.end, ACCESS_EMULATED);
		cr_assert(!result.fault.mmio_cached);
		cr_assert_neq(machine_kind(machine, 0, 4), VMMU_ENTRY_MMIO);
		machine_touch(machine, 4, VMMU_READ);
	}
	cr_assert_eq(machine_walk(machine, 0, 4).access & VMMU_WRITE, 0);
	cr_assert_eq(machine_stats(machine).mmio_installed, 0);
	cr_assert_eq(machine_stats(machine).mmio_hits, 0);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, gpa_beyond_the_input_size__is_emulated_without_an_entry)
{
	struct machine *machine = machine_with_mmio(*index, 1);
	uint64_t top = UINT64_C(1) << machine->geometry->gpa_bits;
	const uint64_t gpas[] = {top, top + 0x3000, UINT64_C(1) << 63, UINT64_MAX};
	struct vmmu_stats before = machine_stats(machine);

	machine_enter(machine, 0);
	for (unsigned i = 0; i < 4; i++) {
		struct vmmu_fault fault = {.gpa = gpas[i], .access = VMMU_WRITE};
		struct vmmu_walk walk;

		cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_EMULATE);
		cr_assert_eq(fault.gfn, gpas[i] >> machine->page_shift);
		cr_assert_eq(vmmu_walk(machine->vm, 0, gpas[i], &walk), -ENOENT);
	}
	cr_assert_eq(machine_stats(machine).mmio_entries, 0);
	cr_assert_eq(machine_stats(machine).faults[VMMU_EMULATE], before.faults[VMMU_EMULATE] + 4);
	machine_destroy(machine);
}

/*
 * The last page of the input space is inside; an entry that cannot hold so large a gfn may not be
 * made.
 */
FORMAT_TEST(mmio, last_gpa__has_a_true_entry_or_none)
{
	struct machine *machine = machine_with_mmio(*index, 1);
	uint64_t last = (UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift)) - 1;

	mmio_access(machine, 0, last);
	if (machine_kind(machine, 0, last) == VMMU_ENTRY_MMIO)
		cr_assert_eq(machine_walk(machine, 0, last).entry.gfn, last);
	mmio_access(machine, 0, last);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, update_in_one_address_space__leaves_the_other_current)
{
	struct machine *machine = machine_with_mmio(*index, 2);

	machine_vcpu_as(machine, 1, 1);
	mmio_access(machine, 0, 100);
	mmio_access(machine, 1, 100);
	machine_slot_in(machine, 1, 1, 96, 8, 40, 0);
	cr_assert(mmio_access(machine, 0, 100).fault.mmio_cached);
	cr_assert_eq(machine_access(machine, 1, machine_gpa(machine, 100), VMMU_READ).end,
		     ACCESS_GRANTED);
	machine_destroy(machine);
}

/* What one address space has as MMIO must not be believed in the other. */
FORMAT_TEST(mmio, vcpu_switching_address_space__forgets_its_cache)
{
	struct machine *machine = machine_with_mmio(*index, 2);

	machine_slot_in(machine, 1, 1, 96, 8, 40, 0);
	mmio_access(machine, 0, 100);
	machine_vcpu_as(machine, 0, 1);
	machine_touch(machine, 100, VMMU_READ);
	machine_vcpu_as(machine, 0, 0);
	mmio_access(machine, 0, 100);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, zap_all__drops_entries)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	mmio_access(machine, 0, 100);
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	machine_enter(machine, 0);
	machine_enter(machine, 1);
	cr_assert_eq(machine_kind(machine, 0, 100), VMMU_ENTRY_ABSENT);
	cr_assert_eq(machine_stats(machine).mmio_entries, 0);
	mmio_access(machine, 0, 100);
	machine_destroy(machine);
}

/* COUNT slot updates that concern nobody here. */
static void update_slots(struct machine *machine, unsigned as_id, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++)
		machine_slot_in(machine, as_id, 0, 0, 16, 16 * as_id,
				n & 1 ? 0 : VMMU_SLOT_LOG_DIRTY);
}

/* As if COUNT updates had happened, none of them the one that wraps. */
static void skip_updates(struct machine *machine, unsigned as_id, uint64_t count)
{
	struct slot_set *set = (struct slot_set *)slots_active(&machine->vm->slots, as_id);

	set->generation += count * machine->as_count;
}

/*
 * An entry made at generation g; then memory is put there and the generation goes once round, to a
 * value that the entry cannot tell from g. SKIPPED of the updates on the way are only pretended.
 */
static void wrap_around(struct machine *machine, unsigned as_id, uint64_t skipped)
{
	uint64_t round = UINT64_C(1) << machine->info->mmio_gen_bits;
	uint64_t updates = round / machine->as_count;
	uint64_t installed, zaps = machine_stats(machine).zap_all;

	machine_vcpu_as(machine, 0, as_id);
	mmio_access(machine, 0, 100);
	installed = stamp(machine, as_id);
	machine_slot_in(machine, as_id, 1, 96, 8, 40, 0);
	skip_updates(machine, as_id, skipped);
	update_slots(machine, as_id, updates - 1 - skipped);
	cr_assert_eq(stamp(machine, as_id), installed);
	cr_assert_eq(machine_stats(machine).zap_all, zaps + 1);
	machine_check_gfn(machine, as_id, 100);
	machine_touch(machine, 100, VMMU_WRITE);
}

/* Updates from the start of the last stretch to the wrap and beyond. */
#define STRETCH 100

FORMAT_TEST(mmio, generation_wrap__never_revives_an_entry)
{
	struct machine *machine = machine_with_mmio(*index, 2);
	uint64_t updates = (UINT64_C(1) << machine->info->mmio_gen_bits) / 2;

	wrap_around(machine, 0, updates - STRETCH);
	wrap_around(machine, 1, updates - STRETCH);
	machine_destroy(machine);
}

FORMAT_TEST(mmio, generation_wrap_with_one_address_space__never_revives_an_entry)
{
	struct machine *machine = machine_with_mmio(*index, 1);

	wrap_around(machine, 0, (UINT64_C(1) << machine->info->mmio_gen_bits) - STRETCH);
	machine_destroy(machine);
}

/* The whole way, update by update. */
Test(mmio, generation_wrap_without_a_shortcut__never_revives_an_entry)
{
	struct machine *machine = machine_with_mmio(0, 2);

	wrap_around(machine, 0, 0);
	machine_destroy(machine);
}

/* A reader that stays inside: whatever waits for readers waits for it. */
struct pin {
	pthread_t thread;
	sem_t inside, release;
};

static void *pin_run(void *arg)
{
	struct pin *pin = arg;

	sync_thread_register();
	sync_read_lock();
	sem_post(&pin->inside);
	sem_wait(&pin->release);
	sync_read_unlock();
	sync_thread_unregister();
	return NULL;
}

static void pin_start(struct pin *pin)
{
	sem_init(&pin->inside, 0, 0);
	sem_init(&pin->release, 0, 0);
	cr_assert_eq(pthread_create(&pin->thread, NULL, pin_run, pin), 0);
	sem_wait(&pin->inside);
}

static void pin_stop(struct pin *pin)
{
	sem_post(&pin->release);
	pthread_join(pin->thread, NULL);
	sem_destroy(&pin->inside);
	sem_destroy(&pin->release);
}

/* A slot call on a thread of its own, stuck behind a pin between publishing and being done. */
struct update {
	struct pin pin;
	pthread_t thread;
	struct vmmu_vm *vm;
	struct vmmu_slot slot;
	int result;
};

static void *update_run(void *arg)
{
	struct update *update = arg;

	vmmu_thread_register();
	update->result = vmmu_slot_set(update->vm, &update->slot);
	vmmu_thread_unregister();
	return NULL;
}

static void update_start(struct update *update, struct machine *machine, struct vmmu_slot slot)
{
	unsigned waited = 0;

	update->vm = machine->vm;
	update->slot = slot;
	pin_start(&update->pin);
	cr_assert_eq(pthread_create(&update->thread, NULL, update_run, update), 0);
	while (!(vmmu_slot_generation(machine->vm, slot.as_id) & UPDATING)) {
		cr_assert_lt(waited++, 60000, "the update never shows bit 63");
		usleep(1000);
	}
}

static void update_finish(struct update *update)
{
	pin_stop(&update->pin);
	pthread_join(update->thread, NULL);
	cr_assert_eq(update->result, 0);
}

static void check_nothing_cached_meanwhile(struct machine *machine, unsigned as_id)
{
	struct vmmu_slot slot = model_slot_by_id(machine, as_id, 0)->set;
	struct update update;

	machine_vcpu_as(machine, 0, as_id);
	mmio_access(machine, 0, 101);
	cr_assert(mmio_access(machine, 0, 101).fault.mmio_cached);
	slot.flags ^= VMMU_SLOT_LOG_DIRTY;
	update_start(&update, machine, slot);
	for (unsigned n = 0; n < 2; n++) {
		cr_assert(!mmio_access(machine, 0, 100).fault.mmio_cached);
		cr_assert_neq(machine_kind(machine, as_id, 100), VMMU_ENTRY_MMIO,
			      "an entry was made during an update");
		cr_assert(!mmio_access(machine, 0, 101).fault.mmio_cached,
			  "an entry was believed during an update");
	}
	update_finish(&update);
	cr_assert(!(vmmu_slot_generation(machine->vm, as_id) & UPDATING));
	cr_assert(!mmio_access(machine, 0, 100).fault.mmio_cached);
	cr_assert(mmio_access(machine, 0, 100).fault.mmio_cached);
	slot.flags ^= VMMU_SLOT_LOG_DIRTY;
	cr_assert_eq(vmmu_slot_set(machine->vm, &slot), 0);
}

FORMAT_TEST(mmio, fault_during_a_slot_update__neither_makes_nor_believes_entries)
{
	struct machine *machine = machine_with_mmio(*index, 2);

	check_nothing_cached_meanwhile(machine, 0);
	check_nothing_cached_meanwhile(machine, 1);
	machine_destroy(machine);
}

/* While a slot goes, faults on it come back; they are neither MMIO nor mapped. */
FORMAT_TEST(mmio, fault_on_a_slot_being_deleted__retries)
{
	struct machine *machine = machine_with_mmio(*index, 1);
	struct vmmu_slot kept = model_slot_by_id(machine, 0, 0)->set, gone = kept;
	struct update update;
	struct vmmu_fault fault;

	machine_touch(machine, 3, VMMU_WRITE);
	gone.bytes = 0;
	update_start(&update, machine, gone);
	machine_enter(machine, 0);
	cr_assert_eq(machine_fault(machine, 5, VMMU_READ, 0, &fault), VMMU_RETRY);
	cr_assert_eq(machine_kind(machine, 0, 5), VMMU_ENTRY_ABSENT);
	update_finish(&update);
	cr_assert_eq(vmmu_slot_set(machine->vm, &kept), 0);
	machine_touch(machine, 3, VMMU_WRITE);
	machine_destroy(machine);
}
