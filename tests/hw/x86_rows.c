// SPDX-License-Identifier: MIT
/* The worked examples of EPT, NPT and x86 guest tables, each through every way that can reach its
 * entry. */
#include "hw/memory.h"
#include "hw/rows.h"

#include <criterion/criterion.h>

#define ROOT      UINT64_C(0x10000)
#define STRIDE    UINT64_C(0x1000)
#define GUEST_GPA UINT64_C(0x200000000) /* guest tables, as the guest sees them */
#define GUEST_HPA UINT64_C(0x40000)
#define SIDE_ROOT UINT64_C(0x20000) /* second-stage tables that map the guest's tables */
#define GVA       UINT64_C(0x7f1256789abc)
#define GPA       UINT64_C(0x123456789abc)
#define NX        (UINT64_C(1) << 63)

static const struct chain chain4 = {4, 12, 9, 9, 8}, chain5 = {5, 12, 9, 9, 8};
static const struct chain chain_pae = {3, 12, 9, 2, 8}, chain32 = {2, 12, 10, 10, 4};

/* One row set up: the CPU, memory, and where the row's entry stands. */
struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_gpa gpa;
	struct vmmu_hw_walk walk;
	uint64_t entry_hpa;
	unsigned entry_bytes;
};

/* Registers of a 64-bit guest whose tables start at GUEST_GPA. */
static void guest_registers(struct vmmu_hw_x86 *x86)
{
	x86->cr0 = UINT64_C(1) << 31 | 1 << 16;
	x86->cr3 = GUEST_GPA;
	x86->cr4 = 1 << 5;
	x86->efer = 1 << 10 | 1 << 11;
}

/* Map the guest's tables: second-stage leaves with bits LEAF, tables with bits UPPER, reached from
 * the same root. */
static void map_guest_tables(struct stand *stand, const struct chain *chain, uint64_t leaf,
			     uint64_t upper)
{
	struct chain_entry place = {.chain = chain, .upper = upper};
	unsigned i, at;
	uint64_t next;

	for (i = 0; i < 4; i++) {
		place.input = GUEST_GPA + i * STRIDE;
		for (at = 0; at < chain->count - 1; at++) {
			place.root = at ? SIDE_ROOT : ROOT;
			place.stride = STRIDE;
			next = SIDE_ROOT + STRIDE * (at + 1);
			memory_write(stand->memory, chain_address(&place, at), 8, next | upper);
		}
		place.root = SIDE_ROOT;
		memory_write(stand->memory, chain_address(&place, at), 8,
			     (GUEST_HPA + i * STRIDE) | leaf);
	}
}

/* Guest tables that map GVA's page to the row's GPA, with these bits in every entry; the leaf adds
 * LEAF. */
static void map_gva(struct stand *stand, uint64_t bits, uint64_t leaf)
{
	struct chain_entry place = {.chain = &chain4,
				    .root = GUEST_GPA,
				    .stride = STRIDE,
				    .input = GVA,
				    .at = 3,
				    .upper = bits,
				    .offset = GUEST_HPA - GUEST_GPA};

	place.entry = (stand->gpa.gpa & ~UINT64_C(0xfff)) | bits | leaf;
	memory_chain(stand->memory, &place);
	stand->access.gva = GVA;
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

/* "PA 0x.. [e=0x..]": the translation, and the entry in memory afterwards. */
static void expect_output(const struct row *row, struct stand *stand, uint64_t output)
{
	uint64_t entry = row->entry;

	cr_assert_eq(stand->walk.status, VMMU_HW_OK, "%s", row->id);
	cr_assert_eq(stand->walk.stage2.output, output, "%s: %#lx", row->id,
		     (unsigned long)stand->walk.stage2.output);
	row_expects(row, "e=", &entry);
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, stand->entry_bytes), entry, "%s",
		     row->id);
}

