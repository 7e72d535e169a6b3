/* SPDX-License-Identifier: MIT */
/*
 * Many vCPUs of tdp roots, and one of a direct root, in a VM whose host changes between large and
 * small pages, while slots change, writes are logged, pages age, memory becomes private and shared,
 * and everything is dropped. What
 * must hold at any moment, whoever wins:
 *
 * 	between begin and end of an invalidation, no gfn of its range is mapped
 * 	a mapped frame is one that the host has had for that very page
 * 	when all is quiet: frames are the current ones, the audit is clean
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <vmmu/vmmu.h>

#include "base/race.h"

#define BLOCKS   3 /* large pages of memory; the last one's slot comes and goes */
#define BLOCK    512
#define HVA      (UINT64_C(1) << 40)
#define GPA(gfn) ((uint64_t)(gfn) << 12)
#define WAYS     6 /* of running it */

struct world {
	struct vmmu_vm *vm;
	/* Of a block: bit 0, it is one large page; above, how often it was replaced */
	_Atomic uint64_t blocks[BLOCKS];
	atomic_bool is_over;
	struct race race, slots_race;
	/* pages may be written by those that ask for it alone, so that groups are taken apart */
	bool is_shy;
};

struct rider {
	struct world *world;
	struct vmmu_vcpu *vcpu;
	unsigned id;
	uint64_t outcomes[VMMU_OUTCOMES];
};

/* A frame tells which page it is of, and which edition. */
static uint64_t frame_of(uint64_t state, uint64_t index)
{
	return (state >> 1) * BLOCKS * BLOCK + index;
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct world *world = ctx;
	uint64_t index = (request->hva - HVA) >> 12, state;

	MUST(index < BLOCKS * BLOCK);
	if (request->flags & VMMU_RESOLVE_PRIVATE)
		return VMMU_RESOLVE_UNMAPPED;
	state = atomic_load(&world->blocks[index / BLOCK]);
	*page = (struct vmmu_page){
		.pfn = frame_of(state, index),
		.level = state & 1 ? 2 : 1,
		.writable = !world->is_shy || request->access == VMMU_WRITE,
	};
	return VMMU_RESOLVE_OK;
}

/* A block at a time, and where pages are not shy. */
static unsigned resolve_ahead(void *ctx, const struct vmmu_page_request *request, uint64_t count,
			      struct vmmu_page_run *runs, unsigned max)
{
	uint64_t left = BLOCK - ((request->hva - HVA) >> 12) % BLOCK;
	enum vmmu_resolve_status status = resolve(ctx, request, &runs->page);

	MUST(max);
	runs->pages = count < left ? count : left;
	return status == VMMU_RESOLVE_OK;
}

static unsigned host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct world *world = ctx;

	(void)gfn;
	return atomic_load(&world->blocks[((hva - HVA) >> 12) / BLOCK]) & 1 ? 2 : 1;
}

/* A block is of one edition. */
static unsigned host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	(void)ctx, (void)hva, (void)gfn;
	return 9;
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

/* What is mapped is a frame that this page has had. */
static void check_walk(struct world *world, uint64_t gfn)
{
	struct vmmu_walk walk;

	if (!vmmu_walk(world->vm, 0, GPA(gfn), &walk) && walk.entry.kind == VMMU_ENTRY_LEAF)
		MUST(walk.pfn % (BLOCKS * BLOCK) == gfn);
}

static void ride_once(struct rider *rider, struct random_state *random)
{
	/* The first pages of a block, so that riders meet; now and then where no memory is. */
	uint64_t block = random_u64(random) % (BLOCKS + 1), page = random_u64(random) % 8;
	struct vmmu_fault fault = {.gpa = GPA(block * BLOCK + page),
				   .access = 1u << random_u64(random) % 3};
	struct vmmu_root root;
	int outcome;

	MUST(!vmmu_vcpu_root(rider->vcpu, &root, NULL));
	if (random_u64(random) % 2)
		fault.flags = VMMU_FAULT_PRESENT;
	if (random_u64(random) % 8 == 0)
		fault.max_level = 1;
	outcome = vmmu_fault(rider->vcpu, &fault);
	MUST(outcome >= 0);
	rider->outcomes[outcome]++;
	if (block < BLOCKS)
		check_walk(rider->world, block * BLOCK + page);
	/* Some change kinds now and then, some nap. */
	if (rider->id == 0 && random_u64(random) % 512 == 0)
		MUST(!vmmu_vcpu_set_root(rider->vcpu, random_u64(random) % 2 ? VMMU_ROOT_TDP
									     : VMMU_ROOT_DIRECT));
	if (random_u64(random) % 16 == 0)
		sched_yield();
}

