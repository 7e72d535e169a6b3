// SPDX-License-Identifier: MIT
/* The stand's life, its host, its environment. */
#include "machine/stand.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_VA      (UINT64_C(1) << 46)
#define TABLES_HPA   (UINT64_C(1) << 32)
#define TABLES_ALIGN (UINT64_C(1) << 21)
/* Frame 0 of the host's pages: aligned to every level-2 page, behind the tables. */
#define RAM_HPA (UINT64_C(1) << 36)

struct criterion_test_params stand_formats(void)
{
	static unsigned indexes[64];
	unsigned count = 0;
	struct vmmu_hw_cpu cpu;

	for (unsigned i = 0; i < 64 && vmmu_format_at(i); i++)
		if (!vmmu_machine_registers(vmmu_format_at(i), &cpu))
			indexes[count++] = i;
	return cr_make_param_array(unsigned, indexes, count);
}

/* Memory */

static uint64_t *host_word(struct stand *stand, uint64_t hpa)
{
	uint64_t pfn = (hpa - RAM_HPA) >> stand->shift, page = UINT64_C(1) << stand->shift;
	struct host_page *host;

	if (hpa - TABLES_HPA < stand->tables_bytes)
		return (uint64_t *)(void *)(stand->tables + (hpa - TABLES_HPA));
	if (hpa < RAM_HPA || pfn >= stand->pfn_count || !stand->owner[pfn]) {
		stand->wild_count++;
		return NULL;
	}
	host = &stand->host[stand->owner[pfn] - 1];
	if (!host->memory)
		host->memory = calloc(1, page);
	cr_assert_not_null(host->memory);
	return &host->memory[(hpa & (page - 1)) / 8];
}

static int bus_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	uint64_t *word = host_word(ctx, hpa);

	cr_assert_eq(bytes, 8);
	if (!word)
		return -1;
	*value = atomic_load((_Atomic uint64_t *)word);
	return 0;
}

static int bus_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	uint64_t *word = host_word(ctx, hpa);

	cr_assert_eq(bytes, 8);
	if (!word)
		return -1;
	return !atomic_compare_exchange_strong((_Atomic uint64_t *)word, &old_value, new_value);
}

struct vmmu_hw_bus stand_bus(struct stand *stand)
{
	return (struct vmmu_hw_bus){.ctx = stand, .load = bus_load, .swap = bus_swap};
}

/* Host */

/* COUNT free frames, aligned to themselves: single ones from the upper half. */
static uint64_t host_free_frames(struct stand *stand, uint64_t count)
{
	uint64_t half = stand->pfn_count / 2, blocks = half / count;
	uint64_t base = count == 1 ? half : 0, at = stand_below(stand, blocks);

	for (uint64_t tries = 0; tries < blocks; tries++, at = (at + 1) % blocks) {
		uint64_t used = 0;

		for (uint64_t i = 0; i < count && !used; i++)
			used = stand->owner[base + at * count + i];
		if (!used)
			return base + at * count;
	}
	cr_assert_fail("the stand's host has too few frames");
	return 0;
}

static void host_place(struct stand *stand, uint64_t index, uint64_t count, unsigned level)
{
	uint64_t at = host_free_frames(stand, count), base = RAM_HPA >> stand->shift;

	for (uint64_t i = 0; i < count; i++) {
		struct host_page *page = &stand->host[index + i];

		if (page->pfn)
			stand->owner[page->pfn - base] = 0;
		page->pfn = base + at + i;
		page->level = level;
		if (level > 1) {
			/* one mapping: all of it is alike */
			page->is_absent = false;
			page->is_read_only = false;
		}
		stand->owner[at + i] = (uint32_t)(index + i + 1);
	}
}

uint64_t stand_host_va(uint64_t index)
{
	return HOST_VA + (index << 12);
}

void stand_host_move(struct stand *stand, uint64_t index, uint64_t count, unsigned level)
{
	struct vmmu_hva_range range = {HOST_VA + (index << stand->shift),
				       HOST_VA + ((index + count) << stand->shift)};

	cr_assert_eq(vmmu_invalidate_begin(stand->vm, &range), 0);
	host_place(stand, index, count, level);
	cr_assert_eq(vmmu_invalidate_end(stand->vm, &range), 0);
}

/* Environment */

static enum vmmu_resolve_status env_resolve(void *ctx, const struct vmmu_page_request *request,
					    struct vmmu_page *page)
{
	struct stand *stand = ctx;
	struct host_page *host = &stand->host[(request->hva - HOST_VA) >> stand->shift];

	if (host->is_absent)
		return VMMU_RESOLVE_UNMAPPED;
	if ((request->flags & VMMU_RESOLVE_NO_FAULT) && host->is_read_only)
		return VMMU_RESOLVE_UNMAPPED;
	if (request->access == VMMU_WRITE && host->is_read_only)
		return VMMU_RESOLVE_READ_ONLY;
	*page = (struct vmmu_page){
		.pfn = host->pfn, .level = host->level, .writable = !host->is_read_only};
	return VMMU_RESOLVE_OK;
}

