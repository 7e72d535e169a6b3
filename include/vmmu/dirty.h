/* SPDX-License-Identifier: MIT */
/*
 * Dirty logging: which pages of a slot with VMMU_SLOT_LOG_DIRTY were written, as live migration
 * asks. Semantics as KVM's.
 *
 * A slot's bitmap has a bit for each page. A page whose bit is clear cannot be written unseen: it
 * is write-protected, and the first write to it, a fault, sets the bit and gives WRITE back. To
 * report a page is to clear its bit and to protect it again, TLBs included, before the call
 * returns: what is copied after that holds every write that was reported, and later writes are
 * reported later. Nothing that was written is ever lost, whatever else happens to the page.
 *
 * How reporting and protecting go together is the VM's choice (vmmu_vm_options.dirty_flags):
 *
 * 	by default        vmmu_dirty_get() does both, for all pages of the slot
 * 	VMMU_DIRTY_MANUAL vmmu_dirty_get() copies and changes nothing; vmmu_dirty_clear() clears and
 * 	                  protects pages one asks for, just before they are copied
 */
#ifndef VMMU_DIRTY_H
#define VMMU_DIRTY_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Copy a slot's dirty bitmap (bit n: page n of the slot) and clear it: pages reported become
 * write-protected, and the flush is done on return. With VMMU_DIRTY_MANUAL it is copied alone.
 * BITMAP has room for BITS bits, at least the slot's pages, rounded up to 64. *count (may be NULL):
 * bits set.
 *
 *   -EINVAL  bad ids, or BITS too small
 *   -ENOENT  no such slot, or it does not log
 *   -EDEADLK, -EIO
 * Locking: takes the slots lock and the mmu lock. Cost: one walk for each page reported.
 */
VMMU_API int vmmu_dirty_get(struct vmmu_vm *vm, unsigned as_id, unsigned id, uint64_t *bitmap,
			    uint64_t bits, uint64_t *count);

/* Pages of a slot that vmmu_dirty_clear() is to clear. */
struct vmmu_dirty_range {
	unsigned as_id, id;     /* the slot */
	uint64_t first;         /* page of the slot, a multiple of 64 */
	uint64_t pages;         /* a multiple of 64, unless they reach the slot's end */
	const uint64_t *bitmap; /* bit n: page FIRST + n; (PAGES + 63) / 64 words */
};

/*
 * Clear, of the pages that RANGE names and whose bits in its bitmap are set, those that are dirty,
 * and write-protect just these; the flush is done on return. A large page over one of them is
 * protected as a whole, and split by the next write to it. Bits of pages that are not dirty, and
 * beyond the slot's end, do not matter. *count (may be NULL): how many were cleared. With or
 * without VMMU_DIRTY_MANUAL.
 *
 *   -EINVAL  bad ids; FIRST no multiple of 64
 *   -ENOENT  no such slot, or it does not log
 *   -EINVAL  RANGE reaches beyond the slot; PAGES no multiple of 64 and does not reach its end
 *   -EDEADLK, -EIO
 * Locking: as vmmu_dirty_get(). Cost: one walk for each page cleared.
 */
VMMU_API int vmmu_dirty_clear(struct vmmu_vm *vm, const struct vmmu_dirty_range *range,
			      uint64_t *count);

#ifdef __cplusplus
}
#endif
#endif
