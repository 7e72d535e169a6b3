/* SPDX-License-Identifier: MIT */
/* vmmu formats: which there are and what they are like. */
#include <argp.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <vmmu/profile.h>

#include "tool.h"

#define NAMES_MAX 64

struct formats_args {
	bool as_json;
	unsigned name_count; /* 0: all that are listed */
	const char *names[NAMES_MAX];
};

enum {
	KEY_JSON = 0x100,
};

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "Print JSON", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct formats_args *args = state->input;

	if (key == KEY_JSON)
		args->as_json = true;
	else if (key == ARGP_KEY_ARG && args->name_count == NAMES_MAX)
		argp_error(state, "more than %d names", NAMES_MAX);
	else if (key == ARGP_KEY_ARG && !vmmu_format_find(arg))
		argp_error(state, "no format '%s'; see 'vmmu formats'", arg);
	else if (key == ARGP_KEY_ARG)
		args->names[args->name_count++] = arg;
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[NAME...]",
	.doc = "List the page-table formats with their geometry and capabilities, and the KVM "
	       "versions whose entries can be told apart (--kvm).",
};

static const struct {
	unsigned cap;
	const char *name;
} caps[] = {
	{VMMU_CAP_HW_DIRTY, "hw-dirty"},       {VMMU_CAP_EXEC_ONLY, "exec-only"},
	{VMMU_CAP_WRITE_ONLY, "write-only"},   {VMMU_CAP_MMIO_TRAP, "mmio-trap"},
	{VMMU_CAP_BREAK_FIRST, "break-first"}, {VMMU_CAP_CACHES_ABSENT, "caches-absent"},
};

#define CAPS (sizeof(caps) / sizeof(caps[0]))

static void print_format(const struct vmmu_format_info *info)
{
	const struct vmmu_geometry *geometry = info->geometry;
	const char *comma = "";
	unsigned level;
	size_t i;

	printf("%-16s %s\n", info->name, info->description);
	printf("%16s %s, %u levels, %u-bit input, %u-bit output, pages of ", "", info->architecture,
	       geometry->levels, geometry->gpa_bits, geometry->pa_bits);
	for (level = 1; level <= geometry->levels; level++) {
		if (!(geometry->leaf_levels & (1u << level)))
			continue;
		printf("%s%s", comma, tool_size(geometry->shift[level]));
		comma = ", ";
	}
	comma = ", groups of ";
	for (level = 1; level <= geometry->levels; level++) {
		if (!geometry->group_lg2[level])
			continue;
		printf("%s%s", comma,
		       tool_size(geometry->shift[level] + geometry->group_lg2[level]));
		comma = ", ";
	}
	printf(", root of %s\n", tool_size(geometry->table_lg2[geometry->levels]));
	printf("%16s", "");
	for (i = 0; i < CAPS; i++)
		if (info->caps & caps[i].cap)
			printf(" %s", caps[i].name);
	printf(" mmio-generation:%u\n", info->mmio_gen_bits);
}

static void print_profile(const struct vmmu_profile_info *info)
{
	printf("%-12s %-8s", info->name, info->architecture);
	if (info->verified)
		printf(" verified by %s\n", info->verified);
	else
		puts(" unverified: no recording of such a kernel");
	printf("%12s host-writable 0x%" PRIx64 ", mmu-writable 0x%" PRIx64 ", absent 0x%" PRIx64
	       ", frozen 0x%" PRIx64 ", mmio-generation:%u\n%12s",
	       "", info->host_writable, info->mmu_writable, info->absent, info->frozen,
	       info->generation_low.count + info->generation_high.count, "");
	for (unsigned i = 0; i < VMMU_RULES_MAX; i++)
		if (info->rules >> i & 1)
			printf(" %s", vmmu_profile_rule_name((enum vmmu_profile_rule)(1u << i)));
	printf(" (%s)\n", info->source);
}

/* Format number INDEX of those asked for; NULL past the last. */
static const struct vmmu_format *format_at(const struct formats_args *args, unsigned index)
{
	if (!args->name_count)
		return vmmu_format_at(index);
	return index < args->name_count ? vmmu_format_find(args->names[index]) : NULL;
}

