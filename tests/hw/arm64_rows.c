// SPDX-License-Identifier: MIT
/* The worked examples of Arm's two stages. */
#include "hw/memory.h"
#include "hw/rows.h"

#include <criterion/criterion.h>
#include <string.h>

#define ROOT      UINT64_C(0x10000000)
#define STRIDE    UINT64_C(0x100000)
#define SIDE_ROOT UINT64_C(0x20000000)
#define GUEST_HPA UINT64_C(0x30000000)
#define FAR       UINT64_C(0xffff800012345678)
#define IPA       UINT64_C(0x812345678)

#define VTCR_HA  (UINT64_C(1) << 21)
#define VTCR_HD  (UINT64_C(1) << 22)
#define VTCR_DS  (UINT64_C(1) << 32)
#define VTCR_SL2 (UINT64_C(1) << 33)
#define TCR_HA   (UINT64_C(1) << 39)
#define TCR_HD   (UINT64_C(1) << 40)
#define TCR_DS   (UINT64_C(1) << 59)

struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_gpa gpa;
	struct vmmu_hw_walk walk;
	uint64_t entry_hpa;
	struct chain chain;
	int start;
	unsigned ia;
};

static unsigned row_page_shift(const struct row *row)
{
	if (row_option_is(row, "tg", "16K"))
		return 14;
	return row_option_is(row, "tg", "64K") ? 16 : 12;
}

/* PS and IPS by bits. */
static uint64_t size_code(uint64_t bits)
{
	static const uint8_t sizes[] = {32, 36, 40, 42, 44, 48, 52};
	uint64_t code;

	for (code = 0; sizes[code] != bits; code++)
		cr_assert_lt(code, 6);
	return code;
}

/* The start level that a row's IA takes with least concatenation, or the row's own level if that is
 * higher up. */
static int row_start(const struct row *row)
{
	unsigned shift = row_page_shift(row);
	int start = shift == 16 ? 2 : 1;

	return row->level < start ? row->level : start;
}

/* SL0 (and SL2) for a start level. */
static uint64_t start_code(unsigned page_shift, int start)
{
	if (start == -1)
		return VTCR_SL2;
	if (page_shift == 12)
		return (uint64_t)(2 - start) << 6;
	return (uint64_t)(3 - start) << 6;
}

static void shape(struct stand *stand, unsigned page_shift)
{
	unsigned stride = page_shift - 3, levels = (unsigned)(4 - stand->start);

	stand->chain = (struct chain){
		.count = levels,
		.page_shift = page_shift,
		.index_bits = stride,
		.root_bits = stand->ia - page_shift - stride * (levels - 1),
		.bytes = 8,
	};
}

static void s2_cpu(const struct row *row, struct stand *stand)
{
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	uint64_t tg0[] = {[12] = 0, [14] = 2, [16] = 1};

	stand->cpu.arch = VMMU_HW_ARM64;
	arm->features = VMMU_HW_ARM64_HAFDBS;
	arm->features |= row_option(row, "xnx", 1) ? VMMU_HW_ARM64_XNX : 0;
	arm->features |= row_option(row, "ds", 0) ? VMMU_HW_ARM64_LPA2 : 0;
	arm->pamax = (uint8_t)row_option(row, "pamax", 48);
	arm->bbm_level = (uint8_t)row_option(row, "bbm", 0);
	arm->hcr_el2 = 1 | (row_option(row, "ptw", 0) ? 1 << 2 : 0);
	arm->vtcr_el2 = 64 - stand->ia;
	arm->vtcr_el2 |= start_code(row_page_shift(row), stand->start);
	arm->vtcr_el2 |= tg0[row_page_shift(row)] << 14 | size_code(row_option(row, "pa", 48))
								  << 16;
	arm->vtcr_el2 |= row_option(row, "ds", 0) ? VTCR_DS : 0;
	arm->vtcr_el2 |= row_option(row, "ha", 0) ? VTCR_HA : 0;
	arm->vtcr_el2 |= row_option(row, "hd", 0) ? VTCR_HD : 0;
	arm->vttbr_el2 = ROOT;
}

