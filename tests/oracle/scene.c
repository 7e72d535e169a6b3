// SPDX-License-Identifier: MIT
/* The VM, its environment, and single probes. */
#include "oracle/scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCENE_REPORTS_MAX 8
#define SCENE_TRIES_MAX   8 /* faults of one access: the guest's tables, the page, a retry */

uint64_t scene_gpa_limit(const struct scene *scene)
{
	unsigned bits = scene->info->geometry->gpa_bits - scene->emulator->gpa_bits_lost;
	unsigned most = scene->emulator->gpa_bits;

	return UINT64_C(1) << (bits < most ? bits : most);
}

uint64_t scene_backing(const struct scene *scene, uint64_t hva)
{
	const struct oracle_layout *layout = &scene->emulator->layout;

	return hva < SCENE_FOLDED ? hva : layout->tag_hpa + hva % layout->tag_bytes;
}

/* Huge as far as a hash of the place says, and tagged memory has room for it. */
static enum vmmu_resolve_status scene_resolve(void *ctx, const struct vmmu_page_request *request,
					      struct vmmu_page *page)
{
	const struct scene *scene = ctx;
	const struct vmmu_geometry *geometry = scene->info->geometry;
	unsigned level = 1 + (unsigned)((request->hva >> 21) % 3);

	while (level > 1 &&
	       UINT64_C(1) << geometry->shift[level] > scene->emulator->layout.tag_bytes)
		level--;
	*page = (struct vmmu_page){
		.pfn = scene_backing(scene, request->hva) >> geometry->page_shift,
		.level = level,
		.writable = true,
	};
	return VMMU_RESOLVE_OK;
}

/* In one piece as far as tagged memory is, in one of two places. */
static unsigned scene_host_span(void *ctx, uint64_t hva, uint64_t gfn)
{
	const struct scene *scene = ctx;
	const struct oracle_layout *layout = &scene->emulator->layout;
	unsigned shift = scene->info->geometry->page_shift, lg2 = 0;

	(void)gfn;
	if (hva >> 23 & 1)
		return 0;
	while (!((layout->tag_hpa | layout->tag_bytes) >> (shift + lg2) & 1))
		lg2++;
	return lg2;
}

/* Entries are sent in the order in which a CPU beside us would see them: before the flush. */
static void scene_flush(void *ctx, const struct vmmu_flush *flush)
{
	struct scene *scene = ctx;
	struct vmmu_hw_walk walk;

	(void)flush;
	if (!scene->is_live)
		return;
	jobs_sync(scene->jobs);
	if (scene->is_watching) {
		scene->is_watching = false;
		scene_probe(scene, &scene->watched, &walk);
	}
	jobs_flush(scene->jobs);
}

static void scene_bug(void *ctx, const char *what)
{
	struct scene *scene = ctx;

	scene->bugs++;
	fprintf(stderr, "oracle: the engine says: %s\n", what);
}

static int scene_vm(struct scene *scene)
{
	static const struct vmmu_env env = {
		.size = sizeof(env),
		.resolve = scene_resolve,
		.host_span = scene_host_span,
		.flush = scene_flush,
		.on_bug = scene_bug,
	};
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = scene->format,
		.env = &env,
		.env_ctx = scene,
		.tables = scene->jobs->memory.tables,
		.tables_hpa = scene->emulator->layout.tables_hpa,
		.tables_bytes = scene->jobs->memory.tables_bytes,
		.mode = scene->mode,
	};
	int err = vmmu_vm_create(&options, &scene->vm);

	return err ? err : vmmu_vcpu_create(scene->vm, 0, &scene->vcpu);
}

int scene_slot_note(struct scene *scene, const struct vmmu_slot *slot)
{
	struct flat_call call = {
		.op = FLAT_MAP, .gpa = slot->gpa, .bytes = slot->bytes, .hpa = slot->hva};

	call.access = slot->flags & VMMU_SLOT_READ_ONLY ? VMMU_READ | VMMU_EXEC : VMMU_RWX;
	return flat_add(&scene->flat, &call) ? 0 : -ENOSPC;
}

