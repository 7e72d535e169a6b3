/* SPDX-License-Identifier: MIT */
/* vmmu/hw.h: what a CPU makes of tables, here EPT tables written by hand. */
#include <stdio.h>
#include <vmmu/hw.h>

#define TABLES_HPA 0x100000u

/* Four tables, one a level; each has one entry in use. */
static uint64_t tables[4][512];

static int load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	(void)ctx;
	if (bytes != 8 || hpa < TABLES_HPA || hpa - TABLES_HPA >= sizeof(tables))
		return -1;
	*value = tables[(hpa - TABLES_HPA) / sizeof(tables[0])][hpa % sizeof(tables[0]) / 8];
	return 0;
}

int main(void)
{
	/* A guest without paging: guest-virtual is guest-physical. EPTP: writeback, 4 levels. */
	struct vmmu_hw_cpu cpu = {
		.arch = VMMU_HW_EPT,
		.u.x86 = {.maxphyaddr = 40, .cr0 = 0x11, .eptp = TABLES_HPA | 0x1e}};
	struct vmmu_hw_bus bus = {.load = load};
	struct vmmu_hw_access access = {.gva = 0x5123, .access = VMMU_READ};
	static struct vmmu_hw_walk walk;

	for (unsigned i = 0; i < 3; i++)
		tables[i][0] = (TABLES_HPA + (i + 1) * sizeof(tables[0])) | 7;
	tables[3][5] = 0xabcde000 | 0x31; /* readable, writeback */
	if (vmmu_hw_translate(&cpu, &bus, &access, &walk) || walk.status != VMMU_HW_OK)
		return 1;
	printf("read: 0x%llx after %u loads, ", (unsigned long long)walk.combined.output,
	       walk.load_count);
	access.access = VMMU_WRITE;
	if (vmmu_hw_translate(&cpu, &bus, &access, &walk) || walk.status != VMMU_HW_FAULT_HOST)
		return 1;
	printf("write: exit %u, qualification 0x%llx\n", walk.report.vmx.exit_reason,
	       (unsigned long long)walk.report.vmx.qualification & 0x3f);
}
