/* SPDX-License-Identifier: MIT */
/*
 * Worked examples from the architecture manuals (tests/data/format), row by row. Of 58 EPT, 27 NPT,
 * 49 RISC-V and 54 Arm rows, 55, 25, 45 and 48 say what one entry means to a format (6 twice); the
 * data file names the others and why. Fault rows are those whose result is a fault, and a few more
 * rules of the manuals.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "variants.h"

static FILE *open_rows(const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/format/%s", VMMU_TEST_DATA, name);
	file = fopen(path, "r");
	cr_assert(file, "%s", path);
	return file;
}

/* The next line that is no comment, into LINE; false at the end. */
static bool next_row(FILE *file, char *line, int size)
{
	while (fgets(line, size, file))
		if (line[0] != '#' && line[0] != '\n')
			return true;
	fclose(file);
	return false;
}

static unsigned access_of(char letter)
{
	return letter == 'r' ? VMMU_READ : letter == 'w' ? VMMU_WRITE : VMMU_EXEC;
}

/* ---- entries ---- */

struct entry_row {
	char id[8], format[24], access, result[32];
	unsigned level;
	uint64_t pte, gpa;
};

static bool is_sound_leaf(const struct vmmu_entry *entry)
{
	return entry->kind == VMMU_ENTRY_LEAF && !entry->malformed;
}

/* What the row's "pa:" says, computed as hardware would from what the format read. */
static uint64_t translate(const struct vmmu_format *format, const struct entry_row *row,
			  const struct vmmu_entry *entry)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(format)->geometry;
	unsigned lg2 = geometry->shift[row->level] + entry->group_lg2;
	uint64_t offset = row->gpa & (BIT64(lg2) - 1);

	return (entry->pfn << geometry->page_shift) + offset;
}

static bool has_result(const struct vmmu_format *format, const struct entry_row *row,
		       const struct vmmu_entry *entry)
{
	unsigned access = access_of(row->access);
	uint64_t address;

	if (sscanf(row->result, "pa:%" SCNx64, &address) == 1)
		return is_sound_leaf(entry) && (entry->access & access) &&
		       translate(format, row, entry) == address;
	if (sscanf(row->result, "table:%" SCNx64, &address) == 1)
		return entry->kind == VMMU_ENTRY_TABLE && !entry->malformed &&
		       entry->table_hpa == address;
	if (!strcmp(row->result, "denied"))
		return is_sound_leaf(entry) && !(entry->access & access);
	if (!strcmp(row->result, "unaccessed"))
		return is_sound_leaf(entry) && !entry->accessed;
	if (!strcmp(row->result, "clean"))
		return is_sound_leaf(entry) && entry->accessed && !entry->dirty;
	if (!strcmp(row->result, "malformed"))
		return entry->malformed && entry->access == 0 &&
		       (entry->kind == VMMU_ENTRY_LEAF || entry->kind == VMMU_ENTRY_TABLE);
	if (!strcmp(row->result, "invalid"))
		return entry->kind != VMMU_ENTRY_LEAF && entry->kind != VMMU_ENTRY_TABLE;
	if (!strcmp(row->result, "mmio"))
		return entry->kind == VMMU_ENTRY_MMIO && !entry->malformed;
	if (!strcmp(row->result, "frozen"))
		return entry->kind == VMMU_ENTRY_FROZEN;
	return !strcmp(row->result, "absent") && entry->kind == VMMU_ENTRY_ABSENT;
}

Test(golden, entry_rows__read_as_the_manual_says)
{
	FILE *file = open_rows("entries.txt");
	unsigned count = 0;
	char line[256];

	while (next_row(file, line, sizeof(line))) {
		const struct vmmu_format *format;
		struct entry_row row;
		struct vmmu_entry entry;

		cr_assert_eq(sscanf(line, "%7s %23s %u %" SCNx64 " %c %" SCNx64 " %31s", row.id,
				    row.format, &row.level, &row.pte, &row.access, &row.gpa,
				    row.result),
			     7, "%s", line);
		format = variant_find(row.format);
		cr_assert(format, "%s", line);
		cr_assert_eq(vmmu_entry_read(format, row.pte, row.level, &entry), 0, "%s", line);
		cr_expect(has_result(format, &row, &entry),
			  "%skind %d access %u pfn 0x%" PRIx64 " malformed %d", line, entry.kind,
			  entry.access, entry.pfn, entry.malformed);
		count++;
	}
	cr_assert_eq(count, 55 + 4 + 25 + 45 + 2 + 48);
}

