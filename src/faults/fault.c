/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <vmmu/fault.h>

#include "base/sync.h"
#include "faults/vm.h"

#define FAULT_FLAGS                                                                       \
	(VMMU_FAULT_PRESENT | VMMU_FAULT_RSVD | VMMU_FAULT_USER | VMMU_FAULT_GUEST_WALK | \
	 VMMU_FAULT_NO_WAIT | VMMU_FAULT_READY | VMMU_FAULT_PRIVATE)

const char *vmmu_outcome_name(int outcome)
{
	static const char *const names[] = {
		[VMMU_RETRY] = "retry",
		[VMMU_FIXED] = "fixed",
		[VMMU_SPURIOUS] = "spurious",
		[VMMU_EMULATE] = "emulate",
		[VMMU_WRITE_TRACKED] = "write_tracked",
		[VMMU_EXIT_TO_HOST] = "exit_to_host",
		[VMMU_GUEST_FAULT] = "guest_fault",
	};

	if (outcome < 0 || outcome >= VMMU_OUTCOMES)
		return "?";
	return names[outcome];
}

static bool fault_inputs_are_valid(const struct vmmu_geometry *geometry,
				   const struct vmmu_fault *fault)
{
	if (fault->access != VMMU_READ && fault->access != VMMU_WRITE && fault->access != VMMU_EXEC)
		return false;
	if (fault->flags & ~(unsigned)FAULT_FLAGS)
		return false;
	return !fault->max_level || (fault->max_level <= geometry->levels &&
				     (geometry->leaf_levels & (1u << fault->max_level)));
}

/* Outputs as they are when nothing was found out. */
static void fault_clear_outputs(struct vmmu_fault *fault, const struct vmmu_geometry *geometry)
{
	fault->gfn = fault->gpa >> geometry->page_shift;
	fault->pfn = 0;
	fault->hva = 0;
	fault->level = 0;
	fault->exit = VMMU_EXIT_NONE;
	fault->fast = false;
	fault->mmio_cached = false;
}

/*
 * Nothing is mapped without room to log it.
 *
 * A vCPU that never asked for its root stands on none: load it. An obsolete one it must ask for
 * itself.
 */
static inline int fault_handle(struct vmmu_vm *vm, struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	int err;

	if (vcpu_has_full_ring(vcpu)) {
		fault->exit = VMMU_EXIT_RING_FULL;
		return VMMU_EXIT_TO_HOST;
	}
	if (likely(vcpu_has_current_root(vcpu)))
		return vm->engine->fault(vcpu, fault);
	if (vcpu->root)
		return VMMU_RETRY;
	err = vcpu_reload(vcpu);
	return err ? err : vm->engine->fault(vcpu, fault);
}

/* fault_handle() where somebody listens. */
static NEVER_INLINE int fault_handle_told(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct vmmu_vm *vm = vcpu->vm;
	int outcome;

	vm_event(vm, .kind = VMMU_EVENT_FAULT, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .access = fault->access, .gpa = fault->gpa, .gfn = fault->gfn);
	outcome = fault_handle(vm, vcpu, fault);
	if (unlikely(vm_is_poisoned(vm)))
		outcome = -EIO;
	vm_event(vm, .kind = VMMU_EVENT_OUTCOME, .vcpu_id = vcpu->id, .as_id = vcpu->as_id,
		 .access = fault->access, .gpa = fault->gpa, .gfn = fault->gfn,
		 .level = fault->level, .value = outcome);
	return outcome;
}

int vmmu_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	struct vmmu_vm *vm;
	int outcome;

	if (!vcpu || !fault)
		return -EINVAL;
	vm = vcpu->vm;
	if (unlikely(!fault_inputs_are_valid(vm->geometry, fault)))
		return -EINVAL;
	if (unlikely(vm_is_poisoned(vm)))
		return -EIO;
	if (unlikely(vcpu_is_busy(vcpu)))
		return -EBUSY;
	vcpu_set_busy(vcpu);
	fault_clear_outputs(fault, vm->geometry);
	outcome = unlikely(vm->env.event != NULL) ? fault_handle_told(vcpu, fault)
						  : fault_handle(vm, vcpu, fault);
	if (unlikely(vm_is_poisoned(vm)))
		outcome = -EIO;
	if (likely(outcome >= 0))
		vcpu->stats.faults[outcome]++;
	vcpu_set_idle(vcpu);
	return outcome;
}

int vmmu_fault_ready(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	if (!vcpu || !fault)
		return -EINVAL;
	fault->flags = (fault->flags | VMMU_FAULT_READY) & ~(unsigned)VMMU_FAULT_NO_WAIT;
	return vmmu_fault(vcpu, fault);
}
