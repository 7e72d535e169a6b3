// SPDX-License-Identifier: MIT
/*
 * Where walks look: indexes, root sizes, start levels. Memory answers each read with a pointer to
 * one more table.
 */
#include "hw/rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE(n) ((uint64_t)((n) + 1) << 28) /* where table N of a walk is; 0: the root */

/* A bus that leads from table to table. */
struct ladder {
	unsigned loads;
	uint64_t flags; /* of a pointer */
	unsigned shift; /* addresses stand shifted right by this */
};

static int ladder_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct ladder *ladder = ctx;

	(void)hpa;
	(void)bytes;
	*value = TABLE(++ladder->loads) >> ladder->shift | ladder->flags;
	return 0;
}

struct stand {
	struct vmmu_hw_cpu cpu;
	struct ladder ladder;
	struct vmmu_hw_walk walk;
	bool is_guest;
};

static void stand_riscv(struct stand *stand, uint64_t mode, unsigned xlen)
{
	stand->cpu.arch = VMMU_HW_RISCV;
	stand->cpu.u.riscv = (struct vmmu_hw_riscv){
		.xlen = (uint8_t)xlen, .vsxlen = (uint8_t)xlen, .pa_bits = 56};
	stand->cpu.u.riscv.hgatp = mode << (xlen == 32 ? 31 : 60) | TABLE(0) >> 12;
	stand->ladder = (struct ladder){.flags = 1, .shift = 2};
}

static void stand_x86(struct stand *stand, const char *name)
{
	struct vmmu_hw_x86 *x86 = &stand->cpu.u.x86;

	x86->maxphyaddr = 46;
	x86->eptp = TABLE(0) | 6 | (strstr(name, "5") ? 4 << 3 : 3 << 3);
	x86->ncr3 = x86->cr3 = TABLE(0);
	x86->host_efer = x86->efer = 1 << 10;
	x86->cr0 = UINT64_C(1) << 31;
	stand->ladder.flags = 7;
	stand->is_guest = !strncmp(name, "guest", 5);
	stand->cpu.arch = !strncmp(name, "ept", 3) ? VMMU_HW_EPT : VMMU_HW_NPT;
	if (!stand->is_guest)
		return;
	stand->cpu.arch = VMMU_HW_X86;
	x86->efer = strstr(name, "4") ? 1 << 10 : 0;
	x86->cr4 = strstr(name, "pae") ? 1 << 5 : 0;
	/* The index into the registers shows in what follows. */
	if (x86->cr4) {
		x86->pdpte[1] = TABLE(1) | 1;
		stand->ladder = (struct ladder){.loads = 1, .flags = 7};
	}
}

static unsigned shift_of(const char *granule)
{
	return !strncmp(granule, "4K", 2) ? 12 : !strncmp(granule, "16K", 3) ? 14 : 16;
}

/* VTCR_EL2 for everything a 52-bit CPU does; DS only where the start level or size needs it. */
static void stand_arm(struct stand *stand, unsigned page_shift, unsigned ia, int start)
{
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	static const uint8_t tg0[] = {[12] = 0, [14] = 2, [16] = 1};
	uint64_t sl0 = (uint64_t)((page_shift == 12 ? 2 : 3) - start);

	stand->cpu.arch = VMMU_HW_ARM64;
	arm->features = VMMU_HW_ARM64_LPA2 | VMMU_HW_ARM64_TTST | VMMU_HW_ARM64_LVA;
	arm->pamax = 52;
	arm->hcr_el2 = 1;
	arm->vtcr_el2 = ((64 - ia) & 0x3f) | (uint64_t)tg0[page_shift] << 14 | 6 << 16;
	arm->vtcr_el2 |= page_shift != 16 ? UINT64_C(1) << 32 : 0;
	if (page_shift == 12 && start == 3)
		sl0 = 3;
	arm->vtcr_el2 |= start == -1 ? UINT64_C(1) << 33 : sl0 << 6;
	arm->vttbr_el2 = TABLE(0);
	stand->ladder = (struct ladder){.flags = 3};
}