/* ---- fault registers ---- */

static unsigned flags_of(const char *names)
{
	return (strstr(names, "present") ? VMMU_FAULT_PRESENT : 0) |
	       (strstr(names, "rsvd") ? VMMU_FAULT_RSVD : 0) |
	       (strstr(names, "user") ? VMMU_FAULT_USER : 0) |
	       (strstr(names, "walk") ? VMMU_FAULT_GUEST_WALK : 0);
}

struct fault_row {
	char id[8], architecture[16], access, flags[32];
	uint64_t gpa;
	struct vmmu_syndrome syndrome;
};

static void parse_fault_row(const char *line, struct fault_row *row)
{
	uint64_t *reg = row->syndrome.reg;
	int64_t first;

	*row = (struct fault_row){0};
	cr_assert_eq(sscanf(line,
			    "%7s %15s %" SCNx64 " %" SCNi64 " %" SCNx64 " %" SCNx64 " %" SCNx64
			    " %c %31s",
			    row->id, row->architecture, &row->gpa, &first, &reg[1], &reg[2],
			    &reg[3], &row->access, row->flags),
		     9, "%s", line);
	reg[0] = first;
	if (!strncmp(row->architecture, "x86", 3))
		row->syndrome.gpa = row->gpa;
}

Test(golden, fault_rows__decode_to_what_was_accessed)
{
	FILE *file = open_rows("faults.txt");
	unsigned count = 0;
	char line[256];

	while (next_row(file, line, sizeof(line))) {
		struct fault_row row;
		struct vmmu_fault fault;

		parse_fault_row(line, &row);
		cr_assert_eq(vmmu_fault_decode(row.architecture, &row.syndrome, &fault), 0, "%s",
			     line);
		cr_expect_eq(fault.gpa, row.gpa, "%sgpa 0x%" PRIx64, line, fault.gpa);
		cr_expect_eq(fault.access, access_of(row.access), "%saccess %u", line,
			     fault.access);
		cr_expect_eq(fault.flags, flags_of(row.flags), "%sflags 0x%x", line, fault.flags);
		count++;
	}
	cr_assert_eq(count, 43 + 18 + 38 + 39);
}

/* ---- indexes ---- */

/* Compares the indexes of GPA, root first, with the numbers of TEXT. */
static void expect_indexes(const struct vmmu_geometry *geometry, uint64_t gpa, const char *text,
			   const char *line)
{
	for (unsigned level = geometry->levels; level >= 1; level--) {
		uint64_t index = gpa >> geometry->shift[level] &
				 (BIT64(geometry->index_bits[level]) - 1);
		char *end;

		cr_expect_eq(index, strtoull(text, &end, 0), "%slevel %u: 0x%" PRIx64, line, level,
			     index);
		cr_assert(level > 1 ? *end == ',' : *end == '\0', "%s", line);
		text = end + 1;
	}
}

Test(golden, index_rows__follow_from_the_geometry)
{
	FILE *file = open_rows("indexes.txt");
	unsigned count = 0;
	char line[256];

	while (next_row(file, line, sizeof(line))) {
		const struct vmmu_geometry *geometry;
		char name[24], indexes[64];
		uint64_t gpa, root_bytes;

		cr_assert_eq(sscanf(line, "%23s %" SCNx64 " %" SCNx64 " %63s", name, &gpa,
				    &root_bytes, indexes),
			     4, "%s", line);
		cr_assert(variant_find(name), "%s", line);
		geometry = vmmu_format_info(variant_find(name))->geometry;
		cr_expect_eq(8 * BIT64(geometry->index_bits[geometry->levels]), root_bytes, "%s",
			     line);
		cr_expect_eq(gpa >> geometry->gpa_bits, 0, "%s", line);
		expect_indexes(geometry, gpa, indexes, line);
		count++;
	}
	cr_assert_eq(count, 20);
}

