/* SPDX-License-Identifier: MIT */
#include "interleave/stage.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/must.h"
#include "faults/vm.h"
#include "format/registry.h"
#include "interleave/events.h"
#include "interleave/memory.h"

#define HVA          (UINT64_C(1) << 40)
#define PFN          (UINT64_C(1) << 20) /* frame of page 0, edition 0 */
#define TABLES_BYTES (UINT64_C(8) << 20)

/* A condition of the stage's own, not of what it tests. */
/* A call that may not fail, whatever the schedule. */
static void stage_expect(int err, const char *what)
{
	if (err)
		schedule_blame(VERDICT_CHECK, "%s failed: %d", what, err);
}

static uint64_t stage_gpa(const struct stage *stage, uint64_t gfn)
{
	return gfn << stage->shift;
}

uint64_t stage_pfn(const struct stage *stage, uint64_t gfn)
{
	return PFN + stage->edition[gfn] * STAGE_PAGES + gfn;
}

/* ---- what the VM asks of its environment ---- */

static enum vmmu_resolve_status stage_resolve(void *ctx, const struct vmmu_page_request *request,
					      struct vmmu_page *page)
{
	struct stage *stage = ctx;
	uint64_t gfn = (request->hva - HVA) >> stage->shift;

	MUST(gfn < STAGE_PAGES);
	/* Neighbours are left alone: one page more is one more place to look at. */
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	point_at(POINT_LOAD, &stage->moves, sizeof(stage->moves), "resolve");
	*page = (struct vmmu_page){.pfn = stage_pfn(stage, gfn),
				   .level = stage->is_large ? 2 : 1,
				   .writable = !stage->is_read_only[gfn]};
	return VMMU_RESOLVE_OK;
}

/* The same for many at once, runs of pages that the host moved alike. */
static unsigned stage_resolve_ahead(void *ctx, const struct vmmu_page_request *request,
				    uint64_t count, struct vmmu_page_run *runs, unsigned max)
{
	struct stage *stage = ctx;
	unsigned used = 0;

	point_at(POINT_LOAD, &stage->moves, sizeof(stage->moves), "resolve_ahead");
	for (uint64_t gfn = request->gfn; gfn < request->gfn + count; gfn++) {
		bool is_same = used && stage->edition[gfn] == stage->edition[gfn - 1] &&
			       stage->is_read_only[gfn] == stage->is_read_only[gfn - 1];

		if (!is_same && used == max)
			break;
		if (is_same)
			runs[used - 1].pages++;
		else
			runs[used++] = (struct vmmu_page_run){
				.page = {.pfn = stage_pfn(stage, gfn),
					 .level = stage->is_large ? 2 : 1,
					 .writable = !stage->is_read_only[gfn]},
				.pages = 1};
	}
	return used;
}

static unsigned stage_host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct stage *stage = ctx;

	(void)hva, (void)gfn;
	point_at(POINT_LOAD, &stage->moves, sizeof(stage->moves), "host_level");
	return stage->is_large ? 2 : 1;
}

/* The first pages in one piece, while they are alike. */
static unsigned stage_host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct stage *stage = ctx;

	(void)hva;
	point_at(POINT_LOAD, &stage->moves, sizeof(stage->moves), "host_span");
	if (!stage->is_group || gfn >= STAGE_GROUP)
		return 0;
	for (unsigned i = 1; i < STAGE_GROUP; i++)
		if (stage->edition[i] != stage->edition[0] ||
		    stage->is_read_only[i] != stage->is_read_only[0])
			return 0;
	return 4;
}

static void stage_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct stage *stage = ctx;

	point_at(POINT_HOST, NULL, 0, "flush");
	vmmu_machine_flush(stage->machine, flush);
}

static void stage_kick(void *ctx, unsigned vcpu_id)
{
	struct stage *stage = ctx;

	point_at(POINT_HOST, NULL, 0, "kick");
	vmmu_machine_kick(stage->machine, vcpu_id);
}

static void stage_bug(void *ctx, const char *what)
{
	(void)ctx;
	schedule_blame(VERDICT_CHECK, "the library found a bug: %s", what);
}

/* ---- the bus ---- */

static bool is_walking; /* in vmmu_tlb_translate() */

