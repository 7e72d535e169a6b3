/* SPDX-License-Identifier: MIT */
/* Rights taken and given back. */
#include <string.h>

#include "range/stand.h"

#define PFN (UINT64_C(1) << 24)

static void map(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	stand_begin(stand);
	cr_assert_eq(stand_map(stand, gfn, pages, PFN + gfn, access, VMMU_MEM_WRITEBACK), 0);
	stand_end(stand);
}

static void protect(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	stand_begin(stand);
	cr_assert_eq(stand_protect(stand, gfn, pages, access), 0);
	stand_end(stand);
}

static void write_protect(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	stand_begin(stand);
	cr_assert_eq(stand_write_protect(stand, gfn, pages), 0);
	stand_end(stand);
}

static unsigned access_of(struct stand *stand, uint64_t gfn)
{
	struct vmmu_walk walk;

	cr_assert_eq(vmmu_walk(stand->vm, 0, gfn << stand->page_shift, &walk), 0);
	return walk.access;
}

RANGE_TEST(range_protect, write_is_given__only_where_it_was_mapped_with)
{
	struct stand *stand = stand_create(*index, NULL);

	map(stand, 0, 1, VMMU_RWX);
	map(stand, 1, 1, VMMU_READ | VMMU_EXEC);
	protect(stand, 0, 4, VMMU_READ);
	cr_assert_eq(access_of(stand, 0), VMMU_READ);
	cr_assert_eq(access_of(stand, 1), VMMU_READ);
	protect(stand, 0, 4, VMMU_RWX);
	cr_assert_eq(access_of(stand, 0), VMMU_RWX);
	cr_assert_eq(access_of(stand, 1), VMMU_READ | VMMU_EXEC);
	protect(stand, 0, 1, VMMU_READ | VMMU_WRITE);
	cr_assert_eq(access_of(stand, 0), VMMU_READ | VMMU_WRITE);
	stand_destroy(stand);
}

/* One page, and a range: the way there differs. */
RANGE_TEST(range_protect, write_given_back__the_entry_is_as_it_was)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_digest before, after;

	stand_begin(stand);
	stand_map(stand, 0, 600, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	cr_assert_eq(vmmu_digest(stand->vm, &before), 0);
	write_protect(stand, 0, 600);
	cr_assert_eq(access_of(stand, 0), VMMU_READ | VMMU_EXEC);
	for (uint64_t gfn = 0; gfn < 50; gfn++)
		protect(stand, gfn, 1, VMMU_RWX);
	protect(stand, 50, 550, VMMU_RWX);
	cr_assert_eq(vmmu_digest(stand->vm, &after), 0);
	cr_assert_eq(before.high, after.high);
	cr_assert_eq(before.low, after.low);
	stand_destroy(stand);
}

static void write_allow(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	stand_begin(stand);
	cr_assert_eq(stand_write_allow(stand, gfn, pages), 0);
	stand_end(stand);
}

/* What write_protect took and nothing else; what it was mapped without, it does not get. */
RANGE_TEST(range_write_allow, write_taken__is_given_back)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2), high = (700 / large + 1) * large, flushes;
	struct vmmu_digest before, after;

	stand_begin(stand);
	stand_map(stand, 0, 600, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_map(stand, 600, 8, PFN + 601, VMMU_READ | VMMU_EXEC, VMMU_MEM_WRITEBACK);
	stand_map(stand, high, large, PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	cr_assert_eq(vmmu_digest(stand->vm, &before), 0);
	write_protect(stand, 0, high + large);
	flushes = stand->flushes;
	for (uint64_t gfn = 0; gfn < 50; gfn++)
		write_allow(stand, gfn, 1);
	cr_assert_eq(access_of(stand, 49), VMMU_RWX);
	cr_assert_eq(access_of(stand, 50), VMMU_READ | VMMU_EXEC);
	write_allow(stand, 0, high + large);
	write_allow(stand, 603, 1);
	write_allow(stand, high - 1, 1);
	cr_assert_eq(access_of(stand, high), VMMU_RWX);
	cr_assert_eq(access_of(stand, 603), VMMU_READ | VMMU_EXEC);
	/* Arm's TLBs may keep the old rights until they are told. */
	if (!(vmmu_format_info(vmmu_vm_format(stand->vm))->caps & VMMU_CAP_BREAK_FIRST))
		cr_assert_eq(stand->flushes, flushes, "nobody lost anything");
	cr_assert_eq(vmmu_digest(stand->vm, &after), 0);
	cr_assert(before.high == after.high && before.low == after.low);
	stand_destroy(stand);
}

RANGE_TEST(range_protect, a_part_of_a_large_page__splits_it)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map(stand, 0, 2 * large, VMMU_RWX);
	protect(stand, large - 2, 4, VMMU_READ);
	cr_assert_eq(stand_stats(stand).mapped[1], 2 * large);
	cr_assert_eq(access_of(stand, large - 3), VMMU_RWX);
	cr_assert_eq(access_of(stand, large - 2), VMMU_READ);
	cr_assert_eq(access_of(stand, large + 1), VMMU_READ);
	cr_assert_eq(access_of(stand, large + 2), VMMU_RWX);
	stand_destroy(stand);
}

