/* SPDX-License-Identifier: MIT */
/*
 * Memslots: which guest-physical ranges are memory. Semantics as KVM's. What VMMU_SLOT_LOG_DIRTY
 * gives is in vmmu/dirty.h.
 */
#ifndef VMMU_SLOT_H
#define VMMU_SLOT_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vmmu_slot_flag {
	VMMU_SLOT_LOG_DIRTY = 1 << 0,
	VMMU_SLOT_READ_ONLY = 1 << 1, /* guest writes are emulated */
};

/* Ids 0..VMMU_SLOT_IDS-1 may be used in each address space. */
#define VMMU_SLOT_IDS 32764u
/* Most smallest pages in one slot. */
#define VMMU_SLOT_GFNS_MAX ((UINT64_C(1) << 31) - 1)

struct vmmu_slot {
	unsigned as_id, id;
	unsigned flags; /* enum vmmu_slot_flag, or-ed */
	uint64_t gpa;   /* bytes, page aligned */
	uint64_t bytes; /* page aligned; 0 deletes the slot */
	uint64_t hva;   /* bytes, page aligned: address in the embedder's own numbering */
};

/*
 * Create, delete (bytes 0), move (other gpa) or re-flag the slot as_id/id.
 *
 * Errors, checked in this order:
 *   -EINVAL  unknown flags; bytes, gpa or hva not page aligned; hva + bytes wraps; no such as_id or
 *            id; gpa + bytes wraps; too many pages; deleting a slot that is not there; an existing
 *            slot with other bytes, hva or READ_ONLY
 *   -EEXIST  the new range meets another slot of the address space
 *   -ENOMEM  nothing changed
 *   -EDEADLK called from where it is never to be called (below), as far as that is seen
 *   -EIO     the VM is poisoned
 * An unchanged slot is no error and no update. Locking: takes the slots lock, waits for readers
 * (RCU) and for invalidations under way: never call it from a callback, inside a reader, or between
 * invalidate begin and end.
 */
VMMU_API int vmmu_slot_set(struct vmmu_vm *vm, const struct vmmu_slot *slot);
/*
 * Read back a slot. -ENOENT: no such slot; -EINVAL: as_id or id out of range; -EDEADLK: from a
 * callback or inside a reader; -EIO: the VM is poisoned. Locking: takes the slots lock, so it may
 * wait for invalidations under way: never between invalidate begin and end.
 */
VMMU_API int vmmu_slot_get(struct vmmu_vm *vm, unsigned as_id, unsigned id, struct vmmu_slot *slot);
/*
 * The generation of the address space's slots (bit 63 set: an update is under way); 0 for a bad
 * as_id.
 */
VMMU_API uint64_t vmmu_slot_generation(struct vmmu_vm *vm, unsigned as_id);

#ifdef __cplusplus
}
#endif
#endif