/* "table at 0x..", "NEXT 0x..": the entry was followed, and the next read is in that table. */
static void expect_table(const struct row *row, const struct stand *stand, uint64_t table)
{
	const struct vmmu_hw_walk *walk = &stand->walk;
	unsigned i;

	for (i = 0; i + 1 < walk->ref_count; i++) {
		if (walk->ref[i].hpa == stand->entry_hpa && !walk->ref[i].is_update)
			break;
	}
	cr_assert_lt(i + 1, walk->ref_count, "%s", row->id);
	for (i++; walk->ref[i].stage != walk->fault.stage; i++)
		cr_assert_lt(i + 1, walk->ref_count, "%s", row->id);
	cr_assert_eq(walk->ref[i].hpa & ~UINT64_C(0xfff), table, "%s: %#lx", row->id,
		     (unsigned long)walk->ref[i].hpa);
	cr_assert_eq(walk->fault.cause, VMMU_HW_ABSENT, "%s: the table is empty", row->id);
}

static void ept_cpu(const struct row *row, struct stand *stand)
{
	struct vmmu_hw_x86 *x86 = &stand->cpu.u.x86;
	bool is_five = row_option(row, "lv", 4) == 5;

	stand->cpu.arch = VMMU_HW_EPT;
	x86->features = VMMU_HW_X86_1G | VMMU_HW_EPT_2M;
	x86->features |= row_option(row, "xo", 1) ? VMMU_HW_EPT_EXEC_ONLY : 0;
	x86->features |= row_option(row, "g1", 1) ? VMMU_HW_EPT_1G : 0;
	x86->features |= row_option(row, "mbe", 0) ? VMMU_HW_EPT_MBE : 0;
	x86->features |= row_option(row, "xbits", 0) ? VMMU_HW_EPT_ADVANCED : 0;
	x86->maxphyaddr = (uint8_t)row_option(row, "M", 46);
	x86->eptp = ROOT | 6 | (is_five ? 4 << 3 : 3 << 3);
	x86->eptp |= row_option(row, "ad", 0) ? 1 << 6 : 0;
	guest_registers(x86);
}

static enum vmmu_hw_purpose ept_purpose(const struct row *row)
{
	if (!row_option(row, "walk", 0))
		return VMMU_HW_FINAL;
	if (!row_option(row, "glv", 1))
		return VMMU_HW_PDPTE_LOAD;
	return row->access & VMMU_WRITE ? VMMU_HW_TABLE_WRITE : VMMU_HW_TABLE_READ;
}

static void ept_stand(const struct row *row, struct stand *stand)
{
	const struct chain *chain = row_option(row, "lv", 4) == 5 ? &chain5 : &chain4;
	uint64_t rights = row_option(row, "mbe", 0) ? 0x407 : 7;
	bool is_user = row_option(row, "user", 0);
	struct chain_entry place = {.chain = chain, .root = ROOT, .stride = STRIDE};

	stand->memory = memory_new();
	ept_cpu(row, stand);
	stand->gpa.gpa = row_option(row, "gpa", GPA);
	stand->gpa.purpose = ept_purpose(row);
	stand->gpa.guest_page = is_user ? VMMU_HW_PAGE_USER : 0;
	stand->access.access = row->access;
	stand->access.flags = is_user ? VMMU_HW_USER : 0;
	place.input = stand->gpa.gpa;
	place.entry = row->entry;
	place.at = chain->count - (unsigned)row->level;
	place.upper = rights;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	stand->entry_bytes = 8;
	/* The parents' AND is what counts: the limit stands in the root. */
	if (row_option(row, "par", 0)) {
		place.at = 0;
		place.entry = (ROOT + STRIDE) | row_option(row, "par", 0);
		memory_chain(stand->memory, &place);
	}
	map_guest_tables(stand, chain, 0x30 | rights, rights);
	map_gva(stand, is_user ? 5 : 3, 0);
	/* Rows that report a read-only guest page say so. */
	if (row_option(row, "xbits", 0) == 0x200)
		memory_write(stand->memory, GUEST_HPA + 3 * STRIDE + 0x189 * 8, 8,
			     (stand->gpa.gpa & ~UINT64_C(0xfff)) | 5);
}

