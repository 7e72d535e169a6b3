// SPDX-License-Identifier: MIT
/* The worked examples of RISC-V's two stages. */
#include "hw/memory.h"
#include "hw/rows.h"

#include <criterion/criterion.h>
#include <string.h>

#define ROOT      UINT64_C(0x10000)
#define STRIDE    UINT64_C(0x4000)
#define SIDE_ROOT UINT64_C(0x40000)
#define GUEST_GPA UINT64_C(0x4000000000) /* far from every row, inside 41 bits */
#define GUEST_HPA UINT64_C(0x60000)
#define GVA       UINT64_C(0x3f12345abc)
#define GPA       UINT64_C(0x1234567abc)

#define ADUE  (UINT64_C(1) << 61)
#define PBMTE (UINT64_C(1) << 62)
#define MXR   (UINT64_C(1) << 19)
#define SUM   (UINT64_C(1) << 18)
#define SSE   (UINT64_C(1) << 3)

static const struct chain sv39x4 = {3, 12, 9, 11, 8}, sv48x4 = {4, 12, 9, 11, 8};
static const struct chain sv39 = {3, 12, 9, 9, 8}, sv32 = {2, 12, 10, 10, 4};

struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_gpa gpa;
	struct vmmu_hw_walk walk;
	uint64_t entry_hpa;
	unsigned entry_bytes;
};

static unsigned extensions(const struct row *row)
{
	return VMMU_HW_RISCV_SVPBMT | VMMU_HW_RISCV_SVADU |
	       (row_option(row, "napot", 1) ? VMMU_HW_RISCV_SVNAPOT : 0) |
	       (row_option(row, "rsw60", 0) ? VMMU_HW_RISCV_SVRSW60T59B : 0) |
	       (row_option(row, "sse", 0) ? VMMU_HW_RISCV_ZICFISS : 0);
}

/* VS-stage tables (Sv39) that map GVA to the row's address, and G-stage leaves for them. */
static void map_gva(struct stand *stand, const struct chain *chain)
{
	struct chain_entry guest = {.chain = &sv39,
				    .root = GUEST_GPA,
				    .stride = 0x1000,
				    .input = GVA,
				    .at = 2,
				    .upper = 1,
				    .offset = GUEST_HPA - GUEST_GPA,
				    .is_ppn = true};
	struct chain_entry host = {.chain = chain, .stride = STRIDE};
	unsigned i, at;

	guest.entry = (stand->gpa.gpa >> 12) << 10 | 0xcf;
	memory_chain(stand->memory, &guest);
	for (i = 0; i < 3; i++) {
		host.input = GUEST_GPA + i * 0x1000;
		for (at = 0; at < chain->count - 1; at++) {
			host.root = at ? SIDE_ROOT : ROOT;
			memory_write(stand->memory, chain_address(&host, at), 8,
				     (SIDE_ROOT + STRIDE * (at + 1)) >> 2 | 1);
		}
		host.root = SIDE_ROOT;
		memory_write(stand->memory, chain_address(&host, at), 8,
			     (GUEST_HPA + i * 0x1000) >> 2 | 0xdf);
	}
	stand->cpu.u.riscv.vsatp = UINT64_C(8) << 60 | GUEST_GPA >> 12;
}

static void g_stand(const struct row *row, struct stand *stand)
{
	const struct chain *chain = row_option(row, "w", 41) == 50 ? &sv48x4 : &sv39x4;
	struct vmmu_hw_riscv *rv = &stand->cpu.u.riscv;
	struct chain_entry place = {
		.chain = chain, .root = ROOT, .stride = STRIDE, .upper = 1, .is_ppn = true};

	stand->memory = memory_new();
	stand->cpu.arch = VMMU_HW_RISCV;
	*rv = (struct vmmu_hw_riscv){
		.features = extensions(row), .xlen = 64, .vsxlen = 64, .pa_bits = 56};
	rv->hgatp = (chain == &sv48x4 ? UINT64_C(9) : UINT64_C(8)) << 60 | ROOT >> 12;
	rv->menvcfg = (row_option(row, "pbmte", 1) ? PBMTE : 0) |
		      (row_option(row, "svade", 1) ? 0 : ADUE);
	rv->sstatus = row_option(row, "mxr", 0) ? MXR : 0;
	stand->gpa.gpa = row_option(row, "gpa", GPA);
	if (row_option_is(row, "walk", "rd"))
		stand->gpa.purpose = VMMU_HW_TABLE_READ;
	if (row_option_is(row, "walk", "wr"))
		stand->gpa.purpose = VMMU_HW_TABLE_WRITE;
	stand->access.gva = GVA;
	stand->access.access = row->access;
	place.input = stand->gpa.gpa;
	place.entry = row->entry;
	place.at = chain->count - 1 - (unsigned)row->level;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	stand->entry_bytes = 8;
	map_gva(stand, chain);
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

/* "PA", "NEXT": true if the row was one of them. */
static bool expect_success(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_walk *walk = &stand->walk;
	uint64_t value, entry = row->entry;

	if (row_expects(row, "PA ", &value)) {
		cr_assert_eq(walk->status, VMMU_HW_OK, "%s", row->id);
		cr_assert_eq(walk->combined.output, value, "%s: %#lx", row->id,
			     (unsigned long)walk->combined.output);
		row_expects(row, "e=", &entry);
		cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, stand->entry_bytes),
			     entry, "%s", row->id);
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

static void expect_trap(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t cause, htval = 0, htinst = 0, stval = stand->access.gva;

	cr_assert(row_expects(row, "cause=", &cause), "%s: result not understood", row->id);
	row_expects(row, "htval=", &htval);
	row_expects(row, "htinst=", &htinst);
	row_expects(row, "stval=", &stval);
	cr_assert_neq(stand->walk.status, VMMU_HW_OK, "%s", row->id);
	cr_assert_eq(report->riscv.cause, cause, "%s: %lu", row->id,
		     (unsigned long)report->riscv.cause);
	cr_assert_eq(report->riscv.tval, stval, "%s: %#lx", row->id,
		     (unsigned long)report->riscv.tval);
	cr_assert_eq(report->riscv.tval2, htval, "%s: %#lx", row->id,
		     (unsigned long)report->riscv.tval2);
	cr_assert_eq(report->riscv.tinst, htinst, "%s: %#lx", row->id,
		     (unsigned long)report->riscv.tinst);
	cr_assert(report->riscv.gva);
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, stand->entry_bytes), row->entry,
		     "%s", row->id);
}

