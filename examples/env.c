/* SPDX-License-Identifier: MIT */
/* vmmu/env.h: what the library asks of its embedder, and what it hands back with each question. */
#include <stdio.h>
#include <vmmu/vmmu.h>

/* Memory that tables may be lent from, 64 frames; hardware sees it at TABLES_HPA. */
#define TABLES_HPA UINT64_C(0x80000000)
static _Alignas(4096) unsigned char tables[64][4096];

struct host {
	unsigned lookups, flushes;
	unsigned lent, returned;             /* frames for tables */
	uint64_t flushed_start, flushed_end; /* gfns of the last flush */
};

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct host *host = ctx;

	/* The engine would map neighbours too, if they are there at no cost. Here they are not. */
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	host->lookups++;
	*page = (struct vmmu_page){.pfn = request->hva >> 12, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

/* Here a real host would tell its CPUs, and wait until they have done it. */
static void flush(void *ctx, const struct vmmu_flush *what)
{
	struct host *host = ctx;

	host->flushes++;
	host->flushed_start = what->gfn_start;
	host->flushed_end = what->gfn_end;
}

/* EPT's tables are all of one size. Each is lent but once here, which is simple and enough. */
static void *table_get(void *ctx, uint64_t bytes)
{
	struct host *host = ctx;

	return bytes == 4096 && host->lent < 64 ? tables[host->lent++] : NULL;
}

static void table_put(void *ctx, void *table, uint64_t bytes)
{
	struct host *host = ctx;

	(void)table, (void)bytes;
	host->returned++;
}

int main(void)
{
	struct host host = {0};
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = resolve,
			       .flush = flush,
			       .table_get = table_get,
			       .table_put = table_put};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("ept4"),
					  .env = &env,
					  .env_ctx = &host,
					  .tables = tables,
					  .tables_hpa = TABLES_HPA,
					  .tables_bytes = sizeof(tables)};
	struct vmmu_slot ram = {.gpa = 0, .bytes = 1 << 20, .hva = 0x40000000};
	struct vmmu_fault fault = {.gpa = 0x10000, .access = VMMU_READ};
	struct vmmu_hva_range gone = {0x40010000, 0x40011000};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || vmmu_slot_set(vm, &ram) ||
	    vmmu_vcpu_create(vm, 0, &vcpu) || vmmu_fault(vcpu, &fault) != VMMU_FIXED ||
	    vmmu_invalidate_begin(vm, &gone) || vmmu_invalidate_end(vm, &gone))
		return 1;
	vmmu_vm_destroy(vm);
	printf("%u lookup, %u flush of gfns [0x%x, 0x%x), %u frames lent, %u returned\n",
	       host.lookups, host.flushes, (unsigned)host.flushed_start, (unsigned)host.flushed_end,
	       host.lent, host.returned);
	vmmu_thread_unregister();
}
