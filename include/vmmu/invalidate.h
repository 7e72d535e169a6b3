/* SPDX-License-Identifier: MIT */
/*
 * The host takes pages away: invalidation by range, and everything at once.
 */
#ifndef VMMU_INVALIDATE_H
#define VMMU_INVALIDATE_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A half-open range of host-virtual bytes; ends need not be aligned, partial pages count whole. */
struct vmmu_hva_range {
	uint64_t start, end;
};

/*
 * Before the host changes or removes what is mapped at hvas in RANGE: unmaps every gfn of every
 * slot (aliases included) behind it and flushes. From here to the matching end, faults in the range
 * end with RETRY. Pairs may nest and overlap. -EINVAL: start >= end; -EIO.
 * Locking: takes the mmu lock; allowed inside env->resolve, forbidden inside the other callbacks.
 */
VMMU_API int vmmu_invalidate_begin(struct vmmu_vm *vm, const struct vmmu_hva_range *range);
/* The host is done. -EINVAL: no matching begin; -EIO. */
VMMU_API int vmmu_invalidate_end(struct vmmu_vm *vm, const struct vmmu_hva_range *range);
/*
 * Drop all mappings of all address spaces by making every root obsolete: vCPUs are kicked and load
 * new roots.
 * -EIO: poisoned.
 */
VMMU_API int vmmu_zap_all(struct vmmu_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
