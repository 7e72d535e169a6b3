/* SPDX-License-Identifier: MIT */
/*
 * The range API against a flat model (extents.h): map, unmap, protect, write-protect and zap in
 * sections of several, translations of every kind after each, and no frame for a table now and
 * then. What was restricted must have been flushed when its section ends.
 *
 * Input: format and options, then operations.
 */
#include <vmmu/vmmu.h>

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/draw.h"
#include "extents.h"
#include "target.h"

#define OPS_MAX     200
#define FLUSHES_MAX 256
#define BATCH       8

struct range_fuzz {
	struct draw draw;
	struct vmmu_vm *vm;
	const struct vmmu_geometry *geometry;
	uint64_t page, input, output; /* bytes: of a page, of both address ranges */
	unsigned as_id, as_count;
	struct extents extents[VMMU_ADDRESS_SPACES_MAX];
	/* of this section: what TLBs must forget, what they were told to forget */
	struct extents owed;
	struct vmmu_flush flushes[FLUSHES_MAX];
	unsigned flush_count;
};

/* One range operation, and what it said. */
struct call {
	uint64_t gpa, hpa, bytes, done;
	unsigned access;
	enum vmmu_memtype memtype;
	int result;
};

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	(void)request;
	(void)page;
	target_fail(__FILE__, __LINE__, "a page lookup without memslots");
}

static void flush(void *ctx, const struct vmmu_flush *flush)
{
	struct range_fuzz *fuzz = ctx;

	TARGET_CHECK(flush->gfn_start < flush->gfn_end, "flush of an empty range");
	if (fuzz->flush_count < FLUSHES_MAX)
		fuzz->flushes[fuzz->flush_count] = *flush;
	fuzz->flush_count++;
}

static void on_bug(void *ctx, const char *what)
{
	(void)ctx;
	target_fail(__FILE__, __LINE__, "on_bug: %s", what);
}

/* ---- addresses ---- */

/* Around a few places, aligned to some level, now and then a page or a byte off. */
static uint64_t draw_address(struct range_fuzz *fuzz, uint64_t limit)
{
	unsigned level = 1 + (unsigned)draw_below(&fuzz->draw, fuzz->geometry->levels);
	uint64_t unit = BIT64(fuzz->geometry->shift[level]);
	uint64_t address = unit * draw_below(&fuzz->draw, 8);
	unsigned odd = (unsigned)draw_below(&fuzz->draw, 16);

	address += fuzz->page * (odd & 3);
	if (odd & 4)
		address = limit - address;
	return odd == 8 ? address + 8 : address;
}

static void draw_range(struct range_fuzz *fuzz, struct call *call)
{
	unsigned level = 1 + (unsigned)draw_below(&fuzz->draw, 3);
	uint64_t pages;

	if (level > fuzz->geometry->levels)
		level = fuzz->geometry->levels;
	call->gpa = draw_address(fuzz, fuzz->input);
	pages = draw_below(&fuzz->draw, 5);
	call->bytes = BIT64(fuzz->geometry->shift[level]) * pages;
	pages = draw_below(&fuzz->draw, 8);
	call->bytes += pages * fuzz->page;
	if (pages == 7)
		call->bytes += 1;
	call->done = UINT64_MAX;
}

static bool is_range_valid(const struct range_fuzz *fuzz, const struct call *call)
{
	return !((call->gpa | call->bytes) & (fuzz->page - 1)) && call->bytes &&
	       call->gpa < fuzz->input && call->bytes <= fuzz->input - call->gpa;
}

/* ---- what must be flushed ---- */

/* Everything in [start, end) that would grant less with ACCESS is owed to the TLBs. */
static void owe(struct range_fuzz *fuzz, uint64_t start, uint64_t end, unsigned access)
{
	struct extents *extents = &fuzz->extents[fuzz->as_id];

	extents_cut(extents, start);
	extents_cut(extents, end);
	for (unsigned i = 0; i < extents->count; i++) {
		struct extent *extent = &extents->extent[i];

		if (extent->start < start || extent->start >= end || !(extent->access & ~access))
			continue;
		extents_drop(&fuzz->owed, extent->start, extent->end);
		extents_add(&fuzz->owed, extent);
	}
}

