/* SPDX-License-Identifier: MIT */
/*
 * Live migration of a guest that runs all the while. Each vCPU writes numbers that only grow into
 * pages, by way of a model of the hardware with a TLB; the host moves pages, drops everything,
 * ages. A thread switches logging on, copies all memory to a second image, then what was written
 * meanwhile, several times; stops the vCPUs, copies the rest, and finds both images equal. Then
 * logging is switched off, and it begins anew: for each way to log, on both kinds of roots at once.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <vmmu/vmmu.h>

#include "base/race.h"
#include "machine/machine.h"

#define PAGES        200 /* three words of a log and a bit of a fourth */
#define WORDS        4
#define HVA          (UINT64_C(1) << 40)
#define GPA(gfn)     ((uint64_t)(gfn) << 12)
#define TABLES_HPA   (UINT64_C(4) << 30)
#define TABLES_BYTES (UINT64_C(16) << 20)
#define VCPUS_MAX    RACE_THREADS_MAX
#define LOG_MAX      512
#define PASSES       4 /* copies before the vCPUs are stopped */

/* A way to log. */
struct way {
	const char *name, *format;
	unsigned flags;
	uint32_t ring_entries;
	enum vmmu_dirty_source source;
};

struct world;

struct rider {
	struct world *world;
	struct vmmu_vcpu *vcpu;
	unsigned id;
	/* Held during each access, and by whoever flushes or kicks. */
	pthread_mutex_t lock;
	bool is_kicked;
	struct vmmu_tlb *tlb;
	struct vmmu_hw_cpu registers;
	struct vmmu_hw_walk walk;
	uint64_t log[LOG_MAX]; /* hardware's */
	unsigned log_count;
	uint64_t number;
	_Atomic uint64_t accesses;
	atomic_bool is_stopped;
};

struct world {
	const struct way *way;
	struct vmmu_vm *vm;
	void *tables;
	struct rider riders[VCPUS_MAX];
	unsigned count;
	_Atomic uint64_t now[PAGES];      /* memory, by host page */
	_Atomic uint64_t editions[PAGES]; /* how often the host moved it */
	uint64_t image[PAGES];            /* the second image: the migrating thread's */
	pthread_mutex_t reap;             /* from harvest to reset; pending */
	bool pending[PAGES];              /* to be copied */
	atomic_bool must_stop, is_over;
	uint64_t copied, rounds;
};

/* The environment */

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct world *world = ctx;
	uint64_t index = (request->hva - HVA) >> 12;

	MUST(index < PAGES);
	*page = (struct vmmu_page){.pfn = atomic_load(&world->editions[index]) * PAGES + index,
				   .level = 1,
				   .writable = true};
	return VMMU_RESOLVE_OK;
}

/* A TLB forgets when its vCPU is not in the middle of an access, as an interrupt would do. */
static void flush(void *ctx, const struct vmmu_flush *range)
{
	struct world *world = ctx;

	for (unsigned i = 0; i < world->count; i++) {
		struct rider *rider = &world->riders[i];

		if (range->local && range->vcpu_id != i)
			continue;
		pthread_mutex_lock(&rider->lock);
		vmmu_tlb_forget(rider->tlb, range->as_id, GPA(range->gfn_start),
				range->gfn_end >> 52 ? VMMU_TLB_ANY : GPA(range->gfn_end));
		pthread_mutex_unlock(&rider->lock);
	}
}

static void kick(void *ctx, unsigned vcpu_id)
{
	struct world *world = ctx;
	struct rider *rider = &world->riders[vcpu_id];

	pthread_mutex_lock(&rider->lock);
	rider->is_kicked = true;
	pthread_mutex_unlock(&rider->lock);
}

static void on_bug(void *ctx, const char *what)
{
	(void)ctx;
	fprintf(stderr, "bug: %s\n", what);
	abort();
}

