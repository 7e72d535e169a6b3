/* SPDX-License-Identifier: MIT */
/*
 * Many VMs: ALIVE of them at once, each with a slot, a vCPU and a mapped page, of all formats in
 * turn; then MADE created and destroyed one after the other, after which the process is no larger.
 * Without arguments smaller numbers than a soak's: many_vms ALIVE MADE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vmmu/vmmu.h>

#include "faults/roots.h"

#include "base/mem.h"
#include "base/sanitize.h"

struct one {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
};

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = 77 + request->gfn, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static int make(unsigned n, struct one *one)
{
	static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .root = test_root(), .env = &env};
	struct vmmu_fault fault = {.gpa = 3 << 16, .access = VMMU_WRITE};
	struct vmmu_slot slot = {.bytes = 1 << 20};
	unsigned formats = 1;

	while (vmmu_format_at(formats))
		formats++;
	options.format = vmmu_format_at(n % formats);
	if (vmmu_vm_create(&options, &one->vm) || vmmu_slot_set(one->vm, &slot) ||
	    vmmu_vcpu_create(one->vm, 0, &one->vcpu))
		return 1;
	return vmmu_fault(one->vcpu, &fault) != VMMU_FIXED;
}

/* Each VM has just its own page. */
static int check(const struct one *one)
{
	struct vmmu_stats stats;
	struct vmmu_walk walk;

	vmmu_vm_stats(one->vm, &stats);
	return vmmu_walk(one->vm, 0, 3 << 16, &walk) || walk.entry.kind != VMMU_ENTRY_LEAF ||
	       walk.pfn != 77 + walk.gfn || stats.mapped[1] != 1;
}

static long resident_kib(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
		resident = -1;
	if (file)
		fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int all_alive(unsigned count)
{
	struct one *all = calloc(count, sizeof(*all));
	long before = resident_kib();
	double start = now();
	unsigned made;
	int err = !all;

	for (made = 0; made < count && !err; made++)
		err = make(made, &all[made]);
	if (made)
		printf("%u alive: %.1f us and %ld KiB each\n", made, (now() - start) / made,
		       (resident_kib() - before) / (long)made);
	for (unsigned n = 0; n < made && !err; n++)
		err = check(&all[n]);
	for (unsigned n = 0; n < made; n++)
		vmmu_vm_destroy(all[n].vm);
	free(all);
	return err;
}

static int one_after_another(unsigned count)
{
	long before = resident_kib(), after;
	size_t blocks = mem_live();
	double start = now();
	struct one one;
	int err = 0;

	for (unsigned n = 0; n < count && !err; n++) {
		err = make(n, &one);
		vmmu_vm_destroy(one.vm);
	}
	after = resident_kib();
	printf("%u made: %.1f us each, %ld KiB before, %ld after\n", count, (now() - start) / count,
	       before, after);
	/* AddressSanitizer's own books grow with every mapping. */
	return err || mem_live() != blocks || (!BASE_HAS_ASAN && after > before + 4096);
}

int main(int argc, char **argv)
{
	unsigned alive = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
	unsigned made = argc > 2 ? (unsigned)atoi(argv[2]) : 2000;
	struct one one;

	vmmu_thread_register();
	/* Whatever the process needs once. */
	if (!alive || !made || make(0, &one))
		return 2;
	vmmu_vm_destroy(one.vm);
	return all_alive(alive) || one_after_another(made);
}