RANGE_TEST(range_protect, a_whole_large_page__stays_one)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);

	map(stand, 0, 2 * large, VMMU_RWX);
	write_protect(stand, large, large);
	cr_assert_eq(stand_stats(stand).mapped[2], 2);
	cr_assert_eq(access_of(stand, large), VMMU_READ | VMMU_EXEC);
	cr_assert_eq(access_of(stand, large - 1), VMMU_RWX);
	cr_assert_eq(stand->last.gfn_start, large);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	stand_destroy(stand);
}

RANGE_TEST(range_write_protect, a_page__flushes_just_it)
{
	struct stand *stand = stand_create(*index, NULL);
	unsigned group = stand->geometry->group_lg2[1];
	uint64_t flushes;

	map(stand, 0, 64, VMMU_RWX);
	write_protect(stand, 9, 1);
	/* a group is flushed as a whole before it is taken apart */
	cr_assert_eq(stand->flushes, group && group <= 6 ? 2 : 1);
	cr_assert_eq(stand->last.gfn_start, 9);
	cr_assert_eq(stand->last.gfn_end, 10);
	cr_assert(!stand->last.local);
	flushes = stand->flushes;
	write_protect(stand, 9, 1);
	cr_assert_eq(stand->flushes, flushes, "nothing changed");
	stand_destroy(stand);
}

/*
 * Whole tables: once without atomics, then with entries that are volatile, then with none to
 * change.
 */
RANGE_TEST(range_write_protect, whole_tables__twice)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2), flushes;

	stand_begin(stand);
	cr_assert_eq(stand_map(stand, 0, 2 * large, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK), 0);
	stand_unmap(stand, 5, 3);
	stand_end(stand);
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->last.gfn_start, 0);
	cr_assert_eq(stand->last.gfn_end, 2 * large);
	flushes = stand->flushes;
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->flushes, flushes);
	/* not the first of those that are looked at together */
	protect(stand, large + 41, 3, VMMU_RWX);
	flushes = stand->flushes;
	write_protect(stand, 0, 2 * large);
	cr_assert_eq(stand->flushes, flushes + 1);
	cr_assert_eq(stand->last.gfn_start, large + 41);
	cr_assert_eq(stand->last.gfn_end, large + 44);
	stand_destroy(stand);
}

/*
 * Pieces of tables, beginning and ending inside of what is looked at together, some of it volatile,
 * some absent, some not writable: the model knows which pages lose WRITE.
 */