static _Atomic uint64_t *bus_entry(struct stage *stage, uint64_t hpa)
{
	const struct frame_pool *pool = &stage->vm->tree.frames;

	return frame_has(pool, hpa) ? frame_ptr(pool, hpa) : NULL;
}

static int bus_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	_Atomic uint64_t *entry = bus_entry(ctx, hpa);

	if (!entry || bytes != 8)
		return -1;
	if (is_walking)
		point_touch(entry, false);
	*value = atomic_load(entry);
	return 0;
}

static int bus_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	_Atomic uint64_t *entry = bus_entry(ctx, hpa);

	if (!entry || bytes != 8)
		return -1;
	if (is_walking)
		point_touch(entry, true);
	return !atomic_compare_exchange_strong(entry, &old_value, new_value);
}

/*
 * The linker puts this before the model's own: a walk, and the look into the TLB before it, are one
 * step. Hardware is no more divisible than that: whoever flushes waits for walks under way.
 */
int __real_vmmu_tlb_translate(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
			      const struct vmmu_hw_bus *bus, unsigned space,
			      const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk);
int __wrap_vmmu_tlb_translate(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
			      const struct vmmu_hw_bus *bus, unsigned space,
			      const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk);

int __wrap_vmmu_tlb_translate(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
			      const struct vmmu_hw_bus *bus, unsigned space,
			      const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk)
{
	int err;

	point_at(POINT_GUEST, NULL, 0, "guest");
	is_walking = true;
	err = __real_vmmu_tlb_translate(tlb, cpu, bus, space, access, walk);
	is_walking = false;
	return err;
}

/* ---- its life ---- */

static void stage_stale(void *ctx, const struct vmmu_stale *stale)
{
	(void)ctx;
	schedule_blame(VERDICT_CHECK,
		       "a TLB is stale: %s, vCPU %u gpa %#llx level %u: %#llx, now %#llx",
		       vmmu_stale_name(stale->kind), stale->vcpu_id, (unsigned long long)stale->gpa,
		       stale->level, (unsigned long long)stale->old_pte,
		       (unsigned long long)stale->new_pte);
}

static void stage_make_cpus(struct stage *stage)
{
	for (unsigned i = 0; i < STAGE_CPUS; i++) {
		struct vmmu_cpu_options options = {.size = sizeof(options),
						   .id = i,
						   .tlb = {.size = sizeof(options.tlb),
							   .combined = 4,
							   .leaves = 8,
							   .tables = 8}};

		MUST(!vmmu_vcpu_create(stage->vm, i, &stage->vcpu[i]));
		options.vcpu = stage->vcpu[i];
		MUST(!vmmu_cpu_create(stage->machine, &options, &stage->cpu[i]));
		MUST(!vmmu_cpu_enter(stage->cpu[i]));
		stage->touched[i] = STAGE_PAGES;
	}
}

static void stage_make_vm(struct stage *stage)
{
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = stage_resolve,
			       .host_level = stage_host_level,
			       .host_span = stage_host_span,
			       .resolve_ahead = stage_resolve_ahead,
			       .flush = stage_flush,
			       .kick = stage_kick,
			       .on_bug = stage_bug};
	struct vmmu_machine_options machine = {
		.size = sizeof(machine),
		.bus = {.ctx = stage, .load = bus_load, .swap = bus_swap},
		.finding = stage_stale};
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = stage->kind.format,
		.env = &env,
		.env_ctx = stage,
		.tables_bytes = TABLES_BYTES,
		.max_level = stage->max_level,
		.root = stage->kind.root,
		.slot_zap = stage->kind.slot_zap,
		.dirty_flags = stage->kind.dirty_flags,
		.dirty_source = stage->kind.dirty_source,
		.dirty_ring_entries = stage->kind.has_rings ? VMMU_DIRTY_RING_MIN : 0};

	MUST(!vmmu_machine_create(&machine, &stage->machine));
	MUST(!vmmu_vm_create(&options, &stage->vm));
	memory_frames_are(&stage->vm->tree.frames);
	MUST(!vmmu_machine_attach(stage->machine, stage->vm));
}

void stage_begin(struct stage *stage, const struct stage_kind *kind, bool is_large,
		 unsigned max_level)
{
	memory_reset();
	*stage = (struct stage){.kind = *kind, .is_large = is_large, .max_level = max_level};
	stage->merging = STAGE_PAGES;
	stage->shift = vmmu_format_info(kind->format)->geometry->page_shift;
	stage_make_vm(stage);
	stage_slot(stage, 0);
	stage_make_cpus(stage);
}

