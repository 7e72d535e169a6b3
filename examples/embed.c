/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <vmmu/vmmu.h>

/* Where the host keeps a guest page: here, 0x1000 frames further up. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = 0x1000 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("ept4"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x7f0000000000};
	struct vmmu_fault fault = {.gpa = 0x5123, .access = VMMU_WRITE};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED)
		return 1;
	printf("gpa 0x5123 is at hpa 0x%x\n", (unsigned)vmmu_translate_once(vm, 0, fault.gpa));
	vmmu_vm_destroy(vm);
}