static void stand_init(struct stand *stand, const char *name)
{
	char granule[8];
	unsigned ia;
	int start;

	*stand = (struct stand){0};
	if (sscanf(name, "arm %7s %u L%d", granule, &ia, &start) == 3)
		stand_arm(stand, shift_of(granule), ia, start);
	else if (!strcmp(name, "sv32x4"))
		stand_riscv(stand, 1, 32);
	else if (!strncmp(name, "sv", 2))
		stand_riscv(stand, 8 + ((uint64_t)atoi(name + 2) - 39) / 9, 64);
	else
		stand_x86(stand, name);
}

static void stand_walk(struct stand *stand, uint64_t address)
{
	struct vmmu_hw_bus bus = {.ctx = &stand->ladder, .load = ladder_load};
	struct vmmu_hw_access access = {.gva = address, .access = VMMU_READ};
	struct vmmu_hw_gpa gpa = {.gpa = address};
	int error;

	if (stand->is_guest)
		error = vmmu_hw_translate(&stand->cpu, &bus, &access, &stand->walk);
	else
		error = vmmu_hw_translate_gpa(&stand->cpu, &bus, &access, &gpa, &stand->walk);
	cr_assert_eq(error, 0);
}

/* The indexes as printed in the row, against where the walk read. */
static void expect_indexes(const struct row *row, const struct stand *stand)
{
	const char *text = row->column[3];
	bool is_pae = !strcmp(row->column[1], "guestpae");
	unsigned i, first = is_pae;
	char *end;

	for (i = 0; *text; i++, text = end) {
		uint64_t index = strtoull(text, &end, 0), expected = TABLE(i);

		if (i < first) {
			cr_assert_eq(index, 1);
			continue;
		}
		expected += index * stand->walk.ref[i - first].bytes;
		cr_assert_eq(stand->walk.ref[i - first].hpa, expected, "%s: table %u: %#lx",
			     row->id, i, (unsigned long)stand->walk.ref[i - first].hpa);
	}
	cr_assert_eq(stand->walk.load_count, i - first, "%s", row->id);
}

/* The highest address in the root's reach reads its last entry. */
static void expect_root(const struct row *row, struct stand *stand, uint64_t address)
{
	uint64_t bytes = strtoull(row->column[4], NULL, 0), top = 0;
	unsigned bits;

	if (!strcmp(row->column[1], "guestpae"))
		return; /* its root is registers */
	for (bits = 1; bits < 60; bits++) {
		top = (UINT64_C(1) << bits) - 1;
		stand_init(stand, row->column[1]);
		stand_walk(stand, top);
		if (stand->walk.fault.cause == VMMU_HW_INPUT_SIZE ||
		    stand->walk.report.exception.vector == 13)
			break;
		if (stand->walk.ref[0].hpa == TABLE(0) + bytes - stand->walk.ref[0].bytes)
			return;
		cr_assert_lt(stand->walk.ref[0].hpa, TABLE(0) + bytes, "%s", row->id);
	}
	/* A four-level guest reaches the upper half with addresses that begin with ones. */
	stand_init(stand, row->column[1]);
	stand_walk(stand, stand->is_guest ? UINT64_MAX : address);
	cr_assert_eq(stand->walk.ref[0].hpa,
		     stand->is_guest ? TABLE(0) + bytes - 8 : TABLE(0) + bytes, "%s", row->id);
}

Test(geometry, index_examples__walk_reads_those_entries)
{
	struct rows *rows = rows_read("index.txt");
	struct stand stand;
	unsigned i;

	for (i = 0; i < rows->count; i++) {
		uint64_t address = strtoull(rows->row[i].column[2], NULL, 0);

		stand_init(&stand, rows->row[i].column[1]);
		stand_walk(&stand, address);
		expect_indexes(&rows->row[i], &stand);
		expect_root(&rows->row[i], &stand, address);
	}
	rows_report("index examples", "where each level is read, root size", i, 24);
	rows_free(rows);
}

