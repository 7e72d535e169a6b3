/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <stdio.h>
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
