// SPDX-License-Identifier: MIT
/* Scenes out of random numbers: what is mapped, probed, changed, corrupted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/scene.h"

#define PAGES_MAX   40                  /* of a small range */
#define RANGES      10                  /* that a scene begins with */
#define SCENE_BELOW (UINT64_C(1) << 30) /* the window's gpa */

static uint64_t below(struct scene *scene, uint64_t count)
{
	return random_below(&scene->random, count);
}

static bool one_in(struct scene *scene, uint64_t count)
{
	return !below(scene, count);
}

static uint64_t page_bytes(const struct scene *scene, unsigned level)
{
	return UINT64_C(1) << scene->info->geometry->shift[level];
}

/* Of level 2, if there is one. */
static uint64_t large_bytes(const struct scene *scene)
{
	return page_bytes(scene, scene->info->geometry->levels > 1 ? 2 : 1);
}

/* A level whose pages the format has, small ones more often. */
static unsigned random_level(struct scene *scene)
{
	const struct vmmu_geometry *geometry = scene->info->geometry;
	unsigned level = 1;

	while (level < geometry->levels && (geometry->leaf_levels >> (level + 1) & 1) &&
	       one_in(scene, 3))
		level++;
	return level;
}

static bool meets_window(const struct scene *scene, uint64_t gpa, uint64_t bytes)
{
	uint64_t start = scene->stage.window_gpa;
	uint64_t end = start + ORACLE_WINDOW_PAGES * scene->stage.window_stride;

	return gpa < end && start < gpa + bytes;
}

/* A range of gpas outside the window; aligned to pages, often to those of *LEVEL. */
static bool random_range(struct scene *scene, unsigned *level, uint64_t *gpa, uint64_t *bytes)
{
	uint64_t limit = scene_gpa_limit(scene), page = page_bytes(scene, 1), large;

	*level = random_level(scene);
	large = page_bytes(scene, *level);
	if (large >= limit) {
		*level = 1;
		large = page;
	}
	*bytes = *level == 1 ? (1 + below(scene, PAGES_MAX)) * page : large;
	if (*level == 2 && one_in(scene, 2))
		*bytes += below(scene, 8) * page;
	*gpa = below(scene, limit / large) * large;
	if (one_in(scene, 4)) /* near what is there */
		*gpa = scene_gpa(scene) & ~(large - 1);
	if (*level == 2 && one_in(scene, 4) && *gpa)
		*gpa -= page;
	return *bytes <= limit - *gpa && !meets_window(scene, *gpa, *bytes);
}

/*
 * Where a range goes: into tagged pages, aligned as the range is; a page larger than all of them
 * is laid around them.
 */
static uint64_t random_hpa(struct scene *scene, uint64_t gpa, uint64_t bytes)
{
	const struct oracle_layout *layout = &scene->emulator->layout;
	uint64_t large = large_bytes(scene), page = page_bytes(scene, 1), hpa;

	if (bytes > layout->tag_bytes || large > layout->tag_bytes) {
		for (large = page; large < bytes; large <<= 1)
			;
		if (bytes > layout->tag_bytes)
			return layout->tag_hpa & ~(large - 1);
	}
	hpa = layout->tag_hpa + below(scene, (layout->tag_bytes - bytes) / page + 1) * page;
	if (one_in(scene, 4) || large > layout->tag_bytes)
		return hpa;
	hpa = (hpa & ~(large - 1)) | (gpa & (large - 1));
	if (hpa < layout->tag_hpa || hpa + bytes > layout->tag_hpa + layout->tag_bytes)
		hpa = layout->tag_hpa;
	return hpa;
}

static unsigned random_access(struct scene *scene)
{
	static const unsigned some[] = {
		VMMU_READ, VMMU_READ | VMMU_WRITE, VMMU_READ | VMMU_EXEC, VMMU_RWX, VMMU_RWX,
		VMMU_RWX};

	return some[below(scene, 6)];
}

static enum vmmu_memtype random_memtype(struct scene *scene)
{
	if (scene->emulator->has_memtypes && one_in(scene, 10))
		return VMMU_MEM_DEVICE;
	return VMMU_MEM_WRITEBACK;
}