/* Stage 1, 4K, mapping FAR to the row's address; its tables are far up in the IPA space. */
static void map_gva(const struct row *row, struct stand *stand)
{
	static const struct chain s1 = {4, 12, 9, 9, 8};
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	struct chain_entry host = {.chain = &stand->chain, .stride = STRIDE};
	/* Bits 49:48 stand in place even with DS; the ones above do not. */
	uint64_t base = UINT64_C(1) << (stand->ia > 50 ? 49 : stand->ia - 1), page, next;
	struct chain_entry guest = {.chain = &s1,
				    .root = base,
				    .stride = 0x1000,
				    .input = FAR,
				    .at = 3,
				    .upper = 3,
				    .offset = GUEST_HPA - base};
	unsigned i, at;

	/* Valid, page, AF, AP by privilege; bits 9:8 are address bits with DS, so no shareability
	 * there. */
	guest.entry = (stand->gpa.gpa & ~UINT64_C(0xfff)) |
		      (row_option(row, "el", 1) ? 0x403 : 0x443);
	memory_chain(stand->memory, &guest);
	for (i = 0; i < 4; i++) {
		host.input = base + i * 0x1000;
		for (at = 0; at < stand->chain.count - 1; at++) {
			host.root = at ? SIDE_ROOT : ROOT;
			next = SIDE_ROOT + STRIDE * (at + 1);
			memory_write(stand->memory, chain_address(&host, at), 8, next | 3);
		}
		host.root = SIDE_ROOT;
		page = (GUEST_HPA + i * 0x1000) >> stand->chain.page_shift
							   << stand->chain.page_shift;
		memory_write(stand->memory, chain_address(&host, at), 8,
			     page | (row_option(row, "ds", 0) ? 0x4ff : 0x7ff));
	}
	arm->sctlr_el1 = 1;
	arm->ttbr1_el1 = base;
	if (base >> 48)
		arm->ttbr1_el1 = (base & ((UINT64_C(1) << 48) - 1)) | base >> 48 << 2;
	arm->tcr_el1 = 16 << 16 | UINT64_C(2) << 30 | size_code(arm->pamax) << 32;
	arm->tcr_el1 |= row_option(row, "ds", 0) ? TCR_DS : 0;
}

static void s2_stand(const struct row *row, struct stand *stand)
{
	struct chain_entry place = {
		.chain = &stand->chain, .root = ROOT, .stride = STRIDE, .upper = 3};

	stand->memory = memory_new();
	stand->start = row_start(row);
	stand->ia = (unsigned)row_option(row, "ia", 40);
	shape(stand, row_page_shift(row));
	s2_cpu(row, stand);
	stand->gpa.gpa = row_option(row, "ipa", IPA);
	if (row_option_is(row, "walk", "rd"))
		stand->gpa.purpose = VMMU_HW_TABLE_READ;
	if (row_option_is(row, "walk", "wr"))
		stand->gpa.purpose = VMMU_HW_TABLE_WRITE;
	stand->access.gva = FAR;
	stand->access.access = row->access;
	stand->access.flags = row_option(row, "el", 1) ? 0 : VMMU_HW_USER;
	stand->access.flags |= row_option(row, "cm", 0) ? VMMU_HW_CACHE_OP : 0;
	place.input = stand->gpa.gpa;
	place.entry = row->entry;
	place.at = (unsigned)(row->level - stand->start);
	stand->entry_hpa = memory_chain(stand->memory, &place);
	map_gva(row, stand);
}

static void run(struct stand *stand, bool through_guest)
{
	struct vmmu_hw_bus bus = memory_bus(stand->memory);
	int error;

	if (through_guest)
		error = vmmu_hw_translate(&stand->cpu, &bus, &stand->access, &stand->walk);
	else
		error = vmmu_hw_translate_gpa(&stand->cpu, &bus, &stand->access, &stand->gpa,
					      &stand->walk);
	cr_assert_eq(error, 0);
}

/* "PA" or "IPA", "NEXT": true if the row was one of them. */
static bool expect_success(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_walk *walk = &stand->walk;
	uint64_t value, entry = row->entry;

	if (row_expects(row, "PA ", &value)) {
		cr_assert_eq(walk->status, VMMU_HW_OK, "%s: esr %#lx", row->id,
			     (unsigned long)walk->report.arm64.esr);
		cr_assert_eq(walk->combined.output, value, "%s: %#lx", row->id,
			     (unsigned long)walk->combined.output);
		row_expects(row, "e=", &entry);
		cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, 8), entry, "%s", row->id);
		return true;
	}
	if (!row_expects(row, "NEXT ", &value))
		return false;
	cr_assert_geq(walk->ref_count, 2, "%s", row->id);
	cr_assert_eq(walk->ref[walk->ref_count - 2].hpa, stand->entry_hpa, "%s", row->id);
	cr_assert_eq(walk->ref[walk->ref_count - 1].hpa & ~UINT64_C(0xfff), value, "%s", row->id);
	cr_assert_eq(walk->fault.cause, VMMU_HW_ABSENT, "%s: the table is empty", row->id);
	return true;
}

static void expect_esr(const struct row *row, struct stand *stand, const char *name, unsigned el)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t esr;

	cr_assert(row_expects(row, name, &esr), "%s: result not understood", row->id);
	cr_assert_eq(stand->walk.status, el == 2 ? VMMU_HW_FAULT_HOST : VMMU_HW_FAULT_GUEST, "%s",
		     row->id);
	cr_assert_eq(report->arm64.el, el, "%s", row->id);
	cr_assert_eq(report->arm64.esr, esr, "%s: %#lx", row->id, (unsigned long)report->arm64.esr);
	cr_assert_eq(report->arm64.far, FAR, "%s", row->id);
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, 8), row->entry, "%s", row->id);
}

