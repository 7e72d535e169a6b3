/* SPDX-License-Identifier: MIT */
/*
 * Threads play hardware: they set accessed and dirty in entries that let it, as x86 does, with
 * atomics of its own. Meanwhile ranges are write-protected, again and again. Each dirty or accessed
 * bit that hardware set must be found afterwards: set 0 to 1 as often as taken 1 to 0. A plain
 * program, so that it runs under ThreadSanitizer too.
 *
 * The bits are ept4's, from the manual: write 1, accessed 8, dirty 9. Nothing in the library clears
 * A and D of such a VM yet, so the test does it itself, and says so in the table's record.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <vmmu/vmmu.h>

#include "base/race.h"
#include "faults/vm.h"

#define WRITE    (UINT64_C(1) << 1)
#define ACCESSED (UINT64_C(1) << 8)
#define DIRTY    (UINT64_C(1) << 9)
#define PAGES    UINT64_C(512)
/*
 * At least so many rounds, and on until hardware did so much; more rounds than that are hopeless.
 */
#define ROUNDS      400
#define HITS        50000
#define ROUNDS_MOST 300000
#define GPA         (PAGES << 12)

static _Atomic uint64_t *entries;
static atomic_bool stop;
static atomic_ulong hits; /* stores that set a bit */
/* Of each thread that plays hardware: accessed, dirty. */
static uint64_t hardware_set[RACE_THREADS_MAX][2];
static uint64_t harvested[2];

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

/* A store to a page: sets A, and D if the entry lets it. */
static void hardware_write(_Atomic uint64_t *ptep, uint64_t was_set[2])
{
	uint64_t pte = atomic_load_explicit(ptep, memory_order_relaxed), set;

	do {
		set = ACCESSED | (pte & WRITE ? DIRTY : 0);
		if ((pte & set) == set)
			return;
	} while (!atomic_compare_exchange_weak_explicit(ptep, &pte, pte | set, memory_order_relaxed,
							memory_order_relaxed));
	atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
	was_set[0] += !(pte & ACCESSED);
	was_set[1] += (set & DIRTY) && !(pte & DIRTY);
}

static void *hardware(void *was_set)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		for (unsigned i = 0; i < PAGES; i++)
			hardware_write(&entries[i], was_set);
	return NULL;
}

/* Take A and D away and count them; give WRITE back. */
static void harvest(unsigned i, uint64_t give)
{
	uint64_t pte = atomic_fetch_and(&entries[i], ~(ACCESSED | DIRTY));

	harvested[0] += !!(pte & ACCESSED);
	harvested[1] += !!(pte & DIRTY);
	atomic_fetch_or(&entries[i], give);
}

/* Whole tables in even rounds, pieces in odd ones. */
static int protect(struct vmmu_vm *vm, unsigned round)
{
	struct vmmu_update update;
	int err = vmmu_update_begin(vm, 0, &update);

	if (err)
		return err;
	if (round % 2)
		err = vmmu_write_protect(&update, GPA + (round % 100 << 12), 300 << 12, NULL);
	else
		err = vmmu_write_protect(&update, GPA, PAGES << 12, NULL);
	vmmu_update_end(&update);
	return err;
}

static int map(struct vmmu_vm *vm)
{
	struct vmmu_update update;
	struct vmmu_attr attr;
	struct vmmu_walk walk;
	struct table *table;

	if (vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr) ||
	    vmmu_update_begin(vm, 0, &update))
		return -1;
	/* frames that no large page fits */
	if (vmmu_map(&update, GPA, 1 << 12, PAGES << 12, &attr, NULL))
		return -1;
	vmmu_update_end(&update);
	if (vmmu_walk(vm, 0, GPA, &walk))
		return -1;
	entries = frame_ptr(&vm->tree.frames, walk.pte_hpa);
	table = frame_meta(&vm->tree.frames, (const void *)entries);
	table->has_volatile = true;
	for (unsigned i = 0; i < PAGES; i++)
		harvest(i, 0);
	memset(harvested, 0, sizeof(harvested));
	return 0;
}

static int run(struct vmmu_vm *vm)
{
	struct race race = race_begin(1, ROUNDS);
	unsigned count = race_threads(1), round;
	pthread_t threads[RACE_THREADS_MAX];
	int failed = 0;

	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, hardware, hardware_set[i]))
			return -1;
	for (round = 0; !failed && (race_goes_on(&race, round) ||
				    (race_lacks(&race, hits, HITS) && round < ROUNDS_MOST));
	     round++) {
		failed = protect(vm, round);
		for (unsigned i = 0; i < PAGES; i++)
			harvest(i, WRITE);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < PAGES; i++)
		harvest(i, 0);
	return failed;
}

int main(void)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find("ept4"),
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	struct vmmu_vm *vm;
	int failed;

	vmmu_thread_register();
	if (vmmu_vm_create(&options, &vm) || map(vm))
		return 2;
	failed = run(vm);
	vmmu_vm_destroy(vm);
	vmmu_thread_unregister();
	for (unsigned i = 1; i < RACE_THREADS_MAX; i++) {
		hardware_set[0][0] += hardware_set[i][0];
		hardware_set[0][1] += hardware_set[i][1];
	}
	for (unsigned i = 0; i < 2; i++)
		printf("%s: set %llu times, found %llu times\n", i ? "dirty" : "accessed",
		       (unsigned long long)hardware_set[0][i], (unsigned long long)harvested[i]);
	/* a run in which hardware had nothing to do would prove nothing */
	return failed || !hardware_set[0][1] || hardware_set[0][0] != harvested[0] ||
	       hardware_set[0][1] != harvested[1];
}