static unsigned env_host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct stand *stand = ctx;

	(void)gfn;
	return stand->host[(hva - HOST_VA) >> stand->shift].level;
}

/* All that is alike around a page is in one piece, whatever its level. */
static unsigned env_host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct stand *stand = ctx;
	uint64_t index = (hva - HOST_VA) >> stand->shift, pages = 1;
	const struct host_page *page = &stand->host[index];
	unsigned lg2 = 0;

	(void)gfn;
	for (; pages < stand->large; pages *= 2, lg2++) {
		uint64_t start = index - (page->pfn & (2 * pages - 1));

		for (uint64_t i = start; i < start + 2 * pages; i++)
			if (i >= stand->host_count || stand->host[i].is_absent ||
			    stand->host[i].pfn != page->pfn + i - index ||
			    stand->host[i].is_read_only != page->is_read_only)
				return lg2;
	}
	return lg2;
}

static void env_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct stand *stand = ctx;
	struct vmmu_flush changed = *flush;

	if (stand->plant == PLANT_NO_FLUSH && !flush->local)
		return;
	if (stand->plant == PLANT_NO_LOCAL_FLUSH && flush->local)
		return;
	if (stand->plant == PLANT_SHORT)
		changed.gfn_end--;
	if (stand->plant == PLANT_WRONG_SPACE)
		changed.as_id ^= 1;
	vmmu_machine_flush(stand->machine, &changed);
}

static void env_kick(void *ctx, unsigned vcpu_id)
{
	struct stand *stand = ctx;

	vmmu_machine_kick(stand->machine, vcpu_id);
}

static void env_event(void *ctx, const struct vmmu_event *event)
{
	vmmu_machine_event(((struct stand *)ctx)->machine, event);
}

static void env_on_bug(void *ctx, const char *what)
{
	(void)ctx;
	cr_assert_fail("on_bug: %s", what);
}

static void keep_finding(void *ctx, const struct vmmu_stale *stale)
{
	struct stand *stand = ctx;

	if (stand->stale_count < STAND_KEPT)
		stand->stale[stand->stale_count] = *stale;
	stand->stale_count++;
}

bool stand_found(const struct stand *stand, enum vmmu_stale_kind kind)
{
	for (unsigned i = 0; i < stand->stale_count && i < STAND_KEPT; i++)
		if (stand->stale[i].kind == kind)
			return true;
	return false;
}

/* Life */

static void make_host(struct stand *stand)
{
	stand->host_count = STAND_BLOCKS * stand->large;
	stand->pfn_count = 16 * stand->large;
	stand->host = calloc(stand->host_count, sizeof(*stand->host));
	stand->owner = calloc(stand->pfn_count, sizeof(*stand->owner));
	cr_assert(stand->host && stand->owner);
	for (uint64_t block = 0; block < STAND_BLOCKS; block++)
		host_place(stand, block * stand->large, stand->large, 2);
}

static void make_cpus(struct stand *stand, const struct stand_options *options)
{
	struct vmmu_cpu_options cpu = {
		.size = sizeof(cpu),
		.tlb = {.combined = options->tlb_entries,
			.leaves = options->tlb_entries,
			.tables = options->tlb_entries,
			.ways = options->tlb_ways},
	};

	stand->cpu_count = options->cpus ? options->cpus : STAND_CPUS;
	for (unsigned i = 0; i < stand->cpu_count; i++) {
		cr_assert_eq(vmmu_vcpu_create(stand->vm, i, &stand->vcpu[i]), 0);
		cpu.vcpu = stand->vcpu[i];
		cpu.id = i;
		cr_assert_eq(vmmu_cpu_create(stand->machine, &cpu, &stand->cpu[i]), 0);
	}
}

static void make_vm(struct stand *stand, const struct stand_options *options)
{
	struct vmmu_env env = {
		.size = sizeof(env),
		.resolve = env_resolve,
		.host_level = env_host_level,
		.flush = env_flush,
		.kick = env_kick,
		.on_bug = env_on_bug,
		.event = options->has_events ? env_event : NULL,
		.host_span = options->has_spans ? env_host_span : NULL,
	};
	struct vmmu_vm_options vm = {
		.size = sizeof(vm),
		.format = stand->format,
		.env = &env,
		.env_ctx = stand,
		.tables_hpa = TABLES_HPA,
		.tables_bytes = stand->tables_bytes,
		.address_spaces = options->address_spaces,
		.nx_huge = options->nx_huge,
		.eager_split = options->eager_split,
		.mode = options->mode,
		.tables = stand->tables,
		.root = options->root,
		.dirty_flags = options->dirty_flags,
		.dirty_ring_entries = options->ring_entries,
		.dirty_source = options->dirty_source,
	};

	cr_assert_eq(vmmu_vm_create(&vm, &stand->vm), 0);
	cr_assert_eq(vmmu_machine_attach(stand->machine, stand->vm), 0);
}

