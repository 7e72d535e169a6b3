// SPDX-License-Identifier: MIT
/*
 * Every bit of an entry flipped, one at a time: which cause it gives is written out by hand as
 * masks.
 */
#include "hw/memory.h"

#include <criterion/criterion.h>

#define ROOT UINT64_C(0x5000000) /* two bits: no flip leads back to these tables */

enum shape {
	EPT5,
	NPT5,
	GUEST5,
	GUEST_PAE,
	GUEST_32,
	G39,
	G32,
	S2_4K
};

static const struct chain chains[] = {
	[EPT5] = {5, 12, 9, 9, 8},       [NPT5] = {5, 12, 9, 9, 8},
	[GUEST5] = {5, 12, 9, 9, 8},     [GUEST_PAE] = {3, 12, 9, 2, 8},
	[GUEST_32] = {2, 12, 10, 10, 4}, [G39] = {3, 12, 9, 11, 8},
	[G32] = {2, 12, 10, 12, 4},      [S2_4K] = {3, 12, 9, 10, 8},
};

struct sweep {
	enum shape shape;
	unsigned level; /* 1: smallest page */
	unsigned features;
	uint64_t option; /* x86: maxphyaddr; RISC-V: menvcfg; Arm: VTCR.PS */
	uint64_t entry;  /* what the flips start from: readable */
	uint64_t reserved, absent, permission, accessed, size;
};

#define HIGH46 UINT64_C(0xfc00000000000)    /* 51:46 */
#define TOP46  UINT64_C(0x7fffc00000000000) /* 62:46 */
#define NX     UINT64_C(0x8000000000000000)
#define TEN    UINT64_C(0xffc0000000000000) /* 63:54 */
#define PBMTE  (UINT64_C(1) << 62)
#define NO_NX  0x80000000u /* EFER.NXE off; not a feature */
#define EPT_F  (VMMU_HW_EPT_2M | VMMU_HW_EPT_1G | VMMU_HW_EPT_EXEC_ONLY)
#define RV_F   VMMU_HW_RISCV_FEATURES

