/* SPDX-License-Identifier: MIT */
/*
 * Nobody listening: where no event sink is given, the engine goes shorter ways, which the other
 * tests, whose machines listen, never see. So each call is made on two VMs, one of which listens,
 * and must come to the same: outcomes, flushes, dirty logs, tables.
 */
#include <criterion/criterion.h>
#include <vmmu/age.h>
#include <vmmu/dirty.h>
#include <vmmu/fault.h>
#include <vmmu/invalidate.h>
#include <vmmu/slot.h>
#include <vmmu/vm.h>
#include <vmmu/walk.h>

#include "faults/roots.h"

#define PAGES  2048u
#define CALLS  3000u
#define HVA    UINT64_C(0x7f0000000000)
#define PFN    UINT64_C(0x40000)
#define LOOKAT 50u /* calls from one look at all tables to the next */

struct twin {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	struct vmmu_slot ram;
	unsigned page_shift;
	uint64_t flush_start, flush_end; /* hull of this call's flushes */
	uint64_t bitmap[PAGES / 64];
};

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= UINT64_C(0x9e3779b97f4a7c15);
	return value ^ value >> 29;
}

static uint64_t next(uint64_t *state)
{
	return mix(++*state);
}

/* Every other 512 pages are a large one; some are read-only, some are at hand ahead. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	uint64_t dice = mix(request->gfn);

	(void)ctx;
	if ((request->flags & VMMU_RESOLVE_NO_FAULT) && dice % 2)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = PFN + request->gfn,
				   .level = request->gfn & 512 ? 2 : 1,
				   .writable = dice % 8 != 0};
	return VMMU_RESOLVE_OK;
}

static void note_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct twin *twin = ctx;

	if (flush->gfn_start < twin->flush_start)
		twin->flush_start = flush->gfn_start;
	if (flush->gfn_end > twin->flush_end)
		twin->flush_end = flush->gfn_end;
}

static void listen(void *ctx, const struct vmmu_event *event)
{
	(void)ctx, (void)event;
}

static void twin_open(struct twin *twin, const struct vmmu_format *format, bool has_events)
{
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = resolve,
			       .flush = note_flush,
			       .event = has_events ? listen : NULL};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = format,
					  .env = &env,
					  .env_ctx = twin,
					  .root = test_root()};

	*twin = (struct twin){
		.page_shift = vmmu_format_info(format)->geometry->page_shift,
		.flush_start = UINT64_MAX,
	};
	twin->ram = (struct vmmu_slot){.bytes = (uint64_t)PAGES << twin->page_shift, .hva = HVA};
	cr_assert_eq(vmmu_vm_create(&options, &twin->vm), 0);
	cr_assert_eq(vmmu_vcpu_create(twin->vm, 0, &twin->vcpu), 0);
	cr_assert_eq(vmmu_slot_set(twin->vm, &twin->ram), 0);
}

/* What a call came to, all in one number. */
static uint64_t twin_fault(struct twin *twin, uint64_t dice)
{
	static const unsigned accesses[] = {VMMU_READ, VMMU_WRITE, VMMU_WRITE, VMMU_EXEC};
	struct vmmu_fault fault = {.gpa = dice % PAGES << twin->page_shift,
				   .access = accesses[dice >> 32 & 3],
				   .flags = dice >> 34 & 1 ? VMMU_FAULT_PRESENT : 0};
	int outcome = vmmu_fault(twin->vcpu, &fault);

	return mix((uint64_t)(unsigned)outcome << 32 | fault.level << 8 | fault.fast) ^ fault.pfn;
}

static uint64_t twin_clear(struct twin *twin, uint64_t dice)
{
	struct vmmu_dirty_range range = {.pages = PAGES, .bitmap = twin->bitmap};
	uint64_t count = 0;

	for (unsigned i = 0; i < PAGES / 64; i++)
		twin->bitmap[i] = mix(dice + i) | (dice >> 40 & 1 ? mix(dice - i) : 0);
	return (unsigned)vmmu_dirty_clear(twin->vm, &range, &count) + count;
}

static uint64_t twin_get(struct twin *twin)
{
	uint64_t count = 0,
		 sum = (unsigned)vmmu_dirty_get(twin->vm, 0, 0, twin->bitmap, PAGES, &count);

	for (unsigned i = 0; i < PAGES / 64; i++)
		sum = mix(sum + twin->bitmap[i]);
	return sum + count;
}

static uint64_t twin_log(struct twin *twin)
{
	twin->ram.flags ^= VMMU_SLOT_LOG_DIRTY;
	return (unsigned)vmmu_slot_set(twin->vm, &twin->ram);
}

static uint64_t twin_call(struct twin *twin, uint64_t dice)
{
	uint64_t page = UINT64_C(1) << twin->page_shift, start = HVA + dice % PAGES * page;
	struct vmmu_hva_range range = {start, start + (dice >> 40 & 63) * page + page};
	struct vmmu_root root;

	twin->flush_start = UINT64_MAX;
	twin->flush_end = 0;
	cr_assert_eq(vmmu_vcpu_root(twin->vcpu, &root, NULL), 0);
	switch (dice >> 56 & 127) {
	case 0:
		return twin_log(twin);
	case 1:
		return twin_get(twin);
	case 2:
		return twin_clear(twin, dice);
	case 3:
		return (unsigned)vmmu_age(twin->vm, &range);
	case 4:
		cr_assert_eq(vmmu_invalidate_begin(twin->vm, &range), 0);
		cr_assert_eq(vmmu_invalidate_end(twin->vm, &range), 0);
		return 0;
	default:
		return twin_fault(twin, dice);
	}
}

static void expect_same_tables(struct twin *heard, struct twin *silent)
{
	struct vmmu_digest one, other;
	struct vmmu_stats counts, same;

	cr_assert_eq(vmmu_digest(heard->vm, &one), 0);
	cr_assert_eq(vmmu_digest(silent->vm, &other), 0);
	cr_assert(one.low == other.low && one.high == other.high, "tables differ");
	vmmu_vm_stats(heard->vm, &counts);
	vmmu_vm_stats(silent->vm, &same);
	cr_assert_arr_eq(&counts, &same, sizeof(counts), "counts differ");
}

static void run(const struct vmmu_format *format)
{
	const char *name = vmmu_format_info(format)->name;
	struct twin heard, silent;
	uint64_t state = 2605;

	twin_open(&heard, format, true);
	twin_open(&silent, format, false);
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t dice = next(&state);

		cr_assert_eq(twin_call(&heard, dice), twin_call(&silent, dice), "%s, call %u", name,
			     i);
		cr_assert(heard.flush_start == silent.flush_start &&
				  heard.flush_end == silent.flush_end,
			  "%s, call %u: flushes differ", name, i);
		if (i % LOOKAT == 0)
			expect_same_tables(&heard, &silent);
	}
	expect_same_tables(&heard, &silent);
	vmmu_vm_destroy(heard.vm);
	vmmu_vm_destroy(silent.vm);
}

Test(silent, vm_without_event_sink__comes_to_the_same_as_one_with)
{
	const struct vmmu_format *format;

	for (unsigned i = 0; (format = vmmu_format_at(i)) != NULL; i++)
		run(format);
}
