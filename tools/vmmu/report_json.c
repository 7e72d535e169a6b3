/* SPDX-License-Identifier: MIT */
/*
 * The report as JSON. Any change here is one to docs/json.md, and to the schema's number if a key
 * goes or changes.
 */
#include <inttypes.h>
#include <json-c/json.h>

#include "report.h"
#include "tool.h"

static void add(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, text ? json_object_new_string(text) : NULL);
}

/* A new object as member NAME of PARENT. */
static struct json_object *add_object(struct json_object *parent, const char *name)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(parent, name, object);
	return object;
}

static void add_trace(struct json_object *root, const char *path, const struct vmmu_trace *trace,
		      const struct vmmu_replay_report *report)
{
	struct json_object *object = add_object(root, "trace"), *names;
	struct vmmu_trace_count count;
	unsigned i;

	add_text(object, "path", path);
	add_text(object, "syntax", vmmu_syntax_name(report->syntax));
	add_text(object, "architecture", report->architecture);
	add(object, "lines", report->lines);
	add(object, "events", report->events);
	add(object, "faults", report->faults);
	add(object, "faults_gva", report->refused_gva);
	names = add_object(object, "kinds");
	for (i = 0; i < VMMU_TRACE_KINDS; i++)
		if (report->kinds[i])
			add(names, report_kind_name(i), report->kinds[i]);
	names = add_object(object, "skipped");
	for (i = 0; vmmu_trace_count_at(trace, i, &count); i++)
		if (!count.understood)
			add(names, count.name, count.count);
}

static void add_kernel(struct json_object *root, const struct kernel *kernel)
{
	struct json_object *object = add_object(root, "kernel");
	const struct vmmu_profile_info *info = kernel->profile ? vmmu_profile_info(kernel->profile)
							       : NULL;

	add_text(object, "profile", info ? info->name : NULL);
	json_object_object_add(object, "verified", json_object_new_boolean(info && info->verified));
	json_object_object_add(object, "chosen", json_object_new_boolean(kernel->is_chosen));
	add_text(object, "why", kernel->why);
}

static void add_engine(struct json_object *root, const struct vmmu_replay_options *options,
		       const struct vmmu_replay_report *report)
{
	struct json_object *object = add_object(root, "replay");

	add(object, "threads", options->threads);
	add(object, "parallel_faults", report->parallel_faults);
	add(object, "retried", report->retried);
	object = add_object(root, "engine");

	add_text(object, "format", vmmu_format_info(report->format)->name);
	add_text(object, "mode", options->root == VMMU_ROOT_TDP ? "tdp" : "direct");
	object = add_object(root, "layout");
	json_object_object_add(object, "inferred",
			       json_object_new_boolean(report->layout_inferred));
	add(object, "ram_pages", report->inferred_ram_gfns);
	add(object, "mmio_pages", report->inferred_mmio_gfns);
	add(object, "lost_faults", report->inferred_lost);
	add(object, "slot_calls", report->slot_calls);
	add(object, "slot_errors", report->slot_errors);
	add(object, "slots_trimmed", report->slots_trimmed);
}

static void add_outcomes(struct json_object *root, const struct vmmu_replay_report *report)
{
	struct json_object *object = add_object(root, "outcomes");
	unsigned i;

	for (i = 0; i < VMMU_OUTCOMES; i++)
		add(object, report_outcome_name(i), report->outcomes[i]);
	add(object, "error", report->errors);
}

static void add_tables(struct json_object *root, const struct vmmu_replay_report *report)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(report->format)->geometry;
	const struct vmmu_stats *stats = &report->stats;
	struct json_object *object = add_object(root, "mapped");
	char name[4];
	unsigned i;

	for (i = 1; i <= geometry->levels; i++) {
		if (!(geometry->leaf_levels >> i & 1))
			continue;
		snprintf(name, sizeof(name), "%u", i);
		add(object, name, stats->mapped[i]);
	}
	add(root, "tables", stats->tables);
	add(root, "table_bytes", stats->table_bytes);
	add(root, "tables_allocated", stats->tables_allocated);
	add(root, "tables_freed", stats->tables_freed);
	object = add_object(root, "mmio");
	add(object, "installed", stats->mmio_installed);
	add(object, "hits", stats->mmio_hits);
	add(object, "stale", stats->mmio_stale);
	add(object, "entries", stats->mmio_entries);
	object = add_object(root, "rmap_lengths");
	for (i = 0; i < REPORT_RMAP_LENGTHS; i++)
		add(object, report_rmap_name(i), stats->rmap_lengths[i]);
}