void stage_drop(struct stage *stage)
{
	frame_pool_destroy(&stage->vm->tree.frames);
	registry_unpin(stage->kind.format);
	stage->vm = NULL;
}

/* ---- what threads do ---- */

static bool stage_is_frame_of(const struct stage *stage, uint64_t gfn, uint64_t pfn)
{
	uint64_t now = stage_pfn(stage, gfn);

	return pfn == now || (gfn == stage->merging && pfn == now - STAGE_PAGES);
}

/* CPU's access went through, to HPA: may it, and what does it do? Part of the step that walked. */
static void stage_reached(struct stage *stage, uint64_t gfn, unsigned access, uint64_t hpa)
{
	if (!stage->has_slot)
		schedule_blame(VERDICT_CHECK, "gfn %#llx was reached without a slot",
			       (unsigned long long)gfn);
	if (stage->is_away[gfn])
		schedule_blame(VERDICT_CHECK, "gfn %#llx was reached while the host had it",
			       (unsigned long long)gfn);
	if (!stage_is_frame_of(stage, gfn, hpa >> stage->shift))
		schedule_blame(VERDICT_CHECK, "gfn %#llx: frame %#llx was reached, it has %#llx",
			       (unsigned long long)gfn, (unsigned long long)(hpa >> stage->shift),
			       (unsigned long long)stage_pfn(stage, gfn));
	if (access == VMMU_WRITE)
		stage->memory[gfn]++;
}

bool stage_touch(struct stage *stage, unsigned cpu, uint64_t gfn, unsigned access)
{
	struct vmmu_hw_access what = {.gva = stage_gpa(stage, gfn), .access = access, .bytes = 1};
	struct vmmu_access_result result;

	stage->touched[cpu] = gfn;
	stage->access[cpu] = access;
	MUST(!vmmu_cpu_access(stage->cpu[cpu], &what, &result));
	if (result.end == VMMU_ACCESS_DONE) {
		stage_reached(stage, gfn, access, result.part[0].hpa);
		return true;
	}
	/* A slot may go away any time, and its pages are devices' then. */
	if (result.end != VMMU_ACCESS_EMULATE || !stage->slot_goes)
		schedule_blame(VERDICT_CHECK,
			       "an access of gfn %#llx ended by %d, error %d, livelock %d",
			       (unsigned long long)gfn, (int)result.end, result.error,
			       (int)result.livelock);
	return false;
}

int stage_fault(struct stage *stage, unsigned cpu, uint64_t gfn, unsigned access,
		unsigned max_level)
{
	struct vmmu_fault fault = {
		.gpa = stage_gpa(stage, gfn), .access = access, .max_level = max_level};
	int outcome = vmmu_fault(stage->vcpu[cpu], &fault);

	if (outcome < 0)
		schedule_blame(VERDICT_CHECK, "a fault failed: %d", outcome);
	return outcome;
}

void stage_slot(struct stage *stage, unsigned flags)
{
	struct vmmu_slot slot = {
		.flags = flags, .bytes = stage_gpa(stage, STAGE_PAGES), .hva = HVA};

	stage_expect(vmmu_slot_set(stage->vm, &slot), "vmmu_slot_set()");
	stage->has_slot = true;
}

void stage_slot_delete(struct stage *stage)
{
	struct vmmu_slot slot = {.hva = HVA};

	stage->slot_goes = true;
	stage_expect(vmmu_slot_set(stage->vm, &slot), "vmmu_slot_set() to delete");
	point_at(POINT_HOST, NULL, 0, "slot is gone");
	stage->has_slot = false;
}

void stage_move(struct stage *stage, uint64_t gfn, uint64_t count, bool is_large)
{
	struct vmmu_hva_range range = {HVA + stage_gpa(stage, gfn),
				       HVA + stage_gpa(stage, gfn + count)};

	stage_expect(vmmu_invalidate_begin(stage->vm, &range), "vmmu_invalidate_begin()");
	point_at(POINT_HOST, NULL, 0, "host takes pages");
	for (uint64_t i = gfn; i < gfn + count; i++)
		stage->is_away[i] = true;
	point_at(POINT_STORE, &stage->moves, sizeof(stage->moves), "host");
	for (uint64_t i = gfn; i < gfn + count; i++)
		stage->edition[i]++;
	stage->moves++;
	stage->is_large = is_large;
	point_at(POINT_HOST, NULL, 0, "host has other pages");
	for (uint64_t i = gfn; i < gfn + count; i++)
		stage->is_away[i] = false;
	stage_expect(vmmu_invalidate_end(stage->vm, &range), "vmmu_invalidate_end()");
}