int scene_slot(struct scene *scene, uint64_t gpa, uint64_t bytes, uint64_t hpa, unsigned flags)
{
	struct vmmu_slot slot = {
		.id = scene->slot_count++, .flags = flags, .gpa = gpa, .bytes = bytes, .hva = hpa};
	int err = vmmu_slot_set(scene->vm, &slot);

	return err ? err : scene_slot_note(scene, &slot);
}

static int scene_window(struct scene *scene)
{
	uint64_t bytes = ORACLE_WINDOW_PAGES * scene->stage.window_stride;
	uint64_t gpa = scene->stage.window_gpa, hpa = scene->emulator->layout.window_hpa;
	struct flat_call call = {
		.op = FLAT_MAP, .gpa = gpa, .bytes = bytes, .hpa = hpa, .access = VMMU_RWX};
	struct vmmu_update update;
	struct vmmu_attr attr;
	int err;

	if (scene->mode == VMMU_MODE_FAULTS)
		return scene_slot(scene, gpa, bytes, hpa, 0);
	vmmu_attr_make(scene->vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr);
	err = vmmu_update_begin(scene->vm, 0, &update);
	if (err)
		return err;
	err = vmmu_map(&update, gpa, hpa, bytes, &attr, NULL);
	vmmu_update_end(&update);
	flat_add(&scene->flat, &call);
	return err;
}

int scene_open(struct scene *scene, enum vmmu_mode mode, uint64_t window_gpa)
{
	int err;

	scene->info = vmmu_format_info(scene->format);
	scene->mode = mode;
	scene->stage.info = scene->info;
	scene->stage.window_gpa = window_gpa;
	scene->stage.window_stride = UINT64_C(1) << scene->info->geometry->page_shift;
	scene->jobs->memory.window_stride = scene->stage.window_stride;
	scene->tally->scenes++;
	err = scene_vm(scene);
	return err ? err : scene_window(scene);
}

static int scene_root_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	uint64_t *hpa = ctx;

	if (!frame->root)
		return 0;
	*hpa = frame->hpa;
	return 1;
}

/* The guest's own tables, in the window's second and third page. */
static void scene_guest_tables(struct scene *scene)
{
	uint64_t arg[4] = {0};
	unsigned table, i;

	for (table = 1; table < ORACLE_WINDOW_PAGES; table++) {
		arg[0] = scene->emulator->layout.window_hpa + table * scene->stage.window_stride;
		for (i = 0; i < MEMORY_GUEST_WORDS; i++) {
			arg[1 + i] = scene->emulator->guest_entry(&scene->stage, table, i);
			scene->jobs->memory.guest[table][i] = arg[1 + i];
		}
		jobs_record(scene->jobs, JOB_WRITE | MEMORY_GUEST_WORDS << 8, arg);
	}
}

void scene_registers(struct scene *scene, bool is_wild)
{
	uint64_t arg[4];

	scene->stage.is_wild = is_wild;
	scene->emulator->root(&scene->stage, &scene->random, &scene->root);
	scene_guest_tables(scene);
	memcpy(arg, scene->root.arg, sizeof(scene->root.arg));
	arg[3] = scene->stage.window_gpa;
	jobs_record(scene->jobs, JOB_ROOT, arg);
}

int scene_root(struct scene *scene)
{
	struct vmmu_root root = {0};
	bool flush;
	int err;

	if (scene->mode == VMMU_MODE_RANGES)
		return vmmu_tables(scene->vm, scene_root_frame, &scene->stage.root_hpa) == 1
			       ? 0
			       : -ENOENT;
	err = vmmu_vcpu_root(scene->vcpu, &root, &flush);
	if (!err && scene->is_live) {
		jobs_sync(scene->jobs);
		if (root.hpa == scene->stage.root_hpa && flush)
			jobs_flush(scene->jobs);
	}
	if (!err && root.hpa != scene->stage.root_hpa) {
		scene->stage.root_hpa = root.hpa;
		if (scene->is_live)
			scene_registers(scene, false);
	}
	return err;
}