static void expect_s2_fault(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t hpfar;

	expect_esr(row, stand, "ESR ", 2);
	if (row_result_has(row, "HPFAR UNKNOWN")) {
		cr_assert_not(report->arm64.hpfar_valid, "%s", row->id);
		return;
	}
	cr_assert(row_expects(row, "HPFAR ", &hpfar), "%s", row->id);
	cr_assert(report->arm64.hpfar_valid, "%s", row->id);
	cr_assert_eq(report->arm64.hpfar, hpfar, "%s: %#lx", row->id,
		     (unsigned long)report->arm64.hpfar);
}

Test(arm64_rows, stage2_descriptor__gives_what_the_manual_says)
{
	struct rows *rows = rows_read("arm-s2.txt");
	unsigned i, through_guest, ran[2] = {0};
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		for (through_guest = 0; through_guest < 2; through_guest++) {
			/* A stage-1 table access has its own address; it cannot be FAR's. */
			if (through_guest && strstr(rows->row[i].options, "walk="))
				continue;
			stand = (struct stand){0};
			s2_stand(&rows->row[i], &stand);
			run(&stand, through_guest);
			if (!expect_success(&rows->row[i], &stand))
				expect_s2_fault(&rows->row[i], &stand);
			memory_free(stand.memory);
			ran[through_guest]++;
		}
	}
	rows_report("Arm stage 2", "second stage alone", ran[0], 54);
	/* Not by this way: 4 rows of stage-1 table accesses. */
	rows_report("Arm stage 2", "through stage-1 tables", ran[1], 50);
	rows_free(rows);
}

/* Stage 2, 4K, IA 40 from level 1, mapping the first 4 gigabytes to themselves. */
static void map_identity(struct stand *stand)
{
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	uint64_t i;

	for (i = 0; i < 4; i++)
		memory_write(stand->memory, SIDE_ROOT + i * 8, 8, i << 30 | 0x7fd);
	arm->hcr_el2 = 1;
	arm->vtcr_el2 = 24 | 1 << 6 | 5 << 16;
	arm->vttbr_el2 = SIDE_ROOT;
}

static void s1_stand(const struct row *row, struct stand *stand)
{
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	struct chain_entry place = {
		.chain = &stand->chain, .root = ROOT, .stride = STRIDE, .upper = 3};

	stand->memory = memory_new();
	stand->ia = 48;
	shape(stand, 12);
	stand->cpu.arch = VMMU_HW_ARM64;
	arm->features = VMMU_HW_ARM64_HAFDBS;
	arm->pamax = 48;
	arm->sctlr_el1 = 1;
	arm->tcr_el1 = 16 << 16 | UINT64_C(2) << 30 | UINT64_C(5) << 32;
	arm->tcr_el1 |= row_option(row, "ha", 0) ? TCR_HA : 0;
	arm->tcr_el1 |= row_option(row, "hd", 0) ? TCR_HD : 0;
	arm->ttbr1_el1 = ROOT;
	arm->pan = row_option(row, "pan", 0);
	stand->access.gva = FAR;
	stand->access.access = row->access;
	stand->access.flags = row_option(row, "el", 1) ? 0 : VMMU_HW_USER;
	place.input = FAR;
	place.entry = row->entry;
	place.at = (unsigned)row->level;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	/* What the tables above say together stands in the root. */
	place.at = 0;
	place.entry = (ROOT + STRIDE) | 3 | row_option(row, "apt", 0) << 61;
	memory_chain(stand->memory, &place);
}

Test(arm64_rows, stage1_descriptor__gives_what_the_manual_says)
{
	struct rows *rows = rows_read("arm-s1.txt");
	struct stand stand;
	unsigned i, alone;

	for (alone = 0; alone < 2; alone++) {
		for (i = 0; i < rows->count; i++) {
			stand = (struct stand){0};
			s1_stand(&rows->row[i], &stand);
			if (!alone)
				map_identity(&stand);
			run(&stand, true);
			/* Over an identity map the next table is found one translation later. */
			if (!alone && row_result_has(&rows->row[i], "NEXT"))
				cr_assert_eq(stand.walk.ref[stand.walk.ref_count - 1].gpa &
						     ~UINT64_C(0xfff),
					     0x40080000);
			else if (!expect_success(&rows->row[i], &stand))
				expect_esr(&rows->row[i], &stand, "ESR_EL1 ", 1);
			memory_free(stand.memory);
		}
		rows_report("Arm stage 1", alone ? "alone" : "over stage 2", i, 17);
	}
	rows_free(rows);
}