static void ept_expect(const struct row *row, struct stand *stand, bool through_guest)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t value, other = 0;

	if (row_expects(row, "PA ", &value))
		return expect_output(row, stand, value);
	if (row_expects(row, "table at ", &value))
		return expect_table(row, stand, value);
	cr_assert_eq(stand->walk.status, VMMU_HW_FAULT_HOST, "%s", row->id);
	cr_assert_eq(report->vmx.gpa, stand->gpa.gpa, "%s", row->id);
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, 8), row->entry, "%s", row->id);
	if (row_result_has(row, "misconfig")) {
		cr_assert_eq(report->vmx.exit_reason, 49, "%s", row->id);
		cr_assert_eq(report->vmx.qualification, 0);
		cr_assert_not(report->vmx.gla_valid);
		return;
	}
	cr_assert(row_expects(row, "qual=", &value), "%s: result not understood", row->id);
	row_expects(row, " or ", &other);
	cr_assert_eq(report->vmx.exit_reason, 48, "%s", row->id);
	cr_assert(report->vmx.qualification == value || report->vmx.qualification == other,
		  "%s: %#lx", row->id, (unsigned long)report->vmx.qualification);
	cr_assert_eq(report->vmx.gla_valid, row_option(row, "glv", 1), "%s", row->id);
	if (through_guest)
		cr_assert_eq(report->vmx.gla, GVA, "%s", row->id);
}

Test(x86_rows, ept_entry__second_stage_gives_what_the_manual_says)
{
	struct rows *rows = rows_read("ept.txt");
	struct stand stand;
	unsigned i;

	for (i = 0; i < rows->count; i++) {
		stand = (struct stand){0};
		ept_stand(&rows->row[i], &stand);
		run(&stand, false);
		ept_expect(&rows->row[i], &stand, false);
		memory_free(stand.memory);
	}
	rows_report("EPT", "second stage alone", i, 58);
	rows_free(rows);
}

/* A guest's own tables can hold the address, and the row is not about the guest's tables. */
static bool can_guest_reach(const struct row *row)
{
	uint64_t gpa = row_option(row, "gpa", GPA);

	return !row_option(row, "walk", 0) && !(gpa >> row_option(row, "M", 46));
}

Test(x86_rows, ept_entry__guest_access_gives_the_same)
{
	struct rows *rows = rows_read("ept.txt");
	unsigned i, ran = 0;
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		if (!can_guest_reach(&rows->row[i]))
			continue;
		stand = (struct stand){0};
		ept_stand(&rows->row[i], &stand);
		run(&stand, true);
		ept_expect(&rows->row[i], &stand, true);
		memory_free(stand.memory);
		ran++;
	}
	/* Not by this way: 6 rows of guest-table accesses, 2 of addresses that a guest's tables
	 * cannot hold. */
	rows_report("EPT", "through guest tables", ran, 50);
	rows_free(rows);
}

static void npt_stand(const struct row *row, struct stand *stand)
{
	struct vmmu_hw_x86 *x86 = &stand->cpu.u.x86;
	struct chain_entry place = {.chain = &chain4, .root = ROOT, .stride = STRIDE, .upper = 7};

	stand->memory = memory_new();
	stand->cpu.arch = VMMU_HW_NPT;
	x86->features = VMMU_HW_X86_AMD | (row_option(row, "g1", 1) ? VMMU_HW_X86_1G : 0);
	x86->maxphyaddr = 48;
	x86->ncr3 = ROOT;
	x86->host_efer = 1 << 10 | (row_option(row, "nxe", 1) ? 1 << 11 : 0);
	guest_registers(x86);
	stand->gpa.gpa = GPA;
	stand->gpa.purpose = row_option(row, "walk", 0) ? VMMU_HW_TABLE_READ : VMMU_HW_FINAL;
	stand->access.access = row->access;
	place.input = GPA;
	place.entry = row->entry;
	place.at = 4 - (unsigned)row->level;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	stand->entry_bytes = 8;
	if (row_option(row, "par", 0)) {
		place.at = 0;
		place.entry = (ROOT + STRIDE) | row_option(row, "par", 0);
		memory_chain(stand->memory, &place);
	}
	map_guest_tables(stand, &chain4, 7, 7);
	map_gva(stand, 7, 0);
}

static void npt_expect(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t value;

	if (row_expects(row, "PA ", &value)) {
		/* Rows that leave A or D clear show what becomes of them; the others have both. */
		if (row_result_has(row, "e=") || (row->entry & 0x20))
			return expect_output(row, stand, value);
		cr_assert_fail("%s: A clear and no e=", row->id);
	}
	cr_assert(row_expects(row, "exitinfo1=", &value), "%s: result not understood", row->id);
	cr_assert_eq(stand->walk.status, VMMU_HW_FAULT_HOST, "%s", row->id);
	cr_assert_eq(report->svm.exit_code, 0x400);
	cr_assert_eq(report->svm.info1, value, "%s: %#lx", row->id,
		     (unsigned long)report->svm.info1);
	cr_assert_eq(report->svm.info2, GPA, "%s", row->id);
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, 8), row->entry, "%s", row->id);
}