/* A read of each: the entry as it stands is fine (a leaf) or leads to an empty table. */
static const struct sweep sweeps[] = {
	/* EPT: R off leaves W alone; types 7 and 2 from 6 */
	{EPT5, 1, EPT_F, 46, 0x37, HIGH46 | 0x29, 0, 0, 0, 0},
	{EPT5, 2, EPT_F, 46, 0xb7, HIGH46 | 0x1ff0a9, 0, 0, 0, 0},
	{EPT5, 3, EPT_F, 46, 0xb7, HIGH46 | 0x3ffff0a9, 0, 0, 0, 0},
	{EPT5, 2, EPT_F, 46, 0x7, HIGH46 | 0x79, ~(HIGH46 | 0x79) & ~UINT64_C(0x80), 0, 0, 0},
	{EPT5, 3, EPT_F, 46, 0x7, HIGH46 | 0x79, ~(HIGH46 | 0x79) & ~UINT64_C(0x80), 0, 0, 0},
	{EPT5, 4, EPT_F, 46, 0x7, HIGH46 | 0xf9, ~(HIGH46 | 0xf9), 0, 0, 0},
	{EPT5, 5, EPT_F, 46, 0x7, HIGH46 | 0xf9, ~(HIGH46 | 0xf9), 0, 0, 0},
	{EPT5, 1, EPT_F, 52, 0x37, 0x29, 0, 0, 0, 0},
	/* R alone: without it the entry is absent */
	{EPT5, 1, EPT_F, 46, 0x31, HIGH46 | 0x28, 1, 0, 0, 0},
	/* R and X: without R execute-only, which a CPU may lack */
	{EPT5, 1, EPT_F, 46, 0x35, HIGH46 | 0x28, 0, 1, 0, 0},
	{EPT5, 1, 0, 46, 0x35, HIGH46 | 0x29, 0, 0, 0, 0},
	/* without large pages bit 7 of a table entry is reserved */
	{EPT5, 2, 0, 46, 0x7, HIGH46 | 0xf9, ~(HIGH46 | 0xf9), 0, 0, 0},
	{EPT5, 3, 0, 46, 0x7, HIGH46 | 0xf9, ~(HIGH46 | 0xf9), 0, 0, 0},
	/* mode-based execute: bit 10 makes present */
	{EPT5, 1, EPT_F | VMMU_HW_EPT_MBE, 46, 0x431, HIGH46 | 0x28, 0, 1, 0, 0},
	/* NPT */
	{NPT5, 1, 0, 46, 0x67, HIGH46, 1, 4, 0, 0},
	{NPT5, 2, 0, 46, 0xe7, HIGH46 | 0x1fe000, 0x81, 4, 0, 0},
	{NPT5, 3, VMMU_HW_X86_1G, 46, 0xe7, HIGH46 | 0x3fffe000, 0x81, 4, 0, 0},
	{NPT5, 3, 0, 46, 0x27, HIGH46 | 0x80, ~(HIGH46 | 0x80), 0, 0, 0},
	{NPT5, 4, 0, 46, 0x27, HIGH46 | 0x80, ~(HIGH46 | 0x80), 0, 0, 0},
	{NPT5, 4, VMMU_HW_X86_AMD, 46, 0x27, HIGH46 | 0x180, ~(HIGH46 | 0x180), 0, 0, 0},
	{NPT5, 5, VMMU_HW_X86_AMD, 46, 0x27, HIGH46 | 0x180, ~(HIGH46 | 0x180), 0, 0, 0},
	{NPT5, 3, VMMU_HW_X86_AMD | VMMU_HW_X86_1G, 46, 0x27, HIGH46, ~(HIGH46 | 0x80), 0, 0, 0},
	{NPT5, 1, NO_NX, 46, 0x67, HIGH46 | NX, 1, 4, 0, 0},
	{NPT5, 3, NO_NX, 46, 0x27, HIGH46 | NX | 0x80, ~(HIGH46 | NX | 0x80), 0, 0, 0},
	/* guest, kernel access */
	{GUEST5, 1, NO_NX, 46, 0x67, HIGH46 | NX, 1, 0, 0, 0},
	{GUEST_PAE, 1, NO_NX, 46, 0x67, TOP46 | NX, 1, 0, 0, 0},
	{GUEST5, 1, 0, 46, 0x67, HIGH46, 1, 0, 0, 0},
	{GUEST5, 2, 0, 46, 0xe7, HIGH46 | 0x1fe000, 0x81, 0, 0, 0},
	{GUEST5, 3, VMMU_HW_X86_1G, 46, 0xe7, HIGH46 | 0x3fffe000, 0x81, 0, 0, 0},
	{GUEST5, 5, 0, 46, 0x27, HIGH46 | 0x80, ~(HIGH46 | 0x80), 0, 0, 0},
	{GUEST_PAE, 1, 0, 46, 0x67, TOP46, 1, 0, 0, 0},
	{GUEST_PAE, 2, 0, 46, 0xe7, TOP46 | 0x1fe000, 0x81, 0, 0, 0},
	{GUEST_PAE, 3, 0, 46, 0x1, TOP46 | NX | 0x1e6, ~(TOP46 | NX | 0x1e6), 0, 0, 0},
	{GUEST_32, 1, VMMU_HW_X86_PSE36, 46, 0x67, 0, 1, 0, 0, 0},
	{GUEST_32, 2, VMMU_HW_X86_PSE36, 46, 0xe7, 0x200000, 0x81, 0, 0, 0},
	{GUEST_32, 2, VMMU_HW_X86_PSE36, 36, 0xe7, 0x3e0000, 0x81, 0, 0, 0},
	{GUEST_32, 2, 0, 46, 0xe7, 0x3fe000, 0x81, 0, 0, 0},
	/* RISC-V G-stage: R off leaves W alone */
	{G39, 1, 0, 0, 0xdf, TEN | 2, 1, 0x10, 0x40, 0},
	{G39, 2, 0, 0, 0xdf, TEN | 0x7fc02, 1, 0x10, 0x40, 0},
	{G39, 3, 0, 0, 0xdf, TEN | 0xffffc02, 1, 0x10, 0x40, 0},
	{G39, 1, RV_F, PBMTE, 0xdf, UINT64_C(0x87c0000000000002), 1, 0x10, 0x40, 0},
	{G39, 1, RV_F, 0, 0xdf, UINT64_C(0xe7c0000000000002), 1, 0x10, 0x40, 0},
	/* pointers; R or X makes a leaf of them, which a read may not use without U */
	{G39, 3, 0, 0, 0x1, TEN | 0xd4, ~(TEN | 0xde), 0xa, 0, 0},
	{G39, 3, RV_F, PBMTE, 0x1, UINT64_C(0xe7c00000000000d4), ~UINT64_C(0xe7c00000000000de), 0xa,
	 0, 0},
	{G39, 1, 0, 0, 0x1, ~UINT64_C(0xb), 1, 0xa, 0, 0},
	{G32, 1, 0, 0, 0xdf, 2, 1, 0x10, 0x40, 0},
	{G32, 2, 0, 0, 0xdf, 0xffc02, 1, 0x10, 0x40, 0},
	/* Arm stage 2, 48 and 40 bits of output: nothing is reserved */
	{S2_4K, 1, 0, 5, 0x7ff, 0, 3, 0x40, 0x400, 0},
	{S2_4K, 1, 0, 2, 0x7ff, 0, 3, 0x40, 0x400, UINT64_C(0xff0000000000)},
	{S2_4K, 2, 0, 2, 0x7fd, 0, 3, 0x40, 0x400, UINT64_C(0xff0000000000)},
	{S2_4K, 2, 0, 2, 0x3, 0, ~UINT64_C(0xff0000000002), 0, 2, UINT64_C(0xff0000000000)},
};