int scene_start(struct scene *scene)
{
	int err = scene_root(scene);

	if (err)
		return err;
	jobs_sync(scene->jobs);
	scene_registers(scene, false);
	scene->is_live = true;
	return 0;
}

void scene_close(struct scene *scene)
{
	scene->is_live = false;
	vmmu_vm_destroy(scene->vm);
	scene->vm = NULL;
	scene->tally->engine_differs += scene->bugs;
}

unsigned scene_need(unsigned kind)
{
	switch (kind & 0xf) {
	case JOB_STORE:
	case JOB_ASIDE_STORE:
		return VMMU_WRITE;
	case JOB_FETCH:
		return VMMU_EXEC;
	case JOB_RMW:
		return VMMU_READ | VMMU_WRITE;
	default:
		return VMMU_READ;
	}
}

unsigned scene_kind(struct scene *scene)
{
	static const uint8_t often[] = {JOB_LOAD,  JOB_LOAD,  JOB_LOAD,       JOB_STORE,
					JOB_STORE, JOB_FETCH, JOB_FETCH,      JOB_LOAD,
					JOB_STORE, JOB_FETCH, JOB_ASIDE_LOAD, JOB_ASIDE_STORE};
	unsigned kinds = scene->root.has_guest ? scene->emulator->kinds_guest
					       : scene->emulator->kinds;
	unsigned kind;

	do {
		kind = often[random_below(&scene->random, sizeof(often))];
		if (!random_below(&scene->random, 20))
			kind = JOB_RMW;
	} while (!(kinds >> kind & 1));
	if ((kinds >> (kind + 16) & 1) && !random_below(&scene->random, 4))
		kind |= JOB_USER;
	return kind;
}

static void scene_update(struct scene *scene, uint64_t hpa)
{
	if (scene->update_count < SCENE_UPDATES_MAX && memory_table_word(&scene->jobs->memory, hpa))
		scene->update[scene->update_count++] = hpa;
}

/* Note what WALK updated, or now and then left alone, to be read back from the emulator. */
static void scene_updates(struct scene *scene, const struct vmmu_hw_walk *walk)
{
	unsigned i;

	for (i = 0; i < walk->ref_count; i++) {
		if (walk->ref[i].is_update)
			scene_update(scene, walk->ref[i].hpa);
	}
	if (walk->status != VMMU_HW_OK && walk->fault.stage == 2 && walk->fault.level &&
	    !random_below(&scene->random, 8))
		scene_update(scene, walk->fault.entry_hpa);
}

/* One access of the guest, as the model has it. */
static void scene_walk(struct scene *scene, uint64_t gva, unsigned kind, struct vmmu_hw_walk *walk)
{
	struct vmmu_hw_bus bus = memory_bus(&scene->jobs->memory);
	struct vmmu_hw_access access = {
		.gva = gva,
		.access = scene_need(kind),
		.flags = kind & JOB_USER ? VMMU_HW_USER : 0,
		.bytes = (kind & 0xf) == JOB_FETCH ? 0 : 8,
	};
	int err;

	if (scene->emulator->syndrome)
		access.syndrome = scene->emulator->syndrome(kind & 0xf);
	err = vmmu_hw_translate(&scene->root.cpu, &bus, &access, walk);

	if (err) {
		fprintf(stderr, "oracle: the model refuses: %d\n", err);
		scene->bugs++;
		*walk = (struct vmmu_hw_walk){.status = VMMU_HW_FAULT_GUEST};
	}
	scene_updates(scene, walk);
}

