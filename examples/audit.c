/* SPDX-License-Identifier: MIT */
/* vmmu/audit.h: is everything as it should be? For tests of an embedder, after every step. */
#include <stdio.h>
#include <vmmu/vmmu.h>

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	(void)ctx;
	fprintf(stderr, "%s: %s\n", finding->invariant, finding->text);
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("ept5"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_fault fault = {.gpa = 0x7000, .access = VMMU_WRITE};
	struct vmmu_audit audit;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED ||
	    vmmu_audit(vm, &audit, print_finding, NULL))
		return 1;
	printf("%s, %llu violations\n", audit.checked ? "checked" : "nothing checked",
	       (unsigned long long)audit.violations);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
	return audit.violations != 0;
}