static void check_owed(struct range_fuzz *fuzz)
{
	unsigned shift = fuzz->geometry->page_shift;

	for (unsigned i = 0; i < fuzz->flush_count && fuzz->flush_count <= FLUSHES_MAX; i++) {
		const struct vmmu_flush *told = &fuzz->flushes[i];
		uint64_t last = UINT64_MAX >> shift;

		if (told->as_id == fuzz->as_id && !told->local)
			extents_drop(&fuzz->owed, told->gfn_start << shift,
				     told->gfn_end > last ? UINT64_MAX : told->gfn_end << shift);
	}
	if (fuzz->owed.count && fuzz->flush_count <= FLUSHES_MAX)
		target_fail(__FILE__, __LINE__, "flush missing: gpa %#llx to %#llx",
			    (unsigned long long)fuzz->owed.extent[0].start,
			    (unsigned long long)fuzz->owed.extent[0].end);
	fuzz->owed.count = 0;
	fuzz->flush_count = 0;
}

/* ---- operations ---- */

enum sameness {
	SAME,
	DIFFERENT,
	EITHER,
};

/* Does EXTENT map what CALL asks for at GPA? */
static enum sameness compare(const struct extent *extent, const struct call *call, uint64_t gpa)
{
	if (extent->hpa + (gpa - extent->start) != call->hpa + (gpa - call->gpa) ||
	    extent->memtype != call->memtype || extent->access != call->access)
		return DIFFERENT;
	if (extent->is_touched)
		return EITHER;
	return extent->is_writable == !!(call->access & VMMU_WRITE) ? SAME : DIFFERENT;
}

/* The model's side of a map that went as far as call->done, and its judgement. */
static void apply_map(struct range_fuzz *fuzz, const struct call *call)
{
	struct extents *extents = &fuzz->extents[fuzz->as_id];
	uint64_t gpa = call->gpa, end = call->gpa + call->done;
	struct extent *met;

	while (gpa < end) {
		struct extent fresh = {.start = gpa,
				       .end = extents_next(extents, gpa, end),
				       .hpa = call->hpa + (gpa - call->gpa),
				       .access = call->access,
				       .memtype = call->memtype,
				       .is_writable = call->access & VMMU_WRITE};

		met = extents_at(extents, gpa);
		if (met) {
			TARGET_CHECK(compare(met, call, gpa) != DIFFERENT,
				     "gpa %#llx was mapped otherwise and is no error",
				     (unsigned long long)gpa);
			gpa = met->end;
			continue;
		}
		extents_add(extents, &fresh);
		gpa = fresh.end;
	}
	met = extents_at(extents, end);
	if (call->result == -EEXIST)
		TARGET_CHECK(met && compare(met, call, end) != SAME, "-EEXIST at gpa %#llx",
			     (unsigned long long)end);
	if (call->result == -ENOMEM)
		TARGET_CHECK(!met, "-ENOMEM at gpa %#llx, which is mapped",
			     (unsigned long long)end);
}

static void check_done(const struct call *call)
{
	if (call->result)
		TARGET_CHECK(call->done < call->bytes, "%d, and all is done", call->result);
	else
		TARGET_CHECK(call->done == call->bytes, "done %llu of %llu",
			     (unsigned long long)call->done, (unsigned long long)call->bytes);
}

static void op_map(struct range_fuzz *fuzz, struct vmmu_update *update)
{
	struct vmmu_attr attr;
	struct call call;
	bool is_valid;

	draw_range(fuzz, &call);
	call.hpa = draw_address(fuzz, fuzz->output);
	if (draw_below(&fuzz->draw, 4)) /* often congruent, so that large pages fit */
		call.hpa += call.gpa & (BIT64(fuzz->geometry->shift[2]) - 1);
	call.access = VMMU_READ | (unsigned)draw_below(&fuzz->draw, 8);
	call.memtype = (enum vmmu_memtype)draw_below(&fuzz->draw, 3);
	TARGET_CHECK(!vmmu_attr_make(fuzz->vm, call.access, call.memtype, &attr), "attr");
	call.result = vmmu_map(update, call.gpa, call.hpa, call.bytes, &attr, &call.done);
	is_valid = is_range_valid(fuzz, &call) && !(call.hpa & (fuzz->page - 1)) &&
		   call.hpa < fuzz->output && call.bytes <= fuzz->output - call.hpa;
	if (!is_valid) {
		TARGET_CHECK(call.result == -EINVAL && !call.done, "map: %d", call.result);
		return;
	}
	TARGET_CHECK(!call.result || call.result == -EEXIST || call.result == -ENOMEM, "map: %d",
		     call.result);
	check_done(&call);
	apply_map(fuzz, &call);
}

