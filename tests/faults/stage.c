/* SPDX-License-Identifier: MIT */
#include "faults/stage.h"

#include <stdlib.h>
#include <string.h>

static void stage_slots(struct machine *machine, uint64_t large)
{
	machine_slot(machine, 0, 0, 2 * large, 0, 0);
	machine_slot(machine, 1, 4 * large + 3, 100, 5 * large, VMMU_SLOT_LOG_DIRTY);
	machine_slot(machine, 2, 5 * large, 10, 6 * large + 1, VMMU_SLOT_READ_ONLY);
	machine_slot(machine, 4, 5 * large + 10, 5, 7 * large, 0);
	machine_slot_in(machine, 1, 3, 0, 5, 8 * large, 0);
}

struct stage *stage_make(unsigned format_index)
{
	struct machine_options options = {.address_spaces = 2, .vcpus = 2, .rest_level = 2};
	struct stage *stage = calloc(1, sizeof(*stage));
	struct machine *machine = machine_create(format_index, &options);
	uint64_t large = machine_pages(machine, 2);

	cr_assert_not_null(stage);
	*stage = (struct stage){
		.machine = machine, .vm = machine->vm, .ops = machine->format->ops, .large = large};
	stage_slots(machine, large);
	machine_access(machine, 0, 0, VMMU_WRITE);
	machine_access(machine, 0, machine_gpa(machine, 4 * large + 3), VMMU_WRITE);
	machine_access(machine, 0, machine_gpa(machine, 4 * large + 70), VMMU_WRITE);
	machine_access(machine, 0, machine_gpa(machine, 5 * large + 9), VMMU_READ);
	machine_access(machine, 0, machine_gpa(machine, 6 * large), VMMU_WRITE);
	machine_vcpu_as(machine, 1, 1);
	machine_access(machine, 1, 0, VMMU_READ);
	machine_vcpu_as(machine, 1, 0);
	machine_access(machine, 1, 0, VMMU_READ);
	return stage;
}

void stage_end(struct stage *stage)
{
	machine_destroy(stage->machine);
	free(stage);
}

static uint64_t load(const void *at, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

void poke(struct stage *stage, const volatile void *at, size_t bytes, uint64_t value)
{
	struct poke *poke = &stage->pokes[stage->poke_count++];

	cr_assert_leq(stage->poke_count, POKES_MAX);
	*poke = (struct poke){(void *)(uintptr_t)at, bytes,
			      load((const void *)(uintptr_t)at, bytes)};
	memcpy(poke->at, &value, bytes);
}

void undo(struct stage *stage)
{
	while (stage->poke_count) {
		struct poke *poke = &stage->pokes[--stage->poke_count];

		memcpy(poke->at, &poke->old, poke->bytes);
	}
}

_Atomic uint64_t *entry_at(struct stage *stage, unsigned as_id, uint64_t gfn)
{
	struct vmmu_walk walk = machine_walk(stage->machine, as_id, gfn);

	return frame_ptr(&stage->vm->tree.frames, walk.pte_hpa);
}

struct table *table_of(struct stage *stage, _Atomic uint64_t *ptep)
{
	return frame_meta(&stage->vm->tree.frames, (const void *)ptep);
}

struct table *table_at(struct stage *stage, uint64_t gfn, _Atomic uint64_t **parent)
{
	struct table *table = table_of(stage, entry_at(stage, 0, gfn));

	cr_assert_eq(table->level, 1);
	*parent = (_Atomic uint64_t *)(uintptr_t)table->parents;
	return table;
}