struct stand *stand_make(const struct vmmu_format *format, const struct stand_options *given)
{
	const struct stand_options defaults = {.has_events = true, .tlb_entries = 256};
	const struct stand_options *options = given ? given : &defaults;
	struct stand *stand = calloc(1, sizeof(*stand));
	struct vmmu_machine_options machine = {
		.size = sizeof(machine),
		.flushing = options->flushing,
		.finding = keep_finding,
		.finding_ctx = stand,
	};

	cr_assert_not_null(stand);
	stand->format = format;
	stand->info = vmmu_format_info(format);
	stand->shift = stand->info->geometry->page_shift;
	stand->large = UINT64_C(1) << (stand->info->geometry->shift[2] - stand->shift);
	stand->draw = draw_from_seed(2605);
	stand->as_count = options->address_spaces ? options->address_spaces : 1;
	stand->tables_bytes = options->tables_bytes ? options->tables_bytes : UINT64_C(16) << 20;
	stand->tables = aligned_alloc(TABLES_ALIGN, stand->tables_bytes < TABLES_ALIGN
							    ? TABLES_ALIGN
							    : stand->tables_bytes);
	cr_assert_not_null(stand->tables);
	machine.bus = stand_bus(stand);
	cr_assert_eq(vmmu_machine_create(&machine, &stand->machine), 0);
	make_host(stand);
	make_vm(stand, options);
	make_cpus(stand, options);
	return stand;
}

void stand_end(struct stand *stand)
{
	vmmu_machine_destroy(stand->machine);
	vmmu_vm_destroy(stand->vm);
	for (uint64_t i = 0; i < stand->host_count; i++)
		free(stand->host[i].memory);
	free(stand->host);
	free(stand->owner);
	free(stand->tables);
	free(stand);
}

/* Slots: see stand.h; those from 3 on are the same in address space 1. */

void stand_slot(struct stand *stand, unsigned id, unsigned flags)
{
	uint64_t large = stand->large;
	const struct {
		uint64_t gfn, pages, host;
	} places[STAND_SLOTS] = {
		{0, large, 0}, {large, large, large},     {2 * large, 40, 2 * large + 7},
		{0, large, 0}, {large, large, 3 * large}, {2 * large + 3, 40, 4 * large},
	};
	struct vmmu_slot slot = {
		.as_id = id / 3,
		.id = id,
		.flags = flags,
		.gpa = stand_gpa(stand, places[id].gfn),
		.bytes = places[id].pages << stand->shift,
		.hva = HOST_VA + (places[id].host << stand->shift),
	};

	cr_assert_eq(vmmu_slot_set(stand->vm, &slot), 0);
	stand->slot[id] = slot;
	stand->is_slot_used[id] = true;
}

void stand_slot_delete(struct stand *stand, unsigned id)
{
	struct vmmu_slot slot = stand->slot[id];

	slot.bytes = 0;
	cr_assert_eq(vmmu_slot_set(stand->vm, &slot), 0);
	stand->is_slot_used[id] = false;
}

const struct vmmu_slot *stand_slot_at(const struct stand *stand, unsigned as_id, uint64_t gfn)
{
	for (unsigned i = 0; i < STAND_SLOTS; i++) {
		const struct vmmu_slot *slot = &stand->slot[i];

		if (stand->is_slot_used[i] && slot->as_id == as_id &&
		    stand_gpa(stand, gfn) - slot->gpa < slot->bytes)
			return slot;
	}
	return NULL;
}

struct host_page *stand_host_of(struct stand *stand, unsigned as_id, uint64_t gfn)
{
	const struct vmmu_slot *slot = stand_slot_at(stand, as_id, gfn);
	uint64_t hva = slot->hva + stand_gpa(stand, gfn) - slot->gpa;

	return &stand->host[(hva - HOST_VA) >> stand->shift];
}

void stand_op(struct stand *stand, const char *operation)
{
	vmmu_machine_operation(stand->machine, operation);
}

void stand_expect_clean(struct stand *stand)
{
	const struct vmmu_stale *first = &stand->stale[0];

	vmmu_machine_check(stand->machine);
	cr_assert_eq(stand->stale_count, 0,
		     "%s: %s: %s, vCPU %d as %u gpa %#llx level %u: %#llx, now %#llx",
		     stand->info->name, first->operation, vmmu_stale_name(first->kind),
		     (int)first->vcpu_id, first->as_id, (unsigned long long)first->gpa,
		     first->level, (unsigned long long)first->old_pte,
		     (unsigned long long)first->new_pte);
	cr_assert_eq(stand->wild_count, 0);
}

int stand_check(struct stand *stand)
{
	return vmmu_machine_check(stand->machine);
}
