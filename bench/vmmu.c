/* SPDX-License-Identifier: MIT */
/*
 * The library as a subject, through its public API: in the workloads' loops one call of the library
 * stands where the floor has one call of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/range.h>
#include <vmmu/vm.h>

#include "bench.h"

#define PT_MISS     VMMU_NOT_MAPPED
#define PT_HAS_ONCE 1
/* Addresses in one call of vmmu_translate_batch(). */
#define PT_BATCH 256u

struct pt {
	struct vmmu_vm *vm;
	struct vmmu_update update;
	struct vmmu_reader reader;
	struct vmmu_attr attr;
};

static enum vmmu_resolve_status pt_resolve(void *ctx, const struct vmmu_page_request *request,
					   struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

static void pt_must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "bench: %s: error %d\n", what, err);
	exit(1);
}

static struct pt *pt_new(const struct bench_run *run)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = pt_resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = run->format,
					  .env = &env,
					  .mode = VMMU_MODE_RANGES,
					  .tables_bytes = UINT64_C(1) << 30};
	struct pt *pt = calloc(1, sizeof(*pt));

	if (!pt)
		exit(1);
	pt_must(vmmu_vm_create(&options, &pt->vm), "vmmu_vm_create");
	pt_must(vmmu_attr_make(pt->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &pt->attr), "vmmu_attr_make");
	return pt;
}

static void pt_delete(struct pt *pt)
{
	vmmu_vm_destroy(pt->vm);
	free(pt);
}

static void pt_change_begin(struct pt *pt)
{
	pt_must(vmmu_update_begin(pt->vm, 0, &pt->update), "vmmu_update_begin");
}

static void pt_change_end(struct pt *pt)
{
	vmmu_update_end(&pt->update);
}

static void pt_read_begin(struct pt *pt)
{
	pt_must(vmmu_reader_begin(pt->vm, 0, &pt->reader), "vmmu_reader_begin");
}

static void pt_read_end(struct pt *pt)
{
	vmmu_reader_end(&pt->reader);
}

static inline int pt_map(struct pt *pt, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
	return vmmu_map(&pt->update, gpa, hpa, bytes, &pt->attr, NULL);
}

static inline uint64_t pt_walk(struct pt *pt, uint64_t gpa)
{
	return vmmu_translate(&pt->reader, gpa);
}

static inline int pt_write_protect(struct pt *pt, uint64_t gpa, uint64_t bytes)
{
	return vmmu_write_protect(&pt->update, gpa, bytes, NULL);
}

static inline int pt_fix(struct pt *pt, uint64_t gpa)
{
	return vmmu_write_allow(&pt->update, gpa, 4096, NULL);
}

static inline int pt_unmap(struct pt *pt, uint64_t gpa, uint64_t bytes)
{
	return vmmu_unmap(&pt->update, gpa, bytes, NULL);
}

static inline int pt_split(struct pt *pt, uint64_t gpa)
{
	return vmmu_unmap(&pt->update, gpa, 4096, NULL);
}

/*
 * Have frames for TABLES tables that have been in use before: the floor's have been touched too.
 * They are not known to be zero any more, which the library must see to as the floor does.
 */
static void pt_warm(struct pt *pt, uint64_t tables)
{
	uint64_t bytes = tables * 512 * 4096;

	pt_change_begin(pt);
	pt_must(pt_map(pt, 0, 4096, bytes), "vmmu_map");
	pt_must(pt_unmap(pt, 0, bytes), "vmmu_unmap");
	pt_change_end(pt);
}

static void pt_translate_once(struct bench_run *run, struct pt *pt, const uint32_t *order);
static void pt_translate_batch(struct bench_run *run, struct pt *pt, const uint32_t *order);

#include "workload_impl.h"

static void pt_translate_once(struct bench_run *run, struct pt *pt, const uint32_t *order)
{
	uint64_t walks = run->sizes->walks, sum = 0, expected = 0;

	for (uint64_t i = 0; i < walks; i++)
		expected += work_hpa(order[i]);
	bench_begin(run);
	for (uint64_t i = 0; i < walks; i++)
		sum += vmmu_translate_once(pt->vm, 0, work_gpa(order[i]));
	bench_end(run, TRANSLATE_ONCE, walks);
	bench_expect(run, sum == expected);
}

/* Gathering the addresses is part of what is measured. */
static void pt_translate_batch(struct bench_run *run, struct pt *pt, const uint32_t *order)
{
	uint64_t walks = run->sizes->walks, sum = 0, expected = 0;
	uint64_t addresses[PT_BATCH];

	walks -= walks % PT_BATCH;
	for (uint64_t i = 0; i < walks; i++)
		expected += work_hpa(order[i]);
	pt_read_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < walks; i += PT_BATCH) {
		for (unsigned k = 0; k < PT_BATCH; k++)
			addresses[k] = work_gpa(order[i + k]);
		vmmu_translate_batch(&pt->reader, addresses, addresses, PT_BATCH);
		for (unsigned k = 0; k < PT_BATCH; k++)
			sum += addresses[k];
	}
	bench_end(run, TRANSLATE_BATCH, walks);
	pt_read_end(pt);
	bench_expect(run, sum == expected);
}

const struct bench_subject bench_vmmu = {
	.name = "vmmu",
	.faults = bench_faults,
	.tdp = bench_tdp,
	.share = bench_share,
	.threads = bench_threads,
	.memory = bench_memory,
	WORKLOAD_GROUPS,
};