RANGE_TEST(range_write_protect, pieces_of_tables__and_no_more)
{
	struct stand *stand = stand_create(*index, NULL);
	bool is_writable;
	uint64_t next;

	map(stand, 0, 40, VMMU_RWX);
	map(stand, 40, 8, VMMU_READ);
	map(stand, 52, 60, VMMU_RWX);
	for (uint64_t first = 0; first < 20; first += 3) {
		for (uint64_t pages = 1; pages < 100; pages += 7) {
			write_protect(stand, first, pages);
			next = first + pages;
			is_writable = next < 40 || (next >= 52 && next < 112);
			cr_assert_eq(access_of(stand, next) & VMMU_WRITE,
				     is_writable ? VMMU_WRITE : 0u);
			protect(stand, 0, 112, VMMU_RWX);
			/* others then hold what the lockless fix may change */
			write_protect(stand, 3, 2);
			write_protect(stand, 30, 1);
			protect(stand, 0, 112, VMMU_RWX);
			write_protect(stand, 5, 1);
		}
		protect(stand, 5, 1, VMMU_RWX);
		stand_check(stand);
	}
	stand_destroy(stand);
}

/*
 * WRITE given page by page: where a TLB may hold the denial, one flush of all of it at the end;
 * none elsewhere, as no page lost a right.
 */
RANGE_TEST(range_write_allow, pages__one_flush_if_any)
{
	struct stand *stand = stand_create(*index, NULL);
	const struct vmmu_format_ops *ops = vmmu_format_ops(outside_at(*index));
	struct vmmu_walk walk;
	uint64_t flushes;
	bool is_owed;

	map(stand, 0, 64, VMMU_RWX);
	write_protect(stand, 0, 64);
	cr_assert_eq(vmmu_walk(stand->vm, 0, 0, &walk), 0);
	is_owed = ops->flush_needed(walk.pte, ops->write_allow(walk.pte, 1), 1) ==
		  VMMU_FLUSH_REMOTE;
	flushes = stand->flushes;
	stand_begin(stand);
	for (uint64_t gfn = 7; gfn < 21; gfn += 2)
		cr_assert_eq(stand_protect(stand, gfn, 1, VMMU_RWX), 0);
	cr_assert_eq(stand->flushes, flushes);
	stand_end(stand);
	cr_assert_eq(stand->flushes, flushes + is_owed);
	if (is_owed) {
		cr_assert_eq(stand->last.gfn_start, 7);
		cr_assert_eq(stand->last.gfn_end, 20);
	}
	stand_destroy(stand);
}

struct granted {
	struct vmmu_flush last;
	unsigned flushes;
};

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

static void count_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct granted *granted = ctx;

	granted->flushes++;
	granted->last = *flush;
}

/* Whether a registered format wants a flush is asked for each change: Arm's own functions do. */
Test(range_write_allow, a_registered_format_that_caches_denials__one_flush)
{
	const struct vmmu_format *arm = vmmu_format_find("arm-s2-4k");
	struct vmmu_format_info info = *vmmu_format_info(arm);
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page, .flush = count_flush};
	struct granted granted = {.flushes = 0};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .env = &env,
					  .env_ctx = &granted,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_update update;
	struct vmmu_attr attr;
	struct vmmu_vm *vm;
	char why[256];

	info.name = "arm-outside";
	cr_assert_eq(vmmu_format_register(&info, vmmu_format_ops(arm), &options.format, why,
					  sizeof(why)),
		     0);
	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	cr_assert_eq(vmmu_map(&update, 0, 0x1000, 0x8000, &attr, NULL), 0);
	cr_assert_eq(vmmu_write_protect(&update, 0, 0x8000, NULL), 0);
	vmmu_update_end(&update);
	cr_assert_eq(granted.flushes, 1);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	cr_assert_eq(vmmu_write_allow(&update, 0x2000, 0x1000, NULL), 0);
	cr_assert_eq(vmmu_write_allow(&update, 0x5000, 0x1000, NULL), 0);
	vmmu_update_end(&update);
	cr_assert_eq(granted.flushes, 2);
	cr_assert_eq(granted.last.gfn_start, 2);
	cr_assert_eq(granted.last.gfn_end, 6);
	vmmu_vm_destroy(vm);
}

static int fault(struct stand *stand, struct vmmu_vcpu *vcpu, uint64_t gfn, unsigned access,
		 bool *fast)
{
	struct vmmu_fault fault = {.gpa = gfn << stand->page_shift, .access = access};
	int outcome = vmmu_fault(vcpu, &fault);

	*fast = fault.fast;
	return outcome;
}

