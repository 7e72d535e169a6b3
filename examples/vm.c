/* SPDX-License-Identifier: MIT */
/* vmmu/vm.h: a VM, a vCPU, the root that the vCPU's hardware register takes. */
#include <stdio.h>
#include <vmmu/vm.h>

/* No memory at all: every access is one to a device. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("npt4"),
					  .env = &env,
					  .tables_hpa = UINT64_C(8) << 30,
					  .tables_bytes = 1 << 20};
	struct vmmu_stats stats;
	struct vmmu_root root;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;
	bool flush_local;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_vcpu_create(vm, 0, &vcpu) ||
	    vmmu_vcpu_root(vcpu, &root, &flush_local))
		return 1;
	vmmu_vm_stats(vm, &stats);
	printf("nCR3 0x%llx, level %u, %llu table\n", (unsigned long long)root.hpa, root.level,
	       (unsigned long long)stats.tables);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