/* A guest first fetches the window's instruction; what that fails of is the probe's result. */
static void scene_walks(struct scene *scene, struct oracle_probe *probe, struct vmmu_hw_walk *walk)
{
	unsigned user = probe->kind & JOB_USER, kind = probe->kind & 0xf;
	uint64_t pc = scene->stage.window_gpa + kind * 16, code;

	scene->update_count = 0;
	scene->is_lost = false;
	if (kind < JOB_ASIDE_LOAD) {
		scene_walk(scene, pc, JOB_FETCH | user, walk);
		probe->is_at_code = walk->status != VMMU_HW_OK;
		if (probe->is_at_code)
			return;
		code = scene->emulator->layout.window_hpa + kind * 16;
		scene->is_lost = walk->combined.output != code;
	}
	scene_walk(scene, probe->gva, probe->kind, walk);
}

/* Aim the guest's leaf, in the model's memory. The value, 0 without a guest. */
static uint64_t scene_aim(struct scene *scene, struct oracle_probe *probe)
{
	uint64_t leaf;

	probe->gva = probe->gpa;
	if (!scene->root.has_guest)
		return 0;
	leaf = scene->emulator->guest_leaf(probe->gpa);
	probe->gva = ORACLE_AIMED | (probe->gpa & (ORACLE_AIMED - 1));
	scene->jobs->memory.guest[scene->emulator->guest_leaf_table][1] = leaf;
	return leaf;
}

void scene_trial(struct scene *scene, struct oracle_probe *probe, struct vmmu_hw_walk *walk)
{
	struct memory *memory = &scene->jobs->memory;

	scene_aim(scene, probe);
	memory->is_frozen = true;
	memory->has_strayed = false;
	scene_walks(scene, probe, walk);
	memory->is_frozen = false;
}

static const char *scene_excludes(const struct scene *scene, const struct oracle_probe *probe,
				  const struct vmmu_hw_walk *walk)
{
	uint64_t output = walk->combined.output;
	unsigned kind = probe->kind & 0xf;
	bool is_light = kind >= JOB_ASIDE_LOAD && scene->emulator == &oracle_qemu_arm64;

	if (scene->jobs->memory.has_strayed)
		return "the walk leaves the tables";
	if (scene->is_lost)
		return "the guest's code is elsewhere";
	if (walk->status == VMMU_HW_FAULT_GUEST)
		return "a fault of the guest's own tables";
	if (walk->status == VMMU_HW_OK && !is_light) {
		if (!memory_is_ram(scene->emulator, output))
			return "the page is not RAM";
		if (!memory_is_tagged(scene->emulator, output) && scene_need(kind) != VMMU_READ)
			return "the page is the oracle's own";
	}
	if (!scene->emulator->excludes)
		return NULL;
	return scene->emulator->excludes(&scene->root, probe, walk);
}

static void scene_leave_out(struct scene *scene, const char *why)
{
	struct scene_tally *tally = scene->tally;
	unsigned i;

	for (i = 0; i < REASONS_MAX - 1 && tally->left_out[i].why; i++) {
		if (!strcmp(tally->left_out[i].why, why))
			break;
	}
	tally->left_out[i].why = why;
	tally->left_out[i].count++;
}

/* The word that a store or atomic leaves. */
static void scene_want_after(struct scene *scene, const struct oracle_probe *probe,
			     const struct vmmu_hw_walk *walk, uint64_t arg[4],
			     struct oracle_wanted *wanted)
{
	uint64_t output = walk->combined.output;
	unsigned kind = probe->kind & 0xf;

	if (walk->status != VMMU_HW_OK || !(scene_need(kind) & VMMU_WRITE))
		return;
	if (scene->emulator == &oracle_qemu_arm64 && kind >= JOB_ASIDE_LOAD)
		return;
	arg[2] = output;
	wanted->want.after = probe->value;
	if (kind == JOB_RMW)
		wanted->want.after += scene->emulator->tag(output);
	wanted->mask.after = UINT64_MAX;
}

