/* SPDX-License-Identifier: MIT */
#include "tracing/dat.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tracing/dat_status.h"

#define DAT_PROGRAM    "vmmu-trace-dat"
#define DAT_PATH_BYTES 4096u

struct dat {
	pid_t pid;     /* 0: not running */
	int text_fd;   /* -1: none; read end of what the program writes */
	int status_fd; /* -1: none */
	char error[192];
};

bool dat_is_dat(const void *bytes, size_t count)
{
	return count >= 10 && !memcmp(bytes, "\x17\x08\x44tracing", 10);
}

/* PATH: FOLDER of the running program, then TAIL. False: not known, or too long. */
static bool dat_beside(char path[DAT_PATH_BYTES], const char *tail)
{
	ssize_t bytes = readlink("/proc/self/exe", path, DAT_PATH_BYTES);
	char *slash;

	if (bytes <= 0 || bytes >= (ssize_t)DAT_PATH_BYTES)
		return false;
	path[bytes] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) + strlen(tail) + 2 > DAT_PATH_BYTES)
		return false;
	memcpy(slash + 1, tail, strlen(tail) + 1);
	return true;
}

/*
 * Where the program is: where the user says, beside the running program (a build tree), where an
 * installed tree has it that was moved, where it was installed.
 */
static bool dat_find(char path[DAT_PATH_BYTES])
{
	const char *chosen = secure_getenv("VMMU_TRACE_DAT");

	if (chosen && *chosen)
		return snprintf(path, DAT_PATH_BYTES, "%s", chosen) < (int)DAT_PATH_BYTES &&
		       !access(path, X_OK);
	if (dat_beside(path, DAT_PROGRAM) && !access(path, X_OK))
		return true;
	if (dat_beside(path, "../libexec/vmmu/" DAT_PROGRAM) && !access(path, X_OK))
		return true;
	snprintf(path, DAT_PATH_BYTES, "%s", VMMU_LIBEXEC "/" DAT_PROGRAM);
	return !access(path, X_OK);
}

/* The program's files: FDS is by enum dat_fd. Nothing else of ours is open there. */
static int dat_actions(posix_spawn_file_actions_t *actions, const int fds[DAT_FDS])
{
	int error = 0;

	for (int fd = 0; fd < DAT_FDS && !error; fd++)
		error = posix_spawn_file_actions_adddup2(actions, fds[fd], fd);
	return error ? error : posix_spawn_file_actions_addclosefrom_np(actions, DAT_FDS);
}

