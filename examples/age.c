/* SPDX-License-Identifier: MIT */
/* vmmu/age.h: which pages has the guest used since somebody asked last? */
#include <stdio.h>
#include <vmmu/age.h>
#include <vmmu/vmmu.h>

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
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_fault fault = {.gpa = 0x4000, .access = VMMU_READ};
	struct vmmu_hva_range used = {0x40004000, 0x40005000};
	struct vmmu_hva_range never = {0x40080000, 0x40081000};
	int first, second, other;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED)
		return 1;
	first = vmmu_age(vm, &used);
	/* Nobody used it meanwhile. */
	second = vmmu_test_age(vm, &used);
	other = vmmu_test_age(vm, &never);
	printf("used: %d, since then: %d, another page: %d\n", first, second, other);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
