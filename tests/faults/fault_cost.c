/* SPDX-License-Identifier: MIT */
/*
 * Faults on fresh pages, for fault_cost.sh to count their instructions: vmmu_fault() is called as
 * often as the argument says, on pages that were never mapped, within tables that are there. By
 * itself it checks that none of them took anything from the heap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/vmmu.h>

#include "base/mem.h"
#include "faults/roots.h"

#define PAGES 512

static uint64_t allocations;

static void *counting_alloc(size_t bytes)
{
	allocations++;
	return calloc(1, bytes);
}

static const struct mem_ops counting = {.alloc = counting_alloc, .free = free};

/* A host that has every page and nothing at hand ahead. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int fault_at(struct vmmu_vcpu *vcpu, uint64_t gfn, unsigned page_shift)
{
	struct vmmu_fault fault = {.gpa = gfn << page_shift, .access = VMMU_WRITE};

	return vmmu_fault(vcpu, &fault);
}

int main(int argc, char **argv)
{
	static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	const char *name = argc > 1 ? argv[1] : "ept4";
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 256, before;
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = vmmu_format_find(name),
		.env = &env,
		.root = test_root(),
	};
	unsigned shift;
	struct vmmu_slot slot = {0};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	mem_ops_set(&counting);
	if (!options.format || count >= PAGES)
		return 2;
	shift = vmmu_format_info(options.format)->geometry->page_shift;
	slot.bytes = (uint64_t)PAGES << shift;
	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &slot) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || fault_at(vcpu, 0, shift) != VMMU_FIXED)
		return 2;
	before = allocations;
	for (uint64_t gfn = 1; gfn <= count; gfn++)
		if (fault_at(vcpu, gfn, shift) != VMMU_FIXED)
			return 1;
	printf("%s: %llu allocations in %llu faults\n", name,
	       (unsigned long long)(allocations - before), (unsigned long long)count);
	before = allocations - before;
	vmmu_vm_destroy(vm);
	return before != 0;
}
