/* SPDX-License-Identifier: MIT */
/* vmmu/event.h: watching the engine at work. */
#include <stdio.h>
#include <vmmu/vmmu.h>

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	/* Neighbours of the faulting page, to be mapped ahead: not here. */
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void count(void *ctx, const struct vmmu_event *event)
{
	unsigned *counts = ctx;

	counts[event->kind]++;
}

int main(void)
{
	unsigned counts[VMMU_EVENTS] = {0};
	struct vmmu_env env = {.size = sizeof(env), .resolve = resolve, .event = count};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("ept4"),
					  .env = &env,
					  .env_ctx = counts};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_fault fault = {.gpa = 0x3000, .access = VMMU_WRITE};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED)
		return 1;
	/* A root, three tables below it, a leaf in the last: four entries. */
	printf("%u fault, %u entries changed, %u leaf set\n", counts[VMMU_EVENT_FAULT],
	       counts[VMMU_EVENT_ENTRY_CHANGED], counts[VMMU_EVENT_MAP_SET]);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
}
