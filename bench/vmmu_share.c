/* SPDX-License-Identifier: MIT */
/*
 * Mapping in updates that several threads may make at once, through the public API. One thread
 * here; the workloads are those of workload_impl.h that such updates have.
 */
#include <vmmu/range.h>
#include <vmmu/vm.h>

#include "bench.h"

#define PAGE  UINT64_C(4096)
#define BLOCK (512 * PAGE)
#define GPA   UINT64_C(0x80000000)
/* Aligned to any block. */
#define HPA UINT64_C(0x2000000000)
/* Every how many results one is looked at. */
#define STEP 997

struct share {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	struct vmmu_attr attr;
	uint64_t hpa; /* behind GPA */
};

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

/* BYTES from GPA on are mapped and unmapped: frames for it have been in use before. */
static void share_warm(struct bench_run *run, struct share *share, uint64_t bytes)
{
	struct vmmu_update update;

	bench_expect(run, !vmmu_update_begin(share->vm, 0, &update) &&
				  !vmmu_map(&update, GPA, HPA + PAGE, bytes, &share->attr, NULL) &&
				  !vmmu_unmap(&update, GPA, bytes, NULL));
	vmmu_update_end(&update);
}

static void share_open(struct bench_run *run, struct share *share, uint64_t hpa, uint64_t warm)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = run->format,
					  .env = &env,
					  .mode = VMMU_MODE_RANGES,
					  .tables_bytes = UINT64_C(1) << 30};
	struct vmmu_update update;

	share->hpa = hpa;
	bench_expect(run, !vmmu_vm_create(&options, &share->vm) &&
				  !vmmu_vcpu_create(share->vm, 0, &share->vcpu) &&
				  !vmmu_attr_make(share->vm, VMMU_RWX, VMMU_MEM_WRITEBACK,
						  &share->attr));
	share_warm(run, share, warm);
	/* the first one of a vCPU is another thing */
	bench_expect(run, !vmmu_update_begin_shared(share->vcpu, &update));
	vmmu_update_end(&update);
}

/* COUNT times BYTES from GPA on lead where they should; then the VM goes. */
static void share_close(struct bench_run *run, struct share *share, uint64_t count, uint64_t bytes)
{
	for (uint64_t i = 0; i < count; i += STEP)
		bench_expect(run, vmmu_translate_once(share->vm, 0, GPA + i * bytes + 0x128) ==
					  share->hpa + i * bytes + 0x128);
	bench_expect(run,
		     vmmu_translate_once(share->vm, 0, GPA + count * bytes) == VMMU_NOT_MAPPED);
	vmmu_vm_destroy(share->vm);
}

/* COUNT times BYTES, a call for each, in the order of ORDER or (NULL) ascending. */
static void share_map(struct bench_run *run, const struct share *share, enum workload workload,
		      const uint32_t *order, uint64_t count, uint64_t bytes)
{
	struct vmmu_update update;
	int err = 0;

	bench_expect(run, !vmmu_update_begin_shared(share->vcpu, &update));
	bench_begin(run);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = (order ? order[i] : i) * bytes;

		err |= vmmu_map(&update, GPA + at, share->hpa + at, bytes, &share->attr, NULL);
	}
	bench_end(run, workload, count);
	vmmu_update_end(&update);
	bench_expect(run, !err);
}

static void share_fix(struct bench_run *run, const struct share *share, enum workload workload,
		      const uint32_t *order, uint64_t count)
{
	struct vmmu_update update;
	int err = 0;

	bench_expect(run, !vmmu_update_begin(share->vm, 0, &update) &&
				  !vmmu_write_protect(&update, GPA, count * PAGE, NULL));
	vmmu_update_end(&update);
	bench_expect(run, !vmmu_update_begin_shared(share->vcpu, &update));
	bench_begin(run);
	for (uint64_t i = 0; i < count; i++)
		err |= vmmu_write_allow(&update, GPA + (order ? order[i] : i) * PAGE, PAGE, NULL);
	bench_end(run, workload, count);
	vmmu_update_end(&update);
	bench_expect(run, !err);
}

static void share_pages(struct bench_run *run, enum workload workload, const uint32_t *order)
{
	uint64_t pages = run->sizes->pages;
	struct share share;

	share_open(run, &share, HPA + PAGE, pages * PAGE);
	share_map(run, &share, workload, order, pages, PAGE);
	share_close(run, &share, pages, PAGE);
}

static void share_range(struct bench_run *run)
{
	uint64_t pages = run->sizes->pages;
	struct vmmu_update update;
	struct share share;

	share_open(run, &share, HPA + PAGE, pages * PAGE);
	bench_expect(run, !vmmu_update_begin_shared(share.vcpu, &update));
	bench_begin(run);
	bench_expect(run, !vmmu_map(&update, GPA, share.hpa, pages * PAGE, &share.attr, NULL));
	bench_end(run, SHARE_RANGE, pages);
	vmmu_update_end(&update);
	share_fix(run, &share, SHARE_FIX, NULL, pages);
	share_fix(run, &share, SHARE_FIX_RANDOM, run->order, pages);
	share_close(run, &share, pages, PAGE);
}

static void share_blocks(struct bench_run *run)
{
	uint64_t blocks = run->sizes->blocks;
	struct share share;

	share_open(run, &share, HPA, blocks * PAGE);
	share_map(run, &share, SHARE_BLOCKS, NULL, blocks, BLOCK);
	share_close(run, &share, blocks, BLOCK);
}

void bench_share(struct bench_run *run)
{
	share_pages(run, SHARE_ASCENDING, NULL);
	share_pages(run, SHARE_RANDOM, run->order);
	share_range(run);
	share_blocks(run);
}