static int do_call(struct scene *scene, struct vmmu_update *update, struct flat_call *call)
{
	struct vmmu_attr attr;
	uint64_t done = 0;
	int err;

	switch (call->op) {
	case FLAT_MAP:
		vmmu_attr_make(scene->vm, call->access, random_memtype(scene), &attr);
		err = vmmu_map(update, call->gpa, call->hpa, call->bytes, &attr, &done);
		break;
	case FLAT_UNMAP:
		err = vmmu_unmap(update, call->gpa, call->bytes, &done);
		break;
	case FLAT_PROTECT:
		err = vmmu_protect(update, call->gpa, call->bytes, call->access, &done);
		break;
	case FLAT_WRITE_PROTECT:
		err = vmmu_write_protect(update, call->gpa, call->bytes, &done);
		break;
	default:
		err = vmmu_write_allow(update, call->gpa, call->bytes, &done);
	}
	call->bytes = done;
	if (err == -EEXIST || err == -ENOMEM)
		err = 0;
	return err;
}

/* One update with one call; what it did is noted. 0 or -errno. */
static int random_call(struct scene *scene, struct flat_call *call)
{
	struct vmmu_update update;
	int err;

	if (scene->flat.count == FLAT_CALLS_MAX)
		return 0;
	err = vmmu_update_begin(scene->vm, 0, &update);
	if (err)
		return err;
	err = do_call(scene, &update, call);
	vmmu_update_end(&update);
	if (call->bytes)
		flat_add(&scene->flat, call);
	if (scene->is_live)
		jobs_sync(scene->jobs);
	return err;
}

static int random_map(struct scene *scene)
{
	struct flat_call call = {.op = FLAT_MAP, .access = random_access(scene)};
	unsigned level;

	if (!random_range(scene, &level, &call.gpa, &call.bytes))
		return 0;
	call.hpa = random_hpa(scene, call.gpa, call.bytes);
	return random_call(scene, &call);
}

/* A slot: two or three large pages' worth that start at odd places. */
static int random_slot(struct scene *scene)
{
	const struct oracle_layout *layout = &scene->emulator->layout;
	uint64_t bytes = layout->tag_bytes / 8, page = page_bytes(scene, 1);
	uint64_t large = large_bytes(scene), gpa, hpa;
	int err;

	large = large > bytes ? page : large;
	gpa = below(scene, (scene_gpa_limit(scene) - bytes) / large) * large;
	hpa = layout->tag_hpa + below(scene, (layout->tag_bytes - bytes) / large + 1) * large;
	gpa += below(scene, 3) * page;
	hpa += gpa & (large - 1);
	bytes -= 4 * page + below(scene, 8) * page;
	if (hpa + bytes > layout->tag_hpa + layout->tag_bytes || meets_window(scene, gpa, bytes))
		return 0;
	err = scene_slot(scene, gpa, bytes, hpa, one_in(scene, 4) ? VMMU_SLOT_READ_ONLY : 0);
	return err == -EEXIST ? 0 : err;
}

/* A call that has been made, but for the window's. NULL: none. */
static const struct flat_call *random_mapped(struct scene *scene)
{
	const struct flat_call *call;
	unsigned tries;

	for (tries = 0; tries < 8 && scene->flat.count > 1; tries++) {
		call = &scene->flat.call[1 + below(scene, scene->flat.count - 1)];
		if (call->op == FLAT_MAP)
			return call;
	}
	return NULL;
}

/* A gpa of CALL's whose page is tagged. */
static uint64_t tagged_gpa(struct scene *scene, const struct flat_call *call)
{
	const struct oracle_layout *layout = &scene->emulator->layout;
	uint64_t skipped = call->hpa < layout->tag_hpa ? layout->tag_hpa - call->hpa : 0;
	uint64_t bytes = call->bytes - skipped;

	if (call->bytes <= skipped)
		return call->gpa;
	if (bytes > layout->tag_bytes)
		bytes = layout->tag_bytes;
	return call->gpa + skipped + (below(scene, bytes) & ~UINT64_C(7));
}

