/* SPDX-License-Identifier: MIT */
/* vmmu walk: one translation through tables in a file, step by step. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "kernel.h"
#include "table_file.h"
#include "tool.h"

struct walk_args {
	const char *tables, *format, *kvm;
	uint64_t gpa;
	unsigned as_id;
	bool has_gpa;
};

enum {
	KEY_AS = 0x100,
	KEY_KVM,
};

static const struct argp_option options[] = {
	{"tables", 't', "FILE", 0, "Tables written by 'vmmu replay --dump-tables' (required)", 0},
	{"format", 'f', "NAME", 0, "Read the entries as this format's; default: the file's own", 0},
	{"kvm", KEY_KVM, "VERSION", 0,
	 "Read them as this KVM's, as 6.12; default: the engine's own ('vmmu formats')", 0},
	{"as", KEY_AS, "N", 0, "Address space to walk in; default 0", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct walk_args *args = state->input;
	uint64_t number;

	switch (key) {
	case 't':
		args->tables = arg;
		return 0;
	case 'f':
		args->format = arg;
		return 0;
	case KEY_KVM:
		args->kvm = arg;
		return 0;
	case KEY_AS:
		if (!tool_number(arg, &number) || number >= VMMU_ADDRESS_SPACES_MAX)
			argp_error(state, "--as takes 0 or 1, not '%s'", arg);
		args->as_id = (unsigned)number;
		return 0;
	case ARGP_KEY_ARG:
		if (args->has_gpa || !tool_number(arg, &args->gpa))
			argp_error(state, "'%s' is no guest-physical address", arg);
		args->has_gpa = true;
		return 0;
	case ARGP_KEY_END:
		if (!args->tables || !args->has_gpa)
			argp_error(state, "--tables FILE and a GPA are required");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "--tables FILE GPA",
	.doc = "Walk dumped tables for the guest-physical address GPA, printing each entry on the "
	       "way.",
};

/* Take the format that the user wants the entries read as. An exit code. */
static int choose_format(const struct walk_args *args, struct table_file *file)
{
	const struct vmmu_format *format = file->format;
	const char *own = vmmu_format_info(file->format)->name;

	if (args->format)
		format = vmmu_format_find(args->format);
	if (!format)
		return tool_fail(TOOL_USAGE, "no format '%s'; see 'vmmu formats'", args->format);
	/*
	 * Frames were checked against the file's geometry: another shape would index beyond them.
	 */
	if (memcmp(vmmu_format_info(format)->geometry->index_bits,
		   vmmu_format_info(file->format)->geometry->index_bits,
		   sizeof(vmmu_format_info(format)->geometry->index_bits)) ||
	    vmmu_format_info(format)->geometry->levels !=
		    vmmu_format_info(file->format)->geometry->levels ||
	    vmmu_format_info(format)->geometry->page_shift !=
		    vmmu_format_info(file->format)->geometry->page_shift)
		return tool_fail(TOOL_DATA, "tables of %s do not have the shape of %s", own,
				 args->format);
	file->format = format;
	return TOOL_OK;
}

static void print_leaf(const struct vmmu_geometry *geometry, const struct vmmu_profile_entry *read,
		       unsigned level, uint64_t gpa)
{
	const struct vmmu_entry *entry = &read->entry;
	uint64_t bytes = UINT64_C(1) << (geometry->shift[level] + entry->group_lg2);
	uint64_t inside = gpa & (bytes - 1);
	uint64_t hpa = (entry->pfn << geometry->page_shift) + inside;

	printf("gpa 0x%" PRIx64 " -> hpa 0x%" PRIx64 "  %s  %s  %s page\n", gpa, hpa,
	       tool_access(entry->access), tool_memtype(entry->memtype),
	       tool_size(geometry->shift[level]));
	if (entry->group_lg2)
		printf("  in a group of %s\n",
		       tool_size(geometry->shift[level] + entry->group_lg2));
	printf("  host-writable %s, mmu-writable %s, accessed %s, dirty %s\n",
	       entry->host_writable ? "yes" : "no", entry->mmu_writable ? "yes" : "no",
	       entry->accessed ? "yes" : "no", entry->dirty ? "yes" : "no");
	if (read->is_tracked)
		printf("  aged by hand: %s once it is used\n", tool_access(read->saved_access));
}

