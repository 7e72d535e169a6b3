/* SPDX-License-Identifier: MIT */
/*
 * Attributes of guest memory: which of it is private to the guest, and which it shares with its
 * host. An access that is of the other kind ends with VMMU_EXIT_MEMORY_FAULT, and the embedder
 * converts the memory, or not.
 */
#ifndef VMMU_ATTRIBUTES_H
#define VMMU_ATTRIBUTES_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vmmu_attribute {
	VMMU_ATTRIBUTE_PRIVATE = 1 << 3, /* the number that KVM has for it */
};

/*
 * Give gpas [gpa, gpa + bytes) ATTRIBUTES, or'ed (0: shared, as all memory is at first), in all
 * address spaces, whether or not slots are there; slots may come and go. What is mapped there goes,
 * with the flush done on return, and comes back by faults; a large page of which part is private
 * is mapped in small ones. Memory that had just these attributes already is left alone.
 *
 * -EINVAL: gpa or bytes not page aligned; bytes 0; gpa + bytes wraps; unknown attributes
 * -ENOMEM: nothing changed
 * -ENOTSUP: VMMU_MODE_RANGES; -EDEADLK: as vmmu_slot_set(); -EIO
 * Locking: takes the slots lock, and the mmu lock now and then; waits for readers (RCU). Faults of
 * that memory are answered with VMMU_RETRY meanwhile. Cost: linear in the pages of its slots, and
 * in the number of pieces that all memory is in.
 */
VMMU_API int vmmu_attributes_set(struct vmmu_vm *vm, uint64_t gpa, uint64_t bytes,
				 unsigned attributes);
/*
 * The attributes of the page at gpa (bytes), or -EINVAL: VM is NULL. Locking: none; RCU: reader.
 * O(log n).
 */
VMMU_API int vmmu_attributes_get(struct vmmu_vm *vm, uint64_t gpa);

#ifdef __cplusplus
}
#endif
#endif
