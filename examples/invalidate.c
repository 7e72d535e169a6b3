/* SPDX-License-Identifier: MIT */
/* vmmu/invalidate.h: the host takes a page back, as an MMU notifier would. */
#include <stdio.h>
#include <vmmu/vmmu.h>

/* Where the host has the guest's memory now. */
static uint64_t host_pfn = 0x100;

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = host_pfn + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int touch(struct vmmu_vcpu *vcpu)
{
	struct vmmu_fault fault = {.gpa = 0x2000, .access = VMMU_READ};
	int outcome = vmmu_fault(vcpu, &fault);

	printf("%s", vmmu_outcome_name(outcome));
	if (outcome == VMMU_FIXED)
		printf(" at pfn 0x%llx", (unsigned long long)fault.pfn);
	return outcome < 0;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("ept4"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_hva_range page = {0x40002000, 0x40003000};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;
	int err;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu))
		return 1;
	err = touch(vcpu);
	printf(", moving: ");
	err |= vmmu_invalidate_begin(vm, &page);
	/* Until the end nobody may map the old page again. */
	err |= touch(vcpu);
	host_pfn = 0x200;
	err |= vmmu_invalidate_end(vm, &page);
	printf(", moved: ");
	err |= touch(vcpu);
	printf("\n");
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
	return err;
}