/* Signals as a fresh program expects them, whatever the caller does with its own. */
static int dat_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setsigmask(attributes, &none);
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int dat_spawn(struct dat *dat, const char *path, const int fds[DAT_FDS])
{
	char *arguments[] = {DAT_PROGRAM, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (!error) {
		error = dat_actions(&actions, fds);
		if (!error)
			error = dat_attributes(&attributes);
		if (!error)
			error = posix_spawn(&dat->pid, path, &actions, &attributes, arguments,
					    environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		dat->pid = 0;
	return -error;
}

/* A copy of FD above those that the program uses, so that no dup2() there overwrites another. */
static int dat_lift(int fd)
{
	int lifted;

	if (fd < 0)
		return -1;
	lifted = fcntl(fd, F_DUPFD_CLOEXEC, DAT_FDS);
	close(fd);
	return lifted;
}

/* Open the program's files and start it. */
static int dat_start(struct dat *dat, int file, const char *path)
{
	int fds[DAT_FDS] = {-1, -1, -1, -1}, ends[2] = {-1, -1}, error = 0;
	char name[64];

	errno = 0;
	/* An offset of its own: others may read the same file. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	fds[DAT_FD_FILE] = dat_lift(open(name, O_RDONLY | O_CLOEXEC));
	fds[DAT_FD_ERROR] = dat_lift(open("/dev/null", O_WRONLY | O_CLOEXEC));
	dat->status_fd = dat_lift(memfd_create(DAT_PROGRAM, MFD_CLOEXEC));
	fds[DAT_FD_STATUS] = dat->status_fd;
	if (!pipe2(ends, O_CLOEXEC)) {
		dat->text_fd = dat_lift(ends[0]);
		fds[DAT_FD_TEXT] = dat_lift(ends[1]);
	}
	for (int fd = 0; fd < DAT_FDS; fd++)
		if (fds[fd] < 0 || dat->text_fd < 0)
			error = errno ? -errno : -EMFILE;
	if (!error)
		error = dat_spawn(dat, path, fds);
	for (int fd = 0; fd < DAT_FD_STATUS; fd++)
		if (fds[fd] >= 0)
			close(fds[fd]);
	return error;
}

int dat_create(struct source *source, struct dat **dat)
{
	char path[DAT_PATH_BYTES];
	int file;

	*dat = mem_alloc(sizeof(**dat));
	if (!*dat)
		return -ENOMEM;
	(*dat)->text_fd = -1;
	(*dat)->status_fd = -1;
	if (!dat_find(path)) {
		snprintf((*dat)->error, sizeof((*dat)->error), "%s",
			 "a trace.dat file needs the program " DAT_PROGRAM
			 ", which is built where libtracecmd-dev and libtracefs-dev are installed; "
			 "or give the text of trace-cmd report");
		return -ENOPKG;
	}
	file = source_file(source);
	return file < 0 ? file : dat_start(*dat, file, path);
}

/* What the program said last. A damaged file may have made it say anything. */
static struct dat_status dat_status(const struct dat *dat)
{
	struct dat_status status = {0};

	if (pread(dat->status_fd, &status, sizeof(status), 0) != (ssize_t)sizeof(status))
		return (struct dat_status){0};
	status.what[sizeof(status.what) - 1] = '\0';
	for (char *c = status.what; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return status;
}

/* How the program ended, as waitpid() tells; 0 also when somebody else waited for it. */
static int dat_wait(struct dat *dat)
{
	int how = 0;

	while (dat->pid && waitpid(dat->pid, &how, 0) < 0)
		if (errno != EINTR)
			break;
	dat->pid = 0;
	return how;
}

/* No more text: was that all? */
static ssize_t dat_end(struct dat *dat)
{
	int how = dat_wait(dat);
	struct dat_status status = dat_status(dat);

	if (status.state == DAT_FINISHED && !how)
		return 0;
	if (status.state == DAT_FAILED && *status.what)
		snprintf(dat->error, sizeof(dat->error), "trace.dat is damaged: %s", status.what);
	else if (WIFSIGNALED(how))
		snprintf(dat->error, sizeof(dat->error),
			 "trace.dat is damaged: libtracecmd ended by signal %d, \"%s\"",
			 WTERMSIG(how), strsignal(WTERMSIG(how)));
	else
		snprintf(dat->error, sizeof(dat->error),
			 "trace.dat is damaged: libtracecmd gave up");
	return -EBADMSG;
}

ssize_t dat_read(struct dat *dat, void *buffer, size_t bytes)
{
	ssize_t count;

	if (*dat->error)
		return -EBADMSG;
	do
		count = read(dat->text_fd, buffer, bytes);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return count ? count : dat_end(dat);
}

const char *dat_error(const struct dat *dat)
{
	return dat->error;
}

void dat_progress(const struct dat *dat, uint64_t *done, uint64_t *total)
{
	struct dat_status status = dat_status(dat);

	*total = status.total;
	*done = status.done < status.total ? status.done : status.total;
}

void dat_destroy(struct dat *dat)
{
	if (!dat)
		return;
	if (dat->pid)
		kill(dat->pid, SIGKILL);
	dat_wait(dat);
	if (dat->text_fd >= 0)
		close(dat->text_fd);
	if (dat->status_fd >= 0)
		close(dat->status_fd);
	mem_free(dat);
}
