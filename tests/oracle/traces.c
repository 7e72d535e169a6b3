// SPDX-License-Identifier: MIT
#include "oracle/traces.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACES_WINDOW   UINT64_C(0x3f000000) /* no recording has memory or devices there */
#define TRACES_MADE_UP  (UINT64_C(1) << 46)  /* hva of a slot that has none: this plus gpa */
#define TRACES_LOG_BITS (UINT64_C(1) << 20)  /* pages of the largest slot whose log is read */

struct trace_file {
	const char *trace, *layout;
};

static const struct trace_file trace_files[] = {
	{"x86-npf-linux6.1-seabios-32k.tracefs.txt.gz",
	 "x86-qemu7.2-i440fx-vga-kvm_set_user_memory.txt"},
	{"arm64-linux6.1.tracefs.txt.gz", "arm64-linux6.1.memslots.txt"},
	{"riscv64-linux6.12.tracefs.txt.gz", "riscv64-linux6.12.memslots.txt"},
};

/* Whole pages of the format, in the engine's numbering of addresses. False: none are left. */
static bool trace_slot_trim(const struct scene *scene, struct vmmu_slot *slot)
{
	uint64_t page = UINT64_C(1) << scene->info->geometry->page_shift;
	uint64_t start = (slot->gpa + page - 1) & ~(page - 1);
	uint64_t end = (slot->gpa + slot->bytes) & ~(page - 1);

	if (!slot->hva)
		slot->hva = TRACES_MADE_UP + slot->gpa;
	slot->hva += start - slot->gpa;
	slot->hva &= ~(page - 1);
	slot->gpa = start;
	slot->bytes = end > start ? end - start : 0;
	return slot->bytes;
}

/* Forget what the slot of these ids backed. */
static void trace_slot_gone(struct scene *scene, const struct vmmu_slot *slot)
{
	struct flat_call call = {.op = FLAT_UNMAP};
	struct vmmu_slot old;

	if (vmmu_slot_get(scene->vm, slot->as_id, slot->id, &old))
		return;
	call.gpa = old.gpa;
	call.bytes = old.bytes;
	flat_add(&scene->flat, &call);
}

/*
 * What the engine refuses, KVM refused: no error. The window's slot is number 0: others come after.
 */
static int trace_slot(struct scene *scene, const struct vmmu_trace_event *event)
{
	struct vmmu_slot slot = event->slot;

	slot.id++;
	if (slot.as_id)
		return 0;
	if (!slot.bytes) {
		trace_slot_gone(scene, &slot);
		vmmu_slot_set(scene->vm, &slot);
		return 0;
	}
	if (!trace_slot_trim(scene, &slot))
		return 0;
	trace_slot_gone(scene, &slot);
	if (vmmu_slot_set(scene->vm, &slot))
		return 0;
	return scene_slot_note(scene, &slot);
}

static int trace_dirty(struct scene *scene, const struct vmmu_trace_event *event)
{
	uint64_t *bitmap = calloc(TRACES_LOG_BITS / 64, sizeof(*bitmap));

	if (!bitmap)
		return -ENOMEM;
	vmmu_dirty_get(scene->vm, event->slot.as_id, event->slot.id + 1, bitmap, TRACES_LOG_BITS,
		       NULL);
	free(bitmap);
	return 0;
}

static int trace_fault(struct scene *scene, const struct vmmu_trace_event *event)
{
	unsigned kind = JOB_LOAD;
	int err = scene->is_live ? scene_root(scene) : scene_start(scene);

	if (err)
		return err;
	if (event->fault.access == VMMU_WRITE)
		kind = JOB_STORE;
	else if (event->fault.access == VMMU_EXEC)
		kind = JOB_FETCH;
	if (event->fault.gpa < scene_gpa_limit(scene))
		scene_access(scene, kind, event->fault.gpa & ~UINT64_C(7));
	return 0;
}

static int trace_event(struct scene *scene, const struct vmmu_trace_event *event)
{
	int err = 0;

	switch (event->kind) {
	case VMMU_TRACE_FAULT:
		return trace_fault(scene, event);
	case VMMU_TRACE_SLOT:
		err = trace_slot(scene, event);
		break;
	case VMMU_TRACE_DIRTY_GET:
		err = trace_dirty(scene, event);
		break;
	case VMMU_TRACE_INVALIDATE:
		if (!vmmu_invalidate_begin(scene->vm, &event->hva))
			vmmu_invalidate_end(scene->vm, &event->hva);
		break;
	case VMMU_TRACE_ZAP_ALL:
		err = vmmu_zap_all(scene->vm);
		break;
	default:
		return 0;
	}
	if (scene->is_live)
		jobs_sync(scene->jobs);
	return err;
}

static int trace_play(struct scene *scene, const char *directory, const struct trace_file *file)
{
	struct vmmu_trace_options options = {.size = sizeof(options)};
	struct vmmu_trace_event event;
	struct vmmu_trace *trace;
	char path[4096], layout[4096], error[256];
	int err;

	snprintf(path, sizeof(path), "%s/%s", directory, file->trace);
	snprintf(layout, sizeof(layout), "%s/%s", directory, file->layout);
	options.layout = layout;
	err = vmmu_trace_open(path, &options, &trace, error, sizeof(error));
	if (err) {
		fprintf(stderr, "oracle: %s\n", error);
		return err;
	}
	while ((err = vmmu_trace_next(trace, &event)) > 0) {
		err = trace_event(scene, &event);
		if (err)
			break;
	}
	vmmu_trace_close(trace);
	return err;
}

static int trace_scene(struct jobs *jobs, const struct vmmu_format *format, const char *directory,
		       const struct trace_file *file, struct scene_tally *tally)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int err;

	if (!scene)
		return -ENOMEM;
	*scene = (struct scene){
		.jobs = jobs, .emulator = jobs->emulator, .format = format, .tally = tally};
	err = scene_open(scene, VMMU_MODE_FAULTS, TRACES_WINDOW);
	if (!err)
		err = trace_play(scene, directory, file);
	if (scene->vm)
		scene_close(scene);
	free(scene);
	return err;
}

int traces_fill(struct jobs *jobs, const struct vmmu_format *format, const char *directory,
		struct scene_tally *tally)
{
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof(trace_files) / sizeof(trace_files[0]) && !err; i++)
		err = trace_scene(jobs, format, directory, &trace_files[i], tally);
	return err;
}
