/* SPDX-License-Identifier: MIT */
/* The tables of ranges are those that faults build for the same pages: equal digests. */
#include "base/random.h"
#include "range/stand.h"

#define HVA   (UINT64_C(1) << 40)
#define PFN   (UINT64_C(1) << 24)
#define TIMES 400

/* What the host has: frames in order from PFN on, mapped at LEVEL. */
struct host {
	unsigned level, page_shift;
};

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	const struct host *host = ctx;

	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = PFN + ((request->hva - HVA) >> host->page_shift),
				   .level = host->level,
				   .writable = true};
	return VMMU_RESOLVE_OK;
}

struct faulting {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	struct host host;
	uint64_t gfns;
};

/* A VM with one slot of GFNS pages from 0 on. */
static void faulting_create(struct faulting *faulting, unsigned format_index, unsigned level,
			    uint64_t gfns, uint64_t tables_hpa)
{
	const struct vmmu_format *format = outside_at(format_index);
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = format,
					  .env = &env,
					  .env_ctx = &faulting->host,
					  .tables_hpa = tables_hpa};
	struct vmmu_slot slot = {.hva = HVA};

	faulting->host.level = level;
	faulting->host.page_shift = vmmu_format_info(format)->geometry->page_shift;
	faulting->gfns = gfns;
	slot.bytes = gfns << faulting->host.page_shift;
	cr_assert_eq(vmmu_vm_create(&options, &faulting->vm), 0);
	cr_assert_eq(vmmu_slot_set(faulting->vm, &slot), 0);
	cr_assert_eq(vmmu_vcpu_create(faulting->vm, 0, &faulting->vcpu), 0);
}

static void touch(struct faulting *faulting, uint64_t gfn)
{
	struct vmmu_fault fault = {.gpa = gfn << faulting->host.page_shift, .access = VMMU_WRITE};
	int outcome = vmmu_fault(faulting->vcpu, &fault);

	cr_assert(outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS);
}

static void check_same(struct vmmu_vm *vm, struct vmmu_vm *other)
{
	struct vmmu_digest a, b;

	cr_assert_eq(vmmu_digest(vm, &a), 0);
	cr_assert_eq(vmmu_digest(other, &b), 0);
	cr_assert_eq(a.high, b.high);
	cr_assert_eq(a.low, b.low);
}

static void check_same_as_faults(unsigned format_index, unsigned level)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(format_index))->geometry;
	uint64_t large = UINT64_C(1) << geometry->index_bits[1];
	uint64_t step = level == 1 ? 1 : large, gfns = 3 * large + 9;
	struct stand_options options = {.max_level = level, .window_gfns = gfns};
	struct stand *stand = stand_create(format_index, &options);
	struct faulting faulting;

	/* the slot ends in small pages at any level */
	faulting_create(&faulting, format_index, level, gfns, 0);
	for (uint64_t gfn = 0; gfn < gfns; gfn += gfn + step <= gfns ? step : 1)
		touch(&faulting, gfn);
	stand_begin(stand);
	stand_map(stand, 0, gfns, PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	check_same(stand->vm, faulting.vm);
	cr_assert_eq(stand_stats(stand).mapped[1], level == 1 ? gfns : 9);
	vmmu_vm_destroy(faulting.vm);
	stand_destroy(stand);
}

/* Groups are made by vmmu_map() alone: faults map page by page. */
RANGE_TEST(range_same_tables, small_pages__equal_digests)
{
	if (vmmu_format_info(outside_at(*index))->geometry->group_lg2[1])
		cr_skip_test("a format with groups");
	check_same_as_faults(*index, 1);
}

RANGE_TEST(range_same_tables, large_pages__equal_digests)
{
	check_same_as_faults(*index, 2);
}

/* Order and place of the tables are accidents. */
RANGE_TEST(range_same_tables, another_order_of_faults__equal_digests)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	uint64_t gfns = UINT64_C(6) << geometry->index_bits[1], pages[TIMES];
	struct random_state random = {.state = 7};
	struct faulting faulting[2];

	vmmu_thread_register();
	faulting_create(&faulting[0], *index, 1, gfns, 0);
	faulting_create(&faulting[1], *index, 1, gfns, UINT64_C(1) << 30);
	for (unsigned i = 0; i < TIMES; i++) {
		pages[i] = random_below(&random, gfns);
		touch(&faulting[0], pages[i]);
	}
	for (unsigned i = TIMES; i > 0; i--)
		touch(&faulting[1], pages[i - 1]);
	check_same(faulting[0].vm, faulting[1].vm);
	vmmu_vm_destroy(faulting[0].vm);
	vmmu_vm_destroy(faulting[1].vm);
	vmmu_thread_unregister();
}
