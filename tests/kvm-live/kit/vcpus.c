/* SPDX-License-Identifier: MIT */
/*
 * The vCPUs, each with a thread of its own, so that a trace tells them apart. One runs at a time:
 * the current vCPU's thread reads the script, up to the line that chooses another.
 */
#include "vmm.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum {
	MAX_VCPUS = 16
};

static struct {
	int file; /* 0: not made yet */
	struct kvm_run *run;
	int paging, space;
} vcpus[MAX_VCPUS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long current;
static char chosen[256]; /* the line that chose it: its own thread writes the mark */

static void make(unsigned long number)
{
	int file = ioctl(vm, KVM_CREATE_VCPU, number);

	if (file < 0)
		die("KVM_CREATE_VCPU");
	vcpus[number].file = file;
	vcpus[number].run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
				 MAP_SHARED, file, 0);
}

static void make_current(unsigned long number)
{
	current = number;
	vcpu = vcpus[number].file;
	run = vcpus[number].run;
}

static _Noreturn void *work(void *number)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		while (current != (unsigned long)number)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		if (*chosen)
			mark(chosen);
		*chosen = 0;
		run_line();
	}
}

void vcpus_begin(void)
{
	make(0);
	make_current(0);
}

void vcpus_run(void)
{
	work(NULL);
}

void vcpus_choose(unsigned long number, const char *line)
{
	pthread_t thread;
	int is_new;

	if (number >= MAX_VCPUS) {
		fprintf(stderr, "no vCPU can be 0x%lx\n", number);
		exit(1);
	}
	is_new = !vcpus[number].file;
	if (is_new)
		make(number);
	pthread_mutex_lock(&lock);
	snprintf(chosen, sizeof(chosen), "%s", line);
	make_current(number);
	if (is_new)
		arch_init_vcpu();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (is_new && pthread_create(&thread, NULL, work, (void *)number))
		die("pthread_create");
}

int vcpus_paging(void)
{
	return vcpus[current].paging;
}

void vcpus_set_paging(int paging)
{
	vcpus[current].paging = paging;
}

int vcpus_space(void)
{
	return vcpus[current].space;
}

void vcpus_set_space(int space)
{
	arch_set_smm(space);
	vcpus[current].space = space;
}

int vcpus_file(unsigned long number)
{
	return number < MAX_VCPUS && vcpus[number].file ? vcpus[number].file : -1;
}
