/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <vmmu/fault.h>

#include "faults/vm.h"

/* Rounds for one page before the caller is asked to come again; more cannot be good luck. */
#define PREFAULT_TRIES 16

/* What an outcome that mapped nothing and is no RETRY means to the caller. */
static int prefault_error(const struct vmmu_fault *fault, int outcome)
{
	if (outcome < 0)
		return outcome;
	if (outcome == VMMU_EMULATE)
		return -ENOENT;
	if (outcome != VMMU_EXIT_TO_HOST)
		return -EIO;
	switch (fault->exit) {
	case VMMU_EXIT_POISONED:
		return -EHWPOISON;
	case VMMU_EXIT_WOULD_BLOCK:
	case VMMU_EXIT_MEMORY_FAULT: /* converted meanwhile */
		return -EAGAIN;
	default:
		return -EFAULT;
	}
}

/* Map the page at GPA. *bytes: what is mapped from gpa to the end of its mapping. */
static int prefault_page(struct vmmu_vcpu *vcpu, uint64_t gpa, uint64_t *bytes)
{
	const struct vmmu_geometry *geometry = vcpu->vm->geometry;
	struct vmmu_fault fault = {.gpa = gpa, .access = VMMU_READ, .flags = FAULT_AHEAD};
	int outcome = VMMU_RETRY;

	if (vcpu_has_full_ring(vcpu))
		return -ENOBUFS;
	fault.gfn = gpa >> geometry->page_shift;
	if (vm_is_private(vcpu->vm, fault.gfn))
		fault.flags |= VMMU_FAULT_PRIVATE;
	for (unsigned i = 0; i < PREFAULT_TRIES && outcome == VMMU_RETRY; i++) {
		int err = vcpu_has_current_root(vcpu) ? 0 : vcpu_reload(vcpu);

		if (err)
			return err;
		outcome = vcpu->vm->engine->fault(vcpu, &fault);
		if (vm_is_poisoned(vcpu->vm))
			return -EIO;
	}
	if (outcome == VMMU_RETRY)
		return -EAGAIN;
	if (outcome != VMMU_FIXED && outcome != VMMU_SPURIOUS)
		return prefault_error(&fault, outcome);
	vcpu->stats.prefaulted += outcome == VMMU_FIXED;
	*bytes = BIT64(geometry->shift[fault.level]) -
		 (gpa & (BIT64(geometry->shift[fault.level]) - 1));
	return 0;
}

int vmmu_prefault(struct vmmu_vcpu *vcpu, uint64_t gpa, uint64_t bytes, uint64_t *done)
{
	uint64_t left = bytes, step;
	int err = 0;

	if (done)
		*done = 0;
	if (!vcpu || !bytes || gpa + bytes < gpa ||
	    !is_aligned(gpa | bytes, BIT64(vcpu->vm->geometry->page_shift)))
		return -EINVAL;
	if (vcpu->vm->mode == VMMU_MODE_RANGES)
		return -ENOTSUP;
	err = vcpu_is_busy(vcpu) ? -EBUSY : vm_may_lock(vcpu->vm);
	if (err)
		return err;
	vcpu_set_busy(vcpu);
	while (left) {
		err = prefault_page(vcpu, gpa + (bytes - left), &step);
		if (err)
			break;
		left -= min_u64(left, step);
	}
	vcpu_set_idle(vcpu);
	if (done)
		*done = bytes - left;
	return left == bytes ? err : 0;
}
