/* SPDX-License-Identifier: MIT */
/* vmmu dump: tables in a file, decoded, with runs of alike entries merged. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "kernel.h"
#include "table_file.h"
#include "tool.h"

struct dump_args {
	char *path, *kvm;
};

enum {
	KEY_KVM = 0x100,
};

static const struct argp_option options[] = {
	{"kvm", KEY_KVM, "VERSION", 0,
	 "Read the entries as this KVM's, as 6.12; default: the engine's own ('vmmu formats')", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct dump_args *args = state->input;

	switch (key) {
	case KEY_KVM:
		args->kvm = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->path)
			argp_error(state, "one FILE only");
		args->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->path)
			argp_error(state, "a FILE is required");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "FILE",
	.doc = "Print the tables that 'vmmu replay --dump-tables' wrote to FILE: each run of pages "
	       "that are"
	       " mapped alike, with rights, memory type and host-physical address.",
};

/* A run of entries that follow each other in every respect. */
struct run {
	struct vmmu_profile_entry first;
	unsigned level;
	uint64_t gpa, count; /* count 0: no run yet */
};

struct dump {
	const char *path;
	const struct table_file *file;
	const struct vmmu_profile *profile;
	const struct vmmu_geometry *geometry;
	struct run run;
	unsigned visit;  /* number of this root, from 1 */
	uint64_t tables; /* met so far */
	uint64_t mapped[VMMU_LEVELS_MAX + 1];
	uint64_t mmio, malformed, unexpected;
};

static const char *run_kind(const struct run *run)
{
	if (run->first.is_unexpected)
		return "unexpected value";
	return run->first.entry.kind == VMMU_ENTRY_MMIO ? "MMIO" : "frozen";
}

static void flush_run(struct dump *dump)
{
	const struct run *run = &dump->run;
	const struct vmmu_entry *entry = &run->first.entry;
	unsigned shift = dump->geometry->shift[run->level];

	if (!run->count)
		return;
	printf("  0x%012" PRIx64 "-0x%012" PRIx64 "  ", run->gpa,
	       run->gpa + (run->count << shift) - 1);
	if (entry->kind == VMMU_ENTRY_LEAF)
		printf("%s  level %u  %8" PRIu64 " x %-8s hpa 0x%" PRIx64 "  %s%s%s%s%s%s\n",
		       tool_access(entry->access), run->level, run->count, tool_size(shift),
		       entry->pfn << dump->geometry->page_shift, tool_memtype(entry->memtype),
		       entry->host_writable ? "" : "  host-read-only",
		       entry->mmu_writable ? "" : "  mmu-read-only",
		       run->first.is_tracked ? "  saved " : "",
		       run->first.is_tracked ? tool_access(run->first.saved_access) : "",
		       entry->malformed ? "  malformed" : "");
	else
		printf("%s  level %u  %8" PRIu64 " x %-8s %s  generation %" PRIu64 "\n",
		       tool_access(entry->access), run->level, run->count, tool_size(shift),
		       run_kind(run), entry->generation);
	dump->run.count = 0;
}

/* Alike but for where they lead. */
static bool is_alike(const struct vmmu_profile_entry *a, const struct vmmu_profile_entry *b)
{
	return a->entry.kind == b->entry.kind && a->entry.access == b->entry.access &&
	       a->entry.memtype == b->entry.memtype && a->entry.malformed == b->entry.malformed &&
	       a->entry.host_writable == b->entry.host_writable &&
	       a->entry.mmu_writable == b->entry.mmu_writable &&
	       a->entry.group_lg2 == b->entry.group_lg2 && a->is_tracked == b->is_tracked &&
	       a->saved_access == b->saved_access && a->is_unexpected == b->is_unexpected;
}

static bool continues(const struct dump *dump, const struct vmmu_profile_entry *read,
		      unsigned level, uint64_t gpa)
{
	const struct run *run = &dump->run;
	const struct vmmu_entry *first = &run->first.entry;
	unsigned shift = dump->geometry->shift[run->level];

	if (!run->count || run->level != level || run->gpa + (run->count << shift) != gpa)
		return false;
	if (!is_alike(&run->first, read))
		return false;
	if (first->kind == VMMU_ENTRY_MMIO)
		return first->generation == read->entry.generation;
	return first->pfn + (run->count << (shift - dump->geometry->page_shift)) ==
		       read->entry.pfn ||
	       read->is_unexpected;
}

