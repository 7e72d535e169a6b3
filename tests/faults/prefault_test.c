/* SPDX-License-Identifier: MIT */
/* Mapping a range ahead: what is mapped, how far, and what stops it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "faults/harness.h"

/* Slot 0: gfns 32..63 behind host pages 0..31. */
static struct machine *machine_of_32_pages(unsigned format_index)
{
	struct machine_options options = {.host_pages = 64};
	struct machine *machine = machine_create(format_index, &options);

	machine_slot(machine, 0, 32, 32, 0, 0);
	return machine;
}

/* Prefault COUNT pages from GFN on; *pages: how many were done. */
static int prefault(struct machine *machine, uint64_t gfn, uint64_t count, uint64_t *pages)
{
	uint64_t done = 99;
	int err;

	machine_op(machine, "prefault gfn %#llx+%llu", (unsigned long long)gfn,
		   (unsigned long long)count);
	err = vmmu_prefault(machine->vcpu[0].vcpu, machine_gpa(machine, gfn),
			    count << machine->page_shift, &done);
	cr_assert_eq(done & ((UINT64_C(1) << machine->page_shift) - 1), 0);
	*pages = done >> machine->page_shift;
	return err;
}

FORMAT_TEST(prefault, range__is_mapped_and_not_used)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_hva_range range = {machine_hva(machine, 0), machine_hva(machine, 32)};
	uint64_t pages;

	cr_assert_eq(prefault(machine, 34, 5, &pages), 0);
	cr_assert_eq(pages, 5);
	cr_assert_eq(machine->request.access, VMMU_READ, "no page is broken out for a write");
	cr_assert_eq(machine_stats(machine).mapped[1], 5);
	cr_assert_eq(machine_stats(machine).prefaulted, 5);
	cr_assert_eq(machine->events[VMMU_EVENT_FAULT], 0, "no fault of the guest");
	for (uint64_t gfn = 32; gfn < 41; gfn++)
		cr_assert_eq(machine_kind(machine, 0, gfn),
			     gfn >= 34 && gfn < 39 ? VMMU_ENTRY_LEAF : VMMU_ENTRY_ABSENT);
	machine_check_range(machine, 0, 30, 60);
	cr_assert_eq(vmmu_test_age(machine->vm, &range),
		     !(machine->info->caps & VMMU_CAP_HW_DIRTY));
	machine_enter(machine, 0);
	for (uint64_t gfn = 34; gfn < 39; gfn++)
		cr_assert_eq(machine_touch(machine, gfn, VMMU_WRITE).faults, 0);
	machine_destroy(machine);
}

FORMAT_TEST(prefault, end_of_slot__stops_it)
{
	struct machine *machine = machine_of_32_pages(*index);
	uint64_t pages;

	cr_assert_eq(prefault(machine, 60, 8, &pages), 0, "part of it is success");
	cr_assert_eq(pages, 4);
	cr_assert_eq(prefault(machine, 64, 4, &pages), -ENOENT);
	cr_assert_eq(pages, 0);
	cr_assert_eq(machine_kind(machine, 0, 64), VMMU_ENTRY_MMIO, "as a fault leaves one");
	cr_assert_eq(machine_stats(machine).prefaulted, 4);
	cr_assert_eq(prefault(machine, UINT64_C(1) << (63 - machine->page_shift), 1, &pages),
		     -ENOENT, "beyond the input size");
	machine_destroy(machine);
}

FORMAT_TEST(prefault, pages_without_memory__say_why)
{
	struct machine *machine = machine_of_32_pages(*index);
	uint64_t pages;

	machine->host.pages[3].status = HOST_UNMAPPED;
	machine->host.pages[5].status = HOST_POISONED;
	cr_assert_eq(prefault(machine, 32, 8, &pages), 0);
	cr_assert_eq(pages, 3);
	cr_assert_eq(prefault(machine, 35, 5, &pages), -EFAULT);
	cr_assert_eq(pages, 0);
	cr_assert_eq(prefault(machine, 36, 4, &pages), 0);
	cr_assert_eq(pages, 1);
	cr_assert_eq(prefault(machine, 37, 3, &pages), -EHWPOISON);
	machine->interrupts = 1;
	cr_assert_eq(prefault(machine, 38, 2, &pages), -EINTR);
	cr_assert_eq(prefault(machine, 38, 2, &pages), 0);
	cr_assert_eq(pages, 2);
	machine_destroy(machine);
}