/* The VM's own faults give WRITE back, and nothing else. */
RANGE_TEST(range_faults, a_write_to_a_protected_page__is_fixed_without_the_lock)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_vcpu *vcpu;
	bool fast;

	map(stand, 0, 4, VMMU_RWX);
	map(stand, 4, 1, VMMU_READ);
	write_protect(stand, 0, 4);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &vcpu), 0);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_READ, &fast), VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_WRITE, &fast), VMMU_FIXED);
	cr_assert(fast);
	cr_assert_eq(fault(stand, vcpu, 2, VMMU_WRITE, &fast), VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, vcpu, 4, VMMU_WRITE, &fast), VMMU_EMULATE);
	cr_assert_eq(fault(stand, vcpu, 5, VMMU_READ, &fast), VMMU_EMULATE);
	cr_assert_eq(access_of(stand, 1), VMMU_READ | VMMU_EXEC);
	cr_assert_eq(access_of(stand, 2), VMMU_RWX);
	/* the model learns what the fault did */
	protect(stand, 2, 1, VMMU_RWX);
	vmmu_vcpu_destroy(vcpu);
	stand_destroy(stand);
}

/* A guest access at the moment of the flush; a fault takes no lock in such a VM. */
static void fault_in_flush(struct stand *stand)
{
	bool fast;

	stand->on_flush = NULL;
	stand->outcome = fault(stand, stand->vcpu, 1, VMMU_READ, &fast);
}

/* Some take the large page out before the table comes: that is not "no memory there". */
RANGE_TEST(range_faults, while_a_large_page_is_split__memory_stays_memory)
{
	struct stand *stand = stand_create(*index, NULL);
	uint64_t large = stand_pages(stand, 2);
	bool breaks = vmmu_format_info(outside_at(*index))->caps & VMMU_CAP_BREAK_FIRST;
	bool fast;

	map(stand, 0, large, VMMU_RWX);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &stand->vcpu), 0);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_READ, &fast), VMMU_SPURIOUS);
	stand->on_flush = fault_in_flush;
	protect(stand, 7, 1, VMMU_READ);
	cr_assert_eq(stand->outcome, breaks ? VMMU_RETRY : VMMU_SPURIOUS);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_WRITE, &fast), VMMU_SPURIOUS);
	vmmu_vcpu_destroy(stand->vcpu);
	stand_destroy(stand);
}

/*
 * The fault comes just before the table that splits the page: no frame is free, so what is owed is
 * flushed first.
 */
static void write_in_flush(struct stand *stand)
{
	bool fast;

	stand->on_flush = NULL;
	stand->outcome = fault(stand, stand->vcpu, 1, VMMU_WRITE, &fast);
}

RANGE_TEST(range_faults, write_given_back_during_a_split__is_not_lost)
{
	struct stand *stand = stand_create_short(*index);
	uint64_t large = stand_pages(stand, 2);
	bool fast;

	map(stand, 0, large, VMMU_RWX);
	write_protect(stand, 0, large);
	cr_assert_eq(vmmu_vcpu_create(stand->vm, 0, &stand->vcpu), 0);
	cr_assert_eq(fault(stand, stand->vcpu, 1, VMMU_READ, &fast), VMMU_SPURIOUS);
	stand_begin(stand);
	stand_map(stand, large, stand->gfns - large, PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	cr_assert_eq(stand->short_count, 1);
	stand_unmap(stand, large, large);
	stand->on_flush = write_in_flush;
	cr_assert_eq(stand_protect(stand, 7, 1, VMMU_READ), 0);
	stand_end(stand);
	cr_assert_eq(stand->outcome, VMMU_FIXED);
	cr_assert_eq(access_of(stand, 0), VMMU_RWX);
	cr_assert_eq(access_of(stand, 1), VMMU_RWX);
	cr_assert_eq(access_of(stand, 7), VMMU_READ);
	cr_assert_eq(access_of(stand, large - 1), VMMU_RWX);
	/* the model learns of it */
	protect(stand, 0, 7, VMMU_RWX);
	protect(stand, 8, large - 8, VMMU_RWX);
	vmmu_vcpu_destroy(stand->vcpu);
	stand_destroy(stand);
}
