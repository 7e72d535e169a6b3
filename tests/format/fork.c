/* SPDX-License-Identifier: MIT */
/*
 * fork() while other threads look names up, register and unregister: the child does all of that
 * too, with the list as it was. One that hangs is killed by its alarm.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vmmu/vmmu.h>

#define FORKS     20
#define SEARCHERS 2
/* Formats that stay: counting through them takes a while, with the registry locked. */
#define STAYING 40
#define NAME    "stays-%02u"

static atomic_bool is_over;
static atomic_uint failures;

static int register_as(const char *name, const struct vmmu_format **format)
{
	const struct vmmu_format *ept = vmmu_format_find("ept4");
	struct vmmu_format_info info = *vmmu_format_info(ept);

	info.name = name;
	return vmmu_format_register(&info, vmmu_format_ops(ept), format, NULL, 0);
}

/* Nearly always with the registry locked. */
static void *search_main(void *unused)
{
	(void)unused;
	while (!is_over)
		failures += vmmu_format_at(10000) != NULL;
	return NULL;
}

static void *register_main(void *unused)
{
	const struct vmmu_format *format;

	(void)unused;
	while (!is_over)
		failures += register_as("comes-and-goes", &format) ||
			    vmmu_format_unregister(format);
	return NULL;
}

static int child_main(void)
{
	const struct vmmu_format *format;
	char name[16];

	alarm(20);
	for (unsigned i = 0; i < STAYING; i++) {
		snprintf(name, sizeof(name), NAME, i);
		if (!vmmu_format_find(name))
			return 1;
	}
	return register_as("of-the-child", &format) || vmmu_format_find("of-the-child") != format ||
	       vmmu_format_unregister(format);
}

static int fork_once(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(child_main());
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	if (status)
		fprintf(stderr, "child ended with %#x\n", (unsigned)status);
	return status != 0;
}

int main(void)
{
	const struct vmmu_format *staying[STAYING];
	pthread_t threads[SEARCHERS + 1];
	unsigned started = 0;
	char name[16];
	int err = 0;

	for (unsigned i = 0; i < STAYING && !err; i++) {
		snprintf(name, sizeof(name), NAME, i);
		err = register_as(name, &staying[i]);
	}
	while (started <= SEARCHERS && !err) {
		err = pthread_create(&threads[started], NULL, started ? search_main : register_main,
				     NULL);
		started += !err;
	}
	for (unsigned i = 0; i < FORKS && !err; i++)
		err = fork_once();
	is_over = true;
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < STAYING && !err; i++)
		err = vmmu_format_unregister(staying[i]);
	return err || failures;
}