FORMAT_TEST(prefault, page_being_taken_away__asks_to_come_again)
{
	struct machine *machine = machine_of_32_pages(*index);
	uint64_t pages;

	cr_assert_eq(machine_invalidate_begin(machine, 6, 1), 0);
	cr_assert_eq(prefault(machine, 38, 2, &pages), -EAGAIN);
	cr_assert_eq(machine_kind(machine, 0, 38), VMMU_ENTRY_ABSENT);
	cr_assert_eq(prefault(machine, 36, 4, &pages), 0);
	cr_assert_eq(pages, 2);
	cr_assert_eq(machine_invalidate_end(machine, 6, 1), 0);
	cr_assert_eq(prefault(machine, 38, 2, &pages), 0);
	cr_assert_eq(pages, 2);
	machine_destroy(machine);
}

static void take_page_away(struct machine *machine, const struct vmmu_page_request *request)
{
	uint64_t page = (request->hva - HOST_VA) >> machine->page_shift;

	machine_host_set(machine, page, 1,
			 (struct host_page){.pfn = 777, .level = 1, .writable = true});
}

FORMAT_TEST(prefault, page_replaced_during_lookup__is_looked_up_again)
{
	struct machine *machine = machine_of_32_pages(*index);
	uint64_t pages;

	machine->on_resolve = take_page_away;
	cr_assert_eq(prefault(machine, 38, 1, &pages), 0);
	cr_assert_eq(pages, 1);
	cr_assert_eq(machine_walk(machine, 0, 38).pfn, 777);
	machine_destroy(machine);
}

static void drop_everything(struct machine *machine, const struct vmmu_page_request *request)
{
	(void)request;
	cr_assert_eq(vmmu_zap_all(machine->vm), 0);
}

/*
 * The root that it began on is obsolete at the end: it takes the new one, and the vCPU must
 * flush.
 */
FORMAT_TEST(prefault, everything_dropped_meanwhile__goes_on_on_the_new_root)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_root root;
	bool flush_local;
	uint64_t pages;

	machine_touch(machine, 33, VMMU_WRITE);
	machine->on_resolve = drop_everything;
	cr_assert_eq(prefault(machine, 38, 3, &pages), 0);
	cr_assert_eq(pages, 3);
	cr_assert_eq(machine_stats(machine).mapped[1], 3);
	cr_assert_eq(vmmu_vcpu_root(machine->vcpu[0].vcpu, &root, &flush_local), 0);
	cr_assert(flush_local);
	machine_destroy(machine);
}

static void *delete_slot(void *arg)
{
	struct machine *machine = arg;
	struct vmmu_slot gone = {.id = 0};
	intptr_t err = vmmu_slot_set(machine->vm, &gone);

	return (void *)err;
}

struct reading {
	struct vmmu_vm *vm;
	_Atomic bool is_inside, may_leave;
};

static void *stay_inside(void *arg)
{
	struct reading *reading = arg;
	struct vmmu_reader reader;
	intptr_t err = vmmu_reader_begin(reading->vm, 0, &reader);

	reading->is_inside = true;
	while (!reading->may_leave)
		sched_yield();
	vmmu_reader_end(&reader);
	return (void *)err;
}

/* While a reader is inside, a deletion cannot get past marking the slot: it stays so until then. */
FORMAT_TEST(prefault, slot_going_away__asks_to_come_again)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_fault fault = {.gpa = machine_gpa(machine, 40), .access = VMMU_READ};
	struct reading reading = {.vm = machine->vm};
	pthread_t deleter, reader;
	uint64_t pages;
	void *result;

	machine_touch(machine, 33, VMMU_READ);
	cr_assert_eq(pthread_create(&reader, NULL, stay_inside, &reading), 0);
	while (!reading.is_inside)
		sched_yield();
	cr_assert_eq(pthread_create(&deleter, NULL, delete_slot, machine), 0);
	while (!(vmmu_slot_generation(machine->vm, 0) >> 63))
		sched_yield();
	cr_assert_eq(prefault(machine, 40, 2, &pages), -EAGAIN);
	cr_assert_eq(vmmu_fault(machine->vcpu[0].vcpu, &fault), VMMU_RETRY);
	reading.may_leave = true;
	pthread_join(reader, &result);
	cr_assert_null(result);
	pthread_join(deleter, &result);
	cr_assert_null(result);
	cr_assert_eq(prefault(machine, 40, 2, &pages), -ENOENT);
	machine_destroy(machine);
}

