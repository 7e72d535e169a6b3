/* SPDX-License-Identifier: MIT */
#include "range/stand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A page of the model: pfn from bit 8 on; bits 0-2 rights, 3 made with WRITE, 4-5 type, 6 mapped.
 */
#define PAGE_MADE_WRITABLE UINT64_C(0x08)
#define PAGE_MAPPED        UINT64_C(0x40)
/* Not a multiple of what the library may take at once. */
#define BATCH 1000
/* Smallest pages in the largest page that a window has: 1G in 4K. */
#define GIANT_GFNS (UINT64_C(1) << 18)

static uint64_t page_make(uint64_t pfn, unsigned access, enum vmmu_memtype memtype)
{
	return pfn << 8 | PAGE_MAPPED | (uint64_t)memtype << 4 |
	       (access & VMMU_WRITE ? PAGE_MADE_WRITABLE : 0) | access;
}

static unsigned page_access(uint64_t page)
{
	return page & VMMU_RWX;
}

struct criterion_test_params stand_formats(void)
{
	static unsigned indexes[32];
	unsigned count = 0;

	for (unsigned i = 0; count < 32 && outside_at(i); i++)
		if (outside_is_worth_a_run(i))
			indexes[count++] = i;
	return cr_make_param_array(unsigned, indexes, count);
}

static enum vmmu_resolve_status refuse_lookup(void *ctx, const struct vmmu_page_request *request,
					      struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	cr_assert_fail("a VM without memslots asked for a page");
	return VMMU_RESOLVE_UNMAPPED;
}

static void note_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct stand *stand = ctx;
	bool is_broken;

	stand->flushes++;
	stand->last = *flush;
	if (stand->on_flush)
		stand->on_flush(stand);
	/* Broken before made: no TLB can fetch what was there again, and the call owes no more. */
	is_broken = vmmu_translate_once(stand->vm, 0, flush->gfn_start << stand->page_shift) ==
		    VMMU_NOT_MAPPED;
	for (uint64_t gfn = flush->gfn_start; gfn < flush->gfn_end && gfn < stand->gfns; gfn++) {
		stand->stale[gfn] = 0;
		if (is_broken)
			stand->broken[gfn] = stand->calls;
	}
}

static void note_event(void *ctx, const struct vmmu_event *event)
{
	struct stand *stand = ctx;

	(void)event;
	stand->events++;
}

static void note_bug(void *ctx, const char *what)
{
	struct stand *stand = ctx;

	stand->bugs++;
	fprintf(stderr, "bug: %s\n", what);
}

/* The largest leaf level up to LIMIT. */
static unsigned leaf_level(const struct vmmu_geometry *geometry, unsigned limit)
{
	while (limit > 1 && limit <= VMMU_LEVELS_MAX && !(geometry->leaf_levels & (1u << limit)))
		limit--;
	return limit;
}

struct stand *stand_create(unsigned format_index, const struct stand_options *options)
{
	const struct vmmu_format *format = outside_at(format_index);
	struct stand *stand = calloc(1, sizeof(*stand));
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = refuse_lookup,
			       .flush = note_flush,
			       .on_bug = note_bug};
	struct vmmu_vm_options vm_options = {.size = sizeof(vm_options),
					     .format = format,
					     .env = &env,
					     .env_ctx = stand,
					     .mode = VMMU_MODE_RANGES};

	cr_assert_not_null(stand);
	vmmu_thread_register();
	if (options)
		stand->options = *options;
	if (stand->options.has_events)
		env.event = note_event;
	vm_options.tables_bytes = stand->options.tables_bytes;
	vm_options.max_level = stand->options.max_level;
	vm_options.address_spaces = 2;
	cr_assert_eq(vmmu_vm_create(&vm_options, &stand->vm), 0);
	stand->geometry = vmmu_format_info(format)->geometry;
	stand->page_shift = stand->geometry->page_shift;
	stand->max_level = leaf_level(stand->geometry, 3);
	/* 64G and 4T, of larger granules, make too large a window. */
	while (stand_pages(stand, stand->max_level) > GIANT_GFNS)
		stand->max_level = leaf_level(stand->geometry, stand->max_level - 1);
	stand->gfns = stand->options.window_gfns;
	if (!stand->gfns)
		stand->gfns = stand_pages(stand, stand->max_level) * (stand->max_level > 2 ? 2 : 4);
	while (stand_pages(stand, stand->max_level) > stand->gfns)
		stand->max_level--;
	stand->pages = calloc(stand->gfns, sizeof(*stand->pages));
	stand->stale = calloc(stand->gfns, 1);
	stand->broken = calloc(stand->gfns, sizeof(*stand->broken));
	cr_assert(stand->pages && stand->stale && stand->broken);
	return stand;
}