uint64_t scene_gpa(struct scene *scene)
{
	const struct flat_call *call = random_mapped(scene);
	uint64_t limit = scene_gpa_limit(scene), gpa;

	if (!call || one_in(scene, 12))
		return below(scene, limit) & ~UINT64_C(7);
	if (one_in(scene, 8)) /* just outside */
		gpa = one_in(scene, 2) ? call->gpa - 8 : call->gpa + call->bytes;
	else
		gpa = tagged_gpa(scene, call);
	return gpa < limit ? gpa : 0;
}

/* A call that takes away or gives rights, around GPA; the page's own when GPA is watched. */
static void random_change(struct scene *scene, uint64_t gpa, struct flat_call *call)
{
	uint64_t page = page_bytes(scene, 1);

	call->op = FLAT_UNMAP + (enum flat_op)below(scene, 4);
	call->access = random_access(scene);
	call->bytes = (1 + below(scene, 4)) * page;
	call->gpa = gpa & ~(page - 1);
	if (one_in(scene, 3) && call->gpa >= 2 * page)
		call->gpa -= page;
	if (one_in(scene, 6)) {
		call->gpa &= ~(large_bytes(scene) - 1);
		call->bytes = large_bytes(scene);
	}
}

/*
 * Change what is mapped and probe before and after; where the emulator can show it, also between
 * the stores and the flush. Its answer is not judged then, but whether it is one of the two.
 */
static int random_changed(struct scene *scene)
{
	bool can_watch = scene->emulator->stale_kind != JOB_KINDS && !scene->root.has_guest;
	unsigned kind = can_watch ? scene->emulator->stale_kind : JOB_LOAD;
	uint64_t gpa = scene_gpa(scene);
	struct flat_call call;
	int err;

	random_change(scene, gpa, &call);
	if (meets_window(scene, call.gpa, call.bytes) ||
	    call.bytes > scene_gpa_limit(scene) - call.gpa)
		return 0;
	scene_probe_meant(scene, kind, gpa);
	scene->watched = (struct oracle_probe){.phase = ORACLE_STALE, .kind = kind, .gpa = gpa};
	scene->is_watching = can_watch;
	err = random_call(scene, &call);
	scene->is_watching = false;
	scene_probe_meant(scene, kind, gpa);
	return err;
}

static int random_step(struct scene *scene)
{
	if (scene->mode == VMMU_MODE_FAULTS) {
		scene_access(scene, scene_kind(scene), scene_gpa(scene));
		return 0;
	}
	if (one_in(scene, 6))
		return random_changed(scene);
	if (one_in(scene, 40))
		return random_map(scene);
	scene_probe_meant(scene, scene_kind(scene), scene_gpa(scene));
	return 0;
}

/* Bits to flip: those at both ends say what an entry is, those between where it points. */
static uint64_t random_bits(struct scene *scene)
{
	uint64_t bits = 0, count = one_in(scene, 4) ? 2 + below(scene, 2) : 1;

	for (; count; count--) {
		switch (below(scene, 3)) {
		case 0:
			bits |= UINT64_C(1) << below(scene, 12);
			break;
		case 1:
			bits |= UINT64_C(1) << (52 + below(scene, 12));
			break;
		default:
			bits |= UINT64_C(1) << below(scene, 64);
		}
	}
	return bits;
}

/* Another word for VALUE, which stands in the tables. */
static uint64_t random_entry(struct scene *scene, uint64_t value)
{
	const struct memory *memory = &scene->jobs->memory;

	switch (below(scene, 12)) {
	case 0: /* some other entry, or nothing */
		return memory->tables[below(scene, memory->tables_bytes / 8)];
	case 1:
		return random_u64(&scene->random);
	default:
		return value ^ random_bits(scene);
	}
}