FORMAT_TEST(prefault, huge_pages__are_steps)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2), pages;

	machine_slot(machine, 0, block, 3 * block, block, 0);
	cr_assert_eq(prefault(machine, block + 5, block, &pages), 0);
	cr_assert_eq(pages, block);
	cr_assert_eq(machine_stats(machine).mapped[2], 2);
	cr_assert_eq(machine_stats(machine).mapped[1], 0);
	machine_destroy(machine);
}

/* A page in use stays in use, and a page under logging stays write-protected. */
FORMAT_TEST(prefault, what_is_mapped__stays_as_it_is)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_walk before, after;
	uint64_t pages;

	machine_touch(machine, 37, VMMU_WRITE);
	machine_slot(machine, 0, 32, 32, 0, VMMU_SLOT_LOG_DIRTY);
	before = machine_walk(machine, 0, 37);
	cr_assert_not(before.access & VMMU_WRITE);
	cr_assert_eq(prefault(machine, 37, 1, &pages), 0);
	after = machine_walk(machine, 0, 37);
	cr_assert_eq(after.pte, before.pte);
	cr_assert_eq(machine_stats(machine).prefaulted, 0);
	cr_assert_eq(machine_dirty_get(machine, 0, 0), 0);
	machine_destroy(machine);
}

/* What is larger than a fault would map it now makes way, as it does for a fault. */
FORMAT_TEST(prefault, large_page_under_logging__becomes_small)
{
	struct machine_options options = {.rest_level = 2};
	struct machine *machine = machine_create(*index, &options);
	uint64_t block = machine_pages(machine, 2), pages;

	machine_slot(machine, 0, block, block, block, 0);
	machine_touch(machine, block + 5, VMMU_WRITE);
	machine_slot(machine, 0, block, block, block, VMMU_SLOT_LOG_DIRTY);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 2);
	cr_assert_eq(prefault(machine, block + 4, 2, &pages), 0);
	cr_assert_eq(pages, 2);
	cr_assert_eq(machine_walk(machine, 0, block + 5).level, 1);
	cr_assert_eq(machine_stats(machine).mapped[2], 0);
	cr_assert_geq(machine_stats(machine).prefaulted, 1);
	/* What may be written counts as written, which the machine's own books do not know. */
	machine_discard(machine);
}

FORMAT_TEST(prefault, bad_arguments__are_refused)
{
	struct machine *machine = machine_of_32_pages(*index);
	struct vmmu_vcpu *vcpu = machine->vcpu[0].vcpu;
	uint64_t page = machine_gpa(machine, 1), done = 7;

	cr_assert_eq(vmmu_prefault(NULL, 0, page, &done), -EINVAL);
	cr_assert_eq(done, 0);
	cr_assert_eq(vmmu_prefault(vcpu, 0, 0, &done), -EINVAL);
	cr_assert_eq(vmmu_prefault(vcpu, 1, page, &done), -EINVAL);
	cr_assert_eq(vmmu_prefault(vcpu, 0, page - 1, &done), -EINVAL);
	cr_assert_eq(vmmu_prefault(vcpu, -page, page, &done), -EINVAL, "wraps to 0");
	cr_assert_eq(vmmu_prefault(vcpu, -page, 2 * page, &done), -EINVAL);
	cr_assert_eq(vmmu_prefault(vcpu, machine_gpa(machine, 40), page, NULL), 0);
	machine_destroy(machine);
}

/* The address space is the one that the vCPU runs in. */
FORMAT_TEST(prefault, other_address_space__is_the_vcpus)
{
	struct machine_options options = {.address_spaces = 2, .host_pages = 64};
	struct machine *machine = machine_create(*index, &options);
	uint64_t pages;

	machine_slot_in(machine, 1, 0, 8, 8, 0, 0);
	cr_assert_eq(prefault(machine, 8, 2, &pages), -ENOENT);
	machine_vcpu_as(machine, 0, 1);
	cr_assert_eq(prefault(machine, 8, 2, &pages), 0);
	cr_assert_eq(machine_kind(machine, 1, 9), VMMU_ENTRY_LEAF);
	cr_assert_eq(machine_kind(machine, 0, 9), VMMU_ENTRY_ABSENT);
	machine_destroy(machine);
}