Test(x86_rows, npt_entry__gives_what_the_manual_says)
{
	struct rows *rows = rows_read("npt.txt");
	unsigned i, through_guest, ran[2] = {0};
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		for (through_guest = 0; through_guest < 2; through_guest++) {
			if (through_guest && row_option(&rows->row[i], "walk", 0))
				continue;
			stand = (struct stand){0};
			npt_stand(&rows->row[i], &stand);
			run(&stand, through_guest);
			npt_expect(&rows->row[i], &stand);
			memory_free(stand.memory);
			ran[through_guest]++;
		}
	}
	rows_report("NPT", "second stage alone", ran[0], 27);
	/* Not by this way: 2 rows of guest-table accesses. */
	rows_report("NPT", "through guest tables", ran[1], 25);
	rows_free(rows);
}

static const struct chain *guest_chain(const struct row *row)
{
	if (row_option_is(row, "mode", "PAE"))
		return &chain_pae;
	return row_option_is(row, "mode", "32") ? &chain32 : &chain4;
}

static void guest_cpu(const struct row *row, struct vmmu_hw_x86 *x86)
{
	const struct chain *chain = guest_chain(row);

	x86->features = row_option(row, "g1", 1) ? VMMU_HW_X86_1G : 0;
	x86->features |= VMMU_HW_EPT_2M | VMMU_HW_EPT_1G;
	x86->features |= row_option(row, "pse36", 1) ? VMMU_HW_X86_PSE36 : 0;
	x86->maxphyaddr = (uint8_t)row_option(row, "M", 46);
	x86->cr0 = UINT64_C(1) << 31 | (row_option(row, "wp", 1) ? 1 << 16 : 0);
	x86->cr3 = ROOT;
	x86->cr4 = (row_option(row, "pse", 1) ? 1 << 4 : 0) | (chain != &chain32 ? 1 << 5 : 0);
	x86->cr4 |= row_option(row, "smep", 0) ? 1 << 20 : 0;
	x86->cr4 |= row_option(row, "smap", 0) ? 1 << 21 : 0;
	x86->cr4 |= row_option(row, "pk", 0) ? 1 << 22 : 0;
	x86->pkru = (uint32_t)row_option(row, "pk", 0);
	x86->rflags = row_option(row, "ac", 0) ? 1 << 18 : 0;
	x86->efer = (row_option(row, "nxe", 1) ? 1 << 11 : 0) | (chain == &chain4 ? 1 << 10 : 0);
}

/* A second stage that maps memory to itself: 8 gigabytes with 1G leaves, or the first 2M alone. */
static void map_identity(struct stand *stand, uint64_t leaf, bool has_1g)
{
	uint64_t i;

	memory_write(stand->memory, SIDE_ROOT, 8, (SIDE_ROOT + STRIDE) | 7);
	for (i = 0; has_1g && i < 8; i++)
		memory_write(stand->memory, SIDE_ROOT + STRIDE + i * 8, 8, i << 30 | leaf);
	if (has_1g)
		return;
	memory_write(stand->memory, SIDE_ROOT + STRIDE, 8, (SIDE_ROOT + 2 * STRIDE) | 7);
	memory_write(stand->memory, SIDE_ROOT + 2 * STRIDE, 8, leaf);
}

