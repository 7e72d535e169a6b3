/* SPDX-License-Identifier: MIT */
/* vmmu_update_begin_shared(): one thread, as several vCPUs. For threads see race_share.c. */
#include <errno.h>

#include "range/stand.h"

#define PFN (UINT64_C(1) << 22)

static struct vmmu_vcpu *vcpu_of(struct stand *stand, unsigned id)
{
	struct vmmu_vcpu *vcpu;

	cr_assert_eq(vmmu_vcpu_create(stand->vm, id, &vcpu), 0);
	return vcpu;
}

static uint64_t bytes(const struct stand *stand, uint64_t pages)
{
	return pages << stand->page_shift;
}

static void map_pieces(struct stand *stand, uint64_t large)
{
	/* ragged, whole tables, large pages where they fit, twice the same */
	stand_map(stand, 3, large, PFN + 3, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_map(stand, 2 * large, 2 * large - 1, 4 * PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_map(stand, 2 * large, 5, 4 * PFN + 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_map(stand, 0, 1, PFN, VMMU_READ, VMMU_MEM_DEVICE);
	stand_map(stand, 4 * large, 2 * large + 1, 8 * PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
	/* what is there is met in the middle: told how far it got */
	stand_map(stand, 1, large, PFN + 1, VMMU_READ, VMMU_MEM_WRITEBACK);
	stand_map(stand, 4 * large - 1, 3, 16 * PFN, VMMU_RWX, VMMU_MEM_WRITEBACK);
}

RANGE_TEST(range_share, same_calls__same_tables)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	uint64_t large = UINT64_C(1) << geometry->index_bits[1];
	struct stand_options options = {.window_gfns = 7 * large};
	struct stand *one = stand_create(*index, &options),
		     *shared = stand_create(*index, &options);
	struct vmmu_digest a, b;

	stand_begin(one);
	map_pieces(one, large);
	stand_end(one);
	shared->vcpu = vcpu_of(shared, 0);
	stand_begin_shared(shared);
	map_pieces(shared, large);
	stand_end(shared);
	stand_check(shared);
	cr_assert_eq(stand_stats(one).mapped[1], stand_stats(shared).mapped[1]);
	cr_assert_eq(stand_stats(one).mapped[2], stand_stats(shared).mapped[2]);
	cr_assert_eq(stand_stats(one).tables, stand_stats(shared).tables);
	if (!geometry->group_lg2[1]) {
		cr_assert_eq(vmmu_digest(one->vm, &a), 0);
		cr_assert_eq(vmmu_digest(shared->vm, &b), 0);
		cr_assert_eq(a.high, b.high);
		cr_assert_eq(a.low, b.low);
	}
	/* what came in a shared update goes in the usual one, tables and all */
	stand_begin(shared);
	stand_write_protect(shared, 0, shared->gfns);
	stand_unmap(shared, 0, shared->gfns);
	cr_assert_eq(vmmu_unmap(&shared->update, 0, UINT64_C(1) << geometry->gpa_bits, NULL), 0);
	stand_end(shared);
	cr_assert_eq(stand_stats(shared).tables, 1);
	stand_destroy(one);
	stand_destroy(shared);
}

RANGE_TEST(range_share, page_by_page__same_tables)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(*index))->geometry;
	uint64_t large = UINT64_C(1) << geometry->index_bits[1];
	struct stand_options options = {.window_gfns = 2 * large};
	struct stand *stand = stand_create(*index, &options);

	stand->vcpu = vcpu_of(stand, 0);
	stand_begin_shared(stand);
	for (uint64_t gfn = 0; gfn < 2 * large - 1; gfn++)
		stand_map(stand, gfn, 1, PFN + gfn, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	stand_check(stand);
	cr_assert_eq(stand_stats(stand).mapped[1], 2 * large - 1);
	/* the usual calls rely on counts that had to be made up for */
	stand_begin(stand);
	stand_write_protect(stand, 0, 2 * large);
	stand_end(stand);
	stand_begin_shared(stand);
	for (uint64_t gfn = 1; gfn < large; gfn++)
		stand_write_allow(stand, gfn, 1);
	stand_write_allow(stand, large, large);
	/* and again, for what comes after they were */
	stand_map(stand, 2 * large - 1, 1, PFN + 2 * large - 1, VMMU_RWX, VMMU_MEM_WRITEBACK);
	stand_end(stand);
	stand_check(stand);
	stand_begin(stand);
	stand_unmap(stand, 0, large);
	stand_end(stand);
	stand_destroy(stand);
}

RANGE_TEST(range_share, two_at_once__see_each_other)
{
	struct stand *stand = stand_create(*index, NULL);
	struct vmmu_vcpu *vcpus[2] = {vcpu_of(stand, 0), vcpu_of(stand, 1)};
	struct vmmu_update updates[2], third;
	struct vmmu_attr attr;
	uint64_t done;

	cr_assert_eq(vmmu_attr_make(stand->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin_shared(vcpus[0], &updates[0]), 0);
	/* a thread is in one at a time */
	cr_assert_eq(vmmu_update_begin_shared(vcpus[0], &third), -EDEADLK);
	cr_assert_eq(vmmu_update_begin_shared(vcpus[1], &third), -EDEADLK);
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &third), -EDEADLK);
	cr_assert_eq(vmmu_map(&updates[0], 0, bytes(stand, PFN), bytes(stand, 3), &attr, &done), 0);
	vmmu_update_end(&updates[0]);
	cr_assert_eq(vmmu_update_begin_shared(vcpus[1], &updates[1]), 0);
	cr_assert_eq(vmmu_map(&updates[1], 0, bytes(stand, PFN), bytes(stand, 4), &attr, &done), 0);
	cr_assert_eq(vmmu_map(&updates[1], bytes(stand, 2), bytes(stand, 1), bytes(stand, 1), &attr,
			      &done),
		     -EEXIST);
	cr_assert_eq(done, 0);
	vmmu_update_end(&updates[1]);
	cr_assert_eq(stand_stats(stand).mapped[1], 4);
	/* a vCPU that goes takes nothing with it */
	vmmu_vcpu_destroy(vcpus[1]);
	cr_assert_eq(vmmu_translate_once(stand->vm, 0, bytes(stand, 3)), bytes(stand, PFN + 3));
	stand_begin(stand);
	cr_assert_eq(vmmu_unmap(&stand->update, 0, bytes(stand, 4), NULL), 0);
	stand_end(stand);
	stand_destroy(stand);
}

Test(range_share, what_is_not_for_several__is_refused)
{
	struct stand *stand = stand_create(0, NULL);
	struct vmmu_vcpu *vcpu = vcpu_of(stand, 0);
	struct vmmu_update update;
	uint64_t done = 1;

	cr_assert_eq(vmmu_update_begin_shared(NULL, &update), -EINVAL);
	cr_assert_eq(vmmu_update_begin_shared(vcpu, NULL), -EINVAL);
	cr_assert_eq(vmmu_update_begin_shared(vcpu, &update), 0);
	cr_assert_eq(vmmu_unmap(&update, 0, bytes(stand, 1), &done), -EPERM);
	cr_assert_eq(done, 0);
	done = 1;
	cr_assert_eq(vmmu_protect(&update, 0, bytes(stand, 1), VMMU_READ, &done), -EPERM);
	cr_assert_eq(done, 0);
	cr_assert_eq(vmmu_write_protect(&update, 0, bytes(stand, 1), NULL), -EPERM);
	cr_assert_eq(vmmu_write_allow(&update, 1, bytes(stand, 1), NULL), -EINVAL);
	vmmu_update_end(&update);
	vmmu_update_end(&update);
	stand_destroy(stand);
}

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

Test(range_share, vm_that_faults__has_none)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = outside_at(0), .env = &env};
	struct vmmu_update update;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_vcpu_create(vm, 0, &vcpu), 0);
	cr_assert_eq(vmmu_update_begin_shared(vcpu, &update), -ENOTSUP);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
