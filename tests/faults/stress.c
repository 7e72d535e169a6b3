/* SPDX-License-Identifier: MIT */
/*
 * vCPUs fault while a host thread takes pages away and a third thread changes slots, reads
 * dirty logs and drops everything. What must hold at any moment, whoever wins:
 *
 * 	between begin and end of an invalidation, no gfn of its range is mapped
 * 	a mapped frame is one that the host has had for that very page
 * 	when all is quiet: the frames are the current ones, the audit is clean
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <vmmu/vmmu.h>

#include "base/race.h"
#include "faults/roots.h"
#include "format/outside.h"

#define PAGES   64
#define HVA     (UINT64_C(1) << 40)
#define VCPUS   2 /* unless told otherwise */
#define CHANGES 15000
#define UPDATES 1000

struct world {
	struct vmmu_vm *vm;
	unsigned page_shift;
	/* frame of host page i: version * PAGES + i, so that a frame tells whose it is */
	_Atomic uint64_t frames[PAGES];
	atomic_bool is_over; /* the guests may stop */
	struct race changes, updates;
};

struct rider {
	struct world *world;
	struct vmmu_vcpu *vcpu;
	unsigned id;
	uint64_t granted, faults;
};

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct world *world = ctx;
	uint64_t index = (request->hva - HVA) >> world->page_shift;

	MUST(index < PAGES);
	*page = (struct vmmu_page){
		.pfn = atomic_load(&world->frames[index]), .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static void flush(void *ctx, const struct vmmu_flush *range)
{
	(void)ctx;
	MUST(range->gfn_start < range->gfn_end);
}

static void on_bug(void *ctx, const char *what)
{
	(void)ctx;
	fprintf(stderr, "bug: %s\n", what);
	abort();
}

static void *ride(void *arg)
{
	struct rider *rider = arg;
	struct random_state random = race_random(2 + rider->id);

	vmmu_thread_register();
	/* some at least, however late this thread comes */
	for (unsigned n = 0; n < 64 || !atomic_load(&rider->world->is_over); n++) {
		uint64_t gfn = random_u64(&random) % PAGES;
		struct vmmu_fault fault = {.gpa = gfn << rider->world->page_shift,
					   .access = 1u << random_u64(&random) % 3};
		struct vmmu_root root;
		struct vmmu_walk walk;
		bool flush_local;

		MUST(!vmmu_vcpu_root(rider->vcpu, &root, &flush_local));
		if (!vmmu_walk(rider->world->vm, 0, fault.gpa, &walk) &&
		    walk.entry.kind == VMMU_ENTRY_LEAF) {
			MUST(walk.pfn % PAGES == gfn);
			if (walk.access & fault.access) {
				if (!(++rider->granted % 64))
					sched_yield();
				continue;
			}
			fault.flags = VMMU_FAULT_PRESENT;
		}
		MUST(vmmu_fault(rider->vcpu, &fault) >= 0);
		rider->faults++;
		sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

/* The host: takes a few pages away, looks that they are gone, gives others. */
static void *change_host(void *arg)
{
	struct world *world = arg;
	struct random_state random = race_random(0);

	vmmu_thread_register();
	for (unsigned n = 0; race_goes_on(&world->changes, n); n++) {
		uint64_t first = random_u64(&random) % (PAGES - 4), count = 1 + n % 4;
		struct vmmu_hva_range range = {HVA + (first << world->page_shift),
					       HVA + ((first + count) << world->page_shift)};

		MUST(!vmmu_invalidate_begin(world->vm, &range));
		for (uint64_t i = first; i < first + count; i++) {
			struct vmmu_walk walk;

			if (!vmmu_walk(world->vm, 0, i << world->page_shift, &walk))
				MUST(walk.entry.kind != VMMU_ENTRY_LEAF);
			atomic_fetch_add(&world->frames[i], PAGES);
		}
		MUST(!vmmu_invalidate_end(world->vm, &range));
		sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

static struct vmmu_slot half(const struct world *world, unsigned id, unsigned flags)
{
	uint64_t bytes = (uint64_t)(PAGES / 2) << world->page_shift;

	return (struct vmmu_slot){
		.id = id,
		.flags = flags,
		.gpa = id * bytes,
		.bytes = bytes,
		.hva = HVA + id * bytes,
	};
}

/* Slot 0 stays and has its logging switched; slot 1 comes and goes. */
static void *change_slots(void *arg)
{
	struct world *world = arg;
	uint64_t bits[PAGES / 64 + 1];

	vmmu_thread_register();
	for (unsigned n = 0; race_goes_on(&world->updates, n); n++) {
		struct vmmu_slot slot = half(world, 0, n & 1 ? VMMU_SLOT_LOG_DIRTY : 0);

		MUST(!vmmu_slot_set(world->vm, &slot));
		if (n % 8 == 7) {
			slot = half(world, 1, 0);
			slot.bytes = 0;
			MUST(!vmmu_slot_set(world->vm, &slot));
			slot = half(world, 1, 0);
			MUST(!vmmu_slot_set(world->vm, &slot));
		}
		vmmu_dirty_get(world->vm, 0, 0, bits, 64, NULL);
		if (n % 50 == 49)
			MUST(!vmmu_zap_all(world->vm));
		sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

static void check_quiet(struct world *world)
{
	struct vmmu_audit audit;

	for (uint64_t gfn = 0; gfn < PAGES; gfn++) {
		struct vmmu_walk walk;

		if (vmmu_walk(world->vm, 0, gfn << world->page_shift, &walk))
			continue;
		if (walk.entry.kind == VMMU_ENTRY_LEAF)
			MUST(walk.pfn == atomic_load(&world->frames[gfn]));
	}
	MUST(!vmmu_audit(world->vm, &audit, NULL, NULL));
	MUST(audit.checked && !audit.violations);
}

static void run(const struct vmmu_format *format, unsigned parts)
{
	const struct vmmu_env env = {
		.size = sizeof(env), .resolve = resolve, .flush = flush, .on_bug = on_bug};
	struct world world = {.page_shift = vmmu_format_info(format)->geometry->page_shift};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .root = test_root(),
					  .format = format,
					  .env = &env,
					  .env_ctx = &world};
	struct rider riders[RACE_THREADS_MAX];
	pthread_t threads[RACE_THREADS_MAX + 2];
	unsigned count = race_threads(VCPUS);
	uint64_t granted = 0, faults = 0;

	for (unsigned i = 0; i < PAGES; i++)
		atomic_init(&world.frames[i], PAGES + i);
	MUST(!vmmu_vm_create(&options, &world.vm));
	for (unsigned id = 0; id < 2; id++) {
		struct vmmu_slot slot = half(&world, id, 0);

		MUST(!vmmu_slot_set(world.vm, &slot));
	}
	world.changes = race_begin(parts, CHANGES);
	world.updates = race_begin(parts, UPDATES);
	for (unsigned i = 0; i < count; i++) {
		riders[i] = (struct rider){.world = &world, .id = i};
		MUST(!vmmu_vcpu_create(world.vm, i, &riders[i].vcpu));
		MUST(!pthread_create(&threads[i], NULL, ride, &riders[i]));
	}
	MUST(!pthread_create(&threads[count], NULL, change_host, &world));
	MUST(!pthread_create(&threads[count + 1], NULL, change_slots, &world));
	MUST(!pthread_join(threads[count], NULL));
	MUST(!pthread_join(threads[count + 1], NULL));
	atomic_store(&world.is_over, true);
	for (unsigned i = 0; i < count; i++) {
		MUST(!pthread_join(threads[i], NULL));
		granted += riders[i].granted;
		faults += riders[i].faults;
	}
	check_quiet(&world);
	printf("%s: %llu granted, %llu faults\n", vmmu_format_info(format)->name,
	       (unsigned long long)granted, (unsigned long long)faults);
	MUST(faults);
	vmmu_vm_destroy(world.vm);
}

int main(void)
{
	unsigned parts = 0;

	vmmu_thread_register();
	while (outside_at(parts))
		parts++;
	for (unsigned i = 0; i < parts; i++)
		run(outside_at(i), parts);
	vmmu_thread_unregister();
	return 0;
}