static void scene_read_back(struct scene *scene, const struct oracle_expectation *probe)
{
	struct oracle_expectation read = *probe;
	uint64_t arg[4] = {0};
	unsigned i;

	for (i = 0; i < scene->update_count; i++) {
		arg[0] = scene->update[i];
		read.is_read = true;
		read.has_other = false;
		read.hpa = arg[0];
		read.wanted = (struct oracle_wanted){.mask.value = UINT64_MAX};
		read.wanted.want.value = *memory_table_word(&scene->jobs->memory, arg[0]);
		jobs_expect(scene->jobs, JOB_READ, arg, &read);
		scene->tally->reads++;
	}
}

static void scene_count(struct scene *scene, const struct oracle_probe *probe,
			const struct vmmu_hw_walk *walk)
{
	struct scene_tally *tally = scene->tally;

	tally->probes++;
	tally->passed += walk->status == VMMU_HW_OK;
	tally->refused += walk->status != VMMU_HW_OK;
	tally->meant += probe->phase == ORACLE_MEANT;
	tally->stale += probe->phase == ORACLE_STALE;
	tally->corrupt += probe->phase == ORACLE_CORRUPT;
}

/* The entry at which WALK's second stage ended, as it was read. */
static uint64_t scene_leaf(const struct vmmu_hw_walk *walk)
{
	uint64_t leaf = 0;
	unsigned i;

	for (i = 0; i < walk->ref_count; i++) {
		if (walk->ref[i].stage == 2 && !walk->ref[i].is_update)
			leaf = walk->ref[i].value;
	}
	return leaf;
}

bool scene_probe(struct scene *scene, struct oracle_probe *probe, struct vmmu_hw_walk *walk)
{
	struct oracle_expectation expectation = {0};
	uint64_t arg[4] = {0};
	const char *why;

	if (!probe->value)
		probe->value = random_u64(&scene->random) | 1;
	scene_trial(scene, probe, walk);
	why = scene_excludes(scene, probe, walk);
	if (why) {
		scene_leave_out(scene, why);
		return false;
	}
	arg[3] = scene_aim(scene, probe);
	scene_walks(scene, probe, walk);
	arg[0] = probe->gva;
	arg[1] = probe->value;
	expectation.probe = *probe;
	expectation.status = walk->status;
	expectation.fault = walk->fault;
	expectation.stage2 = walk->stage2;
	expectation.hpa = walk->combined.output;
	expectation.leaf = scene_leaf(walk);
	memcpy(expectation.root_arg, scene->root.arg, sizeof(expectation.root_arg));
	scene->emulator->want(probe, walk, memory_is_tagged(scene->emulator, expectation.hpa),
			      &expectation.wanted);
	scene_want_after(scene, probe, walk, arg, &expectation.wanted);
	expectation.has_other = probe->phase == ORACLE_STALE;
	expectation.other = scene->watched_before;
	jobs_expect(scene->jobs, JOB_PROBE | (uint64_t)probe->kind << 8, arg, &expectation);
	if (probe->phase == ORACLE_MEANT)
		scene->watched_before = expectation.wanted;
	scene_read_back(scene, &expectation);
	scene_count(scene, probe, walk);
	return true;
}

static void scene_report(struct scene *scene, const char *what, const struct oracle_probe *probe,
			 const struct vmmu_hw_walk *walk)
{
	struct flat_page page = flat_find(&scene->flat, probe->gpa);

	scene->tally->engine_differs++;
	if (scene->tally->reports++ >= SCENE_REPORTS_MAX)
		return;
	fprintf(stderr,
		"oracle: %s: gpa %#llx kind %#x: asked %d hpa %#llx rights %u; "
		"model status %d cause %d level %u entry %#llx hpa %#llx\n",
		what, (unsigned long long)probe->gpa, probe->kind, page.is_mapped,
		(unsigned long long)page.hpa, page.access, walk->status, walk->fault.cause,
		walk->fault.level, (unsigned long long)walk->fault.entry,
		(unsigned long long)walk->combined.output);
}