/* Unmap, protect or write-protect: ACCESS is what may be left. */
static void restricted(struct range_fuzz *fuzz, const struct call *call, unsigned access)
{
	if (!is_range_valid(fuzz, call)) {
		TARGET_CHECK(call->result == -EINVAL && !call->done, "%d", call->result);
		return;
	}
	TARGET_CHECK(!call->result || call->result == -ENOMEM, "%d", call->result);
	check_done(call);
	owe(fuzz, call->gpa, call->gpa + call->done, access);
}

static void op_unmap(struct range_fuzz *fuzz, struct vmmu_update *update)
{
	struct call call;

	draw_range(fuzz, &call);
	call.result = vmmu_unmap(update, call.gpa, call.bytes, &call.done);
	restricted(fuzz, &call, 0);
	extents_drop(&fuzz->extents[fuzz->as_id], call.gpa, call.gpa + call.done);
}

static void op_protect(struct range_fuzz *fuzz, struct vmmu_update *update)
{
	struct call call;

	draw_range(fuzz, &call);
	call.access = (unsigned)draw_below(&fuzz->draw, 16);
	call.result = vmmu_protect(update, call.gpa, call.bytes, call.access, &call.done);
	if (!(call.access & VMMU_READ) || (call.access & ~(unsigned)VMMU_RWX)) {
		TARGET_CHECK(call.result == -EINVAL && !call.done, "access %u: %d", call.access,
			     call.result);
		return;
	}
	restricted(fuzz, &call, call.access);
	if (call.done)
		extents_protect(&fuzz->extents[fuzz->as_id], call.gpa, call.gpa + call.done,
				call.access);
}

static void op_write_protect(struct range_fuzz *fuzz, struct vmmu_update *update)
{
	struct call call;

	draw_range(fuzz, &call);
	call.result = vmmu_write_protect(update, call.gpa, call.bytes, &call.done);
	restricted(fuzz, &call, VMMU_READ | VMMU_EXEC);
	if (call.done)
		extents_protect(&fuzz->extents[fuzz->as_id], call.gpa, call.gpa + call.done, 0);
}

/* ---- checks ---- */

static void check_gpa(struct range_fuzz *fuzz, uint64_t gpa)
{
	struct extent *extent = extents_at(&fuzz->extents[fuzz->as_id], gpa);
	uint64_t expected = extent ? extent->hpa + (gpa - extent->start) : VMMU_NOT_MAPPED;
	uint64_t found = vmmu_translate_once(fuzz->vm, fuzz->as_id, gpa);
	struct vmmu_walk walk;
	int result;

	TARGET_CHECK(found == expected, "gpa %#llx leads to %#llx, not %#llx",
		     (unsigned long long)gpa, (unsigned long long)found,
		     (unsigned long long)expected);
	result = vmmu_walk(fuzz->vm, fuzz->as_id, gpa, &walk);
	if (!extent) {
		TARGET_CHECK(result || walk.entry.kind == VMMU_ENTRY_ABSENT,
			     "gpa %#llx ends at kind %d", (unsigned long long)gpa,
			     (int)walk.entry.kind);
		return;
	}
	TARGET_CHECK(!result && walk.entry.kind == VMMU_ENTRY_LEAF, "walk: %d", result);
	TARGET_CHECK(walk.access == extent->access, "gpa %#llx grants %u, not %u",
		     (unsigned long long)gpa, walk.access, extent->access);
	TARGET_CHECK(walk.entry.memtype == extent->memtype, "gpa %#llx has memory type %d",
		     (unsigned long long)gpa, (int)walk.entry.memtype);
}