struct stand *stand_create_short(unsigned format_index)
{
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(format_index))->geometry;
	struct stand_options options = {.tables_bytes = 1 << 20, .is_short = true};
	uint64_t frames = options.tables_bytes >> geometry->table_lg2[1];

	options.window_gfns = (frames + 4) << geometry->index_bits[1];
	/* a page of level 3 fits, where it is 1G */
	if (options.window_gfns < UINT64_C(1) << 18)
		options.window_gfns = UINT64_C(1) << 18;
	return stand_create(format_index, &options);
}

void stand_destroy(struct stand *stand)
{
	stand_check(stand);
	vmmu_vm_destroy(stand->vm);
	cr_assert_eq(stand->bugs, 0);
	free(stand->pages);
	free(stand->stale);
	free(stand->broken);
	free(stand);
	vmmu_thread_unregister();
}

void stand_begin_shared(struct stand *stand)
{
	stand->is_shared = true;
	cr_assert_eq(vmmu_update_begin_shared(stand->vcpu, &stand->update), 0);
}

void stand_begin(struct stand *stand)
{
	stand->is_shared = false;
	cr_assert_eq(vmmu_update_begin(stand->vm, 0, &stand->update), 0);
}

void stand_end(struct stand *stand)
{
	vmmu_update_end(&stand->update);
	/* with frames short, a call may flush what it did so far, before the model hears of it */
	if (stand->options.is_short)
		memset(stand->stale, 0, stand->gfns);
	for (uint64_t gfn = 0; gfn < stand->gfns; gfn++)
		if (stand->stale[gfn])
			cr_assert_fail("gfn %#llx lost rights and was not flushed",
				       (unsigned long long)gfn);
}

/* Set the model's page; what it grants less than before must be flushed. */
static void model_set(struct stand *stand, uint64_t gfn, uint64_t page)
{
	uint64_t old = stand->pages[gfn];

	if (old && (!page || (page_access(old) & ~page_access(page))) &&
	    stand->broken[gfn] != stand->calls)
		stand->stale[gfn] = 1;
	stand->pages[gfn] = page;
}

/*
 * How many of PAGES a call got to: all that EXPECTED says unless frames may run out; then fewer,
 * and the error says so.
 */
static uint64_t stand_reach(struct stand *stand, int err, int expected_err, uint64_t expected,
			    uint64_t done)
{
	uint64_t reach = done >> stand->page_shift;

	cr_assert_eq(done, reach << stand->page_shift);
	if (err == -ENOMEM) {
		cr_assert(stand->options.is_short, "out of frames");
		cr_assert(expected_err ? reach <= expected : reach < expected);
		stand->short_count++;
		return reach;
	}
	cr_assert_eq(err, expected_err, "%d instead of %d", err, expected_err);
	cr_assert_eq(reach, expected, "%llu pages done instead of %llu", (unsigned long long)reach,
		     (unsigned long long)expected);
	return reach;
}

int stand_map(struct stand *stand, uint64_t gfn, uint64_t pages, uint64_t pfn, unsigned access,
	      enum vmmu_memtype memtype)
{
	unsigned shift = stand->page_shift;
	uint64_t reach = 0, done = ~UINT64_C(0);
	struct vmmu_attr attr;
	int err;

