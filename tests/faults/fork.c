/* SPDX-License-Identifier: MIT */
/*
 * fork() while other threads are in and out of readers: the child uses, changes and destroys VMs,
 * all of which waits for readers that do not exist there any more. A child that hangs is killed by
 * its alarm.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vmmu/vmmu.h>

#include "faults/roots.h"

#define FORKS   30
#define READERS 3
#define PAGES   64

static atomic_bool is_over;
static struct vmmu_vm *busy, *idle;
static struct vmmu_vcpu *idle_vcpu;

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int set_slot(struct vmmu_vm *vm, unsigned id, uint64_t pages)
{
	struct vmmu_slot slot = {.id = id, .gpa = (uint64_t)id << 30, .bytes = pages << 12};

	return vmmu_slot_set(vm, &slot);
}

static int make_vm(struct vmmu_vm **vm, struct vmmu_vcpu **vcpu)
{
	static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = vmmu_format_find("ept4"),
					  .env = &env};

	return vmmu_vm_create(&options, vm) || set_slot(*vm, 0, PAGES) ||
	       vmmu_vcpu_create(*vm, 0, vcpu);
}

static int fault_all(struct vmmu_vcpu *vcpu)
{
	for (uint64_t gfn = 0; gfn < PAGES; gfn++) {
		struct vmmu_fault fault = {.gpa = gfn << 12, .access = VMMU_WRITE};
		int outcome = vmmu_fault(vcpu, &fault);

		if (outcome != VMMU_FIXED && outcome != VMMU_SPURIOUS)
			return 1;
	}
	return 0;
}

/* Nearly always inside a reader. */
static void *reader_main(void *unused)
{
	struct vmmu_hva_range range = {0, PAGES << 12};

	(void)unused;
	vmmu_thread_register();
	while (!is_over)
		vmmu_age(busy, &range);
	vmmu_thread_unregister();
	return NULL;
}

static int child_main(void)
{
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;
	struct vmmu_root root;
	int err;

	alarm(20);
	err = fault_all(idle_vcpu) || set_slot(idle, 1, 8) || set_slot(idle, 1, 0) ||
	      vmmu_zap_all(idle) || vmmu_vcpu_root(idle_vcpu, &root, NULL) || fault_all(idle_vcpu);
	vmmu_vm_destroy(idle);
	vmmu_vm_destroy(busy);
	err |= make_vm(&vm, &vcpu) || fault_all(vcpu) || set_slot(vm, 0, 0);
	vmmu_vm_destroy(vm);
	return err;
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
	struct vmmu_vcpu *busy_vcpu;
	pthread_t readers[READERS];
	unsigned started = 0;
	int err;

	vmmu_thread_register();
	err = make_vm(&busy, &busy_vcpu) || make_vm(&idle, &idle_vcpu) || fault_all(busy_vcpu);
	while (started < READERS && !err) {
		err = pthread_create(&readers[started], NULL, reader_main, NULL);
		started += !err;
	}
	for (unsigned i = 0; i < FORKS && !err; i++)
		err = fork_once() || set_slot(idle, 1, i % 2 ? 0 : 8);
	is_over = true;
	for (unsigned i = 0; i < started; i++)
		pthread_join(readers[i], NULL);
	err |= fault_all(idle_vcpu);
	vmmu_vm_destroy(busy);
	vmmu_vm_destroy(idle);
	return err;
}