Test(riscv_rows, g_stage_entry__gives_what_the_manual_says)
{
	struct rows *rows = rows_read("riscv-g.txt");
	unsigned i, through_guest, ran[2] = {0};
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		for (through_guest = 0; through_guest < 2; through_guest++) {
			/* An implicit access has its own address; it cannot be GVA's. */
			if (through_guest && strstr(rows->row[i].options, "walk="))
				continue;
			stand = (struct stand){0};
			g_stand(&rows->row[i], &stand);
			run(&stand, through_guest);
			if (!expect_success(&rows->row[i], &stand))
				expect_trap(&rows->row[i], &stand);
			memory_free(stand.memory);
			ran[through_guest]++;
		}
	}
	rows_report("RISC-V G-stage", "second stage alone", ran[0], 49);
	/* Not by this way: 5 rows of implicit accesses. */
	rows_report("RISC-V G-stage", "through VS-stage tables", ran[1], 44);
	rows_free(rows);
}

/* G-stage Sv39x4 that maps the first 4 gigabytes to themselves. */
static void map_identity(struct stand *stand)
{
	uint64_t i;

	for (i = 0; i < 4; i++)
		memory_write(stand->memory, SIDE_ROOT + i * 8, 8, i << 28 | 0xdf);
	stand->cpu.u.riscv.hgatp = UINT64_C(8) << 60 | SIDE_ROOT >> 12;
}

static void vs_stand(const struct row *row, struct stand *stand)
{
	bool is_32 = row_option(row, "w", 39) == 32;
	const struct chain *chain = is_32 ? &sv32 : &sv39;
	struct vmmu_hw_riscv *rv = &stand->cpu.u.riscv;
	struct chain_entry place = {
		.chain = chain, .root = ROOT, .stride = 0x1000, .upper = 1, .is_ppn = true};

	stand->memory = memory_new();
	stand->cpu.arch = VMMU_HW_RISCV;
	*rv = (struct vmmu_hw_riscv){.features = extensions(row), .xlen = 64, .pa_bits = 56};
	rv->vsxlen = is_32 ? 32 : 64;
	rv->vsatp = (is_32 ? UINT64_C(1) << 31 : UINT64_C(8) << 60) | ROOT >> 12;
	rv->vsstatus = (row_option(row, "sum", 0) ? SUM : 0) |
		       (row_option(row, "mxr", 0) ? MXR : 0);
	rv->menvcfg = rv->henvcfg = row_option(row, "sse", 0) ? SSE : 0;
	stand->access.gva = row_option(row, "va", GVA);
	stand->access.access = row->access;
	stand->access.flags = row_option(row, "user", 0) ? VMMU_HW_USER : 0;
	place.input = stand->access.gva;
	place.entry = row->entry;
	place.at = chain->count - 1 - (unsigned)row->level;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	stand->entry_bytes = chain->bytes;
}

Test(riscv_rows, vs_stage_entry__gives_what_the_manual_says)
{
	struct rows *rows = rows_read("riscv-vs.txt");
	struct stand stand;
	unsigned i, bare;

	for (bare = 0; bare < 2; bare++) {
		for (i = 0; i < rows->count; i++) {
			stand = (struct stand){0};
			vs_stand(&rows->row[i], &stand);
			if (!bare)
				map_identity(&stand);
			run(&stand, true);
			if (!expect_success(&rows->row[i], &stand)) {
				expect_trap(&rows->row[i], &stand);
				cr_assert_eq(stand.walk.status, VMMU_HW_FAULT_GUEST);
			}
			memory_free(stand.memory);
		}
		rows_report("RISC-V VS-stage", bare ? "G-stage Bare" : "over Sv39x4", i, 15);
	}
	rows_free(rows);
}
