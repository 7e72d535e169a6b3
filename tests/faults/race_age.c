/* SPDX-License-Identifier: MIT */
/*
 * Aging without a lock beside everything that changes what it reads: faults, invalidations, slots
 * that move, everything dropped. The tables stay sound (audit), and a page that is faulted in while
 * nobody ages or takes it away is found used.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <vmmu/vmmu.h>

#include "base/race.h"
#include "faults/roots.h"

#define PAGES      256
#define ROUNDS     400
#define ROUNDS_MAX 100000
/* Rounds go on until so many agings found something. */
#define WANTED 300
#define HVA    (UINT64_C(1) << 40)

static struct vmmu_vm *vm;
static struct vmmu_vcpu *vcpus[RACE_THREADS_MAX];
static unsigned vcpu_count;
static _Atomic bool is_over;
static _Atomic uint64_t aged, bugs;
static unsigned page_shift;

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){
		.pfn = 4096 + ((request->hva - HVA) >> page_shift), .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void on_bug(void *ctx, const char *what)
{
	(void)ctx;
	fprintf(stderr, "bug: %s\n", what);
	bugs++;
}

static void *age_main(void *unused)
{
	struct vmmu_hva_range range = {HVA, HVA + ((uint64_t)PAGES << page_shift)};

	(void)unused;
	vmmu_thread_register();
	while (!is_over) {
		aged += vmmu_test_age(vm, &range) == 1;
		aged += vmmu_age(vm, &range) == 1;
	}
	vmmu_thread_unregister();
	return NULL;
}

static void *fault_main(void *arg)
{
	struct vmmu_vcpu *vcpu = arg;
	unsigned n = 0;

	vmmu_thread_register();
	while (!is_over) {
		struct vmmu_fault fault = {.gpa = (uint64_t)(n * 7 % PAGES) << page_shift,
					   .access = n % 3 ? VMMU_WRITE : VMMU_READ};
		struct vmmu_root root;

		n++;
		if (vmmu_vcpu_root(vcpu, &root, NULL) || vmmu_fault(vcpu, &fault) < 0)
			bugs++;
	}
	vmmu_thread_unregister();
	return NULL;
}

static int set_slot(unsigned as_id, unsigned id, uint64_t gfn, unsigned flags)
{
	struct vmmu_slot slot = {.as_id = as_id,
				 .id = id,
				 .flags = flags,
				 .gpa = gfn << page_shift,
				 .bytes = (uint64_t)PAGES << page_shift,
				 .hva = HVA};

	return vmmu_slot_set(vm, &slot);
}

/* One round of what the host does: an alias moves, pages go, logging flips, everything goes. */
static int disturb(unsigned n)
{
	struct vmmu_hva_range range = {HVA + ((uint64_t)(n % PAGES) << page_shift),
				       HVA + ((uint64_t)(n % PAGES + 1) << page_shift)};
	int err = vmmu_invalidate_begin(vm, &range) || vmmu_invalidate_end(vm, &range);

	if (n % 8 == 0)
		err |= set_slot(0, 1, PAGES * (1 + n / 8 % 2), 0);
	if (n % 16 == 4)
		err |= set_slot(1, 0, 0, n / 16 % 2 ? VMMU_SLOT_LOG_DIRTY : 0);
	if (n % 32 == 9)
		err |= vmmu_zap_all(vm);
	return err;
}

static int make_vm(const char *format)
{
	static const struct vmmu_env env = {
		.size = sizeof(env), .resolve = resolve, .on_bug = on_bug};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = vmmu_format_find(format),
					  .env = &env,
					  .address_spaces = 2};

	page_shift = vmmu_format_info(options.format)->geometry->page_shift;
	if (vmmu_vm_create(&options, &vm) || set_slot(0, 0, 0, 0) || set_slot(1, 0, 0, 0))
		return 1;
	for (unsigned i = 0; i < vcpu_count; i++)
		if (vmmu_vcpu_create(vm, i, &vcpus[i]) || vmmu_vcpu_set_as(vcpus[i], i % 2))
			return 1;
	return 0;
}

static int run(const char *format)
{
	struct race race = race_begin(2, ROUNDS);
	pthread_t threads[RACE_THREADS_MAX + 1];
	struct vmmu_audit audit;
	int err = make_vm(format);

	is_over = false;
	aged = 0;
	err |= pthread_create(&threads[0], NULL, age_main, NULL);
	for (unsigned i = 0; i < vcpu_count; i++)
		err |= pthread_create(&threads[i + 1], NULL, fault_main, vcpus[i]);
	for (unsigned n = 0; !err && (race_goes_on(&race, n) ||
				      (race_lacks(&race, aged, WANTED) && n < ROUNDS_MAX));
	     n++)
		err |= disturb(n);
	is_over = true;
	for (unsigned i = 0; i <= vcpu_count; i++)
		pthread_join(threads[i], NULL);
	err |= vmmu_audit(vm, &audit, NULL, NULL) || audit.violations;
	vmmu_vm_destroy(vm);
	printf("%s: %llu times something young, error %d\n", format, (unsigned long long)aged, err);
	return err || !aged;
}

int main(void)
{
	vmmu_thread_register();
	vcpu_count = race_threads(2);
	return run("ept4") || run("sv48x4") || bugs;
}