static void sweep_x86(const struct sweep *sweep, struct vmmu_hw_cpu *cpu)
{
	struct vmmu_hw_x86 *x86 = &cpu->u.x86;

	uint64_t nxe = sweep->features & NO_NX ? 0 : 1 << 11;

	x86->features = sweep->features & ~NO_NX;
	x86->maxphyaddr = (uint8_t)sweep->option;
	x86->eptp = ROOT | 6 | 4 << 3;
	x86->ncr3 = x86->cr3 = ROOT;
	x86->cr0 = UINT64_C(1) << 31;
	x86->cr4 = 1 << 4 | (sweep->shape != GUEST_32 ? 1 << 5 : 0) | 1 << 12;
	x86->efer = nxe | (sweep->shape == GUEST5 ? 1 << 10 : 0);
	x86->host_cr4 = 1 << 12;
	x86->host_efer = 1 << 10 | nxe;
	cpu->arch = VMMU_HW_X86;
	if (sweep->shape == EPT5)
		cpu->arch = VMMU_HW_EPT;
	if (sweep->shape == NPT5)
		cpu->arch = VMMU_HW_NPT;
}

static void sweep_cpu(const struct sweep *sweep, struct vmmu_hw_cpu *cpu)
{
	unsigned xlen = sweep->shape == G32 ? 32 : 64;

	*cpu = (struct vmmu_hw_cpu){.arch = VMMU_HW_RISCV};
	switch (sweep->shape) {
	case G39:
	case G32:
		cpu->u.riscv = (struct vmmu_hw_riscv){.features = sweep->features, .pa_bits = 56};
		cpu->u.riscv.xlen = cpu->u.riscv.vsxlen = (uint8_t)xlen;
		cpu->u.riscv.hgatp = ROOT >> 12 |
				     (xlen == 32 ? UINT64_C(1) << 31 : UINT64_C(8) << 60);
		cpu->u.riscv.menvcfg = sweep->option;
		return;
	case S2_4K:
		cpu->arch = VMMU_HW_ARM64;
		cpu->u.arm64 = (struct vmmu_hw_arm64){.pamax = 48, .hcr_el2 = 1, .vttbr_el2 = ROOT};
		cpu->u.arm64.vtcr_el2 = 24 | 1 << 6 | sweep->option << 16;
		return;
	default:
		sweep_x86(sweep, cpu);
	}
}

/* The entry's tables; x86 PAE keeps its top level in registers. */
static void sweep_place(const struct sweep *sweep, struct memory *memory, struct vmmu_hw_cpu *cpu,
			uint64_t entry)
{
	struct chain_entry place = {.chain = &chains[sweep->shape], .root = ROOT, .stride = 0x4000};

	place.at = place.chain->count - sweep->level;
	place.entry = entry;
	place.is_ppn = sweep->shape == G39 || sweep->shape == G32;
	place.upper = place.is_ppn ? 1 : sweep->shape == S2_4K ? 3 : 0x7;
	memory_chain(memory, &place);
	if (sweep->shape == GUEST_PAE)
		cpu->u.x86.pdpte[0] = sweep->level == 3 ? entry : (ROOT + 0x4000) | 1;
}

static enum vmmu_hw_cause expected(const struct sweep *sweep, uint64_t bit)
{
	if (sweep->reserved & bit)
		return VMMU_HW_RESERVED;
	if (sweep->size & bit)
		return VMMU_HW_ADDRESS_SIZE;
	if (sweep->accessed & bit)
		return VMMU_HW_ACCESSED;
	if (sweep->permission & bit)
		return VMMU_HW_PERMISSION;
	return sweep->absent & bit ? VMMU_HW_ABSENT : VMMU_HW_NO_CAUSE;
}

static enum vmmu_hw_cause actual(const struct sweep *sweep, struct memory *memory, uint64_t entry)
{
	static struct vmmu_hw_walk walk;
	struct vmmu_hw_bus bus = memory_bus(memory);
	struct vmmu_hw_access access = {.access = VMMU_READ};
	struct vmmu_hw_gpa gpa = {0};
	struct vmmu_hw_cpu cpu;
	int error;

	sweep_cpu(sweep, &cpu);
	sweep_place(sweep, memory, &cpu, entry);
	if (cpu.arch == VMMU_HW_X86)
		error = vmmu_hw_translate(&cpu, &bus, &access, &walk);
	else
		error = vmmu_hw_translate_gpa(&cpu, &bus, &access, &gpa, &walk);
	cr_assert_eq(error, 0);
	return walk.fault.cause;
}

Test(sweeps, one_bit_flipped__cause_by_the_masks)
{
	unsigned i, bit, bits;

	for (i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		bits = 8 * chains[sweeps[i].shape].bytes;
		for (bit = 0; bit < bits; bit++) {
			struct memory *memory = memory_new();
			uint64_t mask = UINT64_C(1) << bit;
			enum vmmu_hw_cause cause = actual(&sweeps[i], memory,
							  sweeps[i].entry ^ mask);

			cr_assert_eq(cause, expected(&sweeps[i], mask), "sweep %u bit %u: cause %u",
				     i, bit, cause);
			memory_free(memory);
		}
	}
}