static void stage_remap(struct stage *stage, uint64_t gfn, bool is_read_only)
{
	struct vmmu_page page = {.level = 1, .writable = !is_read_only};

	point_at(POINT_HOST, NULL, 0, "host has another page");
	stage->merging = gfn;
	point_at(POINT_STORE, &stage->moves, sizeof(stage->moves), "host");
	stage->edition[gfn]++;
	stage->moves++;
	stage->is_read_only[gfn] = is_read_only;
	page.pfn = stage_pfn(stage, gfn);
	stage_expect(vmmu_remap(stage->vm, HVA + stage_gpa(stage, gfn), &page), "vmmu_remap()");
	point_at(POINT_HOST, NULL, 0, "host takes the old page");
	stage->merging = STAGE_PAGES;
}

void stage_merge(struct stage *stage, uint64_t gfn)
{
	stage_remap(stage, gfn, true);
}

void stage_unmerge(struct stage *stage, uint64_t gfn)
{
	stage_remap(stage, gfn, false);
}

void stage_prefault(struct stage *stage, unsigned cpu, uint64_t gfn, uint64_t count)
{
	int err = vmmu_prefault(stage->vcpu[cpu], stage_gpa(stage, gfn), stage_gpa(stage, count),
				NULL);

	/* The host may have it just then. */
	if (err && err != -EAGAIN)
		schedule_blame(VERDICT_CHECK, "vmmu_prefault() failed: %d", err);
}

void stage_expect_mapped(struct stage *stage, uint64_t gfn)
{
	struct vmmu_walk walk;

	if (vmmu_walk(stage->vm, 0, stage_gpa(stage, gfn), &walk) ||
	    walk.entry.kind != VMMU_ENTRY_LEAF)
		schedule_blame(VERDICT_CHECK, "gfn %#llx is not mapped", (unsigned long long)gfn);
}

void stage_other_root(struct stage *stage, unsigned cpu)
{
	enum vmmu_root_mode other = stage->kind.root == VMMU_ROOT_TDP ? VMMU_ROOT_DIRECT
								      : VMMU_ROOT_TDP;

	stage_expect(vmmu_vcpu_set_root(stage->vcpu[cpu], other), "vmmu_vcpu_set_root()");
	stage_expect(vmmu_cpu_enter(stage->cpu[cpu]), "vmmu_cpu_enter()");
}

static void stage_copy(struct stage *stage, const uint64_t bits[STAGE_PAGES / 64])
{
	point_at(POINT_HOST, NULL, 0, "copy of what is dirty");
	for (uint64_t i = 0; i < STAGE_PAGES; i++)
		if (bits[i / 64] >> i % 64 & 1)
			stage->copy[i] = stage->memory[i];
}

static void stage_harvest_rings(struct stage *stage)
{
	struct vmmu_dirty_page pages[VMMU_DIRTY_RING_MIN];
	uint64_t bits[STAGE_PAGES / 64] = {0}, count = 0;

	stage_expect(vmmu_dirty_ring_harvest(stage->vm, pages, VMMU_DIRTY_RING_MIN, &count),
		     "vmmu_dirty_ring_harvest()");
	for (uint64_t i = 0; i < count; i++)
		bits[pages[i].page / 64] |= UINT64_C(1) << pages[i].page % 64;
	stage_expect(vmmu_dirty_ring_reset(stage->vm, NULL), "vmmu_dirty_ring_reset()");
	stage_copy(stage, bits);
}

void stage_harvest(struct stage *stage)
{
	uint64_t bits[STAGE_PAGES / 64];
	const struct vmmu_dirty_range all = {.pages = STAGE_PAGES, .bitmap = bits};

	if (stage->kind.has_rings) {
		stage_harvest_rings(stage);
		return;
	}
	stage_expect(vmmu_dirty_get(stage->vm, 0, 0, bits, STAGE_PAGES, NULL), "vmmu_dirty_get()");
	if (stage->kind.dirty_flags & VMMU_DIRTY_MANUAL)
		stage_expect(vmmu_dirty_clear(stage->vm, &all, NULL), "vmmu_dirty_clear()");
	stage_copy(stage, bits);
}

