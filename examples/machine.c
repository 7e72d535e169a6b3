/* SPDX-License-Identifier: MIT */
/* vmmu/machine.h: a guest access from end to end, and a flush that somebody forgot. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/vmmu.h>

#define TABLES_HPA   0x100000000u
#define TABLES_BYTES (1u << 20)

/* The host: memory for tables, and whether TLBs are told. */
struct host {
	struct vmmu_machine *machine;
	uint64_t *tables;
	bool is_lazy;
};

static uint64_t *word(const struct host *host, uint64_t hpa)
{
	return hpa - TABLES_HPA < TABLES_BYTES ? host->tables + (hpa - TABLES_HPA) / 8 : NULL;
}

static int load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	uint64_t *at = word(ctx, hpa);

	if (bytes != 8 || !at)
		return -1;
	*value = *at;
	return 0;
}

static int swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	_Atomic uint64_t *at = (_Atomic uint64_t *)word(ctx, hpa);

	if (bytes != 8 || !at)
		return -1;
	return !atomic_compare_exchange_strong(at, &old_value, new_value);
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = 0x800 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void flush(void *ctx, const struct vmmu_flush *what)
{
	const struct host *host = ctx;

	if (!host->is_lazy)
		vmmu_machine_flush(host->machine, what);
}

static void found(void *ctx, const struct vmmu_stale *stale)
{
	(void)ctx;
	printf(", %s: stale %s of gpa 0x%llx\n", stale->operation, vmmu_stale_name(stale->kind),
	       (unsigned long long)stale->gpa);
}

int main(void)
{
	static struct host host;
	const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve, .flush = flush};
	struct vmmu_machine_options machine = {
		.size = sizeof(machine), .bus = {&host, load, swap}, .finding = found};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("npt4"),
					  .env = &env,
					  .env_ctx = &host,
					  .tables_hpa = TABLES_HPA,
					  .tables_bytes = TABLES_BYTES};
	const struct vmmu_slot ram = {.bytes = 1 << 20, .hva = 0x40000000};
	const struct vmmu_hva_range range = {0x40005000, 0x40006000};
	const struct vmmu_hw_access access = {.gva = 0x5123, .access = VMMU_WRITE};
	struct vmmu_cpu_options cpu_options = {.size = sizeof(cpu_options)};
	struct vmmu_access_result result;
	struct vmmu_cpu *cpu;
	struct vmmu_vm *vm;

	options.tables = host.tables = aligned_alloc(4096, TABLES_BYTES);
	if (!host.tables || vmmu_machine_create(&machine, &host.machine) ||
	    vmmu_vm_create(&options, &vm) || vmmu_machine_attach(host.machine, vm) ||
	    vmmu_slot_set(vm, &ram) || vmmu_vcpu_create(vm, 0, &cpu_options.vcpu) ||
	    vmmu_cpu_create(host.machine, &cpu_options, &cpu) ||
	    vmmu_cpu_access(cpu, &access, &result))
		return 1;
	printf("0x%llx after %u fault", (unsigned long long)result.part[0].hpa, result.fault_count);
	host.is_lazy = true;
	vmmu_machine_operation(host.machine, "invalidate");
	if (vmmu_invalidate_begin(vm, &range) || vmmu_machine_check(host.machine) != 1)
		return 1;
	vmmu_invalidate_end(vm, &range);
	vmmu_machine_destroy(host.machine);
	vmmu_vm_destroy(vm);
	free(host.tables);
}