/* A member of a group says where the group begins: the frame of its own place. */
static void find_own_frame(const struct vmmu_geometry *geometry, struct vmmu_entry *entry,
			   unsigned level, uint64_t gpa)
{
	uint64_t index = gpa >> geometry->shift[level] & ((UINT64_C(1) << entry->group_lg2) - 1);

	entry->pfn += index << (geometry->shift[level] - geometry->page_shift);
}

static void take_entry(struct dump *dump, const struct vmmu_profile_entry *read, unsigned level,
		       uint64_t gpa)
{
	dump->mapped[level] += read->entry.kind == VMMU_ENTRY_LEAF;
	dump->mmio += read->entry.kind == VMMU_ENTRY_MMIO;
	dump->malformed += read->entry.malformed;
	dump->unexpected += read->is_unexpected;
	if (continues(dump, read, level, gpa)) {
		dump->run.count++;
		return;
	}
	flush_run(dump);
	dump->run = (struct run){.first = *read, .level = level, .gpa = gpa, .count = 1};
}

static int dump_table(struct dump *dump, struct table_frame *frame, uint64_t base);

/* Go down. A table met twice under one root would let a small file print without end. */
static int dump_child(struct dump *dump, uint64_t hpa, unsigned level, uint64_t base)
{
	struct table_frame *child = table_file_find(dump->file, hpa);

	if (!child || child->level != level)
		return tool_fail(TOOL_DATA,
				 "%s: table 0x%" PRIx64 " of level %u is not in the file",
				 dump->path, hpa, level);
	if (child->visit == dump->visit)
		return tool_fail(TOOL_DATA,
				 "%s: offset %" PRIu64 ": table 0x%" PRIx64 " is linked twice",
				 dump->path, child->offset - TABLE_FILE_FRAME_BYTES, hpa);
	return dump_table(dump, child, base);
}

static int dump_table(struct dump *dump, struct table_frame *frame, uint64_t base)
{
	struct vmmu_profile_entry read;
	uint64_t i, gpa;
	int code = TOOL_OK;

	frame->visit = dump->visit;
	dump->tables++;
	for (i = 0; i < frame->bytes / 8 && code == TOOL_OK; i++) {
		gpa = base + (i << dump->geometry->shift[frame->level]);
		if (vmmu_profile_read(dump->profile, dump->file->format,
				      table_file_entry(dump->file, frame, i), frame->level,
				      &read) ||
		    (read.entry.kind == VMMU_ENTRY_ABSENT && !read.is_unexpected))
			continue;
		find_own_frame(dump->geometry, &read.entry, frame->level, gpa);
		if (read.entry.kind == VMMU_ENTRY_TABLE)
			code = dump_child(dump, read.entry.table_hpa, frame->level - 1, gpa);
		else
			take_entry(dump, &read, frame->level, gpa);
	}
	return code;
}

static int dump_root(struct dump *dump, struct table_frame *root)
{
	unsigned level;
	int code;

	printf("root 0x%" PRIx64 "  address space %u  level %u\n", root->hpa, root->as_id,
	       root->level);
	code = dump_table(dump, root, 0);
	flush_run(dump);
	if (code != TOOL_OK)
		return code;
	printf("  %" PRIu64 " tables", dump->tables);
	for (level = 1; level <= dump->geometry->levels; level++)
		if (dump->mapped[level])
			printf(", %" PRIu64 " x %s", dump->mapped[level],
			       tool_size(dump->geometry->shift[level]));
	printf(", %" PRIu64 " MMIO, %" PRIu64 " malformed", dump->mmio, dump->malformed);
	if (dump->unexpected)
		printf(", %" PRIu64 " unexpected", dump->unexpected);
	putchar('\n');
	return TOOL_OK;
}

int cmd_dump(int argc, char **argv)
{
	struct dump_args args = {0};
	const struct vmmu_profile *profile = NULL;
	struct table_file file;
	unsigned i;
	int code;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	code = table_file_open(args.path, &file);
	if (code != TOOL_OK)
		return code;
	code = kernel_find(args.kvm, vmmu_format_info(file.format)->architecture, &profile);
	if (code == TOOL_OK)
		printf("format %s, %zu tables, %u roots, entries of %s\n",
		       vmmu_format_info(file.format)->name, file.frame_count, file.root_count,
		       kernel_name(profile));
	for (i = 0; i < file.root_count && code == TOOL_OK; i++) {
		struct dump dump = {
			.path = args.path,
			.file = &file,
			.profile = profile,
			.geometry = vmmu_format_info(file.format)->geometry,
			.visit = i + 1,
		};

		code = dump_root(&dump, &file.frames[file.roots[i]]);
	}
	table_file_close(&file);
	return code == TOOL_OK ? tool_finish_output() : code;
}