	while (reach < pages &&
	       (!stand->pages[gfn + reach] ||
		stand->pages[gfn + reach] == page_make(pfn + reach, access, memtype)))
		reach++;
	stand->calls++;
	cr_assert_eq(vmmu_attr_make(stand->vm, access, memtype, &attr), 0);
	err = vmmu_map(&stand->update, gfn << shift, pfn << shift, pages << shift, &attr, &done);
	reach = stand_reach(stand, err, reach < pages ? -EEXIST : 0, reach, done);
	for (uint64_t i = 0; i < reach; i++)
		model_set(stand, gfn + i, page_make(pfn + i, access, memtype));
	return err;
}

int stand_unmap(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	unsigned shift = stand->page_shift;
	uint64_t done = ~UINT64_C(0), reach;
	int err;

	stand->calls++;
	err = vmmu_unmap(&stand->update, gfn << shift, pages << shift, &done);
	reach = stand_reach(stand, err, 0, pages, done);
	for (uint64_t i = 0; i < reach; i++)
		model_set(stand, gfn + i, 0);
	return err;
}

/* The model's pages get ACCESS, WRITE only where they were made with it. */
static void model_protect(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t page = stand->pages[gfn + i];
		unsigned given = page & PAGE_MADE_WRITABLE ? access
							   : access & ~(unsigned)VMMU_WRITE;

		if (page)
			model_set(stand, gfn + i, (page & ~(uint64_t)VMMU_RWX) | given);
	}
}

int stand_protect(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access)
{
	unsigned shift = stand->page_shift;
	uint64_t done = ~UINT64_C(0);
	int err;

	stand->calls++;
	err = vmmu_protect(&stand->update, gfn << shift, pages << shift, access, &done);
	model_protect(stand, gfn, stand_reach(stand, err, 0, pages, done), access);
	return err;
}

int stand_write_protect(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	unsigned shift = stand->page_shift;
	uint64_t done = ~UINT64_C(0), reach;
	int err;

	stand->calls++;
	err = vmmu_write_protect(&stand->update, gfn << shift, pages << shift, &done);
	reach = stand_reach(stand, err, 0, pages, done);
	for (uint64_t i = gfn; i < gfn + reach; i++)
		model_set(stand, i, stand->pages[i] & ~(uint64_t)VMMU_WRITE);
	return err;
}

/* A shared call stopped after DONE of PAGES from GFN on: before a large page that they cut. */
static uint64_t stand_cut(struct stand *stand, uint64_t gfn, uint64_t pages, uint64_t done)
{
	uint64_t reach = done >> stand->page_shift, first;
	struct vmmu_walk walk;

	cr_assert(stand->is_shared && reach < pages);
	cr_assert_eq(vmmu_walk(stand->vm, 0, (gfn + reach) << stand->page_shift, &walk), 0);
	cr_assert(walk.entry.kind == VMMU_ENTRY_LEAF && walk.level > 1);
	first = (gfn + reach) / stand_pages(stand, walk.level) * stand_pages(stand, walk.level);
	cr_assert(first < gfn || first + stand_pages(stand, walk.level) > gfn + pages);
	return reach;
}

int stand_write_allow(struct stand *stand, uint64_t gfn, uint64_t pages)
{
	unsigned shift = stand->page_shift;
	uint64_t done = ~UINT64_C(0), reach;
	int err = vmmu_write_allow(&stand->update, gfn << shift, pages << shift, &done);

	if (err == -ENOTSUP)
		reach = stand_cut(stand, gfn, pages, done);
	else
		reach = stand_reach(stand, err, 0, pages, done);
	for (uint64_t i = gfn; i < gfn + reach; i++)
		if (stand->pages[i] & PAGE_MADE_WRITABLE)
			model_set(stand, i, stand->pages[i] | VMMU_WRITE);
	return err;
}

