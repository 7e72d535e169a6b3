/* SPDX-License-Identifier: MIT */
/* vmmu/fault.h: what becomes of faults. The loop of a vCPU thread has this switch in it. */
#include <stdio.h>
#include <vmmu/vmmu.h>

/* A host that has memory for the first 16 guest pages. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	if (request->gfn >= 16)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = 0x800 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int handle(struct vmmu_vcpu *vcpu, uint64_t gpa)
{
	struct vmmu_fault fault = {.gpa = gpa, .access = VMMU_WRITE};
	int outcome = vmmu_fault(vcpu, &fault);

	switch (outcome) {
	case VMMU_FIXED:
	case VMMU_SPURIOUS:
	case VMMU_RETRY:
		/* Enter the guest again. */
		printf("%s, ", vmmu_outcome_name(outcome));
		return 0;
	case VMMU_EMULATE:
		/* No memory there: decode the instruction, ask the device. */
		printf("device at 0x%llx, ", (unsigned long long)fault.gpa);
		return 0;
	case VMMU_EXIT_TO_HOST:
		printf("the host has no page at 0x%llx\n", (unsigned long long)fault.hva);
		return fault.exit != VMMU_EXIT_NO_PAGE;
	default:
		return 1;
	}
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("sv39x4"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || handle(vcpu, 0x5000) || handle(vcpu, 0x5008) ||
	    handle(vcpu, 0x10000000) || handle(vcpu, 0x20000))
		return 1;
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