/* The address of an entry on the way to GPA, or 0. */
static uint64_t random_place(struct scene *scene, uint64_t gpa)
{
	struct oracle_probe probe = {.kind = JOB_LOAD, .gpa = gpa};
	struct vmmu_hw_walk walk;
	uint64_t place[VMMU_LEVELS_MAX];
	unsigned i, count = 0;

	scene_trial(scene, &probe, &walk);
	for (i = 0; i < walk.ref_count; i++) {
		if (walk.ref[i].stage != 2 || walk.ref[i].is_update)
			continue;
		if (walk.ref[i].input >> 12 == gpa >> 12 && count < VMMU_LEVELS_MAX)
			place[count++] = walk.ref[i].hpa;
	}
	return count ? place[below(scene, count)] : 0;
}

void scene_corrupt(struct scene *scene, uint64_t gpa)
{
	struct oracle_probe probe = {.phase = ORACLE_CORRUPT};
	uint64_t place = random_place(scene, gpa), old, probes;
	uint64_t *word = memory_table_word(&scene->jobs->memory, place);
	struct vmmu_hw_walk walk;

	if (!word)
		return;
	old = *word;
	jobs_poke(scene->jobs, word, random_entry(scene, old));
	jobs_flush(scene->jobs);
	for (probes = 1 + below(scene, 3); probes; probes--) {
		probe.kind = scene_kind(scene);
		probe.gpa = one_in(scene, 8) ? scene_gpa(scene) : gpa;
		probe.value = 0;
		scene_probe(scene, &probe, &walk);
	}
	jobs_poke(scene->jobs, word, old);
	jobs_flush(scene->jobs);
}

static uint64_t random_victim(struct scene *scene)
{
	uint64_t page = below(scene, ORACLE_WINDOW_PAGES);

	if (one_in(scene, 30))
		return scene->stage.window_gpa + page * scene->stage.window_stride;
	return scene_gpa(scene);
}

/* The tables are put back as the engine knows them before it sees them again. */
static int random_corruptions(struct scene *scene, uint64_t probes)
{
	struct memory *memory = &scene->jobs->memory;
	uint64_t *kept = malloc(memory->tables_bytes), end = scene->tally->probes + probes;
	uint64_t tries;

	if (!kept)
		return -ENOMEM;
	memcpy(kept, memory->tables, memory->tables_bytes);
	for (tries = 0; tries < 8 * probes && scene->tally->probes < end; tries++) {
		if (tries % 100 == 0)
			scene_registers(scene, true);
		scene_corrupt(scene, random_victim(scene));
	}
	memcpy(memory->tables, kept, memory->tables_bytes);
	free(kept);
	return 0;
}

static int random_build(struct scene *scene)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < RANGES && !err; i++) {
		if (scene->mode == VMMU_MODE_RANGES)
			err = random_map(scene);
		else if (scene->slot_count < SCENE_SLOTS_MAX)
			err = random_slot(scene);
	}
	return err;
}

static int random_play(struct scene *scene, uint64_t probes)
{
	uint64_t end = scene->tally->probes + probes / 2, tries;
	int err = random_build(scene);

	if (!err)
		err = scene_start(scene);
	for (tries = 0; tries < 4 * probes && scene->tally->probes < end && !err; tries++)
		err = random_step(scene);
	return err ? err : random_corruptions(scene, probes - probes / 2);
}

int scene_random(struct jobs *jobs, const struct vmmu_format *format, uint64_t seed,
		 uint64_t probes, struct scene_tally *tally)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	uint64_t page, window, limit;
	int err;

	if (!scene)
		return -ENOMEM;
	*scene = (struct scene){
		.jobs = jobs,
		.emulator = jobs->emulator,
		.format = format,
		.tally = tally,
		.random = {.state = seed},
	};
	scene->info = vmmu_format_info(format);
	page = page_bytes(scene, 1);
	limit = scene_gpa_limit(scene) < SCENE_BELOW ? scene_gpa_limit(scene) : SCENE_BELOW;
	window = below(scene, limit / page - ORACLE_WINDOW_PAGES) * page;
	err = scene_open(scene, one_in(scene, 3) ? VMMU_MODE_FAULTS : VMMU_MODE_RANGES, window);
	if (!err)
		err = random_play(scene, probes);
	if (scene->vm)
		scene_close(scene);
	free(scene);
	return err;
}
