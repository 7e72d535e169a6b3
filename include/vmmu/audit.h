/* SPDX-License-Identifier: MIT */
/*
 * The self-check: every invariant of the engine over the whole of a VM's state.
 */
#ifndef VMMU_AUDIT_H
#define VMMU_AUDIT_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One broken invariant. */
struct vmmu_finding {
	const char *invariant; /* a short stable name: "rmap-missing", "leaf-misaligned" ... */
	/* for people: which entry, what was expected; valid during the call */
	const char *text;
	uint64_t gfn;
	unsigned level, as_id;
};

struct vmmu_audit {
	uint64_t checked; /* facts checked; grows with the state */
	uint64_t violations;
};

/*
 * Check VM, calling FN (may be NULL) for each finding. Returns 0 whatever is found; -EINVAL: NULL
 * audit. Takes the slots lock and the mmu lock; call while no fault, slot update or invalidation is
 * under way to have every count exact. Cost: linear in tables, slots and rmaps.
 */
VMMU_API int vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
			void (*fn)(void *ctx, const struct vmmu_finding *), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