static void print_end(const struct vmmu_geometry *geometry, const struct vmmu_profile_entry *read,
		      unsigned level, uint64_t gpa)
{
	const struct vmmu_entry *entry = &read->entry;

	switch (entry->kind) {
	case VMMU_ENTRY_LEAF:
		print_leaf(geometry, read, level, gpa);
		break;
	case VMMU_ENTRY_MMIO:
		printf("gpa 0x%" PRIx64 " -> MMIO  %s  gfn 0x%" PRIx64 "  generation %" PRIu64 "\n",
		       gpa, tool_access(entry->access), entry->gfn, entry->generation);
		break;
	case VMMU_ENTRY_FROZEN:
		printf("gpa 0x%" PRIx64 " -> frozen\n", gpa);
		break;
	default:
		printf("gpa 0x%" PRIx64 " -> not mapped\n", gpa);
		break;
	}
}

static const char *kind_name(enum vmmu_entry_kind kind)
{
	static const char *const names[] = {
		[VMMU_ENTRY_ABSENT] = "absent", [VMMU_ENTRY_FROZEN] = "frozen",
		[VMMU_ENTRY_MMIO] = "mmio",     [VMMU_ENTRY_TABLE] = "table",
		[VMMU_ENTRY_LEAF] = "leaf",
	};

	return names[kind];
}

/* Levels go down by one with every step, so this ends. */
static int walk(const char *path, const struct table_file *file, const struct vmmu_profile *profile,
		const struct table_frame *frame, uint64_t gpa)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(file->format)->geometry;
	struct vmmu_profile_entry read;
	uint64_t index, pte;

	for (;;) {
		index = gpa >> geometry->shift[frame->level] & (frame->bytes / 8 - 1);
		pte = table_file_entry(file, frame, index);
		if (vmmu_profile_read(profile, file->format, pte, frame->level, &read))
			return tool_fail(TOOL_DATA, "%s: no such level", path);
		printf("level %u  index %-5" PRIu64 " at hpa 0x%012" PRIx64 ": 0x%016" PRIx64
		       "  %s%s%s",
		       frame->level, index, frame->hpa + 8 * index, pte, kind_name(read.entry.kind),
		       read.entry.malformed ? ", malformed" : "",
		       read.is_unexpected ? ", unexpected value" : "");
		if (read.entry.kind != VMMU_ENTRY_TABLE) {
			putchar('\n');
			print_end(geometry, &read, frame->level, gpa);
			return TOOL_OK;
		}
		printf(" 0x%" PRIx64 "\n", read.entry.table_hpa);
		pte = frame->level;
		frame = table_file_find(file, read.entry.table_hpa);
		if (!frame || frame->level + 1 != pte)
			return tool_fail(TOOL_DATA,
					 "%s: table 0x%" PRIx64 " of level %u is not in the file",
					 path, read.entry.table_hpa, (unsigned)pte - 1);
	}
}

int cmd_walk(int argc, char **argv)
{
	struct walk_args args = {0};
	struct table_file file;
	const struct vmmu_profile *profile = NULL;
	const struct table_frame *root;
	unsigned gpa_bits;
	int code;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	code = table_file_open(args.tables, &file);
	if (code != TOOL_OK)
		return code;
	code = choose_format(&args, &file);
	if (code == TOOL_OK)
		code = kernel_find(args.kvm, vmmu_format_info(file.format)->architecture, &profile);
	if (code == TOOL_OK) {
		root = table_file_root(&file, args.as_id);
		gpa_bits = vmmu_format_info(file.format)->geometry->gpa_bits;
		if (!root)
			code = tool_fail(TOOL_DATA, "%s: address space %u has no root", args.tables,
					 args.as_id);
		else if (gpa_bits < 64 && args.gpa >> gpa_bits)
			printf("gpa 0x%" PRIx64 " -> beyond the input size of %u bits\n", args.gpa,
			       gpa_bits);
		else
			code = walk(args.tables, &file, profile, root, args.gpa);
	}
	table_file_close(&file);
	return code == TOOL_OK ? tool_finish_output() : code;
}