static void check_batch(struct range_fuzz *fuzz)
{
	struct extents *extents = &fuzz->extents[fuzz->as_id];
	uint64_t gpas[BATCH], hpas[BATCH];
	struct vmmu_reader reader;

	if (vmmu_reader_begin(fuzz->vm, fuzz->as_id, &reader)) {
		TARGET_CHECK(!extents->count, "no root, and something is mapped");
		return;
	}
	for (unsigned i = 0; i < BATCH; i++)
		gpas[i] = draw_address(fuzz, fuzz->input);
	vmmu_translate_batch(&reader, gpas, hpas, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		TARGET_CHECK(hpas[i] == vmmu_translate(&reader, gpas[i]), "batch: gpa %#llx",
			     (unsigned long long)gpas[i]);
	vmmu_reader_end(&reader);
}

/* Both ends of every extent, and just outside. */
static void check_all(struct range_fuzz *fuzz)
{
	struct extents *extents = &fuzz->extents[fuzz->as_id];

	for (unsigned i = 0; i < extents->count; i++) {
		struct extent *extent = &extents->extent[i];

		check_gpa(fuzz, extent->start);
		check_gpa(fuzz, extent->end - 1);
		check_gpa(fuzz, extent->start + (extent->end - extent->start) / 2);
		check_gpa(fuzz, extent->end);
		if (extent->start)
			check_gpa(fuzz, extent->start - 1);
	}
}

static void audit(struct range_fuzz *fuzz)
{
	struct vmmu_audit audit = {0};

	TARGET_CHECK(!vmmu_audit(fuzz->vm, &audit, NULL, NULL), "audit");
	TARGET_CHECK(!audit.violations, "audit: %llu violations",
		     (unsigned long long)audit.violations);
}

/* ---- the run ---- */

static void section(struct range_fuzz *fuzz)
{
	static void (*const ops[])(struct range_fuzz *, struct vmmu_update *) = {
		op_map, op_map, op_map, op_unmap, op_protect, op_write_protect};
	struct vmmu_update update;
	int result;

	fuzz->as_id = (unsigned)draw_below(&fuzz->draw, fuzz->as_count);
	result = vmmu_update_begin(fuzz->vm, fuzz->as_id, &update);
	TARGET_CHECK(!result || result == -ENOMEM, "vmmu_update_begin: %d", result);
	if (result)
		return;
	for (uint64_t n = 1 + draw_below(&fuzz->draw, 4); n; n--)
		ops[draw_below(&fuzz->draw, ARRAY_COUNT(ops))](fuzz, &update);
	vmmu_update_end(&update);
	check_owed(fuzz);
}

static void one_op(struct range_fuzz *fuzz)
{
	if (draw_below(&fuzz->draw, 32) == 31) {
		TARGET_CHECK(!vmmu_zap_all(fuzz->vm), "zap_all");
		memset(fuzz->extents, 0, sizeof(fuzz->extents));
		fuzz->flush_count = 0;
	} else {
		section(fuzz);
	}
	check_all(fuzz);
	check_batch(fuzz);
}

static void create(struct range_fuzz *fuzz)
{
	static const struct vmmu_env env = {
		.size = sizeof(env), .resolve = resolve, .flush = flush, .on_bug = on_bug};
	struct vmmu_vm_options options = {
		.size = sizeof(options), .env = &env, .env_ctx = fuzz, .mode = VMMU_MODE_RANGES};
	int result;

	options.format = target_format(&fuzz->draw);
	options.address_spaces = fuzz->as_count = 1 + (unsigned)draw_below(&fuzz->draw, 2);
	options.max_level = draw_below(&fuzz->draw, 4) == 3;
	/* Few: they run out, and looking through all of them is what costs. */
	options.tables_bytes = BIT64(20);
	result = vmmu_vm_create(&options, &fuzz->vm);
	TARGET_CHECK(!result, "vmmu_vm_create: %d", result);
	fuzz->geometry = vmmu_format_info(options.format)->geometry;
	fuzz->page = BIT64(fuzz->geometry->page_shift);
	fuzz->input = BIT64(fuzz->geometry->gpa_bits);
	fuzz->output = BIT64(fuzz->geometry->pa_bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct range_fuzz fuzz;

	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.draw = draw_from_bytes(data, size);
	target_begin();
	vmmu_thread_register();
	create(&fuzz);
	for (unsigned op = 0; op < OPS_MAX && !draw_is_done(&fuzz.draw); op++) {
		one_op(&fuzz);
		/* the model's lists are finite */
		if (fuzz.extents[0].count + fuzz.extents[1].count > EXTENTS_MAX / 4)
			break;
	}
	audit(&fuzz);
	vmmu_vm_destroy(fuzz.vm);
	vmmu_thread_unregister();
	target_end();
	return 0;
}