/* Map some of a block, or of two, ahead. */
static void prefault(struct rider *rider, struct random_state *random)
{
	uint64_t block = random_u64(random) % BLOCKS, page = random_u64(random) % 2 * 5;
	uint64_t count = random_u64(random) % 2 ? 6 : BLOCK + 3, done;
	int err = vmmu_prefault(rider->vcpu, GPA(block * BLOCK + page), GPA(count), &done);

	/* -EFAULT: private pages */
	MUST(!err || err == -ENOENT || err == -EAGAIN || err == -EFAULT);
	MUST(!err == (done > 0));
	check_walk(rider->world, block * BLOCK + page);
}

static void *ride(void *arg)
{
	struct rider *rider = arg;
	struct random_state random = race_random(2 + rider->id);

	vmmu_thread_register();
	/* some at least, however late this thread comes */
	for (unsigned n = 0; n < 64 || !atomic_load(&rider->world->is_over); n++)
		if (random_u64(&random) % 32)
			ride_once(rider, &random);
		else
			prefault(rider, &random);
	vmmu_thread_unregister();
	return NULL;
}

/* The host: replaces blocks by large pages or small ones, looks that they are gone meanwhile. */
static void *change_host(void *arg)
{
	struct world *world = arg;
	struct random_state random = race_random(0);

	vmmu_thread_register();
	for (unsigned n = 0; race_goes_on(&world->race, n); n++) {
		uint64_t block = random_u64(&random) % BLOCKS;
		struct vmmu_hva_range range = {HVA + GPA(block * BLOCK),
					       HVA + GPA((block + 1) * BLOCK)};

		MUST(!vmmu_invalidate_begin(world->vm, &range));
		for (uint64_t page = 0; page < 8; page++) {
			struct vmmu_walk walk;

			if (!vmmu_walk(world->vm, 0, GPA(block * BLOCK + page), &walk))
				MUST(walk.entry.kind != VMMU_ENTRY_LEAF);
		}
		atomic_fetch_add(&world->blocks[block], 2 - (n % 2 ? 0 : 1));
		MUST(!vmmu_invalidate_end(world->vm, &range));
		MUST(vmmu_age(world->vm, &(struct vmmu_hva_range){HVA, range.end}) >= 0);
		sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

static struct vmmu_slot slot_of(unsigned id, unsigned flags)
{
	uint64_t first = id ? BLOCKS - 1 : 0, count = id ? 1 : BLOCKS - 1;

	return (struct vmmu_slot){
		.id = id,
		.flags = flags,
		.gpa = GPA(first * BLOCK),
		.bytes = GPA(count * BLOCK),
		.hva = HVA + GPA(first * BLOCK),
	};
}

/* Pages that become private are gone, as nobody asks for private ones; then they are shared. */
static void convert(struct world *world)
{
	MUST(!vmmu_attributes_set(world->vm, GPA(4), GPA(BLOCK), VMMU_ATTRIBUTE_PRIVATE));
	for (uint64_t gfn = 4; gfn < 8; gfn++) {
		struct vmmu_walk walk;

		if (!vmmu_walk(world->vm, 0, GPA(gfn), &walk))
			MUST(walk.entry.kind != VMMU_ENTRY_LEAF);
	}
	sched_yield();
	MUST(!vmmu_attributes_set(world->vm, 0, GPA(2 * BLOCK), 0));
}

/* Slot 0 stays and has its logging switched; slot 1 comes and goes. */
static void *change_slots(void *arg)
{
	static uint64_t bits[BLOCKS * BLOCK / 64];
	struct world *world = arg;

	vmmu_thread_register();
	for (unsigned n = 0; race_goes_on(&world->slots_race, n); n++) {
		struct vmmu_slot slot = slot_of(0, n & 1 ? VMMU_SLOT_LOG_DIRTY : 0);

		MUST(!vmmu_slot_set(world->vm, &slot));
		if (n % 4 == 3) {
			slot = slot_of(1, 0);
			slot.bytes = 0;
			MUST(!vmmu_slot_set(world->vm, &slot));
			slot = slot_of(1, 0);
			MUST(!vmmu_slot_set(world->vm, &slot));
		}
		vmmu_dirty_get(world->vm, 0, 0, bits, BLOCKS * BLOCK, NULL);
		if (n % 32 == 31)
			MUST(!vmmu_zap_all(world->vm));
		if (n % 8 == 5)
			convert(world);
		MUST(!vmmu_nx_recover(world->vm, 2, NULL));
		sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	(void)ctx;
	fprintf(stderr, "audit: %s\n", finding->text);
}

static void check_quiet(struct world *world)
{
	struct vmmu_audit audit;

	for (uint64_t gfn = 0; gfn < BLOCKS * BLOCK; gfn++) {
		struct vmmu_walk walk;

		if (vmmu_walk(world->vm, 0, GPA(gfn), &walk) || walk.entry.kind != VMMU_ENTRY_LEAF)
			continue;
		MUST(walk.pfn == frame_of(atomic_load(&world->blocks[gfn / BLOCK]), gfn));
	}
	MUST(!vmmu_audit(world->vm, &audit, print_finding, NULL));
	MUST(audit.checked && !audit.violations);
}

static void run_threads(struct world *world, struct rider *riders, unsigned count)
{
	pthread_t threads[RACE_THREADS_MAX + 2];

	for (unsigned i = 0; i < count; i++)
		MUST(!pthread_create(&threads[i], NULL, ride, &riders[i]));
	MUST(!pthread_create(&threads[count], NULL, change_host, world));
	MUST(!pthread_create(&threads[count + 1], NULL, change_slots, world));
	MUST(!pthread_join(threads[count], NULL));
	MUST(!pthread_join(threads[count + 1], NULL));
	atomic_store(&world->is_over, true);
	for (unsigned i = 0; i < count; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static void run(const char *format, enum vmmu_slot_zap slot_zap, unsigned count)
{
	const struct vmmu_env env = {
		.size = sizeof(env),
		.resolve = resolve,
		.host_level = host_level,
		.host_span = host_span,
		.resolve_ahead = slot_zap == VMMU_SLOT_ZAP_RANGE ? resolve_ahead : NULL,
		.flush = flush,
		.on_bug = on_bug};
	const struct vmmu_geometry *geometry = vmmu_format_info(vmmu_format_find(format))->geometry;
	struct world world = {.race = race_begin(WAYS, 400),
			      .slots_race = race_begin(WAYS, 100),
			      .is_shy = geometry->group_lg2[1]};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find(format),
					  .env = &env,
					  .env_ctx = &world,
					  .root = VMMU_ROOT_TDP,
					  .nx_huge = slot_zap == VMMU_SLOT_ZAP_RANGE,
					  .slot_zap = slot_zap,
					  .eager_split = true};
	struct rider riders[RACE_THREADS_MAX] = {0};
	uint64_t fixed = 0, tried = 0;
	struct vmmu_stats stats;

	MUST(!vmmu_vm_create(&options, &world.vm));
	for (unsigned id = 0; id < 2; id++) {
		struct vmmu_slot slot = slot_of(id, 0);

		MUST(!vmmu_slot_set(world.vm, &slot));
	}
	for (unsigned i = 0; i < count; i++) {
		riders[i] = (struct rider){.world = &world, .id = i};
		MUST(!vmmu_vcpu_create(world.vm, i, &riders[i].vcpu));
	}
	MUST(!vmmu_vcpu_set_root(riders[0].vcpu, VMMU_ROOT_DIRECT));
	run_threads(&world, riders, count);
	check_quiet(&world);
	for (unsigned i = 0; i < count; i++) {
		fixed += riders[i].outcomes[VMMU_FIXED];
		tried += riders[i].outcomes[VMMU_RETRY];
	}
	vmmu_vm_stats(world.vm, &stats);
	printf("%s: %llu fixed, %llu retried, %llu ahead, groups %llu - %llu\n", format,
	       (unsigned long long)fixed, (unsigned long long)tried,
	       (unsigned long long)stats.prefaulted, (unsigned long long)stats.grouped,
	       (unsigned long long)stats.ungrouped);
	MUST(fixed && stats.prefaulted && (!world.is_shy || (stats.grouped && stats.ungrouped)));
	vmmu_vm_destroy(world.vm);
}

int main(void)
{
	unsigned count = race_threads(4);

	vmmu_thread_register();
	run("ept4", VMMU_SLOT_ZAP_ALL, count);
	run("ept4", VMMU_SLOT_ZAP_RANGE, count);
	run("sv48x4", VMMU_SLOT_ZAP_ALL, count);
	run("arm-s2-4k", VMMU_SLOT_ZAP_RANGE, count);
	run("arm-s2-4k-cont", VMMU_SLOT_ZAP_RANGE, count);
	run("sv39x4-napot", VMMU_SLOT_ZAP_ALL, count);
	vmmu_thread_unregister();
	return 0;
}