void stage_copy_all(struct stage *stage)
{
	point_at(POINT_HOST, NULL, 0, "copy of all");
	memcpy(stage->copy, stage->memory, sizeof(stage->copy));
	stage->is_logging = true;
}

static void stage_age_pages(struct stage *stage, uint64_t gfn, uint64_t count)
{
	struct vmmu_hva_range range = {HVA + stage_gpa(stage, gfn),
				       HVA + stage_gpa(stage, gfn + count)};

	if (vmmu_age(stage->vm, &range) < 0)
		schedule_blame(VERDICT_CHECK, "vmmu_age() failed");
}

void stage_age(struct stage *stage)
{
	stage_age_pages(stage, 0, STAGE_PAGES);
}

void stage_age_page(struct stage *stage, uint64_t gfn)
{
	stage_age_pages(stage, gfn, 1);
}

void stage_zap_all(struct stage *stage)
{
	stage_expect(vmmu_zap_all(stage->vm), "vmmu_zap_all()");
}

/* ---- the judge ---- */

static void stage_finding(void *ctx, const struct vmmu_finding *finding)
{
	(void)ctx;
	schedule_blame(VERDICT_CHECK, "audit: %s: %s", finding->invariant, finding->text);
}

static void stage_audit(struct stage *stage)
{
	struct vmmu_audit audit;

	MUST(!vmmu_audit(stage->vm, &audit, stage_finding, NULL));
	MUST(audit.checked);
	MUST(vmmu_machine_check(stage->machine) >= 0);
}

/* Every leaf leads to the frames that its pages have. */
static int stage_judge_leaf(void *ctx, const struct vmmu_visit *visit)
{
	struct stage *stage = ctx;

	if (visit->entry.kind == VMMU_ENTRY_FROZEN)
		schedule_blame(VERDICT_CHECK, "an entry was left frozen at gfn %#llx level %u",
			       (unsigned long long)visit->gfn, visit->level);
	if (visit->entry.kind != VMMU_ENTRY_LEAF || visit->obsolete)
		return 0;
	if (!stage->has_slot || visit->gfn >= STAGE_PAGES ||
	    visit->entry.pfn != stage_pfn(stage, visit->gfn))
		schedule_blame(VERDICT_CHECK, "a leaf at gfn %#llx level %u leads to %#llx",
			       (unsigned long long)visit->gfn, visit->level,
			       (unsigned long long)visit->entry.pfn);
	return 0;
}

/* Nothing that was written is missing in the copy. */
static void stage_judge_copy(struct stage *stage)
{
	if (!stage->is_logging || !stage->has_slot)
		return;
	stage_harvest(stage);
	for (uint64_t i = 0; i < STAGE_PAGES; i++)
		if (stage->copy[i] != stage->memory[i])
			schedule_blame(VERDICT_CHECK, "a write to gfn %#llx is not in the log",
				       (unsigned long long)i);
}

/* Whoever accessed something gets through, now that nobody is in the way. */
static void stage_judge_progress(struct stage *stage)
{
	for (unsigned i = 0; i < STAGE_CPUS && stage->has_slot; i++)
		if (stage->touched[i] < STAGE_PAGES)
			stage_touch(stage, i, stage->touched[i], stage->access[i]);
}

static void stage_judge(struct stage *stage)
{
	stage_audit(stage);
	vmmu_visit(stage->vm, stage_judge_leaf, stage);
	stage_judge_copy(stage);
	stage_judge_progress(stage);
	stage_judge_copy(stage);
	stage_audit(stage);
	vmmu_visit(stage->vm, stage_judge_leaf, stage);
}

void stage_end(struct stage *stage)
{
	stage_judge(stage);
	/* What is broken may not even be taken down. */
	if (schedule_blamed()[0]) {
		stage_drop(stage);
		return;
	}
	vmmu_machine_destroy(stage->machine);
	vmmu_vm_destroy(stage->vm);
	if (memory_live())
		schedule_blame(VERDICT_CHECK, "%zu blocks of memory were not given back",
			       memory_live());
}