static void add_operations(struct json_object *root, const struct vmmu_replay_report *report)
{
	const struct vmmu_stats *stats = &report->stats;
	struct json_object *object;

	add(root, "flushes", stats->flushes);
	add(root, "local_flushes", stats->local_flushes);
	add(root, "fast_fixes", stats->fast_fixes);
	add(root, "zap_all", stats->zap_all);
	object = add_object(root, "invalidations");
	add(object, "in_slots", report->invalidations);
	add(object, "outside", report->invalidations_outside);
	object = add_object(root, "aging");
	add(object, "in_slots", report->ages);
	add(object, "outside", report->ages_outside);
	add(object, "young", report->ages_young);
	object = add_object(root, "dirty_log");
	add(object, "reads", report->dirty_reads);
	add(object, "pages", report->dirty_pages);
	add(object, "errors", report->dirty_errors);
	object = add_object(root, "ns_per_fault");
	add(object, "p50", report->fault_ns_p50);
	add(object, "p99", report->fault_ns_p99);
	json_object_object_add(root, "faults_per_second",
			       json_object_new_double(report_faults_per_second(report)));
}

static void add_tally(struct json_object *parent, const char *name,
		      const struct vmmu_compare_tally *tally)
{
	struct json_object *object = add_object(parent, name);

	add(object, "total", tally->total);
	add(object, "agree", tally->agree);
	add(object, "explained", tally->explained);
}

static void add_classes(struct json_object *parent, const struct vmmu_compare *compare)
{
	struct json_object *list = json_object_new_array(), *object;
	struct vmmu_compare_class class;

	for (unsigned i = 0; vmmu_compare_class_at(compare, i, &class); i++) {
		object = json_object_new_object();
		add_text(object, "event", vmmu_compare_event_name(class.event));
		add(object, "level", class.level);
		add_text(object, "old", vmmu_compare_entry_name(class.old_entry));
		add_text(object, "new", vmmu_compare_entry_name(class.new_entry));
		add_tally(object, "tally", &class.tally);
		json_object_array_add(list, object);
	}
	json_object_object_add(parent, "classes", list);
}

static void add_comparison(struct json_object *root, const struct comparison *comparison)
{
	const struct vmmu_compare *compare = comparison->compare;
	struct json_object *object = add_object(root, "compare"), *reasons;
	struct vmmu_compare_tally tally;
	const char *name;
	uint64_t count;

	for (unsigned i = 0; i <= VMMU_COMPARE_EVENTS; i++) {
		name = vmmu_compare_event_name(i);
		vmmu_compare_tally(compare, i, &tally);
		add_tally(object, name ? name : "all", &tally);
	}
	reasons = add_object(object, "reasons");
	for (unsigned i = 0; (name = vmmu_compare_reason_at(compare, i, &count)); i++)
		add(reasons, name, count);
	add_tally(object, "steps", &comparison->steps);
	add(object, "teardown", vmmu_compare_teardown(compare));
	add_classes(object, compare);
}

void report_print_json(const char *path, const struct vmmu_trace *trace,
		       const struct kernel *kernel, const struct vmmu_replay_options *options,
		       const struct vmmu_replay_report *report, const struct comparison *comparison)
{
	struct json_object *root = json_object_new_object(), *object;
	char digest[33];

	add_text(root, "schema", "vmmu-replay/1");
	add_trace(root, path, trace, report);
	add_kernel(root, kernel);
	add_engine(root, options, report);
	add_outcomes(root, report);
	add_tables(root, report);
	add_operations(root, report);
	snprintf(digest, sizeof(digest), "%016" PRIx64 "%016" PRIx64, report->digest.high,
		 report->digest.low);
	add_text(root, "digest", digest);
	json_object_object_add(root, "digest_repeatable",
			       json_object_new_boolean(report->digest_repeatable));
	object = add_object(root, "audit");
	add(object, "checked", report->audit.checked);
	add(object, "violations", report->audit.violations);
	if (comparison)
		add_comparison(root, comparison);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}
