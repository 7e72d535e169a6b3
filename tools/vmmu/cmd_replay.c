/* SPDX-License-Identifier: MIT */
/* vmmu replay: a trace through an engine, and the report. */
#include <argp.h>
#include <errno.h>
#include <string.h>
#include <vmmu/replay.h>

#include "comparison.h"
#include "kernel.h"
#include "progress.h"
#include "report.h"
#include "table_file.h"
#include "tool.h"

/* Findings printed in full; the rest is only counted. */
#define FINDINGS_SHOWN 20u
#define REPEAT_MAX     1000000u

struct replay_args {
	const char *path, *dump_path;
	struct vmmu_trace_options trace;
	struct vmmu_replay_options replay;
	struct kernel kernel;
	bool as_json, is_quiet;
	FILE *dump;
	int dump_error; /* -errno of writing the dump */
	unsigned findings;
	struct progress progress;
	bool is_compared;
	struct comparison comparison;
};

enum {
	KEY_MAX_LEVEL = 0x100,
	KEY_DIRTY_LOG,
	KEY_NX_HUGE,
	KEY_BACKING,
	KEY_REPEAT,
	KEY_JSON,
	KEY_DUMP,
	KEY_SEMANTICS,
	KEY_KVM,
	KEY_MODE,
	KEY_COMPARE,
	KEY_THREADS,
};

static const struct argp_option options[] = {
	{"format", 'f', "NAME", 0, "Page-table format; default: the trace's own ('vmmu formats')",
	 0},
	{"layout", 'l', "FILE", 0, "Memory slots: kvm_set_user_memory lines or a slots file", 0},
	{"max-level", KEY_MAX_LEVEL, "N", 0, "Largest mapping, as a level: 1 is the smallest page",
	 0},
	{"dirty-log", KEY_DIRTY_LOG, NULL, 0, "Log dirty pages on every slot", 0},
	{"nx-huge", KEY_NX_HUGE, NULL, 0, "No executable mapping above level 1", 0},
	{"mode", KEY_MODE, "KIND", 0,
	 "Kind of tables: direct (default) or tdp, which many vCPUs change at once", 0},
	{"backing", KEY_BACKING, "SIZE", 0, "What the host maps with: 4k, 2m, 1g or auto (default)",
	 0},
	{"fault-semantics", KEY_SEMANTICS, "KIND", 0,
	 "How to read x86 faults: ept, npt, shadow or auto (default)", 0},
	{"kvm", KEY_KVM, "VERSION", 0,
	 "The KVM that wrote the trace, as 6.12; default: by its values ('vmmu formats')", 0},
	{"compare", KEY_COMPARE, NULL, 0,
	 "Hold the replay against what the trace says that its kernel did; exit 1 if anything "
	 "differs for no known reason",
	 0},
	{"repeat", KEY_REPEAT, "N", 0, "Replay N times, each into a new VM; the digests must agree",
	 0},
	{"threads", KEY_THREADS, "N", 0,
	 "Replay the faults of different vCPUs at once, on N threads", 0},
	{"json", KEY_JSON, NULL, 0, "Print the report as JSON", 0},
	{"dump-tables", KEY_DUMP, "FILE", 0,
	 "Write the tables to FILE for 'vmmu walk' and 'vmmu dump'", 0},
	{"quiet", 'q', NULL, 0, "No report for people, no progress", 0},
	{0},
};

static uint64_t parse_count(const struct argp_state *state, const char *option, const char *arg,
			    uint64_t max)
{
	uint64_t number = 0;

	if (!tool_number(arg, &number) || !number || number > max)
		argp_error(state, "%s takes a number from 1 to %llu, not '%s'", option,
			   (unsigned long long)max, arg);
	return number;
}

/* Index of ARG among the COUNT words, which must be a legal choice. */
static unsigned parse_choice(const struct argp_state *state, const char *option, const char *arg,
			     const char *const *words, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (!strcmp(arg, words[i]))
			return i;
	argp_error(state, "%s does not take '%s'", option, arg);
	return 0;
}

