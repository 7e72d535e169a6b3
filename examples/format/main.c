/* SPDX-License-Identifier: MIT */
/* A VM whose tables have a format that this program brings along. */
#include <stdio.h>
#include <vmmu/vmmu.h>

extern const struct vmmu_format format_tiny;

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = 0x1000 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void complain(void *ctx, const struct vmmu_broken_law *broken)
{
	(void)ctx;
	fprintf(stderr, "tiny breaks a law: %s (level %u, 0x%llx, 0x%llx)\n", broken->law,
		broken->level, (unsigned long long)broken->pte, (unsigned long long)broken->other);
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = &format_tiny, .env = &env};
	struct vmmu_slot slot = {.gpa = 0, .bytes = 1 << 20, .hva = 1 << 20};
	struct vmmu_fault fault = {.gpa = 0x5123, .access = VMMU_WRITE};
	struct vmmu_vcpu *vcpu;
	struct vmmu_walk walk;
	struct vmmu_vm *vm;

	if (vmmu_format_conformance(vmmu_format_info(&format_tiny), vmmu_format_ops(&format_tiny),
				    1, complain, NULL))
		return 1;
	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &slot) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED ||
	    vmmu_walk(vm, 0, fault.gpa, &walk))
		return 1;
	printf("gpa 0x%llx -> entry 0x%llx\n", (unsigned long long)fault.gpa,
	       (unsigned long long)walk.pte);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
	return 0;
}
