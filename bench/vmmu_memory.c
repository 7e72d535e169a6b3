/* SPDX-License-Identifier: MIT */
/*
 * What mapping by 4K pages takes, beside the memory that is mapped: tables, and all that the
 * process grew by beyond them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "guest.h"

#define GIB (UINT64_C(1) << 30)

/* Bytes of memory that the process has now. */
static uint64_t resident_bytes(const struct bench_run *run)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	uint64_t kib = 0;
	char line[256];

	bench_expect(run, file != NULL);
	while (!kib && fgets(line, sizeof(line), file))
		if (!strncmp(line, "Rss:", 4))
			kib = strtoull(line + 4, NULL, 10);
	fclose(file);
	bench_expect(run, kib);
	return kib * 1024;
}

static void print_figure(const struct bench_run *run, const char *name, const char *figure,
			 uint64_t bytes)
{
	double gib = (double)(run->sizes->memory_pages * GUEST_PAGE) / (double)GIB;

	printf("%s\t%s\t%s\t%.0f\n", run->subject, name, figure, (double)bytes / gib);
}

static void measure(struct bench_run *run, const char *name, enum vmmu_root_mode root)
{
	uint64_t pages = run->sizes->memory_pages, before, grown;
	struct vmmu_stats stats;
	struct guest guest;

	before = resident_bytes(run);
	guest_open(run, &guest, pages, root, 1);
	bench_expect(run, guest_write(&guest, guest.vcpu, 0, pages, 1, 0) == pages);
	grown = resident_bytes(run) - before;
	vmmu_vm_stats(guest.vm, &stats);
	bench_expect(run, stats.mapped[1] == pages && grown > stats.table_bytes);
	print_figure(run, name, "table_bytes", stats.table_bytes);
	print_figure(run, name, "more_bytes", grown - stats.table_bytes);
	guest_close(&guest);
}

void bench_memory(struct bench_run *run)
{
	measure(run, "memory-direct", VMMU_ROOT_DIRECT);
	measure(run, "memory-tdp", VMMU_ROOT_TDP);
}