static void parse_format(struct argp_state *state, struct replay_args *args, const char *arg)
{
	args->replay.format = vmmu_format_find(arg);
	if (!args->replay.format)
		argp_error(state, "no format '%s'; see 'vmmu formats'", arg);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	static const char *const backings[] = {"auto", "4k", "2m", "1g"};
	static const char *const modes[] = {"direct", "tdp"};
	static const char *const semantics[] = {"auto", "ept", "npt", "shadow"};
	struct replay_args *args = state->input;

	switch (key) {
	case 'f':
		parse_format(state, args, arg);
		return 0;
	case 'l':
		args->trace.layout = arg;
		return 0;
	case KEY_MAX_LEVEL:
		args->replay.max_level = (unsigned)parse_count(state, "--max-level", arg,
							       VMMU_LEVELS_MAX);
		return 0;
	case KEY_BACKING:
		args->replay.backing = parse_choice(state, "--backing", arg, backings, 4);
		return 0;
	case KEY_MODE:
		args->replay.root = parse_choice(state, "--mode", arg, modes, 2);
		return 0;
	case KEY_SEMANTICS:
		args->trace.semantics = parse_choice(state, "--fault-semantics", arg, semantics, 4);
		return 0;
	case KEY_REPEAT:
		args->replay.repeat = (unsigned)parse_count(state, "--repeat", arg, REPEAT_MAX);
		return 0;
	case KEY_THREADS:
		args->replay.threads = (unsigned)parse_count(state, "--threads", arg,
							     VMMU_REPLAY_THREADS_MAX);
		return 0;
	case KEY_DUMP:
		args->dump_path = arg;
		return 0;
	case KEY_KVM:
		args->kernel.version = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What was asked for goes together. */
static void check_together(struct argp_state *state, const struct replay_args *args)
{
	if (!args->path)
		argp_error(state, "a TRACE is required");
	if (args->is_compared && args->replay.repeat > 1)
		argp_error(state, "--compare is of one run: no --repeat");
	if (args->is_compared && args->replay.threads)
		argp_error(state, "--compare is of the recorded order: no --threads");
	if (args->replay.repeat > 1 && args->replay.threads)
		argp_error(state, "--repeat is of one order: no --threads");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct replay_args *args = state->input;

	switch (key) {
	case KEY_DIRTY_LOG:
		args->replay.dirty_log = true;
		return 0;
	case KEY_NX_HUGE:
		args->replay.nx_huge = true;
		return 0;
	case KEY_COMPARE:
		args->is_compared = true;
		return 0;
	case KEY_JSON:
		args->as_json = true;
		return 0;
	case 'q':
		args->is_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->path)
			argp_error(state, "one TRACE only");
		args->path = arg;
		return 0;
	case ARGP_KEY_END:
		check_together(state, args);
		return 0;
	default:
		return parse_option(key, arg, state);
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "TRACE",
	.doc = "Replay the second-stage faults, host invalidations, slot calls and dirty-log reads "
	       "of"
	       " TRACE into page tables of any format, and report.\v"
	       "TRACE is text of the kernel's trace file, of 'trace-cmd report' or of 'perf "
	       "script',"
	       " plain or compressed with gzip or zstd, or a trace.dat file of 'trace-cmd record'; "
	       "'-' is standard input.",
};

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	struct replay_args *args = ctx;

	if (args->findings++ >= FINDINGS_SHOWN)
		return;
	fprintf(stderr, "audit: %s: %s (gfn 0x%llx, level %u, address space %u)\n",
		finding->invariant, finding->text, (unsigned long long)finding->gfn, finding->level,
		finding->as_id);
}

static int write_dump(void *ctx, struct vmmu_vm *vm)
{
	struct replay_args *args = ctx;

	if (args->dump)
		args->dump_error = table_file_write(vm, args->dump);
	return args->dump_error;
}

static int open_failed(int error, const char *path, const char *message)
{
	switch (error) {
	case -ENOEXEC:
	case -EBADMSG:
	case -EFBIG:
	case -ENOPKG:
		return tool_fail(TOOL_DATA, "%s", message);
	case -ENOMEM:
		return tool_fail(TOOL_INTERNAL, "%s: out of memory", path);
	case -EINVAL:
		return tool_fail(TOOL_INTERNAL, "%s", *message ? message : "options refused");
	default:
		return tool_fail(TOOL_NO_INPUT, "%s", *message ? message : strerror(-error));
	}
}

/* The replay found no format, or what is compared no kernel. */
static int replay_told_nothing(const struct replay_args *args, const struct vmmu_trace *trace)
{
	const char *architecture = vmmu_trace_architecture(trace);
	const struct vmmu_profile *profile;

	if (!architecture)
		return tool_fail(TOOL_DATA, "%s: no fault of a known architecture%s", args->path,
				 args->is_compared ? ", so no kernel to compare with"
						   : "; --format chooses one");
	if (args->kernel.version)
		return kernel_find(args->kernel.version, architecture, &profile);
	return tool_fail(TOOL_DATA, "%s: nothing in it tells the kernel; --kvm chooses one",
			 args->path);
}

static int replay_failed(const struct replay_args *args, const struct vmmu_trace *trace, int error)
{
	const char *message = vmmu_trace_error(trace);

	if (args->dump_error)
		return tool_fail(TOOL_INTERNAL, "%s: %s", args->dump_path, strerror(-error));
	switch (error) {
	case -EBADMSG:
	case -ENOEXEC:
	case -ENOPKG:
		return tool_fail(TOOL_DATA, "%s", *message ? message : "the trace is damaged");
	case -ENODATA:
		return replay_told_nothing(args, trace);
	case -EIO:
		/* The engine's, when the reader has nothing to say: the VM is poisoned. */
		return *message ? tool_fail(TOOL_NO_INPUT, "%s", message)
				: tool_fail(TOOL_INTERNAL, "the engine broke an invariant");
	case -EINVAL:
		return tool_fail(
			TOOL_USAGE,
			args->is_compared
				? "the format is not the recorded kernel's, or does not take "
				  "these options (--max-level)"
				: "the format does not take these options (--max-level)");
	default:
		return tool_fail(TOOL_INTERNAL, "%s", *message ? message : strerror(-error));
	}
}

static int print_report(struct replay_args *args, struct vmmu_trace *trace,
			const struct vmmu_replay_report *report)
{
	struct comparison *comparison = args->is_compared ? &args->comparison : NULL;
	int code;

	code = kernel_of_trace(&args->kernel, trace);
	if (code != TOOL_OK)
		return code;
	if (args->as_json)
		report_print_json(args->path, trace, &args->kernel, &args->replay, report,
				  comparison);
	else if (!args->is_quiet)
		report_print(args->path, trace, &args->kernel, &args->replay, report);
	if (comparison && !args->as_json && !args->is_quiet)
		comparison_print(comparison, trace);
	code = tool_finish_output();
	if (args->findings > FINDINGS_SHOWN)
		fprintf(stderr, "audit: %u findings more\n", args->findings - FINDINGS_SHOWN);
	if (code == TOOL_OK && !report->digest_repeatable)
		code = tool_fail(TOOL_VIOLATION, "two runs gave different tables");
	if (code == TOOL_OK && comparison)
		code = comparison_verdict(comparison);
	if (code == TOOL_OK && (report->audit.violations || args->findings))
		code = TOOL_VIOLATION;
	return code;
}

static int replay(struct replay_args *args)
{
	struct vmmu_replay_report report;
	struct vmmu_trace *trace;
	char message[512] = "";
	int ret = vmmu_trace_open(args->path, &args->trace, &trace, message, sizeof(message));

	if (ret)
		return open_failed(ret, args->path, message);
	args->replay.size = sizeof(args->replay);
	args->replay.finish = write_dump;
	args->replay.finish_ctx = args;
	args->replay.finding = print_finding;
	args->replay.finding_ctx = args;
	if (!args->is_quiet) {
		args->replay.progress = progress_tell;
		args->replay.progress_ctx = &args->progress;
	}
	progress_begin(&args->progress);
	ret = vmmu_replay(trace, &args->replay, &report);
	progress_end(&args->progress);
	ret = ret ? replay_failed(args, trace, ret) : print_report(args, trace, &report);
	vmmu_trace_close(trace);
	return ret;
}

/* With a comparison, if one is asked for. */
static int replay_compared(struct replay_args *args)
{
	int code;

	if (!args->is_compared)
		return replay(args);
	code = comparison_begin(&args->comparison, &args->kernel);
	if (code != TOOL_OK)
		return code;
	args->replay.compare = args->comparison.compare;
	code = replay(args);
	comparison_end(&args->comparison);
	return code;
}

int cmd_replay(int argc, char **argv)
{
	struct replay_args args = {.trace.size = sizeof(args.trace)};
	int code;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	/* Opened first: a long replay should not end in a file that cannot be written. */
	if (args.dump_path) {
		args.dump = fopen(args.dump_path, "w+b");
		if (!args.dump)
			return tool_fail(TOOL_NO_INPUT, "%s: %s", args.dump_path, strerror(errno));
	}
	code = replay_compared(&args);
	if (args.dump && fclose(args.dump) && code == TOOL_OK)
		code = tool_fail(TOOL_INTERNAL, "%s: %s", args.dump_path, strerror(errno));
	return code;
}
