/* SPDX-License-Identifier: MIT */
/* vmmu/slot.h: memory slots, one of which logs what is written (vmmu/dirty.h). */
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

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("arm-s2-4k"), .env = &env};
	struct vmmu_slot ram = {
		.flags = VMMU_SLOT_LOG_DIRTY, .gpa = 0x80000000, .bytes = 64 * 4096, .hva = 4096};
	uint64_t first, second, first_count, second_count;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || write_page(vcpu, 0x80000000) ||
	    write_page(vcpu, 0x80005000) || vmmu_dirty_get(vm, 0, 0, &first, 64, &first_count) ||
	    write_page(vcpu, 0x80005000) || vmmu_dirty_get(vm, 0, 0, &second, 64, &second_count))
		return 1;
	printf("dirty: 0x%llx (%llu), then 0x%llx (%llu)\n", (unsigned long long)first,
	       (unsigned long long)first_count, (unsigned long long)second,
	       (unsigned long long)second_count);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
