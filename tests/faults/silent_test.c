/* SPDX-License-Identifier: MIT */
/*
 * Nobody listening: where no event sink is given, the engine goes shorter ways, which the other
 * tests, whose machines listen, never see. So each call is made on three VMs, one of which listens,
 * one of which asks its host for many pages at once, and must come to the same: outcomes, flushes,
 * dirty logs, tables.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <vmmu/age.h>
#include <vmmu/attributes.h>
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

/* Every other 512 pages are a large one; some are read-only, some are not there. */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	bool is_large = request->gfn & 512;
	uint64_t dice = mix(request->gfn >> (is_large ? 9 : 4)), chance = mix(~request->gfn);

	(void)ctx;
	if ((request->flags & VMMU_RESOLVE_NO_FAULT) && chance % 2)
		return VMMU_RESOLVE_UNMAPPED;
	if (!is_large && chance % 64 == 3)
		return chance % 128 < 64 ? VMMU_RESOLVE_UNMAPPED : VMMU_RESOLVE_POISONED;
	/* Private memory is elsewhere; some small pages are. */
	*page = (struct vmmu_page){
		.pfn = PFN + request->gfn +
		       (request->flags & VMMU_RESOLVE_PRIVATE ? 2 * PAGES : 0) +
		       (!is_large && dice % 16 == 9 ? 4 * PAGES + chance % 7 : 0),
		.level = is_large ? 2 : 1,
		.writable = dice % 8 != 0};
	if (!is_large && chance % 128 == 77) {
		page->memtype = VMMU_MEM_DEVICE;
		return VMMU_RESOLVE_IO;
	}
	return VMMU_RESOLVE_OK;
}

/* The same for many, as far as there is RAM. */
static unsigned resolve_ahead(void *ctx, const struct vmmu_page_request *request, uint64_t count,
			      struct vmmu_page_run *runs, unsigned max)
{
	struct vmmu_page_request one = *request;
	unsigned used = 0;

	for (uint64_t i = 0; i < count; i++, one.gfn++) {
		struct vmmu_page_run *last = &runs[used ? used - 1 : 0];
		struct vmmu_page page;

		if (resolve(ctx, &one, &page) != VMMU_RESOLVE_OK)
			break;
		if (used && last->page.pfn + last->pages == page.pfn &&
		    last->page.level == page.level && last->page.writable == page.writable)
			last->pages++;
		else if (used == max)
			break;
		else
			runs[used++] = (struct vmmu_page_run){.page = page, .pages = 1};
	}
	return used;
}

static unsigned host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	(void)ctx, (void)hva;
	return gfn & 512 ? 9 : mix(gfn >> 4) % 16 == 9 ? 0 : 4;
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

enum twin_kind {
	TWIN_HEARD,
	TWIN_SILENT,
	TWIN_WIDE, /* silent, and its host tells of many pages at once */
	TWINS,
};

static void twin_open(struct twin *twin, const struct vmmu_format *format, enum twin_kind kind)
{
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = resolve,
			       .flush = note_flush,
			       .host_span = host_span,
			       .resolve_ahead = kind == TWIN_WIDE ? resolve_ahead : NULL,
			       .event = kind == TWIN_HEARD ? listen : NULL};
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

static uint64_t twin_prefault(struct twin *twin, uint64_t dice)
{
	uint64_t first = dice % PAGES, pages = 1 + (dice >> 16) % (dice >> 30 & 1 ? PAGES : 40);
	uint64_t done = 0;
	int err = vmmu_prefault(twin->vcpu, first << twin->page_shift, pages << twin->page_shift,
				&done);

	return mix((unsigned)err) + done;
}

static uint64_t twin_convert(struct twin *twin, uint64_t dice)
{
	return (unsigned)vmmu_attributes_set(twin->vm, dice % PAGES << twin->page_shift,
					     ((dice >> 16 & 127) + 1) << twin->page_shift,
					     dice >> 30 & 1 ? VMMU_ATTRIBUTE_PRIVATE : 0);
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
	case 5:
	case 6:
		return twin_prefault(twin, dice);
	case 7:
		return twin_convert(twin, dice);
	default:
		return twin_fault(twin, dice);
	}
}

/* But for local flushes, of which one may do for many pages. */
static void expect_same_tables(struct twin *heard, struct twin *silent)
{
	struct vmmu_digest one, other;
	struct vmmu_stats counts, same;

	cr_assert_eq(vmmu_digest(heard->vm, &one), 0);
	cr_assert_eq(vmmu_digest(silent->vm, &other), 0);
	cr_assert(one.low == other.low && one.high == other.high, "tables differ");
	vmmu_vm_stats(heard->vm, &counts);
	vmmu_vm_stats(silent->vm, &same);
	cr_assert_leq(same.local_flushes, counts.local_flushes);
	same.local_flushes = counts.local_flushes;
	cr_assert_arr_eq(&counts, &same, sizeof(counts), "counts differ");
}

static void expect_same_call(struct twin *twins, uint64_t dice, const char *format, unsigned call)
{
	uint64_t result = twin_call(&twins[TWIN_HEARD], dice);

	for (unsigned i = 1; i < TWINS; i++) {
		cr_assert_eq(twin_call(&twins[i], dice), result, "%s, call %u, twin %u", format,
			     call, i);
		cr_assert(twins[0].flush_start == twins[i].flush_start &&
				  twins[0].flush_end == twins[i].flush_end,
			  "%s, call %u, twin %u: flushes differ", format, call, i);
		if (call % LOOKAT == 0)
			expect_same_tables(&twins[0], &twins[i]);
	}
}

static void run(const struct vmmu_format *format)
{
	struct twin twins[TWINS];
	struct vmmu_stats stats;
	uint64_t state = 2605;

	for (unsigned i = 0; i < TWINS; i++)
		twin_open(&twins[i], format, i);
	for (unsigned i = 0; i <= CALLS; i++)
		expect_same_call(twins, next(&state), vmmu_format_info(format)->name, i);
	vmmu_vm_stats(twins[0].vm, &stats);
	cr_assert_gt(stats.prefaulted, 0);
	for (unsigned i = 0; i < TWINS; i++)
		vmmu_vm_destroy(twins[i].vm);
}

Test(silent, vm_without_event_sink__comes_to_the_same_as_one_with)
{
	const struct vmmu_format *format;

	for (unsigned i = 0; (format = vmmu_format_at(i)) != NULL; i++)
		run(format);
}