static uint64_t model_hpa(const struct stand *stand, uint64_t gfn)
{
	return stand->pages[gfn] ? stand->pages[gfn] >> 8 << stand->page_shift : VMMU_NOT_MAPPED;
}

void stand_check_gfn(struct stand *stand, uint64_t gfn)
{
	uint64_t inside = gfn * 8 & ((UINT64_C(1) << stand->page_shift) - 1);
	uint64_t gpa = (gfn << stand->page_shift) + inside, hpa = model_hpa(stand, gfn);
	struct vmmu_walk walk;

	cr_assert_eq(vmmu_translate_once(stand->vm, 0, gpa),
		     hpa == VMMU_NOT_MAPPED ? hpa : hpa + inside);
	cr_assert_eq(vmmu_walk(stand->vm, 0, gpa, &walk), 0);
	cr_assert_eq(walk.entry.kind == VMMU_ENTRY_LEAF, hpa != VMMU_NOT_MAPPED);
	if (hpa != VMMU_NOT_MAPPED)
		cr_assert_eq(walk.pfn, hpa >> stand->page_shift);
}

/* What a visit of all leaves found. */
struct leaf_check {
	struct stand *stand;
	uint64_t pages;
};

/* Each page of a leaf is as the model has it. */
static int check_leaf(void *ctx, const struct vmmu_visit *visit)
{
	struct leaf_check *check = ctx;
	const struct stand *stand = check->stand;
	uint64_t gfns = stand_pages(stand, visit->level);

	if (visit->entry.kind == VMMU_ENTRY_TABLE)
		return 0;
	if (visit->entry.kind != VMMU_ENTRY_LEAF || visit->gfn + gfns > stand->gfns)
		cr_assert_fail("gfn %#llx level %u: no leaf of the window",
			       (unsigned long long)visit->gfn, visit->level);
	for (uint64_t i = 0; i < gfns; i++) {
		uint64_t page = page_make(visit->entry.pfn + i, visit->entry.access,
					  visit->entry.memtype) &
				~PAGE_MADE_WRITABLE;

		if (visit->entry.mmu_writable)
			page |= PAGE_MADE_WRITABLE;
		if (stand->pages[visit->gfn + i] != page)
			cr_assert_fail("gfn %#llx level %u", (unsigned long long)(visit->gfn + i),
				       visit->level);
	}
	check->pages += gfns;
	return 0;
}

static void check_batches(struct stand *stand)
{
	struct vmmu_reader reader;
	uint64_t addresses[BATCH];

	cr_assert_eq(vmmu_reader_begin(stand->vm, 0, &reader), 0);
	for (uint64_t first = 0; first < stand->gfns; first += BATCH) {
		uint64_t count = stand->gfns - first < BATCH ? stand->gfns - first : BATCH;

		for (uint64_t i = 0; i < count; i++)
			addresses[i] = (first + i) << stand->page_shift;
		vmmu_translate_batch(&reader, addresses, addresses, count);
		for (uint64_t i = 0; i < count; i++)
			if (addresses[i] != model_hpa(stand, first + i))
				cr_assert_fail("translation of gfn %#llx",
					       (unsigned long long)(first + i));
	}
	vmmu_reader_end(&reader);
}

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	(void)ctx;
	fprintf(stderr, "audit: %s\n", finding->text);
}

void stand_check(struct stand *stand)
{
	struct leaf_check check = {.stand = stand};
	struct vmmu_audit audit;
	uint64_t mapped = 0;

	for (uint64_t gfn = 0; gfn < stand->gfns; gfn++)
		mapped += !!stand->pages[gfn];
	vmmu_visit(stand->vm, check_leaf, &check);
	cr_assert_eq(check.pages, mapped);
	if (mapped)
		check_batches(stand);
	cr_assert_eq(vmmu_audit(stand->vm, &audit, print_finding, NULL), 0);
	cr_assert_eq(audit.violations, 0);
}
