/* SPDX-License-Identifier: MIT */
/* vmmu/attributes.h: memory that the guest does not share with its host. */
#include <stdio.h>
#include <vmmu/attributes.h>
#include <vmmu/vmmu.h>

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	uint64_t first = request->flags & VMMU_RESOLVE_PRIVATE ? 0x9000 : 0x1000;

	(void)ctx;
	*page = (struct vmmu_page){.pfn = first + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("npt4"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_fault shared = {.gpa = 0x4123, .access = VMMU_READ};
	struct vmmu_fault private = {
		.gpa = 0x4123, .access = VMMU_READ, .flags = VMMU_FAULT_PRIVATE};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) ||
	    vmmu_attributes_set(vm, 0x4000, 0x2000, VMMU_ATTRIBUTE_PRIVATE))
		return 1;
	if (vmmu_fault(vcpu, &shared) != VMMU_EXIT_TO_HOST ||
	    shared.exit != VMMU_EXIT_MEMORY_FAULT || vmmu_fault(vcpu, &private) != VMMU_FIXED)
		return 1;
	printf("shared: no, %#llx is private, private: pfn %#llx\n",
	       (unsigned long long)shared.memory.gpa, (unsigned long long)private.pfn);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
