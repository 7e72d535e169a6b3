/* SPDX-License-Identifier: MIT */
/*
 * Threads map and give WRITE back in shared updates, all the same pages in all sizes; another one
 * unmaps and write-protects in exclusive ones. Every page that is mapped leads where it should at
 * all times, and the books are right in the end. A plain program, so that it runs under
 * ThreadSanitizer too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <vmmu/vmmu.h>

#include "base/race.h"

#define ROUNDS 300
#define MAPS   4000
#define PAGES  UINT64_C(4096) /* eight tables of smallest pages */
#define LARGE  UINT64_C(512)
#define SHIFT  12
/* Frames: pages 0 to PAGES / 2 can be large. */
#define FRAME(page) ((UINT64_C(1) << 20) + (page) + ((page) >= PAGES / 2))

static struct vmmu_vm *vm;
static struct vmmu_vcpu *vcpus[RACE_THREADS_MAX];
static struct vmmu_attr attr;
static atomic_bool stop;
static atomic_ulong maps;

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

/* Some pages of one half. */
static void draw(struct random_state *random, uint64_t *page, uint64_t *count)
{
	static const uint64_t counts[] = {1, 1, 1, 7, 64, LARGE, LARGE, 2 * LARGE + 3};
	uint64_t half = random_below(random, 2) * (PAGES / 2);

	*count = counts[random_below(random, 8)];
	*page = random_below(random, PAGES / 2 - *count + 1);
	if (random_below(random, 2))
		*page = *page / LARGE * LARGE;
	*page += half;
}

static void check(uint64_t page)
{
	uint64_t hpa = vmmu_translate_once(vm, 0, page << SHIFT);

	MUST(hpa == VMMU_NOT_MAPPED || hpa == FRAME(page) << SHIFT);
}

static void *mapper(void *arg)
{
	struct vmmu_vcpu **vcpu = arg;
	struct random_state random = race_random((unsigned)(vcpu - vcpus) + 1);
	struct vmmu_update update;
	uint64_t page, count, done;

	vmmu_thread_register();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		int err;

		draw(&random, &page, &count);
		MUST(!vmmu_update_begin_shared(*vcpu, &update));
		if (random_below(&random, 4)) {
			err = vmmu_map(&update, page << SHIFT, FRAME(page) << SHIFT, count << SHIFT,
				       &attr, &done);
			/* else it met what is write-protected */
			MUST(err == -EEXIST || (!err && done == count << SHIFT));
		} else {
			err = vmmu_write_allow(&update, page << SHIFT, count << SHIFT, &done);
			/* else it met a large page */
			MUST(err == -ENOTSUP || (!err && done == count << SHIFT));
		}
		vmmu_update_end(&update);
		atomic_fetch_add_explicit(&maps, 1, memory_order_relaxed);
		check(page);
	}
	vmmu_thread_unregister();
	return NULL;
}

static void change(struct random_state *random)
{
	struct vmmu_update update;
	uint64_t page, count;

	draw(random, &page, &count);
	MUST(!vmmu_update_begin(vm, 0, &update));
	if (random_below(random, 3))
		MUST(!vmmu_unmap(&update, page << SHIFT, count << SHIFT, NULL));
	else
		MUST(!vmmu_write_protect(&update, page << SHIFT, count << SHIFT, NULL));
	vmmu_update_end(&update);
	check(page);
}

/* All is mapped, each page where it should be; then nothing is, and all tables went back. */
static void finish(void)
{
	struct vmmu_update update;
	struct vmmu_audit audit;
	struct vmmu_stats stats;

	MUST(!vmmu_audit(vm, &audit, NULL, NULL) && !audit.violations);
	MUST(!vmmu_update_begin(vm, 0, &update));
	MUST(!vmmu_write_allow(&update, 0, PAGES << SHIFT, NULL));
	for (uint64_t half = 0; half < PAGES; half += PAGES / 2)
		MUST(!vmmu_map(&update, half << SHIFT, FRAME(half) << SHIFT, PAGES / 2 << SHIFT,
			       &attr, NULL));
	vmmu_update_end(&update);
	for (uint64_t page = 0; page < PAGES; page++)
		MUST(vmmu_translate_once(vm, 0, page << SHIFT) == FRAME(page) << SHIFT);
	MUST(!vmmu_audit(vm, &audit, NULL, NULL) && !audit.violations);
	MUST(!vmmu_update_begin(vm, 0, &update));
	MUST(!vmmu_unmap(&update, 0, UINT64_C(1) << 40, NULL));
	vmmu_update_end(&update);
	vmmu_vm_stats(vm, &stats);
	MUST(stats.tables == 1 && !stats.mapped[1] && !stats.mapped[2]);
}

static void run(const char *format)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find(format),
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	struct race race = race_begin(3, ROUNDS);
	struct random_state random = race_random(0);
	unsigned count = race_threads(3);
	pthread_t threads[RACE_THREADS_MAX];
	uint64_t round;

	MUST(!vmmu_vm_create(&options, &vm));
	MUST(!vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr));
	atomic_store(&stop, false);
	atomic_store(&maps, 0);
	for (unsigned i = 0; i < count; i++) {
		MUST(!vmmu_vcpu_create(vm, i, &vcpus[i]));
		MUST(!pthread_create(&threads[i], NULL, mapper, &vcpus[i]));
	}
	for (round = 0; race_goes_on(&race, round) || race_lacks(&race, maps, MAPS); round++)
		change(&random);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%s: %lu shared updates beside %llu others\n", format, atomic_load(&maps),
	       (unsigned long long)round);
	finish();
	vmmu_vm_destroy(vm);
}

int main(void)
{
	vmmu_thread_register();
	run("ept4");
	run("sv48x4");
	run("arm-s2-4k");
	vmmu_thread_unregister();
	return 0;
}
