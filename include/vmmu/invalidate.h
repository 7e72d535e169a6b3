/* SPDX-License-Identifier: MIT */
/*
 * The host takes pages away: invalidation by range, and everything at once.
 */
#ifndef VMMU_INVALIDATE_H
#define VMMU_INVALIDATE_H

#include <vmmu/env.h>
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
 * The host has put another page with equal contents behind the one at HVA (bytes, page aligned):
 * same-page merging, migration. PAGE describes the new page; its level is not looked at. On return
 * nothing uses the old page, which may be used for something else then.
 *
 * A read-only new page takes the place of the old one wherever that was mapped by itself, aliases
 * and both address spaces included, without a fault; whether it counts as used (vmmu/age.h) stays.
 * Where the new page is writable, or the old one was part of a larger mapping, the mapping is
 * dropped and comes back by the next fault. Faults under way whose lookup gave the old page retry.
 * Both pages must stay valid until the call returns; no begin and end is needed around it.
 *
 * -EINVAL: hva misaligned, or page's pfn or memtype is none; -ENOTSUP: VMMU_MODE_RANGES; -EIO.
 * Locking: as vmmu_invalidate_begin().
 */
VMMU_API int vmmu_remap(struct vmmu_vm *vm, uint64_t hva, const struct vmmu_page *page);
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
