/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <vmmu/age.h>

#include "base/sync.h"
#include "faults/vm.h"

/* An aging under way. */
struct age_run {
	struct vmmu_vm *vm;
	enum age_what what;
	uint64_t young;
};

/* Whether a slot is just going away does not matter: what it maps is mapped. */
static int age_part(void *ctx, const struct slot_range *range)
{
	struct age_run *run = ctx;

	run->young += run->vm->engine->age_range(run->vm, range, run->what);
	return run->young && run->what == AGE_TEST;
}

static int age_run(struct vmmu_vm *vm, const struct vmmu_hva_range *range, enum age_what what)
{
	struct age_run run = {.vm = vm, .what = what};

	if (!vm || !range || range->start >= range->end)
		return -EINVAL;
	if (vm->mode == VMMU_MODE_RANGES)
		return -ENOTSUP;
	if (vm_is_poisoned(vm))
		return -EIO;
	sync_read_lock();
	for (unsigned as = 0; as < vm->as_count; as++)
		slot_set_for_hva(slots_active(&vm->slots, as), &vm->slots, range->start, range->end,
				 age_part, &run);
	sync_read_unlock();
	if (what == AGE_CLEAR && run.young)
		atomic_fetch_add_explicit(&vm->aged, run.young, memory_order_relaxed);
	return run.young != 0;
}

int vmmu_age(struct vmmu_vm *vm, const struct vmmu_hva_range *range)
{
	return age_run(vm, range, AGE_CLEAR);
}

int vmmu_test_age(struct vmmu_vm *vm, const struct vmmu_hva_range *range)
{
	return age_run(vm, range, AGE_TEST);
}