static _Atomic uint64_t *word_at(struct world *world, uint64_t hpa)
{
	MUST(hpa - TABLES_HPA < TABLES_BYTES);
	return (_Atomic uint64_t *)world->tables + (hpa - TABLES_HPA) / 8;
}

static int load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	MUST(bytes == 8);
	*value = atomic_load(word_at(ctx, hpa));
	return 0;
}

static int swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	MUST(bytes == 8);
	return !atomic_compare_exchange_strong(word_at(ctx, hpa), &old_value, new_value);
}

/* What was written */

static void note_pending(struct world *world, uint64_t page)
{
	MUST(page < PAGES);
	world->pending[page] = true;
}

/* Empty the rings, in the order that loses nothing: harvest, reset, and copy afterwards. */
static void reap_rings(struct world *world)
{
	struct vmmu_dirty_page pages[64];
	uint64_t count;

	pthread_mutex_lock(&world->reap);
	do {
		MUST(!vmmu_dirty_ring_harvest(world->vm, pages, 64, &count));
		for (uint64_t i = 0; i < count; i++)
			note_pending(world, pages[i].page);
	} while (count == 64);
	MUST(!vmmu_dirty_ring_reset(world->vm, NULL));
	pthread_mutex_unlock(&world->reap);
}

static void note_bitmap(struct world *world, const uint64_t *bits)
{
	for (uint64_t page = 0; page < WORDS * 64; page++)
		if (bits[page / 64] >> (page % 64) & 1)
			note_pending(world, page);
}

static void read_bitmap(struct world *world)
{
	struct vmmu_dirty_range range = {.pages = PAGES};
	uint64_t bits[WORDS];

	MUST(!vmmu_dirty_get(world->vm, 0, 0, bits, WORDS * 64, NULL));
	note_bitmap(world, bits);
	range.bitmap = bits;
	if (world->way->flags & VMMU_DIRTY_MANUAL)
		MUST(!vmmu_dirty_clear(world->vm, &range, NULL));
}

/* Copy what was written since the last time. */
static void copy_pass(struct world *world)
{
	bool pending[PAGES];

	if (world->way->ring_entries)
		reap_rings(world);
	else
		read_bitmap(world);
	pthread_mutex_lock(&world->reap);
	memcpy(pending, world->pending, sizeof(pending));
	memset(world->pending, 0, sizeof(world->pending));
	pthread_mutex_unlock(&world->reap);
	for (unsigned page = 0; page < PAGES; page++) {
		if (!pending[page])
			continue;
		world->image[page] = atomic_load(&world->now[page]);
		world->copied++;
	}
}

/* The guest */

/* Bring in what hardware has listed. */
static void drain_log(struct rider *rider)
{
	uint64_t at = 0, done;

	while (at < rider->log_count) {
		int err = vmmu_dirty_log(rider->vcpu, rider->log + at, rider->log_count - at,
					 &done);

		MUST(!err || err == -ENOSPC);
		at += done;
		if (err)
			reap_rings(rider->world);
	}
	rider->log_count = 0;
}

static void handle_fault(struct rider *rider, uint64_t gpa, unsigned access)
{
	struct vmmu_fault fault = {.gpa = gpa, .access = access};
	int outcome;

	if (rider->walk.fault.cause == VMMU_HW_LOG_FULL) {
		drain_log(rider);
		return;
	}
	if (rider->walk.fault.cause == VMMU_HW_PERMISSION)
		fault.flags = VMMU_FAULT_PRESENT;
	outcome = vmmu_fault(rider->vcpu, &fault);
	if (outcome == VMMU_EXIT_TO_HOST) {
		MUST(fault.exit == VMMU_EXIT_RING_FULL);
		reap_rings(rider->world);
		return;
	}
	MUST(outcome == VMMU_FIXED || outcome == VMMU_SPURIOUS || outcome == VMMU_RETRY);
}

