/* SPDX-License-Identifier: MIT */
/* Faults: no floor has them. What they cost is counted in instructions and told in nanoseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/dirty.h>
#include <vmmu/fault.h>
#include <vmmu/replay.h>
#include <vmmu/slot.h>
#include <vmmu/vm.h>

#include "bench.h"

#define FAULT_PAGE UINT64_C(4096)
#define FAULT_GPA  UINT64_C(0x80000000)

/* A host with small pages, none of them there before the guest asks: nothing is mapped ahead. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = 0x2000001 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

/* Write to every page, ascending. */
static void write_pages(struct bench_run *run, struct vmmu_vcpu *vcpu, enum workload workload)
{
	uint64_t pages = run->sizes->pages, fixed = 0, fast = 0;
	unsigned flags = workload == FAULT_FAST ? VMMU_FAULT_PRESENT : 0;

	bench_begin(run);
	for (uint64_t i = 0; i < pages; i++) {
		struct vmmu_fault fault = {
			.gpa = FAULT_GPA + i * FAULT_PAGE, .access = VMMU_WRITE, .flags = flags};

		fixed += vmmu_fault(vcpu, &fault) == VMMU_FIXED;
		fast += fault.fast;
	}
	bench_end(run, workload, pages);
	bench_expect(run, fixed == pages);
	bench_expect(run, fast == (workload == FAULT_FAST ? pages : 0));
}

static void check_dirty(struct bench_run *run, struct vmmu_vm *vm)
{
	uint64_t pages = run->sizes->pages, count;
	uint64_t *bitmap = calloc(pages / 64 + 1, sizeof(*bitmap));

	bench_expect(run,
		     bitmap && !vmmu_dirty_get(vm, 0, 0, bitmap, pages, &count) && count == pages);
	free(bitmap);
}

static void fault_pages(struct bench_run *run)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = run->format, .env = &env};
	struct vmmu_slot ram = {.gpa = FAULT_GPA,
				.bytes = run->sizes->pages * FAULT_PAGE,
				.hva = UINT64_C(0x7f0000000000)};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	bench_expect(run, !vmmu_vm_create(&options, &vm) && !vmmu_vcpu_create(vm, 0, &vcpu) &&
				  !vmmu_slot_set(vm, &ram));
	write_pages(run, vcpu, FAULT_FRESH);
	/* Live migration begins: WRITE is taken from every page, and given back one by one. */
	ram.flags = VMMU_SLOT_LOG_DIRTY;
	bench_expect(run, !vmmu_slot_set(vm, &ram));
	write_pages(run, vcpu, FAULT_FAST);
	check_dirty(run, vm);
	vmmu_vm_destroy(vm);
}

static void replay_trace(struct bench_run *run)
{
	struct vmmu_trace_options input = {.size = sizeof(input), .layout = run->layout};
	struct vmmu_replay_options options = {.size = sizeof(options), .format = run->format};
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char error[256];

	if (vmmu_trace_open(run->trace, &input, &trace, error, sizeof(error))) {
		fprintf(stderr, "bench: %s\n", error);
		exit(1);
	}
	bench_begin(run);
	bench_expect(run, !vmmu_replay(trace, &options, &report) && report.faults);
	bench_end(run, REPLAY, report.faults);
	bench_expect(run, report.errors == 0 && report.audit.violations == 0);
	vmmu_trace_close(trace);
}

void bench_faults(struct bench_run *run)
{
	fault_pages(run);
	if (run->trace)
		replay_trace(run);
}
