/* SPDX-License-Identifier: MIT */
/* vmmu/tlb.h: a TLB that remembers a refusal, as RISC-V's may, until a fence. */
#include <stdio.h>
#include <vmmu/tlb.h>

#define TABLES_HPA 0x100000u

/* An Sv39x4 root of 16 KiB and two tables; each has one entry in use. */
static uint64_t tables[6][512];

static int load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	(void)ctx;
	if (bytes != 8 || hpa < TABLES_HPA || hpa - TABLES_HPA >= sizeof(tables))
		return -1;
	*value = tables[(hpa - TABLES_HPA) / sizeof(tables[0])][hpa % sizeof(tables[0]) / 8];
	return 0;
}

/* Read gpa 0x5123. */
static const struct vmmu_hw_walk *read_it(struct vmmu_tlb *tlb)
{
	const struct vmmu_hw_cpu cpu = {.arch = VMMU_HW_RISCV,
					.u.riscv = {.xlen = 64,
						    .vsxlen = 64,
						    .pa_bits = 56,
						    .hgatp = UINT64_C(8) << 60 | TABLES_HPA >> 12}};
	const struct vmmu_hw_bus bus = {.load = load};
	const struct vmmu_hw_access access = {.gva = 0x5123, .access = VMMU_READ};
	static struct vmmu_hw_walk walk;

	vmmu_tlb_translate(tlb, &cpu, &bus, 0, &access, &walk);
	return &walk;
}

int main(void)
{
	const struct vmmu_tlb_options options = {.size = sizeof(options), .arch = VMMU_HW_RISCV};
	const struct vmmu_tlb_flush fence = {
		.op = VMMU_TLB_HFENCE_GVMA, .start = 0x5000, .end = 0x6000};
	struct vmmu_tlb *tlb;

	if (vmmu_tlb_create(&options, &tlb))
		return 1;
	tables[0][0] = (TABLES_HPA + 0x4000) >> 2 | 1;
	tables[4][0] = (TABLES_HPA + 0x5000) >> 2 | 1;
	printf("absent: cause %llu", (unsigned long long)read_it(tlb)->report.riscv.cause);
	tables[5][5] = 0xabcde000 >> 2 | 0xdf;
	printf(", mapped: cause %llu", (unsigned long long)read_it(tlb)->report.riscv.cause);
	vmmu_tlb_flush(tlb, &fence);
	printf(", fenced: 0x%llx", (unsigned long long)read_it(tlb)->combined.output);
	printf(", again: %u loads\n", read_it(tlb)->load_count);
	vmmu_tlb_destroy(tlb);
}