static void guest_stand(const struct row *row, struct stand *stand, enum vmmu_hw_arch arch)
{
	const struct chain *chain = guest_chain(row);
	struct vmmu_hw_x86 *x86 = &stand->cpu.u.x86;
	struct chain_entry place = {.chain = chain, .root = ROOT, .stride = STRIDE, .upper = 7};

	stand->memory = memory_new();
	stand->cpu.arch = arch;
	guest_cpu(row, x86);
	x86->eptp = SIDE_ROOT | 6 | 3 << 3;
	x86->ncr3 = SIDE_ROOT;
	x86->host_efer = 1 << 10 | 1 << 11;
	/* NPT shares the 1G switch with the guest. */
	map_identity(stand, arch == VMMU_HW_EPT ? 0xb7 : 0xe7, row_option(row, "g1", 1));
	stand->access.gva = row_option(row, "va", chain == &chain4 ? GVA : 0x56789abc);
	stand->access.access = row->access;
	stand->access.flags = row_option(row, "user", 0) ? VMMU_HW_USER : 0;
	place.input = stand->access.gva;
	place.entry = row->entry;
	place.at = chain->count - (unsigned)row->level;
	stand->entry_hpa = memory_chain(stand->memory, &place);
	stand->entry_bytes = chain->bytes;
	/* PAE top-level entries have no rights: P alone. */
	if (chain == &chain_pae && row->level < 3)
		memory_write(stand->memory, chain_address(&place, 0), 8, (ROOT + STRIDE) | 1);
}

/* A #GP on loading the PAE entries, which is where all but nested paging refuses a bad one. */
static bool is_refused_on_load(const struct row *row, struct stand *stand)
{
	struct vmmu_hw_bus bus = memory_bus(stand->memory);

	if (guest_chain(row) != &chain_pae || stand->cpu.arch == VMMU_HW_NPT)
		return false;
	cr_assert_eq(vmmu_hw_pdptes_load(&stand->cpu, &bus, &stand->walk), 0);
	if (stand->walk.status == VMMU_HW_OK)
		return false;
	cr_assert_eq(stand->walk.status, VMMU_HW_FAULT_GUEST);
	cr_assert_eq(stand->walk.report.exception.vector, 13);
	cr_assert(row_result_has(row, "#PF ec=0x9"), "%s", row->id);
	return true;
}

static void guest_expect(const struct row *row, struct stand *stand)
{
	const struct vmmu_hw_report *report = &stand->walk.report;
	uint64_t value;

	if (row_expects(row, "PA ", &value))
		return expect_output(row, stand, value);
	cr_assert_eq(stand->walk.status, VMMU_HW_FAULT_GUEST, "%s", row->id);
	if (row_expects(row, "NEXT ", &value)) {
		/* With PAE registers the entry itself is no reference of the walk. */
		if (stand->cpu.u.x86.pdpte[1] == row->entry)
			cr_assert_eq(stand->walk.ref[stand->walk.ref_count - 1].hpa &
					     ~UINT64_C(0xfff),
				     value);
		else
			expect_table(row, stand, value);
		return;
	}
	cr_assert_eq(memory_read(stand->memory, stand->entry_hpa, stand->entry_bytes), row->entry,
		     "%s", row->id);
	if (row_result_has(row, "#GP(0)")) {
		cr_assert_eq(report->exception.vector, 13, "%s", row->id);
		cr_assert_eq(report->exception.error_code, 0);
		return;
	}
	cr_assert(row_expects(row, "#PF ec=", &value), "%s: result not understood", row->id);
	cr_assert_eq(report->exception.vector, 14, "%s", row->id);
	cr_assert_eq(report->exception.error_code, value, "%s: %#x", row->id,
		     report->exception.error_code);
	cr_assert_eq(report->exception.cr2, stand->access.gva, "%s", row->id);
}

static void guest_rows(enum vmmu_hw_arch arch, const char *how, unsigned total)
{
	struct rows *rows = rows_read("guest.txt");
	unsigned i, ran = 0;
	struct stand stand;

	for (i = 0; i < rows->count; i++) {
		stand = (struct stand){0};
		guest_stand(&rows->row[i], &stand, arch);
		if (!is_refused_on_load(&rows->row[i], &stand)) {
			run(&stand, true);
			guest_expect(&rows->row[i], &stand);
		}
		memory_free(stand.memory);
		ran++;
	}
	rows_report("x86 guest", how, ran, total);
	rows_free(rows);
}

Test(x86_rows, guest_entry__gives_what_the_manual_says)
{
	guest_rows(VMMU_HW_X86, "alone", 38);
}

Test(x86_rows, guest_entry__same_over_ept)
{
	guest_rows(VMMU_HW_EPT, "over EPT", 38);
}

Test(x86_rows, guest_entry__same_over_npt)
{
	guest_rows(VMMU_HW_NPT, "over NPT", 38);
}