/* With the rider's lock held: what hardware does. True: the access is done. */
static bool try_access(struct rider *rider, uint64_t gpa, unsigned access)
{
	struct vmmu_hw_bus bus = {rider->world, load, swap};
	struct vmmu_hw_access asked = {.gva = gpa, .access = access};
	struct vmmu_hw_gpa final = {.gpa = gpa, .purpose = VMMU_HW_FINAL};
	uint64_t page;
	int err;

	if (rider->registers.arch == VMMU_HW_EPT)
		rider->registers.u.x86.pml_index = (uint16_t)(LOG_MAX - 1 - rider->log_count);
	do {
		err = vmmu_tlb_translate_gpa(rider->tlb, &rider->registers, &bus, 0, &asked, &final,
					     &rider->walk);
	} while (err == -EAGAIN); /* others change entries as we do */
	MUST(!err);
	for (unsigned i = 0; i < rider->walk.log_count; i++)
		rider->log[rider->log_count++] = rider->walk.log[i];
	if (rider->walk.status != VMMU_HW_OK)
		return false;
	page = (rider->walk.combined.output >> 12) % PAGES;
	MUST(page == gpa >> 12);
	if (access == VMMU_WRITE)
		atomic_store_explicit(&rider->world->now[page],
				      ++rider->number * VCPUS_MAX + rider->id,
				      memory_order_relaxed);
	return true;
}

/* One access, from the root to the end. */
static void access_page(struct rider *rider, uint64_t gpa, unsigned access)
{
	for (bool is_done = false; !is_done;) {
		struct vmmu_root root;
		bool flush_local, is_kicked;

		pthread_mutex_lock(&rider->lock);
		rider->is_kicked = false;
		pthread_mutex_unlock(&rider->lock);
		MUST(!vmmu_vcpu_root(rider->vcpu, &root, &flush_local));
		pthread_mutex_lock(&rider->lock);
		if (flush_local)
			vmmu_tlb_clear(rider->tlb);
		is_kicked = rider->is_kicked;
		if (!is_kicked) {
			registers_set_root(&rider->registers, root.hpa, 0);
			is_done = try_access(rider, gpa, access);
		}
		pthread_mutex_unlock(&rider->lock);
		if (!is_kicked && !is_done)
			handle_fault(rider, gpa, access);
	}
	atomic_fetch_add_explicit(&rider->accesses, 1, memory_order_relaxed);
}

static void stand_still(struct rider *rider)
{
	drain_log(rider);
	atomic_store(&rider->is_stopped, true);
	while (atomic_load(&rider->world->must_stop))
		sched_yield();
	atomic_store(&rider->is_stopped, false);
}

static void *ride(void *arg)
{
	struct rider *rider = arg;
	struct random_state random = race_random(2 + rider->id);

	vmmu_thread_register();
	while (!atomic_load(&rider->world->is_over)) {
		uint64_t draw = random_u64(&random);
		/* A few pages are written all the time, most now and then. */
		uint64_t page = draw % 4 ? draw / 16 % 8 * 25 : draw / 16 % PAGES;

		if (atomic_load(&rider->world->must_stop))
			stand_still(rider);
		access_page(rider, GPA(page) + draw % 4096 / 8 * 8,
			    draw / 8 % 8 ? VMMU_WRITE : VMMU_READ);
		if (draw % 64 == 0)
			sched_yield();
	}
	drain_log(rider);
	vmmu_thread_unregister();
	return NULL;
}

/* The host: moves pages with what is in them, ages them, drops everything. */
static void *disturb(void *arg)
{
	struct world *world = arg;
	struct random_state random = race_random(0);

	vmmu_thread_register();
	for (unsigned n = 0; !atomic_load(&world->is_over); n++) {
		uint64_t page = random_u64(&random) % (PAGES - 3);
		struct vmmu_hva_range range = {HVA + GPA(page), HVA + GPA(page + 3)};

		MUST(!vmmu_invalidate_begin(world->vm, &range));
		for (unsigned i = 0; i < 3; i++)
			atomic_fetch_add(&world->editions[page + i], 1);
		MUST(!vmmu_invalidate_end(world->vm, &range));
		MUST(vmmu_age(world->vm, &(struct vmmu_hva_range){HVA, range.end}) >= 0);
		if (n % 64 == 63)
			MUST(!vmmu_zap_all(world->vm));
		for (unsigned i = 0; i < 20; i++)
			sched_yield();
	}
	vmmu_thread_unregister();
	return NULL;
}

