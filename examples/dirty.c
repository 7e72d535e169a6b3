/* SPDX-License-Identifier: MIT */
/* vmmu/dirty.h: live migration's rounds: what was written since the last one is copied again. */
#include <stdio.h>
#include <vmmu/vmmu.h>

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = 0x1000 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int write_page(struct vmmu_vcpu *vcpu, uint64_t gpa)
{
	struct vmmu_fault fault = {.gpa = gpa, .access = VMMU_WRITE};

	return vmmu_fault(vcpu, &fault) != VMMU_FIXED;
}

/* Which pages are to be copied: those that are dirty, forgotten just before. */
static int begin_round(struct vmmu_vm *vm, uint64_t *pages, uint64_t *count)
{
	struct vmmu_dirty_range range = {.pages = 64, .bitmap = pages};

	return vmmu_dirty_get(vm, 0, 0, pages, 64, NULL) || vmmu_dirty_clear(vm, &range, count);
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = vmmu_format_find("ept4"),
		.env = &env,
		.dirty_flags = VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET,
	};
	struct vmmu_slot ram = {
		.flags = VMMU_SLOT_LOG_DIRTY, .gpa = 0x80000000, .bytes = 64 * 4096, .hva = 4096};
	uint64_t pages, count[3];
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || begin_round(vm, &pages, &count[0]) ||
	    write_page(vcpu, 0x80005000) || write_page(vcpu, 0x80007000) ||
	    begin_round(vm, &pages, &count[1]) || write_page(vcpu, 0x80005000) ||
	    begin_round(vm, &pages, &count[2]))
		return 1;
	printf("pages to copy: %llu, then %llu, then %llu: 0x%llx\n", (unsigned long long)count[0],
	       (unsigned long long)count[1], (unsigned long long)count[2],
	       (unsigned long long)pages);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
