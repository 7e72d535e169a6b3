/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

const char *argp_program_version = "vmmu " VMMU_VERSION;

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"replay", cmd_replay, "replay a recorded fault trace into page tables and report"},
	{"formats", cmd_formats, "list the page-table formats, their geometry and capabilities"},
	{"walk", cmd_walk, "walk dumped tables for a guest-physical address"},
	{"dump", cmd_dump, "print dumped tables, decoded"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	size_t i;

	fputs("Usage: vmmu COMMAND [OPTION...]\n"
	      "A hypervisor's second-stage MMU, driven by recorded traces.\n\n"
	      "Commands:\n",
	      out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n  --help     print this; 'vmmu COMMAND --help' for a command's options\n"
	      "  --version  print the version\n\n"
	      "Exit status: 0; 1 the audit found a violation; 2 usage; 65 the input is not what "
	      "it\n"
	      "should be; 66 cannot open or read; 70 internal failure.\n",
	      out);
}

int tool_fail(enum tool_exit code, const char *message, ...)
{
	va_list args;

	fflush(stdout);
	fputs("vmmu: ", stderr);
	va_start(args, message);
	vfprintf(stderr, message, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

bool tool_number(const char *text, uint64_t *number)
{
	char *end;

	/* strtoull() takes a sign and blanks: we do not. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
	return !errno && !*end;
}

const char *tool_access(unsigned access)
{
	static char texts[4][4];
	static unsigned next;
	char *text = texts[next++ % 4];

	text[0] = access & VMMU_READ ? 'r' : '-';
	text[1] = access & VMMU_WRITE ? 'w' : '-';
	text[2] = access & VMMU_EXEC ? 'x' : '-';
	return text;
}

const char *tool_memtype(enum vmmu_memtype memtype)
{
	switch (memtype) {
	case VMMU_MEM_WRITEBACK:
		return "writeback";
	case VMMU_MEM_NONCACHEABLE:
		return "noncacheable";
	case VMMU_MEM_DEVICE:
		return "device";
	}
	return "?";
}

const char *tool_size(unsigned lg2)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	static char texts[4][16];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof(texts[0]), "%u %s", 1u << lg2 % 10, units[lg2 / 10 % 7]);
	return text;
}

int tool_finish_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		return tool_fail(TOOL_INTERNAL, "cannot write the output: %s", strerror(errno));
	return TOOL_OK;
}

int main(int argc, char **argv)
{
	char name[32];
	size_t i;

	/* argp exits by itself when an option is wrong. */
	argp_err_exit_status = TOOL_USAGE;
	if (argc < 2) {
		print_help(stderr);
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "--help")) {
		print_help(stdout);
		return tool_finish_output();
	}
	if (!strcmp(argv[1], "--version")) {
		puts(argp_program_version);
		return tool_finish_output();
	}
	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "vmmu %s", commands[i].name);
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	tool_fail(TOOL_USAGE, "no command '%s'", argv[1]);
	print_help(stderr);
	return TOOL_USAGE;
}