/* Migration */

static void set_logging(struct world *world, unsigned flags)
{
	struct vmmu_slot slot = {.flags = flags, .bytes = GPA(PAGES), .hva = HVA};

	MUST(!vmmu_slot_set(world->vm, &slot));
}

/* Let the guest do something. */
static void wait_for_accesses(struct world *world, uint64_t count)
{
	for (unsigned i = 0; i < world->count; i++) {
		_Atomic uint64_t *accesses = &world->riders[i].accesses;
		uint64_t before = atomic_load(accesses);

		while (atomic_load(accesses) - before < count)
			sched_yield();
	}
}

static void stop_guest(struct world *world)
{
	atomic_store(&world->must_stop, true);
	for (unsigned i = 0; i < world->count; i++)
		while (!atomic_load(&world->riders[i].is_stopped))
			sched_yield();
}

static void let_guest_go(struct world *world)
{
	atomic_store(&world->must_stop, false);
	for (unsigned i = 0; i < world->count; i++)
		while (atomic_load(&world->riders[i].is_stopped))
			sched_yield();
}

static void migrate_once(struct world *world)
{
	memset(world->image, 0xff, sizeof(world->image));
	set_logging(world, VMMU_SLOT_LOG_DIRTY);
	/* With all bits set initially, the first pass is the first copy. */
	for (unsigned page = 0; page < PAGES && !(world->way->flags & VMMU_DIRTY_INITIALLY_SET);
	     page++)
		world->image[page] = atomic_load(&world->now[page]);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		wait_for_accesses(world, 50);
		copy_pass(world);
	}
	stop_guest(world);
	copy_pass(world);
	for (unsigned page = 0; page < PAGES; page++)
		MUST(world->image[page] == atomic_load(&world->now[page]));
	let_guest_go(world);
	set_logging(world, 0);
	if (world->way->ring_entries)
		reap_rings(world); /* what was written meanwhile is nobody's business */
	memset(world->pending, 0, sizeof(world->pending));
	wait_for_accesses(world, 20);
	world->rounds++;
}

static void rider_make(struct world *world, unsigned id)
{
	struct vmmu_tlb_options tlb = {.size = sizeof(tlb), .combined = 1, .leaves = 256};
	struct rider *rider = &world->riders[id];

	rider->world = world;
	rider->id = id;
	MUST(!pthread_mutex_init(&rider->lock, NULL));
	MUST(!vmmu_machine_registers(vmmu_vm_format(world->vm), &rider->registers));
	if (rider->registers.arch == VMMU_HW_EPT)
		rider->registers.u.x86.has_pml = world->way->source == VMMU_DIRTY_BY_LOG;
	tlb.arch = rider->registers.arch;
	MUST(!vmmu_tlb_create(&tlb, &rider->tlb));
	MUST(!vmmu_vcpu_create(world->vm, id, &rider->vcpu));
	MUST(!vmmu_vcpu_set_root(rider->vcpu, id % 2 ? VMMU_ROOT_DIRECT : VMMU_ROOT_TDP));
}

static void world_end(struct world *world)
{
	struct vmmu_audit audit;

	MUST(!vmmu_audit(world->vm, &audit, NULL, NULL));
	MUST(audit.checked && !audit.violations);
	vmmu_vm_destroy(world->vm);
	for (unsigned i = 0; i < world->count; i++) {
		vmmu_tlb_destroy(world->riders[i].tlb);
		pthread_mutex_destroy(&world->riders[i].lock);
	}
	munmap(world->tables, TABLES_BYTES);
	pthread_mutex_destroy(&world->reap);
	free(world);
}

