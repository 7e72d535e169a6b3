// SPDX-License-Identifier: MIT
#include "oracle/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_ARGUMENTS_MAX 64
/* A guest that runs astray burns CPU time or sleeps for ever; a busy machine only takes longer. */
#define RUN_CPU_SECONDS_MAX 60
#define RUN_SECONDS_MAX     600
#define RUN_POLL_NS         2000000

static bool run_in_path(const char *command)
{
	const char *path = getenv("PATH");
	char file[4096];
	size_t length;

	for (; path && *path; path += length + (path[length] == ':')) {
		length = strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, command);
		if (!access(file, X_OK))
			return true;
	}
	return false;
}

const char *run_lacks(const struct oracle_emulator *emulator, const char *programs)
{
	char file[4096];
	unsigned i;

	if (!run_in_path(emulator->command))
		return emulator->command;
	for (i = 0; i < 2 && emulator->programs[i]; i++) {
		snprintf(file, sizeof(file), "%s/%s", programs, emulator->programs[i]);
		if (access(file, R_OK))
			return emulator->programs[i];
	}
	return NULL;
}

/* ARGUMENT with @ replaced; never freed: the child is about to be another program. */
static char *run_argument(const char *argument, const char *programs)
{
	const char *at = strchr(argument, '@');
	char *text = NULL;

	if (!at)
		return strdup(argument);
	if (asprintf(&text, "%.*s%s%s", (int)(at - argument), argument, programs, at + 1) < 0)
		return NULL;
	return text;
}

static _Noreturn void run_child(const struct oracle_emulator *emulator, const char *programs)
{
	struct rlimit cpu = {RUN_CPU_SECONDS_MAX, RUN_CPU_SECONDS_MAX};
	char *argv[RUN_ARGUMENTS_MAX + 2] = {run_argument(emulator->command, programs)};
	int in = open("/dev/null", O_RDONLY), out = open("said", O_WRONLY | O_CREAT, 0600);
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CPU, &cpu);
	for (i = 0; i < RUN_ARGUMENTS_MAX && emulator->arguments[i]; i++)
		argv[i + 1] = run_argument(emulator->arguments[i], programs);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	setenv("TERM", "xterm", 1);
	if (argv[0])
		execvp(argv[0], argv);
	_exit(127);
}

static double run_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Wait for CHILD, not for ever. 0 or -ETIMEDOUT; how it ended does not matter, results do. */
static int run_wait(pid_t child, double start)
{
	struct timespec pause = {.tv_nsec = RUN_POLL_NS};
	int status;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (run_now() - start > RUN_SECONDS_MAX) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Everything in FILE; for free(). NULL: nothing. */
static void *run_read(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	struct stat stat;
	void *data;

	*bytes = 0;
	if (!file)
		return NULL;
	data = fstat(fileno(file), &stat) ? NULL : malloc((size_t)stat.st_size + 1);
	if (data)
		*bytes = fread(data, 1, (size_t)stat.st_size, file);
	fclose(file);
	return data;
}

static void run_complain(const struct jobs *jobs, const struct run_results *results)
{
	size_t bytes;
	char *said = run_read("said", &bytes);
	size_t skipped = bytes > 2000 ? bytes - 2000 : 0;

	fprintf(stderr, "oracle: %s: %zu of %zu results\n", jobs->emulator->name, results->count,
		jobs->expectation_count);
	if (said)
		fprintf(stderr, "%.*s\n", (int)(bytes - skipped), said + skipped);
	free(said);
}

/* In the run's own directory. */
static int run_inside(const struct jobs *jobs, const char *programs, struct run_results *results)
{
	int64_t bytes = jobs_write(jobs, "job");
	double start = run_now();
	size_t got;
	pid_t child;
	int err;

	if (bytes < 0)
		return (int)bytes;
	err = jobs->emulator->prepare ? jobs->emulator->prepare(programs, (uint64_t)bytes) : 0;
	if (err)
		return err;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		run_child(jobs->emulator, programs);
	err = run_wait(child, start);
	results->result = run_read("result", &got);
	results->count = got / sizeof(*results->result);
	results->seconds = run_now() - start;
	if (!err && results->count != jobs->expectation_count)
		err = -EPROTO;
	if (err)
		run_complain(jobs, results);
	return err;
}

static void run_remove(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(directory);
}

int run_jobs(const struct jobs *jobs, const char *programs, bool keep, struct run_results *results)
{
	const char *base = getenv("TMPDIR");
	int back = open(".", O_RDONLY | O_DIRECTORY), err;
	char directory[4096];

	*results = (struct run_results){0};
	snprintf(directory, sizeof(directory), "%s/vmmu-oracle-XXXXXX", base ? base : "/tmp");
	if (back < 0 || !mkdtemp(directory))
		return -errno;
	err = chdir(directory) ? -errno : run_inside(jobs, programs, results);
	if (fchdir(back))
		err = -errno;
	close(back);
	if (keep)
		fprintf(stderr, "oracle: kept in %s\n", directory);
	else
		run_remove(directory);
	return err;
}
