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

/* What is left to map. */
struct prefault {
	struct vmmu_vcpu *vcpu;
	uint64_t gpa, left; /* bytes */
	/*
	 * Pages that are asked for at once: fewer where what was found was overtaken, since then
	 * all was asked for in vain
	 */
	uint64_t most;
};

/* The next BYTES are mapped. */
static void prefault_go_on(struct prefault *p, uint64_t bytes)
{
	bytes = min_u64(bytes, p->left);
	p->gpa += bytes;
	p->left -= bytes;
}

/* A fault for the next page. */
static struct vmmu_fault prefault_fault(const struct prefault *p)
{
	struct vmmu_vm *vm = p->vcpu->vm;
	struct vmmu_fault fault = {.gpa = p->gpa,
				   .access = VMMU_READ,
				   .flags = FAULT_AHEAD,
				   .gfn = p->gpa >> vm->geometry->page_shift};

	if (vm_is_private(vm, fault.gfn))
		fault.flags |= VMMU_FAULT_PRIVATE;
	return fault;
}

/* Map the next page, and what one leaf maps with it, by a fault. */
static int prefault_page(struct prefault *p)
{
	struct vmmu_vcpu *vcpu = p->vcpu;
	struct vmmu_fault fault = prefault_fault(p);
	int outcome = VMMU_RETRY;
	uint64_t bytes;

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
	bytes = BIT64(vcpu->vm->geometry->shift[fault.level]);
	prefault_go_on(p, bytes - (p->gpa & (bytes - 1)));
	return 0;
}

/*
 * Can pages be mapped many at once? Where somebody listens each is told of by a fault of its own.
 */
static bool prefault_is_wide(const struct vmmu_vcpu *vcpu)
{
	const struct vmmu_vm *vm = vcpu->vm;

	return !vcpu_is_direct(vcpu) && !vm->env.event &&
	       !(vm->policies & (VM_POLICIES_ASKED | VMMU_POLICY_PREFAULT_ANEW));
}

/* Map as many of the next pages as can be at once. 0: some, or a fault is to try the next page. */
static int prefault_many(struct prefault *p)
{
	struct vmmu_vcpu *vcpu = p->vcpu;
	struct vmmu_fault fault = prefault_fault(p);
	unsigned shift = vcpu->vm->geometry->page_shift;
	uint64_t done;
	int outcome, err = vcpu_has_current_root(vcpu) ? 0 : vcpu_reload(vcpu);

	if (err)
		return err;
	outcome = vcpu->vm->engine->prefault(vcpu, &fault, min_u64(p->left >> shift, p->most),
					     &done);
	if (vm_is_poisoned(vcpu->vm))
		return -EIO;
	prefault_go_on(p, done << shift);
	if (outcome == VMMU_FIXED) {
		p->most = p->most > UINT64_MAX / 2 ? UINT64_MAX : 2 * p->most;
		return 0;
	}
	if (outcome != VMMU_RETRY)
		return prefault_error(&fault, outcome);
	p->most = 1;
	return p->left ? prefault_page(p) : 0;
}

static int prefault_run(struct prefault *p)
{
	bool is_wide = prefault_is_wide(p->vcpu);
	int err = 0;

	while (p->left && !err) {
		if (vcpu_has_full_ring(p->vcpu))
			return -ENOBUFS;
		err = is_wide ? prefault_many(p) : prefault_page(p);
	}
	return err;
}

int vmmu_prefault(struct vmmu_vcpu *vcpu, uint64_t gpa, uint64_t bytes, uint64_t *done)
{
	struct prefault p = {.vcpu = vcpu, .gpa = gpa, .left = bytes, .most = UINT64_MAX};
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
	err = prefault_run(&p);
	vcpu_set_idle(vcpu);
	if (done)
		*done = bytes - p.left;
	return p.left == bytes ? err : 0;
}