/* The engine's own walk against the model's. */
static void scene_compare_walk(struct scene *scene, const struct oracle_probe *probe,
			       const struct vmmu_hw_walk *walk)
{
	unsigned shift = scene->info->geometry->page_shift, need = scene_need(probe->kind);
	struct vmmu_walk own;
	bool is_granted;

	if (vmmu_walk(scene->vm, 0, probe->gpa, &own))
		own = (struct vmmu_walk){.entry.kind = VMMU_ENTRY_ABSENT};
	is_granted = own.entry.kind == VMMU_ENTRY_LEAF && (own.access & need) == need;
	if (is_granted != (walk->status == VMMU_HW_OK))
		scene_report(scene, "vmmu_walk() and the model differ on rights", probe, walk);
	else if (is_granted && own.pfn != walk->combined.output >> shift)
		scene_report(scene, "vmmu_walk() and the model differ on the page", probe, walk);
}

void scene_probe_meant(struct scene *scene, unsigned kind, uint64_t gpa)
{
	struct oracle_probe probe = {.phase = ORACLE_MEANT, .kind = kind, .gpa = gpa};
	struct flat_page page = flat_find(&scene->flat, gpa);
	unsigned need = scene_need(kind);
	struct vmmu_hw_walk walk;
	bool is_granted = page.is_mapped && (page.access & need) == need;

	if (!scene_probe(scene, &probe, &walk))
		return;
	scene->tally->compared++;
	if (is_granted != (walk.status == VMMU_HW_OK))
		scene_report(scene, "asked and model differ on rights", &probe, &walk);
	else if (is_granted && page.hpa != walk.combined.output)
		scene_report(scene, "asked and model differ on the page", &probe, &walk);
	scene_compare_walk(scene, &probe, &walk);
}

/* Hand the model's report to the engine as hardware's. Its outcome, or -errno. */
static int scene_fault(struct scene *scene, const struct vmmu_hw_walk *walk)
{
	struct vmmu_syndrome syndrome = {0};
	struct vmmu_fault fault = {0};
	int err;

	scene->emulator->registers(walk, &syndrome);
	err = vmmu_fault_decode(scene->info->architecture, &syndrome, &fault);
	return err ? err : vmmu_fault(scene->vcpu, &fault);
}

void scene_access(struct scene *scene, unsigned kind, uint64_t gpa)
{
	struct flat_page page = flat_find(&scene->flat, gpa);
	unsigned need = scene_need(kind), tries;
	struct vmmu_hw_walk walk = {.status = VMMU_HW_FAULT_HOST};
	struct oracle_probe probe;
	bool is_granted = page.is_mapped && (page.access & need) == need;
	int outcome = VMMU_RETRY;

	for (tries = 0; tries < SCENE_TRIES_MAX; tries++) {
		probe = (struct oracle_probe){.phase = ORACLE_MEANT, .kind = kind, .gpa = gpa};
		if (!scene_probe(scene, &probe, &walk))
			return;
		if (walk.status == VMMU_HW_OK || outcome == VMMU_EMULATE)
			break;
		outcome = scene_fault(scene, &walk);
		if (outcome < 0)
			break;
		jobs_sync(scene->jobs);
	}
	scene->tally->compared++;
	if (is_granted != (walk.status == VMMU_HW_OK))
		scene_report(scene, "slots and model differ on rights", &probe, &walk);
	else if (is_granted && scene_backing(scene, page.hpa) != walk.combined.output)
		scene_report(scene, "slots and model differ on the page", &probe, &walk);
	else if (!is_granted && outcome != VMMU_EMULATE)
		scene_report(scene, "not memory, and not to be emulated", &probe, &walk);
	scene_compare_walk(scene, &probe, &walk);
}