/* Does a walk start at all? Bad start levels and sizes are translation faults of level 0. */
static bool does_start(struct stand *stand, int start)
{
	stand_walk(stand, 0);
	if (stand->walk.fault.cause == VMMU_HW_INPUT_SIZE) {
		cr_assert_eq(stand->walk.load_count, 0);
		cr_assert_eq(stand->walk.report.arm64.esr, 0x92000004);
		return false;
	}
	cr_assert_eq(stand->walk.load_count, (unsigned)(4 - start));
	return true;
}

Test(geometry, arm_stage2_every_start_level_and_size__starts_where_the_table_says)
{
	struct rows *rows = rows_read("arm-starts.txt");
	unsigned i, ia, ran = 0;
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		const char *granule = rows->row[i].column[1];
		unsigned page_shift = shift_of(granule);
		unsigned low = (unsigned)atoi(rows->row[i].column[3]);
		unsigned high = (unsigned)atoi(rows->row[i].column[4]);
		/* FEAT_TTST's bound on T0SZ cuts the table's lowest sizes. */
		unsigned least = page_shift == 16 ? 17 : 16;

		for (ia = 1; ia < 64; ia++, ran++) {
			stand = (struct stand){0};
			stand_arm(&stand, page_shift, ia, rows->row[i].level);
			cr_assert_eq(does_start(&stand, rows->row[i].level),
				     ia >= low && ia >= least && ia <= high, "%s: IA %u",
				     rows->row[i].id, ia);
		}
	}
	rows_report("Arm stage-2 start levels", "each IA size of each row", ran, 12 * 63);
	rows_free(rows);
}

Test(geometry, arm_start_levels_that_need_features__refused_without)
{
	struct stand stand = {0};

	stand_arm(&stand, 12, 25, 3); /* 4K from level 3: FEAT_TTST */
	cr_assert(does_start(&stand, 3));
	stand_arm(&stand, 12, 25, 3);
	stand.cpu.u.arm64.features = VMMU_HW_ARM64_LPA2;
	cr_assert_not(does_start(&stand, 3));
	stand_arm(&stand, 14, 48, 0); /* 16K from level 0: DS */
	cr_assert(does_start(&stand, 0));
	stand_arm(&stand, 14, 48, 0);
	stand.cpu.u.arm64.vtcr_el2 &= ~(UINT64_C(1) << 32);
	cr_assert_not(does_start(&stand, 0));
	stand_arm(&stand, 12, 40, 0); /* 4K from level 0: 44 physical bits */
	stand.cpu.u.arm64.pamax = 42;
	cr_assert_not(does_start(&stand, 0));
	stand_arm(&stand, 12, 40, 0);
	stand.cpu.u.arm64.pamax = 44;
	cr_assert(does_start(&stand, 0));
	stand_arm(&stand, 14, 38, 1); /* 16K from level 1: 42 */
	stand.cpu.u.arm64.pamax = 40;
	cr_assert_not(does_start(&stand, 1));
	stand_arm(&stand, 16, 43, 1); /* 64K from level 1: 44 */
	stand.cpu.u.arm64.pamax = 42;
	cr_assert_not(does_start(&stand, 1));
	stand_arm(&stand, 16, 43, 1);
	stand.cpu.u.arm64.pamax = 44;
	cr_assert(does_start(&stand, 1));
	stand_arm(&stand, 16, 42, 2);
	stand.cpu.u.arm64.pamax = 42;
	cr_assert(does_start(&stand, 2));
	stand_arm(&stand, 14, 38, 1);
	stand.cpu.u.arm64.pamax = 42;
	cr_assert(does_start(&stand, 1));
	stand_arm(&stand, 12, 52, 0); /* 52 bits of input: as many physical ones */
	stand.cpu.u.arm64.pamax = 48;
	cr_assert_not(does_start(&stand, 0));
	stand_arm(&stand, 12, 49, -1);
	stand.cpu.u.arm64.vtcr_el2 |= 1 << 6; /* SL2 with SL0 */
	cr_assert_not(does_start(&stand, -1));
}

