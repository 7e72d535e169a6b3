/* SPDX-License-Identifier: MIT */
/* vmmu/walk.h: where one address leads, and every entry there is. */
#include <stdio.h>
#include <vmmu/vmmu.h>

/* The host maps 2 MiB at a time. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = 0x40000 + request->gfn, .level = 2, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int count_tables(void *ctx, const struct vmmu_visit *visit)
{
	unsigned *tables = ctx;

	*tables += visit->entry.kind == VMMU_ENTRY_TABLE;
	return 0;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = vmmu_format_find("npt4"), .env = &env};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 4 << 20, .hva = 0x40000000};
	struct vmmu_fault fault = {.gpa = 0x234567, .access = VMMU_EXEC};
	unsigned tables = 0;
	struct vmmu_walk walk;
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED ||
	    vmmu_walk(vm, 0, 0x3ff000, &walk) || vmmu_visit(vm, count_tables, &tables))
		return 1;
	printf("gfn 0x3ff is pfn 0x%llx, by a leaf at level %u below %u entries\n",
	       (unsigned long long)walk.pfn, walk.level, tables);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