static struct world *world_make(const struct way *way)
{
	static const struct vmmu_env env = {.size = sizeof(env),
					    .resolve = resolve,
					    .flush = flush,
					    .kick = kick,
					    .on_bug = on_bug};
	struct world *world = calloc(1, sizeof(*world));
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find(way->format),
					  .env = &env,
					  .env_ctx = world,
					  .tables_hpa = TABLES_HPA,
					  .tables_bytes = TABLES_BYTES,
					  .root = VMMU_ROOT_TDP,
					  .dirty_flags = way->flags,
					  .dirty_ring_entries = way->ring_entries,
					  .dirty_source = way->source};

	MUST(world);
	world->way = way;
	MUST(!pthread_mutex_init(&world->reap, NULL));
	world->tables = mmap(NULL, TABLES_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(world->tables != MAP_FAILED);
	options.tables = world->tables;
	MUST(!vmmu_vm_create(&options, &world->vm));
	return world;
}

static void run(const struct way *way, unsigned count, unsigned parts)
{
	struct race race = race_begin(parts, 40);
	struct world *world = world_make(way);
	pthread_t threads[VCPUS_MAX + 1];

	set_logging(world, 0);
	for (unsigned i = 0; i < count; i++)
		rider_make(world, i);
	world->count = count;
	for (unsigned i = 0; i < count; i++)
		MUST(!pthread_create(&threads[i], NULL, ride, &world->riders[i]));
	MUST(!pthread_create(&threads[count], NULL, disturb, world));
	while (race_goes_on(&race, world->rounds))
		migrate_once(world);
	atomic_store(&world->is_over, true);
	for (unsigned i = 0; i <= count; i++)
		MUST(!pthread_join(threads[i], NULL));
	printf("%s, %s: %llu migrations, %llu pages copied again\n", way->format, way->name,
	       (unsigned long long)world->rounds, (unsigned long long)world->copied);
	world_end(world);
}

int main(void)
{
	static const struct way ways[] = {
		{"get", "ept4", 0, 0, VMMU_DIRTY_BY_FAULTS},
		{"get", "ept4-noad", 0, 0, VMMU_DIRTY_BY_FAULTS},
		{"get", "sv48x4", 0, 0, VMMU_DIRTY_BY_FAULTS},
		{"get", "arm-s2-4k", 0, 0, VMMU_DIRTY_BY_FAULTS},
		{"clear", "ept4", VMMU_DIRTY_MANUAL, 0, VMMU_DIRTY_BY_FAULTS},
		{"clear, initially set", "arm-s2-4k", VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET,
		 0, VMMU_DIRTY_BY_FAULTS},
		{"rings", "ept4", 0, 128, VMMU_DIRTY_BY_FAULTS},
		{"rings", "sv48x4", 0, 128, VMMU_DIRTY_BY_FAULTS},
		{"bits", "ept4", 0, 0, VMMU_DIRTY_BY_BITS},
		{"bits, clear", "npt4", VMMU_DIRTY_MANUAL, 0, VMMU_DIRTY_BY_BITS},
		{"bits", "sv48x4-adu", 0, 0, VMMU_DIRTY_BY_BITS},
		{"bits, initially set", "ept4", VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET, 0,
		 VMMU_DIRTY_BY_BITS},
		{"log", "ept4", 0, 0, VMMU_DIRTY_BY_LOG},
		{"log, rings", "ept4", 0, 1024, VMMU_DIRTY_BY_LOG},
	};
	unsigned count = race_threads(2), parts = sizeof(ways) / sizeof(ways[0]);

	vmmu_thread_register();
	for (unsigned i = 0; i < parts; i++)
		run(&ways[i], count, parts);
	vmmu_thread_unregister();
	return 0;
}
