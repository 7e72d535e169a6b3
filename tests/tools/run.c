/* SPDX-License-Identifier: MIT */
#include "tools/run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24
#define FILES_MAX     64

static char files[FILES_MAX][32];
static unsigned file_count;

static void remove_files(void)
{
	while (file_count)
		unlink(files[--file_count]);
}

const char *run_file(const void *content, size_t bytes)
{
	static const char template[] = "/tmp/vmmu-test-XXXXXX";
	char *path = files[file_count];
	int fd;

	cr_assert(file_count < FILES_MAX);
	memcpy(path, template, sizeof(template));
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	if (!file_count++)
		atexit(remove_files);
	cr_assert(write(fd, content, bytes) == (ssize_t)bytes);
	close(fd);
	return path;
}

static void read_back(FILE *file, char *text, size_t size)
{
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* In the child: never returns. */
static void start(const char *input, char *arguments, int out, int err)
{
	char *argv[ARGUMENTS_MAX + 1] = {"vmmu"};
	unsigned count = 1;
	char *word;

	for (word = strtok(arguments, " "); word && count < ARGUMENTS_MAX; word = strtok(NULL, " "))
		argv[count++] = word;
	dup2(open(input ? input : "/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	alarm(60);
	execv(VMMU_COMMAND, argv);
	_exit(127);
}

/* Run it to its end; its exit code. */
static int run_child(const char *input, const char *arguments, int out, int err)
{
	char *copy = strdup(arguments);
	int status;
	pid_t pid;

	cr_assert(copy != NULL);
	fflush(NULL);
	pid = fork();
	cr_assert(pid >= 0);
	if (!pid)
		start(input, copy, out, err);
	free(copy);
	cr_assert(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int run_vmmu_into(const char *output, const char *arguments)
{
	int out = open(output, O_WRONLY), err = open("/dev/null", O_WRONLY), code;

	cr_assert(out >= 0 && err >= 0);
	code = run_child(NULL, arguments, out, err);
	close(out);
	close(err);
	return code;
}

void run_vmmu(struct run *run, const char *input, const char *arguments)
{
	FILE *out = tmpfile(), *err = tmpfile();

	cr_assert(out && err);
	run->code = run_child(input, arguments, fileno(out), fileno(err));
	read_back(out, run->out, sizeof(run->out));
	read_back(err, run->err, sizeof(run->err));
}
