/* SPDX-License-Identifier: MIT */
/* vmmu/range.h: tables without faults. */
#include <stdio.h>
#include <vmmu/range.h>
#include <vmmu/vm.h>

/* A VM must have one, but this mode never looks a page up. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

/* 4 MiB at gpa 0, a hole of one page in the middle. */
static int build(struct vmmu_vm *vm)
{
	struct vmmu_update update;
	struct vmmu_attr attr;
	int err;

	if (vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr) ||
	    vmmu_update_begin(vm, 0, &update))
		return 1;
	err = vmmu_map(&update, 0, 0x80000000, 4 << 20, &attr, NULL);
	if (!err)
		err = vmmu_unmap(&update, 2 << 20, 4096, NULL);
	vmmu_update_end(&update);
	return err;
}

/* 2 MiB more, as one of several threads that do so at once: each needs a vCPU. */
static int build_more(struct vmmu_vm *vm)
{
	struct vmmu_update update;
	struct vmmu_attr attr;
	struct vmmu_vcpu *vcpu;
	int err;

	if (vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_update_begin_shared(vcpu, &update))
		return 1;
	err = vmmu_map(&update, 4 << 20, 0x90000000, 2 << 20, &attr, NULL);
	vmmu_update_end(&update);
	return err;
}

static int look(struct vmmu_vm *vm)
{
	uint64_t addresses[] = {0x1234, 0x200010, 0x201010};
	struct vmmu_reader reader;
	struct vmmu_stats stats;

	if (vmmu_reader_begin(vm, 0, &reader))
		return 1;
	vmmu_translate_batch(&reader, addresses, addresses, 3);
	vmmu_reader_end(&reader);
	vmmu_vm_stats(vm, &stats);
	printf("0x%llx %s 0x%llx, %llu small and %llu large pages\n",
	       (unsigned long long)addresses[0],
	       addresses[1] == VMMU_NOT_MAPPED ? "none" : "mapped",
	       (unsigned long long)addresses[2], (unsigned long long)stats.mapped[1],
	       (unsigned long long)stats.mapped[2]);
	return 0;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("ept4"),
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_vm *vm;
	int err;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm))
		return 1;
	err = build(vm) || build_more(vm) || look(vm);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
	return err;
}
