/* SPDX-License-Identifier: MIT */
/*
 * Faults in tdp roots, whose writers share the tables: the one form in which the library maps for
 * several at a time. One thread here; for more see vmmu_threads.c.
 */
#include <stdlib.h>

#include "bench.h"
#include "guest.h"

/* What was written since the last time is told, and protected again. */
static void reap_dirt(struct bench_run *run, const struct guest *guest, enum workload workload,
		      uint64_t expected)
{
	uint64_t *bitmap = calloc(guest->pages / 64 + 1, sizeof(*bitmap));
	struct vmmu_dirty_range all = {.pages = guest->pages, .bitmap = bitmap};
	uint64_t count, cleared;

	bench_expect(run, bitmap != NULL);
	bench_begin(run);
	bench_expect(run, !vmmu_dirty_get(guest->vm, 0, 0, bitmap, guest->pages, &count) &&
				  !vmmu_dirty_clear(guest->vm, &all, &cleared));
	bench_end(run, workload, expected);
	bench_expect(run, count == expected && cleared == expected);
	free(bitmap);
}

/* Every STEPth page is written, and the log read. */
static void write_some(struct bench_run *run, const struct guest *guest, enum workload workload,
		       uint64_t step)
{
	uint64_t count = (guest->pages + step - 1) / step;

	bench_expect(run, guest_write(guest, guest->vcpu, 0, guest->pages, step,
				      VMMU_FAULT_PRESENT) == count);
	reap_dirt(run, guest, workload, count);
}

static void tdp_pages(struct bench_run *run)
{
	uint64_t pages = run->sizes->pages, fixed;
	struct guest guest;

	guest_open(run, &guest, pages, VMMU_ROOT_TDP, 1);
	guest_warm(run, &guest);
	guest_measure(run, &guest, TDP_FRESH, 0);
	guest_clear(run, &guest);
	bench_begin(run);
	fixed = guest_write_order(&guest, run->order, pages);
	bench_end(run, TDP_RANDOM, pages);
	bench_expect(run, fixed == pages);
	bench_begin(run);
	guest_log(run, &guest);
	bench_end(run, TDP_LOG, pages);
	write_some(run, &guest, TDP_DIRTY_1, 100);
	write_some(run, &guest, TDP_DIRTY_50, 2);
	guest_measure(run, &guest, TDP_FAST, VMMU_FAULT_PRESENT);
	reap_dirt(run, &guest, TDP_DIRTY_100, pages);
	guest_close(&guest);
}

static void tdp_blocks(struct bench_run *run)
{
	struct guest guest;

	guest_open(run, &guest, run->sizes->blocks * (GUEST_BLOCK / GUEST_PAGE), VMMU_ROOT_TDP, 2);
	guest_warm(run, &guest);
	guest_measure(run, &guest, TDP_BLOCKS, 0);
	guest_close(&guest);
}

static void tdp_prefault(struct bench_run *run, enum workload workload,
			 const struct guest_options *options)
{
	uint64_t bytes = options->pages * GUEST_PAGE, done;
	struct guest guest;

	guest_open_for(run, &guest, options);
	guest_warm(run, &guest);
	bench_begin(run);
	bench_expect(run, !vmmu_prefault(guest.vcpu, GUEST_GPA, bytes, &done));
	bench_end(run, workload, bytes / guest.step);
	bench_expect(run, done == bytes);
	guest_close(&guest);
}

static void tdp_ahead(struct bench_run *run)
{
	struct guest_options options = {
		.pages = run->sizes->pages, .root = VMMU_ROOT_TDP, .level = 1};

	tdp_prefault(run, TDP_PREFAULT_EACH, &options);
	options.tells_ahead = true;
	tdp_prefault(run, TDP_PREFAULT, &options);
	options.pages = run->sizes->blocks * (GUEST_BLOCK / GUEST_PAGE);
	options.level = 2;
	tdp_prefault(run, TDP_PREFAULT_BLOCKS, &options);
}

void bench_tdp(struct bench_run *run)
{
	tdp_pages(run);
	tdp_blocks(run);
	tdp_ahead(run);
}