/* Stage 1 has no start level to give: it follows from the size. */
static void stand_stage1(struct stand *stand, unsigned page_shift, unsigned ia)
{
	static const uint8_t tg0[] = {[12] = 0, [14] = 2, [16] = 1};
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;

	*stand = (struct stand){.is_guest = true, .ladder = {.flags = 3}};
	stand->cpu.arch = VMMU_HW_ARM64;
	arm->features = VMMU_HW_ARM64_LPA2 | VMMU_HW_ARM64_LVA;
	arm->pamax = 52;
	arm->sctlr_el1 = 1;
	arm->tcr_el1 = (64 - ia) | (uint64_t)tg0[page_shift] << 14 | UINT64_C(6) << 32;
	arm->tcr_el1 |= page_shift != 16 ? UINT64_C(1) << 59 : 0;
	arm->ttbr0_el1 = TABLE(0);
}

Test(geometry, arm_stage1_every_size__starts_where_the_table_says)
{
	struct rows *rows = rows_read("arm-s1-starts.txt");
	unsigned i, ia, ran = 0;
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		unsigned high = (unsigned)atoi(rows->row[i].column[4]);

		for (ia = (unsigned)atoi(rows->row[i].column[3]); ia <= high; ia++, ran++) {
			stand_stage1(&stand, shift_of(rows->row[i].column[1]), ia);
			stand_walk(&stand, 0);
			cr_assert_eq(stand.walk.load_count, (unsigned)(4 - rows->row[i].level),
				     "%s: IA %u", rows->row[i].id, ia);
		}
	}
	/* 25 to 52 for each of three granules. */
	rows_report("Arm stage-1 start levels", "each IA size of each row", ran, 3 * 28);
	rows_free(rows);
}

Test(geometry, arm_stage1_size_out_of_range__translation_fault_level_0)
{
	struct stand stand;

	stand_stage1(&stand, 12, 24);
	stand_walk(&stand, 0);
	cr_assert_eq(stand.walk.report.arm64.esr, 0x96000004);
	stand_stage1(&stand, 12, 52);
	stand.cpu.u.arm64.tcr_el1 &= ~(UINT64_C(1) << 59);
	stand_walk(&stand, 0);
	cr_assert_eq(stand.walk.report.arm64.esr, 0x96000004);
}

/* Registers as the sheets encode them, read back by what the walk does with them. */
Test(geometry, register_examples__mean_what_they_encode)
{
	struct stand stand;

	stand_init(&stand, "ept4");
	stand.cpu.u.x86.eptp = 0x12345605e; /* 4-level, WB, A/D on */
	stand_walk(&stand, 0);
	cr_assert_eq(stand.walk.ref[0].hpa, 0x123456000);
	cr_assert_eq(stand.walk.load_count, 4);
	stand.cpu.u.x86.eptp = 0x123456026; /* 5-level, WB, A/D off */
	stand.ladder.loads = 0;
	stand_walk(&stand, 0);
	cr_assert_eq(stand.walk.ref[0].hpa, 0x123456000);
	cr_assert_eq(stand.walk.load_count, 5);
	stand_init(&stand, "sv39x4");
	stand.cpu.u.riscv.hgatp = 0x8000500000080204; /* Sv39x4, VMID 5 */
	stand_walk(&stand, 0);
	cr_assert_eq(stand.walk.ref[0].hpa, 0x80204000);
	cr_assert_eq(stand.walk.load_count, 3);
	stand = (struct stand){0};
	stand_arm(&stand, 12, 40, 1);
	stand.cpu.u.arm64.vtcr_el2 = 0x80253558; /* 4K, IA 40, start level 1, PS 48, HA */
	stand_walk(&stand, UINT64_C(0x8012345678));
	cr_assert_eq(stand.walk.ref[0].hpa, TABLE(0) + 0x200 * 8);
	cr_assert_eq(stand.walk.load_count, 3);
	stand_walk(&stand, UINT64_C(1) << 40);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_INPUT_SIZE);
}