static void print_all(const struct formats_args *args)
{
	const struct vmmu_format *format;
	const struct vmmu_profile *profile;

	for (unsigned i = 0; (format = format_at(args, i)); i++)
		print_format(vmmu_format_info(format));
	if (args->name_count)
		return;
	puts("\nKVM versions");
	for (unsigned i = 0; (profile = vmmu_profile_at(i)); i++)
		print_profile(vmmu_profile_info(profile));
}

static void add(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static struct json_object *json_levels(const struct vmmu_geometry *geometry)
{
	struct json_object *levels = json_object_new_array();
	unsigned level;

	for (level = 1; level <= geometry->levels; level++) {
		struct json_object *object = json_object_new_object();

		add(object, "level", level);
		add(object, "page_bytes", UINT64_C(1) << geometry->shift[level]);
		json_object_object_add(object, "leaf",
				       json_object_new_boolean(geometry->leaf_levels >> level & 1));
		add(object, "table_bytes", UINT64_C(1) << geometry->table_lg2[level]);
		add(object, "group_entries", UINT64_C(1) << geometry->group_lg2[level]);
		json_object_array_add(levels, object);
	}
	return levels;
}

static struct json_object *json_format(const struct vmmu_format_info *info)
{
	struct json_object *object = json_object_new_object();
	struct json_object *names = json_object_new_array();
	size_t i;

	for (i = 0; i < CAPS; i++)
		if (info->caps & caps[i].cap)
			json_object_array_add(names, json_object_new_string(caps[i].name));
	add_text(object, "name", info->name);
	add_text(object, "architecture", info->architecture);
	add_text(object, "description", info->description);
	add(object, "page_bytes", UINT64_C(1) << info->geometry->page_shift);
	add(object, "gpa_bits", info->geometry->gpa_bits);
	add(object, "pa_bits", info->geometry->pa_bits);
	add(object, "mmio_generation_bits", info->mmio_gen_bits);
	json_object_object_add(object, "capabilities", names);
	json_object_object_add(object, "levels", json_levels(info->geometry));
	return object;
}

static void add_bits(struct json_object *object, const char *name, uint64_t bits)
{
	char text[20];

	snprintf(text, sizeof(text), "0x%" PRIx64, bits);
	add_text(object, name, text);
}

static struct json_object *json_profile(const struct vmmu_profile_info *info)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rules = json_object_new_array();

	for (unsigned i = 0; i < VMMU_RULES_MAX; i++)
		if (info->rules >> i & 1)
			json_object_array_add(rules, json_object_new_string(vmmu_profile_rule_name(
							     (enum vmmu_profile_rule)(1u << i))));
	add_text(object, "name", info->name);
	add_text(object, "version", info->version);
	add_text(object, "architecture", info->architecture);
	add_text(object, "source", info->source);
	json_object_object_add(object, "verified",
			       info->verified ? json_object_new_string(info->verified) : NULL);
	add_bits(object, "host_writable", info->host_writable);
	add_bits(object, "mmu_writable", info->mmu_writable);
	add_bits(object, "present_mark", info->present_mark);
	add_bits(object, "absent", info->absent);
	add_bits(object, "frozen", info->frozen);
	add_bits(object, "mmio_mask", info->mmio_mask);
	add_bits(object, "mmio_value", info->mmio_value);
	add(object, "mmio_generation_bits",
	    info->generation_low.count + info->generation_high.count);
	json_object_object_add(object, "rules", rules);
	return object;
}

static void print_json(const struct formats_args *args)
{
	struct json_object *root = json_object_new_object(), *formats = json_object_new_array();
	struct json_object *profiles = json_object_new_array();
	const struct vmmu_profile *profile;
	const struct vmmu_format *format;
	unsigned index;

	for (index = 0; (format = format_at(args, index)); index++)
		json_object_array_add(formats, json_format(vmmu_format_info(format)));
	add_text(root, "schema", "vmmu-formats/1");
	for (index = 0; (profile = vmmu_profile_at(index)); index++)
		json_object_array_add(profiles, json_profile(vmmu_profile_info(profile)));
	json_object_object_add(root, "formats", formats);
	json_object_object_add(root, "profiles", profiles);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}

int cmd_formats(int argc, char **argv)
{
	struct formats_args args = {0};

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (args.as_json)
		print_json(&args);
	else
		print_all(&args);
	return tool_finish_output();
}