/* ---- registers that are no second-stage fault ---- */

struct other_report {
	const char *architecture, *what;
	uint64_t reg0;
};

static const struct other_report other_reports[] = {
	{"x86-ept", "exit reason 30, I/O instruction", 30},
	{"x86-ept", "exit reason 62, PML full", 62},
	{"x86-npt", "RMP violation", UINT64_C(0x180000007)},
	{"x86-npt", "both bit 32 and bit 33", UINT64_C(0x300000006)},
	{"riscv64", "load page fault (13)", 13},
	{"riscv64", "virtual instruction (22)", 22},
	{"riscv64", "interrupt 21", BIT64(63) | 21},
	{"arm64", "data abort without a change of level", UINT64_C(0x96000007)},
	{"arm64", "instruction abort without a change of level", UINT64_C(0x86000007)},
	{"arm64", "HVC", UINT64_C(0x5a000000)},
	{"arm64", "synchronous external abort", UINT64_C(0x92000010)},
	{"arm64", "external abort on a walk, level 3", UINT64_C(0x92000017)},
	{"arm64", "alignment fault", UINT64_C(0x92000021)},
	{"arm64", "TLB conflict", UINT64_C(0x92000030)},
};

Test(fault_decode, other_report__no_message)
{
	for (unsigned i = 0; i < ARRAY_COUNT(other_reports); i++) {
		struct vmmu_syndrome syndrome = {.gpa = 0x1000, .reg = {other_reports[i].reg0}};
		struct vmmu_fault fault = {.gpa = 1, .access = 2, .flags = 3, .level = 4};

		cr_expect_eq(vmmu_fault_decode(other_reports[i].architecture, &syndrome, &fault),
			     -ENOMSG, "%s", other_reports[i].what);
		cr_expect(!fault.gpa && !fault.access && !fault.flags && !fault.level,
			  "%s: not cleared", other_reports[i].what);
	}
}

Test(fault_decode, bad_argument__invalid)
{
	struct vmmu_syndrome syndrome = {.reg = {48, 0x181}};
	struct vmmu_fault fault = {.gpa = 1};

	cr_expect_eq(vmmu_fault_decode("x86", &syndrome, &fault), -EINVAL);
	cr_expect_eq(fault.gpa, 0, "cleared");
	cr_expect_eq(vmmu_fault_decode("", &syndrome, &fault), -EINVAL);
	cr_expect_eq(vmmu_fault_decode(NULL, &syndrome, &fault), -EINVAL);
	cr_expect_eq(vmmu_fault_decode("x86-ept", NULL, &fault), -EINVAL);
	cr_expect_eq(vmmu_fault_decode("x86-ept", &syndrome, NULL), -EINVAL);
}

Test(fault_decode, earlier_outputs__cleared)
{
	struct vmmu_syndrome syndrome = {.gpa = 0x2000, .reg = {48, 0x182}};
	struct vmmu_fault fault = {.gfn = 1, .pfn = 2, .level = 3, .max_level = 4, .fast = true};

	cr_assert_eq(vmmu_fault_decode("x86-ept", &syndrome, &fault), 0);
	cr_expect_eq(fault.gpa, 0x2000);
	cr_expect(!fault.gfn && !fault.pfn && !fault.level && !fault.max_level && !fault.fast);
}

/* The basic exit reason is bits 15:0; bit 27 and up say where the exit came from. */
Test(fault_decode, exit_reason_with_high_bits__still_a_violation)
{
	struct vmmu_syndrome syndrome = {.gpa = 0x2000, .reg = {BIT64(27) | 48, 0x184}};
	struct vmmu_fault fault;

	cr_assert_eq(vmmu_fault_decode("x86-ept", &syndrome, &fault), 0);
	cr_expect_eq(fault.access, VMMU_EXEC);
}
